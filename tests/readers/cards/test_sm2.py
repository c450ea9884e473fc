"""SM2 and SM3: the standards' examples, openssl's signatures, and cards signed by openssl."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers import tlv
from readers.apdu import CommandApdu
from readers.cards import sm2
from readers.cards.emv import Pan, Sm2Key, SmIssuerKey, load_ca_keys, read_sm_issuer_key
from readers.cards.errors import AuthenticationFailed, CaKeysRefused, Failure
from readers.cards.scheme import CardAssurance
from readers.cards.unionpay import UnionPay
from readers.connection import Interface
from tests.readers.cards.bench import PAN, TODAY, Wire, context, named
from tests.readers.cards.openssl import Openssl

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "sm2.json").read_text())
FAILURE = Failure.ISSUER_CERTIFICATE
EXAMPLE = VECTORS["signatures"][0]


def raw(value: Any) -> bytes:
    return bytes.fromhex("".join(value) if isinstance(value, list) else value)


KEY, MESSAGE, SIGNATURE = (raw(EXAMPLE[name]) for name in ("public_key", "message", "signature"))


@pytest.mark.parametrize("vector", VECTORS["hashes"], ids=lambda v: v["source"])
def test_sm3(vector: dict[str, str]) -> None:
    assert sm2.sm3(raw(vector["data"])) == raw(vector["digest"])


def test_the_standards_example() -> None:
    sm2.verify(KEY, MESSAGE, SIGNATURE, FAILURE, identity=raw(EXAMPLE["identity"]))
    sm2.verify(KEY, MESSAGE, SIGNATURE, FAILURE)


@given(at=st.integers(0, 63), bit=st.integers(0, 7))
def test_every_bit_of_key_and_signature_counts(at: int, bit: int) -> None:
    for change_key in (True, False):
        changed = bytearray(KEY if change_key else SIGNATURE)
        changed[at] ^= 1 << bit
        key, signature = (changed, SIGNATURE) if change_key else (KEY, changed)
        with pytest.raises(AuthenticationFailed):
            sm2.verify(bytes(key), MESSAGE, bytes(signature), FAILURE)


@given(st.binary(max_size=40))
def test_every_other_message_and_identity(data: bytes) -> None:
    with pytest.raises(AuthenticationFailed):
        sm2.verify(KEY, data + b"\x00", SIGNATURE, FAILURE)
    if data != sm2.DEFAULT_IDENTITY:
        with pytest.raises(AuthenticationFailed):
            sm2.verify(KEY, MESSAGE, SIGNATURE, FAILURE, identity=data)


ORDER = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
EDGES = [0, 1, 2, ORDER - 1, ORDER, ORDER + 1, 2**256 - 1]


@pytest.mark.parametrize("r", EDGES)
@pytest.mark.parametrize("s", EDGES)
def test_edges_of_the_range(r: int, s: int) -> None:
    inside = 1 <= r < ORDER and 1 <= s < ORDER and (r + s) % ORDER
    with pytest.raises(AuthenticationFailed, match="not hold" if inside else "out of range"):
        sm2.verify(KEY, MESSAGE, r.to_bytes(32) + s.to_bytes(32), FAILURE)


@given(key=st.binary(max_size=70), signature=st.binary(max_size=70))
def test_anything_at_all(key: bytes, signature: bytes) -> None:
    assert not sm2.on_curve(key)
    for public, signed in ((key, SIGNATURE), (KEY, signature)):
        with pytest.raises(AuthenticationFailed):
            sm2.verify(public, MESSAGE, signed, FAILURE)


def test_coordinates_beyond_the_field() -> None:
    prime = (1 << 256) - (1 << 224) - (1 << 96) + (1 << 64) - 1
    refused = 0
    for x in range(20):
        square = (x**3 - 3 * x + sm2._B) % prime
        y = pow(square, (prime + 1) // 4, prime)
        if y * y % prime == square:
            assert sm2.on_curve(x.to_bytes(32) + y.to_bytes(32))
            beyond = (x + prime).to_bytes(32) + y.to_bytes(32)
            assert not sm2.on_curve(beyond)
            with pytest.raises(AuthenticationFailed, match="no point"):
                sm2.verify(beyond, MESSAGE, SIGNATURE, FAILURE)
            refused += 1
    assert refused > 3


def made_by(private: int, secret: int) -> tuple[bytes, bytes]:
    """A key and its signature of MESSAGE, by the formulas of GB/T 32918.2, 6.1."""

    def point(factor: int) -> tuple[int, int]:
        x, y, z = sm2._sum_of_products(factor, sm2._BASE, 0, sm2._BASE)
        inverse = pow(z, -1, sm2._P)
        return x * inverse**2 % sm2._P, y * inverse**3 % sm2._P

    key = b"".join(value.to_bytes(32) for value in point(private))
    digest = int.from_bytes(sm2.sm3(sm2._prefix(key, sm2.DEFAULT_IDENTITY) + MESSAGE))
    r = (digest + point(secret)[0]) % ORDER
    s = pow(1 + private, -1, ORDER) * (secret - r * private) % ORDER
    return key, r.to_bytes(32) + s.to_bytes(32)


@pytest.mark.parametrize("private", [1, 2, 3, ORDER - 2])
def test_keys_next_to_the_base_point(private: int) -> None:
    """Where adding meets equal and opposite points."""
    key, signature = made_by(private, 0x1234567)
    sm2.verify(key, MESSAGE, signature, FAILURE)
    with pytest.raises(AuthenticationFailed):
        sm2.verify(key, MESSAGE + b"x", signature, FAILURE)


def test_the_opposite_of_the_base_point_signs_nothing() -> None:
    """For this key s * G + t * P can be the point at infinity."""
    negative = (sm2._P - sm2._GY).to_bytes(32)
    key = sm2._GX.to_bytes(32) + negative
    assert sm2.on_curve(key)
    for r in (0, 1, 5):
        with pytest.raises(AuthenticationFailed):
            sm2.verify(key, MESSAGE, r.to_bytes(32) + (7).to_bytes(32), FAILURE)
    assert sm2._sum_of_products(7, sm2._BASE, 7, (sm2._GX, sm2._P - sm2._GY, 1))[2] == 0
    assert sm2._affine_x(sm2._INFINITY) is None
    assert sm2._double(sm2._INFINITY)[2] == 0


def test_an_identity_that_is_too_long() -> None:
    with pytest.raises(ValueError, match="8191"):
        sm2.verify(KEY, MESSAGE, SIGNATURE, FAILURE, identity=bytes(8192))


@pytest.mark.parametrize("message", [b"", b"a", bytes(1000)])
@pytest.mark.parametrize("identity", ["1234567812345678", "someone else"])
def test_what_openssl_signs(tool: Openssl, message: bytes, identity: str) -> None:
    assert tool.sm3(message) == sm2.sm3(message)
    key = tool.sm2_key("signer")
    signature = tool.sm2_sign("signer", message, identity)
    sm2.verify(key, message, signature, FAILURE, identity=identity.encode())
    with pytest.raises(AuthenticationFailed):
        sm2.verify(key, message + b"\x00", signature, FAILURE, identity=identity.encode())


def published() -> tuple[dict[str, Any], Sm2Key, bytes]:
    (vector,) = VECTORS["issuer_certificates"]
    return vector, Sm2Key(raw(vector["ca_point"])), raw(vector["certificate"])


def test_a_published_issuer_certificate() -> None:
    vector, ca_key, certificate = published()
    issuer = read_sm_issuer_key(
        ca_key, certificate, pan=Pan(vector["pan"].encode()), today=date(2020, 12, 31)
    )
    assert issuer.identifier == vector["identifier"]
    assert issuer.expires == date.fromisoformat(vector["expires"])
    assert issuer.serial == raw(vector["serial"])


@given(at=st.integers(0, 141), bit=st.integers(0, 7))
def test_every_bit_of_a_certificate_counts(at: int, bit: int) -> None:
    vector, ca_key, certificate = published()
    changed = bytearray(certificate)
    changed[at] ^= 1 << bit
    with pytest.raises(AuthenticationFailed):
        read_sm_issuer_key(
            ca_key, bytes(changed), pan=Pan(vector["pan"].encode()), today=date(2020, 1, 1)
        )


def test_a_certificate_of_another_length() -> None:
    vector, ca_key, certificate = published()
    pan = Pan(vector["pan"].encode())
    for changed in (certificate[:-1], certificate + b"\x00", b"\x12", b""):
        with pytest.raises(AuthenticationFailed, match="instead of 142"):
            read_sm_issuer_key(ca_key, changed, pan=pan, today=date(2020, 1, 1))


def test_whose_certificate_and_until_when() -> None:
    vector, ca_key, certificate = published()
    pan = Pan(vector["pan"].encode())
    for given_pan, today, failure in (
        (Pan(b"6228000200001117"), date(2020, 1, 1), Failure.ISSUER_IDENTIFIER),
        (pan, date(2021, 1, 1), Failure.ISSUER_EXPIRED),
    ):
        with pytest.raises(AuthenticationFailed) as raised:
            read_sm_issuer_key(ca_key, certificate, pan=given_pan, today=today)
        assert raised.value.failure is failure


Change = Callable[[dict[str, Any]], None]


class SmCard:
    """A contact card under SM2, signed by openssl; ``change`` edits what it is made of."""

    interface = Interface.CONTACT

    def __init__(self, tool: Openssl, change: Change | None = None) -> None:
        self._tool = tool
        self.ca, issuer, icc = (tool.sm2_key(name) for name in ("ca", "issuer", "icc"))
        made: dict[str, Any] = {
            "issuer": bytes.fromhex("12 629999FF 1219 000007 04001140") + issuer,
            "icc": bytes.fromhex(f"14 {PAN}FFFF 1219 000009 04001140") + icc,
            "static": bytes.fromhex(f"5F2403191231 5A08{PAN}"),
            "signer": "icc",
            "form": 0x15,
            "length": 5,
            "number": b"",
            "static_signed": None,
            "sda": b"",
        }
        if change is not None:
            change(made)
        self.made = made
        static = made["static"] if made["static_signed"] is None else made["static_signed"]
        certificate = made["issuer"] + tool.sm2_sign("ca", made["issuer"])
        icc_certificate = made["icc"] + tool.sm2_sign("issuer", made["icc"] + static)
        self.records = [
            made["static"],
            tlv.encode(0x8F, b"\x57") + tlv.encode(0x90, certificate),
            tlv.encode(0x9F46, icc_certificate) + made["sda"],
        ]

    def process(self, command: bytes) -> bytes:
        apdu = CommandApdu.parse(command)
        if apdu.ins == 0xA4:
            return tlv.encode(0x6F, tlv.encode(0x84, apdu.data + b"\x01\x01\x01")) + b"\x90\x00"
        if apdu.ins == 0xA8:
            aip = b"\x40\x00" if self.made["sda"] else b"\x60\x00"
            return tlv.encode(0x80, aip + bytes.fromhex("0801030108010301")[:4]) + b"\x90\x00"
        if apdu.ins == 0xB2:
            return tlv.encode(0x70, self.records[apdu.p1 - 1]) + b"\x90\x00"
        assert apdu.ins == 0x88
        content = bytes((self.made["form"], self.made["length"])) + b"\x04\xaa\xbb\xcc\xdd"
        signed = content + (self.made["number"] or apdu.data)
        signature = content + self._tool.sm2_sign(self.made["signer"], signed)
        return tlv.encode(0x80, signature) + b"\x90\x00"


def bundle(key: bytes, **changes: Any) -> bytes:
    entry = {"rid": "A000000333", "index": "57", "algorithm": "sm2", "point": key.hex()}
    document = {
        "format": "redcard-ca-keys/v1",
        "test": True,
        "expires_ms": 2_000_000_000_000,
        "keys": [{**entry, **changes}],
        "revoked_issuers": [],
    }
    return json.dumps(document).encode()


def scheme(card: SmCard) -> UnionPay:
    return UnionPay(load_ca_keys(bundle(card.ca), TODAY, allow_test=True))


def test_a_whole_card_signed_by_openssl(tool: Openssl) -> None:
    card = SmCard(tool)
    answer = scheme(card).authenticate(Wire(card), context())
    assert answer.card == named("unionpay", PAN.encode())
    assert (answer.assurance, answer.method) == (CardAssurance.AUTHENTICATED, "dda")
    assert answer.expires == date(2019, 12, 31)


def put(**changes: Any) -> Change:
    return lambda made: made.update(changes)


@pytest.mark.parametrize(
    ("change", "failure"),
    [
        (put(signer="issuer"), Failure.DYNAMIC_SIGNATURE_HASH),
        (put(number=b"old!"), Failure.DYNAMIC_SIGNATURE_HASH),
        (put(form=0x05), Failure.DYNAMIC_SIGNATURE),
        (put(length=6), Failure.DYNAMIC_SIGNATURE),
        (put(length=4), Failure.DYNAMIC_SIGNATURE),
        (put(static_signed=b"other"), Failure.ICC_CERTIFICATE),
        (put(sda=tlv.encode(0x50, b"A")), Failure.MISSING_DATA),
        (put(sda=tlv.encode(0x93, bytes(67))), Failure.STATIC_SIGNATURE),
        (lambda m: m.update(icc=m["icc"][:11] + b"\x04\x14" + m["icc"][13:]), Failure.ICC_EXPIRED),
        (lambda m: m.update(icc=m["icc"][:2] + b"\x00" + m["icc"][3:]), Failure.PAN_MISMATCH),
        (lambda m: m.update(icc=b"\x04" + m["icc"][1:]), Failure.ICC_CERTIFICATE),
        (lambda m: m.update(icc=m["icc"][:-1] + b"\x00\x00"), Failure.ICC_CERTIFICATE),
        (lambda m: m.update(icc=m["icc"][:-64] + bytes(64)), Failure.ICC_CERTIFICATE),
        (lambda m: m.update(issuer=b"\x02" + m["issuer"][1:]), Failure.ISSUER_CERTIFICATE),
        (
            lambda m: m.update(issuer=m["issuer"][:10] + b"\x01" + m["issuer"][11:]),
            Failure.ISSUER_CERTIFICATE,
        ),
    ],
)
def test_false_cards(tool: Openssl, change: Change, failure: Failure) -> None:
    card = SmCard(tool, change)
    with pytest.raises(AuthenticationFailed) as raised:
        scheme(card).authenticate(Wire(card), context())
    assert raised.value.failure is failure


def test_a_withdrawn_bank(tool: Openssl) -> None:
    card = SmCard(tool)
    document = json.loads(bundle(card.ca))
    document["revoked_issuers"] = [{"rid": "A000000333", "index": "57", "serial": "000007"}]
    keys = load_ca_keys(json.dumps(document).encode(), TODAY, allow_test=True)
    with pytest.raises(AuthenticationFailed) as raised:
        UnionPay(keys).authenticate(Wire(card), context())
    assert raised.value.failure is Failure.ISSUER_REVOKED


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"point": KEY[:63].hex()}, "point"),
        ({"point": bytes(64).hex()}, "curve"),
        ({"algorithm": "ecdsa"}, "algorithm"),
        ({"modulus": "FF"}, "unknown"),
    ],
)
def test_sm2_keys_of_a_bundle(changes: dict[str, str], said: str) -> None:
    with pytest.raises(CaKeysRefused, match=said):
        load_ca_keys(bundle(KEY, **changes), TODAY, allow_test=True)
    assert load_ca_keys(bundle(KEY), TODAY, allow_test=True).keys
    assert SmIssuerKey(Sm2Key(KEY), "", TODAY, b"").key.point == KEY
