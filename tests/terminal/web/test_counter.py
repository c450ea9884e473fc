"""The counter's scene: what stands where, in both languages."""

from collections.abc import Callable
from itertools import count

import pytest

from screens.language import Language
from terminal.answers import CardShown, Phase, ShiftShown
from terminal.web import counter
from terminal.web.counter import CounterScene
from terminal.web.desk import Desk
from terminal.web.jobs import Books, SyncJob, TapJob, VoidJob
from tests.terminal.web.stand_in import COUNTER, MINUTE_MS, PACK, RECEIPT, StandIn

ZH, EN = Language.ZH, Language.EN


class Seen:
    """A desk and what its page shows."""

    def __init__(self) -> None:
        self.terminal = StandIn()
        numbers = count(1)
        view = self.terminal.snapshot_view(COUNTER)
        self.desk = Desk(view, self._books(), lambda: f"N{next(numbers)}")

    def _books(self) -> Books:
        recent = tuple(self.terminal.recent(COUNTER))
        return Books(self.terminal.totals(COUNTER), recent)

    def scene(self, language: Language = ZH) -> CounterScene:
        self.desk.observe(self.terminal.snapshot_view(COUNTER), self._books())
        return counter.scene(self.desk, language)

    def give(self, offer: str = PACK.id) -> CounterScene:
        self.terminal.insert(COUNTER, "good")
        self.scene()
        self.desk.press("pick", offer)
        job = self.desk.press("confirm")
        assert isinstance(job, TapJob)
        self.desk.finished(job, self.terminal.tap(COUNTER, job.offer, job.nonce))
        return self.scene()


@pytest.fixture
def seen() -> Seen:
    return Seen()


def test_offers_that_can_be_taken_come_first_with_keys(seen: Seen) -> None:
    seen.terminal.insert(COUNTER, "good")
    scene = seen.scene()
    assert [row.key for row in scene.rows] == ["1", "2", "3", "", ""]
    assert scene.rows[0].facts == "区级 · 至 6月20日 · 每人限 1 次"
    assert scene.rows[0].aside == "余 214"
    assert scene.rows[1].facts == "市级 · 至 12月31日 · 需付 10 元 · 每人每月限 1 次"


def test_what_cannot_be_taken_says_why_and_when(seen: Seen) -> None:
    seen.terminal.insert(COUNTER, "good")
    rows = {row.id: row for row in seen.scene().rows}
    assert rows["BJ-C-003"].facts
    assert rows["BJ-C-003"].aside == "6月6日 09:00 起"
    english = {row.id: row for row in seen.scene(EN).rows}
    assert english["BJ-C-003"].aside == "from 6 Jun 09:00"


def test_the_confirm_column_tells_quantity_money_and_what_is_left(seen: Seen) -> None:
    seen.terminal.insert(COUNTER, "good")
    seen.scene()
    seen.desk.key("1")
    scene = seen.scene()
    assert scene.picked is not None
    assert scene.picked.title == "端午优惠券套包（名优企业）"
    assert scene.picked_facts == ("需付 0 元", "发放后余 213")
    seen.desk.key("+")
    assert seen.scene().picked_facts == ("需付 0 元", "发放后余 212")


def test_the_member_column_says_what_was_had_but_not_who(seen: Seen) -> None:
    seen.terminal.insert(COUNTER, "good")
    scene = seen.scene()
    assert scene.card is not None
    assert scene.card.big == "卡片有效"
    assert scene.used == ("地坛庙会门票 × 1",)


@pytest.mark.parametrize(
    ("advice", "small"), [("use_contact", "插入卡槽可验证芯片"), ("", "芯片未提供验证")]
)
def test_a_card_that_is_only_identified_says_so(seen: Seen, advice: str, small: str) -> None:
    card = CardShown("", present=True, scheme="unionpay", assurance="identified", advice=advice,
                     expires_ms=0)  # fmt: skip
    seen.terminal.change(COUNTER, phase=Phase.CARD, card=card)
    scene = seen.scene()
    assert scene.card is not None
    assert (scene.card.big, scene.card.small) == ("仅识别卡片", small)


def test_a_blocked_card_shows_the_reason_in_place_of_the_list(seen: Seen) -> None:
    seen.terminal.insert(COUNTER, "blocked")
    scene = seen.scene()
    assert (scene.blocked, scene.state) == (True, "decline")
    assert scene.text.big


def test_a_redemption_gives_a_slip_with_the_signed_proof(seen: Seen) -> None:
    scene = seen.give()
    assert scene.state == "approve"
    assert scene.slip is not None
    pairs = {line.text: line.right for line in scene.slip.lines}
    assert pairs["账目号"] == "3"
    assert pairs["可撤销至"] == "10:15"
    assert pairs["时间"] == "2014-05-30 周五 10:00"
    assert scene.slip.qr.startswith("<svg")
    assert scene.voidable_ms == 15 * MINUTE_MS
    assert scene.shown == "N1"


def test_the_slip_names_the_price_also_when_the_list_is_gone(seen: Seen) -> None:
    scene = seen.give("BJ-C-004")
    assert seen.desk.view.choices == ()
    assert scene.slip is not None
    assert {line.text: line.right for line in scene.slip.lines}["需付"] == "10 元"
    forgetful = Desk(seen.desk.view, seen.desk.books, lambda: "N9")
    again = counter.scene(forgetful, ZH)
    assert again.slip is not None
    assert "需付" not in [line.text for line in again.slip.lines], "better nothing than a wrong sum"


