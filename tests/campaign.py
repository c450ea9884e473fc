"""Long campaigns with the code of the default tests: more crashes, more schedules, more inputs.

``python -m tests.campaign [NAME...]``; without a name it lists what there is. Every campaign plays
its controls in the same run: faults put in on purpose, which it must catch. Exits 1 on any failure.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Final

from tests.campaigns import (
    disks,
    drop,
    flips,
    fuzz,
    herd,
    life,
    members,
    mutants,
    paint,
    real_server,
    recovery,
    schedules,
    year,
)
from tests.campaigns.report import UNBOUNDED, Budget, Campaign, Report, to_stderr

CAMPAIGNS: Final = {
    one.name: one
    for one in (
        Campaign(
            "power-cuts",
            "disks as a power cut may leave them: nothing acknowledged is lost",
            "crash states on FULL",
            10_000,
            40,
            disks.power_cuts,
        ),
        Campaign(
            "kills",
            "kill -9 in the middle of appending: nothing acknowledged is lost",
            "kills",
            1_000,
            3,
            disks.kills,
        ),
        Campaign(
            "io-faults",
            "every write and flush fails once and for good: no answer without a durable row",
            "sweeps over all of them",
            1,
            1,
            disks.io_faults,
        ),
        Campaign(
            "bytes",
            "every byte of a ledger and its export is changed: found, and the entry named",
            "bytes of the database beside its entries",
            UNBOUNDED,
            400,
            flips.flips,
            flips.parts,
        ),
        Campaign(
            "schedules",
            "any order of losses, repeats, restores and clones: every entry exactly once",
            "schedules in memory, and one in fifty over HTTP",
            10_000,
            5,
            schedules.run,
        ),
        Campaign(
            "network",
            "the real server behind a faulty network, killed at random: every entry exactly once",
            "schedules over the real HTTP path",
            10_000,
            8,
            real_server.run,
        ),
        Campaign(
            "members",
            "the whole city's members from one list, then only what differs",
            "thousandths of 3,555,000 cards",
            1_000,
            1,
            members.run,
        ),
        Campaign(
            "herd",
            "ten thousand terminals come back at once: all are drained without an error",
            "terminals",
            10_000,
            200,
            herd.run,
        ),
        Campaign(
            "drop",
            "ten thousand packs, one terminal in five cut off: none sold twice, few left",
            "seeds of each shape",
            5,
            1,
            drop.run,
        ),
        Campaign(
            "fuzz",
            "damaged inputs for every parser of outside bytes: only declared errors",
            "inputs for each parser",
            1_000_000,
            60,
            fuzz.run,
            fuzz.parts,
        ),
        Campaign(
            "recovery",
            "every fault of readers on the real stack: back by themselves within two seconds",
            "rounds of all faults",
            20,
            1,
            recovery.run,
        ),
        Campaign(
            "life",
            "random days of random offers, held against a plain reading of their rules",
            "lives",
            1_000,
            2,
            life.run,
        ),
        Campaign(
            "mutants",
            "faults put into rules, log and admission: do the tests notice?",
            "mutants",
            UNBOUNDED,
            2,
            mutants.run,
            mutants.parts,
        ),
        Campaign(
            "paint",
            "the kiosk's page: quick, light, and no heavier after ten thousand taps",
            "taps in one page",
            10_000,
            50,
            paint.run,
        ),
        Campaign(
            "year",
            "the federation's published year, from signed entries to its report",
            "thousandths of its person-times",
            year.WHOLE,
            1,
            year.run,
        ),
    )
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the named campaigns; returns the exit code."""
    chosen = _parser().parse_args(arguments)
    if not chosen.names:
        sys.stdout.write(listing())
        return 0
    unknown = [name for name in chosen.names if name not in CAMPAIGNS and name != "all"]
    if unknown:
        sys.stderr.write(f"there is no campaign {unknown[0]}\n{listing()}")
        return 2
    names = list(CAMPAIGNS) if "all" in chosen.names else chosen.names
    stray = set(chosen.only) - {part for name in names for part in CAMPAIGNS[name].parts()}
    if stray:
        sys.stderr.write(f"{min(stray)} is no part of {', '.join(names)}\n")
        return 2
    reports: dict[str, Report] = {}
    for name in names:
        started = time.monotonic()
        campaign = CAMPAIGNS[name]
        report = campaign.run(budget_of(campaign, chosen))
        reports[name] = report
        took_s = time.monotonic() - started
        if not chosen.json:
            state = "ok" if report.ok else "FAILED"
            sys.stdout.write("\n".join([f"{name}: {state}, {took_s:.0f} s", *report.lines(), ""]))
            sys.stdout.flush()
    if chosen.json:
        sys.stdout.write(json.dumps({name: as_plain(one) for name, one in reports.items()}) + "\n")
    return 0 if all(report.ok for report in reports.values()) else 1


def budget_of(campaign: Campaign, chosen: argparse.Namespace) -> Budget:
    """What the command line allows: with minutes alone, as many rounds as they hold."""
    usual = campaign.least if chosen.small else campaign.rounds
    rounds = chosen.rounds or (UNBOUNDED if chosen.minutes else usual)
    say = to_stderr(campaign.name)
    return Budget(rounds, chosen.minutes, tuple(chosen.only), say, small=chosen.small)


def as_plain(report: Report) -> dict[str, object]:
    """For machines."""
    return {
        "ok": report.ok,
        "figures": report.figures,
        "controls": report.controls,
        "failures": report.failures,
        "notes": report.notes,
    }


def listing() -> str:
    """One line a campaign."""
    lines = [f"  {one.name:<11} {one.line}\n" for one in CAMPAIGNS.values()]
    return "campaigns (script/campaign NAME... or all):\n" + "".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="script/campaign", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which; 'all' runs every one")
    parser.add_argument("--rounds", type=int, help="how many, in the campaign's own unit")
    parser.add_argument("--minutes", type=float, help="stop each after so many minutes")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="PART", help="parsers of fuzz, modules of mutants"
    )
    parser.add_argument("--small", action="store_true", help="the least that still does everything")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    return parser


if __name__ == "__main__":
    sys.exit(main())
