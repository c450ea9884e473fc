"""From the CA key set to the card's key, under whichever algorithm the CA key has. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from readers.cards.emv.ca_keys import CaBundleKeys
from readers.cards.emv.certificates import (
    IccKey,
    IssuerKey,
    recover_icc_key,
    recover_issuer_key,
)
from readers.cards.emv.pan import Pan
from readers.cards.emv.rsa import RsaKey
from readers.cards.emv.signatures import (
    DynamicData,
    verify_dynamic_signature,
    verify_static_signature,
)
from readers.cards.emv.sm_certificates import (
    SmIccKey,
    SmIssuerKey,
    read_sm_icc_key,
    read_sm_issuer_key,
    verify_sm_dynamic_signature,
)
from readers.cards.errors import AuthenticationFailed, Failure
from readers.errors import CardUnreadable


@dataclass(frozen=True, slots=True)
class Claim:
    """What one card says, and what it is judged by.

    Attributes:
        rid: first five bytes of the selected AID.
        data: all data objects that were read, by tag.
        static_data: the static data to be authenticated.
        pan: the account number that the card names.
        on: the day on which certificates must be valid.
        key_bits_min: shortest RSA key that authenticates.
    """

    rid: bytes
    data: Mapping[int, bytes] = field(repr=False)
    static_data: bytes = field(repr=False)
    pan: Pan
    on: date
    key_bits_min: int

    def need(self, tag: int) -> bytes:
        """A data object without which authentication fails.

        Raises:
            AuthenticationFailed: the card has none.
        """
        value = self.data.get(tag)
        if not value:
            raise AuthenticationFailed(Failure.MISSING_DATA, f"the card has no tag {tag:X}")
        return value


def issuer_key(keys: CaBundleKeys, claim: Claim) -> IssuerKey | SmIssuerKey:
    """Verifies the issuer's certificate (tags 8F, 90, 92, 9F32).

    Raises:
        AuthenticationFailed: any check fails, or the certificate was withdrawn.
        CardNotSupported: the bundle has no such CA key.
        CardUnreadable: a field is malformed.
    """
    index = claim.need(0x8F)
    if len(index) != 1:
        raise CardUnreadable("the CA key index is not one byte")
    ca_key = keys.find(claim.rid, index[0], on=claim.on)
    certificate = claim.need(0x90)
    issuer: IssuerKey | SmIssuerKey
    if isinstance(ca_key.key, RsaKey):
        issuer = recover_issuer_key(
            ca_key.key,
            certificate,
            claim.data.get(0x92, b""),
            claim.need(0x9F32),
            pan=claim.pan,
            today=claim.on,
        )
        _check_length(issuer.key, claim.key_bits_min)
    else:
        issuer = read_sm_issuer_key(ca_key.key, certificate, pan=claim.pan, today=claim.on)
    keys.check_issuer(ca_key, issuer.serial)
    return issuer


def card_key(keys: CaBundleKeys, claim: Claim) -> IccKey | SmIccKey:
    """Verifies the issuer's certificate and then the card's (tags 9F46, 9F47, 9F48).

    Raises:
        AuthenticationFailed: any check fails.
        CardNotSupported: the bundle has no such CA key.
        CardUnreadable: a field is malformed.
    """
    issuer = issuer_key(keys, claim)
    certificate = claim.need(0x9F46)
    if isinstance(issuer, SmIssuerKey):
        return read_sm_icc_key(
            issuer, certificate, claim.static_data, pan=claim.pan, today=claim.on
        )
    icc = recover_icc_key(
        issuer,
        certificate,
        claim.data.get(0x9F48, b""),
        claim.need(0x9F47),
        claim.static_data,
        pan=claim.pan,
        today=claim.on,
    )
    _check_length(icc.key, claim.key_bits_min)
    return icc


def check_static(keys: CaBundleKeys, claim: Claim) -> None:
    """Verifies tag 93 under the issuer's key; it proves data, not a card.

    Raises:
        AuthenticationFailed: any check fails, or the issuer's key is SM2, whose static
            signatures no public document describes.
        CardNotSupported: the bundle has no such CA key.
        CardUnreadable: a field is malformed.
    """
    issuer = issuer_key(keys, claim)
    signature = claim.need(0x93)
    if isinstance(issuer, SmIssuerKey):
        raise AuthenticationFailed(Failure.STATIC_SIGNATURE, "static data signed with SM2")
    verify_static_signature(issuer, signature, claim.static_data)


def check_dynamic(icc: IccKey | SmIccKey, signature: bytes, terminal_data: bytes) -> DynamicData:
    """Verifies tag 9F4B under the card's key.

    Raises:
        AuthenticationFailed: any check fails.
    """
    if isinstance(icc, SmIccKey):
        return verify_sm_dynamic_signature(icc, signature, terminal_data)
    return verify_dynamic_signature(icc, signature, terminal_data)


def _check_length(key: RsaKey, least: int) -> None:
    if key.bits < least:
        raise AuthenticationFailed(
            Failure.KEY_TOO_SHORT, f"a key of {key.bits} bits proves nothing; {least} needed"
        )
