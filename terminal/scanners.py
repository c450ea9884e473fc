"""The readers that a terminal's configuration names by their ports, as drivers."""

from __future__ import annotations

from readers.supervision import CardReader
from terminal.configuration import TerminalConfig


def scanners_of(config: TerminalConfig) -> list[CardReader]:
    """One driver each for scanners, stripe readers and NFC readers, not started."""
    found: list[CardReader] = []
    if config.scanners:
        from readers.serial_port import BAUDRATE, SerialReader

        found += (
            SerialReader(one.port, one.name, baudrate=one.baudrate or BAUDRATE)
            for one in config.scanners
        )
    if config.nfc:
        from readers.nfc import NfcReader

        found += (NfcReader(one.port, one.name) for one in config.nfc)
    return found
