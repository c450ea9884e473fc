"""Goods at a station: parcels signed for (到货签收), transfers signed by both, telephone holds.

Every act is a ``goods`` entry, durable on return. What contradicts the shelf is refused with what
to do; what merely differs from the papers is recorded as it was found, with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.entry import Entry, Kind, Value
from ledger.errors import EntryInvalid, LogFault
from ledger.rules.goods import GoodsMovement
from ledger.rules.numbers import NumberRange, parse_ranges
from ledger.rules.offer import Offer
from terminal.entries import Place
from terminal.errors import GoodsRefused, RequestInvalid
from terminal.parts import Parts
from terminal.replay import number, text
from terminal.requests import check_name, check_number, check_reason
from terminal.work_answers import GoodsLine, Movement
from terminal.writer import Written

UNITS_MAX: Final = 1_000_000
#: Why a parcel differs from its papers; stable codes, worded by the pages.
PARCEL_REASONS: Final = ("short", "over", "damaged", "wrong_numbers", "other")
#: First line of the slip that goes along with a transfer.
SLIP_FORMAT: Final = "redcard-transfer/v1"
_MOVEMENTS_SHOWN_MAX: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A parcel as it is signed for; ``expected`` is what its papers say, 0 for the same."""

    offer: str
    quantity: int
    expected: int = 0
    numbers: Sequence[str] = ()
    reason: str = ""
    parcel: str = ""
    transfer: str = ""
    from_venue: str = ""
    slip: str = ""
    nonce: str = ""


