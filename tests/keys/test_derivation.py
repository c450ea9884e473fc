from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given
from hypothesis import strategies as st

from keys.derivation import card_hash, diversify_aes128
from keys.errors import SecretInvalid
from keys.keystore import MemoryKeyStore

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "an10922.json").read_text())
KEY = bytes(range(32))


def mac(data: bytes) -> bytes:
    return hmac.digest(KEY, data, "sha256")


def test_card_hash_is_the_contract_written_out() -> None:
    message = b"unionpay\x006221260000000000018"
    tag = hmac.new(KEY, message, hashlib.sha256).digest()[:16]
    expected = base64.b32encode(tag).decode().lower()[:26]
    assert card_hash(mac, "unionpay", b"6221260000000000018") == expected


def test_card_hash_is_pinned_for_ever() -> None:
    """Rosters in the field hold these; a change of any bit loses every card."""
    assert card_hash(mac, "unionpay", b"6221260000000000018") == "qmixisz33wehgjulodfg76lvde"
    assert card_hash(mac, "uid", bytes.fromhex("04782e21801d80")) == "z2poyehjesjv7ypqhuwwtg6ury"


def test_card_hash_works_on_a_key_store() -> None:
    store = MemoryKeyStore()
    store.import_secret("card", "hmac", KEY)
    by_store = card_hash(lambda data: store.mac("card", data), "unionpay", b"62")
    assert by_store == card_hash(mac, "unionpay", b"62")


@given(
    first=st.tuples(st.from_regex(r"[a-z0-9_]{1,32}", fullmatch=True), st.binary(min_size=1)),
    second=st.tuples(st.from_regex(r"[a-z0-9_]{1,32}", fullmatch=True), st.binary(min_size=1)),
)
def test_different_cards_have_different_hashes(
    first: tuple[str, bytes], second: tuple[str, bytes]
) -> None:
    hashes = card_hash(mac, *first), card_hash(mac, *second)
    assert (hashes[0] == hashes[1]) == (first == second)
    assert set(hashes[0]) <= set("abcdefghijklmnopqrstuvwxyz234567")
    assert len(hashes[0]) == 26


@pytest.mark.parametrize("scheme", ["", "Unionpay", "union\x00pay", "银联", "a" * 33, "uid\n"])
def test_scheme_names(scheme: str) -> None:
    with pytest.raises(SecretInvalid):
        card_hash(mac, scheme, b"1")


def test_identifier_lengths_and_its_silence() -> None:
    with pytest.raises(SecretInvalid):
        card_hash(mac, "uid", b"")
    with pytest.raises(SecretInvalid) as raised:
        card_hash(mac, "uid", b"6221" * 100)
    assert "6221" not in str(raised.value)
    with pytest.raises(SecretInvalid):
        card_hash(lambda _: b"short", "uid", b"1")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["source"][:11])
def test_published_diversifications(vector: dict[str, Any]) -> None:
    master = bytes.fromhex(vector["master_key"])
    diversification = bytes.fromhex(vector["diversification"])
    derived = diversify_aes128(master, diversification)
    assert derived == bytes.fromhex(vector["derived_key"])
    assert (derived == plain_cmac(master, diversification)) == vector["equals_plain_cmac"]


@given(master=st.binary(min_size=16, max_size=16), m=st.binary(min_size=1, max_size=31))
def test_from_sixteen_bytes_on_it_is_plain_cmac(master: bytes, m: bytes) -> None:
    assert (diversify_aes128(master, m) == plain_cmac(master, m)) == (len(m) >= 16)


def plain_cmac(key: bytes, m: bytes) -> bytes:
    cmac = CMAC(algorithms.AES(key))
    cmac.update(b"\x01" + m)
    return cmac.finalize()


@pytest.mark.parametrize(("key", "m"), [(15, 16), (16, 0), (16, 32), (32, 16)])
def test_wrong_lengths(key: int, m: int) -> None:
    with pytest.raises(SecretInvalid):
        diversify_aes128(bytes(key), bytes(m))


def test_an_input_of_thirty_one_bytes_needs_no_padding() -> None:
    """The other subkey: two whole blocks (AN10922, 2.2, and SP 800-38B, 6.2)."""
    assert diversify_aes128(bytes(16), bytes(31)) == plain_cmac(bytes(16), bytes(31))
    other = bytes(30) + b"\x80"
    assert diversify_aes128(bytes(16), other) != diversify_aes128(bytes(16), bytes(30))
