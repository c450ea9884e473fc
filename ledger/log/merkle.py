"""The Merkle tree of RFC 6962 over SHA-256: roots, inclusion and consistency.

A tree is seen through a `Nodes` function: ``nodes(level, index)`` is the hash of the complete
subtree over the leaves ``[index << level, (index + 1) << level)``. Level 0 is a leaf hash. Only
complete subtrees are ever asked for, so that a store may keep any subset of levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeAlias

from ledger.errors import ProofInvalid

HASH_BYTES: Final = 32
#: Root of the tree without leaves (RFC 6962 section 2.1): the hash of nothing.
EMPTY_ROOT: Final = sha256(b"").digest()

Nodes: TypeAlias = Callable[[int, int], bytes]


def leaf_hash(data: bytes) -> bytes:
    """Hash of one leaf: SHA-256(0x00 ‖ data), RFC 6962 section 2.1."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256(0x01 ‖ left ‖ right), RFC 6962 section 2.1."""
    return sha256(b"\x01" + left + right).digest()


def join(nodes: Sequence[bytes]) -> bytes:
    """Root over complete subtrees that follow each other, each smaller than the one before it."""
    if not nodes:
        return EMPTY_ROOT
    root = nodes[-1]
    for node in nodes[-2::-1]:
        root = sha256(b"\x01" + node + root).digest()
    return root


