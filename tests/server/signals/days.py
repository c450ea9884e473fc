"""Days to look at: places, offers and redemptions at noon of 30 May 2014."""

from __future__ import annotations

from typing import Any

from ledger.rules.offer import Hours, Offer, Venue
from server.signals.signal import Use
from tests.server.world import HOUR_MS, MINUTE_MS, START_MS, card, member

__all__ = ["HOUR_MS", "MINUTE_MS"]

NOON_MS = START_MS + 2 * HOUR_MS
VENUES = {
    one.id: one
    for one in (
        Venue("M01", name="孔庙和国子监博物馆", district="110101"),
        Venue("M02", name="M02", district="110101"),
        Venue("S0201", name="德胜", district="110102"),
        Venue("S0301", name="三里屯", district="110105"),
        Venue("S1701", name="平谷", district="110117"),
    )
}
OFFERS = {
    "museum": Offer(
        id="museum", title="免费参观", from_ms=0, until_ms=2**41, hours=(Hours(540, 990),)
    ),
    "pack": Offer(id="pack", title="优惠券套包", from_ms=0, until_ms=2**41),
}


def use(who: int, *, at_ms: int, **fields: Any) -> Use:
    given: dict[str, Any] = {
        "position": f"{'l' * 26}/{who}",
        "nonce": f"n{who}",
        "at_ms": at_ms,
        "day": 20140530,
        "card": card(who),
        "member": member(who),
        "offer": "museum",
        "offer_version": 1,
        "venue": "M01",
        "code": "A00",
    }
    return Use(**(given | fields))
