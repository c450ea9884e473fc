"""How a ledger is verified from the command line, a terminal's and the server's own alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from redcard.commands.at_ledger import lines_of
from redcard.console import Session

if TYPE_CHECKING:
    from ledger.log.audit_report import Report
    from ledger.verify import Report as SecondOpinion

    Verdict: TypeAlias = Report | SecondOpinion
Advance = Callable[[int, int], object]


def second_opinion(
    place: Path, keys: list[str], cosigned: list[bytes], advance: Advance
) -> Verdict:
    """What the auditor's single file finds of an export or a database.

    Args:
        place: folder of an export, or a database.
        keys: trusted verifier keys; empty, the ledger's own word.
        cosigned: receipts, for a database.
        advance: told entries done and in all.
    """
    from ledger.verify import verify_database, verify_directory

    tick = _every(advance, _count(place))
    if place.is_dir():
        return verify_directory(place, keys, tick)
    return verify_database(place, keys, cosigned, tick)


def audit(
    place: Path,
    keys: list[str],
    cosigned: list[bytes],
    advance: Advance,
    *,
    tree: bool = False,
    processes: int = 1,
) -> Verdict:
    """What our own audit finds; as ``second_opinion``, and tiles as well.

    Args:
        place: folder of an export, plain or as tiles, or a database.
        keys: trusted verifier keys; empty, the ledger's own word.
        cosigned: receipts, for a database.
        advance: told entries done and in all.
        tree: only roots, signatures and order.
        processes: so many share the work on a database.
    """
    from ledger.log.audit import verify_database, verify_directory

    total = _count(place)

    def tick(done: int) -> None:
        advance(done, total)

    if (place / "tile").is_dir():
        from ledger.log.tiles_export import verify_folder

        return verify_folder(place, keys, tick)
    if place.is_dir():
        return verify_directory(place, keys, tree=tree, tick=tick)
    return verify_database(place, keys, cosigned, tree=tree, processes=processes, tick=tick)


def _count(place: Path) -> int:
    """Entries of an export or a database, for the bar."""
    if (place / "tile").is_dir():
        from ledger.log.checkpoint import parse
        from ledger.log.note import split_note

        return parse(split_note((place / "checkpoint").read_bytes())[0]).size
    if place.is_dir():
        return lines_of(place / "entries.jsonl")
    from ledger.log.reading import LogReader

    with LogReader.open(place) as reader:
        return reader.size


def _every(advance: Advance, total: int) -> Callable[[int], None]:
    """Tells the bar every 1,000 entries; every single one would slow the check."""

    def told(done: int) -> None:
        if done % 1_000 == 0 or done == total:
            advance(done, total)

    return told


def verdict(session: Session, report: Verdict) -> str:
    """Faults and the sum of it, as a person reads it."""
    lines = [
        f"{session.say('账目', 'entry')} {fault.seq}: {fault.kind}: {fault.detail}"
        if fault.seq is not None
        else f"{fault.kind}: {fault.detail}"
        for fault in report.faults
    ]
    good = session.say("完整，无差错", "whole, no fault")
    bad = session.say(f"{len(report.faults)} 处差错", f"{len(report.faults)} faults")
    lines.append(
        session.say(
            f"{report.size} 笔 · 根 {report.root} · {good if report.ok else bad}",
            f"{report.size} entries, root {report.root}: {good if report.ok else bad}",
        )
    )
    return "\n".join(lines)
