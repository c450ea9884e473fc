"""Root certificates for PIV cards as they come out of a signed bundle.

Whoever calls ``load_piv_roots`` has verified the bundle's signature; this module verifies no
bundles, and the scheme is off without one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from readers.cards.errors import CaKeysRefused

FORMAT: Final = "redcard-piv-roots/v1"
BUNDLE_BYTES_MAX: Final = 4_194_304
CERTIFICATES_MAX: Final = 64
REVOKED_MAX: Final = 10_000
_KEY_HASH_BYTES: Final = 32
#: RFC 5280, 4.1.2.2: a serial number has at most 20 octets.
_SERIAL_BYTES_MAX: Final = 20
_MILLISECONDS_MAX: Final = 253_402_300_799_000  # the end of the year 9999
_REMEDY: Final = "nothing was changed; pull a new bundle (redcard sync pull)"
#: What the parser of certificates says of bytes that are none.
UNREADABLE: Final = (
    ValueError,
    TypeError,
    OverflowError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    # The parser only warns of some faults; programs may have made warnings errors.
    Warning,
)


@dataclass(frozen=True, slots=True)
class PivRoots:
    """Whose PIV cards a terminal believes.

    Attributes:
        roots: trust anchors; a path ends at one of these and at nothing else.
        intermediates: authorities between roots and cards. PIV cards carry only their own
            certificate, so a path is built from here.
        revoked: withdrawn certificates of any kind: ``key_hash`` of the issuer's public key,
            and serial number. Not a hash of the certificate: whoever holds one can rewrite its
            ECDSA signature into another that is as valid.
        expires: last day (UTC) on which the bundle may be used.
        test: whether these are test certificates, which only a demo accepts.
    """

    roots: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...]
    revoked: frozenset[tuple[bytes, int]]
    expires: date
    test: bool


class _Withdrawn(msgspec.Struct, forbid_unknown_fields=True):
    issuer: str
    serial: str


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    test: bool
    expires_ms: int
    roots: list[str]
    intermediates: list[str]
    revoked: list[_Withdrawn]


def load_piv_roots(data: bytes, today: date, *, allow_test: bool) -> PivRoots:
    """Reads the JSON of a bundle of PIV roots whose signature was verified.

    Args:
        data: the bundle; certificates stand in it as PEM.
        today: the terminal's date.
        allow_test: whether this is a demo; elsewhere test certificates are refused.

    Raises:
        CaKeysRefused: malformed, expired, or made of test certificates; names the field.
    """
    if len(data) > BUNDLE_BYTES_MAX:
        raise CaKeysRefused(f"a bundle of more than {BUNDLE_BYTES_MAX} bytes; {_REMEDY}")
    try:
        document = msgspec.json.decode(data, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CaKeysRefused(f"the bundle of PIV roots is malformed ({error}); {_REMEDY}") from None
    if document.format != FORMAT:
        raise CaKeysRefused(f"the bundle's format is not {FORMAT}; {_REMEDY}")
    if document.test and not allow_test:
        raise CaKeysRefused(f"the bundle holds test roots, which only a demo accepts; {_REMEDY}")
    if not 0 <= document.expires_ms <= _MILLISECONDS_MAX:
        raise CaKeysRefused(f"expires_ms is out of bounds; {_REMEDY}")
    expires = datetime.fromtimestamp(document.expires_ms // 1000, UTC).date()
    if today > expires:
        raise CaKeysRefused(f"the bundle of PIV roots ended on {expires}; {_REMEDY}")
    if len(document.revoked) > REVOKED_MAX:
        raise CaKeysRefused(f"revoked has more than {REVOKED_MAX} entries; {_REMEDY}")
    return PivRoots(
        _certificates(document.roots, "roots"),
        _certificates(document.intermediates, "intermediates"),
        frozenset(_withdrawn(entry, at) for at, entry in enumerate(document.revoked)),
        expires,
        document.test,
    )


def key_hash(certificate: x509.Certificate) -> bytes:
    """SHA-256 of a certificate's SubjectPublicKeyInfo (RFC 5280, 4.1.2.7) in DER, 32 bytes.

    Raises:
        ValueError, UnsupportedAlgorithm: the key cannot be read.
    """
    key = certificate.public_key()
    return hashlib.sha256(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).digest()


def read_whole(certificate: x509.Certificate) -> None:
    """Reads what the parser would otherwise read later, where nobody expects it to fail.

    Raises:
        ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType: something in it is malformed or unknown.
    """
    _ = certificate.issuer, certificate.subject, certificate.signature_algorithm_oid
    _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    tuple(certificate.extensions)
    if certificate.serial_number <= 0:  # RFC 5280, 4.1.2.2; the parser only warns
        raise ValueError("the serial number is not positive")
    # The parser takes padding bits in the last octet: another certificate with the same signature.
    if not certificate.public_bytes(Encoding.DER).endswith(b"\x00" + certificate.signature):
        raise ValueError("the signature is not whole octets")


def _certificates(texts: list[str], field: str) -> tuple[x509.Certificate, ...]:
    if len(texts) > CERTIFICATES_MAX:
        raise CaKeysRefused(f"{field} has more than {CERTIFICATES_MAX} entries; {_REMEDY}")
    found = []
    for at, text in enumerate(texts):
        try:
            certificate = x509.load_pem_x509_certificate(text.encode())
            read_whole(certificate)
            key_hash(certificate)
        except (*UNREADABLE, UnsupportedAlgorithm) as error:
            raise CaKeysRefused(
                f"{field}[{at}] is no certificate that can be used ({error}); {_REMEDY}"
            ) from None
        found.append(certificate)
    return tuple(found)


def _withdrawn(entry: _Withdrawn, at: int) -> tuple[bytes, int]:
    try:
        issuer, serial = bytes.fromhex(entry.issuer), bytes.fromhex(entry.serial)
    except ValueError:
        issuer = serial = b""
    if len(issuer) != _KEY_HASH_BYTES or not 0 < len(serial) <= _SERIAL_BYTES_MAX:
        raise CaKeysRefused(f"revoked[{at}] is not the hex expected; {_REMEDY}")
    return issuer, int.from_bytes(serial)
