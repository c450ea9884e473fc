"""The campaign ``schedules``: any order of losses, repeats and restores, every entry once."""

from __future__ import annotations

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from sync import admission
from tests.campaigns.report import Budget, Report
from tests.sync.test_http_faults import (
    test_every_entry_arrives_exactly_once_through_a_faulty_network as push_through_the_proxy,
)
from tests.sync.test_schedules import Clones, Schedules, takes_overlaps_whole

#: Schedules between two looks at the clock; of five, one is of a cloned disk.
CHUNK = 50
#: Schedules in memory for each one over HTTP, which takes about a second.
MEMORY_PER_HTTP = 50
STEPS = {Schedules: 25, Clones: 12}


def run(budget: Budget) -> Report:
    """``budget.rounds`` schedules in memory, and a share of them over HTTP."""
    report = Report()
    done = {Schedules: 0, Clones: 0}
    chunk, number, http = min(CHUNK, budget.rounds), 0, 0
    while budget.more(sum(done.values())) and not report.failures:
        machine = Clones if number % 5 == 4 else Schedules
        fault = play(machine, chunk)
        report.need(not fault, f"{machine.__name__}: {fault}")
        done[machine] += chunk
        number += 1
        # Each seed is another course of faults; those of the default tests come first.
        while http <= sum(done.values()) // MEMORY_PER_HTTP and not report.failures:
            report.need(not (fault := push(http)), f"HTTP, seed {http}: {fault}")
            http += 1
    report.figures["schedules of honest terminals"] = done[Schedules]
    report.figures["schedules of a cloned disk"] = done[Clones]
    report.figures["courses of faults over HTTP"] = http
    _controls(report, budget)
    return report


def play(machine: type[RuleBasedStateMachine], count: int, *, shrink: bool = True) -> str:
    """Plays so many schedules; says how one failed, or nothing."""
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    chosen = settings(
        max_examples=count,
        stateful_step_count=STEPS[machine],
        deadline=None,
        database=None,
        phases=phases,
    )
    try:
        run_state_machine_as_test(machine, settings=chosen)
    except Exception as fault:  # noqa: BLE001 - it is what is looked for
        notes = "; ".join(getattr(fault, "__notes__", []))
        return f"{type(fault).__name__}: {fault} {notes}"[:2_000]
    return ""


def push(seed: int) -> str:
    """One course of faults between a terminal and a server over HTTP."""
    try:
        push_through_the_proxy(seed)
    except AssertionError as fault:
        return f"{fault}"[:2_000] or "an entry is missing or stands twice"
    return ""


def _controls(report: Report, budget: Budget) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(admission, "_new_range", takes_overlaps_whole)
        budget.say("control: a server that stores an overlap again")
        report.controls["an overlap stored twice, in memory"] = bool(
            play(Schedules, 200, shrink=False)
        )
        report.controls["an overlap stored twice, over HTTP"] = any(push(seed) for seed in range(4))
