"""Whether there is a unit to give: connection, stock, lease and cap, in that order."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.codes import Code
from ledger.rules import windows
from ledger.rules.offer import (
    Ask,
    Offer,
    OfflineMode,
    OnlineAnswer,
    RedemptionRequest,
    Refill,
    StockMode,
    TerminalState,
)


def refusal(
    offer: Offer, request: RedemptionRequest, state: TerminalState, now_ms: int
) -> Iterator[tuple[Code, int | None]]:
    """Codes T04, L01 to L08 that the offline mode gives rise to, in their order.

    Args:
        offer: what is asked for.
        request: what was tapped; a dry run takes the server's consent as given where it would ask.
        state: lease, caps, and what the server said.
        now_ms: instant of the tap.

    Yields:
        Code and the instant from which it may be otherwise, or ``None``.
    """
    quantity, mode = request.quantity, offer.offline
    stocked = offer.stock.mode is not StockMode.NONE
    found: Iterator[tuple[Code, int | None]] = iter(())
    if mode is OfflineMode.ONLINE:
        found = _online(state)
    elif mode is OfflineMode.LEASED and stocked:
        found = _leased(offer, quantity, state, now_ms)
    elif mode is OfflineMode.CAPPED and stocked:
        found = _soft(offer, quantity, state, now_ms)
    for code, until_ms in found:
        if not (request.simulate and ask(code, state) is not Ask.NOTHING):
            yield code, until_ms
    if not state.connected and mode in {OfflineMode.OPEN, OfflineMode.CAPPED}:
        yield from _capped(offer, quantity, state)


def ask(code: Code, state: TerminalState) -> Ask:
    """What a connected terminal asks the server before this code is its answer."""
    if not state.connected:
        return Ask.NOTHING
    if code is Code.T04 and state.online is OnlineAnswer.NOT_ASKED:
        return Ask.HOLD
    if code is Code.L07 and state.refill is Refill.NOT_ASKED:
        return Ask.REFILL
    return Ask.NOTHING


def lease_holds(quantity: int, state: TerminalState, now_ms: int) -> bool:
    """Whether the terminal's lease covers the request; otherwise a connected one asks for more."""
    lease = state.lease
    return lease is not None and now_ms < lease.expires_ms and lease.left >= quantity


def next_issue(offer: Offer, zone: str, now_ms: int) -> int | None:
    """When stock that is given out anew each day or sitting comes again."""
    if offer.stock.mode is StockMode.PER_DAY:
        return windows.next_open(offer, windows.next_day_start(now_ms, zone), zone)
    if offer.stock.mode is StockMode.PER_SESSION:
        now_sitting = windows.sitting(offer, now_ms, zone)
        after_ms = now_sitting[1] + offer.tolerance_ms if now_sitting is not None else now_ms
        return windows.next_open(offer, after_ms, zone)
    return None


def _online(state: TerminalState) -> Iterator[tuple[Code, int | None]]:
    if not state.connected or state.online in {OnlineAnswer.UNANSWERED, OnlineAnswer.NOT_ASKED}:
        yield Code.T04, None
    elif state.online is OnlineAnswer.REFUSED:
        yield state.online_code or Code.L05, state.online_until_ms


def _soft(
    offer: Offer, quantity: int, state: TerminalState, now_ms: int
) -> Iterator[tuple[Code, int | None]]:
    if state.stock_used + quantity > offer.stock.quantity:
        yield Code.L05, next_issue(offer, state.venue.zone, now_ms)


def _leased(
    offer: Offer, quantity: int, state: TerminalState, now_ms: int
) -> Iterator[tuple[Code, int | None]]:
    if lease_holds(quantity, state, now_ms):
        return
    if state.refill is Refill.POOL_EMPTY:
        yield Code.L05, next_issue(offer, state.venue.zone, now_ms)
    elif state.refill is Refill.VENUE_EMPTY:
        yield Code.L06, None
    else:
        yield Code.L07, None


def _capped(offer: Offer, quantity: int, state: TerminalState) -> Iterator[tuple[Code, int | None]]:
    own = offer.offline is OfflineMode.CAPPED and state.cap_used + quantity > offer.cap
    cap = state.offline_cap
    if own or (cap is not None and state.cap_used_total + quantity > cap):
        yield Code.L08, None
