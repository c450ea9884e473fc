"""``terminal.toml``: what an operator sets, read strictly.

A key that is not known is an error that names file, line and field: a misspelt limit must never
pass for an absent one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from readers.lines import is_port
from readers.nfc_field import is_nfc
from terminal.errors import ConfigInvalid

PROFILES: Final = ("counter", "kiosk")
POSITIONS_MAX: Final = 16
#: Tiles of a kiosk that can be touched without reading glasses.
TILES_MAX: Final = 6
SCANNERS_MAX: Final = 16
BAUDRATE_MAX: Final = 4_000_000
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}\Z")
_DURATION: Final = re.compile(r"([1-9][0-9]{0,6})([smhd])\Z")
_UNIT_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_HEADER: Final = re.compile(r"\s*\[+\s*([a-z_]+)\s*\]+")


@dataclass(frozen=True, slots=True)
class PositionConfig:
    """One place where cards are tapped: a page, a reader, a venue and a profile.

    Attributes:
        offer: the offer that a kiosk redeems without being asked; empty at a counter.
        offers: several that a kiosk shows as tiles, one of which is touched before the tap.
        reader: regular expression on reader names; empty takes every reader.
    """

    id: str
    profile: str
    venue: str
    offer: str = ""
    reader: str = ""
    offers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScannerConfig:
    """A scanner or stripe reader on a serial port, or an NFC reader by its path.

    Attributes:
        name: the reader's name, which a position's ``reader`` matches.
        port: device path, ``rfc2217://host:port`` or ``socket://host:port``.
        baudrate: bits per second, 0 for the driver's own.
    """

    name: str
    port: str
    baudrate: int = 0


@dataclass(frozen=True, slots=True)
class PrinterConfig:
    """The receipt printer; without one the browser's own dialogue prints.

    Attributes:
        port: ``/dev/usb/lp0``, ``tcp://host:9100``, ``serial:/dev/ttyS0`` or ``png:folder``.
        paper_mm: 58 or 80.
        glyphs: ideographs that its font has: ``gb2312``, ``gb18030`` or ``none``.
        qr: who draws the QR: ``printer`` or ``dots``.
        cuts: whether it has a knife.
        auto: print a slip for each redemption without being asked.
        baudrate: of a serial line, 0 for the usual one.
    """

    port: str
    paper_mm: int = 58
    glyphs: str = "gb2312"
    qr: str = "printer"
    cuts: bool = True
    auto: bool = False
    baudrate: int = 0


@dataclass(frozen=True, slots=True)
class CounterConfig:
    """A hardware counter that vouches for the ledger's disk (``ledger.log.counter``).

    Attributes:
        name: which counter it is; the ledger names it, so that another one is noticed.
        file: file on a medium of its own, or empty.
        command: program that answers to ``read`` and ``advance``, or empty.
    """

    name: str
    file: str = ""
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TerminalConfig:
    """All of ``terminal.toml``.

    Attributes:
        name: the terminal's name on pages and in reports, for example ``XC-DS-01``.
        server: base address of the central server; empty works without a network.
        sync_every_ms: how often the courier asks the server when nothing else calls.
        snapshot_max_age_ms: age from which every new tap is T02, ``None`` for never.
        offline_cap: approvals without a connection since the last receipt, ``None`` for no cap.
        passphrase_file: file with the passphrase of the key store, relative to the home.
        port: port of the loopback API, 0 for any free one.
        demo: test keys are accepted; never set outside the demo.
        scanners: scanners and stripe readers; they identify, and never authenticate.
        nfc: NFC readers that the card service does not reach.
        printer: the receipt printer of this machine, if it has one.
        counter: the hardware counter of this machine, if it has one.
    """

    positions: tuple[PositionConfig, ...]
    name: str = "terminal"
    server: str = ""
    sync_every_ms: int = 10_000
    snapshot_max_age_ms: int | None = None
    offline_cap: int | None = None
    passphrase_file: str = "passphrase"  # noqa: S105 - a file name, no secret
    port: int = 0
    demo: bool = False
    scanners: tuple[ScannerConfig, ...] = ()
    nfc: tuple[ScannerConfig, ...] = ()
    printer: PrinterConfig | None = None
    counter: CounterConfig | None = None


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of the file with its name and whereabouts, for messages."""

    source: str
    text: str
    name: str
    values: Mapping[str, Any]
    index: int | None = None
    known: frozenset[str] = field(default_factory=frozenset)

    def refuse(self, key: str, message: str) -> ConfigInvalid:
        place = self.name if self.index is None else f"{self.name}[{self.index}]"
        line = _line_of(self.text, self.name, self.index or 0, key)
        return ConfigInvalid(message, path=self.source, field=f"{place}.{key}", line=line)

    def text_of(self, key: str, default: str | None = None) -> str:
        value = self.values.get(key, default)
        if value is None:
            raise self.refuse(key, "is missing; add it")
        if not isinstance(value, str):
            raise self.refuse(key, f"must be a text in quotes, not {value!r}")
        return value

    def texts_of(self, key: str) -> tuple[str, ...]:
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.refuse(key, 'must be a list of texts: ["…", "…"]')
        return tuple(value)

    def number_of(self, key: str, default: int | None, low: int, high: int) -> int | None:
        value = self.values.get(key, default)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.refuse(key, f"must be a whole number from {low} to {high}, not {value!r}")
        return value

    def duration_of(self, key: str, default: int | None) -> int | None:
        value = self.values.get(key)
        if value is None:
            return default
        match = _DURATION.match(value) if isinstance(value, str) else None
        if match is None:
            raise self.refuse(key, f'must be a duration such as "72h" or "10s", not {value!r}')
        return int(match[1]) * _UNIT_MS[match[2]]

    def choice_of(self, key: str, known: tuple[str, ...]) -> str:
        value = self.text_of(key, known[0])
        if value not in known:
            raise self.refuse(key, f"must be {' or '.join(known)}, not {value!r}")
        return value

    def flag_of(self, key: str, *, default: bool = False) -> bool:
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self.refuse(key, f"must be true or false, not {value!r}")
        return value


