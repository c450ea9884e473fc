"""A terminal of a scenario: the real log, rules and sync on a machine whose clock is virtual.

Its disk is a folder with the ledger and the sync database, so that a crash, a restored disk and a
clone are what they are in life: files that are opened again through recovery.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from ledger.entry import Entry, Value
from ledger.errors import LogCorrupt
from ledger.log import canonical
from ledger.log.note import KeySigner
from ledger.log.store import BootFacts, LogStore
from ledger.rules.leases import LeaseBook
from ledger.rules.offer import BrokenOffer, MemberView, Offer, SnapshotAge
from ledger.rules.reservations import Reservation, TakenReservations
from ledger.rules.usage import Usage, UsageView, Use
from redcard.scenario.document import CardSpec, TerminalSpec
from sync.state import SyncState
from terminal.clock import Moment, TimeFloor, moment

#: How long after its start a machine's boot-time clock stands when the program begins.
BOOT_MS: Final = 30_000
RESERVE_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a pull brought into force, whole.

    Attributes:
        pulled_ms: server time of the last sync or pull that went well.
        offers: by identifier.
        cards: by card hash.
        members: by the scenario's name.
        used: uses at all other ledgers.
        settled: nonces of this ledger that are in a settlement statement.
        revoked: this terminal was revoked, or its ledger is quarantined.
        reservations: tokens that the server signed, opened, by their name in the file.
    """

    pulled_ms: int = 0
    offers: Mapping[str, Offer | BrokenOffer] = field(default_factory=dict)
    cards: Mapping[str, CardSpec] = field(default_factory=dict)
    members: Mapping[str, MemberView] = field(default_factory=dict)
    used: Sequence[Use] = ()
    settled: frozenset[str] = frozenset()
    revoked: bool = False
    reservations: Mapping[str, Reservation] = field(default_factory=dict)


class VirtualClock:
    """The clock of one machine, run by the scenario's true time."""

    def __init__(self, true_ms: Callable[[], int], name: str) -> None:
        self._true_ms = true_ms
        self._name = name
        self._boots = 0
        self._booted_ms = true_ms() - BOOT_MS
        self.offset_ms = 0

    def wall_ms(self) -> int:
        """The wall clock, wrong by the offset."""
        return self._true_ms() + self.offset_ms

    def boot_ms(self) -> int:
        """Milliseconds since the machine's start."""
        return self._true_ms() - self._booted_ms

    def boot_id(self) -> str:
        """Names this start of the machine."""
        return sha256(f"{self._name} {self._boots}".encode()).hexdigest()[:16]

    def restart(self) -> None:
        """Power was lost and is back."""
        self._boots += 1
        self._booted_ms = self._true_ms() - BOOT_MS


