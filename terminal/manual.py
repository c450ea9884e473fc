"""Late entries (补录) from the numbered paper sheet that this terminal prints.

When the power is out a station writes on paper. Each line is entered later, once, by a supervisor,
with its business date and a reason; assurance is ``claimed`` and reports count it apart. Offers
that are exact by asking the server first (``online``) or by a token (``reserved``) are never given
out on paper, so they are never entered late.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

from ledger.codes import Code
from ledger.entry import Assurance, Kind, Value
from ledger.errors import LogFault
from ledger.rules.offer import Offer, OfflineMode
from ledger.rules.windows import day_start, local_day
from terminal.entries import Place
from terminal.errors import RequestInvalid
from terminal.goods import write
from terminal.parts import Parts
from terminal.presenting import Presented
from terminal.replay import number, text
from terminal.requests import QUANTITY_MAX, check_number, check_reason
from terminal.state import card_view
from terminal.work_answers import ManualLine

LINES_A_SHEET: Final = 20
#: Sheets older than this are for the back office to correct.
AGE_DAYS_MAX: Final = 31
#: Why it was written on paper; stable codes.
MANUAL_REASONS: Final = ("power_cut", "machine_fault", "reader_fault", "other")
_FACT: Final = "manual.sheet"
_SHEET: Final = re.compile(r"([A-Za-z0-9_.-]{1,40})-P([0-9]{5})\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperLine:
    """One line of a sheet, as a supervisor enters it; ``card`` is a card at hand, or ``None``."""

    sheet: str
    line: int
    offer: str
    day: str
    quantity: int
    reason: str
    supervisor: str
    proved: bool
    card: Presented | None = None


class ManualDesk:
    """Prints numbered sheets and enters their lines. Safe from several threads."""

    def __init__(self, parts: Parts, new_id: Callable[[], str]) -> None:
        self._parts = parts
        self._new_id = new_id

    def issue(self) -> str:
        """The number of the next sheet; each is given once."""
        issued = int(self._parts.journal.fact(_FACT) or 0) + 1
        self._parts.journal.store_fact(_FACT, str(issued))
        return f"{self._parts.name}-P{issued:05}"

    def lines(self) -> list[ManualLine]:
        """All late entries, newest first."""
        writer = self._parts.writer
        with writer.turn:
            found = [(seq, writer.entry(seq)) for seq in writer.goods.sheets().values()]
        return [_shown(seq, entry) for seq, entry in sorted(found, key=_by_seq, reverse=True)]

    def add(self, place: Place, paper: PaperLine) -> ManualLine:
        """Enters one line; durable on return. A line that was entered before is refused.

        Raises:
            RequestInvalid: what is wrong, by field; nothing was recorded.
            LogFault: it was not recorded.
        """
        offer, at = self._checked(place, paper), self._parts.facts.time.now()
        sheet = f"{paper.sheet}/{paper.line:02}"
        with self._parts.writer.turn:
            if not self._parts.writer.ready:
                raise LogFault(self._parts.writer.fault)
            known = self._parts.writer.goods.by_sheet(sheet)
            if known is not None:
                raise RequestInvalid(
                    f"line {paper.line} of this sheet is entry {known} already",
                    field="line",
                    word="line_entered",
                )
            entry: dict[str, Value] = {
                "kind": Kind.MANUAL.value,
                "ts_ms": at.now_ms,
                "mono_ms": at.boot_ms,
                "venue": place.venue,
                "operator": place.operator,
                "position": place.position,
                "nonce": self._new_id(),
                "offer": offer.id,
                "offer_version": offer.version,
                "code": Code.A02.value,
                "quantity": paper.quantity,
                "sheet": sheet,
                "day": paper.day,
                "reason_code": paper.reason,
                "supervisor": paper.supervisor,
                "assurance": Assurance.CLAIMED.value,
                "card": "",
                **self._member(place, paper),
            }
            if place.shift:
                entry["shift"] = place.shift
            lease = self._parts.writer.leases.view(offer.id, at.now_ms, paper.quantity)
            if lease is not None and lease.left >= paper.quantity and lease.expires_ms > at.now_ms:
                entry["lease"] = lease.lease
            written = write(self._parts, entry)
        return _shown(written.seq, written.entry)

    def _checked(self, place: Place, paper: PaperLine) -> Offer:
        found = _SHEET.match(paper.sheet)
        issued = int(self._parts.journal.fact(_FACT) or 0)
        if found is None or found[1] != self._parts.name or not 1 <= int(found[2]) <= issued:
            raise RequestInvalid(
                "is no sheet that this terminal printed; its number stands on top of the paper",
                field="sheet",
                word="sheet_unknown",
            )
        check_number(paper.line, "line", 1, LINES_A_SHEET)
        check_number(paper.quantity, "quantity", 1, QUANTITY_MAX)
        if not check_reason(paper.reason):
            raise RequestInvalid(f"one of {', '.join(MANUAL_REASONS)}", field="reason")
        if not paper.supervisor or not paper.proved:
            raise RequestInvalid(
                "a supervisor enters late lines, by PIN or own card",
                field="supervisor",
                word="supervisor_needed",
            )
        offer = self._parts.facts.installed.offer(paper.offer)
        if not isinstance(offer, Offer):
            raise RequestInvalid(f"no offer is called {paper.offer[:64]}", field="offer")
        if offer.offline in {OfflineMode.ONLINE, OfflineMode.RESERVED}:
            raise RequestInvalid(
                f"{offer.id} is never given out on paper: it asks the server first",
                field="offer",
                word="manual_not_allowed",
            )
        self._check_day(place, paper.day, offer)
        return offer

    def _check_day(self, place: Place, day: str, offer: Offer) -> None:
        zone = self._parts.facts.installed.venue(place.venue).zone
        today = local_day(self._parts.facts.time.now().now_ms, zone)
        try:
            wanted = date.fromisoformat(day)
        except ValueError:
            raise RequestInvalid("a date such as 2014-05-30", field="day") from None
        if not 0 <= (today - wanted).days <= AGE_DAYS_MAX:
            raise RequestInvalid(
                f"from {AGE_DAYS_MAX} days ago to today; older ones are for the back office",
                field="day",
            )
        first, last = (local_day(at_ms, zone) for at_ms in (offer.from_ms, offer.until_ms - 1))
        if not first <= wanted <= last:
            raise RequestInvalid(f"{offer.id} ran from {first} to {last}", field="day")

    def _member(self, place: Place, paper: PaperLine) -> dict[str, Value]:
        """Card and member, if the card is at hand when the line is entered."""
        if paper.card is None:
            return {}
        zone = self._parts.facts.installed.venue(place.venue).zone
        today = local_day(self._parts.facts.time.now().now_ms, zone).isoformat()
        view = card_view(paper.card, self._parts.facts.installed.cards, today)
        found: dict[str, Value] = {"card": view.card}
        if view.member is not None:
            found["member"] = view.member.ref
        return found


def day_start_of(day: str, zone: str, now_ms: int) -> int:
    """Start of a local day given as ``2014-05-30``; of today when it is empty.

    Raises:
        RequestInvalid: it is no date.
    """
    if not day:
        return day_start(now_ms, zone)
    try:
        wanted = date.fromisoformat(day)
    except ValueError:
        raise RequestInvalid("a date such as 2014-05-30", field="day") from None
    days = (wanted - local_day(now_ms, zone)).days
    return day_start(day_start(now_ms, zone) + days * 86_400_000 + 43_200_000, zone)


def _shown(seq: int, entry: object) -> ManualLine:
    assert isinstance(entry, dict), "an entry is a mapping"
    return ManualLine(
        seq=seq,
        sheet=text(entry, "sheet"),
        offer=text(entry, "offer"),
        day=text(entry, "day"),
        quantity=number(entry, "quantity"),
        reason=text(entry, "reason_code"),
        supervisor=text(entry, "supervisor"),
    )


def _by_seq(pair: tuple[int, object]) -> int:
    return pair[0]
