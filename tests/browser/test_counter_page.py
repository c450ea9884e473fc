"""The counter in a real browser: by keyboard, in every state, in both languages."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from screens.serving import LocalServer
from terminal.answers import Phase, ShiftShown
from terminal.web.app import create_app
from tests.browser.conftest import TOKEN, Album, Visitor
from tests.browser.looking import look, settle, until, violations
from tests.terminal.web.stand_in import COUNTER, StandIn, monotonic_ms

pytestmark = pytest.mark.browser

SIZES = {"15 inch": (1280, 800), "21 inch": (1920, 1080), "10 inch portrait": (800, 1280)}
TEXT_PX_MIN = 18
KEY_PX_MIN = 15
TARGET_PX_MIN = 44


def scale(size: tuple[int, int]) -> float:
    return min(max(size) / 1280, min(size) / 800)


def nothing(page: Page, terminal: StandIn) -> None:
    """The counter as it is."""


def card(name: str = "good") -> Callable[[Page, StandIn], None]:
    def bring(page: Page, terminal: StandIn) -> None:
        terminal.insert(COUNTER, name)

    return bring


def keys(*names: str) -> Callable[[Page, StandIn], None]:
    """A good card, then keys."""

    def bring(page: Page, terminal: StandIn) -> None:
        terminal.insert(COUNTER, "good")
        page.wait_for_selector("[data-mode=choosing] .offer")
        for name in names:
            before = page.get_attribute("body", "data-mode")
            page.keyboard.press(name)
            if name in ("Enter", "F8"):
                page.wait_for_selector(f"body:not([data-mode={before}]):not([data-mode=busy])")

    return bring


def search(page: Page, terminal: StandIn) -> None:
    terminal.insert(COUNTER, "good")
    page.wait_for_selector("#search")
    page.keyboard.press("/")
    page.keyboard.type("dw")


def offline(page: Page, terminal: StandIn) -> None:
    terminal.network(on=False)
    keys("1", "Enter")(page, terminal)


def identity(page: Page, terminal: StandIn) -> None:
    terminal.insert(COUNTER, "check")
    page.wait_for_selector("[data-mode=choosing] .offer")
    page.keyboard.press("1")
    page.keyboard.press("Enter")


def closed(page: Page, terminal: StandIn) -> None:
    terminal.change(COUNTER, phase=Phase.CLOSED, closed_code="T02")


def reading(page: Page, terminal: StandIn) -> None:
    terminal.reading(COUNTER)


def unplugged(page: Page, terminal: StandIn) -> None:
    terminal.unplug(COUNTER)


def recovered(page: Page, terminal: StandIn) -> None:
    terminal.interrupted(COUNTER, recorded=True)


def busy_day(page: Page, terminal: StandIn) -> None:
    """A morning's work, a shift, and a demo's date."""
    terminal.change(COUNTER, demo=True, shift=ShiftShown("S1", "W01", terminal.now_ms - 3_600_000))
    for offer in ("1", "1", "1"):
        keys(offer, "Enter", "Enter")(page, terminal)


def practice(page: Page, terminal: StandIn) -> None:
    terminal.change(COUNTER, practice=True)
    keys("1", "Enter")(page, terminal)


def panel(key: str, *more: str) -> Callable[[Page, StandIn], None]:
    """A panel opened by its key, then keys."""

    def bring(page: Page, terminal: StandIn) -> None:
        page.keyboard.press(key)
        page.wait_for_selector("[data-mode=panel] .panel")
        for name in more:
            page.keyboard.press(name)

    return bring


def collecting(*codes: str) -> Callable[[Page, StandIn], None]:
    """A representative's card, an offer, then colleagues' cards."""

    def bring(page: Page, terminal: StandIn) -> None:
        terminal.insert(COUNTER, "good")
        page.wait_for_selector("[data-mode=choosing] .offer")
        page.keyboard.press("F4")
        page.wait_for_selector("#collect-XC-L-009")
        page.keyboard.press("1")
        page.wait_for_selector(".tallies")
        terminal.work.lay_down(COUNTER, *codes)

    return bring


def collected(page: Page, terminal: StandIn) -> None:
    collecting("A00", "A00", "L01", "A00")(page, terminal)
    page.wait_for_selector(".cards li:nth-child(4)")
    page.keyboard.press("Enter")


def account(page: Page, terminal: StandIn) -> None:
    terminal.insert(COUNTER, "good")
    page.wait_for_selector("[data-mode=choosing] .offer")
    page.keyboard.press("F3")


def override(page: Page, terminal: StandIn) -> None:
    terminal.insert(COUNTER, "used")
    page.click("#lift-XC-L-009")


def on_shift(page: Page, terminal: StandIn) -> None:
    terminal.change(COUNTER, shift=ShiftShown("S1", "W01", terminal.now_ms - 3_600_000))
    page.wait_for_selector("#head .position:not(:empty)")


def closing(page: Page, terminal: StandIn) -> None:
    on_shift(page, terminal)
    panel("F10")(page, terminal)
    page.wait_for_selector("#count-XC-L-009")


def shift_closed(page: Page, terminal: StandIn) -> None:
    closing(page, terminal)
    page.fill("#count-XC-L-009", "213")
    page.select_option("#reason", "slip_missing")
    page.click("#do-shift-close")


def shelf_picked(page: Page, terminal: StandIn) -> None:
    terminal.work.place_hold(COUNTER, "BJ-C-004", 3, label="某科技公司工会")
    panel("F6")(page, terminal)
    page.click("#shelf-XC-L-009")


def request(page: Page, terminal: StandIn) -> None:
    shelf_picked(page, terminal)
    page.click("#do-shelf-request")
    page.fill("#units", "200")
    page.keyboard.press("Enter")
    page.keyboard.type("周五前")
    page.keyboard.press("Enter")


def shelf_form(page: Page, terminal: StandIn) -> None:
    shelf_picked(page, terminal)
    page.click("#do-shelf-hold")


def paper_out(page: Page, terminal: StandIn) -> None:
    terminal.work.printer_ok = False
    panel("F10")(page, terminal)


def booking(page: Page, terminal: StandIn) -> None:
    panel("F7")(page, terminal)
    page.wait_for_selector("#do-book")
    page.keyboard.press("+")
    page.wait_for_selector("#book-time:focus")
    page.keyboard.type("1330")
    for text in ("9999", "张敏", ""):
        page.keyboard.press("Enter")
        page.keyboard.type(text)
    page.keyboard.press("Enter")


def late(page: Page, terminal: StandIn) -> None:
    panel("F12")(page, terminal)
    page.wait_for_selector("#late-offer option:nth-child(2)", state="attached")
    page.fill("#late-sheet", "S0201-1-P00001")
    page.select_option("#late-offer", "XC-L-009")
    page.select_option("#late-reason", "power_cut")
    page.fill("#late-supervisor", "L01")
    page.keyboard.press("Enter")
    page.keyboard.type("4711")
    page.keyboard.press("Enter")


def trouble_kept(page: Page, terminal: StandIn) -> None:
    terminal.network(on=False)
    panel("F1", "1")(page, terminal)
    page.wait_for_selector("#about-reader[aria-pressed=true]")
    page.keyboard.press("Enter")


def two(page: Page, terminal: StandIn) -> None:
    keys("1")(page, terminal)
    page.click("#more")


MANY = ("A00",) * 38 + ("L01", "C04")

#: Name, how to get there, and a selector that shows that it is there.
STATES: dict[str, tuple[Callable[[Page, StandIn], None], str]] = {
    "idle": (nothing, "[data-mode=idle] [data-field=idle]"),
    "reading": (reading, "[data-mode=reading]"),
    "offers": (card(), "[data-mode=choosing] .offer"),
    "picked": (keys("1"), "[data-mode=choosing] .offer[aria-pressed=true]"),
    "search": (search, "[data-mode=choosing] li:only-child .offer"),
    "given": (keys("1", "Enter"), "[data-field=approve]"),
    "offline": (offline, "[data-field=approve]"),
    "blocked": (card("blocked"), "[data-field=decline]"),
    "pulled-away": (card("torn"), "[data-field=retry]"),
    "identity": (identity, "#note"),
    "void": (keys("1", "Enter", "F8", "1"), ".reasons [aria-pressed=true]"),
    "voided": (keys("1", "Enter", "F8", "1", "Enter"), ".void [data-field=recorded]"),
    "nothing-to-void": (keys("F8"), ".void .none"),
    "unplugged": (unplugged, "[data-field=fault]"),
    "closed": (closed, "[data-field=closed]"),
    "recovered": (recovered, "[data-field=recorded]"),
    "busy-day": (busy_day, ".recent li:nth-child(3)"),
    "practice": (practice, ".band-practice"),
    "two-units": (two, ".quantity #less:not([disabled])"),
    "collect": (panel("F4"), ".panel-collect .none"),
    "collect-list": (collecting(*MANY), ".cards li:nth-child(40)"),
    "collect-done": (collected, "#do-print"),
    "account": (account, ".account li"),
    "find": (panel("/"), ".offer.found"),
    "shelf": (shelf_picked, "#do-shelf-hold"),
    "shelf-request": (request, ".slip.sheet"),
    "shelf-form": (shelf_form, "#units"),
    "shift-opening": (panel("F10"), ".tests .good"),
    "paper-out": (paper_out, ".tests .bad"),
    "shift-closing": (closing, "#count-XC-L-009"),
    "shift-closed": (shift_closed, ".sums"),
    "override": (override, "#supervisor"),
    "booking": (booking, "#book-time"),
    "late": (late, ".done-line"),
    "trouble": (panel("F1", "3"), "#about-network[aria-pressed=true]"),
    "trouble-kept": (trouble_kept, ".panel-trouble [data-field=recorded]"),
    "booked": (panel("F7"), ".booked tbody th"),
    "practice-question": (panel("F2"), "#do-confirm"),
}


def arrive(page: Page, terminal: StandIn, name: str) -> None:
    """Brings a page into a state; the void's last Enter changes no mode and is waited for here."""
    bring, there = STATES[name]
    if name == "voided":
        keys("1", "Enter", "F8", "1")(page, terminal)
        page.wait_for_selector(".reasons [aria-pressed=true]")
        page.keyboard.press("Enter")
    else:
        bring(page, terminal)
    page.wait_for_selector(there)
    settle(page)


