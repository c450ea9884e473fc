"""All readers of this machine, across drivers, each with what is known of its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from firmware_profiles.catalogue import Catalogue
from firmware_profiles.match import Match
from firmware_profiles.model import Driver, Sighting
from readers import pcsc
from readers.errors import ReaderError
from readers.identity import SlotRole, parse_reader_name


@dataclass(frozen=True, slots=True)
class FoundReader:
    """One reader.

    Attributes:
        driver: which driver reaches it.
        name: its name there; part of it is what a pattern in the configuration matches.
        role: what the slot takes, as far as its name says.
        sighting: what it shows of itself.
        match: the profile that fits best, with score and reasons.
        remark: why it told no more of itself, or empty.
    """

    driver: Driver
    name: str
    role: SlotRole
    sighting: Sighting
    match: Match
    remark: str = ""


def discover(catalogue: Catalogue) -> list[FoundReader]:
    """Lists the readers of the PC/SC service.

    Readers in use are listed too; they tell less of themselves, and ``remark`` says why.

    Raises:
        ServiceMissing: the PC/SC service does not run.
    """
    found = []
    for name in pcsc.reader_names():
        remark = ""
        try:
            sighting = pcsc.look_at(name)
        except ReaderError as error:
            sighting, remark = Sighting(name=name), str(error)
        match = catalogue.match(sighting)
        role = _role(name, match)
        found.append(FoundReader(Driver.PCSC, name, role, sighting, match, remark))
    return found


def _role(name: str, match: Match) -> SlotRole:
    """What the slot takes: by its name, else by a profile of its own that knows one kind only."""
    role = parse_reader_name(name).role
    known = match.profile.slots.roles
    if role is SlotRole.UNKNOWN and not match.profile.generic and match.score and len(known) == 1:
        return SlotRole(known[0].value)
    return role


def discover_ports(
    catalogue: Catalogue, *, nfc: Mapping[str, str], serial: Mapping[str, str]
) -> list[FoundReader]:
    """Readers at ports that a configuration names; none is opened, for it may be in use.

    Args:
        catalogue: the reader profiles.
        nfc: names of NFC readers by their paths.
        serial: names of scanners and stripe readers by their ports.
    """
    found = []
    for driver, ports in ((Driver.NFC, nfc), (Driver.SERIAL, serial)):
        for port, name in ports.items():
            sighting = Sighting(name=f"{name} {Path(port).name}")
            role = SlotRole.PICC if driver is Driver.NFC else SlotRole.UNKNOWN
            gone = port.startswith("/") and not Path(port).exists()
            remark = f"{port} is not plugged in" if gone else port
            found.append(
                FoundReader(driver, name, role, sighting, catalogue.match(sighting), remark)
            )
    return found
