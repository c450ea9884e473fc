"""At which level a reader without a profile of its own exchanges, by its USB id or its name.

The facts are the USB descriptors that the authors of libccid collected; a reader often does not
tell the level itself. PC/SC says at most how long an APDU may be (part 10, 2.6.14), and libccid
says the same of TPDUs as of extended APDUs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from firmware_profiles.errors import ProfileInvalid
from firmware_profiles.model import Exchange, Sighting, version_number

FORMAT: Final = "redcard-exchange-levels/v1"
NAME_CHARACTERS_MAX: Final = 256
#: Of several levels that a reader may have, the one that surely works: short APDUs always do.
_CAUTION: Final = (Exchange.SHORT, Exchange.TPDU, Exchange.CHARACTER, Exchange.EXTENDED)


class Level(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One descriptor's level.

    Attributes:
        exchange: the level.
        interface: name of the USB interface that has it, where interfaces differ.
        device_version: bcdDevice of the reader that was read, where versions differ.
    """

    exchange: Exchange
    interface: str = ""
    device_version: str = ""


class ListedReader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One USB id.

    Attributes:
        usb: ``"072F:2200"``.
        names: under which libccid lists it.
        levels: one, or several where interfaces or versions differ.
    """

    usb: str
    names: tuple[str, ...]
    levels: tuple[Level, ...]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    source: str
    date: str
    readers: tuple[ListedReader, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A level, and how it was found, in words."""

    exchange: Exchange
    why: str


@dataclass(frozen=True, slots=True)
class ExchangeLevels:
    """The list, by USB id and by name."""

    by_usb: Mapping[str, ListedReader] = field(default_factory=dict)
    by_name: Mapping[str, tuple[ListedReader, ...]] = field(default_factory=dict)

    def of(self, seen: Sighting) -> Finding | None:
        """The level of a reader, or ``None`` if neither its USB id nor its name is listed.

        What a reader shows of its USB id counts alone; its name is asked only when it shows none.
        """
        if seen.vid is not None and seen.pid is not None:
            usb = f"{seen.vid:04X}:{seen.pid:04X}"
            listed = self.by_usb.get(usb)
            return _finding((listed,), seen, f"USB id {usb}") if listed else None
        name = self._listed_name(seen.name)
        return _finding(self.by_name[name], seen, f"name {name}") if name else None

    def _listed_name(self, name: str) -> str:
        """The longest listed name with which a reader's name begins, word for word."""
        words = name[:NAME_CHARACTERS_MAX].split(" ")
        for count in range(len(words), 0, -1):
            begins = " ".join(words[:count])
            if begins in self.by_name:
                return begins
        return ""


def parse_levels(data: bytes, file_name: str) -> ExchangeLevels:
    """Reads the list.

    Raises:
        ProfileInvalid: the file is wrong; the message names it and the fault.
    """
    try:
        listed = msgspec.json.decode(data, type=_File)
        for one in listed.readers:
            for level in one.levels:
                if level.device_version:
                    version_number(level.device_version)
    except (msgspec.DecodeError, ValueError) as error:
        raise ProfileInvalid(f"{file_name}: {error}") from error
    if listed.format != FORMAT:
        raise ProfileInvalid(f"{file_name}: format is {listed.format!r}, not {FORMAT}")
    by_usb: dict[str, ListedReader] = {}
    by_name: dict[str, tuple[ListedReader, ...]] = {}
    for one in listed.readers:
        if one.usb in by_usb or not one.levels:
            raise ProfileInvalid(f"{file_name}: {one.usb} is there twice, or without a level")
        by_usb[one.usb] = one
        for name in one.names:
            by_name[name] = (*by_name.get(name, ()), one)
    return ExchangeLevels(by_usb, by_name)


def _finding(listed: Iterable[ListedReader], seen: Sighting, what: str) -> Finding:
    levels = [level for one in listed for level in one.levels]
    by_interface = [one for one in levels if one.interface and one.interface == seen.interface]
    levels = by_interface or levels
    by_version = [
        one
        for one in levels
        if one.device_version and version_number(one.device_version) == seen.device_version
    ]
    possible = {one.exchange for one in by_version or levels}
    surest = next(one for one in _CAUTION if one in possible)
    doubt = "" if len(possible) == 1 else ", the surest of " + ", ".join(sorted(possible))
    return Finding(surest, f"{what}: its USB descriptor says {surest.value}{doubt}")
