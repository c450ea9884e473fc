"""Signatures over data: static, dynamic and combined (EMV Book 2, 5.4, 6.5, 6.6). Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from readers.cards.emv.certificates import STATIC_DATA_BYTES_MAX, IccKey, IssuerKey
from readers.cards.emv.rsa import HASH_ALGORITHM_SHA1, recover
from readers.cards.errors import AuthenticationFailed, Failure
from readers.errors import CardUnreadable

STATIC_FORMAT: Final = 0x03
DYNAMIC_FORMAT: Final = 0x05
#: Bytes of signed dynamic data that are not ICC dynamic data (EMV Book 2, table 15).
_DYNAMIC_OVERHEAD_BYTES: Final = 25
_NUMBER_BYTES_MIN: Final = 2
_NUMBER_BYTES_MAX: Final = 8
#: EMV Book 2, table 19: cryptogram information, cryptogram, transaction data hash code.
_COMBINED_TAIL_BYTES: Final = 1 + 8 + 20


@dataclass(frozen=True, slots=True)
class DynamicData:
    """What the card signed besides the terminal's data.

    Attributes:
        number: the ICC dynamic number, 2 to 8 bytes, the card's own challenge.
        rest: what follows it: empty for DDA and fDDA in most cards, the cryptogram for CDA.
    """

    number: bytes
    rest: bytes

    @property
    def combined(self) -> bool:
        """Whether it has the shape of CDA (EMV Book 2, table 19)."""
        return len(self.rest) >= _COMBINED_TAIL_BYTES


@dataclass(frozen=True, slots=True)
class CombinedData:
    """What a CDA signature holds (EMV Book 2, table 19).

    Attributes:
        number: the ICC dynamic number.
        information: cryptogram information data, tag 9F27.
        cryptogram: 8 bytes.
    """

    number: bytes
    information: int
    cryptogram: bytes


def verify_static_signature(issuer: IssuerKey, signature: bytes, static_data: bytes) -> bytes:
    """Checks tag 93 (EMV Book 2, 5.4). It proves data, not a card: a copy carries it too.

    Args:
        issuer: from ``recover_issuer_key``.
        signature: tag 93.
        static_data: the static data to be authenticated.

    Returns:
        The data authentication code, 2 bytes (tag 9F45).

    Raises:
        AuthenticationFailed: any check fails.
        CardUnreadable: more static data than any card has.
    """
    if len(static_data) > STATIC_DATA_BYTES_MAX:
        raise CardUnreadable(f"more than {STATIC_DATA_BYTES_MAX} bytes of static data")
    recovered = recover(issuer.key, signature, STATIC_FORMAT, Failure.STATIC_SIGNATURE)
    if recovered.content[1] != HASH_ALGORITHM_SHA1:
        raise AuthenticationFailed(Failure.STATIC_SIGNATURE, "the hash algorithm is not SHA-1")
    if not recovered.holds(static_data):
        raise AuthenticationFailed(
            Failure.STATIC_SIGNATURE_HASH, "the data is not what the bank signed"
        )
    return recovered.content[2:4]


def verify_dynamic_signature(icc: IccKey, signature: bytes, terminal_data: bytes) -> DynamicData:
    """Checks tag 9F4B of DDA or fDDA (EMV Book 2, 6.5.2; fDDA differs in ``terminal_data``).

    Args:
        icc: from ``recover_icc_key``.
        signature: tag 9F4B.
        terminal_data: the terminal dynamic data: for DDA the values of the DDOL as sent; for
            fDDA what the scheme's profile lists; it must hold the fresh unpredictable number.

    Raises:
        AuthenticationFailed: any check fails.
    """
    recovered = recover(icc.key, signature, DYNAMIC_FORMAT, Failure.DYNAMIC_SIGNATURE)
    algorithm, length = recovered.content[1], recovered.content[2]
    if algorithm != HASH_ALGORITHM_SHA1:
        raise AuthenticationFailed(Failure.DYNAMIC_SIGNATURE, "the hash algorithm is not SHA-1")
    if length > icc.key.size - _DYNAMIC_OVERHEAD_BYTES:
        raise AuthenticationFailed(Failure.DYNAMIC_SIGNATURE, f"{length} bytes of dynamic data")
    if not recovered.holds(terminal_data):
        raise AuthenticationFailed(
            Failure.DYNAMIC_SIGNATURE_HASH, "the signature is not over this terminal's challenge"
        )
    return split_dynamic_data(recovered.content[3 : 3 + length])


def split_dynamic_data(data: bytes) -> DynamicData:
    """Separates the ICC dynamic number from what follows it (EMV Book 2, 6.5.1).

    Raises:
        AuthenticationFailed: no number of 2 to 8 bytes leads the data.
    """
    number_size = data[0] if data else 0
    if not _NUMBER_BYTES_MIN <= number_size <= _NUMBER_BYTES_MAX or len(data) <= number_size:
        raise AuthenticationFailed(
            Failure.DYNAMIC_SIGNATURE, "the card's dynamic number is malformed"
        )
    return DynamicData(data[1 : 1 + number_size], data[1 + number_size :])


def verify_combined_signature(
    icc: IccKey, signature: bytes, unpredictable: bytes, transaction_data: bytes
) -> CombinedData:
    """Checks tag 9F4B of CDA (EMV Book 2, 6.6.2). No terminal of ours sends GENERATE AC.

    Args:
        icc: from ``recover_icc_key``.
        signature: tag 9F4B of a GENERATE AC answer.
        unpredictable: the 4 bytes of tag 9F37.
        transaction_data: values of PDOL and CDOLs, then the data objects of the answer but 9F4B.

    Raises:
        AuthenticationFailed: any check fails, or it is no CDA signature.
    """
    data = verify_dynamic_signature(icc, signature, unpredictable)
    if not data.combined:
        raise AuthenticationFailed(Failure.DYNAMIC_SIGNATURE, "no cryptogram was signed with it")
    digest = data.rest[9:_COMBINED_TAIL_BYTES]
    if hashlib.sha1(transaction_data).digest() != digest:  # noqa: S324
        raise AuthenticationFailed(
            Failure.DYNAMIC_SIGNATURE_HASH, "the signature is not over this transaction"
        )
    return CombinedData(data.number, data.rest[0], data.rest[1:9])
