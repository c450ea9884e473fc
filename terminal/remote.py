"""The command line's way to a terminal: ask the running service, else be the terminal oneself.

A running service holds the ledger's lock; its address and the token of its start stand in
``run/api.json``, which only this user can read. When none answers, the lock is free (its holder's
death ended it), and the command opens the home in its own process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Protocol

from terminal import work_paths
from terminal.answers import plain
from terminal.counterwork import CounterWork
from terminal.errors import ServiceUnreachable, TerminalError
from terminal.home import ApiAddress, Home
from terminal.surface import TerminalSurface

CONNECT_TIMEOUT_S: Final = 2.0
#: Longer than any tap may wait for its card, plus the work itself.
ANSWER_TIMEOUT_S: Final = 330.0


class Refused(TerminalError):
    """The running service refused a request.

    Attributes:
        status: HTTP status.
        word: stable word for programs, for example ``no_card``.
    """

    def __init__(self, document: Mapping[str, Any], status: int) -> None:
        """Says what the service said."""
        super().__init__(str(document.get("detail") or document.get("title") or status))
        self.status = status
        self.word = str(document.get("status_word") or document.get("rule") or "")


class TerminalDesk(Protocol):
    """What a command may ask, wherever the terminal runs; answers are plain documents."""

    def ask(self, path: str, **query: str) -> Any:
        """A question: ``status``, ``totals``, ``recent``, ``outcome``, ``view``, ``choices``."""

    def act(self, path: str, **body: Any) -> Any:
        """An act: ``tap``, ``void``, ``sync``, ``shift/open``, ``shift/close``, ``acknowledge``."""


class RemoteDesk:
    """Asks the running service over its loopback API."""

    def __init__(self, address: ApiAddress) -> None:
        self._base = f"http://127.0.0.1:{address.port}"
        self._headers = {"authorization": f"Bearer {address.token}"}

    def ask(self, path: str, **query: str) -> Any:
        """See ``TerminalDesk.ask``.

        Raises:
            ServiceUnreachable: nobody answers there.
            Refused: the service said no.
        """
        return self._send("GET", path, params=query)

    def act(self, path: str, **body: Any) -> Any:
        """See ``TerminalDesk.act``; fields that are ``None`` are left out.

        Raises:
            ServiceUnreachable: nobody answers there; send the same nonce again.
            Refused: the service said no.
        """
        given = {name: value for name, value in body.items() if value is not None}
        return self._send("POST", path, json=given)

    def _send(self, method: str, path: str, **more: Any) -> Any:
        import httpx

        timeout = httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        try:
            # Proxies of the environment have no business with a loopback.
            with httpx.Client(timeout=timeout, trust_env=False) as client:
                answer = client.request(
                    method, f"{self._base}/api/{path}", headers=self._headers, **more
                )
            document = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise ServiceUnreachable(
                f"the terminal service at {self._base} does not answer ({type(error).__name__}); "
                "whether it acted is known by asking again with the same nonce"
            ) from error
        if answer.status_code != 200:
            raise Refused(document, answer.status_code)
        return document


class LocalDesk:
    """The terminal in this process; the same paths, without HTTP."""

    def __init__(self, surface: TerminalSurface) -> None:
        self._surface = surface

    def ask(self, path: str, **query: str) -> Any:
        """See ``TerminalDesk.ask``."""
        surface = self._surface
        if path in work_paths.QUESTIONS:
            return work_paths.ask(_work(surface), surface.positions(), path, query)
        position = query.get("position") or surface.positions()[0]
        questions: dict[str, Callable[[], object]] = {
            "status": surface.status,
            "positions": lambda: {"positions": surface.positions()},
            "view": lambda: surface.snapshot_view(position),
            "choices": lambda: {"choices": surface.choices(position)},
            "totals": lambda: surface.totals(position),
            "recent": lambda: {"recent": surface.recent(position)},
            "outcome": lambda: {"answer": surface.outcome_of(query.get("nonce", ""))},
            "unshown": lambda: {"unshown": surface.last_unshown(position)},
        }
        return plain(questions[path]())

    def act(self, path: str, **body: Any) -> Any:
        """See ``TerminalDesk.act``."""
        surface = self._surface
        given = {name: value for name, value in body.items() if value is not None}
        if path in work_paths.ACTS:
            return work_paths.act(_work(surface), surface.positions(), path, given)
        position = given.pop("position", None) or surface.positions()[0]
        acts: dict[str, Callable[[], object]] = {
            "tap": lambda: surface.tap(
                position, given.pop("offer", ""), given.pop("nonce", ""), **given
            ),
            "void": lambda: surface.void(
                position, given.pop("nonce", ""), reason=given.pop("reason", ""), **given
            ),
            "sync": surface.sync_now,
            "acknowledge": lambda: surface.acknowledge(position, given["nonce"]),
            "dismiss": lambda: surface.dismiss(position),
            "shift/open": lambda: surface.open_shift(position, given["operator"]),
            "shift/close": lambda: surface.close_shift(position),
        }
        return plain(acts[path]())


def _work(surface: TerminalSurface) -> CounterWork:
    work = getattr(surface, "work", None)
    assert isinstance(work, CounterWork), "every whole terminal has its daily work"
    return work


def running(home: Home) -> RemoteDesk | None:
    """The running service of a home, ``None`` when none answers."""
    address = home.read_api()
    if address is None:
        return None
    desk = RemoteDesk(address)
    try:
        desk.ask("positions")
    except ServiceUnreachable:
        return None
    return desk


@contextmanager
def desk_of(home: Home, open_here: Callable[[], TerminalSurface]) -> Iterator[TerminalDesk]:
    """The running service, else the terminal in this process.

    Args:
        home: whose terminal.
        open_here: opens and starts it here; what it returns is closed at the end.

    Raises:
        LogLocked: another process holds the ledger and does not answer; the message names it.
    """
    remote = running(home)
    if remote is not None:
        yield remote
        return
    surface = open_here()
    try:
        yield LocalDesk(surface)
    finally:
        close = getattr(surface, "close", None)
        if close is not None:
            close()
