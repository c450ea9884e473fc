"""Slips from the counter: asked for, unasked, again; and a printer that is out of paper."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from terminal.errors import PrinterFault
from terminal.receipts.escpos import Model
from terminal.receipts.printer import PrintDesk
from terminal.web.stage import Stage
from tests.terminal.receipts.test_printer import until
from tests.terminal.web.stand_in import COUNTER, RECEIPT, StandIn, monotonic_ms


class Paper:
    """A printer that remembers, or is empty."""

    name = "paper"

    def __init__(self) -> None:
        self.slips: list[bytes] = []
        self.empty = threading.Event()

    def send(self, slip: bytes) -> None:
        if self.empty.is_set():
            raise PrinterFault("no paper")
        self.slips.append(slip)


@pytest.fixture
def paper() -> Paper:
    return Paper()


@pytest.fixture
def desk(paper: Paper) -> Iterator[PrintDesk]:
    made = PrintDesk(paper, Model(), retry_after_s=0.01)
    made.start()
    yield made
    made.stop()


def give(stage: Stage, terminal: StandIn, *keys: str) -> None:
    terminal.insert(COUNTER, "good")

    async def work() -> None:
        for key in ("1", "Enter", *keys):
            await stage.press("key", key)

    asyncio.run(work())


def test_f9_prints_the_slip_and_the_second_one_is_a_copy(paper: Paper, desk: PrintDesk) -> None:
    terminal = StandIn()
    stage = Stage(terminal, COUNTER, monotonic_ms, desk)
    give(stage, terminal, "F9", "F9")
    until(lambda: len(paper.slips) == 2)
    assert all(RECEIPT.encode() in slip for slip in paper.slips)
    again = "补打".encode("gb18030")
    assert [again in slip for slip in paper.slips] == [False, True]


def test_each_redemption_prints_unasked_where_it_is_wished(paper: Paper, desk: PrintDesk) -> None:
    desk.auto = True
    terminal = StandIn()
    stage = Stage(terminal, COUNTER, monotonic_ms, desk)
    give(stage, terminal)
    until(lambda: len(paper.slips) == 1)
    assert "端午优惠券套包".encode("gb18030") in paper.slips[0]


def test_without_paper_the_member_is_served_all_the_same(paper: Paper, desk: PrintDesk) -> None:
    paper.empty.set()
    terminal = StandIn()
    stage = Stage(terminal, COUNTER, monotonic_ms, desk)
    give(stage, terminal, "F9")
    assert terminal.totals(COUNTER).redeemed == 1
    until(lambda: desk.shown.state == "fault")
    asyncio.run(stage.refresh())
    from screens.language import Language

    head = stage.draw(Language.ZH).regions["head"]
    assert "请查纸" in head
    assert stage.draw(Language.ZH).body["printer"] == "here"


def test_the_sign_off_sheet_lists_who_was_given_and_who_not(paper: Paper, desk: PrintDesk) -> None:
    terminal = StandIn()
    stage = Stage(terminal, COUNTER, monotonic_ms, desk)
    terminal.insert(COUNTER, "good")

    async def work() -> None:
        await stage.press("key", "F4")
        await stage.press("collect-offer", "XC-L-009")
        terminal.work.lay_down(COUNTER, "A00", "L01", "A00")
        await stage.press("confirm", "")
        await stage.press("key", "F9")

    asyncio.run(work())
    until(lambda: len(paper.slips) == 1)
    slip = paper.slips[0]
    assert slip.count(b"______________") == 2
    assert "代领签收单".encode("gb18030") in slip
    assert "未发放".encode("gb18030") in slip
