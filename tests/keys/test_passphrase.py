from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keys import passphrase as module
from keys.errors import (
    KeyStoreError,
    SecretInvalid,
    StoreChanged,
    StoreExposed,
    StoreFault,
    StoreLocked,
    StoreMalformed,
    StoreUnwritable,
)
from keys.passphrase import Argon2Cost, PassphraseKeyStore

QUICK = Argon2Cost(memory_kib=64, iterations=1, lanes=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    store = PassphraseKeyStore(tmp_path / "keys", b"right", cost=QUICK)
    store.import_secret("card", "hmac", b"0123456789abcdef" * 2)
    return tmp_path / "keys"


def test_comes_back_from_the_disk(path: Path) -> None:
    first = PassphraseKeyStore(path, b"right")
    second = PassphraseKeyStore(path, b"right")
    assert first.names() == ("card",)
    assert first.mac("card", b"x") == second.mac("card", b"x")


def test_the_file_is_private_and_holds_no_secret(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = path.read_bytes()
    assert b"0123456789abcdef" not in content
    assert b"0123456789abcdef".hex().encode() not in content
    assert b"right" not in content
    assert sorted(p.name for p in path.parent.iterdir()) == ["keys"]


def test_a_new_file_costs_what_the_documentation_says(tmp_path: Path) -> None:
    PassphraseKeyStore(tmp_path / "keys", b"right").generate("a", "hmac")
    document = json.loads((tmp_path / "keys").read_bytes())
    assert document["argon2id"] == {"iterations": 3, "lanes": 4, "memory_kib": 65536}


def test_the_wrong_passphrase_opens_nothing(path: Path) -> None:
    with pytest.raises(StoreLocked):
        PassphraseKeyStore(path, b"wrong")


def test_the_passphrase_changes_and_the_old_one_stops(path: Path) -> None:
    store = PassphraseKeyStore(path, b"right")
    before = store.mac("card", b"x")
    salt = json.loads(path.read_bytes())["salt"]
    store.change_passphrase(b"new", cost=Argon2Cost(memory_kib=128, iterations=1, lanes=1))
    with pytest.raises(StoreLocked):
        PassphraseKeyStore(path, b"right")
    assert PassphraseKeyStore(path, b"new").mac("card", b"x") == before
    document = json.loads(path.read_bytes())
    assert document["salt"] != salt
    assert document["argon2id"]["memory_kib"] == 128
    with pytest.raises(SecretInvalid):
        store.change_passphrase(b"")


def test_an_empty_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretInvalid):
        PassphraseKeyStore(tmp_path / "keys", b"")


def test_every_flipped_byte_of_the_file_is_noticed(path: Path) -> None:
    content = path.read_bytes()
    for at in range(len(content)):
        flipped = bytearray(content)
        flipped[at] ^= 1
        path.write_bytes(flipped)
        if flipped.split() == content.split():
            continue  # white space of the JSON text
        try:
            opened = PassphraseKeyStore(path, b"right")
        except StoreFault:
            continue
        # What still opens can only be a spare bit at the end of base64 or of white space.
        assert opened.names() == ("card",), at
        assert json.loads(flipped).keys() == json.loads(content).keys()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "redcard-keys/v2"),
        ("aead", "none"),
        ("salt", "AAAA"),
        ("salt", "***"),
        ("nonce", ""),
        ("sealed", 5),
        ("argon2id", {"rounds": 1}),
        ("argon2id", [64, 1, 1]),
        ("argon2id", {"memory_kib": 2**40, "iterations": 1, "lanes": 1}),
        ("argon2id", {"memory_kib": 64, "iterations": 10**9, "lanes": 1}),
        ("argon2id", {"memory_kib": 64, "iterations": True, "lanes": 1}),
        ("argon2id", {"memory_kib": 64, "iterations": 0, "lanes": 1}),
        ("argon2id", {"memory_kib": 8, "iterations": 1, "lanes": 4}),
        ("argon2id", {"memory_kib": "64", "iterations": 1, "lanes": 1}),
    ],
)
def test_malformed_headers_are_refused_before_any_work(path: Path, field: str, value: Any) -> None:
    document = json.loads(path.read_bytes())
    document[field] = value
    path.write_bytes(json.dumps(document).encode())
    with pytest.raises(StoreMalformed):
        PassphraseKeyStore(path, b"right")


def test_a_lowered_cost_does_not_open(path: Path) -> None:
    document = json.loads(path.read_bytes())
    document["argon2id"]["memory_kib"] = 32
    path.write_bytes(json.dumps(document).encode())
    with pytest.raises(StoreLocked):
        PassphraseKeyStore(path, b"right")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=200), st.from_regex(rb"\{[ -~]{0,80}\}")))
def test_any_bytes_raise_only_declared_errors(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "noise"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyStoreError):
        PassphraseKeyStore(path, b"right")


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_a_file_that_others_may_read_is_refused(path: Path) -> None:
    path.chmod(0o640)
    with pytest.raises(StoreExposed, match="chmod 600"):
        PassphraseKeyStore(path, b"right")


def test_a_huge_file_is_refused(path: Path) -> None:
    path.write_bytes(b" " * (module.FILE_MAX_BYTES + 1))
    with pytest.raises(StoreMalformed, match="larger"):
        PassphraseKeyStore(path, b"right")


def test_a_stale_store_does_not_overwrite_a_newer_file(path: Path) -> None:
    first = PassphraseKeyStore(path, b"right")
    second = PassphraseKeyStore(path, b"right")
    first.generate("from-first", "hmac")
    with pytest.raises(StoreChanged):
        second.generate("from-second", "hmac")
    assert PassphraseKeyStore(path, b"right").names() == ("card", "from-first")
    assert second.names() == ("card",)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failing_disk_changes_nothing(
    path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PassphraseKeyStore(path, b"right")
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os if step == "fsync" else Path, step, fail)
    with pytest.raises(StoreUnwritable, match="No space left"):
        store.generate("new", "hmac")
    with pytest.raises(StoreUnwritable):
        store.change_passphrase(b"new")
    with pytest.raises(StoreUnwritable):
        store.erase("card")
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert store.names() == ("card",)
    assert store.mac("card", b"x") == PassphraseKeyStore(path, b"right").mac("card", b"x")
    assert sorted(p.name for p in path.parent.iterdir()) == ["keys"]
    store.generate("new", "hmac")
    assert PassphraseKeyStore(path, b"right").names() == ("card", "new")


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(StoreUnwritable):
        PassphraseKeyStore(tmp_path, b"right")


def test_a_system_without_posix_modes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no modes to check and cannot flush a folder; the rest is the same."""
    path.chmod(0o644)
    monkeypatch.setattr(os, "name", "nt")
    store = PassphraseKeyStore(path, b"right")
    store.generate("new", "hmac")
    monkeypatch.undo()
    assert PassphraseKeyStore(path, b"right").names() == ("card", "new")
