"""A hardware counter that only grows, and what a ledger and its disk owe to it.

An *anchor* is an entry that carries the counter's name and value: every boot entry, and every
opening and closing of a shift. It is made durable with the value that the counter has next, and
only then is the counter advanced. So a counter that stands above the newest anchor shows that the
disk is older than the machine: it was restored, or it is another machine's. One that stands exactly
one below was interrupted between the two steps, and is advanced now. What was recorded after the
newest anchor the counter cannot vouch for.

Counters wear: a secure element allows some hundred thousand steps, so that no tap ever takes one.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from ledger.entry import Entry, Kind
from ledger.errors import LogFault, LogRolledBack
from ledger.log.disk import sync_directory, translate

#: Fields of an anchor.
VALUE: Final = "counter"
NAME: Final = "counter_name"
#: Kinds whose entries are anchors.
ANCHORS: Final = frozenset({Kind.BOOT.value, Kind.OPEN.value, Kind.CLOSE.value})
COMMAND_TIMEOUT_S: Final = 20.0
#: Below 2^53, the largest integer of an entry.
DIGITS_MAX: Final = 15


class MonotonicCounter(Protocol):
    """A counter that nothing on this machine can set back."""

    @property
    def name(self) -> str:
        """Which counter it is, at most 64 characters, for example its serial number."""

    def read(self) -> int:
        """Its value now.

        Raises:
            LogFault: it does not answer.
        """

    def advance(self) -> None:
        """Adds one; durable in the device on return.

        Raises:
            LogFault: it does not answer; whether it was advanced is known by reading it.
        """


class FileCounter:
    """A counter in a file, for a medium that is not copied along with the ledger's disk.

    A second card or a token's storage that stays in the machine; beside the ledger itself it
    proves nothing against who copies the whole disk, and is for trials alone.
    """

    def __init__(self, path: Path, name: str) -> None:
        """The file holds one decimal number; absent, the counter stands at 0."""
        self._path = path
        self.name = name

    def read(self) -> int:
        """See `MonotonicCounter`."""
        try:
            return _number(self._path.read_text(encoding="ascii"), self.name)
        except FileNotFoundError:
            return 0
        except (OSError, UnicodeDecodeError) as error:
            raise LogFault(f"the counter {self.name} cannot be read: {error}") from error

    def advance(self) -> None:
        """See `MonotonicCounter`."""
        value = self.read() + 1
        beside = self._path.with_name(self._path.name + ".new")
        try:
            with beside.open("w", encoding="ascii") as file:
                file.write(f"{value}\n")
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
            sync_directory(self._path.absolute().parent)
        except OSError as error:
            raise translate(error, self._path) from error


class CommandCounter:
    """A counter behind a program, such as one that asks a TPM or a secure element.

    ``COMMAND read`` prints the value as a decimal number, ``COMMAND advance`` adds one and prints
    the new value. With tpm2-tools these are ``tpm2_nvread`` and ``tpm2_nvincrement``.
    """

    def __init__(self, command: Sequence[str], name: str) -> None:
        """The program and its first arguments; it is never run by a shell."""
        self._command = tuple(command)
        self.name = name

    def read(self) -> int:
        """See `MonotonicCounter`."""
        return self._ask("read")

    def advance(self) -> None:
        """See `MonotonicCounter`."""
        self._ask("advance")

    def _ask(self, what: str) -> int:
        try:
            done = subprocess.run(
                [*self._command, what],
                capture_output=True,
                check=True,
                timeout=COMMAND_TIMEOUT_S,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise LogFault(
                f"the counter {self.name} does not answer ({error}); nothing was recorded;"
                " check the device and the command in terminal.toml"
            ) from error
        return _number(done.stdout.decode("ascii", "replace"), self.name)


class Anchoring:
    """Joins a ledger with its counter: checks at opening, marks anchors, advances after them."""

    def __init__(self, counter: MonotonicCounter, path: str) -> None:
        """Reads nothing yet; ``path`` is the ledger's, for messages."""
        self._counter, self._path = counter, path

    def check(self, newest: Entry | None) -> None:
        """Compares the counter with the newest anchor; finishes a step that was interrupted.

        Raises:
            LogRolledBack: the disk is older than the counter, or the counter is another one.
            LogFault: the counter does not answer.
        """
        if newest is None:
            return
        name, recorded, value = newest.get(NAME), newest.get(VALUE), self._counter.read()
        if name != self._counter.name or not isinstance(recorded, int) or value < recorded - 1:
            raise LogRolledBack(
                f"{self._path}: the ledger knows the counter {name} at {recorded}, here is"
                f" {self._counter.name} at {value}; this is not the machine that wrote it; take no"
                " redemptions and call the federation for a new ledger"
            )
        if value > recorded:
            raise LogRolledBack(
                f"{self._path}: the counter stands at {value}, the ledger's newest anchor at"
                f" {recorded}; the disk was restored or copied; take no redemptions and call the"
                " federation for a new ledger"
            )
        if value < recorded:
            self._counter.advance()

    def mark(self, entries: Sequence[Entry]) -> tuple[Sequence[Entry], int]:
        """The entries with the counter's next values in the anchors among them, and how many."""
        anchors = sum(entry.get("kind") in ANCHORS for entry in entries)
        if not anchors:
            return entries, 0
        value, marked = self._counter.read(), list[Entry]()
        for entry in entries:
            if entry.get("kind") in ANCHORS:
                value += 1
                entry = {**entry, NAME: self._counter.name, VALUE: value}  # noqa: PLW2901
            marked.append(entry)
        return marked, anchors

    def advance(self, steps: int) -> None:
        """Advances the counter past anchors that are durable now."""
        for _ in range(steps):
            self._counter.advance()


def _number(text: str, name: str) -> int:
    stripped = text.strip()
    if not stripped.isdigit() or len(stripped) > DIGITS_MAX:
        raise LogFault(f"the counter {name} answers {stripped[:40]!r}, which is no number")
    return int(stripped)
