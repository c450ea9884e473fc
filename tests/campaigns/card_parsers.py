"""Every parser of what cards, readers, scanners and keyboards send."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.serialization import Encoding

from readers import identity, part10, tlv
from readers.apdu import CommandApdu, split_response
from readers.cards import piv_certificate
from readers.cards.emv import ca_keys, certificates, dates, dol, records
from readers.cards.emv.pan import Pan
from readers.cards.emv.sm_certificates import read_sm_issuer_key
from readers.cards.errors import AuthenticationFailed, CaKeysRefused
from readers.cards.track2 import identify_track2
from readers.errors import CardError, CardRemoved, ProtocolViolation
from readers.lines import LineFramer
from readers.virtual.isodep import IsoDepTarget
from readers.virtual.piv import TestPivAuthority
from readers.virtual.pn532_frames import FrameReader, encode
from readers.wedge import WedgeParser
from tests.campaigns.parser import Parser, text
from tests.campaigns.small_rsa import SmallRsa
from tests.readers.cards import bench, piv_bench, test_sm2
from tests.readers.stack import TestCard

TODAY = date(2014, 5, 30)
PAN = bench.PAN


def _atrs() -> list[bytes]:
    return [
        bytes.fromhex("3B6500002063CB6800"),
        bytes.fromhex("3B8F8001804F0CA000000306030001000000006A"),
        bytes.fromhex("3B8A80010031C173C8400000900090"),
        bytes.fromhex("3F6500002063CB6800"),
    ]


def _fci() -> list[bytes]:
    application = tlv.encode(0x4F, bytes.fromhex("A000000333010101")) + tlv.encode(0x87, b"\x01")
    directory = tlv.encode(0xBF0C, tlv.encode(0x61, application))
    body = tlv.encode(0x84, b"2PAY.SYS.DDF01") + tlv.encode(0xA5, directory)
    return [tlv.encode(0x6F, body), tlv.encode(0x77, tlv.encode(0x9F4B, bytes(128)))]


def _walk(data: bytes) -> None:
    for one in tlv.parse(data):
        if one.constructed:
            one.children()
    tlv.find(data, 0x6F, 0xA5, 0xBF0C, 0x61, 0x87)


def _apdu(data: bytes) -> None:
    CommandApdu.parse(data).to_bytes()


def _emv_records(data: bytes) -> None:
    """Each reader of a card's data has its turn, whatever the one before it said."""
    readers: tuple[Callable[[bytes], object], ...] = (
        records.parse_options,
        records.parse_locator,
        records.parse_record,
        lambda value: records.merge({}, records.parse_record(value)),
        lambda value: dol.fill(value, {0x9F37: bytes(4), 0x9A: bytes(3)}),
        dates.month_end,
        dates.day,
        Pan.from_padded,
        Pan.from_track2,
        split_response,
    )
    for read in readers:
        try:
            read(data)
        except CardError:
            continue


