"""The campaign ``life``: random days of random offers, held against a plain reading of their rules.

Each life makes up its own offers, members, cards and terminals from a seed, plays taps, repeats,
voids, cut cables, syncs, crashes, recalls, clones and replaced cards on the real rules, ledger and
server, and after every tap compares what the terminal wrote with ``life_model``, which reads the
offer as it was written and the ledger as it stands, with loops that share no code with the rules.
Every life begins by asking for more than there is, at a terminal that is cut off: what is scarce
is reached in each of them, so that a fault planted there is met whatever the seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final
from unittest import mock

import yaml

import ledger.rules.limits
import ledger.rules.stock
from ledger.log.store import LogStore
from ledger.rules.usage import Usage, UsageView
from ledger.rules.voids import VoidRequest
from redcard.scenario import till, wire
from redcard.scenario.books import card_view
from redcard.scenario.document import read_scenarios
from redcard.scenario.known import TapOrder
from redcard.scenario.world import opened
from tests.campaigns.life_model import Model, Tap
from tests.campaigns.report import Budget, Report

#: Seed of the first life; the others follow.
FIRST_SEED: Final = 20_260_601
#: Acts of one life after its rush.
ACTS: Final = 60
MINUTE_MS: Final = 60_000
SHARED: Final = "g"
Offer = dict[str, Any]


def run(budget: Budget) -> Report:
    """Plays lives, then one with each planted fault."""
    report, done = Report(), 0
    acts = ACTS // 4 if budget.small else ACTS
    codes: set[str] = set()
    taps = 0
    while budget.more(done):
        life = Life(FIRST_SEED + done)
        report.failures += [f"seed {life.seed}: {fault}" for fault in life.play(acts)]
        codes |= life.codes
        taps += life.taps
        done += 1
    report.figures |= {"lives": done, "taps": taps, "codes met": " ".join(sorted(codes))}
    for name, plant in FAULTS.items():
        with plant():
            report.controls[name] = bool(Life(FIRST_SEED).play(0))
    return report


class Life:
    """One life by its seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.taps = 0
        self.codes: set[str] = set()
        self._dice = random.Random(seed)
        self._document = made_up(self._dice)
        self._faults: list[str] = []
        self._orders: dict[tuple[str, str], TapOrder] = {}
        self._first: dict[tuple[str, str], tuple[str | None, int | None]] = {}

    def play(self, acts: int) -> list[str]:
        """What differed from the model; empty if nothing did."""
        (scenario,) = read_scenarios(yaml.safe_dump(self._document, allow_unicode=True))
        with opened(scenario) as world:
            self._world = world
            self._model = Model(self._document, world)
            self._rush()
            for _ in range(acts):
                if self._faults:
                    break
                self._act()
            for machine in world.machines.values():
                machine.online = True
                wire.sync(machine, world)
            self._look()
        return self._faults

    def _rush(self) -> None:
        """Everybody asks a terminal that is cut off for everything, and then for more."""
        for _ in range(2):
            for offer in self._document["offers"]:
                for card in self._document["cards"]:
                    self._tap("cut", card, offer, 1)
        for card in self._document["cards"]:
            self._tap("t1", card, "scarce-lease", 1)
        self._again()

    def _act(self) -> None:
        dice = self._dice
        name = dice.choice(sorted(self._world.machines))
        machine = self._world.machines[name]
        act = dice.choices(
            ("tap", "again", "void", "cable", "time", "sync", "resend", "crash", "power", "more"),
            (30, 6, 8, 6, 10, 10, 2, 4, 2, 2),
        )[0]
        if act == "tap":
            offer = dice.choice(sorted(self._document["offers"]))
            self._tap(name, dice.choice(sorted(self._document["cards"])), offer, dice.choice(ONES))
        elif act == "again":
            self._again()
        elif act == "void":
            self._void()
        elif act == "cable":
            machine.online = not machine.online
        elif act == "time":
            self._world.time.now_ms += dice.choice((1, 14, 16, 90, 400, 1440, 8000)) * MINUTE_MS
        elif act == "sync":
            machine.lose_answer = dice.random() < 0.2
            wire.sync(machine, self._world)
        elif act == "resend":
            wire.resend(machine, self._world)
        elif act == "crash":
            machine.crash_at = dice.choice(("before_commit", "after_commit"))
        elif act == "power":
            machine.restart()
        elif "clone" not in self._world.machines and dice.random() < 0.5:
            self._model.cloned(machine)
            self._world.clone(name, "clone").online = dice.random() < 0.5
        else:
            self._world.recall(dice.choice(("t1", "t2")), "scarce-lease")
        self._look()

    def _tap(self, name: str, card: str, offer: str, quantity: int) -> None:
        if self._faults:
            return
        self.taps += 1
        machine = self._world.machines[name]
        snapshot = machine.snapshot
        order = TapOrder(
            nonce=f"n{self.taps}",
            card=card_view([card], snapshot.cards, snapshot.members),
            offer=offer,
            quantity=quantity,
        )
        before = self._model.before(machine, Tap(card, offer, quantity))
        answer = till.tap(machine, self._world.venue_of(machine), order, self._world)
        self._orders[name, order.nonce] = order
        if answer.entry is not None:
            self._first[name, order.nonce] = (answer.code, answer.entry)
        self.codes.add(str(answer.code))
        self._faults += self._model.after(machine, before, order.nonce)

    def _again(self) -> None:
        """The same nonce once more is the same answer and no other entry."""
        if not self._first:
            return
        name, nonce = self._dice.choice(sorted(self._first))
        machine = self._world.machines[name]
        size = machine.log.size
        answer = till.tap(
            machine, self._world.venue_of(machine), self._orders[name, nonce], self._world
        )
        same = (answer.code, answer.entry) == self._first[name, nonce] and answer.replay
        if not same or machine.log.size != size:
            self._faults.append(f"{nonce} at {name} was answered anew: {answer.code}")

    def _void(self) -> None:
        if not self._first:
            return
        name, nonce = self._dice.choice(sorted(self._first))
        machine = self._world.machines[name]
        self.taps += 1
        supervisor = self._dice.choice(("", "s1"))
        request = VoidRequest(nonce=f"v{self.taps}", original=nonce, supervisor=supervisor)
        venue = self._world.venue_of(machine)
        till.void(machine, venue, request, self._world, supervisor_ok=supervisor == "s1")

    def _look(self) -> None:
        if not self._faults:
            self._faults += self._model.stock_faults()


