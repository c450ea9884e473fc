"""The print desk: slips wait in a short queue and are printed by a thread of their own.

Whoever redeems never waits for paper: :meth:`PrintDesk.print` returns at once, and a fault is a
lamp, not an error. A slip that does not come out is tried again for a while, then given up; it can
always be printed again from the ledger.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from terminal.errors import PrinterFault

if TYPE_CHECKING:
    # A machine without a printer shows its lamp and pays for no more.
    from terminal.receipts.escpos import Model
    from terminal.receipts.layout import Line
    from terminal.receipts.ports import PrinterPort

SLIPS_WAITING_MAX: Final = 32
ATTEMPTS_MAX: Final = 5
RETRY_AFTER_S: Final = 3.0
STOP_LIMIT_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class PrinterShown:
    """The printer as pages show it.

    Attributes:
        state: ``none`` (the browser prints), ``ready``, ``printing`` or ``fault``.
        detail: what is wrong, a sentence for whoever looks after the machine.
        waiting: slips that are still to come out.
        printed: slips since the start.
    """

    state: str = "none"
    detail: str = ""
    waiting: int = 0
    printed: int = 0


#: A machine without a receipt printer.
NO_PRINTER: Final = PrinterShown()


@dataclass(frozen=True, slots=True)
class Slip:
    """What is to be printed: lines, and the text of the QR or nothing."""

    lines: tuple[Line, ...]
    qr: str = ""


class PrintDesk:
    """One printer with its queue. Every method may be called from any thread."""

    def __init__(
        self,
        port: PrinterPort,
        model: Model,
        *,
        changed: Callable[[], None] = lambda: None,
        auto: bool = False,
        retry_after_s: float = RETRY_AFTER_S,
    ) -> None:
        """Takes the way to a printer.

        Args:
            port: the way.
            model: what the printer can do.
            changed: called after each change of :attr:`shown`.
            auto: whether each redemption prints its slip unasked.
            retry_after_s: pause between attempts.
        """
        self.port = port
        self.model = model
        self.changed = changed
        self.auto = auto
        self._retry_after_s = retry_after_s
        self._queue: deque[Slip] = deque()
        self._news = threading.Condition()
        self._shown = PrinterShown("ready")
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="printer", daemon=True)

    def start(self) -> None:
        """Begins to print."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the slip under way; what waits can be printed again from the ledger."""
        with self._news:
            self._ended = True
            self._news.notify_all()
        if self._thread.is_alive():
            self._thread.join(STOP_LIMIT_S)

    @property
    def shown(self) -> PrinterShown:
        """The printer's state now."""
        with self._news:
            return self._shown

    def print(self, lines: Sequence[Line], qr: str = "") -> bool:
        """Puts a slip into the queue; ``False`` when it is full, and the slip was not taken."""
        with self._news:
            if self._ended or len(self._queue) >= SLIPS_WAITING_MAX:
                return False
            self._queue.append(Slip(tuple(lines), qr))
            self._tell(self._shown.state, self._shown.detail)
            self._news.notify_all()
        self.changed()
        return True

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._queue or self._ended)
                if self._ended:
                    return
                slip = self._queue.popleft()
                self._tell("printing")
            self.changed()
            self._print(slip)
            self.changed()

    def _print(self, slip: Slip) -> None:
        """Tries a slip until it is out, given up, or the desk ends."""
        for _ in range(ATTEMPTS_MAX):
            try:
                self.port.send(self._encoded(slip))
            except PrinterFault as fault:
                with self._news:
                    self._tell("fault", str(fault))
                self.changed()
                with self._news:
                    if self._news.wait_for(lambda: self._ended, self._retry_after_s):
                        return
            else:
                with self._news:
                    self._tell("ready", printed=1)
                return

    def _encoded(self, slip: Slip) -> bytes:
        from terminal.receipts.escpos import encode
        from terminal.receipts.raster import draw

        try:
            return encode(slip.lines, slip.qr, self.model, draw)
        except ValueError as error:
            raise PrinterFault(f"this slip cannot be printed: {error}") from error

    def _tell(self, state: str, detail: str = "", printed: int = 0) -> None:
        total = self._shown.printed + printed
        self._shown = PrinterShown(state, detail, len(self._queue), total)
