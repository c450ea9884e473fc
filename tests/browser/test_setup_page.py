"""The first start in a real browser: by touch alone, in both languages, on three screens."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from screens.serving import LocalServer
from terminal.answers import ReaderShown, TapAnswer
from terminal.web.app import create_setup_app
from tests.browser.conftest import TOKEN, Album, Visitor
from tests.browser.looking import settle, until, violations
from tests.browser.test_kiosk_page import COUNT_SOUNDS, SIZES, check
from tests.terminal.web.stand_in import MUSEUM, monotonic_ms, words

pytestmark = pytest.mark.browser

CODE = "ABCDEFGHJKMNPQRSTVWX"


class Host:
    """A machine in memory; satisfies ``terminal.web.first_start.SetupHost``."""

    def __init__(self) -> None:
        self.activated = threading.Event()
        self.activated.set()
        self.texts: list[str] = []
        self.plugged = True
        self.pin = ""
        self.finished = threading.Event()

    def activate(self, text: str) -> str:
        self.texts.append(text)
        self.activated.wait(10)
        return "" if text.replace("-", "") == CODE else "refused"

    def reader(self) -> ReaderShown:
        return ReaderShown("reader", "ready" if self.plugged else "absent")

    def set_pin(self, pin: str) -> bool:
        self.pin = pin
        return len(pin) >= 4

    def practise(self) -> TapAnswer | None:
        return TapAnswer("approve", "A00", "approved", "N1", words("A00", MUSEUM), simulate=True)

    def finish(self) -> None:
        self.finished.set()


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def setup_site(host: Host) -> Iterator[LocalServer]:
    server = LocalServer(
        lambda port: create_setup_app(host, token=TOKEN, port=port, monotonic_ms=monotonic_ms)
    )
    yield server
    server.stop()


@pytest.fixture
def guest(chromium: Browser, setup_site: LocalServer) -> Iterator[Visitor]:
    visitor = Visitor(chromium)
    visitor.expected = ("404",)
    yield visitor
    visitor.close()
    assert not visitor.complaints


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_machine_is_put_into_service_by_touch(
    guest: Visitor, setup_site: LocalServer, host: Host, album: Album, language: str
) -> None:
    page = guest.open(f"{setup_site.origin}/setup?key={TOKEN}", language, script=COUNT_SOUNDS)

    def see(step: str) -> None:
        page.wait_for_selector(f"body[data-state={step}]")
        for size in SIZES.values():
            page.set_viewport_size({"width": size[0], "height": size[1]})
            settle(page)
            album.take(page, f"setup-{step}-{language}-{size[0]}")
            check(page, size, step)
        assert language == "en" or not violations(page)
        page.set_viewport_size({"width": 1280, "height": 800})

    see("code")
    touch(page, "ZZZ")
    page.click("[data-send=code]")
    until(page, "document.querySelector('.said').textContent.length > 3")
    page.fill("#text", "")
    touch(page, CODE)
    host.activated.clear()
    page.click("[data-send=code]")
    see("activating")
    host.plugged = False
    host.activated.set()
    see("reader")
    assert page.is_disabled("[data-act=next]")
    host.plugged = True
    page.click("[data-act=language]")
    page.click("[data-act=language]")
    page.click("[data-act=next]:not([disabled])")
    see("sound")
    for name in ("approve", "retry", "decline"):
        page.click(f"[data-sound={name}]")
    until(page, "sounds.length === 5")
    page.click("[data-act=next]")
    see("pin")
    touch(page, "2468")
    page.click("[data-send=pin]")
    see("practice")
    assert host.pin == "2468"
    page.click("[data-act=practise]")
    page.wait_for_selector(".result.green")
    see("practice")
    page.click("[data-act=next]")
    page.wait_for_selector("body[data-next='/kiosk']")
    until(page, "document.body.dataset.state === 'done'")
    assert host.finished.wait(8), "the page is done before the machine is"
    assert host.texts[-1] == CODE


def touch(page: Page, letters: str) -> None:
    """Types on the page's own keys."""
    for letter in letters:
        page.click(f"[data-letter='{letter}']")
