"""Inclusion and consistency proofs (RFC 6962, 2.1.1 and 2.1.2); the former as text in the C2SP tlog-proof format.

Guarantees: a proof needs O(log n) stored nodes, which ``wanted`` and ``wanted_between`` name before any is read;
``open_proof`` returns a checkpoint only when a known key signed it and the proof leads from the leaf to its root;
``require_consistent`` returns only where the older tree is the beginning of the newer one.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Final

from wingman_core.checkpoint import Checkpoint, open_checkpoint
from wingman_core.notes import VerifierKey, decode_base64, note_invalid
from wingman_core.translog import Frontier, node_hash

HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_PROOF: Final = 63
"""Hashes in a proof: one for each level of the largest log."""

_FORM: Final = re.compile(
    rf"{re.escape(HEADER)}\nindex (?P<index>0|[1-9][0-9]{{0,18}})\n"
    r"(?P<hashes>(?:[A-Za-z0-9+/]{43}=\n)*)\n(?P<note>.+)",
    re.DOTALL,
)

Position = tuple[int, int]
"""Level and index of a stored node; level 0 are the leaves."""


def wanted(index: int, size: int) -> tuple[Position, ...]:
    """Return the nodes that prove leaf ``index`` in the tree of ``size`` leaves; raise ``ValueError`` outside it."""
    return tuple(node for begin, end in _siblings(index, size) for node in _subtrees(begin, end))


def inclusion_proof(index: int, size: int, nodes: Mapping[Position, bytes]) -> tuple[bytes, ...]:
    """Return the proof, the leaf's sibling first; raise ``KeyError`` where ``nodes`` lacks one of ``wanted``."""
    return tuple(_root(begin, end, nodes) for begin, end in _siblings(index, size))


def wanted_between(old: int, size: int) -> tuple[Position, ...]:
    """Return the nodes that prove a tree of ``old`` leaves to begin one of ``size``; raise ``ValueError`` outside."""
    return tuple(node for begin, end in _between(old, size) for node in _subtrees(begin, end))


def consistency_proof(old: int, size: int, nodes: Mapping[Position, bytes]) -> tuple[bytes, ...]:
    """Return the proof as RFC 6962 orders it; raise ``KeyError`` where ``nodes`` lacks one of ``wanted_between``."""
    return tuple(_root(begin, end, nodes) for begin, end in _between(old, size))


def require_consistent(older: Checkpoint, newer: Checkpoint, proof: Sequence[bytes]) -> None:
    """Return if ``proof`` shows that the newer log is the older one, grown; raise ``LogCorrupt`` if not."""
    if older.origin != newer.origin or not 0 < older.size <= newer.size:
        raise note_invalid("the two checkpoints are not an older and a newer one of one log")
    ranges = _between(older.size, newer.size)
    if len(proof) != len(ranges):
        raise note_invalid("the proof is not one between trees of these sizes")
    # The older tree is one complete subtree of the newer, or the first hash is the last of its subtrees.
    whole = not ranges or ranges[0][0] >= older.size
    first, steps = (
        (older.root, zip(ranges, proof, strict=True)) if whole else (proof[0], zip(ranges[1:], proof[1:], strict=True))
    )
    old_top = new_top = first
    for (begin, _), sibling in steps:
        if begin < older.size:
            old_top, new_top = node_hash(sibling, old_top), node_hash(sibling, new_top)
        else:
            new_top = node_hash(new_top, sibling)
    if (old_top, new_top) != (older.root, newer.root):
        raise note_invalid("the newer log does not begin with the older one")


def root_from(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root that ``proof`` leads to from a leaf hash; raise ``LogCorrupt`` for a proof of another shape."""
    if not 0 <= index < size or len(proof) != len(siblings := _siblings(index, size)):
        raise note_invalid("the proof is not one of a leaf at this index in a tree of this size")
    top = leaf
    for (begin, _), sibling in zip(siblings, proof, strict=True):
        top = node_hash(top, sibling) if begin > index else node_hash(sibling, top)
    return top


def proof_text(index: int, proof: Sequence[bytes], note: str) -> str:
    """Return the tlog-proof of a leaf, with the checkpoint's signed note behind it."""
    hashes = "".join(f"{base64.b64encode(each).decode('ascii')}\n" for each in proof)
    return f"{HEADER}\nindex {index}\n{hashes}\n{note}"


def open_proof(text: str, leaf: bytes, keys: Sequence[VerifierKey]) -> tuple[int, Checkpoint]:
    """Return where the leaf stands and the checkpoint that covers it; raise ``LogCorrupt`` for anything else."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise note_invalid("the text is no tlog-proof")
    proof = [decode_base64(line) for line in match["hashes"].splitlines()]
    if len(proof) > MAX_PROOF:
        raise note_invalid("the proof is longer than any log is high")
    checkpoint = open_checkpoint(match["note"], keys)
    index = int(match["index"])
    if root_from(leaf, index, checkpoint.size, proof) != checkpoint.root:
        raise note_invalid("the proof does not lead to the checkpoint's root")
    return index, checkpoint


def _siblings(index: int, size: int) -> tuple[tuple[int, int], ...]:
    """Return, for each step from the leaf to the root, the leaves [begin, end) under the other subtree."""
    if not 0 <= index < size:
        raise ValueError("the index is not in the tree")
    begin, end = 0, size
    ranges: list[tuple[int, int]] = []
    while end - begin > 1:
        middle = begin + (1 << (end - begin - 1).bit_length() - 1)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    return tuple(reversed(ranges))


def _between(old: int, size: int) -> tuple[tuple[int, int], ...]:
    """Return the leaves [begin, end) under each hash of a consistency proof, in the proof's order."""
    if not 0 < old <= size:
        raise ValueError("the older tree is not the beginning of the newer")
    begin, end = 0, size
    ranges: list[tuple[int, int]] = []
    while end != old:
        middle = begin + (1 << (end - begin - 1).bit_length() - 1)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    if begin:
        ranges.append((begin, end))
    return tuple(reversed(ranges))


def _root(begin: int, end: int, nodes: Mapping[Position, bytes]) -> bytes:
    return Frontier(end - begin, tuple(nodes[node] for node in _subtrees(begin, end))).root()


def _subtrees(begin: int, end: int) -> tuple[Position, ...]:
    """Return the complete subtrees that cover the leaves [begin, end), the largest first."""
    nodes: list[Position] = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        nodes.append((level, begin >> level))
        begin += 1 << level
    return tuple(nodes)
