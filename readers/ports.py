"""What a port that was unplugged answers with, whichever library asks it."""

from __future__ import annotations

import termios
from typing import Final

#: A terminal device says it in an error of its own, which is no ``OSError``: pyserial passes it on
#: from every flush, and nfcpy flushes before every command.
PORT_GONE: Final = (OSError, termios.error)


def reason_of(error: BaseException) -> str:
    """The system's words for it."""
    return str(getattr(error, "strerror", None) or error.args[-1] if error.args else error)
