"""The container and the certificate: every damage is one declared error, in bounded time."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from readers import tlv
from readers.apdu import split_response
from readers.cards import piv_certificate
from readers.cards.piv_certificate import CERTIFICATE_BYTES_MAX, read, unwrap
from readers.cards.scheme import CardAssurance
from readers.connection import Interface
from readers.errors import CardError, CardNotSupported, CardUnreadable
from readers.virtual.piv import TestPivAuthority, VirtualPivCard
from tests.readers.cards.bench import named
from tests.readers.cards.piv_bench import KINDS, piv_card, piv_tap
from tests.readers.cards.test_fuzz import Change, changes


def der(world: TestPivAuthority) -> bytes:
    return piv_card(world).certificate.public_bytes(Encoding.DER)


def container(
    certificate: bytes, info: bytes = b"\x71\x01\x00", rest: bytes = b"\xfe\x00"
) -> bytes:
    return tlv.encode(0x53, tlv.encode(0x70, certificate) + info + rest)


def test_what_a_container_may_look_like(piv_world: TestPivAuthority) -> None:
    plain = der(piv_world)
    packed = gzip.compress(plain)
    for answer in (
        container(plain),
        container(plain, info=b"", rest=b""),
        container(plain, rest=b"\x72\x02id\xfe\x00"),
        container(packed, info=b"\x71\x01\x01"),
    ):
        assert unwrap(answer) == plain


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda plain: b"",
    "no container": lambda plain: tlv.encode(0x70, plain),
    "another container": lambda plain: tlv.encode(0x54, tlv.encode(0x70, plain)),
    "two containers": lambda plain: container(plain) * 2,
    "no certificate": lambda plain: tlv.encode(0x53, b"\x71\x01\x00"),
    "two certificates": lambda plain: tlv.encode(0x53, tlv.encode(0x70, plain) * 2),
    "two infos": lambda plain: container(plain, info=b"\x71\x01\x00\x71\x01\x01"),
    "an info of no bytes": lambda plain: container(plain, info=b"\x71\x00"),
    "an info of two bytes": lambda plain: container(plain, info=b"\x71\x02\x00\x00"),
    "an older packing": lambda plain: container(gzip.compress(plain), info=b"\x71\x01\x80"),
    "no x509": lambda plain: container(plain, info=b"\x71\x01\x04"),
    "a length that promises too much": lambda plain: b"\x53\x82\x7f\xff\x70\x82\x7f\xfe0",
    "cut off": lambda plain: container(plain)[:-40],
    "said to be packed": lambda plain: container(plain, info=b"\x71\x01\x01"),
    "packed and cut off": lambda plain: container(gzip.compress(plain)[:-9], info=b"\x71\x01\x01"),
    "packed and followed": lambda plain: container(
        gzip.compress(plain) + b"x", info=b"\x71\x01\x01"
    ),
    "packed by zlib": lambda plain: container(zlib.compress(plain), info=b"\x71\x01\x01"),
    "too large": lambda plain: container(bytes(CERTIFICATE_BYTES_MAX + 1)),
    "a bomb": lambda plain: container(gzip.compress(bytes(30_000_000)), info=b"\x71\x01\x01"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_containers_that_are_none(piv_world: TestPivAuthority, damage: str) -> None:
    with pytest.raises(CardUnreadable):
        unwrap(DAMAGES[damage](der(piv_world)))


def test_a_bomb_is_never_unpacked_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    original = zlib.decompressobj

    class Counting:
        def __init__(self, window: int) -> None:
            self.inner = original(window)

        def decompress(self, data: bytes, most: int) -> bytes:
            asked.append(most)
            return self.inner.decompress(data, most)

    monkeypatch.setattr(piv_certificate.zlib, "decompressobj", Counting)  # type: ignore[attr-defined]
    with pytest.raises(CardUnreadable, match="more than 4096"):
        unwrap(container(gzip.compress(bytes(30_000_000)), info=b"\x71\x01\x01"))
    assert asked == [CERTIFICATE_BYTES_MAX + 1]


@pytest.mark.parametrize("cut", [0, 1, 10, 100, 300, -100, -1])
def test_truncated_certificates(piv_world: TestPivAuthority, cut: int) -> None:
    with pytest.raises(CardUnreadable):
        read(der(piv_world)[:cut])
    short = der(piv_world)[:cut] or b"\x30"
    with pytest.raises(CardUnreadable):
        piv_tap(piv_card(piv_world, container=container(short)), piv_world)


def test_a_certificate_with_something_after_it(piv_world: TestPivAuthority) -> None:
    with pytest.raises(CardUnreadable):
        read(der(piv_world) + b"\x00")


@pytest.mark.filterwarnings("ignore")  # the parser warns where we refuse
@pytest.mark.parametrize(
    ("old", "new"),
    [("0202 03e9", "0202 83e9"), ("0202 03e9", "0202 0000"), ("a003020102", "a003020101")],
)
def test_numbers_and_versions_that_no_certificate_has(
    piv_world: TestPivAuthority, old: str, new: str
) -> None:
    changed = der(piv_world).replace(bytes.fromhex(old), bytes.fromhex(new), 1)
    with pytest.raises(CardUnreadable):
        read(changed)


def test_a_signature_with_padding_bits_is_another_certificate(piv_world: TestPivAuthority) -> None:
    plain = der(piv_world)
    at = len(plain) - len(read(plain).x509.signature) - 1
    for padding in range(1, 256):
        changed = bytearray(plain)
        changed[at] = padding
        with pytest.raises(CardUnreadable):
            read(bytes(changed))


def test_the_key_shows_nothing_of_the_card(piv_world: TestPivAuthority) -> None:
    shown = read(der(piv_world))
    assert shown.identifier.hex() not in repr(shown)
    assert "TEST" not in repr(shown)


@settings(max_examples=400)
@given(at=st.integers(0, 2_000), value=st.integers(1, 255), cut=st.integers(0, 2_000))
def test_certificates_with_a_byte_changed(
    piv_world: TestPivAuthority, at: int, value: int, cut: int
) -> None:
    """Parsed or refused; a changed certificate is never believed."""
    changed = bytearray(der_once(piv_world))
    changed[at % len(changed)] ^= value
    for data in (bytes(changed), bytes(changed[:cut])):
        with pytest.raises(CardError):
            piv_tap(piv_card(piv_world, container=container(data)), piv_world)


@settings(max_examples=300)
@given(data=st.binary(max_size=200))
def test_containers_of_noise(data: bytes) -> None:
    for parse in (unwrap, read):
        with pytest.raises((CardUnreadable, CardNotSupported)):
            parse(data)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150)
@given(at=st.integers(1, 8), change=changes())
def test_one_answer_changed(
    piv_world: TestPivAuthority, kind: str, at: int, change: Change
) -> None:
    inner = card_once(piv_world, kind)
    inner.power_off()

    class Tampered:
        interface = Interface.CONTACTLESS
        count = 0

        def process(self, command: bytes) -> bytes:
            self.count += 1
            answer = inner.process(command)
            return change(answer) if self.count == at else answer

    try:
        answer = piv_tap(Tampered(), piv_world)
    except CardError:
        return
    assert answer.assurance is CardAssurance.AUTHENTICATED
    assert answer.card == named(
        "piv", read(inner.certificate.public_bytes(Encoding.DER)).identifier
    )


def test_the_virtual_card_is_strict(piv_world: TestPivAuthority) -> None:
    virtual = piv_card(piv_world)

    def ask(text: str) -> str:
        data, sw = split_response(virtual.process(bytes.fromhex(text)))
        return f"{sw:04X}" if not data else "data"

    assert ask("00CB3FFF055C035FC10100") == "6D00"  # nothing is selected
    for name in ("A000000151000000", "A0000003", "A00000030800001000010000", "A000000333010101"):
        assert ask(f"00A40400{len(name) // 2:02X}{name}00") == "6A82"
    assert ask("00A4000005A00000030800") == "6A86"
    assert ask("00A4040009A0000003080000100000") == "data"
    assert ask("80CB3FFF055C035FC10100") == "6E00"
    assert ask("00CB0000055C035FC10100") == "6A86"
    assert ask("00CB3FFF055D035FC10100") == "6A80"
    assert ask("00CB3FFF055C045FC10100") == "6A80"
    assert ask("00CB3FFF055C035FC10500") == "6A82"
    assert ask("00CB3FFF035C017E00") == "data"
    assert ask("00CB3FFF0511") == "6700"
    assert ask("00200080") == "6A88"
    assert ask("00FD000000") == "6D00"
    digest = "2482008120" + "11" * 32
    assert ask(f"0087119E267C{digest}00") == "data"
    assert ask(f"0087119A267C{digest}00") == "6A88"
    assert ask(f"0087079E267C{digest}00") == "6A86"
    assert ask(f"0087119E267D{digest}00") == "6A80"
    assert ask("0087119E257C2382008120" + "11" * 31 + "00") == "6A80"
    assert ask("0087119E257C238200811F" + "11" * 31 + "00") == "6A80"
    assert ask("00C0000000") == "6985"
    assert ask("1087119E0411223344") == "9000"
    assert ask("00CB3FFF055C035FC10100") == "6883"
    assert ask("1087119EFF" + "11" * 255) == "9000"
    for _ in range(15):
        assert ask("1087119EFF" + "11" * 255) == "9000"
    assert ask("1087119EFF" + "11" * 255) == "6700"
    virtual.power_off()
    assert ask("00CB3FFF035C017E00") == "6D00"


def test_answers_come_in_parts(piv_world: TestPivAuthority) -> None:
    virtual = piv_card(piv_world)
    virtual.process(bytes.fromhex("00A4040009A0000003080000100000"))
    answer = virtual.process(bytes.fromhex("00CB3FFF055C035FC10100"))
    parts = [answer[:-2]]
    while answer[-2] == 0x61:
        left = answer[-1] or 256
        answer = virtual.process(bytes((0, 0xC0, 0, 0, left % 256)))
        parts.append(answer[:-2])
    assert len(parts) > 1
    assert unwrap(b"".join(parts)) == virtual.certificate.public_bytes(Encoding.DER)
    assert answer[-2:] == b"\x90\x00"


_DER: dict[int, bytes] = {}
_CARDS: dict[tuple[int, str], VirtualPivCard] = {}


def der_once(world: TestPivAuthority) -> bytes:
    if id(world) not in _DER:
        _DER[id(world)] = der(world)
    return _DER[id(world)]


def card_once(world: TestPivAuthority, kind: str) -> VirtualPivCard:
    if (id(world), kind) not in _CARDS:
        _CARDS[id(world), kind] = piv_card(world, kind=kind)
    return _CARDS[id(world), kind]
