"""The counter's daily work in memory, with the shapes of ``terminal.counterwork.CounterWork``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from terminal.answers import Line, ShiftShown
from terminal.errors import CollectionState, NoCard, RequestInvalid, ShiftState
from terminal.work_answers import (
    AccountLine,
    AccountShown,
    BookingShown,
    CollectedCard,
    CollectionShown,
    CountLine,
    Found,
    GoodsLine,
    HoldShown,
    Lamp,
    ManualLine,
    PracticeShown,
    ShiftClosed,
)

if TYPE_CHECKING:
    from tests.terminal.web.stand_in import StandIn

HOUR_MS = 3_600_000


class WorkStandIn:
    """One counter's lists, goods and holds."""

    def __init__(self, terminal: StandIn) -> None:
        self.terminal = terminal
        self.list: CollectionShown | None = None
        self.holding: list[HoldShown] = []
        self.printer_ok = True
        self.booked: list[tuple[str, str, int]] = []
        self.late: list[ManualLine] = []
        self.shelf = [
            GoodsLine("XC-L-009", "端午优惠券套包（名优企业）", "Dragon Boat coupon pack",
                      300, 0, 86, 214, 60, 0),
            GoodsLine("BJ-C-004", "十元看电影", "Ten-yuan cinema", 100, 0, 4, 96, 40, 0),
        ]  # fmt: skip

    # Proxy collection.

    def collection(self, position: str) -> CollectionShown | None:
        del position
        return self.list

    def begin_collection(
        self, position: str, offer: str, quantity: int = 1, hold: str = ""
    ) -> CollectionShown:
        view = self.terminal.snapshot_view(position)
        if view.card is None:
            raise NoCard("the representative's own card comes first")
        chosen = next(one.offer for one in view.choices if one.offer.id == offer)
        self.list = CollectionShown(
            "01J0000000000000000000000B", "open", position, offer, chosen.title, chosen.title_en,
            quantity, "q7kz", view.now_ms, (), 0, 0, 0, chosen.stock_left, 200, 200, hold,
        )  # fmt: skip
        self.terminal.dismiss(position)
        return self.list

    def lay_down(self, position: str, *codes: str) -> None:
        """Cards of colleagues, one after the other."""
        from tests.terminal.web.stand_in import outcome, words

        for code in codes:
            assert self.list is not None
            number = len(self.list.cards) + 1
            card = CollectedCard(
                number, outcome(code), code, words(code), f"{number:04}"[-4:].replace("0", "k")
            )
            cards = (*self.list.cards, card)
            takable = sum(one.outcome == "approve" for one in cards)
            left = self.list.stock_left
            self.list = replace(
                self.list,
                cards=cards,
                takable=takable,
                units=takable,
                refused=len(cards) - takable,
                stock_left=None if left is None else 214 - takable,
                allowance_left=200 - takable,
            )
        self.terminal.change(position)

    def remove_card(self, position: str, number: int) -> CollectionShown:
        assert self.list is not None
        cards = tuple(one for one in self.list.cards if one.number != number)
        self.list = replace(self.list, cards=cards)
        self.terminal.change(position)
        return self.list

    def confirm_collection(self, position: str, batch: str) -> CollectionShown:
        if self.list is None or self.list.batch != batch:
            raise CollectionState("this list is not open")
        cards = tuple(
            replace(one, entry=one.number + 40, nonce=f"N{one.number}")
            if one.outcome == "approve"
            else one
            for one in self.list.cards
        )
        self.list = replace(
            self.list, state="done", cards=cards, ts_ms=self.terminal.now_ms, checkpoint_size=80
        )
        self.terminal.change(position)
        return self.list

    def cancel_collection(self, position: str) -> None:
        self.list = None
        self.terminal.change(position)

    # Questions.

    def search(self, query: str, limit: int = 20, position: str = "") -> list[Found]:
        from terminal.web.pinyin import matches
        from tests.terminal.web.stand_in import OFFERS

        del position
        return [
            Found(one.id, one.title, one.title_en, one.kind, one.level, "文化体育",
                  one.until_ms or 0, one.id.startswith(("XC", "BJ-C-003")), 0, one.stock_left,
                  "010-64057214", "reserved" if one.id == "BJ-C-003" else "lease")
            for one in OFFERS
            if matches(query, one.title, one.title_en, one.id)
        ][:limit]  # fmt: skip

    def account(self, position: str) -> AccountShown:
        from tests.terminal.web.stand_in import CINEMA, FAIR, PACK, TEN_O_CLOCK_MS, words

        if self.terminal.snapshot_view(position).card is None:
            raise NoCard("no card is at hand")
        used = AccountLine(
            FAIR.id, FAIR.title, FAIR.title_en, 1, TEN_O_CLOCK_MS - 90 * 24 * HOUR_MS,
            "东四街道工会服务站", "Dongsi station", False, "O03", None, words("O03", FAIR),
        )  # fmt: skip
        possible = tuple(
            AccountLine(
                one.id, one.title, one.title_en, 0, None, "", "", True, "A00", None,
                words("A00", one),
            )
            for one in (PACK, CINEMA)
        )  # fmt: skip
        return AccountShown("", 3, (used,), possible, TEN_O_CLOCK_MS - HOUR_MS)

    def bookings(self, position: str, day: str = "") -> list[BookingShown]:
        from tests.terminal.web.stand_in import PUPPETS, TEN_O_CLOCK_MS

        del position, day
        return [
            BookingShown(
                f"B{number}", PUPPETS.id, PUPPETS.title, PUPPETS.title_en, "S0201",
                TEN_O_CLOCK_MS + number * HOUR_MS, TEN_O_CLOCK_MS + (number + 1) * HOUR_MS,
                number + 1, state, who,
            )
            for number, (state, who) in enumerate(
                (("used", "张*敏 8821"), ("booked", "李* 1090"), ("cancelled", ""))
            )
        ]  # fmt: skip

    def book(
        self, position: str, offer: str, session: str, last4: str, name: str = "", units: int = 1
    ) -> BookingShown:
        del name
        if last4 == "9999":
            raise RequestInvalid("no card in force ends in 9999", field="", word="booking_refused")
        assert session
        self.booked.append((offer, session, units))
        return self.bookings(position)[1]

    # Late entries.

    def manual_lines(self, position: str) -> list[ManualLine]:
        del position
        return self.late[::-1]

    def add_manual(self, position: str, *, supervisor_pin: str, line: int, sheet: str,
                   **fields: Any) -> ManualLine:  # fmt: skip
        del position
        if supervisor_pin != "4711":
            raise RequestInvalid("a supervisor", field="supervisor", word="supervisor_needed")
        self.late.append(
            ManualLine(len(self.late), f"{sheet}/{line:02}", fields["offer"], fields["day"],
                       fields["quantity"], fields["reason"], fields["supervisor"])
        )  # fmt: skip
        return self.late[-1]

    # Shifts.

    def self_test(self, position: str) -> tuple[Lamp, ...]:
        del position
        paper = Line("打印机缺纸", "发放不受影响，装纸后可补打")
        paper_en = Line("Printer without paper", "Giving out goes on; reprint when there is some")
        good, good_en = Line("打印机正常", "可以打印"), Line("Printer ready", "It prints")
        return (
            Lamp("reader", True, True, Line("读卡器正常", "可以刷卡"), Line("Reader ready", "")),
            Lamp(
                "printer",
                self.printer_ok,
                False,
                good if self.printer_ok else paper,
                good_en if self.printer_ok else paper_en,
            ),
            Lamp("clock", True, True, Line("时钟正常", "10:00"), Line("Clock right", "10:00")),
            Lamp("ledger", True, True, Line("账本完整", "已签名"), Line("Ledger whole", "signed")),
        )

    def open_shift(self, position: str, operator: str) -> ShiftShown:
        if not operator.isalnum():
            raise RequestInvalid("a staff number", field="operator")
        return self.terminal.open_shift(position, operator)

    def closing(self, position: str) -> tuple[CountLine, ...]:
        del position
        return tuple(
            CountLine(one.offer, one.title, one.title_en, one.on_hand) for one in self.shelf
        )

    def close_shift(
        self, position: str, counted: Mapping[str, int], reason: str = ""
    ) -> ShiftClosed:
        shift = self.terminal.snapshot_view(position).shift
        if shift is None:
            raise ShiftState("none is open")
        totals = self.terminal.totals(position)
        goods = tuple(
            replace(
                one,
                counted=counted.get(one.offer),
                difference=counted.get(one.offer, one.expected) - one.expected,
            )
            for one in self.closing(position)
        )
        self.terminal.close_shift(position)
        return ShiftClosed(
            shift.id, shift.operator, shift.opened_ms, self.terminal.now_ms, totals.redeemed,
            totals.voided, totals.declined, totals.lines, goods, reason, 12,
        )  # fmt: skip

    # Goods.

    def goods(self, position: str) -> list[GoodsLine]:
        del position
        return self.shelf

    def holds(self, position: str) -> list[HoldShown]:
        del position
        return self.holding

    def place_hold(
        self, position: str, offer: str, units: int, minutes: int = 120, label: str = ""
    ) -> HoldShown:
        line = next(one for one in self.shelf if one.offer == offer)
        now_ms = self.terminal.now_ms
        hold = HoldShown("H1", "4821", offer, line.title, line.title_en, units, units, now_ms,
                         now_ms + minutes * 60_000, label)  # fmt: skip
        self.holding.append(hold)
        self.terminal.change(position)
        return hold

    def release_hold(self, position: str, hold: str) -> None:
        self.holding = [one for one in self.holding if one.hold != hold]
        self.terminal.change(position)

    def receive_goods(
        self, position: str, offer: str, quantity: int, parcel: str = ""
    ) -> GoodsLine:
        del parcel
        self.shelf = [
            replace(one, received=one.received + quantity, on_hand=one.on_hand + quantity)
            if one.offer == offer
            else one
            for one in self.shelf
        ]
        self.terminal.change(position)
        return next(one for one in self.shelf if one.offer == offer)

    # Practice.

    def start_practice(self, position: str) -> PracticeShown:
        self.terminal.change(position, practice=True)
        return PracticeShown(True, "p" * 26, 0)

    def end_practice(self, position: str) -> PracticeShown:
        self.terminal.change(position, practice=False)
        return PracticeShown(False, "", 0)
