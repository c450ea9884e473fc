"""Approvals that hold for a while: what ``decide`` said of a first use, until something turns.

Where nothing was used before, ``decide`` looks at the time of a tap only through the windows of the
offer and the spans of its limits. Two taps that are alike in everything else get the same answer
between two such turns, so it is asked once for all of them. Only approvals are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.codes import Code
from ledger.rules.offer import CardStatus, MemberStatus, MemberView, Offer
from ledger.rules.windows import steady

if TYPE_CHECKING:
    from server.facts import Event

_HOUR_MS: Final = 3_600_000
#: Kept at most; then all are forgotten and asked for again.
APPROVALS_MAX: Final = 50_000


class Likeness(NamedTuple):
    """All that a decision on a first use depends on beside its time.

    An offer is told by the object it is, which lives as long as whoever keeps the approvals.
    """

    offer: int
    venue: str
    card: CardStatus
    member: MemberStatus | None
    district: str
    street: str
    tags: frozenset[str]
    quantity: int
    companions: int
    overridden: bool
    supervisor: bool
    reason: bool
    proxy: bool


def likeness(event: Event, offer: Offer, card: CardStatus, member: MemberView | None) -> Likeness:
    """What tells the taps apart that may get another answer."""
    agent = event.text("agent")
    return Likeness(
        id(offer),
        event.text("venue"),
        card,
        member.status if member is not None else None,
        member.district if member is not None else "",
        member.street if member is not None else "",
        member.tags if member is not None else frozenset(),
        event.number("quantity", 1),
        event.number("companions"),
        event.text("code") == Code.A02,
        bool(event.text("supervisor")),
        bool(event.text("reason_code")),
        bool(agent) and agent != event.text("card"),
    )


class Approvals:
    """Spans of time in which taps of a likeness are approved if nothing was used before."""

    def __init__(self) -> None:
        """Knows nothing yet."""
        self._spans: dict[tuple[Likeness, int], tuple[int, int]] = {}

    def hold(self, tap: Likeness, at_ms: int) -> bool:
        """Whether ``decide`` has approved such a tap, and nothing turned in between."""
        span = self._spans.get((tap, at_ms // _HOUR_MS))
        return span is not None and span[0] <= at_ms < span[1]

    def keep(self, tap: Likeness, offer: Offer, zone: str, at_ms: int) -> None:
        """Takes an approval of a first use at an instant.

        Args:
            tap: its likeness.
            offer: of which ``tap`` is.
            zone: IANA name of the venue's time zone.
            at_ms: when it was.
        """
        start, end = steady(offer, at_ms, zone)
        for limit in offer.limits:
            for turn in (limit.since_ms, limit.before_ms):
                if turn is not None and turn <= at_ms:
                    start = max(start, turn)
                elif turn is not None:
                    end = min(end, turn)
        if len(self._spans) >= APPROVALS_MAX:
            self._spans.clear()
        self._spans[tap, at_ms // _HOUR_MS] = (start, end)
