"""What stores in this process do with raw secrets; hardware stores do the same inside."""

from __future__ import annotations

import hashlib
import hmac

from keys import age
from keys.errors import DecryptionFailed, SecretInvalid

GENERATED_LENGTH_BYTES = 32
HMAC_KEY_MIN_BYTES = 16
HMAC_KEY_MAX_BYTES = 64
BLOB_MAX_BYTES = 64 * 1024 * 1024


def check_secret(kind: str, secret: bytes) -> None:
    """Refuses a secret of the wrong length for its kind.

    Raises:
        SecretInvalid: says the expected length, never the bytes.
    """
    if kind == "hmac":
        if not HMAC_KEY_MIN_BYTES <= len(secret) <= HMAC_KEY_MAX_BYTES:
            raise SecretInvalid(
                f"an hmac secret has {HMAC_KEY_MIN_BYTES} to {HMAC_KEY_MAX_BYTES} bytes, "
                f"not {len(secret)}"
            )
    elif len(secret) != GENERATED_LENGTH_BYTES:
        raise SecretInvalid(
            f"an {kind} secret has {GENERATED_LENGTH_BYTES} bytes, not {len(secret)}"
        )


def public_key(kind: str, secret: bytes) -> bytes:
    """The raw public half of an ed25519 or x25519 secret, 32 bytes."""
    if kind == "ed25519":
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def sign(secret: bytes, message: bytes) -> bytes:
    """Ed25519 signature (RFC 8032, 5.1.6), 64 bytes."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(secret).sign(message)


def mac(secret: bytes, data: bytes) -> bytes:
    """HMAC-SHA-256 (RFC 2104), 32 bytes."""
    return hmac.digest(secret, data, hashlib.sha256)


def recipient(secret: bytes) -> str:
    """The age recipient of an x25519 secret."""
    return age.recipient_text(public_key("x25519", secret))


def check_blob(blob: bytes) -> None:
    """Refuses what is too large to be opened in memory.

    Raises:
        DecryptionFailed: says the limit.
    """
    if len(blob) > BLOB_MAX_BYTES:
        raise DecryptionFailed(f"the encrypted data exceeds {BLOB_MAX_BYTES} bytes")


def decrypt(secret: bytes, blob: bytes) -> bytes:
    """Opens an age file with an x25519 secret.

    Raises:
        DecryptionFailed: not for this key, damaged, or too large.
    """
    check_blob(blob)
    import pyrage

    identity = pyrage.x25519.Identity.from_str(age.identity_text(secret))
    try:
        opened: bytes = pyrage.decrypt(blob, [identity])
    except pyrage.DecryptError:
        raise DecryptionFailed(
            "the data was not encrypted to this key, or was damaged on the way"
        ) from None
    return opened
