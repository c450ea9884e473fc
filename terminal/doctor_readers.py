"""What may be wrong with readers and with what stands between them and us, one remedy a fault.

The card service, the right to use it, the kernel module that takes NFC readers away, a program that
holds a reader, commands that a driver keeps from a reader, and firmware with known faults. Readers
are asked what they show of themselves; no card is powered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from firmware_profiles.model import Sighting, version_text
from readers.errors import ReaderBusy, ReaderError, ServiceRefuses
from terminal.configuration import PositionConfig
from terminal.findings import Finding, bad, good
from terminal.reader_profiles import profiles_of

if TYPE_CHECKING:
    from firmware_profiles.catalogue import Catalogue
    from firmware_profiles.match import Match
    from readers.part10 import Told

#: Kernel modules that take readers with a PN533 or PN532 chip for themselves.
NFC_MODULES: Final = ("pn533_usb", "pn533")
MODULES_FILE: Final = Path("/proc/modules")
START_SERVICE: Final = "sudo systemctl enable --now pcscd.socket"
_RULE: Final = (
    'polkit.addRule(function(a, s) { if (a.id.indexOf("org.debian.pcsc-lite.access_") == 0 '
    '&& s.isInGroup("redcard")) return "yes"; });'
)
ALLOW: Final = f"echo '{_RULE}' | sudo tee /etc/polkit-1/rules.d/50-redcard.rules"
UNLOAD: Final = (
    "echo 'blacklist pn533_usb' | sudo tee /etc/modprobe.d/redcard.conf && "
    "sudo modprobe -r pn533_usb && sudo systemctl restart pcscd"
)
LET_THROUGH: Final = (
    "sudo sed -i '/ifdDriverOptions/,+1 s/0x0000/0x0001/' /etc/libccid_Info.plist && "
    "sudo systemctl restart pcscd"
)


def reader_names() -> Sequence[str]:
    """The readers that the card service lists."""
    from readers.pcsc import reader_names as listed

    return listed()


def ask(name: str) -> Told:
    """What one reader and its driver tell."""
    from readers.pcsc import ask as asked

    return asked(name)


def loaded_modules() -> frozenset[str]:
    """Kernel modules that are loaded; none where the kernel does not say."""
    try:
        text = MODULES_FILE.read_text("ascii", "replace")
    except OSError:
        return frozenset()
    return frozenset(line.split(" ", 1)[0] for line in text.splitlines() if line)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is asked of the machine.

    Attributes:
        names: lists the readers; raises ``ReaderError`` where the service fails.
        ask: asks one reader; ``None`` leaves the readers themselves alone.
        modules: kernel modules that are loaded.
    """

    names: Callable[[], Sequence[str]] = reader_names
    ask: Callable[[str], Told] | None = ask
    modules: Callable[[], frozenset[str]] = loaded_modules


def examine_readers(
    positions: Sequence[PositionConfig], surroundings: Surroundings, home: Path
) -> Iterator[Finding]:
    """Checks the service, then every reader that a position uses, or all without positions.

    Args:
        positions: of the terminal.
        surroundings: the card service, the readers and the kernel.
        home: of the terminal, for the reader profiles that it was sent.
    """
    yield from _kernel(surroundings.modules())
    try:
        names = surroundings.names()
    except ServiceRefuses as error:
        yield bad("polkit", "读卡服务拒绝本用户", str(error), ALLOW)
        return
    except ReaderError as error:
        yield bad("pcscd", "读卡服务未运行", str(error), START_SERVICE)
        return
    yield good("pcscd", f"读卡服务正常，读卡器 {len(names)} 个", f"{len(names)} readers")
    used = [] if positions else list(names)
    for position in positions:
        found = [name for name in names if re.search(position.reader, name)]
        used += [name for name in found if name not in used]
        yield _of_position(position, found, names)
    if surroundings.ask is not None and used:
        catalogue = profiles_of(home)
        for name in used:
            yield from _one(catalogue, name, surroundings.ask)


def _kernel(modules: frozenset[str]) -> Iterator[Finding]:
    taking = [one for one in NFC_MODULES if one in modules]
    if taking:
        yield bad(
            "pn533",
            "内核模块占用 NFC 读卡器",
            f"the kernel module {taking[0]} takes NFC readers away from the card service",
            UNLOAD,
        )


def _of_position(position: PositionConfig, found: Sequence[str], names: Sequence[str]) -> Finding:
    check = f"reader.{position.id}"
    if not found:
        return bad(
            check,
            f"{position.id} 没有读卡器",
            f"no reader matches {position.reader!r}; connected: {', '.join(names) or 'none'}",
            "plug the reader in, or change `reader` in terminal.toml",
        )
    return good(check, f"{position.id} 读卡器 {found[0]}", f"{position.id} reads with {found[0]}")


def _one(catalogue: Catalogue, name: str, ask_reader: Callable[[str], Told]) -> Iterator[Finding]:
    """Faults of one reader; without any, nothing is said."""
    try:
        told = ask_reader(name)
    except ReaderBusy:
        yield bad(
            "exclusive",
            "读卡器被其他程序独占",
            f"another program holds {name} for itself",
            "close it; `sudo fuser -v /run/pcscd/pcscd.comm` names who uses the card service",
        )
        return
    except ReaderError as error:
        yield bad("reader", f"读卡器 {name} 不可用", str(error), "unplug the reader and plug it in")
        return
    match = catalogue.match(told.sighting)
    yield from _escape(match, told, name)
    yield from _firmware(match, told.sighting, name)


def _escape(match: Match, told: Told, name: str) -> Iterator[Finding]:
    """Only where the profile has lights or sounds that need it."""
    feedback = match.profile.feedback
    needs = any(
        command and not command.startswith("FF")
        for command in (feedback.approve, feedback.decline, feedback.busy, feedback.silence)
    )
    if needs and told.escape is None and not match.profile.escape.without_driver_option:
        yield bad(
            "escape",
            "读卡器灯光与提示音被驱动挡住",
            f"the driver of {name} lets no commands for lights and sound through",
            LET_THROUGH,
        )


def _firmware(match: Match, seen: Sighting, name: str) -> Iterator[Finding]:
    fault = match.profile.fault_of(seen.device_version)
    if fault is not None:
        yield bad(
            "firmware",
            "读卡器固件过旧",
            f"{name} has version {version_text(seen.device_version or 0)}; "
            f"below {fault.below} it has a known fault: {fault.issue}",
            f"update the reader's firmware to {fault.below} or later with its maker's tool",
        )
