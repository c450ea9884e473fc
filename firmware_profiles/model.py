"""What is known of one reader model, and what one reader shows of itself. Data, not code."""

from __future__ import annotations

from enum import StrEnum, unique

import msgspec


@unique
class Exchange(StrEnum):
    """Level at which the reader exchanges with cards (USB CCID 1.1, 5.1, dwFeatures)."""

    EXTENDED = "extended"
    SHORT = "short"
    TPDU = "tpdu"
    CHARACTER = "character"


@unique
class Role(StrEnum):
    """What a slot takes."""

    PICC = "picc"
    ICC = "icc"
    SAM = "sam"


@unique
class Driver(StrEnum):
    """Which of our drivers reaches the reader."""

    PCSC = "pcsc"
    NFC = "nfc"
    SERIAL = "serial"


@unique
class Quirk(StrEnum):
    """Behaviour that drivers or operators must know of."""

    KERNEL_PN533_GRABS = "kernel_pn533_grabs"
    SLOW_WHEN_EMPTY = "slow_when_empty"
    UNSTABLE_REPORTED = "unstable_reported"
    EXTENDED_NOT_SENT = "extended_not_sent"
    SHARED_USB_ID = "shared_usb_id"
    BLUETOOTH = "bluetooth"
    NOT_HARDWARE = "not_hardware"


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Unknown keys are errors: a misspelt field must not be a silent default."""


class MatchRule(_Part, frozen=True, kw_only=True):
    """How the model is recognised. What is given and can be seen must fit.

    Attributes:
        vid: USB vendor as four hexadecimal digits.
        pid: USB product as four hexadecimal digits.
        name: regular expression searched in the reader's name.
        interface: regular expression searched in the name of the USB interface.
        device_version: lowest and highest bcdDevice, as ``"2.00"``.
        firmware: regular expression searched in the firmware's own name.
        exchange: for generic profiles only, the exchange level.
        specificity: 0 to 9, decides between rules that otherwise weigh the same.
        examples: names of real readers of this model; each must come back to this profile.
    """

    vid: str = ""
    pid: str = ""
    name: str = ""
    interface: str = ""
    device_version: tuple[str, str] | None = None
    firmware: str = ""
    exchange: Exchange | None = None
    specificity: int = 0
    examples: tuple[str, ...] = ()


class Slots(_Part, frozen=True, kw_only=True):
    """What slots the reader has, by role."""

    roles: tuple[Role, ...]


class ApduLimits(_Part, frozen=True, kw_only=True):
    """How much goes through at once.

    Attributes:
        exchange: exchange level.
        message_bytes_max: longest CCID message (dwMaxCCIDMessageLength), 0 if not known.
    """

    exchange: Exchange
    message_bytes_max: int = 0


class Timing(_Part, frozen=True, kw_only=True):
    """How long the reader takes, in milliseconds, where it is known to be unusual."""

    connect_ms: int = 0
    slot_status_ms: int = 0
    answer_ms: int = 0
    removal_ms: int = 0


class Escape(_Part, frozen=True, kw_only=True):
    """How commands reach the reader itself. Always probed, never assumed.

    Attributes:
        without_driver_option: the driver lets them through unasked.
        via_transmit: pseudo-APDUs go through SCardTransmit while a card is present.
        linux, macos, windows: number that SCARD_CTL_CODE is made of where the driver itself tells
            none (libccid on the first two, the system's own driver on the last).
    """

    without_driver_option: bool = False
    via_transmit: bool = False
    linux: int = 1
    macos: int = 1
    windows: int = 3500


class KnownBad(_Part, frozen=True, kw_only=True):
    """A firmware or device version range with a known fault.

    Attributes:
        below: versions lower than this are affected, as ``"2.06"``.
        since: but none lower than this; empty: all of them.
        issue: where that is written.
    """

    below: str
    since: str = ""
    issue: str


class Firmware(_Part, frozen=True, kw_only=True):
    """How to ask for the firmware, and what is wrong with which.

    Attributes:
        query: command as hexadecimal digits, empty if there is none.
        parse: regular expression over the answer read as Latin-1.
        minimum: the lowest device version that drivers accept, as ``"2.06"``; empty: any.
        known_bad: version ranges with faults.
    """

    query: str = ""
    parse: str = ""
    minimum: str = ""
    known_bad: tuple[KnownBad, ...] = ()


class Feedback(_Part, frozen=True, kw_only=True):
    """Commands for light and sound as hexadecimal digits; empty where there is none.

    ``silence`` turns off the reader's own beep on detection: a card that is seen is not yet a
    redemption.
    """

    approve: str = ""
    decline: str = ""
    busy: str = ""
    silence: str = ""


class Polling(_Part, frozen=True, kw_only=True):
    """How the reader itself looks for cards.

    Attributes:
        start: command that lets it look by itself, as hexadecimal digits; empty: not known.
        stop: command that makes it stop.
        interval_ms: how often it looks, 0 if not known.
    """

    start: str = ""
    stop: str = ""
    interval_ms: int = 0


class Evidence(_Part, frozen=True, kw_only=True):
    """Where the facts come from.

    Attributes:
        source: document, file or issue.
        date: day it was read, ``YYYY-MM-DD``.
        tested_by: who ran the reader, empty while nobody has.
    """

    source: str
    date: str
    tested_by: str = ""


class ReaderProfile(_Part, frozen=True, kw_only=True):
    """One reader model, as its TOML file says.

    Attributes:
        id: name of the file without its ending.
        title: manufacturer and model.
        driver: which driver reaches it.
    """

    id: str
    title: str
    driver: Driver = Driver.PCSC
    match: MatchRule
    slots: Slots
    apdu: ApduLimits
    timing: Timing = Timing()
    escape: Escape = Escape()
    firmware: Firmware = Firmware()
    feedback: Feedback = Feedback()
    polling: Polling = Polling()
    quirks: tuple[Quirk, ...] = ()
    notes: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...]

    @property
    def generic(self) -> bool:
        """Whether it stands for all readers of one exchange level."""
        return self.match.exchange is not None

    def fault_of(self, device_version: int | None) -> KnownBad | None:
        """The known fault of a device version, or ``None``; what is not known has none."""
        if device_version is None:
            return None
        for one in self.firmware.known_bad:
            since = version_number(one.since) if one.since else 0
            if since <= device_version < version_number(one.below):
                return one
        return None


class Sighting(_Part, frozen=True, kw_only=True):
    """What one reader shows of itself; what is not known is empty or ``None``.

    Attributes:
        name: the name under which the service lists it.
        interface: name of its USB interface.
        vid: USB vendor.
        pid: USB product.
        device_version: bcdDevice, 0x0207 for 2.07.
        firmware: the firmware's own name.
        exchange: exchange level.
    """

    name: str = ""
    interface: str = ""
    vid: int | None = None
    pid: int | None = None
    device_version: int | None = None
    firmware: str = ""
    exchange: Exchange | None = None


def version_text(number: int) -> str:
    """The opposite of ``version_number``: 0x0207 is ``"2.07"``."""
    return f"{number >> 8:x}.{number & 0xFF:02x}"


def version_number(text: str) -> int:
    """The binary coded decimal of ``"2.07"``: 0x0207.

    Raises:
        ValueError: not two numbers of two digits at most.
    """
    major, dot, minor = text.partition(".")
    if not (dot and major.isdigit() and minor.isdigit() and len(major) <= 2 and len(minor) == 2):
        raise ValueError(f"{text!r} is no version such as 2.07")
    return int(major, 16) << 8 | int(minor, 16)
