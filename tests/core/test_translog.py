"""The tree against the Certificate Transparency vectors and against the definition itself."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wingman_core.translog import EMPTY_ROOT, Frontier, Node, leaf_hash, node_hash, peak_positions

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "rfc6962.json").read_text())
LEAVES = [leaf_hash(bytes.fromhex(leaf)) for leaf in VECTORS["leaves"]]


def defined_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, word for word, over leaf hashes."""
    match len(leaves):
        case 0:
            return hashlib.sha256().digest()
        case 1:
            return leaves[0]
        case size:
            split = 1 << (size - 1).bit_length() - 1
            return node_hash(defined_root(leaves[:split]), defined_root(leaves[split:]))


def grown(leaves: list[bytes]) -> tuple[Frontier, list[Node]]:
    frontier, nodes = Frontier(), []
    for leaf in leaves:
        frontier, completed = frontier.append(leaf)
        nodes.extend(completed)
    return frontier, nodes


@pytest.mark.parametrize("size", range(9))
def test_roots_of_the_reference_tree(size: int):
    assert grown(LEAVES[:size])[0].root().hex() == VECTORS["roots"][size]


def test_interior_nodes_of_the_reference_tree_come_once_each_in_order():
    _, nodes = grown(LEAVES)
    assert [[node.level, node.index, node.hash.hex()] for node in nodes] == VECTORS["nodes"]


def test_leaves_and_nodes_are_domains_apart():
    left, right = LEAVES[:2]
    assert leaf_hash(left + right) != node_hash(left, right)
    assert leaf_hash(b"\x01" + left + right) != node_hash(left, right)
    assert Frontier().root() == EMPTY_ROOT == hashlib.sha256().digest()


@given(st.lists(st.binary(max_size=8).map(leaf_hash), max_size=70))
def test_the_frontier_has_the_root_of_the_definition(leaves: list[bytes]):
    frontier, nodes = grown(leaves)
    assert frontier.size == len(leaves)
    assert frontier.root() == defined_root(leaves)
    for node in nodes:
        first = node.index << node.level
        assert node.hash == defined_root(leaves[first : first + (1 << node.level)])
    assert len({(node.level, node.index) for node in nodes}) == len(nodes) == len(leaves) - len(frontier.peaks)


@given(st.lists(st.binary(max_size=8).map(leaf_hash), max_size=70))
def test_a_store_finds_the_frontier_again_by_its_positions(leaves: list[bytes]):
    frontier, nodes = grown(leaves)
    stored = {(node.level, node.index): node.hash for node in nodes} | {
        (0, index): leaf for index, leaf in enumerate(leaves)
    }
    peaks = tuple(stored[position] for position in peak_positions(len(leaves)))
    assert Frontier(len(leaves), peaks) == frontier


@pytest.mark.parametrize(
    ("size", "peaks"),
    [(1, ()), (0, (LEAVES[0],)), (2, (LEAVES[0], LEAVES[1])), (1, (b"short",)), (-1, (LEAVES[0],))],
)
def test_a_frontier_that_is_none_is_refused(size: int, peaks: tuple[bytes, ...]):
    with pytest.raises(ValueError, match="32-byte peak"):
        Frontier(size, peaks)
