from __future__ import annotations

import contextlib
from pathlib import Path

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.envelope import (
    FILE_BYTES_MAX,
    Part,
    ReceiptFile,
    decode_parts,
    decode_receipts,
    encode_parts,
    encode_receipts,
    is_receipt_file,
    open_part,
    read_file,
    recipient_id,
    seal,
    write_file,
)
from sync.errors import EnvelopeInvalid
from sync.protocol import Batch
from tests.sync.signed_log import ledger_name

IDENTITY = pyrage.x25519.Identity.generate()
RECIPIENT = str(IDENTITY.to_public())
LEDGER = ledger_name(5)

PARTS = st.lists(
    st.builds(
        Part,
        st.just(LEDGER),
        st.integers(0, 2**50),
        st.integers(1, 500),
        st.binary(min_size=1, max_size=60),
        st.just(recipient_id(RECIPIENT)),
        st.binary(min_size=1, max_size=60),
    ),
    min_size=1,
    max_size=4,
)
RECEIPTS = st.builds(
    ReceiptFile,
    st.just(LEDGER),
    st.sampled_from(["ok", "need_from", "quarantined"]),
    st.integers(0, 2**50),
    st.lists(st.binary(min_size=1, max_size=60), max_size=4).map(tuple),
)


def decrypt(sealed: bytes) -> bytes:
    return bytes(pyrage.decrypt(sealed, [IDENTITY]))


@given(PARTS)
def test_batch_file_round_trip(parts: list[Part]) -> None:
    data = encode_parts(parts)
    assert decode_parts(data) == tuple(parts)
    assert encode_parts(decode_parts(data)) == data
    assert not is_receipt_file(data)


@given(RECEIPTS)
def test_receipt_file_round_trip(file: ReceiptFile) -> None:
    data = encode_receipts(file)
    assert decode_receipts(data) == file
    assert is_receipt_file(data)


@given(PARTS, RECEIPTS, st.data())
def test_damaged_files_are_refused_or_read_back_to_themselves(
    parts: list[Part], receipts: ReceiptFile, data: st.DataObject
) -> None:
    for good in (encode_parts(parts), encode_receipts(receipts)):
        bad = bytearray(good)
        if data.draw(st.booleans()):
            del bad[data.draw(st.integers(0, len(bad) - 1)) :]
        if bad:
            bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
        with contextlib.suppress(EnvelopeInvalid):
            assert encode_parts(decode_parts(bytes(bad))) == bad
        with contextlib.suppress(EnvelopeInvalid):
            assert encode_receipts(decode_receipts(bytes(bad))) == bad


@given(st.binary(max_size=200))
def test_files_are_total(data: bytes) -> None:
    with contextlib.suppress(EnvelopeInvalid):
        decode_parts(data)
    with contextlib.suppress(EnvelopeInvalid):
        decode_receipts(data)


@given(st.lists(st.binary(max_size=50).map(lambda b: b.replace(b"\n", b"")), min_size=1))
@settings(max_examples=20)
def test_only_the_recipient_reads_the_entries(entries: list[bytes]) -> None:
    batch = Batch(LEDGER, 7, tuple(entries), b"a checkpoint")
    (part,) = decode_parts(encode_parts([seal(batch, RECIPIENT)]))
    assert open_part(part, decrypt) == batch
    assert part.recipient_id == recipient_id(RECIPIENT)
    other = pyrage.x25519.Identity.generate()
    with pytest.raises(pyrage.DecryptError):
        open_part(part, lambda sealed: bytes(pyrage.decrypt(sealed, [other])))


def test_every_flipped_bit_of_the_sealed_entries_is_seen() -> None:
    part = seal(Batch(LEDGER, 0, (b"entry",), b"c"), RECIPIENT)
    for at in range(0, len(part.sealed), 7):
        sealed = bytearray(part.sealed)
        sealed[at] ^= 1
        bad = Part(LEDGER, 0, 1, b"c", part.recipient_id, bytes(sealed))
        with pytest.raises(pyrage.DecryptError):
            open_part(bad, decrypt)


@pytest.mark.parametrize("count", [1, 3])
def test_a_header_that_counts_otherwise_is_refused(count: int) -> None:
    part = seal(Batch(LEDGER, 0, (b"a", b"b"), b"c"), RECIPIENT)
    bad = Part(LEDGER, 0, count, b"c", part.recipient_id, part.sealed)
    with pytest.raises(EnvelopeInvalid, match=f"exactly {count}"):
        open_part(bad, decrypt)


def test_what_unpacks_to_more_than_came_is_refused() -> None:
    part = seal(Batch(LEDGER, 0, (b"a",), b"c"), RECIPIENT)
    with pytest.raises(EnvelopeInvalid, match="larger"):
        open_part(part, lambda sealed: b"x" * (len(sealed) + 1))


def test_a_recipient_that_is_none_is_refused() -> None:
    with pytest.raises(EnvelopeInvalid, match="recipient"):
        seal(Batch(LEDGER, 0, (b"a",), b"c"), "age1nonsense")


def test_a_file_beyond_all_limits_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.truncate(FILE_BYTES_MAX + 1)
    with pytest.raises(EnvelopeInvalid, match="at most"):
        read_file(path)


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_file(path, b"first")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_file(path, b"second")
    assert path.read_bytes() == b"first"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
