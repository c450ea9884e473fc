"""The way from a card's certificate to a root that this terminal trusts (RFC 5280, 6.1).

Checked step by step instead of by a verifier for web servers: those demand names of hosts and
usages of servers, and a card has neither. What this module does not understand it refuses.
"""

from __future__ import annotations

from datetime import date
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import (
    ExtendedKeyUsageOID,
    ExtensionOID,
    ObjectIdentifier,
    SignatureAlgorithmOID,
)

from readers.cards.errors import AuthenticationFailed, Failure
from readers.cards.piv_certificate import CardCertificate
from readers.cards.piv_roots import PivRoots, key_hash
from readers.errors import CardNotSupported

E = TypeVar("E", bound=x509.ExtensionType)

#: id-PIV-cardAuth: a key that signs without a PIN, inside a card (SP 800-78; FIPS 201-3, 6.2.3.2).
CARD_AUTHENTICATION: Final = ObjectIdentifier("2.16.840.1.101.3.6.8")
#: Authorities on one path, the root among them.
AUTHORITIES_MAX: Final = 4
_RSA_BITS_MIN: Final = 2048
_EC_BITS_MIN: Final = 256
_UNDERSTOOD: Final = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        # Names policies, which nobody asks for here; their constraints are another extension.
        ExtensionOID.CERTIFICATE_POLICIES,
        # Critical where the subject is empty (4.2.1.6); cards are named by their key.
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)
_SIGNATURES: Final = frozenset(
    {
        SignatureAlgorithmOID.RSA_WITH_SHA256,
        SignatureAlgorithmOID.RSA_WITH_SHA384,
        SignatureAlgorithmOID.RSA_WITH_SHA512,
        SignatureAlgorithmOID.ECDSA_WITH_SHA256,
        SignatureAlgorithmOID.ECDSA_WITH_SHA384,
        SignatureAlgorithmOID.ECDSA_WITH_SHA512,
        SignatureAlgorithmOID.ED25519,
    }
)


def check(card: CardCertificate, roots: PivRoots, on: date) -> None:
    """Verifies that a root of the bundle vouches for the card's key.

    Args:
        card: what the card shows.
        roots: whom to believe.
        on: the day on which every certificate of the path must be valid.

    Raises:
        CardNotSupported: no authority of the bundle has the issuer's name, so nothing can be
            said of the card.
        AuthenticationFailed: a signature, date, usage or constraint does not hold, or a
            certificate was withdrawn.
    """
    _dates(card.x509, on, "the card's certificate")
    usage = _extension(card.x509, x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        raise _usage("the card's certificate is not for signatures")
    if _is_authority(card.x509):
        raise _usage("the card shows the certificate of an authority")
    purposes = _extension(card.x509, x509.ExtendedKeyUsage)
    # Without it any certificate of the same authority, of a server or a mailbox, were a card.
    if purposes is None or CARD_AUTHENTICATION not in purposes:
        raise _usage("the card's certificate is not for card authentication")
    _understood(card.x509, "the card's certificate")
    _climb(card.x509, roots, on, 0)


def _climb(below: x509.Certificate, roots: PivRoots, on: date, authorities: int) -> None:
    """Finds an authority that signed ``below`` and ends at a root.

    Args:
        below: a certificate whose own content was checked.
        roots: whom to believe.
        on: the day.
        authorities: how many stand between ``below`` and the card.
    """
    failure: AuthenticationFailed | None = None
    for authority in (*roots.roots, *roots.intermediates):
        if authority.subject != below.issuer:
            continue
        try:
            _vouches(authority, below, roots, on, authorities)
            if authority not in roots.roots:
                if authorities + 1 >= AUTHORITIES_MAX:
                    raise _usage("the path to a root is too long")
                _climb(authority, roots, on, authorities + 1)
        except AuthenticationFailed as failed:
            failure = failed
            continue
        return
    if failure is not None:
        raise failure
    raise CardNotSupported(
        "the card's certificate was issued by an authority that this terminal does not know; "
        "nothing was recorded. Pull a new bundle of roots (redcard sync pull)"
    )


def _vouches(
    authority: x509.Certificate,
    below: x509.Certificate,
    roots: PivRoots,
    on: date,
    authorities: int,
) -> None:
    """One step: the authority may issue, is in force, and has signed and not withdrawn it."""
    if below.signature_algorithm_oid not in _SIGNATURES:
        raise AuthenticationFailed(
            Failure.CERTIFICATE_SIGNATURE, "a certificate is signed in a way that is not accepted"
        )
    if not _strong(authority):
        raise AuthenticationFailed(Failure.KEY_TOO_SHORT, "an authority's key is too short")
    try:
        below.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        raise AuthenticationFailed(
            Failure.CERTIFICATE_SIGNATURE, "a certificate was not signed by its issuer"
        ) from None
    if (key_hash(authority), below.serial_number) in roots.revoked:
        raise AuthenticationFailed(Failure.CERTIFICATE_REVOKED, "a certificate was withdrawn")
    _dates(authority, on, "the certificate of an authority")
    _understood(authority, "the certificate of an authority")
    constraints = _extension(authority, x509.BasicConstraints)
    usage = _extension(authority, x509.KeyUsage)
    if constraints is None or not constraints.ca or usage is None or not usage.key_cert_sign:
        raise _usage("a certificate was issued by one that is no authority")
    if constraints.path_length is not None and constraints.path_length < authorities:
        raise _usage("an authority was not allowed to appoint another")
    purposes = _extension(authority, x509.ExtendedKeyUsage)
    if purposes is not None and not {
        CARD_AUTHENTICATION,
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    } & set(purposes):
        raise _usage("an authority was not allowed to issue cards")


def _dates(certificate: x509.Certificate, on: date, what: str) -> None:
    begins = certificate.not_valid_before_utc.date()
    ends = certificate.not_valid_after_utc.date()
    if not begins <= on <= ends:
        raise AuthenticationFailed(
            Failure.CERTIFICATE_DATES, f"{what} is valid from {begins} to {ends}, not on {on}"
        )


def _understood(certificate: x509.Certificate, what: str) -> None:
    """Refuses critical extensions that nothing here reads (RFC 5280, 4.2)."""
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise AuthenticationFailed(
                Failure.CERTIFICATE_EXTENSION,
                f"{what} demands extension {extension.oid.dotted_string}, which is not supported",
            )


def _strong(authority: x509.Certificate) -> bool:
    key = authority.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= _RSA_BITS_MIN
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.key_size >= _EC_BITS_MIN
    return isinstance(key, ed25519.Ed25519PublicKey)


def _is_authority(certificate: x509.Certificate) -> bool:
    constraints = _extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def _extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _usage(detail: str) -> AuthenticationFailed:
    return AuthenticationFailed(Failure.CERTIFICATE_USAGE, detail)
