"""Return codes of PC/SC (part 5, annex; pcsclite.h) and what each means to us. Pure."""

from __future__ import annotations

from typing import Final

from readers.errors import (
    CardMute,
    CardRemoved,
    CardUnreadable,
    ReaderBusy,
    ReaderError,
    ReaderFault,
    ReaderMissing,
    ServiceMissing,
    ServiceRefuses,
)

CANCELLED: Final = 0x80100002
TIMED_OUT: Final = 0x8010000A
NO_READERS: Final = 0x8010002E

TORN: Final = "the card left during an exchange; its outcome is unknown"
BUSY: Final = "another program holds the reader; close it"
_NO_SERVICE: Final = "the card service does not run; start pcscd"
_WENT_AWAY: Final = "the card service went away; waiting for its return"

#: What each return code means to us; the rest is ReaderFault.
_ERRORS: Final[dict[int, tuple[type[ReaderError], str]]] = {
    0x8010001D: (ServiceMissing, _NO_SERVICE),
    0x8010001E: (ServiceMissing, _WENT_AWAY),
    0x80100013: (ServiceMissing, _WENT_AWAY),
    0x80100003: (ServiceMissing, _WENT_AWAY),
    0x8010006A: (ServiceRefuses, "the card service refuses this user; allow it in polkit"),
    0x80100009: (ReaderMissing, "the reader is not plugged in"),
    0x80100017: (ReaderMissing, "the reader is not plugged in"),
    0x8010002E: (ReaderMissing, "no reader is plugged in"),
    0x8010000B: (ReaderBusy, BUSY),
    0x8010000C: (CardRemoved, "the card was removed"),
    0x80100069: (CardRemoved, "the card was removed"),
    0x80100016: (CardRemoved, TORN),
    0x80100068: (CardRemoved, "another program reset the card; tap again"),
    0x80100066: (CardMute, "the card has no answer to reset"),
    0x80100067: (CardMute, "the card has no power"),
    0x80100065: (CardUnreadable, "the reader does not know this kind of card"),
    0x8010000F: (CardUnreadable, "the card speaks no protocol that the reader knows"),
}


def check(code: int) -> None:
    """Turns a return code into our exceptions; pyscard gives it signed or not.

    Raises:
        ReaderError: the kind that the code stands for; the message ends in the code.
    """
    code &= 0xFFFFFFFF
    if code == 0:
        return
    kind, meaning = _ERRORS.get(code, (ReaderFault, "the reader failed"))
    raise kind(f"{meaning} ({code:08X})")