@pytest.mark.parametrize("name", sorted(STATES))
def test_every_state_can_be_read(
    visitor: Visitor, site: LocalServer, terminal: StandIn, album: Album, name: str
) -> None:
    page = visitor.open(f"{site.origin}/counter?key={TOKEN}")
    arrive(page, terminal, name)
    for language in ("zh", "en"):
        page.goto(f"{site.origin}/counter?lang={language}")
        page.wait_for_selector(STATES[name][1])
        settle(page)
        # Structure and colours are the same in both languages.
        assert language == "en" or not violations(page)
        for size in SIZES.values():
            page.set_viewport_size({"width": size[0], "height": size[1]})
            settle(page)
            album.take(page, f"counter-{name}-{language}-{size[0]}")
            check(page, size, language)


def check(page: Page, size: tuple[int, int], language: str) -> None:
    """Nothing cut off, nothing too small to read or to hit with a mouse."""
    sight = look(page)
    where = f"{language} at {size}"
    assert not sight.cut, f"{where}: {sight.cut}"
    assert not sight.sideways, where
    assert not sight.downwards, where
    assert not sight.tofu, where
    words = [one for one in sight.texts if one["tag"] != "kbd"]
    smallest = min((one["px"], one["text"]) for one in words)
    assert smallest[0] >= TEXT_PX_MIN * scale(size) - 0.01, f"{where}: {smallest}"
    assert sight.smallest()[0] >= KEY_PX_MIN * scale(size), f"{where}: {sight.smallest()}"
    low = [one for one in sight.targets if one["height"] < TARGET_PX_MIN - 0.5]
    assert not low, f"{where}: {low}"