ONES: Final = (1, 1, 1, 2)


def made_up(dice: random.Random) -> dict[str, Any]:
    """A scenario: five offers of which there is little, and others with rules of every field."""
    members = {
        f"m{number}": {
            "district": dice.choice(("xicheng", "dongcheng")),
            "tags": dice.sample(("nursing", "veteran", "driver"), dice.randrange(3)),
        }
        for number in range(4)
    }
    cards: dict[str, Any] = {f"c{number}": {"member": f"m{number}"} for number in range(4)}
    cards["new"] = {"member": "m0", **dice.choice(({}, {"replaces": "c0"}))}
    cards["odd"] = {"member": "m1", "status": dice.choice(("active", "blocked", "expired"))}
    return {
        "scenario": "a life",
        "start": "2026-06-01T09:00:00+08:00",
        "venues": {
            "east": {"level": "city", "district": "dongcheng"},
            "west": {"level": "street", "district": "xicheng", "street": "desheng"},
        },
        "members": members,
        "cards": cards,
        "terminals": {
            "t1": {"venue": "east"},
            "t2": {"venue": "west", **dice.choice(({}, {"offline_cap": 9}))},
            "cut": {"venue": dice.choice(("east", "west")), "online": False},
        },
        "supervisors": ["s1"],
        "offers": {
            **_scarce(dice),
            **{f"any-{number}": _any(dice) for number in range(dice.randrange(2, 5))},
        },
        "steps": [],
    }


