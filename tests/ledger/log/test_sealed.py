"""Sealed details: committed to, kept, erased; and the tree verifies before and after."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import LogCorrupt, LogFault
from ledger.log.audit import verify_database
from ledger.log.reading import LogReader
from ledger.log.sealed import CIPHERTEXT_BYTES_MAX, FIELD, SealedDetails, State, commitment
from tests.ledger.log.ledgers import create, tap


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100))
def test_a_commitment_moves_with_every_byte(salt: bytes, ciphertext: bytes) -> None:
    name = commitment(salt, ciphertext)
    assert len(name) == 64
    assert commitment(salt, ciphertext + b"x") != name
    assert commitment(bytes([salt[0] ^ 1]) + salt[1:], ciphertext) != name


def test_a_salt_has_its_length() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        commitment(bytes(31), b"x")


def test_erasing_leaves_a_tree_that_verifies(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    details = SealedDetails(path)
    with create(path) as store:
        names = [details.keep(b"ciphertext %d" % number) for number in range(3)]
        store.append([tap(at, **{FIELD: name}) for at, name in enumerate(names)])
    before = verify_database(path)
    assert before.ok
    assert details.read(names[1]) == b"ciphertext 1"
    assert details.erase(names[1])
    assert not details.erase(names[1])
    assert [details.state(name) for name in names] == [State.PRESENT, State.ERASED, State.PRESENT]
    assert verify_database(path) == before
    with LogReader.open(path) as reader:
        assert (reader.entry(3) or {})[FIELD] == names[1]
    assert b"ciphertext 1" not in b"".join(
        file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()
    )


def test_the_same_detail_has_two_commitments(tmp_path: Path) -> None:
    details = SealedDetails(tmp_path / "ledger.db")
    assert details.keep(b"same") != details.keep(b"same")


def test_what_was_erased_is_overwritten_first(tmp_path: Path) -> None:
    details = SealedDetails(tmp_path / "ledger.db")
    name = details.keep(b"secret" * 100)
    (file,) = (tmp_path / "ledger.db.sealed").iterdir()
    other = tmp_path / "other name of the same bytes"
    other.hardlink_to(file)
    details.erase(name)
    assert other.read_bytes() == bytes(632)


def test_a_changed_detail_is_found(tmp_path: Path) -> None:
    details = SealedDetails(tmp_path / "ledger.db")
    name = details.keep(b"detail")
    file = tmp_path / "ledger.db.sealed" / name
    whole = file.read_bytes()
    for at in range(len(whole)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert details.state(name) is State.DAMAGED
    with pytest.raises(LogCorrupt, match="not what the entry commits to"):
        details.read(name)


def test_limits_and_names(tmp_path: Path) -> None:
    details = SealedDetails(tmp_path / "ledger.db")
    with pytest.raises(LogFault, match="at most"):
        details.keep(bytes(CIPHERTEXT_BYTES_MAX + 1))
    for name in ("../ledger.db", "", "A" * 64, "0" * 63, "0" * 64 + "\n"):
        with pytest.raises(LogFault, match="no commitment"):
            details.erase(name)
    (tmp_path / "ledger.db.sealed").write_bytes(b"a file where the folder belongs")
    with pytest.raises(LogFault):
        details.keep(b"x")
    with pytest.raises(LogFault):
        details.read("0" * 64)
    with pytest.raises(LogFault):
        details.erase("0" * 64)
