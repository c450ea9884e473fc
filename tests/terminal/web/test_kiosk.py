"""The kiosk as a state machine: which screen holds when, and for how long."""

from dataclasses import replace

import pytest

from screens.language import Language
from terminal.answers import Phase, PositionView, ReaderShown, TapAnswer
from terminal.web.kiosk import (
    AFTER_LIFT_SHOWN_MS,
    APPROVED_SHOWN_MS,
    READING_SHOWN_AFTER_MS,
    RECOVERED_SHOWN_MS,
    RESULT_SHOWN_MS,
    TOUCHED_RESET_MS,
    KioskScene,
    KioskScreen,
)
from terminal.wording import internal_fault
from tests.terminal.web.stand_in import CARDS, KIOSK, StandIn, words

ZH = Language.ZH


class Watched:
    """A terminal, its screen, and a clock that the test moves."""

    def __init__(self) -> None:
        self.terminal = StandIn()
        self.now_ms = 1_000
        self.screen = KioskScreen(self.view, self.now_ms)

    @property
    def view(self) -> PositionView:
        return self.terminal.snapshot_view(KIOSK)

    def look(self, language: Language = ZH) -> KioskScene:
        self.screen.observe(self.view, self.now_ms)
        return self.screen.scene(language, self.now_ms)

    def after(self, ms: int) -> KioskScene:
        self.now_ms += ms
        return self.screen.scene(ZH, self.now_ms)


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_idle_asks_for_a_card_in_both_languages(watched: Watched) -> None:
    scene = watched.look()
    assert (scene.state, scene.text.big) == ("idle", "请刷卡")
    assert scene.text.other_big == "Please tap your card"
    assert scene.sound == ""
    assert scene.redraw_ms is None


def test_reading_shows_only_after_a_quarter_second(watched: Watched) -> None:
    watched.terminal.reading(KIOSK)
    scene = watched.look()
    assert scene.state == "idle"
    assert scene.redraw_ms == watched.now_ms + READING_SHOWN_AFTER_MS
    assert watched.after(READING_SHOWN_AFTER_MS - 1).state == "idle"
    reading = watched.after(1)
    assert reading.state == "reading"
    assert reading.sound == "", "no sound at detection: people would pull the card away"


@pytest.mark.parametrize(
    ("card", "state", "sound"),
    [
        ("good", "approve", "approve"),
        ("again", "approve", "approve"),
        ("used", "decline", "decline"),
        ("forged", "decline", "decline"),
        ("blocked", "decline", "decline"),
        ("torn", "retry", "retry"),
        ("several", "retry", "retry"),
        ("check", "refer", "retry"),
    ],
)
def test_each_answer_has_its_field_and_sound(
    watched: Watched, card: str, state: str, sound: str
) -> None:
    watched.terminal.insert(KIOSK, card)
    scene = watched.look()
    assert (scene.state, scene.sound) == (state, sound)
    assert scene.text.big == words(CARDS[card], None).zh.big
    assert scene.shown


def test_approved_stays_two_seconds_and_a_decline_six(watched: Watched) -> None:
    watched.terminal.insert(KIOSK, "good")
    scene = watched.look()
    assert scene.redraw_ms == watched.now_ms + APPROVED_SHOWN_MS
    assert watched.after(APPROVED_SHOWN_MS - 1).state == "approve"
    assert watched.after(1).state == "idle"
    watched.terminal.insert(KIOSK, "used")
    watched.look()
    assert watched.after(RESULT_SHOWN_MS - 1).state == "decline"
    assert watched.after(1).state == "idle"


def test_a_decline_ends_three_seconds_after_the_card_is_lifted(watched: Watched) -> None:
    watched.terminal.insert(KIOSK, "used")
    watched.look()
    watched.now_ms += 500
    watched.terminal.remove(KIOSK)
    watched.look()
    assert watched.after(AFTER_LIFT_SHOWN_MS - 1).state == "decline"
    assert watched.after(1).state == "idle"