_TERMINAL_KEYS: Final = frozenset(
    "name server sync_every snapshot_max_age offline_cap passphrase_file port demo"
    " counter_name counter_file counter_command".split()
)
_POSITION_KEYS: Final = frozenset("id profile venue offer offers reader".split())
_SCANNER_KEYS: Final = frozenset("name port baudrate".split())
#: Tables of ports: their keys, what a port may look like, and that in words.
_PORTS: Final = {
    "scanner": (_SCANNER_KEYS, is_port, "a path below /dev, rfc2217://… or socket://…"),
    "nfc": (_SCANNER_KEYS - {"baudrate"}, is_nfc, "a path below /dev, usb:… or udp:…"),
}
_PRINTER_KEYS: Final = frozenset("port paper_mm glyphs qr cuts auto baudrate".split())
_PRINTER_PORT: Final = re.compile(r"(/dev/|serial:/dev/|tcp://|png:)\S+\Z")


def parse(text: str, source: str = "terminal.toml") -> TerminalConfig:
    """Reads a configuration.

    Args:
        text: the whole file.
        source: its name, for messages.

    Raises:
        ConfigInvalid: syntax, an unknown key, a missing one or a value out of range.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) if found else None
        raise ConfigInvalid(f"is not TOML: {error}", path=source, line=line) from None
    for key in document:
        if key not in {"terminal", "position", "scanner", "nfc", "printer"}:
            line = _line_of(text, "", 0, key) or _header_line(text, key)
            known = "[terminal], [printer], [[position]], [[scanner]] and [[nfc]]"
            raise ConfigInvalid(
                f"is not known; this file has {known}", path=source, field=key, line=line
            )
    terminal = _terminal(document, text, source)
    return TerminalConfig(
        positions=_positions(document, text, source),
        scanners=_ports(document, text, source, "scanner"),
        nfc=_ports(document, text, source, "nfc"),
        printer=_printer(document, text, source),
        **terminal,
    )


def _terminal(document: Mapping[str, Any], text: str, source: str) -> dict[str, Any]:
    values = document.get("terminal", {})
    if not isinstance(values, dict):
        raise ConfigInvalid("must be a table: [terminal]", path=source, field="terminal")
    table = _Table(source, text, "terminal", values)
    _refuse_unknown(table, _TERMINAL_KEYS)
    server = table.text_of("server", "").rstrip("/")
    if server and not re.match(r"https?://[^/\s]+", server):
        raise table.refuse("server", "must start with https:// (or http:// on this machine)")
    return {
        "name": table.text_of("name", "terminal"),
        "server": server,
        "sync_every_ms": table.duration_of("sync_every", 10_000),
        "snapshot_max_age_ms": table.duration_of("snapshot_max_age", None),
        "offline_cap": table.number_of("offline_cap", None, 0, 100_000),
        "passphrase_file": table.text_of("passphrase_file", "passphrase"),
        "port": table.number_of("port", 0, 0, 65_535),
        "demo": table.flag_of("demo"),
        "counter": _counter(table),
    }


def _counter(table: _Table) -> CounterConfig | None:
    file, command = table.text_of("counter_file", ""), table.texts_of("counter_command")
    name = table.text_of("counter_name", "")
    if not file and not command and not name:
        return None
    if not re.match(r"[!-~][ -~]{0,63}\Z", name):
        raise table.refuse("counter_name", "is its serial number: 1 to 64 letters, digits, signs")
    if bool(file) == bool(command):
        raise table.refuse("counter_name", "needs counter_file or counter_command, one of the two")
    return CounterConfig(name, file, command)


def _tables(document: Mapping[str, Any], name: str, source: str) -> list[Mapping[str, Any]]:
    entries = document.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigInvalid(f"must be tables: [[{name}]]", path=source, field=name)
    return entries


def _ports(
    document: Mapping[str, Any], text: str, source: str, kind: str
) -> tuple[ScannerConfig, ...]:
    entries = _tables(document, kind, source)
    if len(entries) > SCANNERS_MAX:
        raise ConfigInvalid(f"has more than {SCANNERS_MAX}", path=source, field=kind)
    keys, fits, wanted = _PORTS[kind]
    ports: list[ScannerConfig] = []
    for index, values in enumerate(entries):
        table = _Table(source, text, kind, values, index)
        _refuse_unknown(table, keys)
        name, port = table.text_of("name"), table.text_of("port")
        if name in {other.name for other in ports}:
            raise table.refuse("name", f"{name!r} is used twice; names must differ")
        if not fits(port):
            raise table.refuse("port", f"must be {wanted}")
        baudrate = table.number_of("baudrate", 0, 0, BAUDRATE_MAX) or 0
        ports.append(ScannerConfig(name, port, baudrate))
    return tuple(ports)


def _printer(document: Mapping[str, Any], text: str, source: str) -> PrinterConfig | None:
    values = document.get("printer")
    if values is None:
        return None
    if not isinstance(values, dict):
        raise ConfigInvalid("must be a table: [printer]", path=source, field="printer")
    table = _Table(source, text, "printer", values)
    _refuse_unknown(table, _PRINTER_KEYS)
    port = table.text_of("port")
    if not _PRINTER_PORT.match(port):
        raise table.refuse("port", 'is "/dev/usb/lp0", "tcp://host:9100" or the like')
    paper_mm = table.number_of("paper_mm", 58, 1, 999) or 58
    if paper_mm not in (58, 80):
        raise table.refuse("paper_mm", f"must be 58 or 80, not {paper_mm}")
    return PrinterConfig(
        port,
        paper_mm,
        table.choice_of("glyphs", ("gb2312", "gb18030", "none")),
        table.choice_of("qr", ("printer", "dots")),
        table.flag_of("cuts", default=True),
        table.flag_of("auto"),
        table.number_of("baudrate", 0, 0, BAUDRATE_MAX) or 0,
    )


def _positions(document: Mapping[str, Any], text: str, source: str) -> tuple[PositionConfig, ...]:
    entries = _tables(document, "position", source)
    if not 1 <= len(entries) <= POSITIONS_MAX:
        raise ConfigInvalid(
            f"needs 1 to {POSITIONS_MAX} tables [[position]], has {len(entries)}",
            path=source,
            field="position",
        )
    positions: list[PositionConfig] = []
    for index, values in enumerate(entries):
        position = _position(_Table(source, text, "position", values, index))
        if position.id in {other.id for other in positions}:
            table = _Table(source, text, "position", values, index)
            raise table.refuse("id", f"{position.id!r} is used twice; ids must differ")
        positions.append(position)
    return tuple(positions)


def _position(table: _Table) -> PositionConfig:
    _refuse_unknown(table, _POSITION_KEYS)
    name, profile = table.text_of("id"), table.text_of("profile")
    if not _NAME.match(name):
        raise table.refuse("id", "must be 1 to 32 of a-z, 0-9, - and _")
    if profile not in PROFILES:
        raise table.refuse("profile", f"must be counter or kiosk, not {profile!r}")
    offer, reader = table.text_of("offer", ""), table.text_of("reader", "")
    offers = table.texts_of("offers")
    if profile == "kiosk" and not offer and not offers:
        raise table.refuse("offer", "is missing; a kiosk needs the offer that it redeems")
    if offers and (offer or profile != "kiosk" or not 2 <= len(set(offers)) <= TILES_MAX):
        raise table.refuse("offers", f"are 2 to {TILES_MAX} of a kiosk, instead of `offer`")
    try:
        re.compile(reader)
    except re.error as error:
        raise table.refuse("reader", f"is no regular expression: {error}") from None
    return PositionConfig(name, profile, table.text_of("venue"), offer, reader, offers)


def _refuse_unknown(table: _Table, known: frozenset[str]) -> None:
    for key in table.values:
        if key not in known:
            raise table.refuse(key, f"is not known; known are {', '.join(sorted(known))}")


def _header_line(text: str, name: str) -> int | None:
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header and header[1] == name:
            return number
    return None


def _line_of(text: str, table: str, index: int, key: str) -> int | None:
    """The line that sets a key, or the header of its table when the key is missing."""
    current, seen, header_line = "", -1, None
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header:
            current = header[1]
            seen += current == table
            if current == table and seen == index:
                header_line = number
        elif current == table and (not table or seen == index):
            name = line.partition("=")[0].strip().strip("\"'")
            if name == key:
                return number
    return header_line
