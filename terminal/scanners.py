"""The scanners and stripe readers that a terminal's configuration names, as drivers."""

from __future__ import annotations

from readers.serial_port import BAUDRATE, SerialReader
from readers.supervision import CardReader
from terminal.configuration import TerminalConfig


def scanners_of(config: TerminalConfig) -> list[CardReader]:
    """One driver each, not started."""
    return [
        SerialReader(one.port, one.name, baudrate=one.baudrate or BAUDRATE)
        for one in config.scanners
    ]
