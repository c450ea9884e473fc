"""What every command prints: one JSON document or readable text, progress, and the next step.

Text and the JSON document go to standard output, everything else to standard error. No colour and
no progress bar where the stream is not a terminal.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

EXIT_DONE = 0
EXIT_NO = 1
EXIT_USAGE = 2
EXIT_SURROUNDINGS = 3
EXIT_LEDGER = 4
#: What a running service's refusal means for the caller, by its HTTP status.
_BY_STATUS = {400: EXIT_USAGE, 404: EXIT_USAGE, 409: EXIT_NO}


@dataclass(slots=True)
class Session:
    """What was said before the command's own options.

    Attributes:
        home: where a terminal or server keeps its files.
        as_json: one JSON document on standard output instead of text.
        lang: ``zh`` or ``en``.
    """

    home: Path | None = None
    as_json: bool = False
    lang: str = ""

    def language(self) -> str:
        """The language asked for, else that of the environment; Chinese unless it says English."""
        if self.lang:
            return self.lang
        spoken = os.environ.get("LC_ALL") or os.environ.get("LANG") or "zh"
        return "en" if spoken.startswith("en") else "zh"

    def home_or(self, default: str) -> Path:
        """The home given by ``--home`` or ``REDCARD_HOME``, else ``default`` below ``~``."""
        if self.home is not None:
            return self.home
        named = os.environ.get("REDCARD_HOME")
        return Path(named) if named else Path.home() / ".redcard" / default

    def say(self, zh: str, en: str) -> str:
        """Picks the text of the session's language."""
        return zh if self.language() == "zh" else en


class Progress(Protocol):
    """Told how far long work has come."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Reports ``done`` of ``total`` units."""


def emit(session: Session, document: Mapping[str, Any] | Sequence[Any], text: str) -> None:
    """Prints the result once: the JSON document with ``--json``, else the text."""
    if session.as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2, default=str) + "\n")
    elif text:
        sys.stdout.write(text.rstrip("\n") + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Says something beside the result, on standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def complain(session: Session, message: str, next_step: str, exit_code: int) -> None:
    """Says what went wrong and what to do; with ``--json`` also as the document."""
    if session.as_json:
        document = {"error": message, "next_step": next_step, "exit_code": exit_code}
        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    sys.stderr.write(f"redcard: {message}\n")
    if next_step:
        sys.stderr.write(f"  -> {next_step}\n")


@contextmanager
def progress(session: Session, title: str) -> Iterator[Progress]:
    """Shows a bar on standard error when it is a terminal; silent otherwise.

    Yields:
        A callable ``(done, total, note="")``.
    """
    if session.as_json or not sys.stderr.isatty():
        yield _silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(
        *columns,
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as bar:
        task = bar.add_task(title, total=None, note="")

        def advance(done: int, total: int, note: str = "") -> None:
            bar.update(task, completed=done, total=total, note=note)

        yield advance


def _silent(done: int, total: int, note: str = "") -> None:
    """Reports nothing."""


def table(title: str, headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Lays out a table as text, aligned also for wide characters."""
    from rich.console import Console
    from rich.table import Table

    sheet = Table(title=title or None, title_justify="left", show_edge=False, pad_edge=False)
    for index, header in enumerate(headers):
        numeric = bool(rows) and all(isinstance(row[index], int) for row in rows)
        sheet.add_column(header, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        sheet.add_row(*(str(cell) for cell in row))
    width = 120 if not sys.stdout.isatty() else None
    console = Console(width=width, no_color=not sys.stdout.isatty(), highlight=False)
    with console.capture() as capture:
        console.print(sheet)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def explain(error: BaseException) -> tuple[str, str, int] | None:
    """Turns a declared error into (message, next step, exit code); ``None`` for a defect."""
    from redcard.errors import CommandError

    if isinstance(error, CommandError):
        return str(error), error.next_step, error.exit_code
    for kinds, exit_code, next_step in _families():
        if isinstance(error, kinds):
            status = getattr(error, "status", 0)
            remedy = getattr(error, "next_step", "") or next_step
            return str(error), remedy, _BY_STATUS.get(status, exit_code)
    if isinstance(
        error, FileNotFoundError | PermissionError | IsADirectoryError | NotADirectoryError
    ):
        return (
            f"{error.strerror}: {error.filename}",
            "check the path and its rights",
            EXIT_SURROUNDINGS,
        )
    return None


def _families() -> Iterator[tuple[tuple[type[BaseException], ...], int, str]]:
    """Errors of the packages by what they mean for the caller; the first that matches counts."""
    import keys.errors
    import ledger.errors
    import readers.errors
    import server.errors
    import sync.errors
    import terminal.errors

    look: Callable[[object, str], tuple[type[BaseException], ...]] = _named
    yield look(ledger.errors, "LogLocked"), EXIT_SURROUNDINGS, "stop that program, or ask it"
    yield look(ledger.errors, "LogFault"), EXIT_LEDGER, "stop and run: redcard ledger verify"
    yield look(ledger.errors, "LedgerError"), EXIT_NO, ""
    yield look(readers.errors, "ReaderError"), EXIT_SURROUNDINGS, "run: redcard doctor"
    yield look(sync.errors, "Unreachable"), EXIT_SURROUNDINGS, "check the network and try again"
    yield look(sync.errors, "SyncError"), EXIT_NO, "run: redcard sync status"
    yield look(keys.errors, "KeyStoreError"), EXIT_SURROUNDINGS, "check the key file and passphrase"
    yield look(terminal.errors, "RequestInvalid"), EXIT_USAGE, "see --help"
    yield look(terminal.errors, "PositionUnknown"), EXIT_USAGE, ""
    for name in ("ShiftState", "CollectionState", "GoodsRefused", "PracticeUnavailable"):
        yield look(terminal.errors, name), EXIT_NO, ""
    yield look(terminal.errors, "TerminalError"), EXIT_SURROUNDINGS, "run: redcard doctor"
    yield look(server.errors, "ServerError"), EXIT_NO, ""


def _named(module: object, name: str) -> tuple[type[BaseException], ...]:
    found = getattr(module, name, None)
    return (found,) if isinstance(found, type) and issubclass(found, BaseException) else ()
