"""A ledger's life of years: its key is replaced, it is followed by another, and it is pruned.

None of this runs beside a writer: each takes the lock. Time comes as an argument.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from ledger.entry import Entry, Kind
from ledger.errors import LogFault, NoteInvalid
from ledger.log import schema
from ledger.log.audit import verify_directory
from ledger.log.audit_report import Report, parse_keys
from ledger.log.checkpoint import Cosigned, parse, verify_cosignature
from ledger.log.counter import MonotonicCounter
from ledger.log.disk import WriterLock, sync_directory, translate
from ledger.log.note import Ed25519Verifier, Signature, Signer, Verifier, split_note, vkey
from ledger.log.reading import LogReader, StoredLog
from ledger.log.recovery import BootFacts
from ledger.log.rotation import roster_of
from ledger.log.store import LogStore

#: How long a closed ledger stays after the server confirmed its last entry.
RETENTION_DAYS: Final = 400
_DAY_S: Final = 86_400


def rotate(
    path: str | Path,
    *,
    old: Signer,
    new: Signer,
    boot: BootFacts,
    cosigned: Sequence[bytes] = (),
    cosigners: Sequence[Verifier] = (),
    counter: MonotonicCounter | None = None,
) -> int:
    """Replaces the key of a ledger; may be called again after a crash at any point.

    The `keyrot` entry is appended and signed by the old key; then the new key signs the same
    checkpoint. Until that is on disk the ledger opens with the old key, from then on with either,
    and after the next entry with the new one alone.

    Args:
        path: the ledger, closed.
        old: the key that signs now.
        new: the key that follows, of the same name.
        boot: what the machine says of itself; its clocks are the entry's.
        cosigned: the server's receipts, as of `LogStore.open`.
        cosigners: the server's keys.
        counter: the hardware counter of the machine, as of `LogStore.open`.

    Returns:
        The size up to which the old key signs and from which the new one does.

    Raises:
        LogFault: the keys are not two keys of this ledger, or it cannot be opened or written.
    """
    if old.name != new.name or old.public_key == new.public_key:
        raise LogFault(f"{path}: a rotation needs another key of the same name, {old.name}")
    named = vkey(new.name, new.public_key, new.note_type)
    with LogStore.open(
        path, signer=old, boot=boot, cosigned=cosigned, cosigners=cosigners, counter=counter
    ) as store:
        last = store.entry(store.size - 1) or {}
        if (last.get("kind"), last.get("vkey")) != (Kind.KEYROT, named):
            clocks = {"ts_ms": boot.ts_ms, "mono_ms": _not_before(boot.mono_ms, last)}
            store.append([{"kind": Kind.KEYROT.value, "vkey": named, **clocks}])
        size, note = store.checkpoint()
    _countersign(Path(path), size, note, new)
    return size


def _not_before(mono_ms: int, last: Entry) -> int:
    """The boot facts are as old as the process; the entry stands after the last one."""
    before = last.get("mono_ms", 0)
    return max(mono_ms, before) if isinstance(before, int) else mono_ms


def _countersign(path: Path, size: int, note: bytes, new: Signer) -> None:
    text, lines = split_note(note)
    if any(line.key_id == new.key_id for line in lines):
        return
    signature = Signature(new.name, new.key_id, new.sign(text.encode()))
    both = (note + signature.line().encode()).decode()
    lock = WriterLock.take(path.absolute())
    try:
        with closing(schema.connect_writer(path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO rotation (size, note) VALUES (?, ?)", (size, both))
            done = connection.execute(
                "UPDATE checkpoint SET note = ? WHERE size = ? AND note = ?",
                (both, size, note.decode()),
            )
            if done.rowcount != 1:
                raise LogFault(f"{path}: the ledger grew while its key was replaced; try again")
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.Error as error:
        raise translate(error, path) from error
    finally:
        lock.release()


def keys_of(path: str | Path) -> list[str]:
    """Verifier keys of a ledger, oldest first: of its genesis, and of every rotation that holds."""
    place, report = Path(path), Report()
    with closing(schema.connect_reader(place)) as connection:
        origin = schema.check(connection, str(place))
        try:
            (own,) = connection.execute("SELECT vkey FROM log").fetchone()
        except sqlite3.Error as error:
            raise translate(error, place) from error
        keys = parse_keys([schema.text_of(own, str(place))], report)
        roster = roster_of(connection, origin, keys, report)
    return [vkey(key.name, key.public_key, key.note_type) for key in roster.keys]


def succession(previous: StoredLog) -> Entry:
    """Fields of the genesis of the ledger that follows: which ledger it follows, and where."""
    size, note = previous.checkpoint()
    text, _ = split_note(note)
    return {
        "previous_origin": previous.origin,
        "previous_size": size,
        "previous_root": parse(text).root.hex(),
    }


def why_not_prune(
    path: str | Path,
    *,
    archive: str | Path,
    successor: str | Path,
    cosigned: Sequence[bytes],
    cosigners: Sequence[Ed25519Verifier],
    vkeys: Sequence[str],
    now_ms: int,
) -> list[str]:
    """Reasons for which a ledger file must stay; none if it may be removed.

    Args:
        path: the ledger file.
        archive: its export, wherever it is kept.
        successor: the ledger that follows it; its genesis must name this one's last head.
        cosigned: the server's receipts, whole notes.
        cosigners: the server's keys.
        vkeys: trusted keys to verify the archive with, of the ledger and of the server.
        now_ms: the time now, milliseconds since the Unix epoch.
    """
    log_file = Path(f"{path}-wal")
    reasons = []
    if log_file.exists() and log_file.stat().st_size:
        reasons.append("it was not closed cleanly: open and close it first")
    with LogReader.open(path) as log:
        size, note = log.checkpoint()
        head, follows = parse(split_note(note)[0]), succession(log)
    with LogReader.open(successor) as log:
        genesis = log.entry(0) or {}
        if not genesis.items() >= follows.items():
            reasons.append(f"{successor} does not follow it: it is not closed")
    receipts = [found for one in cosigned if (found := _receipt(one, cosigners)) is not None]
    covering = [one for one in receipts if one.checkpoint == head]
    if not covering:
        reasons.append(f"the server has not confirmed its last head, of {size} entries")
    elif now_ms // 1000 - min(one.time_s for one in covering) < RETENTION_DAYS * _DAY_S:
        reasons.append(f"its last receipt is not {RETENTION_DAYS} days old")
    try:
        report = verify_directory(archive, vkeys)
    except OSError as error:
        return [*reasons, f"the archive cannot be read: {error}"]
    kept = Report()
    kept.close(head.size, head.root)
    if not report.ok or (report.size, report.root) != (kept.size, kept.root):
        told = report.faults[0].detail if report.faults else f"it holds {report.size} entries"
        reasons.append(f"the archive {archive} is not a whole copy of it: {told}")
    return reasons


def prune(
    path: str | Path,
    *,
    archive: str | Path,
    successor: str | Path,
    cosigned: Sequence[bytes],
    cosigners: Sequence[Ed25519Verifier],
    vkeys: Sequence[str],
    now_ms: int,
) -> None:
    """Removes a closed ledger file; what is left is ``<path>.pruned``, its last confirmed head.

    Arguments as of `why_not_prune`.

    Raises:
        LogFault: there is a reason to keep it; nothing was removed.
    """
    place = Path(path).absolute()
    lock = WriterLock.take(place)
    try:
        reasons = why_not_prune(
            place,
            archive=archive,
            successor=successor,
            cosigned=cosigned,
            cosigners=cosigners,
            vkeys=vkeys,
            now_ms=now_ms,
        )
        if reasons:
            raise LogFault(f"{path}: stays: {'; '.join(reasons)}; nothing was removed")
        with LogReader.open(place) as log:
            size, _ = log.checkpoint()
        last = max(
            (found.checkpoint.size, note)
            for note in cosigned
            if (found := _receipt(note, cosigners)) is not None and found.checkpoint.size == size
        )
        _bury(place, last[1])
    finally:
        lock.release()


def _bury(place: Path, note: bytes) -> None:
    try:
        stone = place.with_name(place.name + ".pruned")
        with stone.open("wb") as file:
            file.write(note)
        sync_directory(place.parent)
        # The file itself goes last, so that all can be done again until then; its log is empty.
        for suffix in ("-wal", "-shm", ".reserve", ""):
            place.with_name(place.name + suffix).unlink(missing_ok=True)
        sync_directory(place.parent)
    except OSError as error:
        raise translate(error, place) from error


def _receipt(note: bytes, cosigners: Sequence[Ed25519Verifier]) -> Cosigned | None:
    """A receipt that one of the server's keys signed, or None."""
    for key in cosigners:
        try:
            return verify_cosignature(note, key)
        except NoteInvalid:
            continue
    return None
