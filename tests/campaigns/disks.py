"""The campaigns ``power-cuts``, ``kills`` and ``io-faults``: what is acknowledged is never lost."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.campaigns.report import Budget, Report
from tests.faults.crash_states import Outcome, enumerate_states, record
from tests.faults.kills import Killed, kill_loop
from tests.faults.shim import FAST, build
from tests.faults.sweep import run_sweep
from tests.faults.test_broken_disks import KILLS
from tests.faults.test_power_cuts import COMMITS, VARIANTS

#: Promises that are too weak, in the words of ``tests.faults.worker``.
WEAKER = ("NORMAL", "OFF", "ack_first")
#: Tries of a weaker promise before it counts as not caught.
TRIES_MAX = 40


@contextmanager
def _folder(prefix: str, *, fast: bool = True) -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix=prefix, dir=FAST if fast else None))
    try:
        yield place
    finally:
        shutil.rmtree(place)


def power_cuts(budget: Budget) -> Report:
    """``budget.rounds`` states of the disk after a power cut, on the program as it is."""
    report, found, seed = Report(), Outcome(), 0
    commits = 4 if budget.small else COMMITS
    variants = 2 if budget.small else VARIANTS
    with _folder("shim") as place:
        library = build(place)
        while budget.more(found.states) and not found.first:
            seed += 1
            one = _cut(library, "FULL", commits, variants, seed)
            found.states += one.states
            found.lost += one.lost
            found.corrupt += one.corrupt
            found.first = found.first or one.first
        report.figures["states on FULL"] = found.states
        report.figures["lost"] = found.lost
        report.figures["corrupt"] = found.corrupt
        report.need(not found.lost + found.corrupt, found.first)
        for mode in WEAKER:
            one = _cut(library, mode, commits, variants, 1)
            report.figures[f"states on {mode}"] = one.states
            report.figures[f"lost or corrupt on {mode}"] = one.lost + one.corrupt
            report.controls[mode] = one.lost + one.corrupt > 0
            budget.say(f"{mode}: {one.lost + one.corrupt} of {one.states} states lose something")
    return report


def _cut(library: Path, mode: str, commits: int, variants: int, seed: int) -> Outcome:
    with _folder("cuts") as place:
        return enumerate_states(record(place, library, mode, commits), place, variants, seed)


def kills(budget: Budget) -> Report:
    """``budget.rounds`` times kill -9, on ledgers that are killed twenty times each."""
    report, found = Report(), Killed()
    while budget.more(found.kills) and not found.first:
        with _folder("kills", fast=False) as place:
            one = kill_loop(place, min(KILLS, budget.rounds - found.kills))
        found.kills += one.kills
        found.lost += one.lost
        found.corrupt += one.corrupt
        found.unacknowledged += one.unacknowledged
        found.entries += one.entries
        found.first = found.first or one.first
    report.figures["kills"] = found.kills
    report.figures["entries on disk"] = found.entries
    report.figures["lost"] = found.lost
    report.figures["corrupt"] = found.corrupt
    report.figures["committed, not yet acknowledged"] = found.unacknowledged
    report.need(not found.first, found.first)
    report.controls["ack_first"] = _kills_lose("ack_first", budget)
    return report


def _kills_lose(mode: str, budget: Budget) -> bool:
    tries = 0
    while tries < TRIES_MAX:
        with _folder("kills", fast=False) as place:
            one = kill_loop(place, KILLS, mode)
        tries += one.kills
        if one.lost:
            budget.say(f"{mode}: {one.first}")
            return True
    return False


def io_faults(budget: Budget) -> Report:
    """``budget.rounds`` sweeps over every write and flush of a ledger's life."""
    report, found, done = Report(), Counter[str](), 0
    stride = 25 if budget.small else 1
    with _folder("shim") as place:
        library = build(place)
        while budget.more(done):
            found.update(run_sweep(library, stride))
            done += 1
        broken = run_sweep(library, max(stride, 5), "ack_first")
    report.figures.update(
        {
            "lives of a ledger": found["lives"],
            "with a fault": found["hit"],
            "acknowledged and lost": found["lost"],
            "accepted after an unknown outcome": found["unready"],
            "refused, yet found at restart": found["appeared"],
            "refused because the disk is full": found["full"],
            "faults that nobody noticed": found["silent"],
        }
    )
    report.need(found["hit"] > 0, "no fault was hit")
    report.need(not found["lost"], f"{found['lost']} lives lost what they acknowledged")
    report.need(not found["unready"], "an append was accepted after one whose outcome is unknown")
    report.controls["ack_first"] = broken["lost"] > 0
    return report