def perfect(nodes: Sequence[bytes]) -> bytes:
    """Root over complete subtrees of one size, as many as a power of two, at least one."""
    while len(nodes) > 1:
        pairs = iter(nodes)
        nodes = [
            sha256(b"\x01" + one + two).digest() for one, two in zip(pairs, pairs, strict=True)
        ]
    return nodes[0]


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a tree: all that is needed to append and to compute the root.

    Attributes:
        size: number of leaves.
        nodes: hashes of the complete subtrees, largest first, one for each set bit of ``size``.
    """

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.nodes) != self.size.bit_count():
            raise ProofInvalid(f"{len(self.nodes)} hashes are not a frontier of {self.size} leaves")

    def extend(self, leaf_hashes: Iterable[bytes]) -> Frontier:
        """The frontier after appending leaves, given by their leaf hashes (32 bytes each)."""
        stack, size = list(self.nodes), self.size
        for leaf in leaf_hashes:
            node, carry = leaf, size
            while carry & 1:
                node = sha256(b"\x01" + stack.pop() + node).digest()
                carry >>= 1
            stack.append(node)
            size += 1
        return Frontier(size, tuple(stack))

    def root(self) -> bytes:
        """Merkle tree hash of all leaves, 32 bytes."""
        return join(self.nodes)

    def to_bytes(self) -> bytes:
        """Size as 8 big-endian bytes, then the hashes."""
        return self.size.to_bytes(8, "big") + b"".join(self.nodes)

    @classmethod
    def from_bytes(cls, data: bytes) -> Frontier:
        """Inverse of `to_bytes`; raises ProofInvalid on any other bytes."""
        if len(data) < 8 or (len(data) - 8) % HASH_BYTES:
            raise ProofInvalid("a frontier is 8 bytes of size and whole hashes")
        hashes = tuple(data[at : at + HASH_BYTES] for at in range(8, len(data), HASH_BYTES))
        return cls(int.from_bytes(data[:8], "big"), hashes)


#: Frontier of the tree without leaves.
EMPTY_FRONTIER: Final = Frontier()


def nodes_of(leaf_hashes: Sequence[bytes]) -> Nodes:
    """A `Nodes` function over leaf hashes held in memory; inner hashes are kept once computed."""
    known: dict[tuple[int, int], bytes] = {}

    def nodes(level: int, index: int) -> bytes:
        if level == 0:
            return leaf_hashes[index]
        found = known.get((level, index))
        if found is None:
            found = node_hash(nodes(level - 1, 2 * index), nodes(level - 1, 2 * index + 1))
            known[level, index] = found
        return found

    return nodes


def range_hash(start: int, stop: int, nodes: Nodes) -> bytes:
    """Merkle tree hash of the leaves ``[start, stop)``; ``start`` as RFC 6962 splits trees."""
    count = stop - start
    if count & (count - 1) == 0 and start % count == 0:
        level = count.bit_length() - 1
        return nodes(level, start >> level)
    split = _split(count)
    return node_hash(
        range_hash(start, start + split, nodes), range_hash(start + split, stop, nodes)
    )


def root_of(size: int, nodes: Nodes) -> bytes:
    """Root of the tree over the first ``size`` leaves."""
    return range_hash(0, size, nodes) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, nodes: Nodes) -> list[bytes]:
    """The audit path of leaf ``index`` in the tree of ``size`` leaves (RFC 6962 section 2.1.1).

    Returns:
        Hashes from the leaf's sibling up to the root's child.

    Raises:
        ProofInvalid: there is no such leaf.
    """
    if not 0 <= index < size:
        raise ProofInvalid(f"there is no leaf {index} in a tree of {size} leaves")
    path: list[bytes] = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            path.append(range_hash(middle, stop, nodes))
            stop = middle
        else:
            path.append(range_hash(start, middle, nodes))
            start = middle
    path.reverse()
    return path


def verify_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """Checks an audit path (RFC 9162 section 2.1.3.2).

    Args:
        index: place of the leaf, from 0.
        size: number of leaves of the tree.
        leaf: the leaf hash, 32 bytes.
        proof: hashes as returned by `inclusion_proof`.
        root: the trusted root of the tree.

    Raises:
        ProofInvalid: the proof does not lead from this leaf to this root.
    """
    if not 0 <= index < size:
        raise ProofInvalid(f"there is no leaf {index} in a tree of {size} leaves")
    node, last, at = leaf, size - 1, index
    for sibling in proof:
        if last == 0 or len(sibling) != HASH_BYTES:
            raise ProofInvalid("the inclusion proof is too long or holds a hash of wrong length")
        if at & 1 or at == last:
            node = node_hash(sibling, node)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        at >>= 1
        last >>= 1
    if last != 0 or node != root:
        raise ProofInvalid(f"leaf {index} is not in the tree of {size} leaves with this root")


def consistency_proof(old: int, new: int, nodes: Nodes) -> list[bytes]:
    """Proof that the tree of ``new`` leaves extends that of ``old`` (RFC 6962 section 2.1.2).

    Raises:
        ProofInvalid: ``old`` is 0 or more than ``new``; an empty tree proves nothing.
    """
    if not 1 <= old <= new:
        raise ProofInvalid(f"no consistency can be proved from {old} to {new} leaves")
    return _subproof(old, 0, new, nodes, complete=True)


def verify_consistency(
    old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    """Checks a consistency proof (RFC 9162 section 2.1.4.2), strictly.

    Raises:
        ProofInvalid: size 0, a shrinking tree, surplus hashes, or roots that do not match.
    """
    if not 1 <= old <= new:
        raise ProofInvalid(f"no consistency can be proved from {old} to {new} leaves")
    if any(len(node) != HASH_BYTES for node in proof):
        raise ProofInvalid("a consistency proof holds hashes of 32 bytes")
    if old == new:
        if proof or old_root != new_root:
            raise ProofInvalid(f"two different roots for the same {old} leaves")
        return
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        raise ProofInvalid("the consistency proof is empty")
    at, last = old - 1, new - 1
    while at & 1:
        at >>= 1
        last >>= 1
    old_node = new_node = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofInvalid("the consistency proof is too long")
        if at & 1 or at == last:
            old_node = node_hash(sibling, old_node)
            new_node = node_hash(sibling, new_node)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            new_node = node_hash(new_node, sibling)
        at >>= 1
        last >>= 1
    if last != 0 or old_node != old_root or new_node != new_root:
        raise ProofInvalid(f"the tree of {new} leaves does not extend the one of {old}")


def _split(count: int) -> int:
    """The largest power of two smaller than ``count`` (RFC 6962 section 2.1), ``count`` ≥ 2."""
    return 1 << ((count - 1).bit_length() - 1)


def _subproof(old: int, start: int, stop: int, nodes: Nodes, *, complete: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2 for the leaves ``[start, stop)``."""
    if old == stop - start:
        return [] if complete else [range_hash(start, stop, nodes)]
    split = _split(stop - start)
    if old <= split:
        proof = _subproof(old, start, start + split, nodes, complete=complete)
        return [*proof, range_hash(start + split, stop, nodes)]
    proof = _subproof(old - split, start + split, stop, nodes, complete=False)
    return [*proof, range_hash(start, start + split, nodes)]
