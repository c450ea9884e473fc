"""The card authentication certificate of a PIV card: its container, its key, its signature.

SP 800-73 revision 5, part 1, appendix A, and part 2, 3.2.4; key types of SP 800-78 revision 5.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from readers import tlv
from readers.cards.errors import AuthenticationFailed, Failure
from readers.cards.piv_roots import UNREADABLE, key_hash, read_whole
from readers.errors import CardNotSupported, CardUnreadable

#: A certificate fits into 1,856 bytes of container (part 1, table 42); twice that is no PIV card.
CERTIFICATE_BYTES_MAX: Final = 4_096
_CONTAINER: Final = 0x53
_CERTIFICATE: Final = 0x70
_INFO: Final = 0x71
_PLAIN: Final = b"\x00"
_GZIPPED: Final = b"\x01"
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_RSA_BITS: Final = 2048
#: DigestInfo of SHA-256 (RFC 8017, 9.2, note 1).
_SHA256_INFO: Final = bytes.fromhex("3031300d060960864801650304020105000420")


@dataclass(frozen=True, slots=True)
class CardKey:
    """The public key that a card claims to hold the other half of.

    Attributes:
        algorithm: what GENERAL AUTHENTICATE calls it (SP 800-78, table 9): 07 or 11.
        key: the key.
    """

    algorithm: int
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey = field(repr=False)

    def challenge(self, number: bytes) -> bytes:
        """What the card is asked to sign: the digest of the number, padded for RSA.

        Args:
            number: unpredictable bytes of this attempt.

        Returns:
            32 bytes for P-256 (SP 800-73, part 2, A.4.2), 256 bytes in PKCS #1 v1.5 form
            (RFC 8017, 9.2) for RSA.
        """
        digest = hashlib.sha256(number).digest()
        if isinstance(self.key, ec.EllipticCurvePublicKey):
            return digest
        info = b"\x00" + _SHA256_INFO + digest
        return b"\x00\x01" + info.rjust(_RSA_BITS // 8 - 2, b"\xff")

    def check(self, signature: bytes, number: bytes) -> None:
        """Verifies the card's signature over the number.

        Raises:
            AuthenticationFailed: it does not hold.
        """
        try:
            if isinstance(self.key, ec.EllipticCurvePublicKey):
                self.key.verify(signature, number, ec.ECDSA(hashes.SHA256()))
            else:
                self.key.verify(signature, number, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise AuthenticationFailed(
                Failure.DYNAMIC_SIGNATURE,
                "the card's signature does not fit the key in its certificate",
            ) from None


@dataclass(frozen=True, slots=True)
class CardCertificate:
    """A certificate as a card shows it; nothing in it is believed yet.

    Attributes:
        x509: the certificate.
        key: the card's public key.
        identifier: SHA-256 of the SubjectPublicKeyInfo, 32 bytes.
        begins: first day (UTC).
        ends: last day (UTC).
    """

    x509: x509.Certificate = field(repr=False)
    key: CardKey
    identifier: bytes = field(repr=False)
    begins: date
    ends: date


def unwrap(answer: bytes) -> bytes:
    """Takes the certificate out of the answer to GET DATA (part 1, table 42).

    Args:
        answer: tag 53 with 70 (certificate), 71 (CertInfo) and FE (empty).

    Returns:
        The certificate in DER, unpacked if it was packed by gzip.

    Raises:
        CardUnreadable: another shape, another packing, or larger than 4,096 bytes.
    """
    objects = tlv.parse(answer)
    if [one.tag for one in objects] != [_CONTAINER]:
        raise CardUnreadable("the certificate comes in no PIV container")
    inner = tlv.parse(objects[0].value)
    certificates = [one.value for one in inner if one.tag == _CERTIFICATE]
    infos = [one.value for one in inner if one.tag == _INFO]
    if len(certificates) != 1 or len(infos) > 1:
        raise CardUnreadable("the PIV container does not hold exactly one certificate")
    packing = infos[0] if infos else _PLAIN
    if packing == _PLAIN:
        certificate = certificates[0]
    elif packing == _GZIPPED:
        certificate = _unpack(certificates[0])
    else:
        raise CardUnreadable("the certificate is packed in a way that no standard knows")
    if len(certificate) > CERTIFICATE_BYTES_MAX:
        raise CardUnreadable(f"a certificate of more than {CERTIFICATE_BYTES_MAX} bytes")
    return certificate


def read(der: bytes) -> CardCertificate:
    """Parses a certificate and the key in it; verifies nothing.

    Raises:
        CardUnreadable: no certificate, or something after it.
        CardNotSupported: a key that is neither P-256 nor RSA of 2048 bits.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        read_whole(certificate)
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        public = certificate.public_key()
        identifier = key_hash(certificate)
    except UnsupportedAlgorithm:
        raise CardNotSupported(_OTHER_KEY) from None
    except UNREADABLE:
        raise CardUnreadable("the card's certificate cannot be parsed") from None
    if isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1):
        key = CardKey(0x11, public)
    elif isinstance(public, rsa.RSAPublicKey) and public.key_size == _RSA_BITS:
        key = CardKey(0x07, public)
    else:
        raise CardNotSupported(_OTHER_KEY)
    return CardCertificate(certificate, key, identifier, begins.date(), ends.date())


_OTHER_KEY: Final = (
    "the card's key is neither P-256 nor RSA of 2048 bits; this terminal verifies no other, "
    "nothing was recorded"
)


def _unpack(packed: bytes) -> bytes:
    """Unpacks one gzip member (RFC 1952) and stops where it grows too large."""
    stream = zlib.decompressobj(_GZIP_WINDOW)
    try:
        content = stream.decompress(packed, CERTIFICATE_BYTES_MAX + 1)
    except zlib.error:
        raise CardUnreadable("the packed certificate cannot be unpacked") from None
    if len(content) <= CERTIFICATE_BYTES_MAX and (not stream.eof or stream.unused_data):
        raise CardUnreadable("the packed certificate is cut off, or followed by something")
    return content
