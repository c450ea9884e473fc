"""The one writer of the ledger, and the folds that follow it.

Whoever decides and appends holds ``turn`` for both, so that no other tap comes between. After any
fault of the log the handle is closed; it is opened again through recovery before the next tap, and
until that succeeds nothing is accepted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ledger.entry import Entry, Value
from ledger.errors import LogFault, LogFull
from ledger.log import canonical
from ledger.log.merkle import leaf_hash
from ledger.log.store import LogStore
from ledger.rules.agents import AgentBook
from ledger.rules.goods import GoodsBook
from ledger.rules.leases import LeaseBook
from ledger.rules.reservations import TakenReservations
from ledger.rules.usage import Usage
from terminal.daybook import Daybook

#: Opens the log through recovery; called at start and after every fault.
OpenLog = Callable[[], LogStore]
#: Makes the ``fault`` entry of a reason code.
FaultEntry = Callable[[str], Entry]


@dataclass(frozen=True, slots=True)
class Written:
    """A durable entry: its place, its fields as stored, and the hash of its leaf."""

    seq: int
    entry: Mapping[str, Value]
    leaf: bytes


class LedgerWriter:
    """Holds the open log and the folds over it. Every method expects ``turn`` to be held."""

    def __init__(self, open_log: OpenLog, fault_entry: FaultEntry) -> None:
        """Opens the log and folds it.

        Args:
            open_log: opens the log through recovery.
            fault_entry: makes the entry that records a fault by its reason.

        Raises:
            LogFault: it cannot be opened; the message says what to do.
        """
        self.turn = threading.RLock()
        self.fault = ""
        self._open_log = open_log
        self._fault_entry = fault_entry
        self._unrecorded = ""
        self._log: LogStore | None = None
        self.usage = Usage()
        self.daybook = Daybook()
        self.leases = LeaseBook()
        self.reservations = TakenReservations()
        self.goods = GoodsBook()
        self.agents = AgentBook()
        self.feed_number = 0
        self._folded = 0
        with self.turn:
            self._open()

    @property
    def log(self) -> LogStore:
        """The open log.

        Raises:
            LogFault: it is closed after a fault and cannot be opened again.
        """
        if self._log is None:
            raise LogFault(self.fault or "the ledger is closed; start the terminal again")
        return self._log

    @property
    def size(self) -> int:
        """Entries folded so far: all that were durable when last looked at."""
        return self._folded

    @property
    def ready(self) -> bool:
        """Whether the log accepts an entry; tries recovery when it does not."""
        if self._log is None:
            try:
                self._open()
                if self._unrecorded:
                    # A log that takes this entry takes the next tap too; the fault is on record.
                    self.append(self._fault_entry(self._unrecorded))
                    self._unrecorded = ""
            except LogFault as fault:
                self.fault = str(fault)
                return False
        return True

    def append(self, entry: Entry) -> Written:
        """Appends one entry; durable on return.

        Raises:
            LogFault: it was not, as far as is known; the handle is closed until recovery.
        """
        return self.append_all([entry])[0]

    def append_all(self, entries: Sequence[Entry]) -> list[Written]:
        """Appends entries that belong together: all of them become durable, or none.

        Raises:
            LogFault: they were not, as far as is known; the handle is closed until recovery.
        """
        log = self.log
        try:
            commit = log.append(entries)
            stored = list(log.entries(commit.first_seq, commit.size))
        except LogFault as fault:
            self._poison(fault)
            raise
        written = []
        for seq, data in enumerate(stored, commit.first_seq):
            fields = canonical.decode(data)
            self._fold(seq, fields)
            written.append(Written(seq, fields, leaf_hash(data)))
        return written

    def by_nonce(self, nonce: str) -> tuple[int, Mapping[str, Value]] | None:
        """The entry that bound this nonce first."""
        return self.log.by_nonce(nonce)

    def entry(self, seq: int) -> Mapping[str, Value]:
        """The fields of one entry, empty if there is none."""
        return self.log.entry(seq) or {}

    def is_reversed(self, seq: int) -> bool:
        """Whether a later entry voids this one."""
        return bool(self.log.voids_of(seq))

    def close(self) -> None:
        """Closes the log; a second call does nothing."""
        with self.turn:
            log, self._log = self._log, None
            self.fault = "the terminal is stopped"
            if log is not None:
                log.close()

    def _open(self) -> None:
        log = self._open_log()
        try:
            for seq, data in enumerate(log.entries(self._folded, log.size), self._folded):
                self._fold(seq, canonical.decode(data))
        except BaseException:
            log.close()
            raise
        self._log = log
        self.fault = ""

    def _fold(self, seq: int, entry: Mapping[str, Value]) -> None:
        self.usage.apply(entry)
        self.leases.apply(entry)
        self.reservations.apply(entry)
        self.goods.apply(entry)
        self.agents.apply(entry)
        self.daybook.apply(seq, entry)
        feed = entry.get("feed")
        if isinstance(feed, int):
            self.feed_number = max(self.feed_number, feed)
        self._folded = seq + 1

    def _poison(self, fault: LogFault) -> None:
        """Closes the handle: what the disk holds is known again only after recovery."""
        log, self._log = self._log, None
        self.fault = str(fault)
        if not isinstance(fault, LogFull):
            # A full disk is said by each refused tap; entries about it would fill it further.
            self._unrecorded = "write_failed"
        if log is not None:
            log.close()
