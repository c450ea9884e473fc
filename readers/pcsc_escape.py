"""Commands to a PC/SC reader itself. Whether they get through is asked each time, never assumed.

Drivers refuse them unless an option of theirs is set; then they also offer the control code that
takes them (PC/SC part 10, FEATURE_CCID_ESC_COMMAND).
"""

from __future__ import annotations

from typing import Any, Final

from readers import part10
from readers.errors import EscapeOff
from readers.pcsc_codes import check

#: CM_IOCTL_GET_FEATURE_REQUEST is SCARD_CTL_CODE of this (part 10, 2.2).
FEATURE_REQUEST: Final = 3400


def features_of(scard: Any, handle: Any) -> dict[int, int]:
    """The driver's features; none where it does not know the question.

    Raises:
        ProtocolViolation: it answers nonsense.
    """
    code, answer = scard.SCardControl(handle, scard.SCARD_CTL_CODE(FEATURE_REQUEST), [])
    return part10.parse_features(bytes(answer)) if code == 0 else {}


def send_escape(scard: Any, handle: Any, command: bytes) -> bytes:
    """Sends one command to the reader.

    Raises:
        EscapeOff: the driver offers no way.
        ReaderError: what the service answers.
        ProtocolViolation: the driver tells its features wrongly.
    """
    way = features_of(scard, handle).get(part10.FEATURE_CCID_ESCAPE)
    if way is None:
        raise EscapeOff("the reader's driver lets no commands through; set its ifdDriverOptions")
    code, answer = scard.SCardControl(handle, way, list(command))
    check(code)
    return bytes(answer)