class Machine:
    """One terminal's hardware, disk and folds; ``till`` decides on it and ``wire`` syncs it."""

    def __init__(
        self,
        name: str,
        spec: TerminalSpec,
        signer: KeySigner,
        disk: Path,
        clock: VirtualClock,
        *,
        genesis: bool = True,
    ) -> None:
        """Starts the machine on its disk; ``genesis`` makes a new ledger first."""
        self.name = name
        self.spec = spec
        self.signer = signer
        self.disk = disk
        self.clock = clock
        self.online = spec.online
        self.snapshot = Snapshot()
        self.floor = TimeFloor(0, "", 0)
        self.verdicts: dict[str, str] = {}
        self.flags: dict[str, list[str]] = {}
        self.crash_at = ""
        self.lose_answer = False
        self.last_sent: bytes | None = None
        self.clock_was_ok = True
        self.broken = False
        self.images: dict[int, Path] | None = None
        self.others = Usage()
        self.sync = self._open_sync()
        if genesis:
            LogStore.create(
                self._ledger_path,
                origin=signer.name,
                signer=signer,
                genesis={},
                boot=self._boot_facts(),
                reserve_bytes=RESERVE_BYTES,
            ).close()
        self.log = self._open_log()

    @property
    def ledger(self) -> str:
        """Ledger id."""
        return self.signer.name.rpartition("/")[2]

    @property
    def _ledger_path(self) -> Path:
        return self.disk / "ledger.db"

    def now(self) -> Moment:
        """The terminal's own time, never below what the server signed."""
        return moment(self.clock, self.floor)

    def append(self, entries: Sequence[Entry]) -> int:
        """Writes entries in one durable commit and folds them; returns the seq of the first."""
        first = self.log.append(entries).first_seq
        self._fold_from(first)
        self._keep_image()
        return first

    def view(self, member: str, offer: Offer | BrokenOffer | None) -> UsageView:
        """Own fold and used-set together."""
        return self.usage.view(member, offer).joined(self.others.view(member, offer))

    def entries(self) -> list[dict[str, Value]]:
        """All entries of the ledger, decoded."""
        return [canonical.decode(data) for data in self.log.entries(0, self.log.size)]

    def install(self, snapshot: Snapshot, server_ms: int) -> None:
        """Applies what a pull brought, whole, and notes the server's signed time."""
        self.snapshot = snapshot
        self.others = Usage()
        for use in snapshot.used:
            self.others.add(use)
        self.hear(server_ms)

    def hear(self, server_ms: int) -> None:
        """Notes a time that the server signed."""
        self.floor = self.floor.raised(server_ms, self.clock)
        self.sync.raise_number("signed_ms", server_ms)

    def age(self, now_ms: int) -> SnapshotAge:
        """How old the snapshot is against the limit of this terminal."""
        limit = self.spec.snapshot_max_age_ms
        passed = now_ms - self.snapshot.pulled_ms
        if limit is None or 2 * passed < limit:
            return SnapshotAge.FRESH
        return SnapshotAge.DEGRADED if passed < limit else SnapshotAge.LOCKED

    def acknowledged(self) -> int:
        """Entries that a stored receipt covers."""
        return self.sync.acknowledged().size

    def restart(self) -> None:
        """Power was lost and is back: the log is opened again through recovery."""
        self._shut()
        self.clock.restart()
        try:
            self._start()
        except LogCorrupt:
            # What is on disk is not what was signed: every tap is T06 until somebody helps.
            self.broken = True

    def put_back(self, image: Path) -> None:
        """Another disk is put in, an older image of this one, and the machine is started."""
        self._shut()
        shutil.rmtree(self.disk)
        shutil.copytree(image, self.disk)
        self.clock.restart()
        self._start()

    def copy_disk(self, target: Path) -> None:
        """Copies the disk as it is now."""
        shutil.copytree(self.disk, target)

    def keep_images(self, folder: Path) -> None:
        """From now on keeps an image of the disk for each size of the ledger."""
        self.images = {}
        self._image_folder = folder
        self._keep_image()

    def close(self) -> None:
        """Closes the files."""
        self._shut()

    def _keep_image(self) -> None:
        if self.images is not None:
            image = self._image_folder / f"{self.name}-{self.log.size}"
            shutil.rmtree(image, ignore_errors=True)
            shutil.copytree(self.disk, image)
            self.images[self.log.size] = image

    def refresh_image(self) -> None:
        """Takes the image of this size again, after sync changed the disk."""
        self._keep_image()

    def _start(self) -> None:
        self.sync = self._open_sync()
        self.floor = TimeFloor(self.sync.number("signed_ms"), "", 0)
        self.log = self._open_log()

    def _shut(self) -> None:
        self.log.close()
        self.sync.close()

    def _open_sync(self) -> SyncState:
        return SyncState.open(self.disk / "sync.db", origin=self.signer.name)

    def _open_log(self) -> LogStore:
        newest = self.sync.receipts()[-1:]
        log = LogStore.open(
            self._ledger_path,
            signer=self.signer,
            boot=self._boot_facts(),
            cosigned=[receipt.note for receipt in newest],
            reserve_bytes=RESERVE_BYTES,
        )
        self.log = log
        self.usage = Usage()
        self.leases = LeaseBook()
        self.reservations = TakenReservations()
        self._fold_from(0)
        return log

    def _fold_from(self, first: int) -> None:
        for data in self.log.entries(first, self.log.size):
            entry = canonical.decode(data)
            self.usage.apply(entry)
            self.leases.apply(entry)
            self.reservations.apply(entry)

    def _boot_facts(self) -> BootFacts:
        now = self.now()
        return BootFacts(self.clock.boot_id(), now.now_ms, now.boot_ms)
