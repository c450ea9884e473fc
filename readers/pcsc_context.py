"""One context of the PC/SC service, and the thread in which all that may hang is called.

Nothing in PC/SC has a time limit, and a service that hangs takes its callers with it. Here every
call has one. What does not come back in time is lost with its context: the thread that still
waits releases it, should the call ever return.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Final, TypeVar

from readers.errors import ServiceMissing
from readers.pcsc_codes import CANCELLED, TIMED_OUT, check
from readers.pcsc_link import Link, linked
from readers.watchdog import Watchdog

T = TypeVar("T")

SERVICE_TIMEOUT_MS: Final = 5_000
CANCEL_TIMEOUT_MS: Final = 500
HANGING_MAX: Final = 4
_HANGS: Final = "the card service does not answer; restart pcscd"


class ServiceContext:
    """A context, from ``open`` to ``close``; not to be opened twice.

    Args:
        scard: the library's module, handed in by its one importer.
        name: what it is for, for diagnosis.
    """

    def __init__(self, scard: Any, name: str) -> None:
        self._scard = scard
        self._watchdog = Watchdog(f"PC/SC {name}")
        self._name = name
        self._context: Any = None
        self._link: Link | None = None
        self.lost = False

    @property
    def value(self) -> Any:
        """What the library calls the context."""
        return self._context

    @property
    def hangs(self) -> bool:
        """Whether a call of it has still not returned."""
        return self.lost and self._watchdog.running

    def open(self) -> None:
        """Establishes the context.

        Raises:
            ServiceMissing: the service does not run, refuses us or hangs.
        """
        try:
            self._context = self.call(self._establish, limit_ms=SERVICE_TIMEOUT_MS)
        except TimeoutError as error:
            raise ServiceMissing(_HANGS) from error

    def call(self, function: Callable[..., T], *args: Any, limit_ms: int) -> T:
        """Calls the library.

        Raises:
            TimeoutError: no answer in time; the context is lost and closed.
        """
        try:
            return self._watchdog.call(function, *args, limit_ms=limit_ms)
        except TimeoutError:
            self.lost = True
            self.close()
            raise

    def exchange(self, function: Callable[..., T], *args: Any, limit_ms: int) -> T:
        """As ``call``, in the caller's own thread where a hanging call can be cut off.

        Raises:
            TimeoutError: no answer in time; the context is lost and closed.
        """
        link = self._link
        if self.lost:
            raise TimeoutError("an earlier exchange still hangs")
        if link is None:
            return self.call(function, *args, limit_ms=limit_ms)
        try:
            return link.call(function, *args, limit_ms=limit_ms)
        except TimeoutError:
            self.lost = True
            self.close()
            raise

    def rest(self) -> None:
        """No exchange is to come for a while."""
        if self._link is not None:
            self._link.rest()

    def changes(self, states: list[tuple[str, int]], limit_ms: int) -> list[Any] | None:
        """Waits until a reader is no longer in the state given; ``None`` if none changed.

        Raises:
            ReaderError: what the service answers.
            ServiceMissing: it does not answer although the time is over.
        """
        try:
            code, changed = self.call(
                self._scard.SCardGetStatusChange,
                self._context,
                limit_ms,
                states,
                limit_ms=limit_ms + SERVICE_TIMEOUT_MS,
            )
        except TimeoutError as error:
            raise ServiceMissing(_HANGS) from error
        if code & 0xFFFFFFFF in (CANCELLED, TIMED_OUT):
            return None
        check(code)
        return list(changed)

    def cancel(self) -> None:
        """Makes a running ``changes`` return; called from other threads."""
        context = self._context
        if context is None or self.lost:
            return
        watchdog = Watchdog("PC/SC cancel")  # which asks the service as well, and may hang
        with contextlib.suppress(TimeoutError):
            watchdog.call(self._scard.SCardCancel, context, limit_ms=CANCEL_TIMEOUT_MS)
        watchdog.end()

    def close(self) -> None:
        """Releases the context, in its own thread; never hangs, never raises."""
        context, self._context = self._context, None
        link, self._link = self._link, None
        if link is not None:
            link.close()
        self._watchdog.end(
            None if context is None else lambda: self._scard.SCardReleaseContext(context)
        )

    def _establish(self) -> Any:
        (code, context), link = linked(
            f"PC/SC {self._name}",
            lambda: self._scard.SCardEstablishContext(self._scard.SCARD_SCOPE_USER),
        )
        if self.lost and link is not None:
            link.close()
        elif link is not None:
            self._link = link
        check(code)
        if self.lost:  # too late; nobody will ask for it
            self._scard.SCardReleaseContext(context)
        return context


class Contexts:
    """Makes contexts, one after the other, and no more while too many hang.

    Args:
        scard: the library's module.
        name: what they are for.
    """

    def __init__(self, scard: Any, name: str) -> None:
        self._scard = scard
        self._name = name
        self._all: list[ServiceContext] = []

    def open(self) -> ServiceContext:
        """A fresh context.

        Raises:
            ServiceMissing: the service does not run, refuses us, or hangs.
        """
        self._all = [one for one in self._all if one.hangs]
        if len(self._all) >= HANGING_MAX:
            raise ServiceMissing(_HANGS)
        context = ServiceContext(self._scard, self._name)
        self._all.append(context)
        try:
            context.open()
        except ServiceMissing:
            context.close()
            raise
        return context
