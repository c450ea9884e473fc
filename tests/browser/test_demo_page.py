"""The demo page in a real browser: cards, both screens in frames, the two numbers, the proofs."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from redcard.card_box import card_box_app
from screens.serving import LocalServer, loopback_socket
from terminal.web.app import create_app
from tests.browser.box_stand_in import BoxStandIn
from tests.browser.conftest import TOKEN, Album, Visitor
from tests.browser.looking import look, settle, until, violations
from tests.terminal.web.stand_in import COUNTER, KIOSK, StandIn, monotonic_ms

pytestmark = pytest.mark.browser

SIZES = {"laptop": (1280, 800), "desk": (1920, 1080)}


@pytest.fixture
def box(terminal: StandIn) -> BoxStandIn:
    terminal.everywhere(demo=True)
    return BoxStandIn(terminal)


@pytest.fixture
def demo(chromium: Browser, box: BoxStandIn) -> Iterator[LocalServer]:
    reserved = loopback_socket()
    port: int = reserved.getsockname()[1]
    reserved.close()
    pages = LocalServer(
        lambda inner: create_app(
            box.terminal,
            token=TOKEN,
            port=inner,
            monotonic_ms=monotonic_ms,
            framed_by=[f"http://127.0.0.1:{port}"],
        )
    )
    frames = {
        slot: f"{pages.origin}/{slot}?position={slot}&key={TOKEN}" for slot in (KIOSK, COUNTER)
    }
    server = LocalServer(
        lambda inner: card_box_app(box, frames=frames, token=TOKEN, port=inner), port=port
    )
    yield server
    server.stop()
    pages.stop()


def opened(visitor: Visitor, demo: LocalServer, language: str, size: tuple[int, int]) -> Page:
    # axe-core asks frames of another origin in vain; Chromium notes it.
    visitor.expected = ("Failed to execute 'postMessage'",)
    page = visitor.open(f"{demo.origin}/?key={TOKEN}", language, size)
    for slot in (KIOSK, COUNTER):
        page.frame_locator(f".{slot}-frame iframe").locator("body[data-turn]").wait_for()
    return page


@pytest.mark.parametrize(("language", "screen"), [("zh", "laptop"), ("en", "desk")])
def test_the_first_two_minutes(
    visitor: Visitor,
    demo: LocalServer,
    box: BoxStandIn,
    album: Album,
    language: str,
    screen: str,
) -> None:
    size = SIZES[screen]
    page = opened(visitor, demo, language, size)
    kiosk = page.frame_locator(".kiosk-frame iframe")
    counter = page.frame_locator(".counter-frame iframe")
    assert "2014" in page.inner_text(".date")
    page.click("[data-card=good][data-slot=kiosk]")
    kiosk.locator("body[data-state=approve]").wait_for()
    page.click("[data-card=forged][data-slot=kiosk]")
    kiosk.locator("body[data-state=decline]").wait_for()
    page.click("[data-card=good][data-slot=counter]")
    counter.locator(".offer[data-act]").first.wait_for()
    page.keyboard.press("1")
    counter.locator(".offer[aria-pressed=true]").wait_for()
    page.keyboard.press("Enter")
    counter.locator("[data-field=approve]").wait_for()
    counter.locator(".slip .qr").wait_for()
    until(page, "document.querySelector('.numbers b').textContent === '2'")
    album.take(page, f"demo-{language}-{size[0]}")
    check(page, "two taps")

    page.click("#network")
    kiosk.locator(".band-offline").wait_for()
    page.click("[data-act=tap-five]")
    until(page, "document.querySelector('.numbers b').textContent === '7'")
    assert "behind" in (page.get_attribute(".numbers .pair p:nth-child(2)", "class") or "")
    page.click("#power")
    kiosk.locator("body[data-state=recorded]").wait_for()
    album.take(page, f"demo-offline-{language}-{size[0]}")
    page.click("#network")
    page.wait_for_selector(".numbers .equal")

    page.click("#tamper")
    page.wait_for_selector(".outcome .good")
    check(page, "tamper")
    page.click(".outcome [data-act=close]")
    page.click("#report")
    page.wait_for_selector(".outcome table")
    album.take(page, f"demo-report-{language}-{size[0]}")
    check(page, "report")


def check(page: Page, where: str) -> None:
    settle(page)
    sight = look(page)
    assert not sight.cut, f"{where}: {sight.cut}"
    assert not sight.sideways, where
    assert not sight.downwards, where
    assert not sight.tofu, where
    assert sight.smallest()[0] >= 16, where
    assert not [one for one in sight.targets if one["height"] < 36], where
    assert not violations(page), where


def test_a_card_is_lifted_by_itself_after_a_moment(
    visitor: Visitor, demo: LocalServer, box: BoxStandIn
) -> None:
    page = opened(visitor, demo, "zh", (1280, 800))
    page.click("[data-card=blocked][data-slot=kiosk]")
    page.frame_locator(".kiosk-frame iframe").locator("body[data-state=decline]").wait_for()
    while "remove kiosk" not in box.calls:
        page.wait_for_timeout(50)
    assert box.calls == ["insert blocked kiosk", "remove kiosk"]


def test_no_other_page_may_frame_the_screens(
    visitor: Visitor, site: LocalServer, terminal: StandIn
) -> None:
    visitor.expected = ("frame-ancestors", "X-Frame-Options", "403")
    page = visitor.open(f"{site.origin}/kiosk?key={TOKEN}")
    page.goto("about:blank")
    page.set_content(f'<iframe src="{site.origin}/kiosk?key={TOKEN}"></iframe>')
    page.wait_for_timeout(500)
    assert not any("请刷卡" in frame.content() for frame in page.frames)