def _scarce(dice: random.Random) -> dict[str, Offer]:
    """Nothing but what is scarce keeps anybody from these."""
    shared = {"count": dice.choice((1, 2)), "per": dice.choice(("day", "month", "offer"))}
    leased = {"pool": dice.randrange(3, 8), "leases": {"t1": 2, "t2": 1, "cut": 2}}
    return {
        "scarce-cap": _plain(dice) | {"offline": "capped", "cap": dice.choice((1, 2, 3))},
        "scarce-lease": _plain(dice) | {"stock": leased, "offline": "leased"},
        "scarce-online": _plain(dice) | {"stock": {"pool": 2}, "offline": "online"},
        "shared-a": _plain(dice) | {"limits": [{**shared, "group": SHARED}]},
        "shared-b": _plain(dice) | {"limits": [{**shared, "group": SHARED}]},
    }


def _plain(dice: random.Random) -> Offer:
    return {
        "kind": dice.choice(("ticket", "coupon", "entry", "discount", "service", "enrolment")),
        "from": "2026-06-01T00:00:00+08:00",
        "until": "2026-07-01T00:00:00+08:00",
    }


def _any(dice: random.Random) -> Offer:
    """Every field by its own throw."""
    one = _plain(dice)
    throws: dict[str, Callable[[], Any]] = {
        "weekdays": lambda: dice.sample(("mon", "tue", "wed", "sat", "sun"), 3),
        "hours": lambda: [dice.choice(("09:00-12:00", "08:00-10:30", "13:00-24:00"))],
        "venues": lambda: [dice.choice(("east", "west"))],
        "scope": lambda: {"district": dice.choice(("xicheng", "dongcheng"))},
        "eligibility": lambda: dice.choice(
            (
                {"district": ["xicheng"]},
                {"tags_any": ["nursing", "veteran"]},
                {"tags_all": ["driver"]},
                {"tags_none": ["driver"]},
            )
        ),
        "interval": lambda: dice.choice(("20m", "3h")),
        "re_entry_minutes": lambda: dice.choice((10, 45)),
        "from": lambda: dice.choice(("2026-06-01T09:10:00+08:00", "2026-06-02T00:00:00+08:00")),
        "until": lambda: dice.choice(("2026-06-01T10:00:00+08:00", "2026-06-20T00:00:00+08:00")),
    }
    for name, throw in throws.items():
        if dice.random() < 0.3:
            one[name] = throw()
    limits = [_limit(dice) for _ in range(dice.randrange(3))]
    if limits:
        one["limits"] = limits
    if dice.random() < 0.3:
        one |= {"offline": "capped", "cap": dice.choice((1, 3, 20))}
    return one


def _limit(dice: random.Random) -> dict[str, Any]:
    kind = dice.choice(("count", "count", "count", "days", "within"))
    if kind == "days":
        return {"days": dice.choice((1, 2))}
    if kind == "within":
        return {"within": dice.choice(("30m", "180m"))}
    per = dice.choice(("day", "week", "month", "quarter", "half_year", "year", "offer"))
    scope = dice.choice(({}, {}, {"scope": "member_venue"}))
    return {"count": dice.choice((1, 2, 3)), "per": per, **scope}


def _none(*_: object, **__: object) -> Iterator[Any]:
    return iter(())


def _ungrouped(original: Callable[..., UsageView]) -> Callable[..., UsageView]:
    def view(self: Usage, member: str, offer: Any) -> UsageView:
        found = original(self, member, offer)
        return replace(found, grouped=dict.fromkeys(found.grouped, found.uses))

    return view


@contextmanager
def _planted(place: object, name: str, fault: object) -> Iterator[None]:
    with mock.patch.object(place, name, fault):
        yield


#: Faults put in on purpose; the rush of any life meets each of them.
FAULTS: Final[Mapping[str, Callable[[], Any]]] = {
    "a cap that is not kept": lambda: _planted(ledger.rules.stock, "_capped", _none),
    "a limit that forgets the other offers of its group": lambda: _planted(
        Usage, "view", _ungrouped(Usage.view)
    ),
    "a lease that never ends": lambda: _planted(ledger.rules.stock, "lease_holds", lambda *_: True),
    "a limit that is not kept": lambda: _planted(
        ledger.rules.limits, "used_up", lambda *_, **__: None
    ),
    "a nonce that is not looked up": lambda: _planted(LogStore, "by_nonce", lambda *_: None),
}
