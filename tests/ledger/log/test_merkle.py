"""The tree of RFC 6962: against its own definition, pymerkle, and hypothesis."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import ProofInvalid
from ledger.log.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    nodes_of,
    root_of,
    verify_consistency,
    verify_inclusion,
)

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "merkle.json").read_text())
LEAVES = [leaf_hash(b"entry %d" % number) for number in range(130)]
NODES = nodes_of(LEAVES)
SIZES = st.integers(1, len(LEAVES))


def tree_hash(leaves: list[bytes]) -> bytes:
    """MTH as RFC 6962 section 2.1 writes it down."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = tree_hash(leaves[:split]), tree_hash(leaves[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def test_published_roots_and_proofs() -> None:
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in VECTORS["leaves"]]
    nodes = nodes_of(leaves)
    for size, root in enumerate(VECTORS["roots"]):
        assert root_of(size, nodes).hex() == root
    for case in VECTORS["inclusion"]:
        assert [node.hex() for node in inclusion_proof(case["index"], case["size"], nodes)] == (
            case["proof"]
        )
    for case in VECTORS["consistency"]:
        assert [node.hex() for node in consistency_proof(case["old"], case["new"], nodes)] == (
            case["proof"]
        )


@given(st.integers(0, len(LEAVES)))
def test_frontier_and_nodes_agree_with_the_definition(size: int) -> None:
    assert Frontier().extend(LEAVES[:size]).root() == tree_hash(LEAVES[:size])
    assert root_of(size, NODES) == tree_hash(LEAVES[:size])


@given(st.lists(st.integers(0, 40), max_size=6))
def test_frontier_grows_in_any_steps(steps: list[int]) -> None:
    frontier, at = Frontier(), 0
    for step in steps:
        frontier = frontier.extend(LEAVES[at : at + step])
        at = min(at + step, len(LEAVES))
        assert Frontier.from_bytes(frontier.to_bytes()) == frontier
    assert frontier.root() == tree_hash(LEAVES[:at])


@given(st.binary(max_size=200))
def test_frontier_of_bytes_is_exact(data: bytes) -> None:
    try:
        assert Frontier.from_bytes(data).to_bytes() == data
    except ProofInvalid:
        pass


def test_roots_agree_with_pymerkle() -> None:
    other = pymerkle.InmemoryTree(algorithm="sha256")
    for number in range(1, 70):
        other.append_entry(b"entry %d" % (number - 1))
        assert other.get_root() == root_of(number, NODES)


@pytest.mark.parametrize("size", [1, 2, 7, 8, 33, 64])
def test_inclusion_agrees_with_pymerkle(size: int) -> None:
    other = pymerkle.InmemoryTree(algorithm="sha256")
    for number in range(size):
        other.append_entry(b"entry %d" % number)
    for index in range(size):
        proof = other.prove_inclusion(index + 1, size)
        assert proof.path[1:] == inclusion_proof(index, size, NODES)
        verify_inclusion(index, size, proof.path[0], proof.path[1:], other.get_root())
        pymerkle.verify_inclusion(NODES(0, index), root_of(size, NODES), proof)


@given(SIZES, st.data())
def test_inclusion(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    root, proof = root_of(size, NODES), inclusion_proof(index, size, NODES)
    verify_inclusion(index, size, LEAVES[index], proof, root)
    wrong = data.draw(st.integers(0, size - 1).filter(lambda other: other != index) | st.just(-1))
    with pytest.raises(ProofInvalid):
        verify_inclusion(wrong, size, LEAVES[index], proof, root)
    with pytest.raises(ProofInvalid):
        verify_inclusion(index, size, leaf_hash(b"other"), proof, root)
    with pytest.raises(ProofInvalid):
        verify_inclusion(index, size, LEAVES[index], [*proof, bytes(32)], root)
    if proof:
        with pytest.raises(ProofInvalid):
            verify_inclusion(index, size, LEAVES[index], proof[:-1], root)
        with pytest.raises(ProofInvalid):
            verify_inclusion(index, size, LEAVES[index], [proof[0][:31], *proof[1:]], root)


@given(SIZES, SIZES)
def test_consistency(one: int, other: int) -> None:
    old, new = sorted((one, other))
    old_root, new_root = root_of(old, NODES), root_of(new, NODES)
    proof = consistency_proof(old, new, NODES)
    verify_consistency(old, new, proof, old_root, new_root)
    for bad in ([*proof, bytes(32)], proof[:-1], [bytes(32), *proof[1:]], [b"short", *proof]):
        if bad != proof:
            with pytest.raises(ProofInvalid):
                verify_consistency(old, new, bad, old_root, new_root)
    with pytest.raises(ProofInvalid):
        verify_consistency(old, new, proof, bytes(32), new_root)
    with pytest.raises(ProofInvalid):
        verify_consistency(old, new, proof, old_root, bytes(32))


@pytest.mark.parametrize(("old", "new"), [(0, 5), (0, 0), (6, 5), (-1, 5)])
def test_an_empty_or_shrinking_tree_proves_nothing(old: int, new: int) -> None:
    with pytest.raises(ProofInvalid):
        consistency_proof(old, new, NODES)
    with pytest.raises(ProofInvalid):
        verify_consistency(old, new, [], EMPTY_ROOT, root_of(new, NODES))


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5)])
def test_no_proof_of_what_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ProofInvalid):
        inclusion_proof(index, size, NODES)


def test_a_frontier_must_fit_its_size() -> None:
    with pytest.raises(ProofInvalid):
        Frontier(3, (LEAVES[0],))
