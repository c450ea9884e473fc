"""The campaign ``bytes``: every byte of a ledger and of its export is changed, and found.

In an export one byte of every entry is changed at once, so that a run of both auditors judges a
thousand changes: all thousand entries must be named. What holds lines and notes together is
changed one byte at a time, and so is the database: there a change is found, or nothing that is read
differs.
"""

from __future__ import annotations

import multiprocessing
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ledger import verify
from ledger.errors import LedgerError
from ledger.log import audit
from ledger.log.audit_report import Report as Audit
from ledger.log.checkpoint import cosign
from ledger.log.export import export
from ledger.log.merkle import leaf_hash
from ledger.log.note import Ed25519Verifier
from ledger.log.reading import LogReader
from tests.campaigns.report import Budget, Report
from tests.faults.shim import FAST
from tests.ledger.log.ledgers import SERVER, SIGNER, create, tap

ENTRIES, FEW_ENTRIES = 1_000, 20
#: Bits that are changed in a byte, one after the other.
BITS = (0x01, 0x80, 0x04)
KEYS = [Ed25519Verifier.of(one).vkey for one in (SIGNER, SERVER)]
#: Every so many bytes of the database in the least run.
STRIDE = 1_999
PARTS = ("export", "database")
#: What one process takes at a time, and how many there are.
PART_BYTES, PROCESSES = 250, 2

Found = Audit | verify.Report
Auditor = Callable[[Path], Found]

AUDITORS: dict[str, Auditor] = {
    "product": lambda place: audit.verify_directory(place, KEYS),
    "auditor": lambda place: verify.verify_directory(place, KEYS),
}


@dataclass
class World:
    """A ledger, its export, and the server's receipt."""

    database: Path
    folder: Path
    receipt: bytes


def flips(budget: Budget) -> Report:
    """Changes every byte of an export, and ``budget.rounds`` bytes of the database."""
    report = Report()
    with _world(FEW_ENTRIES if budget.small else ENTRIES) as world:
        if not budget.only or "export" in budget.only:
            _export(world, report, budget)
        if not budget.only or "database" in budget.only:
            _database(world, report, budget)
    return report


@contextmanager
def _world(entries: int) -> Iterator[World]:
    place = Path(tempfile.mkdtemp(prefix="bytes", dir=FAST))
    try:
        with create(place / "ledger.db") as store:
            for start in range(0, entries - 2, 100):
                store.append([tap(start + at) for at in range(min(100, entries - 2 - start))])
            receipt = cosign(store.checkpoint()[1], SERVER, 1_401_415_200)
            export(store, place / "out", [receipt], KEYS[1:])
        yield World(place / "ledger.db", place / "out", receipt)
    finally:
        shutil.rmtree(place)


def _export(world: World, report: Report, budget: Budget) -> None:
    changed = 0
    with ExitStack() as stack:
        found: Iterator[tuple[int, Report]]
        tried = partial(_export_by, world, budget.small, budget.minutes)
        if budget.small:
            found = map(tried, AUDITORS)
        else:
            context = multiprocessing.get_context("spawn")
            found = stack.enter_context(context.Pool(PROCESSES)).imap(tried, AUDITORS)
        for name, (done, one) in zip(AUDITORS, found, strict=True):
            changed += done
            report.controls.update(one.controls)
            report.failures += one.failures
            budget.say(f"{name}: {done:,} changes of the export")
    report.figures["bytes changed in exports"] = changed


def _export_by(shared: World, small: bool, minutes: float | None, name: str) -> tuple[int, Report]:
    """Everything that one auditor must find in an export, on a copy of its own."""
    report, budget, changed = Report(), Budget(1, minutes, small=small), 0
    with tempfile.TemporaryDirectory(prefix="bytes", dir=FAST) as place:
        folder = Path(shutil.copytree(shared.folder, Path(place) / "out"))
        world, check = replace(shared, folder=folder), AUDITORS[name]
        lines = (folder / "entries.jsonl").read_bytes().splitlines()
        leaves = (folder / "leaves").read_bytes()
        report.controls[f"{name}: an unchanged export"] = check(folder).ok
        _recomputed(world, lines, report, name, check)
        for bit in BITS[:1] if small else BITS:
            for at in range(max(map(len, lines))):
                if budget.over():
                    break
                which = [seq for seq, line in enumerate(lines) if at < len(line)]
                bad = [_flip(line, at, bit) if at < len(line) else line for line in lines]
                changed += len(which)
                whole = b"".join(line + b"\n" for line in bad)
                _need_named(world, "entries.jsonl", whole, which, check, report)
            for at in range(32):
                bad_leaves = b"".join(
                    _flip(leaves[seq * 32 : seq * 32 + 32], at, bit) for seq in range(len(lines))
                )
                changed += len(lines)
                every = list(range(len(lines)))
                _need_named(world, "leaves", bad_leaves, every, check, report)
        changed += _one_by_one(world, check, report, budget)
    return changed, report


def _one_by_one(world: World, check: Auditor, report: Report, budget: Budget) -> int:
    """Newlines of entries, and every byte of the notes."""
    places = []
    for name in ("entries.jsonl", "checkpoint", "cosignatures"):
        data = (world.folder / name).read_bytes()
        for at, byte in enumerate(data):
            if name != "entries.jsonl" or byte == 0x0A:
                places.append((name, data, at))
    done = 0
    for name, data, at in places[:: 7 if budget.small else 1]:
        if budget.over():
            break
        done += 1
        with _put(world.folder / name, _flip(data, at, BITS[at % 3])):
            found = check(world.folder)
        report.need(not found.ok, f"byte {at} of {name} was changed and nobody noticed")
    return done


