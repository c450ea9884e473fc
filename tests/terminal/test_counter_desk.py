"""The counter's page over the real service: every panel, with the ledger to show for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from screens.language import Language
from terminal.web.stage import Stage
from tests.terminal.rig import Rig
from tests.terminal.test_collection import with_proxies


def monotonic_ms() -> int:
    return 0


class Clerk:
    """Presses keys at the real counter, and reads what stands in the middle."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.stage = Stage(rig.service, "counter", monotonic_ms)

    def press(self, action: str, value: str = "") -> str:
        asyncio.run(self.stage.press(action, value))
        return self.work()

    def keys(self, *names: str) -> str:
        for name in names:
            self.press("key", name)
        return self.work()

    def work(self) -> str:
        asyncio.run(self.stage.refresh())
        return self.stage.draw(Language.EN).regions["work"]

    def side(self) -> str:
        return self.stage.draw(Language.EN).regions["side"]


@pytest.fixture
def clerk(rig: Rig) -> Clerk:
    return Clerk(rig)


def lay(rig: Rig, serial: int, until: Callable[[], bool]) -> None:
    """Lays a colleague's card down and takes it away again."""
    rig.readers["counter"].insert(rig.member(serial))
    for _ in range(400):
        if until():
            break
        asyncio.run(asyncio.sleep(0.005))
    assert until()
    rig.lift()


def test_a_shift_is_opened_counted_and_closed(clerk: Clerk) -> None:
    assert "Ledger" in clerk.keys("F10") or "ledger" in clerk.work()
    clerk.press("shift-open", json.dumps({"operator": "W01"}))
    assert clerk.stage.view.shift is not None
    assert clerk.stage.view.shift.operator == "W01"
    clerk.keys("F10")
    clerk.press("shift-close", "{}")
    assert "closed and signed" in clerk.work()
    assert clerk.rig.kinds()[-2:] == ["open", "close"]
    clerk.keys("Enter")
    assert clerk.stage.view.shift is None


def test_an_offer_is_found_without_a_card(clerk: Clerk) -> None:
    assert "found" in clerk.press("find")
    assert "No offer matches" in clerk.press("search", "nothing of this kind")
    clerk.keys("Escape")
    assert "Please tap a card" in clerk.work()


def test_a_member_sees_the_own_account_and_nobody_elses(clerk: Clerk) -> None:
    clerk.rig.lay(clerk.rig.member(1))
    assert "Still possible here" in clerk.keys("F3")
    clerk.rig.lift()
    clerk.rig.service.dismiss("counter")
    assert "Please tap the member" in clerk.work()


def test_goods_are_received_and_held(clerk: Clerk) -> None:
    assert "Coupon pack" in clerk.press("shelf")
    clerk.press("shelf-pick", "pack")
    clerk.press("shelf-receive")
    clerk.press("shelf-send", json.dumps({"units": "40", "note": "P-7"}))
    assert clerk.rig.kinds()[-1] == "goods"
    assert ">40<" in clerk.work()
    clerk.press("shelf-hold")
    clerk.press("shelf-send", json.dumps({"units": "0", "note": ""}))
    assert "missing or wrong" in clerk.work()


def test_lines_of_a_paper_sheet_are_entered_by_a_supervisor(clerk: Clerk) -> None:
    rig = clerk.rig
    rig.service.parts.supervisors.add("chief", "4711")
    sheet = rig.service.work.issue_sheet("counter")
    form = {
        "sheet": sheet, "line": "1", "offer": "film", "day": "2014-05-29", "quantity": "2",
        "reason": "power_cut", "supervisor": "chief", "pin": "0000",
    }  # fmt: skip
    assert ">Ten-yuan film<" in clerk.keys("F12") or 'value="film"' in clerk.work()
    assert 'value="clinic"' not in clerk.work(), "what asks the server is never on paper"
    assert "PIN do not fit" in clerk.press("late-send", json.dumps(form))
    assert "missing or wrong" in clerk.press("late-send", json.dumps({**form, "line": "21"}))
    assert "manual" not in rig.kinds()
    assert f"{sheet}/01 is in the ledger" in clerk.press(
        "late-send", json.dumps({**form, "pin": "4711"})
    )
    entry = rig.entries()[-1]
    assert (entry["kind"], entry["quantity"], entry["supervisor"]) == ("manual", 2, "chief")
    assert "4711" not in clerk.work()
    again = clerk.press("late-send", json.dumps({**form, "pin": "4711"}))
    assert "entered before" in again
    assert rig.kinds().count("manual") == 1


def test_colleagues_cards_are_collected_and_confirmed_once(clerk: Clerk) -> None:
    rig = clerk.rig
    with_proxies(rig)
    rig.lay(rig.member(1))
    clerk.keys("F4")
    before = len(rig.entries())
    offers = [one.offer.id for one in clerk.stage.view.choices]
    assert "film" in offers
    clerk.press("collect-offer", "film")
    rig.lift()
    assert "tallies" in clerk.work(), clerk.work()
    assert len(rig.entries()) == before
    for number, serial in enumerate((2, 3), 1):
        lay(rig, serial, lambda number=number: len(_cards(rig)) == number)  # type: ignore[misc]
    assert "can take it" in clerk.work()
    clerk.press("confirm")
    assert "given out" in clerk.work()
    assert rig.kinds()[-2:] == ["redeem", "redeem"]


def _cards(rig: Rig) -> tuple[object, ...]:
    shown = rig.service.work.collection("counter")
    return shown.cards if shown is not None else ()
