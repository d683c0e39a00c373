"""The transparency log's tree (RFC 6962, 2.1): leaf and node hashes, and a frontier that grows leaf by leaf.

Guarantees: a ``Frontier`` is the whole of what appending needs, at most 64 hashes however long the log is;
appending yields each interior node once, when the subtree under it is complete and so never changes again.
Node (level, index) covers the leaves from ``index << level`` on, ``1 << level`` of them; level 0 are the
leaves themselves. Proofs need the stored nodes alone.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
"""The root of no leaves (RFC 6962, 2.1)."""

_HASH_LENGTHS: Final = frozenset({HASH_BYTES})
_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"


@dataclass(frozen=True, slots=True)
class Node:
    """The hash over a complete subtree, and where it stands; ``level`` is 1 or more."""

    level: int
    index: int
    hash: bytes


def leaf_hash(data: bytes) -> bytes:
    """Return the 32 bytes that stand for a leaf's data."""
    return hashlib.sha256(_LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the 32 bytes over two subtrees."""
    return hashlib.sha256(_NODE + left + right).digest()


def grow(peaks: list[bytes], size: int, leaf: bytes) -> list[bytes]:
    """Add a leaf hash to the peaks of ``size`` leaves, in place; return the nodes it completes, from level 1 on."""
    nodes, top = [], leaf
    while size & 1:
        size >>= 1
        top = node_hash(peaks.pop(), top)
        nodes.append(top)
    peaks.append(top)
    return nodes


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a tree of ``size`` leaves: the roots of its complete subtrees, the largest first."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        """Refuse peaks that cannot be those of a tree of this size."""
        fits = self.size >= 0 and len(self.peaks) == self.size.bit_count()
        if not fits or not _HASH_LENGTHS.issuperset(map(len, self.peaks)):
            raise ValueError("a frontier has one 32-byte peak for each bit that is set in its size")

    def append(self, leaf: bytes) -> tuple["Frontier", tuple[Node, ...]]:
        """Return the frontier with one more leaf hash, and the interior nodes that it completes, the lowest first."""
        size, peaks = self.size + 1, list(self.peaks)
        completed = grow(peaks, self.size, leaf)
        nodes = tuple(Node(level, (size >> level) - 1, hashed) for level, hashed in enumerate(completed, 1))
        return Frontier(size, tuple(peaks)), nodes

    def root(self) -> bytes:
        """Return the root of the tree (RFC 6962, 2.1), 32 bytes."""
        if not self.peaks:
            return EMPTY_ROOT
        *rest, top = self.peaks
        for peak in reversed(rest):
            top = node_hash(peak, top)
        return top


def peak_positions(size: int) -> tuple[tuple[int, int], ...]:
    """Return (level, index) of each peak of a tree of ``size`` leaves, in a frontier's order: what a store reads."""
    levels = [level for level in reversed(range(size.bit_length())) if size >> level & 1]
    return tuple((level, (size >> level) - 1) for level in levels)
