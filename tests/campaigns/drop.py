"""The campaign ``drop``: packs that are gone in minutes, and are never sold twice.

Two shapes, each with several seeds: a city of 1,300 terminals, one in five cut off; and fifteen
stations of two counters, where half of the packs go to representatives who bring forty cards.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping

import pytest

import ledger.rules.stock
from redcard.scenario import rush
from redcard.scenario.document import Scenario, read_scenarios
from redcard.scenario.rush import RUSH_MS, RushResult
from redcard.scenario.world import opened
from tests.campaigns.report import Budget, Report
from tests.scenario.test_scenarios import FOLDER
from tests.scenario.test_seeded_faults import true

OFFLINE_SHARE = 0.2
COUNTERS = 30
CARDS_OF_A_REPRESENTATIVE = 40
#: Unsold packs, of a hundred thousand.
UNSOLD_MAX = 500
#: Makes a fifth of the small rush, for the control and the default tests.
SMALLER = {
    "pool: 1000": "pool: 200",
    "members: 2000": "members: 400",
    "terminals: 130": "terminals: 26",
}


def run(budget: Budget) -> Report:
    """``budget.rounds`` seeds of each shape."""
    report, done, worst = Report(), 0, Counter[str]()
    scenario = _scenario("rush_small", SMALLER) if budget.small else _scenario("rush_full")
    packs = _packs(scenario)
    # A rush so small that one quiet counter weighs more than the share.
    unsold_max = packs // 20 if budget.small else packs * UNSOLD_MAX // 100_000
    while budget.more(done):
        seed = done + 1
        for shape, play in (("city", city), ("stations", stations)):
            result = play(scenario, seed)
            budget.say(f"{shape}, seed {seed}: {result}")
            for name in ("oversold", "unsold", "twice"):
                key = f"{shape}, {name}"
                worst[key] = max(worst[key], getattr(result, name))
            report.need(not result.oversold, f"{shape}, seed {seed}: {result.oversold} oversold")
            report.need(
                result.unsold <= unsold_max,
                f"{shape}, seed {seed}: {result.unsold} of {packs} unsold",
            )
        done += 1
    report.figures["seeds of each shape"] = done
    report.figures["packs in each"] = packs
    for key, value in worst.items():
        report.figures[f"{key}, at most"] = value
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger.rules.stock, "lease_holds", true)
        oversold = city(_scenario("rush_small", SMALLER), 1).oversold
    report.figures["oversold without leases"] = oversold
    report.controls["a decision that ignores the lease"] = oversold > 0
    return report


def _scenario(name: str, changes: Mapping[str, str] | None = None) -> Scenario:
    text = (FOLDER / f"{name}.yaml").read_text("utf-8")
    for old, new in (changes or {}).items():
        assert old in text, f"{name}.yaml has no {old} any more"
        text = text.replace(old, new)
    (scenario,) = read_scenarios(text)
    return scenario


def _packs(scenario: Scenario) -> int:
    with opened(scenario) as world:
        return world.offer("pack").stock.quantity


def city(scenario: Scenario, seed: int) -> RushResult:
    """Terminals and members as the scenario file has them, with another seed."""
    (drop,) = (step for step in scenario.steps if step.kind == "drop")
    facts = drop.argument
    assert isinstance(facts, dict)
    with opened(scenario) as world:
        return rush.rush(
            world,
            world.offer("pack"),
            members=int(str(facts["members"])),
            terminals=int(str(facts["terminals"])),
            offline_share=OFFLINE_SHARE,
            seed=seed,
        )


def stations(scenario: Scenario, seed: int) -> RushResult:
    """Half of the packs go forty at a time to one counter, the rest one by one."""
    chance = random.Random(seed)
    with opened(scenario) as world:
        offer = world.offer("pack")
        packs = offer.stock.quantity
        # More come than there are packs, as in the file; half of the cards in the hands of few.
        singles = [[number] for number in range(packs)]
        carried = [
            list(range(first, first + CARDS_OF_A_REPRESENTATIVE))
            for first in range(packs, 2 * packs, CARDS_OF_A_REPRESENTATIVE)
        ]
        visits = [*singles, *carried]
        chance.shuffle(visits)
        stalls = rush._stalls(world, offer, COUNTERS, OFFLINE_SHARE, chance)
        holders = {stall.ledger: stall for stall in stalls if stall.connected}
        start_ms, taps = world.true_ms(), 0
        for visit in visits:
            stall = chance.choice(stalls)
            for number in visit:
                world.time.now_ms = start_ms + RUSH_MS * taps // (2 * packs)
                card = rush._card(world, f"stations-{seed}-{number}")
                stall.tap(offer, card, f"stations-{seed}-{number}", holders)
                taps += 1
        world.time.now_ms = start_ms + RUSH_MS
        return rush._count(world, offer, stalls)
