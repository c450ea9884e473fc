"""The way to a token: where its PIN comes from, and its library's errors in our words."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from keys.errors import (
    SecretInvalid,
    StoreExposed,
    StoreLocked,
    StoreUnwritable,
    TokenFault,
    TokenIncapable,
    TokenMissing,
)

PIN_BYTES_MAX: Final = 256

#: Where a PIN comes from: a file that only its owner may read, or something that asks for it.
PinSource = Path | Callable[[], str]


def read_pin(source: PinSource) -> str:
    """Fetches a PIN.

    Args:
        source: a file of mode 0600 whose first line is the PIN, or a function that returns it.

    Raises:
        StoreUnwritable: the file cannot be read.
        StoreExposed: other users may read the file.
        SecretInvalid: the PIN is empty.
    """
    if not isinstance(source, Path):
        pin = source()
    else:
        try:
            with source.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                content = file.read(PIN_BYTES_MAX)
        except OSError as error:
            raise StoreUnwritable(
                f"the PIN cannot be read from {source}: {error.strerror}"
            ) from None
        if mode & 0o077:
            raise StoreExposed(
                f"{source} may be read by other users (mode {mode:04o}); chmod 600 {source}"
            )
        pin = content.decode(errors="replace").split("\n", 1)[0].rstrip("\r")
    if not pin:
        raise SecretInvalid("the PIN is empty")
    return pin


@contextlib.contextmanager
def translated(api: Any, token: str) -> Iterator[None]:
    """Turns errors of python-pkcs11 into those of ``keys.errors``.

    Args:
        api: the library, which only ``keys.pkcs11`` imports.
        token: the token's label, for messages.

    Raises:
        StoreLocked, TokenMissing, TokenIncapable, TokenFault.
    """
    try:
        yield
    except (api.PinIncorrect, api.PinInvalid, api.PinLenRange):
        raise StoreLocked(
            f"token {token} refuses the PIN; it was tried once. Tokens lock after a few "
            "wrong PINs: check it before the next attempt"
        ) from None
    except (api.PinLocked, api.PinExpired, api.UserPinNotInitialized) as error:
        raise StoreLocked(
            f"token {token} does not let its user in ({_said(error)}); its security "
            "officer must set a new PIN"
        ) from None
    except (api.UserAlreadyLoggedIn, api.AnotherUserAlreadyLoggedIn):
        raise TokenFault(
            f"this process has token {token} open already; use that store, or close it"
        ) from None
    except (
        api.NoSuchToken,
        api.TokenNotPresent,
        api.TokenNotRecognised,
        api.DeviceRemoved,
        api.SessionHandleInvalid,
        api.SessionClosed,
    ) as error:
        raise TokenMissing(
            f"token {token} is not there ({_said(error)}); nothing was changed, plug it "
            "in and start again"
        ) from None
    except (
        api.MechanismInvalid,
        api.FunctionNotSupported,
        api.AttributeTypeInvalid,
        api.AttributeValueInvalid,
        api.DomainParamsInvalid,
        api.KeyTypeInconsistent,
        api.TemplateInconsistent,
    ) as error:
        raise TokenIncapable(
            f"token {token} cannot do this ({_said(error)}); keep keys of this kind in "
            "another store"
        ) from None
    except api.PKCS11Error as error:
        raise TokenFault(f"token {token} failed: {_said(error)}") from None


def _said(error: BaseException) -> str:
    """The library's name of an error, and its own text where it has one."""
    return f"{type(error).__name__} {error}".strip()