def test_a_decline_gives_no_slip(seen: Seen) -> None:
    scene = seen.give()
    seen.terminal.dismiss(COUNTER)
    seen.terminal.insert(COUNTER, "good")
    seen.terminal.tap(COUNTER, PACK.id, "again")
    scene = seen.scene()
    assert scene.state == "decline"
    assert scene.slip is None


def test_a_declined_tap_is_listed_in_words_and_offers_nothing_to_print(seen: Seen) -> None:
    seen.give()
    seen.terminal.dismiss(COUNTER)
    seen.terminal.insert(COUNTER, "good")
    seen.terminal.tap(COUNTER, PACK.id, "again")
    scene = seen.scene()
    assert scene.recent[0].word == "未通过"
    assert "F9" not in dict(scene.hints)


def test_an_offline_slip_says_that_it_uploads_later(seen: Seen) -> None:
    seen.terminal.network(on=False)
    scene = seen.give()
    assert scene.slip is not None
    assert "已在本机登记，联网后上传" in [line.text for line in scene.slip.lines]
    assert scene.pending == 1


def test_after_a_void_the_slip_says_so_and_nothing_is_green(seen: Seen) -> None:
    seen.give()
    for key in ("F8", "1"):
        seen.desk.key(key)
    job = seen.desk.key("Enter")
    assert isinstance(job, VoidJob)
    answer = seen.terminal.void(COUNTER, job.nonce, reason=job.reason, void_nonce=job.void_nonce)
    seen.desk.finished(job, answer)
    scene = seen.scene()
    assert scene.void is not None
    assert scene.void.state == "recorded"
    assert scene.void.text is not None
    assert scene.void.text.big == "已撤销"
    assert scene.sound == ""
    seen.desk.voiding = False
    behind = seen.scene()
    assert behind.state == "decline"
    assert behind.slip is not None
    assert "已撤销" in [line.text for line in behind.slip.lines]


def test_totals_and_the_recent_list(seen: Seen) -> None:
    scene = seen.give()
    assert scene.day == (("核销", 1), ("已撤销", 0), ("未通过", 0))
    assert scene.totals == (("端午优惠券套包（名优企业）", 1),)
    assert (scene.recent[0].time, scene.recent[0].word) == ("10:00", "已登记")
    assert seen.scene(EN).totals == (("Dragon Boat coupon pack", 1),)


def test_lamps_say_in_words_what_they_show(seen: Seen) -> None:
    lamps = {lamp.label: (lamp.word, lamp.good) for lamp in seen.scene().lamps}
    assert lamps["读卡器"] == ("正常", True)
    assert lamps["时钟"] == ("10:00", True)
    assert lamps["服务器"] == ("已连接", True)
    seen.terminal.unplug(COUNTER)
    seen.terminal.network(on=False)
    seen.terminal.change(COUNTER, closed_code="T03")
    lamps = {lamp.label: (lamp.word, lamp.good) for lamp in seen.scene().lamps}
    assert lamps["读卡器"] == ("未连接", False)
    assert lamps["时钟"] == ("异常", False)
    assert lamps["服务器"] == ("离线", False)


def test_the_shift_and_the_demo_date_are_on_the_page(seen: Seen) -> None:
    seen.terminal.change(
        COUNTER, demo=True, shift=ShiftShown("S1", "W01", seen.terminal.now_ms - 60 * MINUTE_MS)
    )
    scene = seen.scene()
    assert scene.shift == "班次 09:00 起 · W01"
    assert scene.demo_date == "演示日期 2014-05-30 周五"


def test_the_language_switch_changes_all_words(seen: Seen) -> None:
    seen.desk.press("language")
    assert seen.scene(ZH).language is EN
    assert seen.scene(ZH).text.big == "Please tap a card"


def test_hints_name_only_keys_that_mean_something(seen: Seen) -> None:
    assert set(dict(seen.scene().hints)) == {"/", "F4", "F6", "F10"}
    assert "F8" not in dict(seen.scene().hints)
    assert "F8" in dict(seen.give().hints)
    assert dict(seen.scene().hints)["Enter"] == "下一位"


def test_while_a_job_runs_nothing_can_be_confirmed(seen: Seen) -> None:
    assert not seen.scene().busy
    job = seen.desk.press("sync")
    assert isinstance(job, SyncJob)
    assert seen.scene().busy


@pytest.mark.parametrize(
    ("bring", "state"),
    [
        (lambda terminal: None, "idle"),
        (lambda terminal: terminal.reading(COUNTER), "reading"),
        (lambda terminal: terminal.change(COUNTER, phase=Phase.CONFIRMING), "confirming"),
        (lambda terminal: terminal.unplug(COUNTER), "fault"),
        (lambda terminal: terminal.change(COUNTER, phase=Phase.CLOSED), "closed"),
        (lambda terminal: terminal.insert(COUNTER, "torn"), "retry"),
        (lambda terminal: terminal.interrupted(COUNTER, recorded=True), "recorded"),
        (lambda terminal: terminal.interrupted(COUNTER, recorded=False), "unrecorded"),
    ],
)
def test_each_state_has_its_field(seen: Seen, bring: Callable[[StandIn], None], state: str) -> None:
    bring(seen.terminal)
    assert seen.scene().state == state
    assert seen.scene(EN).text.big != seen.scene(ZH).text.big


def test_the_stand_ins_proof_is_as_long_as_a_real_one_may_be() -> None:
    assert 200 < len(RECEIPT) <= 300
