"""PINs of people: what is kept to check one is an Argon2id verifier (RFC 9106), never the PIN.

A PIN has few digits: whoever holds its verifier can try them all, and the cost only makes that
slow. What protects a PIN in use is the lockout of whoever asks for it.
"""

from __future__ import annotations

import os
import re
from typing import Final

from keys.errors import SecretInvalid

PIN_DIGITS_MIN: Final = 4
PIN_DIGITS_MAX: Final = 12
#: Cost of a new verifier: a tenth of a second on a small terminal.
MEMORY_KIB: Final = 19 * 1024
ITERATIONS: Final = 2
LANES: Final = 1
#: A verifier that asks for more is refused: checking a PIN would stop the machine.
MEMORY_KIB_MAX: Final = 256 * 1024
ITERATIONS_MAX: Final = 16
LANES_MAX: Final = 16
_SALT_BYTES: Final = 16
_VERIFIER_BYTES: Final = 32
_PIN: Final = re.compile(rf"[0-9]{{{PIN_DIGITS_MIN},{PIN_DIGITS_MAX}}}\Z")
_PHC: Final = re.compile(
    r"\$argon2id\$v=19\$m=([1-9][0-9]{0,6}),t=([1-9][0-9]?),p=([1-9][0-9]?)"
    r"\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{43}\Z",
    re.ASCII,
)


def pin_verifier(pin: str) -> str:
    """Makes the verifier of a PIN, in the PHC string format, with a salt of its own.

    Raises:
        SecretInvalid: not 4 to 12 digits.
    """
    if not _PIN.match(pin):
        raise SecretInvalid(f"a PIN is {PIN_DIGITS_MIN} to {PIN_DIGITS_MAX} digits")
    return secret_verifier(pin)


def secret_verifier(secret: str) -> str:
    """Makes the verifier of any secret that a person types, in the PHC string format."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    kdf = Argon2id(
        salt=os.urandom(_SALT_BYTES),
        length=_VERIFIER_BYTES,
        iterations=ITERATIONS,
        lanes=LANES,
        memory_cost=MEMORY_KIB,
    )
    return str(kdf.derive_phc_encoded(secret.encode("utf-8")))


def check_verifier(verifier: str) -> None:
    """Lets a verifier pass that a terminal can afford to check.

    Raises:
        SecretInvalid: not an Argon2id verifier in the PHC string format, or too costly.
    """
    found = _PHC.match(verifier)
    if found is None:
        raise SecretInvalid("a PIN's verifier is Argon2id in the PHC string format")
    memory, iterations, lanes = (int(number) for number in found.groups())
    if memory > MEMORY_KIB_MAX or iterations > ITERATIONS_MAX or not 1 <= lanes <= LANES_MAX:
        raise SecretInvalid("the PIN's verifier asks for more than a terminal can give")
    if memory < 8 * lanes:
        raise SecretInvalid("the PIN's verifier is below what RFC 9106 allows")


def pin_matches(verifier: str, pin: str) -> bool:
    """Whether a PIN is the one of a verifier; a malformed one of either matches nothing."""
    return secret_matches(verifier, pin)


def secret_matches(verifier: str, secret: str) -> bool:
    """Whether a secret is the one of a verifier; a malformed verifier matches nothing."""
    from cryptography.exceptions import InvalidKey
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    try:
        check_verifier(verifier)
        Argon2id.verify_phc_encoded(secret.encode("utf-8", "replace"), verifier)
    except (SecretInvalid, InvalidKey, ValueError):
        return False
    return True
