"""Telephone holds (电话预留): up to 40 units for a unit that calls, out of this terminal's lease.

A hold is a ``goods`` entry; it ends by itself at its time, without another. The caller's name stays
in this machine's state file and goes with the hold; the ledger knows only the hold's number.
"""

from __future__ import annotations

from typing import Final

from ledger.rules.goods import HELD_UNITS_MAX, GoodsMovement, Hold
from ledger.rules.offer import Offer, OfflineMode
from ledger.rules.request import CardView, RedemptionRequest
from ledger.rules.terms import Ask
from terminal.entries import Place
from terminal.errors import GoodsRefused, RequestInvalid
from terminal.goods import goods_entry, write
from terminal.parts import Parts
from terminal.requests import check_number
from terminal.work_answers import HoldShown

HOLD_MINUTES_MAX: Final = 24 * 60
LABEL_CHARACTERS_MAX: Final = 40
CODE_CHARACTERS: Final = 4
_FACT: Final = "hold."


def check_hold(parts: Parts, hold: str, offer: str) -> None:
    """A hold that units are to come from; none if it is empty.

    Raises:
        RequestInvalid: it is unknown, over, used up, or of another offer.
    """
    with parts.writer.turn:
        found = parts.writer.goods.hold(hold) if hold else None
        now_ms = parts.facts.time.now().now_ms
        if hold and (found is None or found.offer != offer or not found.left(now_ms)):
            raise RequestInvalid("is over or is for another offer", field="hold")


class HoldDesk:
    """Places and releases holds. One per terminal; safe to call from several threads."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def shown(self) -> list[HoldShown]:
        """Holds that still hold something, the next to end first."""
        parts, now = self._parts, self._parts.facts.time.now()
        with parts.writer.turn:
            held = list(parts.writer.goods.holds())
        for one in held:
            if not one.left(now.now_ms) and parts.journal.fact(_FACT + one.id):
                parts.journal.store_fact(_FACT + one.id, "")
        standing = [one for one in held if one.left(now.now_ms)]
        return [self._shown(one, now.now_ms) for one in sorted(standing, key=_ends)]

    def place(self, place: Place, offer: str, units: int, minutes: int, label: str) -> HoldShown:
        """Holds units for a caller; durable on return.

        Raises:
            RequestInvalid: too many units, too long, or no such offer.
            GoodsRefused: the lease does not cover it; the message says how many it does.
            LogFault: it was not recorded.
        """
        check_number(units, "units", 1, HELD_UNITS_MAX)
        check_number(minutes, "minutes", 1, HOLD_MINUTES_MAX)
        if len(label) > LABEL_CHARACTERS_MAX or not (label.isprintable() or not label):
            raise RequestInvalid(f"at most {LABEL_CHARACTERS_MAX} characters", field="label")
        known = self._parts.facts.installed.offer(offer)
        if not isinstance(known, Offer):
            raise RequestInvalid(f"no offer is called {offer[:64]}", field="offer")
        if known.offline is not OfflineMode.LEASED:
            raise GoodsRefused(
                "only what this terminal has a lease of can be held; nothing was recorded",
                word="not_leased",
            )
        if self._left(known) < units:
            self._refill(place, known, units)
        parts = self._parts
        with parts.writer.turn:
            left = self._left(known)
            if left < units:
                raise GoodsRefused(
                    f"{left} can be held here, not {units}; nothing was recorded. Hold fewer, or "
                    "ask another station",
                    word="beyond_lease",
                )
            now_ms = parts.facts.time.now().now_ms
            name = parts.new_nonce()
            entry = goods_entry(parts, place, offer, units, GoodsMovement.HELD, "")
            until_ms = min(now_ms + minutes * 60_000, known.until_ms)
            write(parts, {**entry, "hold": name, "until_ms": until_ms})
            held = parts.writer.goods.hold(name)
        assert held is not None, "the fold has just read the entry"
        if label:
            parts.journal.store_fact(_FACT + name, label)
        return self._shown(held, now_ms)

    def release(self, place: Place, name: str) -> None:
        """Gives a hold back to everybody; an ended one changes nothing.

        Raises:
            RequestInvalid: no such hold.
            LogFault: it was not recorded.
        """
        parts = self._parts
        with parts.writer.turn:
            held = parts.writer.goods.hold(name)
            if held is None:
                raise RequestInvalid("is not known here", field="hold")
            left = held.left(parts.facts.time.now().now_ms)
            if left:
                entry = goods_entry(parts, place, held.offer, left, GoodsMovement.RELEASED, "")
                write(parts, {**entry, "hold": name})
        parts.journal.store_fact(_FACT + name, "")

    def _left(self, offer: Offer) -> int:
        """Units of the leases that nobody else holds and that lie here."""
        parts = self._parts
        with parts.writer.turn:
            return parts.stock.leased(offer, parts.facts.time.now())

    def _refill(self, place: Place, offer: Offer, units: int) -> None:
        """Asks the server for as many units as the caller wants, if it can be asked."""
        parts, now = self._parts, self._parts.facts.time.now()
        if parts.facts.link.connected(now.boot_ms):
            request = RedemptionRequest(
                nonce="hold", card=CardView(), offer_id=offer.id, quantity=units
            )
            parts.stock.ask(Ask.REFILL, request, offer, place.venue, now)

    def _shown(self, held: Hold, now_ms: int) -> HoldShown:
        offer = self._parts.facts.installed.offer(held.offer)
        title = (offer.title if isinstance(offer, Offer) else "") or held.offer
        return HoldShown(
            hold=held.id,
            code=held.id[-CODE_CHARACTERS:],
            offer=held.offer,
            title=title,
            title_en=(offer.title_en if isinstance(offer, Offer) else "") or title,
            units=held.units,
            left=held.left(now_ms),
            placed_ms=held.placed_ms,
            until_ms=held.until_ms,
            label=self._parts.journal.fact(_FACT + held.id),
        )


def _ends(held: Hold) -> tuple[int, str]:
    return held.until_ms, held.id
