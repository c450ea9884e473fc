"""The demo's actions over the terminal in memory, so that the demo page can be seen whole."""

from __future__ import annotations

from collections.abc import Sequence

from redcard.card_box import Counts, DemoCard, MonthReport, ReportLine, TamperReport
from terminal.answers import Phase
from tests.terminal.web.stand_in import COUNTER, KIOSK, StandIn

CARDS = (
    DemoCard("good", "有效卡", "Good card", "good"),
    DemoCard("check", "代表带 40 张", "Representative", "bundle", ("counter",), 40),
    DemoCard("blocked", "挂失卡", "Blocked card", "blocked"),
    DemoCard("expired", "过期卡", "Expired card", "expired"),
    DemoCard("unknown", "未登记卡", "Unknown card", "unknown"),
    DemoCard("forged", "仿制卡", "Forged copy", "forged"),
    DemoCard("torn", "移开太快", "Pulled away", "good", ("kiosk",)),
)


class BoxStandIn:
    """Satisfies ``redcard.card_box.CardBoxActions``."""

    def __init__(self, terminal: StandIn) -> None:
        self.terminal = terminal
        self.powered = True
        self.calls: list[str] = []

    def cards(self) -> Sequence[DemoCard]:
        return CARDS

    def insert(self, card: str, slot: str) -> None:
        self.calls.append(f"insert {card} {slot}")
        self.terminal.insert(slot, card)

    def remove(self, slot: str) -> None:
        self.calls.append(f"remove {slot}")
        self.terminal.remove(slot)

    def network(self, *, on: bool) -> None:
        self.terminal.network(on=on)

    def power_cut(self) -> None:
        self.terminal.change(KIOSK, phase=Phase.CONFIRMING)
        self.terminal.interrupted(KIOSK, recorded=True)

    def tap_five(self) -> None:
        for _ in range(5):
            self.terminal.insert(KIOSK, "good")
            self.terminal.remove(KIOSK)

    def tamper(self) -> TamperReport:
        return TamperReport(7, "entry 7: leaf hash differs from the stored one", True, 12)

    def report(self) -> MonthReport:
        lines = (
            ReportLine(
                "孔庙和国子监博物馆免费参观", "Confucius Temple, free entry", "city", 41, 44
            ),
            ReportLine("端午优惠券套包（名优企业）", "Dragon Boat coupon pack", "district", 2, 2),
        )
        return MonthReport(2014, 5, 46, 46, 0, 0, lines)

    def counts(self) -> Counts:
        acts = [
            act
            for place in self.terminal.places.values()
            for act in place.acts
            if act.kind in ("redeem", "void")
        ]
        view = self.terminal.places[COUNTER].view
        return Counts(
            signed=len(acts),
            confirmed=sum(act.confirmed for act in acts),
            pending=view.link.pending,
            connected=view.link.connected,
            powered=self.powered,
            now_ms=self.terminal.now_ms,
            reader="in-process",
        )
