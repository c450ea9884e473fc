"""From the CA's key to the issuer's, from the issuer's to the card's (EMV Book 2, 5.3, 6.3, 6.4).

Pure. Nothing here is UnionPay's: any RID's published chain can be given to it. ``docs/cards.md``
shows how.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Final

from readers.cards.emv import dates
from readers.cards.emv.pan import Pan
from readers.cards.emv.rsa import (
    EXPONENTS,
    HASH_ALGORITHM_SHA1,
    KEY_ALGORITHM_RSA,
    MODULUS_BYTES_MAX,
    MODULUS_BYTES_MIN,
    Recovered,
    RsaKey,
    recover,
)
from readers.cards.errors import AuthenticationFailed, Failure
from readers.errors import CardUnreadable

ISSUER_FORMAT: Final = 0x02
ICC_FORMAT: Final = 0x04
#: Bytes of a certificate that are not the key: EMV Book 2, tables 6 and 14.
ISSUER_OVERHEAD_BYTES: Final = 36
ICC_OVERHEAD_BYTES: Final = 42
_ISSUER_FIELDS_BYTES: Final = 14
_ICC_FIELDS_BYTES: Final = 20
_EXPONENT_BYTES_MAX: Final = 3
#: Above this no card can deliver the records that were signed.
STATIC_DATA_BYTES_MAX: Final = 65_536


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """The bank's key, certified by the CA.

    Attributes:
        key: the public key.
        identifier: leftmost 3 to 8 digits of the PANs that this issuer issues.
        expires: last day of the certificate.
        serial: 3 bytes, for revocation.
    """

    key: RsaKey
    identifier: str
    expires: date
    serial: bytes


@dataclass(frozen=True, slots=True)
class IccKey:
    """The card's key, certified by the issuer.

    Attributes:
        key: the public key.
        expires: last day of the certificate.
        serial: 3 bytes.
    """

    key: RsaKey
    expires: date
    serial: bytes


@dataclass(frozen=True, slots=True)
class Certificate:
    """What stands in a certificate before its hash is checked; nothing to rely on.

    Attributes:
        recovered: the signed content and its hash.
        subject: issuer identifier (4 bytes) or PAN (10 bytes), padded with F.
        expiry: MMYY.
        serial: 3 bytes.
        modulus_size: bytes of the certified key's modulus.
        exponent_size: bytes of its exponent.
        leftmost: the part of the modulus that stands in the certificate, or all of it.
    """

    recovered: Recovered = field(repr=False)
    subject: bytes = field(repr=False)
    expiry: bytes
    serial: bytes
    modulus_size: int
    exponent_size: int
    leftmost: bytes


def read_issuer_certificate(ca_key: RsaKey, certificate: bytes) -> Certificate:
    """Opens tag 90 and checks its form, not its hash (EMV Book 2, 5.3, steps 1 to 4, 10, 11).

    Raises:
        AuthenticationFailed: wrong length, header, trailer, format or algorithm.
    """
    recovered = recover(ca_key, certificate, ISSUER_FORMAT, Failure.ISSUER_CERTIFICATE)
    return _fields(recovered, 4, ca_key.size - ISSUER_OVERHEAD_BYTES, Failure.ISSUER_CERTIFICATE)


def read_icc_certificate(issuer_key: RsaKey, certificate: bytes) -> Certificate:
    """Opens tag 9F46 and checks its form, not its hash (EMV Book 2, 6.4, steps 1 to 4, 10).

    Raises:
        AuthenticationFailed: wrong length, header, trailer, format or algorithm.
    """
    recovered = recover(issuer_key, certificate, ICC_FORMAT, Failure.ICC_CERTIFICATE)
    return _fields(recovered, 10, issuer_key.size - ICC_OVERHEAD_BYTES, Failure.ICC_CERTIFICATE)


def recover_issuer_key(
    ca_key: RsaKey,
    certificate: bytes,
    remainder: bytes,
    exponent: bytes,
    *,
    pan: Pan,
    today: date,
) -> IssuerKey:
    """Recovers and checks the issuer's public key (EMV Book 2, 5.3).

    Revocation needs the whole CA key set and is checked by ``CaBundleKeys.check_issuer``.

    Args:
        ca_key: the CA's public key that tag 8F names.
        certificate: tag 90.
        remainder: tag 92, empty if the card has none.
        exponent: tag 9F32.
        pan: the card's account number, whose first digits must be the issuer's.
        today: the day on which the certificate must be valid.

    Raises:
        AuthenticationFailed: any check fails.
        CardUnreadable: the certificate's date is none.
    """
    read = read_issuer_certificate(ca_key, certificate)
    key = _assemble(
        read, ca_key.size - ISSUER_OVERHEAD_BYTES, remainder, exponent, Failure.ISSUER_CERTIFICATE
    )
    if not read.recovered.holds(remainder, exponent):
        raise AuthenticationFailed(
            Failure.ISSUER_CERTIFICATE_HASH, "the issuer's key is not what the CA signed"
        )
    identifier = issuer_identifier(read.subject)
    if not pan.starts_with(identifier):
        raise AuthenticationFailed(
            Failure.ISSUER_IDENTIFIER, "the certificate belongs to another bank's cards"
        )
    expires = dates.month_end(read.expiry)
    if today > expires:
        raise AuthenticationFailed(
            Failure.ISSUER_EXPIRED, f"the bank's certificate ended on {expires}"
        )
    return IssuerKey(key, identifier, expires, read.serial)


def recover_icc_key(
    issuer: IssuerKey,
    certificate: bytes,
    remainder: bytes,
    exponent: bytes,
    static_data: bytes,
    *,
    pan: Pan,
    today: date,
) -> IccKey:
    """Recovers and checks the card's public key and the static data with it (EMV Book 2, 6.4).

    Args:
        issuer: from ``recover_issuer_key``.
        certificate: tag 9F46.
        remainder: tag 9F48, empty if the card has none.
        exponent: tag 9F47.
        static_data: the static data to be authenticated, from ``records.static_data``.
        pan: the card's account number, which must stand in the certificate.
        today: the day on which the certificate must be valid.

    Raises:
        AuthenticationFailed: any check fails.
        CardUnreadable: the certificate's date or account number is none.
    """
    if len(static_data) > STATIC_DATA_BYTES_MAX:
        raise CardUnreadable(f"more than {STATIC_DATA_BYTES_MAX} bytes of static data")
    read = read_icc_certificate(issuer.key, certificate)
    key = _assemble(
        read, issuer.key.size - ICC_OVERHEAD_BYTES, remainder, exponent, Failure.ICC_CERTIFICATE
    )
    if not read.recovered.holds(remainder, exponent, static_data):
        raise AuthenticationFailed(
            Failure.ICC_CERTIFICATE_HASH, "the card's key or data is not what the bank signed"
        )
    certified = Pan.from_padded(read.subject)
    same = certified == pan
    certified.wipe()
    if not same:
        raise AuthenticationFailed(
            Failure.PAN_MISMATCH, "the certificate was issued to another account number"
        )
    expires = dates.month_end(read.expiry)
    if today > expires:
        raise AuthenticationFailed(
            Failure.ICC_EXPIRED, f"the card's certificate ended on {expires}"
        )
    return IccKey(key, expires, read.serial)


def _fields(recovered: Recovered, subject_size: int, room: int, failure: Failure) -> Certificate:
    """Cuts the content of either certificate; they differ in the subject's length only."""
    content = recovered.content
    after = 1 + subject_size
    hash_algorithm, key_algorithm, modulus_size, exponent_size = content[after + 5 : after + 9]
    if hash_algorithm != HASH_ALGORITHM_SHA1:
        raise AuthenticationFailed(failure, f"hash algorithm {hash_algorithm:02X} is not SHA-1")
    if key_algorithm != KEY_ALGORITHM_RSA:
        raise AuthenticationFailed(failure, f"key algorithm {key_algorithm:02X} is not RSA")
    if not MODULUS_BYTES_MIN <= modulus_size <= MODULUS_BYTES_MAX:
        raise AuthenticationFailed(failure, f"a certified key of {modulus_size} bytes")
    if not 1 <= exponent_size <= _EXPONENT_BYTES_MAX:
        raise AuthenticationFailed(failure, f"a certified exponent of {exponent_size} bytes")
    return Certificate(
        recovered,
        subject=content[1:after],
        expiry=content[after : after + 2],
        serial=content[after + 2 : after + 5],
        modulus_size=modulus_size,
        exponent_size=exponent_size,
        leftmost=content[after + 9 : after + 9 + min(room, modulus_size)],
    )


def _assemble(
    read: Certificate, room: int, remainder: bytes, exponent: bytes, failure: Failure
) -> RsaKey:
    """Joins the leftmost digits and the remainder, whose length the certificate dictates."""
    if len(remainder) != max(0, read.modulus_size - room):
        raise AuthenticationFailed(failure, f"a remainder of {len(remainder)} bytes does not fit")
    if len(exponent) != read.exponent_size or int.from_bytes(exponent) not in EXPONENTS:
        raise AuthenticationFailed(failure, "the exponent does not fit the certificate")
    key = RsaKey(read.leftmost + remainder, int.from_bytes(exponent))
    if not key.sound():
        raise AuthenticationFailed(failure, "the certified key is outside the standard's bounds")
    return key


def issuer_identifier(subject: bytes) -> str:
    """Leftmost 3 to 8 digits, padded on the right with F (EMV Book 2, table 6).

    Raises:
        AuthenticationFailed: fewer than three digits, or not digits.
    """
    digits = subject.hex().rstrip("f")
    if len(digits) < 3 or not digits.isdecimal():
        raise AuthenticationFailed(Failure.ISSUER_IDENTIFIER, "the issuer identifier is malformed")
    return digits
