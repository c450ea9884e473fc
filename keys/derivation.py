"""Derivations that must be the same everywhere: the card hash, and AES key diversification.

This is the only copy of the card hash: the terminal makes it from a card, the federation's tool
makes it from the bank's list, and the two meet in the roster.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

from keys.errors import SecretInvalid

_SCHEME = re.compile(r"[a-z0-9_]{1,32}")
CARD_HASH_LENGTH_BYTES = 16
IDENTIFIER_MAX_BYTES = 256
AES_KEY_LENGTH_BYTES = 16
DIVERSIFICATION_MAX_BYTES = 31
_AES128_DIVERSIFICATION = b"\x01"


def card_hash(mac: Callable[[bytes], bytes], scheme: str, identifier: bytes) -> str:
    """Names a card without revealing it.

    Lower-case base32 (RFC 4648, no padding) of the first 16 bytes of
    HMAC-SHA-256(K_card, scheme, 0x00, identifier).

    Args:
        mac: HMAC-SHA-256 under the federation's card key, 32 bytes out.
        scheme: the card scheme's name, for example ``unionpay``.
        identifier: what the scheme knows the card by; for UnionPay the ASCII digits of the PAN,
            without padding and without the sequence number.

    Returns:
        26 characters of ``a-z2-7``.

    Raises:
        SecretInvalid: the scheme or the identifier has the wrong form. The message does not
            show the identifier.
    """
    if not _SCHEME.fullmatch(scheme):
        raise SecretInvalid(f"a scheme is named {_SCHEME.pattern}, not {scheme!r}")
    if not 1 <= len(identifier) <= IDENTIFIER_MAX_BYTES:
        raise SecretInvalid(
            f"a card identifier has 1 to {IDENTIFIER_MAX_BYTES} bytes, not {len(identifier)}"
        )
    tag = mac(scheme.encode("ascii") + b"\x00" + identifier)
    if len(tag) < CARD_HASH_LENGTH_BYTES:
        raise SecretInvalid("the card key's MAC is shorter than a card hash")
    return base64.b32encode(tag[:CARD_HASH_LENGTH_BYTES]).decode("ascii").rstrip("=").lower()


def diversify_aes128(master_key: bytes, diversification: bytes) -> bytes:
    """Derives a card's AES-128 key from a master key (NXP AN10922, 2.2).

    With 16 bytes or more of diversification input the result equals plain AES-CMAC over
    ``01 || input``, so a hardware module can do it without giving up the master key; choose at
    least 16 bytes.

    Args:
        master_key: 16 bytes.
        diversification: 1 to 31 bytes: UID, application identifier and system identifier.

    Returns:
        16 bytes.

    Raises:
        SecretInvalid: a length is wrong.
    """
    if len(master_key) != AES_KEY_LENGTH_BYTES:
        raise SecretInvalid(f"an AES-128 key has 16 bytes, not {len(master_key)}")
    if not 1 <= len(diversification) <= DIVERSIFICATION_MAX_BYTES:
        raise SecretInvalid(
            f"diversification input has 1 to {DIVERSIFICATION_MAX_BYTES} bytes, "
            f"not {len(diversification)}"
        )
    message = _AES128_DIVERSIFICATION + diversification
    first_subkey, second_subkey = _cmac_subkeys(master_key)
    if len(message) == 32:
        mask = first_subkey
    else:
        # AN10922 pads to two blocks always, where AES-CMAC would stop at one.
        message = (message + b"\x80").ljust(32, b"\x00")
        mask = second_subkey
    last = bytes(a ^ b for a, b in zip(message[16:], mask, strict=True))
    return _encrypt_chained(master_key, message[:16] + last)[16:]


def _cmac_subkeys(key: bytes) -> tuple[bytes, bytes]:
    """Subkeys K1 and K2 (NIST SP 800-38B, 6.1)."""
    first = _double(_encrypt_chained(key, bytes(16)))
    return first, _double(first)


def _double(block: bytes) -> bytes:
    value = int.from_bytes(block, "big") << 1
    if value >> 128:
        value ^= 0x87
    return (value & (2**128 - 1)).to_bytes(16, "big")


def _encrypt_chained(key: bytes, data: bytes) -> bytes:
    """AES-CBC with a zero IV, as both the subkeys and the two blocks need it."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    encryptor = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor()
    return encryptor.update(data) + encryptor.finalize()
