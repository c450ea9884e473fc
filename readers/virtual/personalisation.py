"""What a virtual UnionPay card is made of: its recipe, its records, its certificates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from readers import tlv
from readers.cards.emv.dates import day_bytes
from readers.virtual.authority import (
    CA_INDEX,
    FAULTLESS,
    Certified,
    Odd,
    SigningKey,
    TestCa,
    icc_certificate,
    issuer_certificate,
    static_signature,
)

DEBIT_AID: Final = bytes.fromhex("A000000333010101")
#: A bank identification number that no bank has.
IDENTIFIER: Final = "629999"
LABEL: Final = b"UNIONPAY TEST"
PDOL: Final = bytes.fromhex("9F66049F02069F03069F1A0295055F2A029A039C019F3704")
DDOL: Final = bytes.fromhex("9F3704")
#: AIP: SDA and DDA, cardholder verification, terminal risk management (EMV Book 3, C1).
AIP: Final = bytes.fromhex("7C00")


@dataclass(frozen=True, slots=True)
class Recipe:
    """One virtual card. The defaults make a genuine one.

    Attributes:
        pan: digits.
        expires: application expiry, tag 5F24.
        issuer_expires: last month of the bank's certificate; default as the card.
        icc_expires: last month of the chip's certificate; default as the card.
        issuer_serial: serial of the bank's certificate.
        identifier: issuer identifier in the bank's certificate.
        certified_pan: another PAN in the chip's certificate.
        authority: signs the bank's certificate instead of the test CA.
        signer: signs challenges instead of the certified chip key.
        odd_issuer: what the bank's certificate gets wrong.
        odd_icc: what the chip's certificate gets wrong.
        odd_signature: what the dynamic signature gets wrong.
        stale_number: signs this instead of the terminal's unpredictable number.
        aip: application interchange profile.
        pdol: what GET PROCESSING OPTIONS must bring.
        ddol: tag 9F49.
        related_version: first byte of tag 9F69.
        signature_in: where a contactless card returns tag 9F4B: options, record or nowhere.
        omit: tags that are left out.
        replace: values put in place after certification: altered data.
        tag_list: tag 9F4A.
        padding_bytes: makes one signed record this much longer.
        format_1: answers GET PROCESSING OPTIONS as tag 80 where the content allows it.
    """

    pan: str = field(repr=False)
    expires: date
    issuer_expires: date | None = None
    icc_expires: date | None = None
    issuer_serial: bytes = b"\x00\x00\x01"
    identifier: str = IDENTIFIER
    certified_pan: str = field(default="", repr=False)
    authority: SigningKey | None = None
    signer: SigningKey | None = None
    odd_issuer: Odd = FAULTLESS
    odd_icc: Odd = FAULTLESS
    odd_signature: Odd = FAULTLESS
    stale_number: bytes = b""
    aip: bytes = AIP
    pdol: bytes = PDOL
    ddol: bytes = DDOL
    related_version: int = 1
    signature_in: str = "record"
    omit: frozenset[int] = frozenset()
    replace: Mapping[int, bytes] = field(default_factory=dict)
    tag_list: bytes = b"\x82"
    padding_bytes: int = 0
    format_1: bool = False


@dataclass(frozen=True, slots=True)
class Personalised:
    """A recipe with its records.

    Attributes:
        locator: tag 94.
        records: record bytes by file and number.
        track2: tag 57.
    """

    locator: bytes
    records: Mapping[tuple[int, int], bytes] = field(repr=False)
    track2: bytes = field(repr=False)


def personalise(recipe: Recipe, world: TestCa, *, contactless: bool) -> Personalised:
    """Certifies the card's data and lays out its records.

    Two records are signed: one in file 2, whose template does not count, and one in file 11,
    whose template does (EMV Book 3, 10.3).
    """
    in_file_2, in_file_11 = _signed_records(recipe)
    static = tlv.find(in_file_2, 0x70) or b""
    static += in_file_11
    if recipe.tag_list:
        static += recipe.aip
    issuer = issuer_certificate(
        recipe.authority or world.ca,
        world.issuer.public,
        identifier=recipe.identifier,
        expires=recipe.issuer_expires or recipe.expires,
        serial=recipe.issuer_serial,
        odd=recipe.odd_issuer,
    )
    icc = icc_certificate(
        world.issuer,
        world.icc.public,
        pan=recipe.certified_pan or recipe.pan,
        expires=recipe.icc_expires or recipe.expires,
        static_data=static,
        odd=recipe.odd_icc,
    )
    track2 = _track2(recipe)
    chip = _chip_records(recipe, icc, static_signature(world.issuer, static), contactless)
    named = {0x8F: bytes((CA_INDEX,)), 0x9F32: issuer.exponent, 0x92: issuer.remainder}
    files: dict[int, Sequence[bytes | Mapping[int, bytes]]] = {
        1: [] if contactless else [{0x57: track2, 0x5F20: LABEL}],
        2: [in_file_2],
        3: [named, {0x90: issuer.certificate}],
        4: chip,
        11: [in_file_11],
    }
    records: dict[tuple[int, int], bytes] = {}
    locator = b""
    for sfi, contents in files.items():
        for number, content in enumerate(contents, start=1):
            records[sfi, number] = (
                content if isinstance(content, bytes) else _record(content, recipe)
            )
        if contents:
            locator += bytes((sfi << 3, 1, len(contents), 1 if sfi in (2, 11) else 0))
    altered = {key: _alter(value, recipe.replace) for key, value in records.items()}
    return Personalised(locator, altered, recipe.replace.get(0x57, track2))


def _signed_records(recipe: Recipe) -> tuple[bytes, bytes]:
    content = {
        0x5F24: day_bytes(recipe.expires),
        0x5A: bytes.fromhex(recipe.pan + "F" * (len(recipe.pan) % 2)),
        0x5F34: b"\x01",
        0x9F07: b"\xff\x00",
        0x9F4A: recipe.tag_list,
        0x9F0B: b"\x20" * recipe.padding_bytes,
    }
    return _record(content, recipe), _record({0x5F28: b"\x01\x56"}, recipe)


def _chip_records(
    recipe: Recipe,
    icc: Certified,
    static: bytes,
    contactless: bool,  # noqa: FBT001
) -> list[dict[int, bytes]]:
    contents = [{0x9F46: icc.certificate}, {0x9F47: icc.exponent, 0x9F48: icc.remainder}]
    if not contactless:
        contents[1][0x9F49] = recipe.ddol
        contents.append({0x93: static})
    return contents


def _record(content: Mapping[int, bytes], recipe: Recipe) -> bytes:
    body = b"".join(
        tlv.encode(tag, value) for tag, value in content.items() if value and tag not in recipe.omit
    )
    return tlv.encode(0x70, body)


def _alter(record: bytes, replace: Mapping[int, bytes]) -> bytes:
    """Puts other values in place of what was certified."""
    body = tlv.find(record, 0x70) or b""
    objects = tlv.parse(body)
    if not any(item.tag in replace for item in objects):
        return record
    return tlv.encode(
        0x70, b"".join(tlv.encode(item.tag, replace.get(item.tag, item.value)) for item in objects)
    )


def _track2(recipe: Recipe) -> bytes:
    digits = recipe.pan + "D" + day_bytes(recipe.expires).hex()[:4] + "22000000000"
    return bytes.fromhex(digits + "F" * (len(digits) % 2))
