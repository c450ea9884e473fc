"""Whether an ``online`` offer may be held for a tap: the rules' own word, with the stock beside it.

Pure, and the same for the running server and for scenarios in virtual time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import ledger.rules.decide
from ledger.codes import Code, Outcome
from ledger.rules.offer import (
    BrokenOffer,
    Decision,
    Offer,
    OnlineAnswer,
    RedemptionRequest,
    ReservationState,
    TerminalState,
    Venue,
)
from ledger.rules.stock import next_issue
from ledger.rules.usage import UsageView


@dataclass(frozen=True, slots=True)
class Free:
    """What is left of the part of the stock that a tap draws on.

    Attributes:
        units: neither redeemed, leased nor held by others; ``None`` where nothing bounds it.
        elsewhere: whether other venues have units of their own left.
    """

    units: int | None = None
    elsewhere: bool = False


def consent(
    request: RedemptionRequest,
    offer: Offer | BrokenOffer | None,
    usage: UsageView,
    free: Free,
    *,
    terminal: str,
    venue: Venue,
    now_ms: int,
) -> Decision:
    """Decides on a tap as its terminal would if it knew all that the server knows.

    Args:
        request: the tap; a supervisor that it names was proved at the terminal.
        offer: the offer in force at the server.
        usage: uses and live holds of all ledgers, without the hold under this very nonce.
        free: what is left of the stock, without that hold.
        terminal: whose tap it is.
        venue: where.
        now_ms: server time.

    Returns:
        The decision; ``refuses`` says whether a hold is refused by it.
    """
    state = TerminalState(
        terminal=terminal,
        venue=venue,
        connected=True,
        supervisor_ok=bool(request.supervisor),
        online=OnlineAnswer.HELD,
        reservation=ReservationState.VALID,  # the terminal has looked at it
    )
    if isinstance(offer, Offer) and free.units is not None and free.units < request.quantity:
        state = replace(
            state,
            online=OnlineAnswer.REFUSED,
            online_code=Code.L06 if free.elsewhere else Code.L05,
            online_until_ms=None if free.elsewhere else next_issue(offer, venue.zone, now_ms),
        )
    # Looked up when called: there is one ``decide``, and no copy of it is kept here.
    return ledger.rules.decide.decide(request, offer, usage, state, now_ms)


def refuses(decision: Decision) -> bool:
    """Whether nothing may be held: a decline, or a re-entry that takes nothing.

    What is left to ask at the counter (``refer``) is the terminal's business and comes after the
    stock: the units are held meanwhile.
    """
    return decision.outcome is Outcome.DECLINE or decision.code is Code.A03
