"""Offers, cards and terminals for tests of the rules, with defaults that let a tap through."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from ledger.entry import Entry
from ledger.rules.catalogue import parse_offer
from ledger.rules.decide import decide
from ledger.rules.offer import (
    BrokenOffer,
    CardStatus,
    CardView,
    Decision,
    MemberView,
    Offer,
    RedemptionRequest,
    TerminalState,
    Venue,
)
from ledger.rules.usage import Usage, UsageView

SHANGHAI = ZoneInfo("Asia/Shanghai")
MEMBER = MemberView("0123456789abcdef", district="xicheng", street="desheng")
CARD = CardView("a" * 26, CardStatus.ACTIVE, "unionpay", member=MEMBER)
STATE = TerminalState(terminal="t1", venue=Venue("v1"), connected=True)
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def at(text: str) -> int:
    """``2026-05-02 09:00`` in Shanghai as milliseconds."""
    return round(datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp() * 1000)


NOW = at("2026-05-02 10:00")


def offer(**fields: Any) -> Offer:
    return parse_offer(
        {
            "id": "museum",
            "from": "2026-01-01T00:00:00+08:00",
            "until": "2027-01-01T00:00:00+08:00",
            **fields,
        }
    )


def request(**changes: Any) -> RedemptionRequest:
    return replace(RedemptionRequest(nonce="n1", card=CARD, offer_id="museum"), **changes)


def ask(
    one: Offer | BrokenOffer | None = None,
    *,
    usage: UsageView | None = None,
    now: int = NOW,
    state: TerminalState = STATE,
    **changes: Any,
) -> Decision:
    """One decision; ``None`` asks for an offer without any rule."""
    found = offer() if one is None else one
    return decide(request(**changes), found, usage or UsageView(), state, now)


def redeem(seq: int, ts_ms: int, **fields: Any) -> Entry:
    return {
        "kind": "redeem",
        "seq": seq,
        "ts_ms": ts_ms,
        "nonce": f"n{seq}",
        "member": MEMBER.ref,
        "offer": "museum",
        "venue": "v1",
        "quantity": 1,
        **fields,
    }


def void(seq: int, original: int, **fields: Any) -> Entry:
    return {
        "kind": "void",
        "seq": seq,
        "ts_ms": 0,
        "nonce": f"n{seq}",
        "orig_seq": original,
        "orig_nonce": f"n{original}",
        **fields,
    }


def used(one: Offer, *moments: int, **fields: Any) -> UsageView:
    """What a member used at some moments."""
    usage = Usage()
    for seq, moment in enumerate(moments):
        usage.apply(redeem(seq, moment, **fields))
    return usage.view(MEMBER.ref, one)