def test_two_actions_after_a_tap_by_keyboard(
    visitor: Visitor, site: LocalServer, terminal: StandIn
) -> None:
    page = visitor.open(f"{site.origin}/counter?key={TOKEN}")
    terminal.insert(COUNTER, "good")
    page.wait_for_selector(".offer")
    page.keyboard.press("1")
    page.wait_for_selector(".offer[aria-pressed=true]")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-field=approve]")
    assert terminal.totals(COUNTER).redeemed == 1
    page.keyboard.press("F8")
    page.wait_for_selector(".reasons")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    page.wait_for_selector(".void [data-field=recorded]")
    totals = terminal.totals(COUNTER)
    assert (totals.redeemed, totals.voided) == (0, 1)
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-field=idle]")


def test_the_same_by_mouse_and_by_focus(
    visitor: Visitor, site: LocalServer, terminal: StandIn
) -> None:
    page = visitor.open(f"{site.origin}/counter?key={TOKEN}")
    terminal.insert(COUNTER, "good")
    page.click("#offer-BJ-C-004")
    page.wait_for_selector("#offer-BJ-C-004[aria-pressed=true]")
    assert page.evaluate("document.activeElement.id") == "offer-BJ-C-004", "focus survives"
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-field=approve]")
    page.click("#confirm")
    page.wait_for_selector("[data-field=idle]")
    assert terminal.totals(COUNTER).redeemed == 1


def test_enter_held_down_gives_out_one(
    visitor: Visitor, site: LocalServer, terminal: StandIn
) -> None:
    page = visitor.open(f"{site.origin}/counter?key={TOKEN}")
    terminal.insert(COUNTER, "good")
    page.wait_for_selector(".offer")
    page.keyboard.press("1")
    for _ in range(4):
        page.keyboard.down("Enter")
    page.wait_for_selector("[data-field=approve]")
    settle(page)
    assert page.get_attribute("body", "data-mode") == "result"
    assert terminal.totals(COUNTER).redeemed == 1


