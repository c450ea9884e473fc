"""What the log asks of the disk: one writer, room to finish, and errors that name themselves."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import sys
from pathlib import Path
from typing import Final, Self

from ledger.errors import LogCorrupt, LogFault, LogFull, LogLocked

#: Kept on disk so that a shift can still be closed and synced when the disk is full.
RESERVE_BYTES: Final = 2 << 20
#: Below this much free space only entries that finish something are taken.
FREE_BYTES_MIN: Final = 1 << 20
#: What one commit may take from the disk, write-ahead log and all, generously.
COMMIT_BYTES_MAX: Final = 4 << 20
#: Commits after which the disk is asked again for its free space, however much there was.
UNASKED_COMMITS_MAX: Final = 64
_COMMAND_CHARS_MAX: Final = 200
_PIECE_BYTES: Final = 1 << 20


class WriterLock:
    """The lock file beside a ledger: whoever holds it is the one writer.

    The file stays when the holder goes; the lock itself ends with the process, however it ends.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> Self:
        """Takes the lock of the ledger ``path`` without waiting.

        Raises:
            LogLocked: another process holds it; the message names it.
            LogFault: the lock file cannot be written.
        """
        place = path.with_name(path.name + ".lock")
        try:
            descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise translate(error, place) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 512, 0).decode(errors="replace").strip()
            os.close(descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise translate(error, place) from error
            raise LogLocked(
                f"{path}: already open for writing by {holder or 'another process'};"
                " stop it or ask it over its page; nothing was recorded"
            ) from error
        command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:_COMMAND_CHARS_MAX]
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} ({command})\n".encode(), 0)
        except OSError as error:
            # A full disk must not keep the ledger from opening: the lock holds without its text.
            if error.errno != errno.ENOSPC:
                os.close(descriptor)
                raise translate(error, place) from error
        return cls(descriptor)

    def release(self) -> None:
        """Gives the lock up."""
        os.close(self._descriptor)


class Reserve:
    """A file of real blocks beside the ledger, given up when the disk is full."""

    def __init__(self, path: Path, reserve_bytes: int = RESERVE_BYTES) -> None:
        self._directory = path.parent
        self._place = path.with_name(path.name + ".reserve")
        self._bytes = reserve_bytes
        self._unasked = 0

    def free_bytes(self) -> int:
        """Free space of the disk for this user, in bytes."""
        facts = os.statvfs(self._directory)
        return facts.f_bavail * facts.f_frsize

    def is_low(self) -> bool:
        """Whether only entries that finish something still fit.

        To be asked before each commit. The disk is asked only when so many commits may have used
        up what was free; if some other program fills it meanwhile, SQLite says so, and the reserve
        is still there.
        """
        if self._unasked:
            self._unasked -= 1
            return False
        spare = self.free_bytes() - min(FREE_BYTES_MIN, self._bytes)
        self._unasked = min(max(spare, 0) // COMMIT_BYTES_MAX, UNASKED_COMMITS_MAX)
        return spare < 0

    def release(self) -> None:
        """Gives the blocks back to the disk."""
        self._place.unlink(missing_ok=True)

    def refill(self) -> None:
        """Takes blocks for the next time, if there is plenty of room; keeps them if they are there.

        Raises:
            OSError: the disk refuses although it had room.
        """
        if self._place.exists() or self.free_bytes() < 4 * self._bytes:
            return
        descriptor = os.open(self._place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, self._bytes)
        finally:
            os.close(descriptor)


def rewrite(path: Path) -> None:
    """Writes a file's bytes over themselves and flushes them; does nothing if there is no file.

    After a failed flush the kernel may hold pages to be clean that the disk never had: every reader
    sees them, no later flush writes them, and a power cut takes them. Written again, they are dirty
    again, and this flush tells the truth.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        at = 0
        while piece := os.pread(descriptor, _PIECE_BYTES, at):
            at += os.pwrite(descriptor, piece, at)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(directory: Path) -> None:
    """Makes names created in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def translate(error: OSError | sqlite3.Error, path: str | Path) -> LogFault:
    """The ledger's own error for one of the disk or of SQLite; the caller raises it."""
    name = getattr(error, "sqlite_errorname", "") or ""
    number = error.errno if isinstance(error, OSError) else None
    if name == "SQLITE_FULL" or number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return LogFull(
            f"{path}: the disk is full; nothing was recorded; free some space, then retry"
        )
    if name.startswith("SQLITE_READONLY") or number in (errno.EROFS, errno.EACCES, errno.EPERM):
        return LogFault(
            f"{path}: the disk or the file is read-only ({error}); nothing was recorded;"
            " make it writable for this user, then retry"
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LogLocked(
            f"{path}: some other program holds the file's database lock; nothing was recorded;"
            " close it, then retry"
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return LogCorrupt(
            f"{path}: the file is damaged ({error}); leave it as it is and run"
            " `redcard ledger verify` on a copy"
        )
    return LogFault(
        f"{path}: {error} ({name or type(error).__name__}); whether the last entry was recorded is"
        " known only after closing and opening the ledger again"
    )
