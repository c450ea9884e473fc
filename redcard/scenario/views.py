"""The step ``state``: what the server, or a terminal, knows now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from ledger.entry import Kind
from ledger.log import canonical
from ledger.rules.offer import Venue
from redcard.scenario.books import member_ref
from redcard.scenario.document import StepSpec, table, word
from redcard.scenario.machine import Machine
from redcard.scenario.world import World


def state(world: World, step: StepSpec) -> Mapping[str, object]:
    """What the server, or a terminal, knows now."""
    source = table(step.argument, step.kind, step.line)
    centre = world.centre
    if "cases" in source:
        return _Listed(
            {
                "cases": [
                    {"reason": case.reason.value, "nonces": list(case.nonces)}
                    for case in centre.cases()
                ]
            }
        )
    if "terminal" in source:
        return _terminal_state(world, world.machine(word(source, "terminal")))
    centre.judge()
    offer = world.offer(word(source, "offer"))
    if "member" in source:
        reference = member_ref(word(source, "member"))
        return {"usage": centre.usage.view(reference, offer).units}
    redeemed = centre.usage.units(offer.id)
    venue = Venue("", zone=world.scenario.zone)
    numbers = world.depot.numbers(offer, venue, redeemed)
    reversed_ = centre.usage.units_reversed(offer.id)
    return {"redeemed": redeemed, "reversed": reversed_, **asdict(numbers)}


class _Listed(dict[str, object]):
    """An answer that a scenario may also compare as the bare list it holds."""


def _terminal_state(world: World, machine: Machine) -> Mapping[str, object]:
    from ledger.verify import verify_database

    counts = {kind.value: 0 for kind in Kind}
    if machine.broken:
        return {"verified": False, "entries": counts, "mode": "locked", "pending": 0, "size": 0}
    for data in machine.log.entries(0, machine.log.size):
        kind = str(canonical.decode(data).get("kind"))
        counts[kind] = counts.get(kind, 0) + 1
    notes = [receipt.note for receipt in machine.sync.receipts()]
    keys = [machine.log.vkey, world.centre.vkey]
    report = verify_database(machine.disk / "ledger.db", keys, notes)
    return {
        "pending": machine.log.size - machine.acknowledged(),
        "mode": machine.age(machine.now().now_ms).value,
        "entries": counts,
        "verified": report.ok,
        "size": machine.log.size,
    }