def test_what_is_typed_into_the_search_survives_a_change_elsewhere(
    visitor: Visitor, site: LocalServer, terminal: StandIn
) -> None:
    page = visitor.open(f"{site.origin}/counter?key={TOKEN}")
    terminal.insert(COUNTER, "good")
    page.wait_for_selector("#search")
    page.keyboard.press("/")
    page.keyboard.type("1d")
    terminal.network(on=False)
    page.wait_for_selector(".band-offline")
    assert page.input_value("#search") == "1d", "digits are typed, not taken for picks"
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.press("Escape")
    until(page, "document.querySelectorAll('.offer').length === 5")


def test_the_countdown_of_a_void_runs_in_the_page(
    visitor: Visitor, site: LocalServer, terminal: StandIn
) -> None:
    page = visitor.open(f"{site.origin}/counter?key={TOKEN}")
    keys("1", "Enter")(page, terminal)
    assert page.inner_text("#void b").startswith(("14:5", "15:00"))
    until(page, "/^14:5[0-8]$/.test(document.querySelector('#void b').textContent)")


@pytest.mark.parametrize("name", ["picked", "given", "void", "blocked", "recovered", "voided"])
def test_a_reload_loses_nothing(
    visitor: Visitor, site: LocalServer, terminal: StandIn, name: str
) -> None:
    page = visitor.open(f"{site.origin}/counter?key={TOKEN}")
    arrive(page, terminal, name)
    work = page.inner_text("#work")
    page.reload()
    page.wait_for_selector(STATES[name][1])
    assert page.inner_text("#work").split("\n")[:3] == work.split("\n")[:3]


@pytest.mark.parametrize("name", ["given", "offline", "recovered"])
def test_a_restart_of_the_pages_loses_nothing(
    visitor: Visitor, site: LocalServer, terminal: StandIn, name: str
) -> None:
    visitor.expected = ("net::ERR_",)
    page = visitor.open(f"{site.origin}/counter?key={TOKEN}")
    arrive(page, terminal, name)
    words = page.inner_text("#work .big")
    site.stop()
    page.wait_for_selector("#reconnecting:not([hidden])")
    page.keyboard.press("F8")
    again = LocalServer(
        lambda port: create_app(terminal, token=TOKEN, port=port, monotonic_ms=monotonic_ms),
        port=site.port,
    )
    try:
        page.wait_for_selector("#reconnecting[hidden]", state="attached")
        page.wait_for_selector(STATES[name][1])
        assert page.inner_text("#work .big") == words
    finally:
        page.close()
        again.stop()


def test_the_slip_alone_is_printed(visitor: Visitor, site: LocalServer, terminal: StandIn) -> None:
    page = visitor.open(
        f"{site.origin}/counter?key={TOKEN}",
        script="window.print = () => { window.printed = true; };",
    )
    keys("1", "Enter")(page, terminal)
    page.keyboard.press("F9")
    until(page, "window.printed === true")
    page.emulate_media(media="print")
    assert page.is_visible(".slip .qr")
    for hidden in ("#head", "#work", "#member", "#foot", "#confirm"):
        assert not page.is_visible(hidden), hidden


def test_the_sign_off_sheet_alone_is_printed(
    visitor: Visitor, site: LocalServer, terminal: StandIn
) -> None:
    page = visitor.open(f"{site.origin}/counter?key={TOKEN}")
    arrive(page, terminal, "collect-done")
    assert not page.is_visible(".sheet")
    page.emulate_media(media="print")
    assert page.is_visible(".sheet")
    for hidden in ("#head", "#side", "#member", "#foot", ".cards", ".panel-title"):
        assert not page.is_visible(hidden), hidden


def test_what_is_typed_into_a_form_survives_a_change_elsewhere(
    visitor: Visitor, site: LocalServer, terminal: StandIn
) -> None:
    page = visitor.open(f"{site.origin}/counter?key={TOKEN}")
    arrive(page, terminal, "shift-closing")
    page.fill("#count-XC-L-009", "200")
    page.fill("#count-BJ-C-004", "96")
    page.click("#do-shift-close")
    page.wait_for_selector(".problem-line")
    assert page.input_value("#count-XC-L-009") == "200", "a refused form keeps what was counted"
    page.select_option("#reason", "damaged")
    terminal.network(on=False)
    page.wait_for_selector(".band-offline")
    page.focus("#count-BJ-C-004")
    page.keyboard.press("Enter")
    page.wait_for_selector(".sums")
    assert "-14" in page.inner_text(".count")