def test_lifting_the_card_does_not_shorten_a_retry(watched: Watched) -> None:
    watched.terminal.insert(KIOSK, "torn")
    watched.look()
    watched.terminal.remove(KIOSK)
    watched.look()
    assert watched.after(AFTER_LIFT_SHOWN_MS + 1).state == "retry"


def test_a_new_tap_pre_empts_the_result_before_it(watched: Watched) -> None:
    watched.terminal.insert(KIOSK, "used")
    first = watched.look()
    watched.now_ms += 100
    watched.terminal.reading(KIOSK)
    assert watched.look().state == "idle"
    watched.terminal.insert(KIOSK, "good")
    second = watched.look()
    assert second.state == "approve"
    assert second.sound_key != first.sound_key


def test_the_same_answer_twice_sounds_twice(watched: Watched) -> None:
    watched.terminal.insert(KIOSK, "used")
    first = watched.look()
    watched.now_ms += 50
    watched.terminal.insert(KIOSK, "used")
    assert watched.look().sound_key != first.sound_key


def test_a_changed_band_keeps_the_result_and_its_sound(watched: Watched) -> None:
    watched.terminal.insert(KIOSK, "used")
    first = watched.look()
    watched.now_ms += 300
    watched.terminal.network(on=False)
    second = watched.look()
    assert second.state == "decline"
    assert second.sound_key == first.sound_key
    assert second.redraw_ms == first.redraw_ms


def test_a_voided_redemption_is_never_green(watched: Watched) -> None:
    watched.terminal.insert(KIOSK, "good")
    answer = watched.view.answer
    assert answer is not None
    watched.terminal.change(KIOSK, answer=replace(answer, reversed=True, replay=True))
    assert watched.look().state == "decline"


def test_a_dry_run_is_never_green(watched: Watched) -> None:
    watched.terminal.insert(KIOSK, "good")
    answer = watched.view.answer
    assert answer is not None
    watched.terminal.change(KIOSK, answer=replace(answer, simulate=True))
    assert watched.look().state != "approve"


def test_offline_is_a_band_and_taps_go_on(watched: Watched) -> None:
    watched.terminal.network(on=False)
    scene = watched.look()
    assert [band.kind for band in scene.bands] == ["offline"]
    assert scene.bands[0].text == "离线服务中 · 可正常刷卡"
    watched.terminal.insert(KIOSK, "good")
    scene = watched.look()
    assert scene.state == "approve"
    assert "联网后自动上传" in scene.text.small
    assert "待上传 1 笔" in scene.bands[0].text


def test_an_unplugged_reader_says_so_and_recovers_by_itself(watched: Watched) -> None:
    watched.terminal.unplug(KIOSK)
    scene = watched.look()
    assert (scene.state, scene.text.big) == ("fault", "读卡器未连接")
    watched.terminal.plug(KIOSK)
    assert watched.look().state == "idle"


def test_a_reader_that_opens_is_no_fault(watched: Watched) -> None:
    watched.terminal.change(KIOSK, reader=ReaderShown("", "opening"))
    assert watched.look().state == "idle"


@pytest.mark.parametrize(
    ("code", "big"), [("T01", "本机已停用"), ("T02", "本机数据已过期"), ("", "本机暂停服务")]
)
def test_out_of_service_says_why(watched: Watched, code: str, big: str) -> None:
    watched.terminal.change(KIOSK, phase=Phase.CLOSED, closed_code=code)
    scene = watched.look()
    assert (scene.state, scene.text.big) == ("closed", big)


def test_after_a_power_cut_it_confirms_then_says_what_was_recorded(watched: Watched) -> None:
    watched.terminal.change(KIOSK, phase=Phase.CONFIRMING)
    assert watched.look().text.big == "正在确认，请稍候"
    watched.terminal.interrupted(KIOSK, recorded=True)
    scene = watched.look()
    assert (scene.state, scene.text.big) == ("recorded", "10:01 已登记")
    assert scene.sound == "", "an old tap is told, not celebrated"
    assert watched.after(60_000).state == "recorded", "nobody has seen it yet"
    watched.screen.painted(scene.shown, watched.now_ms)
    watched.terminal.acknowledge(KIOSK, scene.shown)
    assert watched.look().state == "recorded", "it stays although it is acknowledged"
    watched.screen.painted(scene.shown, watched.now_ms + 5)
    assert watched.after(RECOVERED_SHOWN_MS - 1).state == "recorded"
    assert watched.after(1).state == "idle"


