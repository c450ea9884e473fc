"""The decision and the catalogue at the city's size, each beside what it may cost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import Any, Final

from ledger.codes import Outcome
from ledger.entry import Kind
from ledger.rules.catalogue import Catalogue, load_offers, load_venues
from ledger.rules.decide import decide
from ledger.rules.leases import LeaseBook
from ledger.rules.offer import (
    BrokenOffer,
    CardStatus,
    CardView,
    MemberView,
    RedemptionRequest,
    TerminalState,
)
from ledger.rules.reservations import TakenReservations
from ledger.rules.usage import Usage
from redcard.bench.paths import Figure
from redcard.bench.raw import ROUNDS, Samples, Step

OFFERS: Final = 1_029
PAST_USES: Final = 500
DECISIONS: Final = 4_000
SHORT: Final = 10_000
LONG: Final = 1_000_000
TAPS: Final = 500
#: How much longer a tap may take after a hundred times as many entries.
GROWTH: Final = 1.5
DECIDE_US: Final = 200.0
LOAD_MS: Final = 100.0
_NOW_MS: Final = 1_401_415_200_000
_HOUR_MS: Final = 3_600_000
_MEMBER: Final = "f" * 16


def bench_rules(
    _directory: Path, progress: Callable[[int, int], None] | None = None
) -> list[Figure]:
    """p99 of one decision, and loading the catalogue; ``raw`` is what each may cost.

    The member has had 500 redemptions; the catalogue has 1,029 offers made from the demo's.
    """
    data, places = _catalogue_file(), (files("redcard") / "demo_data" / "venues.json").read_bytes()
    venues = load_venues(places)
    loads, quantiles = [], []
    catalogue = load_offers(data, venues=venues)
    step = _one_decision(catalogue)
    for number in range(ROUNDS):
        began = time.perf_counter()
        load_offers(data, venues=venues)
        loads.append((time.perf_counter() - began) * 1000)
        quantiles.append(Samples.of(Step(step), count=DECISIONS)[0].quantile(0.99))
        if progress is not None:
            progress(number + 1, ROUNDS)
    return [
        _figure("decide_p99", "us", quantiles, DECIDE_US),
        _figure("catalogue_load", "ms", loads, LOAD_MS),
        growth(catalogue),
    ]


def growth(catalogue: Catalogue, long: int = LONG, short: int = SHORT) -> Figure:
    """One decided and folded tap after a long ledger; ``raw`` is the same after a short one."""
    steps = [Step(_tap_after(catalogue, size)) for size in (long, short)]
    taken: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for samples, into in zip(Samples.of(*steps, count=TAPS), taken, strict=True):
            into.append(samples.quantile(0.5))
    ours, raw = min(taken[0]), min(taken[1])
    ratio = ours / raw
    samples_of = {"ours": [round(one, 3) for one in taken[0]]}
    samples_of["raw"] = [round(one, 3) for one in taken[1]]
    return Figure(
        "tap_after_1000000_entries",
        round(ours, 3),
        "us",
        round(raw, 3),
        round(ratio, 3),
        GROWTH,
        ratio <= GROWTH,
        samples_of,
    )


def _tap_after(catalogue: Catalogue, size: int) -> Callable[[], object]:
    """A tap of a member with few uses on a terminal whose ledger has so many entries."""
    offer = next(one for one in catalogue.offers.values() if one.id.startswith("DS-E-016"))
    usage, leases, taken = Usage(), LeaseBook(), TakenReservations()
    numbers = count()

    def write() -> None:
        number = next(numbers)
        moment = _NOW_MS - 400 * 24 * _HOUR_MS + number * 1_000
        entry = {**_use(number, offer.id), "ts_ms": moment, "member": f"{number // 4:016x}"}
        usage.apply(entry)
        leases.apply(entry)
        taken.apply(entry)

    for _ in range(size):
        write()
    member = f"{size // 8:016x}"
    card = CardView("a" * 26, CardStatus.ACTIVE, "unionpay", "authenticated", MemberView(member))
    request = RedemptionRequest(nonce="bench", card=card, offer_id=offer.id)
    venue = catalogue.venues["S0201"]

    def step() -> None:
        state = TerminalState(
            terminal="bench",
            venue=venue,
            cap_used=usage.units_since(size, offer=offer.id),
            lease=leases.view(offer.id, _NOW_MS),
        )
        decide(request, offer, usage.view(member, offer), state, _NOW_MS)
        write()

    return step


def _figure(name: str, unit: str, taken: list[float], allowed: float) -> Figure:
    value = min(taken)
    samples = {"ours": [round(one, 3) for one in taken], "raw": [allowed]}
    ratio = value / allowed
    return Figure(name, round(value, 3), unit, allowed, round(ratio, 3), 1.0, ratio <= 1, samples)


def _catalogue_file() -> bytes:
    shipped = json.loads((files("redcard") / "demo_data" / "offers.json").read_bytes())
    many: list[dict[str, Any]] = []
    while len(many) < OFFERS:
        many += [
            {**offer, "id": f"{offer['id']}-{len(many) + at}"} for at, offer in enumerate(shipped)
        ]
    return json.dumps(many[:OFFERS], ensure_ascii=False).encode()


def _one_decision(catalogue: Catalogue) -> Callable[[], object]:
    offer = next(one for one in catalogue.offers.values() if one.id.startswith("DS-E-016"))
    assert not isinstance(offer, BrokenOffer)
    usage = Usage()
    for number in range(PAST_USES):
        usage.apply(_use(number, offer.id), ledger="bench")
    request = RedemptionRequest(
        nonce="bench",
        card=CardView(
            "a" * 26, CardStatus.ACTIVE, "unionpay", "authenticated", MemberView(_MEMBER)
        ),
        offer_id=offer.id,
    )
    state = TerminalState(terminal="bench", venue=catalogue.venues["S0201"])

    def step() -> None:
        view = usage.view(_MEMBER, offer)
        decision = decide(request, offer, view, state, _NOW_MS)
        if decision.outcome is not Outcome.APPROVE:
            raise AssertionError(f"the bench's own decision was {decision.code}")

    return step


def _use(number: int, offer: str) -> dict[str, Any]:
    return {
        "v": 1,
        "seq": number,
        "kind": Kind.REDEEM.value,
        "ts_ms": _NOW_MS - (number + 24) * 24 * _HOUR_MS // 2,
        "mono_ms": number,
        "boot": "0" * 16,
        "nonce": f"n{number}",
        "card": "a" * 26,
        "member": _MEMBER,
        "offer": offer,
        "offer_version": 1,
        "venue": "S0201",
        "operator": "bench",
        "code": "A00",
        "scheme": "unionpay",
        "assurance": "authenticated",
        "quantity": 1,
        "mode": "online",
    }
