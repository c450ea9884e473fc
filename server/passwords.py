"""Passwords and second factors of people, without a database.

A password is kept as an Argon2id verifier (RFC 9106), the second factor as the secret of a
time-based one-time password (RFC 6238: SHA-1, six digits, thirty seconds, which every authenticator
app takes), sealed to the server's key. A code works once: its time step must be later than the last
one used.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from typing import Final
from urllib.parse import quote

from keys.pin import secret_matches, secret_verifier
from server.errors import ImportRefused

PASSWORD_LETTERS_MIN: Final = 12
PASSWORD_LETTERS_MAX: Final = 256
SECRET_BYTES: Final = 20
CODE_DIGITS: Final = 6
STEP_S: Final = 30
#: A phone's clock may be a step early or late.
STEPS_AROUND: Final = 1
#: Letters of a password given by somebody else: none that people confuse.
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
#: What a sign-in with an unknown name is compared with, so that it takes as long.
NOBODY: Final = (
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA"
    "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)


def new_password() -> str:
    """A password of 80 random bits in groups of four letters, for a first sign-in."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


def password_verifier(password: str, person: str) -> str:
    """What is kept of a password.

    Raises:
        ImportRefused: shorter than 12 characters, the own name, or one letter over and over.
    """
    if not PASSWORD_LETTERS_MIN <= len(password) <= PASSWORD_LETTERS_MAX:
        raise ImportRefused(f"a password has {PASSWORD_LETTERS_MIN} characters or more")
    if person.lower() in password.lower() or len(set(password)) < 5:
        raise ImportRefused("a password is not the own name, and not the same letters over again")
    return secret_verifier(password)


def password_matches(verifier: str, password: str) -> bool:
    """Whether a password is the one kept; takes a tenth of a second either way."""
    return secret_matches(verifier, password[: PASSWORD_LETTERS_MAX + 1])


def new_secret() -> bytes:
    """Secret of a second factor."""
    return secrets.token_bytes(SECRET_BYTES)


def provisioning_uri(secret: bytes, person: str, issuer: str) -> str:
    """What the QR code for an authenticator app holds (``otpauth://totp/…``)."""
    shown = base64.b32encode(secret).decode("ascii").rstrip("=")
    label = quote(f"{issuer}:{person}")
    return (
        f"otpauth://totp/{label}?secret={shown}&issuer={quote(issuer)}"
        f"&algorithm=SHA1&digits={CODE_DIGITS}&period={STEP_S}"
    )


def code_at(secret: bytes, step: int) -> str:
    """The code of one time step."""
    from cryptography.hazmat.primitives.hashes import SHA1
    from cryptography.hazmat.primitives.twofactor.totp import TOTP

    totp = TOTP(secret, CODE_DIGITS, SHA1(), STEP_S)  # noqa: S303 - RFC 6238, as the apps have it
    return totp.generate(step * STEP_S).decode("ascii")


def step_of(secret: bytes, code: str, now_ms: int, last_step: int) -> int | None:
    """The time step whose code this is, ``None`` if it is of none that may still be used.

    Args:
        secret: of the second factor.
        code: as typed; spaces do not matter.
        now_ms: server time.
        last_step: the last step used; it and all before are spent.
    """
    typed = code.replace(" ", "")
    current = now_ms // 1000 // STEP_S
    for step in range(current - STEPS_AROUND, current + STEPS_AROUND + 1):
        right = hmac.compare_digest(typed.encode("utf-8"), code_at(secret, step).encode("ascii"))
        if right and step > last_step:
            return step
    return None