def test_after_a_power_cut_an_unrecorded_tap_is_asked_for_again(watched: Watched) -> None:
    watched.terminal.interrupted(KIOSK, recorded=False)
    scene = watched.look()
    assert scene.state == "unrecorded"
    assert "未登记" in scene.text.small


def test_a_page_that_starts_late_still_tells_the_recovered_tap() -> None:
    terminal = StandIn()
    terminal.interrupted(KIOSK, recorded=True)
    screen = KioskScreen(terminal.snapshot_view(KIOSK), 5_000)
    assert screen.scene(ZH, 5_000).state == "recorded"


def test_a_new_tap_ends_the_recovered_one(watched: Watched) -> None:
    watched.terminal.interrupted(KIOSK, recorded=True)
    watched.look()
    watched.terminal.insert(KIOSK, "good")
    assert watched.look().state == "approve"
    assert watched.after(APPROVED_SHOWN_MS).state == "idle"


def test_an_answer_still_open_after_a_crash_is_being_confirmed(watched: Watched) -> None:
    watched.terminal.insert(KIOSK, "good")
    answer = watched.view.answer
    assert answer is not None
    watched.terminal.change(KIOSK, answer=replace(answer, code=None, outcome="error"))
    scene = watched.look()
    assert scene.state == "confirming"
    assert scene.redraw_ms is None


def test_a_failure_of_our_own_asks_to_tap_again(watched: Watched) -> None:
    wording = internal_fault()
    answer = TapAnswer("error", None, "internal_fault", "N1", wording)
    watched.terminal.change(KIOSK, phase=Phase.ANSWER, since_ms=1, answer=answer)
    scene = watched.look()
    assert (scene.state, scene.text.big) == ("retry", wording.zh.big)
    assert watched.after(RESULT_SHOWN_MS).state == "idle"


def test_touches_last_half_a_minute(watched: Watched) -> None:
    watched.screen.press("large", watched.now_ms)
    watched.screen.press("language", watched.now_ms)
    scene = watched.look()
    assert (scene.large, scene.language) == (True, Language.EN)
    assert scene.text.big == "Please tap your card"
    assert watched.after(TOUCHED_RESET_MS - 1).large
    scene = watched.after(1)
    assert (scene.large, scene.language) == (False, ZH)


def test_a_second_touch_undoes_the_first_and_unknown_ones_do_nothing(watched: Watched) -> None:
    watched.screen.press("large", watched.now_ms)
    watched.screen.press("large", watched.now_ms + 1)
    watched.screen.press("format-disk", watched.now_ms + 2)
    assert not watched.look().large


def test_practice_and_demo_are_told_on_the_page(watched: Watched) -> None:
    watched.terminal.change(KIOSK, practice=True, demo=True)
    scene = watched.look()
    assert scene.practice
    assert scene.bands[0].text == "练习模式 · 不计入核销"
    assert scene.demo_date == "演示日期 2014-05-30 周五"


def test_the_demo_tells_how_long_its_own_code_took(watched: Watched) -> None:
    watched.terminal.insert(KIOSK, "good")
    assert watched.look().note == ""
    watched.terminal.change(KIOSK, demo=True)
    assert "1.8" in watched.look().note


@pytest.mark.parametrize("card", sorted(CARDS))
@pytest.mark.parametrize("language", list(Language))
def test_nothing_personal_is_ever_on_the_screen(
    watched: Watched, card: str, language: Language
) -> None:
    watched.terminal.insert(KIOSK, card)
    scene = watched.look(language)
    text = repr(scene.text) + scene.note + scene.offer
    assert "挂失" not in text
    assert "lost" not in text.lower()
    assert "stolen" not in text.lower()
    assert not any(code in text for code in ("C0", "L0", "T0", "M0"))
