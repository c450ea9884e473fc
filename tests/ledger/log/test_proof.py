"""Proofs and receipts: they convince with the entry that they are of, and with no other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import NoteInvalid, ProofInvalid
from ledger.log.checkpoint import cosign
from ledger.log.merkle import leaf_hash
from ledger.log.note import Ed25519Verifier, open_note, sign_note
from ledger.log.proof import (
    TlogProof,
    open_tap_receipt,
    parse_proof,
    prove,
    tap_receipt,
    verify_proof,
)
from ledger.log.store import LogStore
from tests.ledger.log.ledgers import ORIGIN, SERVER, SIGNER, create, signer, tap

VERIFIERS = [Ed25519Verifier.of(SIGNER)]
HASHES = st.binary(min_size=32, max_size=32)


@pytest.fixture(scope="module")
def store() -> Iterator[LogStore]:
    with create() as log:
        for start in range(0, 900, 300):
            log.append([tap(number) for number in range(start, start + 300)])
        yield log


@pytest.mark.parametrize("seq", [0, 1, 255, 256, 511, 767, 768, 901])
def test_every_entry_can_be_proved(store: LogStore, seq: int) -> None:
    (entry,) = store.entries(seq, seq + 1)
    receipt = cosign(store.checkpoint()[1], SERVER, 1_700_000_000)
    for data in (prove(store, seq), prove(store, seq, receipt)):
        head = verify_proof(data, entry, VERIFIERS)
        assert head.size > seq
        with pytest.raises(ProofInvalid):
            verify_proof(data, entry.replace(b'"v":1', b'"v":2'), VERIFIERS)
        with pytest.raises(NoteInvalid):
            verify_proof(data, entry, [Ed25519Verifier.of(signer(seed="another"))])
    assert verify_proof(prove(store, seq, receipt), entry, [Ed25519Verifier.of(SERVER)])


def test_no_proof_beyond_the_checkpoint(store: LogStore) -> None:
    _, note = store.checkpoint(1)
    with pytest.raises(ProofInvalid, match="not entry 901"):
        prove(store, 901, note)
    with pytest.raises(ProofInvalid):
        prove(store, -1, note)


@given(st.integers(0, 2**60), st.lists(HASHES, max_size=63), st.binary(max_size=40))
def test_proofs_round_trip(index: int, hashes: list[bytes], extra: bytes) -> None:
    note = sign_note("o\n1\nAAAA\n", [SIGNER])
    proof = TlogProof(index, tuple(hashes), note, extra)
    assert parse_proof(proof.to_bytes()) == proof


@given(st.binary(max_size=200).map(lambda rest: b"c2sp.org/tlog-proof@v1\n" + rest))
def test_any_bytes_are_a_proof_or_refused(data: bytes) -> None:
    try:
        assert parse_proof(data).to_bytes() == data
    except ProofInvalid:
        pass


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"c2sp.org/tlog-proof@v2\nindex 1",
        b"c2sp.org/tlog-proof@v1",
        b"c2sp.org/tlog-proof@v1\nindex 01",
        b"c2sp.org/tlog-proof@v1\nindex -1",
        b"c2sp.org/tlog-proof@v1\nextra \nindex 1",
        b"c2sp.org/tlog-proof@v1\nextra ?\nindex 1",
        b"c2sp.org/tlog-proof@v1\nindex 1\nAAAA",
        b"c2sp.org/tlog-proof@v1\nindex 1\n\xff",
        b"c2sp.org/tlog-proof@v1\nindex 1" + b"\nAAAA" * 64,
    ],
)
def test_malformed_proofs(head: bytes) -> None:
    with pytest.raises(ProofInvalid):
        parse_proof(head + b"\n\nnote\n")


def test_a_receipt_fits_a_small_code_and_convicts_only_its_ledger() -> None:
    leaf = leaf_hash(b"entry")
    text = tap_receipt(SIGNER, 123_456_789, leaf)
    assert len(text) <= 300
    receipt = open_tap_receipt(text, VERIFIERS)
    assert (receipt.origin, receipt.seq, receipt.leaf) == (ORIGIN, 123_456_789, leaf)
    with pytest.raises(NoteInvalid, match="has not signed"):
        open_tap_receipt(text.replace("123456789", "123456780"), VERIFIERS)
    with pytest.raises(NoteInvalid, match="no trusted key"):
        open_tap_receipt(text, [Ed25519Verifier.of(signer("another"))])
    other = signer(ORIGIN, "another seed")
    with pytest.raises(NoteInvalid, match="has not signed"):
        open_tap_receipt(text, [Ed25519Verifier.of(other)])
    assert open_tap_receipt(text, [Ed25519Verifier.of(other), *VERIFIERS]) == receipt


def test_a_receipt_is_a_signed_note_without_what_can_be_computed() -> None:
    receipt = open_tap_receipt(tap_receipt(SIGNER, 7, leaf_hash(b"entry")), VERIFIERS)
    note = receipt.note(VERIFIERS[0])
    assert note == sign_note(receipt.text(), [SIGNER])
    assert open_note(note, VERIFIERS).text.startswith("redcard-receipt/v1\n")


@pytest.mark.parametrize("part", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("put", ["", "x", "-1", "01", "AAAA", "QUFB ", "\u2014"])
def test_receipts_that_are_none(part: int, put: str) -> None:
    parts = tap_receipt(SIGNER, 7, bytes(32)).split(" ")
    parts[part] = put
    with pytest.raises((ProofInvalid, NoteInvalid)):
        open_tap_receipt(" ".join(parts), VERIFIERS)


@given(st.text(max_size=320))
def test_any_text_is_a_receipt_or_refused(text: str) -> None:
    for one in (text, f"redcard-receipt/v1 {text}"):
        with pytest.raises((ProofInvalid, NoteInvalid)):
            open_tap_receipt(one, VERIFIERS)


def test_receipts_have_a_limit() -> None:
    with pytest.raises(ProofInvalid):
        open_tap_receipt(" " * 301, VERIFIERS)
    with pytest.raises(ProofInvalid, match="longer than 300"):
        tap_receipt(signer("d" * 120 + ".example/redcard/" + "a" * 26), 1, bytes(32))
