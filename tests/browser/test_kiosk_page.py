"""The kiosk in a real browser: every state, both languages, three screens."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from playwright.sync_api import Page

from screens.serving import LocalServer
from terminal.answers import Phase
from terminal.web.app import create_app
from tests.browser.conftest import TOKEN, Album, Visitor
from tests.browser.looking import look, settle, until, violations
from tests.terminal.web.stand_in import (
    CINEMA,
    FAIR,
    KIOSK,
    MUSEUM,
    NEARBY,
    PACK,
    PUPPETS,
    STAFF_PIN,
    TOMBS,
    StandIn,
    monotonic_ms,
)

pytestmark = pytest.mark.browser

SIZES = {"10 inch": (1280, 800), "21 inch": (1920, 1080), "10 inch portrait": (800, 1280)}
TARGET_PX_MIN = 60
TEXT_PX_MIN = 24
LARGE_TEXT_PX_MIN = 60


def calm(terminal: StandIn, *pages: Page) -> None:
    """Everything as it is on a quiet morning."""
    if pages[0].get_attribute("body", "data-state") in ("recorded", "unrecorded"):
        # Only a new tap ends these before their time.
        terminal.insert(KIOSK, "good")
        pages[0].wait_for_selector("body[data-state=approve]")
    terminal.everywhere(practice=False, demo=False, unshown=None, closed_code="", nearby=())
    terminal.change(KIOSK, tiles=(), offer=MUSEUM)
    terminal.plug(KIOSK)
    terminal.network(on=True)
    terminal.dismiss(KIOSK)
    for page in pages:
        page.wait_for_selector("body.kiosk[data-state=idle]")


def offline(terminal: StandIn) -> None:
    terminal.network(on=False)
    terminal.insert(KIOSK, "good")


def practising(terminal: StandIn) -> None:
    terminal.change(KIOSK, practice=True)


def tiles(terminal: StandIn) -> None:
    terminal.change(KIOSK, tiles=(MUSEUM, CINEMA, PUPPETS), offer=None)


def six_tiles(terminal: StandIn) -> None:
    terminal.change(KIOSK, tiles=(MUSEUM, CINEMA, PUPPETS, PACK, FAIR, TOMBS), offer=None)


def chosen(terminal: StandIn) -> None:
    tiles(terminal)
    terminal.choose(KIOSK, CINEMA.id)


def paid(terminal: StandIn) -> None:
    terminal.change(KIOSK, offer=CINEMA)
    terminal.insert(KIOSK, "good", CINEMA)


def out_of_service(terminal: StandIn) -> None:
    terminal.change(KIOSK, phase=Phase.CLOSED, closed_code="T01", nearby=NEARBY)


#: Name, how to get there, and the state the page must show.
STATES: dict[str, tuple[Callable[[StandIn], None], str]] = {
    "idle": (lambda terminal: None, "idle"),
    "reading": (lambda terminal: terminal.reading(KIOSK), "reading"),
    "approved": (lambda terminal: terminal.insert(KIOSK, "good"), "approve"),
    "already-in": (lambda terminal: terminal.insert(KIOSK, "again"), "approve"),
    "used-today": (lambda terminal: terminal.insert(KIOSK, "used"), "decline"),
    "forged": (lambda terminal: terminal.insert(KIOSK, "forged"), "decline"),
    "blocked": (lambda terminal: terminal.insert(KIOSK, "blocked"), "decline"),
    "unknown": (lambda terminal: terminal.insert(KIOSK, "unknown"), "decline"),
    "pulled-away": (lambda terminal: terminal.insert(KIOSK, "torn"), "retry"),
    "several-cards": (lambda terminal: terminal.insert(KIOSK, "several"), "retry"),
    "identity": (lambda terminal: terminal.insert(KIOSK, "check"), "refer"),
    "offline": (offline, "approve"),
    "unplugged": (lambda terminal: terminal.unplug(KIOSK), "fault"),
    "closed": (
        lambda terminal: terminal.change(KIOSK, phase=Phase.CLOSED, closed_code="T06"),
        "closed",
    ),
    "out-of-service": (out_of_service, "closed"),
    "tiles": (tiles, "idle"),
    "six-tiles": (six_tiles, "idle"),
    "chosen": (chosen, "idle"),
    "paid": (paid, "approve"),
    "confirming": (lambda terminal: terminal.change(KIOSK, phase=Phase.CONFIRMING), "confirming"),
    "recorded": (lambda terminal: terminal.interrupted(KIOSK, recorded=True), "recorded"),
    "unrecorded": (lambda terminal: terminal.interrupted(KIOSK, recorded=False), "unrecorded"),
    "practice": (practising, "idle"),
    "demo": (lambda terminal: terminal.change(KIOSK, demo=True), "idle"),
}


#: States that are also looked at in large text.
LARGE = (
    "idle", "offline", "used-today", "unplugged", "identity", "demo", "out-of-service", "tiles",
    "six-tiles", "chosen", "paid",
)  # fmt: skip


def scale(size: tuple[int, int]) -> float:
    """Pixels of this screen for one pixel of the design."""
    return min(max(size) / 1280, min(size) / 800)


def open_all(visitor: Visitor, site: LocalServer, language: str) -> dict[tuple[int, int], Page]:
    """The same kiosk on three screens at once."""
    url = f"{site.origin}/kiosk?key={TOKEN}"
    return {size: visitor.open(url, language, size) for size in SIZES.values()}


def check(page: Page, size: tuple[int, int], name: str, *, large: bool = False) -> None:
    """Nothing cut off, nothing too small to read or to touch."""
    sight = look(page)
    where = f"{name} at {size}"
    assert not sight.cut, f"{where}: {sight.cut}"
    assert not sight.sideways, where
    assert not sight.downwards, where
    assert not sight.tofu, where
    smallest = sight.smallest(needed=large)
    least = LARGE_TEXT_PX_MIN if large else TEXT_PX_MIN
    assert smallest[0] >= least * scale(size) - 0.01, f"{where}: {smallest}"
    small = [one for one in sight.targets if min(one["width"], one["height"]) < TARGET_PX_MIN]
    assert not small, f"{where}: {small}"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_state_can_be_read_and_touched(
    visitor: Visitor, site: LocalServer, terminal: StandIn, album: Album, language: str
) -> None:
    pages = open_all(visitor, site, language)
    for name, (bring, state) in STATES.items():
        calm(terminal, *pages.values())
        bring(terminal)
        for size, page in pages.items():
            page.wait_for_selector(f"body.kiosk[data-state={state}]")
            settle(page)
            album.take(page, f"kiosk-{name}-{language}-{size[0]}")
            check(page, size, name)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_large_text_is_large_everywhere(
    visitor: Visitor, site: LocalServer, terminal: StandIn, album: Album, language: str
) -> None:
    pages = open_all(visitor, site, language)
    next(iter(pages.values())).click("[data-act=large]")
    for name in LARGE:
        bring, state = STATES[name]
        calm(terminal, *pages.values())
        bring(terminal)
        for size, page in pages.items():
            page.wait_for_selector(f"body.kiosk[data-state={state}][data-large=true]")
            settle(page)
            album.take(page, f"kiosk-large-{name}-{language}-{size[0]}")
            check(page, size, name, large=True)


def enter(page: Page, pin: str) -> None:
    """Opens the staff corner and types a PIN."""
    page.click("[data-act=staff]")
    for typed, digit in enumerate(pin, 1):
        page.click(f"#digit-{digit}")
        until(page, f"document.querySelectorAll('.dots i').length === {typed}")
    page.click("#enter")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_staff_corner_by_touch(
    visitor: Visitor, site: LocalServer, terminal: StandIn, album: Album, language: str
) -> None:
    for _ in range(3):
        terminal.insert(KIOSK, "good")
    terminal.dismiss(KIOSK)
    offer = terminal.snapshot_view(KIOSK).offer
    assert offer is not None
    terminal.change(KIOSK, offer=replace(offer, stock_left=96))
    url = f"{site.origin}/kiosk?key={TOKEN}"
    page = visitor.open(url, language)

    def see(name: str) -> None:
        for size in SIZES.values():
            page.set_viewport_size({"width": size[0], "height": size[1]})
            settle(page)
            album.take(page, f"kiosk-{name}-{language}-{size[0]}")
            check(page, size, name)
        assert language == "en" or not violations(page)
        page.set_viewport_size({"width": 1280, "height": 800})

    enter(page, "1111")
    page.wait_for_selector("body[data-open=pin]")
    until(page, "document.querySelector('.corner-said').textContent.length > 3")
    see("staff-wrong-pin")
    page.click("[data-act=leave]")
    page.wait_for_selector("body[data-open=shut]")
    enter(page, STAFF_PIN)
    page.wait_for_selector("body[data-open=sheet]")
    assert page.inner_text(".figures dd") == "3"
    figures = page.locator(".figures div").all_inner_texts()
    used = "今日已用额度" if language == "zh" else "Allowance used today"
    assert any("3 / 96" in one and used in one for one in figures), "beside what is left of it"
    see("staff-sheet")
    page.click("#problem")
    page.wait_for_selector("body[data-open=problem]")
    see("staff-problem")
    page.click("#about-network")
    page.wait_for_selector("body[data-open=reported]")
    see("staff-reported")
    assert terminal.problems == [("network", "")]
    page.click("#leave")
    page.wait_for_selector("body[data-open=shut]")
    enter(page, STAFF_PIN)
    page.wait_for_selector("body[data-open=sheet]")
    page.click("#close-day")
    page.wait_for_selector("body[data-open=closing]")
    see("staff-closing")
    page.click("#close-day-yes")
    page.wait_for_selector("body[data-open=closed]")
    see("staff-closed")
    assert terminal.totals(KIOSK).redeemed == 0
    terminal.reading(KIOSK)
    page.wait_for_selector("body[data-open=shut]")


def test_a_tile_is_touched_and_the_next_card_is_for_it(
    visitor: Visitor, site: LocalServer, terminal: StandIn
) -> None:
    page = visitor.open(f"{site.origin}/kiosk?key={TOKEN}")
    tiles(terminal)
    page.wait_for_selector(".tiles")
    small = page.evaluate(
        "[...document.querySelectorAll('.tiles button')].map((e) => e.getBoundingClientRect())"
        ".filter((box) => box.width < 200 || box.height < 140).length"
    )
    assert small == 0
    page.click(f"#tile-{CINEMA.id}")
    page.wait_for_selector("#rechoose")
    assert page.inner_text("#field .small").startswith("十元看电影")
    page.click("#rechoose")
    page.wait_for_selector(".tiles")


def test_no_state_bars_anyone(visitor: Visitor, site: LocalServer, terminal: StandIn) -> None:
    page = visitor.open(f"{site.origin}/kiosk?key={TOKEN}")
    for name, (bring, state) in STATES.items():
        calm(terminal, page)
        bring(terminal)
        page.wait_for_selector(f"body.kiosk[data-state={state}]")
        settle(page)
        assert not violations(page), name


def test_a_result_goes_by_itself_and_a_new_tap_pre_empts_it(
    visitor: Visitor, site: LocalServer, terminal: StandIn
) -> None:
    page = visitor.open(f"{site.origin}/kiosk?key={TOKEN}")
    terminal.insert(KIOSK, "used")
    page.wait_for_selector("body[data-state=decline]")
    terminal.insert(KIOSK, "good")
    page.wait_for_selector("body[data-state=approve]")
    page.wait_for_selector("body[data-state=idle]")


def test_language_and_large_text_are_one_touch_each(visitor: Visitor, site: LocalServer) -> None:
    page = visitor.open(f"{site.origin}/kiosk?key={TOKEN}")
    page.click("[data-act=language]")
    page.wait_for_selector("html[lang=en]")
    assert page.inner_text("h1") == "Please tap your card"
    page.click("[data-act=language]")
    page.wait_for_selector("html[lang=zh-CN]")
    page.click("[data-act=large]")
    page.wait_for_selector("body[data-large=true]")
    assert page.get_attribute("[data-act=large]", "aria-pressed") == "true"


def test_without_motion_nothing_moves(
    visitor: Visitor, site: LocalServer, terminal: StandIn
) -> None:
    page = visitor.open(f"{site.origin}/kiosk?key={TOKEN}", reduced_motion=True)
    terminal.reading(KIOSK)
    page.wait_for_selector("body[data-state=reading]")
    assert page.evaluate("document.getAnimations().length") == 0
    terminal.insert(KIOSK, "good")
    page.wait_for_selector("body[data-state=approve]")
    assert page.evaluate("document.getAnimations().length") == 0


#: Notes every oscillator that starts, with its wave: one sound is a few of them at once.
COUNT_SOUNDS = """
window.sounds = [];
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (at) {
  window.sounds.push(this.type);
  start.call(this, at);
};
"""


def test_each_result_sounds_once_and_detection_never(
    visitor: Visitor, site: LocalServer, terminal: StandIn
) -> None:
    page = visitor.open(f"{site.origin}/kiosk?key={TOKEN}", script=COUNT_SOUNDS)
    page.wait_for_selector("body[data-turn]")
    terminal.reading(KIOSK)
    page.wait_for_selector("body[data-state=reading]")
    assert page.evaluate("sounds") == []
    terminal.insert(KIOSK, "good")
    until(page, "sounds.length > 0")
    terminal.network(on=False)
    page.wait_for_selector(".band-offline")
    assert page.evaluate("sounds") == ["sine", "sine"]
    terminal.insert(KIOSK, "used")
    until(page, "sounds.length > 2")
    assert page.evaluate("sounds") == ["sine", "sine", "sawtooth"]
    page.reload()
    page.wait_for_selector("body[data-state=decline][data-turn]")
    until(page, "document.body.dataset.turn === '0'")
    assert page.evaluate("sounds") == [], "a reload repeats the picture, not the sound"


def test_sounds_differ_by_their_spectrum(visitor: Visitor, site: LocalServer) -> None:
    page = visitor.open(f"{site.origin}/kiosk?key={TOKEN}")
    rendered = page.evaluate(
        """async () => {
          const { SCORES, play } = await import('/static/terminal/sound.js');
          const bands = [100, 150, 200, 250, 300, 400, 520, 660, 800, 990, 1200, 1560, 2000];
          const out = {};
          for (const name of Object.keys(SCORES)) {
            const context = new OfflineAudioContext(1, 8000, 8000);
            const seconds = play(context, name, 0);
            const samples = (await context.startRendering()).getChannelData(0);
            const energy = bands.map((hz) => {
              let re = 0, im = 0;
              for (let i = 0; i < samples.length; i++) {
                re += samples[i] * Math.cos((2 * Math.PI * hz * i) / 8000);
                im += samples[i] * Math.sin((2 * Math.PI * hz * i) / 8000);
              }
              return Math.hypot(re, im);
            });
            out[name] = { seconds, energy };
          }
          return out;
        }"""
    )
    assert set(rendered) == {"approve", "retry", "decline"}

    def likeness(one: list[float], other: list[float]) -> float:
        dot = sum(left * right for left, right in zip(one, other, strict=True))
        lengths = sum(left**2 for left in one) * sum(right**2 for right in other)
        return float(dot / lengths**0.5)

    names = sorted(rendered)
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            assert likeness(rendered[one]["energy"], rendered[other]["energy"]) < 0.5, (one, other)
    assert rendered["approve"]["seconds"] == pytest.approx(0.22, abs=0.01)
    assert rendered["retry"]["seconds"] == pytest.approx(0.30, abs=0.01)
    assert rendered["decline"]["seconds"] == pytest.approx(0.55, abs=0.01)


def test_a_restart_of_the_service_loses_nothing(
    visitor: Visitor, site: LocalServer, terminal: StandIn, album: Album
) -> None:
    visitor.expected = (
        "ERR_CONNECTION_REFUSED",
        "ERR_INCOMPLETE_CHUNKED_ENCODING",
        "ERR_EMPTY_RESPONSE",
    )
    page = visitor.open(f"{site.origin}/kiosk?key={TOKEN}")
    terminal.insert(KIOSK, "good")
    page.wait_for_selector("body[data-state=approve]")
    site.stop()
    page.wait_for_selector("body[data-state=cut]")
    assert page.is_hidden("#field"), "an old green must not greet the next person"
    assert "正在重新连接" in page.inner_text("#cut")
    settle(page)
    album.take(page, "kiosk-cut-zh-1280")
    check(page, (1280, 800), "cut")
    terminal.interrupted(KIOSK, recorded=True)
    again = LocalServer(
        lambda port: create_app(terminal, token=TOKEN, port=port, monotonic_ms=monotonic_ms),
        port=site.port,
    )
    try:
        page.wait_for_selector("body[data-state=recorded]")
        assert page.inner_text("h1") == "10:01 已登记"
        assert page.is_hidden("#cut")
        settle(page)
        assert terminal.last_unshown(KIOSK) is None, "painted, so acknowledged"
    finally:
        again.stop()


@pytest.mark.parametrize("name", ["approved", "used-today", "unplugged", "closed", "confirming"])
def test_a_reload_shows_the_same_again(
    visitor: Visitor, site: LocalServer, terminal: StandIn, name: str
) -> None:
    page = visitor.open(f"{site.origin}/kiosk?key={TOKEN}")
    bring, state = STATES[name]
    bring(terminal)
    page.wait_for_selector(f"body[data-state={state}]")
    words = page.inner_text("h1")
    page.reload()
    page.wait_for_selector(f"body[data-state={state}]")
    assert page.inner_text("h1") == words