def _emv_record_seeds() -> list[bytes]:
    inner = tlv.encode(0x5A, bytes.fromhex(PAN.ljust(20, "F"))) + tlv.encode(
        0x57, bytes.fromhex((PAN + "D19052201").ljust((len(PAN) + 10) // 2 * 2, "F"))
    )
    record = tlv.encode(0x70, inner + tlv.encode(0x5F24, bytes.fromhex("190531")))
    options = tlv.encode(
        0x77, tlv.encode(0x82, b"\x79\x00") + tlv.encode(0x94, bytes(range(8, 16)))
    )
    short = "8006790008010100 9F37049A03 1219 190531 08010200100101011801030110020201"
    return [record, options, *(bytes.fromhex(value) for value in short.split())]


def _certificate(data: bytes) -> None:
    """The damaged content goes under a real small key, so that all after the block is reached."""
    rsa, pan = _rsa(), Pan(PAN.encode())
    static, content, remainder = data[:40], data[40:82], data[82:]
    if content[:1] != b"\x04":
        block = rsa.sign(content, (remainder, b"\x03"))
        certificates.recover_issuer_key(rsa.public, block, remainder, b"\x03", pan=pan, today=TODAY)
        return
    block = rsa.sign(content, (remainder, b"\x03", static))
    issuer = certificates.IssuerKey(rsa.public, PAN[:6], date(2019, 5, 31), b"123")
    certificates.recover_icc_key(issuer, block, remainder, b"\x03", static, pan=pan, today=TODAY)


@cache
def _rsa() -> SmallRsa:
    return SmallRsa(7)


def _certificate_seeds() -> list[bytes]:
    issuer = bytes.fromhex("02" + PAN[:6] + "FF" + "1219" + "000001" + "01014001")
    icc = bytes.fromhex("04" + PAN.ljust(20, "F") + "1219" + "000001" + "01014001")
    modulus = b"\xc1" + bytes(62) + b"\x01"
    return [bytes(40) + issuer + modulus, bytes(40) + icc + modulus]


def _bundle() -> list[bytes]:
    key = {
        "rid": "A000000333", "index": "0A", "modulus": "C1" + "00" * 126 + "01",
        "exponent": "03", "expires": "2049-12-31", "revoked": False,
    }  # fmt: skip
    document = {
        "format": "redcard-ca-keys/v1", "test": True, "expires_ms": 2_500_000_000_000,
        "keys": [key],
        "revoked_issuers": [{"rid": "A000000333", "index": "0A", "serial": "000001"}],
    }  # fmt: skip
    return [json.dumps(document).encode()]


def _frames() -> list[bytes]:
    ack = b"\x00\x00\xff\x00\xff\x00"
    return [ack + encode(b"\xd5\x03\x32\x01\x06\x07"), encode(bytes(263))]


def _track2s() -> list[bytes]:
    return [f";{PAN}=19052201234567890?".encode(), f";{PAN}=1905220?\r\n".encode()]


def _isodep(data: bytes) -> None:
    """Two blocks, as whoever is in the field may send them."""
    target = IsoDepTarget(TestCard())
    for part in (data[:2], data[2:]):
        target.answer(part)


def _sm2_certificate(data: bytes) -> None:
    vector, ca_key, _ = test_sm2.published()
    pan = Pan(str(vector["pan"]).encode())
    read_sm_issuer_key(ca_key, data, pan=pan, today=date(2020, 12, 31))


def _sm2_seeds() -> list[bytes]:
    return [test_sm2.published()[2]]


def _piv(data: bytes) -> None:
    piv_certificate.read(piv_certificate.unwrap(data))


@cache
def _piv_seeds() -> tuple[bytes, ...]:
    """A card's certificate as it answers GET DATA, plain and packed."""
    with TemporaryDirectory(prefix="fuzz-piv") as folder:
        world = TestPivAuthority.in_folder(Path(folder))
        made = piv_bench.piv_card(world).certificate
    der = made.public_bytes(Encoding.DER)
    return tuple(
        tlv.encode(0x53, tlv.encode(0x70, one) + tlv.encode(0x71, info) + tlv.encode(0xFE, b""))
        for one, info in ((der, b"\x00"), (gzip.compress(der, mtime=0), b"\x01"))
    )


def _features(data: bytes) -> None:
    part10.parse_properties(data)
    part10.parse_features(data)
    part10.sighting("Reader 00 00", data[:4], data)


def _feature_seeds() -> list[bytes]:
    """Features; answers that are no features but properties are judged by what comes first."""
    return [bytes.fromhex("120442330012130442330013"), bytes.fromhex("0A0400000100")]


def _reader_name(line: str) -> None:
    identity.parse_reader_name(line)
    identity.interface_of(line.encode("utf-8", "surrogateescape"), line)


def _reader_names() -> list[bytes]:
    return [
        b"HID Global OMNIKEY 5022 Smart Card Reader [OMNIKEY 5022] (KJ-0.1) 01 00",
        b"ACS ACR122U PICC Interface 0",
    ]


def _wedge(line: str) -> None:
    parser = WedgeParser()
    for number, key in enumerate(line):
        parser.key(key, number * 5)
    parser.key("Enter", len(line) * 5)


CARD_PARSERS: dict[str, Parser] = {
    "atr": Parser(identity.parse_atr, (ProtocolViolation,), _atrs),
    "ats": Parser(
        identity.parse_ats, (ProtocolViolation,), lambda: [bytes.fromhex("0B788074020073C8401300")]
    ),
    "tlv": Parser(_walk, (ProtocolViolation,), _fci),
    "apdu": Parser(
        _apdu,
        (ProtocolViolation,),
        lambda: [bytes.fromhex("00A404000E325041592E5359532E444446303100")],
    ),
    "emv-records": Parser(_emv_records, (CardError,), _emv_record_seeds),
    "emv-certificates": Parser(_certificate, (AuthenticationFailed, CardError), _certificate_seeds),
    "ca-keys": Parser(
        lambda data: ca_keys.load_ca_keys(data, TODAY, allow_test=True), (CaKeysRefused,), _bundle
    ),
    "track2": Parser(text(lambda line: identify_track2(line, bench.named)), (CardError,), _track2s),
    "pn532": Parser(lambda data: FrameReader().feed(data), (), _frames),
    "isodep": Parser(_isodep, (CardRemoved,), lambda: [bytes.fromhex("E0800200A40400")]),
    "sm2-certificates": Parser(_sm2_certificate, (AuthenticationFailed, CardError), _sm2_seeds),
    "piv-certificates": Parser(_piv, (CardError,), _piv_seeds),
    "reader-features": Parser(_features, (ProtocolViolation,), _feature_seeds),
    "reader-names": Parser(text(_reader_name), (), _reader_names),
    "lines": Parser(lambda data: list(LineFramer().feed(data)), (), _track2s),
    "wedge": Parser(text(_wedge), (), _track2s),
}
