"""How the commands of ``redcard server`` reach the server of a home."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redcard.console import Session
from redcard.errors import UsageInvalid

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_HOME = "server"


def ask_server(session: Session, act: str, **arguments: Any) -> dict[str, Any]:
    """Has one act done: by the running server of the home, or by opening the home itself."""
    from server.administration import ask

    path = session.home_or(DEFAULT_HOME)
    given = {name: value for name, value in arguments.items() if value is not None}
    answer: dict[str, Any] = ask(path, act, given, clock_at(path))
    return answer


def send_file(session: Session, act: str, file: Path, **arguments: Any) -> dict[str, Any]:
    """Has one act done with the bytes of a file."""
    return send_bytes(session, act, file.read_bytes(), **arguments)


def send_bytes(session: Session, act: str, data: bytes, **arguments: Any) -> dict[str, Any]:
    """Has one act done with some bytes."""
    from server.administration import packed

    return ask_server(session, act, data=packed(data), **arguments)


def instant_of(text: str, option: str) -> int:
    """Milliseconds of an RFC 3339 time, 0 for none.

    Raises:
        UsageInvalid: it is no time with a zone.
    """
    if not text:
        return 0
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise UsageInvalid(f"{option} {text!r} is no time like 2026-05-02T09:00:00+08:00")
    return round(found.timestamp() * 1000)


def clock_at(path: Path) -> Callable[[], int]:
    """The clock of a server's home: the machine's, or the demo's."""
    from redcard.demo_clock import clock_of

    return clock_of(path).wall_ms
