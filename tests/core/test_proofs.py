"""Proofs against the Certificate Transparency reference tree, the definition, and every single change."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from wingman_core.checkpoint import Checkpoint, sign_checkpoint
from wingman_core.errors import LogCorrupt
from wingman_core.notes import verifier_key_of
from wingman_core.proofs import (
    consistency_proof,
    inclusion_proof,
    open_proof,
    proof_text,
    require_consistent,
    root_from,
    wanted,
    wanted_between,
)
from wingman_core.translog import Frontier, leaf_hash, node_hash

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "rfc6962.json").read_text())
LEAVES = [leaf_hash(bytes.fromhex(leaf)) for leaf in VECTORS["leaves"]]
ORIGIN = "wingman/test/log1"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(32))
KEYS = [verifier_key_of(ORIGIN, PRIVATE)]


def defined(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962, 2.1.1, word for word, over leaf hashes."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*defined(index, leaves[:split]), defined_root(leaves[split:])]
    return [*defined(index - split, leaves[split:]), defined_root(leaves[:split])]


def defined_root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(defined_root(leaves[:split]), defined_root(leaves[split:]))


def stored(leaves: list[bytes]) -> dict[tuple[int, int], bytes]:
    """What a database holds."""
    frontier, nodes = Frontier(), {(0, index): leaf for index, leaf in enumerate(leaves)}
    for leaf in leaves:
        frontier, completed = frontier.append(leaf)
        nodes |= {(node.level, node.index): node.hash for node in completed}
    return nodes


@pytest.mark.parametrize(("index", "size", "path"), VECTORS["paths"])
def test_paths_of_the_reference_tree(index: int, size: int, path: list[str]):
    assert [each.hex() for each in inclusion_proof(index, size, stored(LEAVES[:size]))] == path


@given(st.integers(1, 70), st.data())
def test_a_proof_is_the_definitions_and_leads_to_the_root(size: int, data: st.DataObject):
    leaves = [leaf_hash(bytes([number])) for number in range(size)]
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, stored(leaves))
    assert list(proof) == defined(index, leaves)
    assert root_from(leaves[index], index, size, proof) == defined_root(leaves)


def test_a_proof_reads_few_nodes_however_long_the_log():
    assert wanted(0, 1) == ()
    size = 10**12 + 12345
    for index in (0, size // 3, size - 1):
        assert len(set(wanted(index, size))) <= 2 * size.bit_length()
    with pytest.raises(ValueError, match="not in the tree"):
        wanted(5, 5)


def defined_between(old: int, leaves: list[bytes], *, known: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962, 2.1.2, word for word, over leaf hashes."""
    if old == len(leaves):
        return [] if known else [defined_root(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if old <= split:
        return [*defined_between(old, leaves[:split], known=known), defined_root(leaves[split:])]
    return [*defined_between(old - split, leaves[split:], known=False), defined_root(leaves[:split])]


def head_of(leaves: list[bytes], origin: str = ORIGIN) -> Checkpoint:
    return Checkpoint(origin, len(leaves), defined_root(leaves))


@pytest.mark.parametrize(("old", "size", "proof"), VECTORS["consistency"])
def test_consistency_of_the_reference_tree(old: int, size: int, proof: list[str]):
    found = consistency_proof(old, size, stored(LEAVES[:size]))
    assert [each.hex() for each in found] == proof
    require_consistent(head_of(LEAVES[:old]), head_of(LEAVES[:size]), found)


@given(st.integers(1, 70), st.data())
def test_a_consistency_proof_is_the_definitions_and_shows_growth_alone(size: int, data: st.DataObject):
    leaves = [leaf_hash(bytes([number])) for number in range(size)]
    old = data.draw(st.integers(1, size))
    proof = consistency_proof(old, size, stored(leaves))
    assert list(proof) == defined_between(old, leaves, known=True)
    assert set(wanted_between(old, size)) <= stored(leaves).keys()
    require_consistent(head_of(leaves[:old]), head_of(leaves), proof)
    changed = data.draw(st.integers(0, old - 1))
    other = [*leaves[:changed], leaf_hash(b"other"), *leaves[changed + 1 :]]
    for older, newer in ((other[:old], leaves), (leaves[:old], other)):
        with pytest.raises(LogCorrupt, match="does not begin"):
            require_consistent(head_of(older), head_of(newer), proof)
    with pytest.raises(LogCorrupt, match="trees of these sizes"):
        require_consistent(head_of(leaves[:old]), head_of(leaves), (*proof, bytes(32)))
    for place in range(len(proof)):
        bent = (*proof[:place], bytes(32), *proof[place + 1 :])
        with pytest.raises(LogCorrupt, match="does not begin"):
            require_consistent(head_of(leaves[:old]), head_of(leaves), bent)


def test_a_consistency_proof_reads_few_nodes_and_is_of_one_log():
    size = 10**12 + 12345
    for old in (1, size // 3, size - 1, size):
        assert len(set(wanted_between(old, size))) <= 2 * size.bit_length()
    for old in (0, 6):
        with pytest.raises(ValueError, match="beginning"):
            wanted_between(old, 5)
    for older, newer in ((LEAVES, LEAVES[:3]), (LEAVES[:3], LEAVES)):
        with pytest.raises(LogCorrupt, match="one log"):
            require_consistent(head_of(older, "wingman/test/log2"), head_of(newer), ())
    with pytest.raises(LogCorrupt, match="one log"):
        require_consistent(head_of(LEAVES), head_of(LEAVES[:3]), ())


def proven(index: int, size: int = 7) -> str:
    head = Checkpoint(ORIGIN, size, defined_root(LEAVES[:size]))
    note = sign_checkpoint(head, ORIGIN, PRIVATE)
    return proof_text(index, inclusion_proof(index, size, stored(LEAVES[:size])), note)


@pytest.mark.parametrize("index", range(7))
def test_the_text_form_opens_again(index: int):
    text = proven(index)
    assert text.startswith(f"c2sp.org/tlog-proof@v1\nindex {index}\n")
    position, checkpoint = open_proof(text, LEAVES[index], KEYS)
    assert (position, checkpoint.size) == (index, 7)


def test_a_log_of_one_leaf_has_an_empty_proof():
    assert open_proof(proven(0, 1), LEAVES[0], KEYS)[1].size == 1


@given(st.integers(0, 6), st.data())
def test_no_changed_character_is_believed(index: int, data: st.DataObject):
    text = proven(index)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("A0+\n \u2014=z").filter(lambda character: character != text[at]))
    with pytest.raises(LogCorrupt):
        open_proof(text[:at] + other + text[at + 1 :], LEAVES[index], KEYS)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("index 3\n", "index 2\n"),  # a sibling's place
        ("index 3\n", "index 03\n"),
        ("index 3\n", "index 11\n"),  # outside the tree
        ("index 3\n", "extra eA==\nindex 3\n"),  # this log writes none
        ("@v1", "@v2"),
        ("index 3\n", "index 3\n" + "A" * 43 + "=\n"),
        ("index 3\n", "index 3\n" + ("A" * 43 + "=\n") * 100),
        ("\n\n", "\n"),
    ],
)
def test_other_texts_are_refused(before: str, after: str):
    with pytest.raises(LogCorrupt):
        open_proof(proven(3).replace(before, after, 1), LEAVES[3], KEYS)


def test_another_leaf_and_another_key_are_refused():
    with pytest.raises(LogCorrupt, match="does not lead"):
        open_proof(proven(3), LEAVES[2], KEYS)
    with pytest.raises(LogCorrupt):
        open_proof(proven(3), LEAVES[3], [verifier_key_of(ORIGIN, Ed25519PrivateKey.generate())])
