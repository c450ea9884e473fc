"""How the commands of ``redcard server`` reach the server of a home."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from redcard.console import Session

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
    from server.administration import packed

    return ask_server(session, act, data=packed(file.read_bytes()), **arguments)


def clock_at(path: Path) -> Callable[[], int]:
    """The clock of a server's home: the machine's, or the demo's."""
    from redcard.demo_clock import clock_of

    return clock_of(path).wall_ms
