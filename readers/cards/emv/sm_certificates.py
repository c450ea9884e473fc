"""Certificates and signatures under SM2 instead of RSA (JR/T 0025.17). Pure.

Nothing is recovered from a signature here: the content stands in clear with r and s after it.
The layout of issuer certificates is confirmed by a published one of UnionPay's test authority
(CA key 57); those of card certificates and dynamic signatures follow the same publication and
are unverified on real cards.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from readers.cards import sm2
from readers.cards.emv import dates
from readers.cards.emv.certificates import STATIC_DATA_BYTES_MAX, issuer_identifier
from readers.cards.emv.pan import Pan
from readers.cards.emv.signatures import DynamicData, split_dynamic_data
from readers.cards.errors import AuthenticationFailed, Failure
from readers.errors import CardUnreadable

ISSUER_FORMAT: Final = 0x12
ICC_FORMAT: Final = 0x14
DYNAMIC_FORMAT: Final = 0x15
#: Signature algorithm SM2, no encryption algorithm, the curve of GB/T 32918.5, 64 bytes of key.
_ALGORITHMS: Final = bytes((0x04, 0x00, 0x11, sm2.KEY_BYTES))


@dataclass(frozen=True, slots=True)
class Sm2Key:
    """A public key.

    Attributes:
        point: 64 bytes, x then y.
    """

    point: bytes


@dataclass(frozen=True, slots=True)
class SmIssuerKey:
    """The bank's key, certified by the CA.

    Attributes:
        key: the public key.
        identifier: leftmost 3 to 8 digits of the PANs that this issuer issues.
        expires: last day of the certificate.
        serial: 3 bytes, for revocation.
    """

    key: Sm2Key
    identifier: str
    expires: date
    serial: bytes


@dataclass(frozen=True, slots=True)
class SmIccKey:
    """The card's key, certified by the issuer.

    Attributes:
        key: the public key.
        expires: last day of the certificate.
        serial: 3 bytes.
    """

    key: Sm2Key
    expires: date
    serial: bytes


def read_sm_issuer_key(ca_key: Sm2Key, certificate: bytes, *, pan: Pan, today: date) -> SmIssuerKey:
    """Checks tag 90 under an SM2 CA key and takes the issuer's key out of it.

    Args:
        ca_key: the CA's public key.
        certificate: format 12, identifier (4), MMYY, serial (3), algorithms (4), key, signature.
        pan: the card's account number.
        today: the day on which the certificate must be valid.

    Raises:
        AuthenticationFailed: any check fails.
        CardUnreadable: the certificate's date is none.
    """
    subject, expiry, serial, key = _open(
        ca_key, certificate, ISSUER_FORMAT, 4, b"", Failure.ISSUER_CERTIFICATE
    )
    identifier = issuer_identifier(subject)
    if not pan.starts_with(identifier):
        raise AuthenticationFailed(
            Failure.ISSUER_IDENTIFIER, "the certificate belongs to another bank's cards"
        )
    expires = dates.month_end(expiry)
    if today > expires:
        raise AuthenticationFailed(
            Failure.ISSUER_EXPIRED, f"the bank's certificate ended on {expires}"
        )
    return SmIssuerKey(key, identifier, expires, serial)


def read_sm_icc_key(
    issuer: SmIssuerKey, certificate: bytes, static_data: bytes, *, pan: Pan, today: date
) -> SmIccKey:
    """Checks tag 9F46 under an SM2 issuer key and takes the card's key out of it.

    Args:
        issuer: from ``read_sm_issuer_key``.
        certificate: format 14, PAN (10), MMYY, serial (3), algorithms (4), key, signature; the
            signature also covers the static data.
        static_data: the static data to be authenticated.
        pan: the card's account number.
        today: the day on which the certificate must be valid.

    Raises:
        AuthenticationFailed: any check fails.
        CardUnreadable: the certificate's date or account number is none.
    """
    if len(static_data) > STATIC_DATA_BYTES_MAX:
        raise CardUnreadable(f"more than {STATIC_DATA_BYTES_MAX} bytes of static data")
    subject, expiry, serial, key = _open(
        issuer.key, certificate, ICC_FORMAT, 10, static_data, Failure.ICC_CERTIFICATE
    )
    certified = Pan.from_padded(subject)
    same = certified == pan
    certified.wipe()
    if not same:
        raise AuthenticationFailed(
            Failure.PAN_MISMATCH, "the certificate was issued to another account number"
        )
    expires = dates.month_end(expiry)
    if today > expires:
        raise AuthenticationFailed(
            Failure.ICC_EXPIRED, f"the card's certificate ended on {expires}"
        )
    return SmIccKey(key, expires, serial)


def verify_sm_dynamic_signature(
    icc: SmIccKey, signature: bytes, terminal_data: bytes
) -> DynamicData:
    """Checks tag 9F4B under an SM2 card key: format 15, length, dynamic data, then r and s.

    Args:
        icc: from ``read_sm_icc_key``.
        signature: tag 9F4B.
        terminal_data: the terminal dynamic data, which the signature covers after the card's.

    Raises:
        AuthenticationFailed: any check fails.
    """
    content, signed = signature[: -sm2.SIGNATURE_BYTES], signature[-sm2.SIGNATURE_BYTES :]
    if len(content) < 2 or content[0] != DYNAMIC_FORMAT or content[1] != len(content) - 2:
        raise AuthenticationFailed(Failure.DYNAMIC_SIGNATURE, "the SM2 signature is malformed")
    sm2.verify(icc.key.point, content + terminal_data, signed, Failure.DYNAMIC_SIGNATURE_HASH)
    return split_dynamic_data(content[2:])


def _open(
    signer: Sm2Key,
    certificate: bytes,
    form: int,
    subject_size: int,
    hashed_with: bytes,
    failure: Failure,
) -> tuple[bytes, bytes, bytes, Sm2Key]:
    """Subject, MMYY, serial and key of a certificate whose signature holds."""
    after = 1 + subject_size
    size = after + 5 + len(_ALGORITHMS) + sm2.KEY_BYTES + sm2.SIGNATURE_BYTES
    if len(certificate) != size:
        raise AuthenticationFailed(failure, f"{len(certificate)} bytes instead of {size}")
    if certificate[0] != form:
        raise AuthenticationFailed(failure, f"format {certificate[0]:02X} instead of {form:02X}")
    content, signature = certificate[: -sm2.SIGNATURE_BYTES], certificate[-sm2.SIGNATURE_BYTES :]
    if content[after + 5 : after + 9] != _ALGORITHMS:
        raise AuthenticationFailed(failure, "the algorithms are not SM2 and SM3")
    key = Sm2Key(content[after + 9 :])
    if not sm2.on_curve(key.point):
        raise AuthenticationFailed(failure, "the certified key is no point of the curve")
    sm2.verify(signer.point, content + hashed_with, signature, failure)
    return content[1:after], content[after : after + 2], content[after + 2 : after + 5], key
