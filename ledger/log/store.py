"""The writer of a log: an entry is durable, and its checkpoint signed, when `append` returns.

Contract of `LogStore.append`, on which green light and receipts rest:

- all entries of one call become durable together with one signed checkpoint, or none does;
- when it returns, they are on disk (WAL, ``synchronous=FULL``);
- when it raises `EntryInvalid`, `NotCanonical`, `LogFull` for the reserve, or `LogFault` for the
  key, nothing was written and the store still works;
- when it raises any other `LogFault`, whether the entries are durable is not known: the store
  refuses everything until it is closed and opened again, and opening finds out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

from ledger.entry import Entry, Kind
from ledger.errors import LogFault, LogFull, LogPoisoned
from ledger.log import commit, schema
from ledger.log.checkpoint import HeadSigner
from ledger.log.commit import Commit
from ledger.log.counter import Anchoring, MonotonicCounter
from ledger.log.disk import RESERVE_BYTES, Reserve, WriterLock, rewrite, sync_directory, translate
from ledger.log.merkle import join
from ledger.log.note import Signer, Verifier, vkey
from ledger.log.reading import BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, StoredLog
from ledger.log.recovery import BootFacts, Head, Nonces, recover
from ledger.log.stamping import stamp

__all__ = ["BootFacts", "Commit", "LogStore"]

#: Pages of the write-ahead log after which it is copied into the main file.
WAL_PAGES_MAX: Final = 2_000
#: Kinds that finish something and may use the reserve of a full disk.
_FINISHING: Final = frozenset(
    {Kind.CLOSE, Kind.LEASE_CLOSE, Kind.VOID, Kind.CLOCK, Kind.FAULT, Kind.BOOT, Kind.KEYROT}
)


class LogStore(StoredLog):
    """The one writer of a log. Safe to share between threads of one process."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: str,
        signer: Signer,
        lock: WriterLock | None = None,
        reserve: Reserve | None = None,
    ) -> None:
        """Use `create` or `open`."""
        super().__init__(connection, path)
        self._signer = signer
        self._lock = lock
        self._reserve = reserve
        self._head = Head()
        self._nonces: Nonces = []
        self._signs: HeadSigner | None = None
        self._anchoring: Anchoring | None = None
        self._boot = ""
        self._unknown: str | None = None
        self._closed = False
        self._wal_pages = 0

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        origin: str,
        signer: Signer,
        genesis: Entry,
        boot: BootFacts,
        reserve_bytes: int = RESERVE_BYTES,
        counter: MonotonicCounter | None = None,
    ) -> Self:
        """Makes a new log: its genesis entry and the first boot entry, signed and durable.

        Args:
            path: file to make, or ``:memory:`` for a log that ends with the process.
            origin: identity of the log; the signer's name.
            signer: the log's own key.
            genesis: further fields of the genesis entry (software, previous ledger, …).
            boot: what the machine says of itself.
            reserve_bytes: disk space kept for closing and syncing on a full disk.
            counter: a hardware counter that vouches for the disk (`ledger.log.counter`).

        Raises:
            LogFault: there is a ledger already, or the disk or the counter refuses.
        """
        if signer.name != origin:
            raise LogFault(f"{path}: the key signs for {signer.name}, not for {origin}")
        self = cls._connect(path, signer, reserve_bytes, create=True)
        with self._or_abandon():
            schema.migrate(self._connection, self.path)
            self._refuse_second()
            commit.prepare(self._connection)
            self._origin, self._boot = origin, boot.boot
            key = vkey(origin, signer.public_key, signer.note_type)
            first: Entry = {
                "epoch": boot.epoch,
                "ts_ms": boot.ts_ms,
                "mono_ms": boot.mono_ms,
                **genesis,
                "kind": Kind.GENESIS.value,
                "origin": origin,
                "vkey": key,
            }
            if counter is not None:
                self._anchoring = Anchoring(counter, self.path)
            self._commit([first, boot.entry(0)], identity=(origin, key))
            if self._reserve is not None:
                sync_directory(Path(path).absolute().parent)
                self._reserve.refill()
        return self

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        signer: Signer,
        boot: BootFacts,
        cosigned: Sequence[bytes] = (),
        cosigners: Sequence[Verifier] = (),
        reserve_bytes: int = RESERVE_BYTES,
        counter: MonotonicCounter | None = None,
    ) -> Self:
        """Recovers a log and takes it for writing; adds a boot entry after a start of the system.

        Args:
            path: the ledger file.
            signer: the log's own key.
            boot: what the machine says of itself.
            cosigned: the server's receipts kept by sync, whole notes; the newest suffices.
            cosigners: the server's keys; if given, the receipts are verified.
            reserve_bytes: disk space kept for closing and syncing on a full disk.
            counter: the hardware counter that vouches for the disk (`ledger.log.counter`).

        Raises:
            LogLocked: another process writes it.
            LogCorrupt, LogRolledBack: what is on disk is not what was signed.
            SchemaNewer: a newer version wrote it.
            LogFault: it cannot be read or written.
        """
        self = cls._connect(path, signer, reserve_bytes, create=False)
        with self._or_abandon():
            reserve = self._reserve
            if reserve is None:
                raise LogFault("a ledger in memory ends with its process; nothing was opened")
            self._origin = schema.check(self._connection, self.path)
            schema.migrate(self._connection, self.path)
            self._head, self._nonces, acknowledged = recover(
                self, self._connection, signer, cosigned, cosigners
            )
            if counter is not None:
                self._anchoring = Anchoring(counter, self.path)
                self._anchoring.check(self.newest_anchor())
            if reserve.is_low():
                reserve.release()
            # A commit whose flush failed may sit in the page cache alone, and was just read.
            rewrite(Path(f"{path}-wal"))
            self._copy_wal("TRUNCATE")
            commit.prepare(self._connection)
            self._boot = boot.boot
            if self._head.boot != boot.boot:
                self._commit([boot.entry(acknowledged)])
            reserve.refill()
        return self

    @property
    def size(self) -> int:
        """Number of durable entries."""
        return self._head.size

    @property
    def boot(self) -> str:
        """The boot that entries of this process carry."""
        return self._boot

    @property
    def root(self) -> bytes:
        """Merkle root over all entries."""
        return self._head.frontier.root()

    def _not_indexed(self, nonce: str) -> list[tuple[Any, ...]]:
        statement = "SELECT seq, entry FROM entry WHERE seq = ?"
        return [
            row
            for known, seq in tuple(self._nonces)
            if known == nonce
            for row in self._all(statement, seq)
        ]

    def append(self, entries: Sequence[Entry]) -> Commit:
        """Appends entries in one durable, signed commit (contract in the module's docstring).

        Args:
            entries: at least one and at most 500, each with ``kind``, ``ts_ms``, ``mono_ms`` and
                the fields of its kind; ``v``, ``seq`` and ``boot`` are stamped here.

        Raises:
            EntryInvalid, NotCanonical: an entry is wrong; nothing was written.
            LogFull: no room beyond the reserve.
            LogPoisoned: an earlier error left the log unknown; close and open it again.
            LogFault: the disk or the key failed.
        """
        with self._guard:
            if self._closed:
                raise LogFault(f"{self.path}: the ledger is closed; nothing was recorded")
            if self._unknown is not None:
                raise LogPoisoned(
                    f"{self.path}: after an earlier error ({self._unknown}) nothing is recorded"
                    " until the ledger was closed, opened and checked"
                )
            if self._reserve is not None:
                self._keep_reserve(self._reserve, entries)
            return self._commit(entries)

    def close(self) -> None:
        """Copies the write-ahead log into the file, closes it and gives up the lock.

        Raises:
            LogFault: the disk refuses the copy; what was appended is durable all the same.
        """
        with self._guard:
            if self._closed:
                return
            try:
                if self._unknown is None:
                    self._copy_wal("TRUNCATE")
            except sqlite3.Error as error:
                raise translate(error, self.path) from error
            finally:
                self._abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @classmethod
    def _connect(
        cls, path: str | Path, signer: Signer, reserve_bytes: int, *, create: bool
    ) -> Self:
        if str(path) == schema.MEMORY:
            return cls(schema.connect_writer(schema.MEMORY), schema.MEMORY, signer)
        place = Path(path).absolute()
        if not create and not place.is_file():
            raise LogFault(f"{path}: there is no ledger here; `redcard init` makes one")
        lock = WriterLock.take(place)
        try:
            place.touch(mode=0o600)
            connection = schema.connect_writer(place)
        except (sqlite3.Error, OSError) as error:
            lock.release()
            raise translate(error, path) from error
        except LogFault:
            lock.release()
            raise
        return cls(connection, str(path), signer, lock, Reserve(place, reserve_bytes))

    @contextmanager
    def _or_abandon(self) -> Iterator[None]:
        """Closes the file again if it cannot be opened as a log."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self._abandon()
            raise translate(error, self.path) from error
        except BaseException:
            self._abandon()
            raise

    def _refuse_second(self) -> None:
        if self._all("SELECT origin FROM log"):
            raise LogFault(f"{self.path}: there is a ledger already; nothing was changed")

    def _keep_reserve(self, reserve: Reserve, entries: Sequence[Entry]) -> None:
        if not reserve.is_low():
            return
        if not all(entry.get("kind") in _FINISHING for entry in entries):
            raise LogFull(
                f"{self.path}: the disk is full but for the reserve that closing the shift needs;"
                " nothing was recorded; close the shift, sync, and free some space"
            )
        reserve.release()

    def _commit(self, entries: Sequence[Entry], identity: tuple[str, str] | None = None) -> Commit:
        head, anchoring = self._head, self._anchoring
        entries, anchors = anchoring.mark(entries) if anchoring is not None else (entries, 0)
        stamped = stamp(entries, head, self._boot)
        tiles, tail, complete = head.extend(stamped.leaves)
        size = head.size + len(stamped.rows)
        root = join(tiles.nodes + tail.nodes)
        note = self._sign(size, root)
        # The head's checkpoint is replaced in place until one must stay, so that every batch of
        # BATCH_ENTRIES_MAX entries and BATCH_BYTES_MAX bytes can end at a stored checkpoint.
        anchor, since = head.anchor, head.anchor_bytes + stamped.total_bytes
        stays = size - anchor > BATCH_ENTRIES_MAX or since > BATCH_BYTES_MAX
        if stays:
            anchor, since = head.size, stamped.total_bytes
        try:
            if complete or stays or identity is not None or len(stamped.rows) > 1:
                self._connection.execute("BEGIN IMMEDIATE")
                if identity is not None:
                    commit.write_identity(self._connection, *identity)
                commit.write_rows(self._connection, stamped.rows)
                commit.write_tiles(
                    self._connection,
                    head.tiles.size,
                    complete,
                    (*self._nonces, *stamped.nonces) if complete else (),
                )
                commit.write_head(
                    self._connection, size, note, instead_of=0 if stays else head.size
                )
                self._connection.execute("COMMIT")
            else:
                commit.write_one(self._connection, stamped.rows[0], size, note)
        except (sqlite3.Error, OSError) as error:
            self._unknown = str(error)
            raise translate(error, self.path) from error
        except BaseException:
            self._unknown = "interrupted while writing"
            raise
        self._head = Head(tiles, tail, anchor, since, self._boot, stamped.mono_ms)
        self._nonces += stamped.nonces
        if complete:
            indexed = tiles.size * schema.TILE_ENTRIES
            self._nonces = [one for one in self._nonces if one[1] >= indexed]
        self._wal_pages += 3 + stamped.total_bytes // 1024
        if self._wal_pages > WAL_PAGES_MAX:
            self._tidy()
        if anchoring is not None:
            self._advance(anchoring, anchors)
        return Commit(head.size, size, root, note)

    def _advance(self, anchoring: Anchoring, anchors: int) -> None:
        """Advances the counter; a failure leaves the entries durable but stops more."""
        try:
            anchoring.advance(anchors)
        except LogFault as error:
            self._unknown = str(error)

    def _sign(self, size: int, root: bytes) -> bytes:
        try:
            if self._signs is None:
                self._signs = HeadSigner(self._origin, self._signer)
            return self._signs.sign(size, root)
        except Exception as error:
            raise LogFault(
                f"{self.path}: the ledger's key does not sign ({error}); nothing was recorded"
            ) from error

    def _tidy(self) -> None:
        """Copies the write-ahead log; a failure here leaves the entries durable but stops more."""
        try:
            self._copy_wal("PASSIVE")
        except sqlite3.Error as error:
            self._unknown = str(error)

    def _copy_wal(self, mode: str) -> None:
        self._connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
        self._wal_pages = 0

    def _abandon(self) -> None:
        """Closes without a word; what is durable is found by the next opening."""
        self._closed = True
        try:
            self._connection.close()
        finally:
            if self._lock is not None:
                self._lock.release()