def _recomputed(
    world: World, lines: list[bytes], report: Report, name: str, check: Auditor
) -> None:
    """Who changes an entry and its leaf hash still has not the root that was signed."""
    bad = [*lines[:-1], lines[-1].replace(b'"A00"', b'"A02"')]
    entries, leaves = b"".join(one + b"\n" for one in bad), b"".join(map(leaf_hash, bad))
    with _put(world.folder / "entries.jsonl", entries), _put(world.folder / "leaves", leaves):
        report.controls[f"{name}: leaf computed again"] = not check(world.folder).ok


def _need_named(
    world: World, name: str, data: bytes, which: list[int], check: Auditor, report: Report
) -> None:
    with _put(world.folder / name, data):
        named = {fault.seq for fault in check(world.folder).faults}
    missing = [seq for seq in which if seq not in named]
    report.need(not missing, f"{name}: changed and not named: {missing[:5]}")


def _database(world: World, report: Report, budget: Budget) -> None:
    data = world.database.read_bytes()
    with LogReader.open(world.database) as reader:
        entries = list(reader.entries(0, reader.size))
    # Where an entry and the first bytes of its leaf hash after it lie; whole in one page.
    spans = [range(at := data.find(one), at + len(one) + 8) for one in entries]
    report.figures["bytes of entries changed in the database"] = _cells(
        world, data, spans, report, budget
    )
    owned = {at for span in spans for at in span}
    rest = [at for at in range(len(data)) if at not in owned]
    _around(world, data, rest[:: STRIDE if budget.small else 1], report, budget)
    report.controls["an unchanged database"] = audit.verify_database(
        world.database, KEYS, [world.receipt]
    ).ok


def _cells(world: World, data: bytes, spans: list[range], report: Report, budget: Budget) -> int:
    """One byte of every entry at once; each must be named."""
    done = 0
    for bit in BITS[:1] if budget.small else BITS:
        for at in range(0, max(map(len, spans)), 9 if budget.small else 1):
            if budget.over():
                return done
            bad, which = bytearray(data), []
            for seq, span in enumerate(spans):
                if at < len(span):
                    bad[span[at]] ^= bit
                    which.append(seq)
            with _put(world.database, bytes(bad)):
                found = _judge(world)
            named = {fault.seq for fault in found.faults} if found is not None else set()
            missing = [seq for seq in which if seq not in named]
            report.need(not missing, f"byte {at} of entries {missing[:5]}: not named")
            done += len(which)
    return done


def _around(world: World, data: bytes, places: list[int], report: Report, budget: Budget) -> None:
    """Bytes that belong to no entry, one at a time: found, or nothing that is read differs."""
    with LogReader.open(world.database) as reader:
        size = reader.size
    before, done, harmless = _reads(world.database, size), 0, 0
    parts = [places[at : at + PART_BYTES] for at in range(0, len(places), PART_BYTES)]
    judge = partial(_around_part, world, size, before)
    found: Iterator[tuple[int, list[str]]]
    with ExitStack() as stack:
        if budget.small:
            found = map(judge, parts)
        else:
            # Each process has a copy of its own; a part is over in seconds.
            context = multiprocessing.get_context("spawn")
            found = stack.enter_context(context.Pool(PROCESSES)).imap(judge, parts)
        for part, (quiet, failures) in zip(parts, found, strict=True):
            done += len(part)
            harmless += quiet
            report.failures += failures
            if not budget.more(done):
                break
    report.figures["other bytes changed in the database"] = done
    report.figures["of them without any effect"] = harmless


def _around_part(
    world: World, size: int, before: object, places: Sequence[int]
) -> tuple[int, list[str]]:
    """How many of these bytes have no effect, and what changed unnoticed."""
    harmless, failures = 0, []
    with tempfile.TemporaryDirectory(prefix="bytes", dir=FAST) as folder:
        own = replace(world, database=Path(shutil.copy(world.database, folder)))
        data = own.database.read_bytes()
        for at in places:
            with _put(own.database, _flip(data, at, BITS[at % 3]), at):
                found = _judge(own)
                if found is not None and found.ok:
                    harmless += 1
                    if _reads(own.database, size) not in (before, None):
                        failures.append(
                            f"byte {at} of the database changed what is read, unnoticed"
                        )
    return harmless, failures


def _judge(world: World) -> Audit | None:
    """The verdict, or None if the file cannot even be opened: that is noticed too."""
    try:
        return audit.verify_database(world.database, KEYS, [world.receipt])
    except (LedgerError, sqlite3.Error, ValueError):
        return None


def _reads(path: Path, size: int) -> tuple[object, ...] | None:
    """All that other parts read of a ledger; None if they are told that they cannot."""
    try:
        with LogReader.open(path) as reader:
            heads = [reader.checkpoint(at) for at in range(1, size, 250)]
            found = [entry for seq in range(1, size, 97) if (entry := reader.entry(seq))]
            taps = [reader.by_nonce(str(entry.get("nonce"))) for entry in found]
            return list(reader.entries(0, size)), heads, taps, reader.root_at(size), reader.vkey
    except LedgerError:
        return None


def _flip(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]


@contextmanager
def _put(path: Path, data: bytes, at: int | None = None) -> Iterator[None]:
    """Puts other bytes into a file, or one byte, and the old ones back."""
    with path.open("r+b") as file:
        if at is None:
            original = file.read()
            file.seek(0)
            file.write(data)
            file.truncate()
        else:
            file.seek(at)
            original = file.read(1)
            file.seek(at)
            file.write(data[at : at + 1])
    try:
        yield
    finally:
        with path.open("r+b") as file:
            file.seek(at or 0)
            file.write(original)
            if at is None:
                file.truncate()


def parts() -> tuple[str, ...]:
    """Parts that may be run apart."""
    return PARTS
