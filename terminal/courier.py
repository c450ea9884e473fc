"""When to push and pull: in the background, with jittered backoff, never holding up a tap."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from secrets import SystemRandom
from typing import Final

from keys.errors import KeyStoreError
from ledger.errors import LedgerError
from sync.client import Client, SyncResult
from sync.errors import SyncError
from sync.retry import Backoff
from sync.uplink import PushResult, SyncStatus
from terminal.answers import SyncAnswer
from terminal.errors import JournalFault, SnapshotRefused
from terminal.journal import WIPED, Journal
from terminal.state import TerminalFacts
from terminal.writer import LedgerWriter

#: Widest wait after failures; a station that comes back is served within a minute.
BACKOFF_MS_MAX: Final = 60_000
#: After a tap, so that taps in a row travel together.
NUDGE_DELAY_S: Final = 0.3
#: The floor is stored again only when it has moved by this much: a flush costs the disk.
FLOOR_STEP_MS: Final = 60_000
STOP_TIMEOUT_S: Final = 10.0

_LOG: Final = logging.getLogger("redcard.courier")
#: What the journal remembers of the server's word on this ledger.
STANDING: Final = "standing"
_FAULTS: Final = (SyncError, LedgerError, SnapshotRefused, JournalFault, KeyStoreError, OSError)
_FAILED: Final = frozenset(
    {
        SyncStatus.OFFLINE,
        SyncStatus.OVERLOADED,
        SyncStatus.UNVERIFIED,
        SyncStatus.REFUSED,
        SyncStatus.NEED_FROM,
    }
)


class Courier:
    """Carries entries up and snapshots down. ``sync_now`` may be called from any thread.

    Args:
        client: the terminal's end of sync.
        facts: told of every exchange.
        journal: keeps the time floor.
        writer: the ledger, for its size and for recovery while nobody taps.
        arrived: takes over what a pull brought: snapshot and feed.
        changed: told that pages have something new to show.
        report: told after an exchange that went well, to tell the server of this terminal.
        every_ms: how often to ask when nothing calls.
    """

    def __init__(
        self,
        *,
        client: Client | None,
        facts: TerminalFacts,
        journal: Journal,
        writer: LedgerWriter,
        arrived: Callable[[], None],
        changed: Callable[[], None],
        every_ms: int,
        report: Callable[[Client], None] = lambda _client: None,
        carried: Callable[[], int] = lambda: 0,
    ) -> None:
        self.client = client
        self._report = report
        #: Puts in force what came by stick; the server-signed time of it, 0 if there is nothing.
        self._carried = carried
        self._facts = facts
        self._journal = journal
        self._writer = writer
        self._arrived = arrived
        self._changed = changed
        #: How often to ask when nothing calls, milliseconds; may be set from afar.
        self.every_ms = every_ms
        self._backoff = Backoff(cap_ms=BACKOFF_MS_MAX)
        self._turn = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0
        self._progress = (False, 0, 0)

    @property
    def progress(self) -> tuple[bool, int, int]:
        """Whether a push is under way, entries acknowledged of it, and their total."""
        return self._progress

    def start(self) -> None:
        """Begins to travel; without a server it only sees to it that a failed ledger recovers."""
        if self._thread is not None:
            return
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends after the exchange under way."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT_S)

    def nudge(self) -> None:
        """There is something to push; ignored while the server cannot be reached."""
        if self._failures == 0:
            self._wake.set()

    def sync_now(self) -> SyncAnswer:
        """One push and one pull in the caller's thread; an unreachable server is a status."""
        if signed_ms := self._carried():
            self._raise_floor(signed_ms)
            self._changed()
        if self.client is None:
            return self._answer("offline", 0, "no server is set in terminal.toml")
        with self._turn:
            before = self._facts.link.acknowledged
            self._progress = (True, 0, max(0, self._writer.size - before))
            self._changed()
            try:
                result = self.client.sync(self._moved)
                answer = self._take(result, before)
            except _FAULTS as error:
                self._facts.update_link(failed=True, problem=str(error))
                answer = self._answer("refused", 0, str(error))
            finally:
                self._progress = (False, 0, 0)
            self._failures = 0 if answer.status == "ok" else self._failures + 1
            self._changed()
            return answer

    def _moved(self, push: PushResult) -> None:
        busy, _, total = self._progress
        self._facts.update_link(acknowledged=push.size)
        self._progress = (busy, max(0, total - push.pending), total)
        self._changed()

    def _take(self, result: SyncResult, before: int) -> SyncAnswer:
        assert self.client is not None  # who calls has looked
        detail = result.push.detail or result.pull.detail
        if result.status in _FAILED:
            self._facts.update_link(failed=True, problem=detail, acknowledged=result.push.size)
        else:
            self._facts.heard(acknowledged=result.push.size, problem=detail)
            self._stand(result.status.value)
            self._raise_floor(self.client.signed_ms())
            self._arrived()
            self._report(self.client)
        return self._answer(result.status.value, result.push.size - before, detail)

    def recall_standing(self) -> None:
        """A revoked terminal is revoked after a restart too, before it has heard anybody."""
        self._stand(self._journal.fact(STANDING))

    def _stand(self, word: str) -> None:
        revoked = word == SyncStatus.REVOKED or bool(self._journal.fact(WIPED))
        barred = word in {SyncStatus.QUARANTINED, SyncStatus.INCONSISTENT}
        self._facts.update_link(revoked=revoked, quarantined=barred)
        standing = word if word == SyncStatus.REVOKED or barred else ""
        if standing != self._journal.fact(STANDING):
            self._journal.store_fact(STANDING, standing)

    def _raise_floor(self, signed_ms: int) -> None:
        floor, stored = self._facts.time.signed(signed_ms), self._journal.floor()
        clock = self._facts.time.clock
        if floor.signed_ms - stored.at(clock) >= FLOOR_STEP_MS or stored.boot_id != floor.boot_id:
            self._journal.store_floor(floor)

    def _answer(self, status: str, pushed: int, problem: str) -> SyncAnswer:
        acknowledged = self._facts.link.acknowledged
        return SyncAnswer(
            status=status,
            pushed=max(0, pushed),
            acknowledged=acknowledged,
            pending=max(0, self._writer.size - acknowledged),
            snapshot=self._facts.snapshot_age(self._facts.time.now()).value,
            problem=problem,
        )

    def _run(self) -> None:
        random = SystemRandom()
        while not self._stopping.is_set():
            try:
                self.sync_now()
                with self._writer.turn:
                    # A ledger that failed is opened again also while nobody taps.
                    self._writer.ready  # noqa: B018 - asking is what tries recovery
            except Exception:  # noqa: BLE001 - logged; the thread must go on
                # The courier's thread must outlive any fault of its own; the tap path does not
                # depend on it, and status shows that nothing travels.
                _LOG.exception("an exchange failed for a reason of our own")
                self._failures += 1
                self._facts.update_link(failed=True, problem="sync failed; see the log")
            self._sleep(random)

    def _sleep(self, random: SystemRandom) -> None:
        delay_ms = self.every_ms
        if self._failures:
            delay_ms = 500 + self._backoff.delay_ms(self._failures, random.random())
        if self._wake.wait(delay_ms / 1000) and not self._stopping.is_set():
            self._stopping.wait(NUDGE_DELAY_S)
        self._wake.clear()
