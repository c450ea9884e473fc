"""Exceptions of card schemes; all but the last are cards' and end a tap.

readers.errors.ReaderError
├── CardError
│   ├── CardNotGenuine
│   │   └── AuthenticationFailed    names what failed, and the card by its hash once known (C02)
│   ├── CardNotSupported            no usable application, or the scheme is off (C03)
│   └── CardUnreadable              data that no rule of the standard accepts (C01)
│       └── ProtocolViolation       malformed TLV or chaining
└── CaKeysRefused                   a bundle of CA keys or roots is malformed, expired or a test's
"""

from __future__ import annotations

from enum import StrEnum, unique

from readers.errors import CardNotGenuine, ReaderError


@unique
class Failure(StrEnum):
    """What failed; for support and logs, never for decisions and never with card data."""

    CA_KEY_EXPIRED = "ca_key_expired"
    CA_KEY_REVOKED = "ca_key_revoked"
    MISSING_DATA = "missing_data"
    PAN_MISMATCH = "pan_mismatch"
    STATIC_DATA = "static_data"
    STATIC_DATA_TAG_LIST = "static_data_tag_list"
    KEY_TOO_SHORT = "key_too_short"
    ISSUER_CERTIFICATE = "issuer_certificate"
    ISSUER_CERTIFICATE_HASH = "issuer_certificate_hash"
    ISSUER_EXPIRED = "issuer_expired"
    ISSUER_IDENTIFIER = "issuer_identifier"
    ISSUER_REVOKED = "issuer_revoked"
    ICC_CERTIFICATE = "icc_certificate"
    ICC_CERTIFICATE_HASH = "icc_certificate_hash"
    ICC_EXPIRED = "icc_expired"
    STATIC_SIGNATURE = "static_signature"
    STATIC_SIGNATURE_HASH = "static_signature_hash"
    DYNAMIC_SIGNATURE = "dynamic_signature"
    DYNAMIC_SIGNATURE_HASH = "dynamic_signature_hash"
    DYNAMIC_SIGNATURE_VERSION = "dynamic_signature_version"
    NOT_FRESH = "not_fresh"
    CERTIFICATE_DATES = "certificate_dates"
    CERTIFICATE_EXTENSION = "certificate_extension"
    CERTIFICATE_REVOKED = "certificate_revoked"
    CERTIFICATE_SIGNATURE = "certificate_signature"
    CERTIFICATE_USAGE = "certificate_usage"
    NO_SIGNATURE = "no_signature"


class AuthenticationFailed(CardNotGenuine):
    """A certificate, hash or signature of the card does not hold.

    Attributes:
        failure: what failed.
        card: the card hash, once the scheme has made it; else empty. The card claims to be this
            one; nothing proves it.
        scheme: name of the scheme that read the card, or empty.
    """

    def __init__(self, failure: Failure, detail: str) -> None:
        """Joins the failure's name and a detail that shows no card data."""
        super().__init__(f"{failure}: {detail}")
        self.failure = failure
        self.card = ""
        self.scheme = ""


class CaKeysRefused(ReaderError):
    """A bundle of CA keys or roots cannot be used; what is in force stays in force."""