class GoodsDesk:
    """Signs for goods. One per terminal; safe to call from several threads."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def lines(self) -> list[GoodsLine]:
        """Goods of every offer that has or had a parcel here."""
        parts, now = self._parts, self._parts.facts.time.now()
        found = []
        with parts.writer.turn:
            book = parts.writer.goods
            for name, shelf in book.shelves().items():
                opens = parts.writer.leases.opens(name)
                title, title_en = self._titles(name)
                found.append(
                    GoodsLine(
                        offer=name,
                        title=title,
                        title_en=title_en,
                        received=shelf.received,
                        sent=shelf.sent,
                        given=shelf.given,
                        on_hand=shelf.on_hand,
                        leased=sum(one.left for one in opens if one.expires_ms > now.now_ms),
                        held=book.held(name, now.now_ms),
                        numbers=tuple(str(one) for one in shelf.numbers),
                    )
                )
        return found

    def movements(self) -> list[Movement]:
        """The newest movements, newest first."""
        writer = self._parts.writer
        with writer.turn:
            newest = writer.goods.moves()[-_MOVEMENTS_SHOWN_MAX:]
            entries = [(seq, writer.entry(seq)) for seq in reversed(newest)]
        return [self._shown(seq, entry) for seq, entry in entries]

    def receive(self, place: Place, parcel: Parcel) -> Movement:
        """Signs for a parcel or for a transfer of another station; durable on return.

        Raises:
            RequestInvalid: a field is wrong, or quantities differ and no reason is given.
            GoodsRefused: its numbers lie on the shelf already, or it was signed for before.
            LogFault: it was not recorded.
        """
        expected = parcel.expected or parcel.quantity
        check_number(parcel.quantity, "quantity", 0, UNITS_MAX)
        check_number(expected, "expected", 1, UNITS_MAX)
        check_reason(parcel.reason)
        if parcel.quantity != expected and not parcel.reason:
            raise RequestInvalid(
                f"is needed: {parcel.quantity} arrived, the papers say {expected}; "
                f"one of {', '.join(PARCEL_REASONS)}",
                field="reason",
                word="reason_required",
            )
        numbers = _numbers(parcel.numbers, parcel.quantity)
        slip = _slip(parcel, place.venue) if parcel.slip else {}
        transfer = parcel.transfer or slip.get("transfer", "")
        named = {
            "reason_code": parcel.reason if parcel.quantity != expected else "",
            "parcel": check_name(parcel.parcel, "parcel"),
            "transfer": check_name(transfer, "transfer"),
            "from_venue": check_name(parcel.from_venue or slip.get("from", ""), "from_venue"),
        }
        more: dict[str, Value] = {name: value for name, value in named.items() if value}
        more["expected"] = expected
        with self._parts.writer.turn:
            done = self._done(parcel.nonce)
            if done is not None:
                return done
            self._check_parcel(parcel.offer, numbers, transfer)
            return self._write(
                place, parcel.offer, parcel.quantity, GoodsMovement.RECEIVED, numbers, more,
                parcel.nonce,
            )  # fmt: skip

    def send(
        self, place: Place, offer: str, quantity: int, to_venue: str, numbers: Sequence[str],
        nonce: str,
    ) -> Movement:  # fmt: skip
        """Signs that goods leave for another station; the slip goes with them.

        The receiving station signs with the transfer's number in its own ledger, so that both have
        signed; the back office sees a transfer that only one side has.

        Raises:
            RequestInvalid: a field is wrong.
            GoodsRefused: so many, or these numbers, do not lie here, or callers hold them.
            LogFault: it was not recorded.
        """
        check_number(quantity, "quantity", 1, UNITS_MAX)
        if not check_name(to_venue, "to_venue") or to_venue == place.venue:
            raise RequestInvalid("names another station", field="to_venue")
        ranges = _numbers(numbers, quantity)
        with self._parts.writer.turn:
            done = self._done(nonce)
            if done is not None:
                return done
            self._check_leaving(offer, quantity, ranges)
            more: dict[str, Value] = {
                "to_venue": to_venue,
                "transfer": self._parts.new_nonce()[-10:],
            }
            return self._write(
                place, offer, quantity, GoodsMovement.TRANSFERRED, ranges, more, nonce
            )

    def _check_parcel(self, offer: str, numbers: tuple[NumberRange, ...], transfer: str) -> None:
        book = self._parts.writer.goods
        if not isinstance(self._parts.facts.installed.offer(offer), Offer):
            raise RequestInvalid(f"no offer is called {offer[:64]}", field="offer")
        if transfer and book.knows_transfer(transfer):
            raise GoodsRefused(
                f"transfer {transfer} was signed for before; nothing was recorded again",
                word="transfer_signed",
            )
        clash = book.clash(offer, numbers)
        if clash is not None:
            raise GoodsRefused(
                f"the numbers {clash} lie on the shelf already; nothing was recorded. Set the "
                "parcel aside, compare the printed numbers, and tell the district",
                word="numbers_overlap",
            )

    def _check_leaving(self, offer: str, quantity: int, ranges: tuple[NumberRange, ...]) -> None:
        book, now = self._parts.writer.goods, self._parts.facts.time.now()
        shelf = book.shelf(offer)
        free = 0 if shelf is None else shelf.on_hand - book.held(offer, now.now_ms)
        if quantity > free:
            raise GoodsRefused(
                f"{max(0, free)} of {offer[:64]} can leave, the rest is held or not here; "
                "nothing was recorded",
                word="not_on_hand",
            )
        if shelf is not None and shelf.numbers and not ranges:
            raise RequestInvalid(
                "are needed: these goods lie here with printed numbers, and what leaves is named",
                field="numbers",
                word="numbers_needed",
            )
        missing = book.missing(offer, ranges)
        if missing is not None:
            raise GoodsRefused(
                f"the numbers {missing} do not lie here; nothing was recorded. Count again",
                word="numbers_missing",
            )

    def _write(
        self,
        place: Place,
        offer: str,
        quantity: int,
        movement: GoodsMovement,
        numbers: tuple[NumberRange, ...],
        more: Mapping[str, Value],
        nonce: str,
    ) -> Movement:
        entry = {
            **goods_entry(self._parts, place, offer, quantity, movement, nonce),
            **more,
        }
        if numbers:
            entry["numbers"] = [str(one) for one in numbers]
        written = write(self._parts, entry)
        return self._shown(written.seq, written.entry, written)

    def _done(self, nonce: str) -> Movement | None:
        """What was recorded under this nonce before: a second press signs nothing twice."""
        seq = self._parts.writer.goods.by_nonce(nonce) if nonce else None
        return None if seq is None else self._shown(seq, self._parts.writer.entry(seq))

    def _shown(
        self, seq: int, entry: Mapping[str, Value], written: Written | None = None
    ) -> Movement:
        offer = text(entry, "offer")
        title, title_en = self._titles(offer)
        numbers = entry.get("numbers")
        ranges = tuple(map(str, numbers)) if isinstance(numbers, (list, tuple)) else ()
        proof = self._parts.flow.proof(written) if written is not None else ""
        sent = text(entry, "movement") == GoodsMovement.TRANSFERRED
        return Movement(
            seq=seq,
            ts_ms=number(entry, "ts_ms"),
            movement=text(entry, "movement"),
            offer=offer,
            title=title,
            title_en=title_en,
            quantity=number(entry, "quantity"),
            expected=number(entry, "expected", number(entry, "quantity")),
            reason=text(entry, "reason_code"),
            numbers=ranges,
            operator=text(entry, "operator"),
            transfer=text(entry, "transfer"),
            other_venue=text(entry, "to_venue") or text(entry, "from_venue"),
            parcel=text(entry, "parcel"),
            slip=_slip_text(entry, ranges, proof) if sent and proof else "",
        )

    def _titles(self, name: str) -> tuple[str, str]:
        offer = self._parts.facts.installed.offer(name)
        title = (offer.title if isinstance(offer, Offer) else "") or name
        return title, (offer.title_en if isinstance(offer, Offer) else "") or title


def goods_entry(
    parts: Parts, place: Place, offer: str, quantity: int, movement: GoodsMovement, nonce: str
) -> dict[str, Value]:
    """The fields that every movement has."""
    now = parts.facts.time.now()
    entry: dict[str, Value] = {
        "kind": Kind.GOODS.value,
        "ts_ms": now.now_ms,
        "mono_ms": now.boot_ms,
        "venue": place.venue,
        "operator": place.operator,
        "position": place.position,
        "offer": offer,
        "quantity": quantity,
        "movement": movement.value,
        "nonce": nonce or parts.new_nonce(),
    }
    if place.shift:
        entry["shift"] = place.shift
    return entry


def write(parts: Parts, entry: Entry) -> Written:
    """Appends one entry of the counter's work; durable on return.

    Raises:
        LogFault: it was not recorded, as far as is known.
    """
    with parts.writer.turn:
        if not parts.writer.ready:
            raise LogFault(parts.writer.fault)
        written = parts.writer.append(entry)
    parts.courier.nudge()
    return written


def _numbers(texts: Sequence[str], quantity: int) -> tuple[NumberRange, ...]:
    try:
        ranges = parse_ranges(texts)
    except EntryInvalid as error:
        raise RequestInvalid(str(error), field="numbers", word="numbers_invalid") from None
    counted = sum(one.count for one in ranges)
    if ranges and counted != quantity:
        raise RequestInvalid(
            f"hold {counted} units, but {quantity} are signed for; split the range where it breaks",
            field="numbers",
            word="numbers_count",
        )
    return ranges


def _slip_text(entry: Mapping[str, Value], ranges: Sequence[str], proof: str) -> str:
    names = ("transfer", "offer", "venue", "to_venue")
    told = [text(entry, name) for name in names]
    head = " ".join([SLIP_FORMAT, *told, str(number(entry, "quantity")), ",".join(ranges) or "-"])
    return f"{head}\n{proof}"


def _slip(parcel: Parcel, venue: str) -> dict[str, str]:
    """What the scanned slip of a transfer says, checked against what is signed for here."""
    words = parcel.slip.partition("\n")[0].split(" ")
    if len(words) != 7 or words[0] != SLIP_FORMAT:
        raise RequestInvalid("is no slip of a transfer", field="slip")
    transfer, offer, origin, target = words[1:5]
    if target != venue or offer != parcel.offer:
        raise GoodsRefused(
            f"this slip is for {offer[:64]} to {target[:64]}; send it on, nothing was recorded",
            word="other_venue",
        )
    return {"transfer": transfer, "from": origin}
