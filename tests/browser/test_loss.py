"""A reload, a crash and a cut stream, at every state: nothing is lost, and the page says so."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Error, Page
from starlette.types import Receive, Scope, Send

from screens.serving import LocalServer, LocalSite
from terminal.web.app import create_app
from tests.browser import test_counter_page, test_kiosk_page
from tests.browser.conftest import TOKEN, Visitor
from tests.browser.looking import until
from tests.terminal.web.stand_in import KIOSK, StandIn

pytestmark = pytest.mark.browser

#: The page crashes at once; nothing answers that it did.
CRASH_MS = 700
COUNTER_STATES = (
    "idle", "picked", "given", "offline", "blocked", "identity", "void", "recovered",
    "collect-list", "shift-closing", "shelf", "unplugged",
)  # fmt: skip


class Hand:
    """A monotonic clock that moves only when told: no result runs out while a browser starts."""

    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


class Cable:
    """An application whose event streams can be cut and mended, as a cable would."""

    def __init__(self, app: LocalSite) -> None:
        self._app = app
        self._open: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._lock = threading.Lock()
        self._broken = False

    def cut(self) -> None:
        """Ends every stream, and lets no new one begin."""
        with self._lock:
            self._broken = True
            held = set(self._open)
        for loop, ended in held:
            loop.call_soon_threadsafe(ended.set)

    def mend(self) -> None:
        """Lets streams begin again."""
        with self._lock:
            self._broken = False

    def end_streams(self) -> None:
        """As a site is asked at its end."""
        self._app.end_streams()

    async def __call__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Serves one connection."""
        if scope.get("path") != "/events":
            await self._app(scope, receive, send)
            return
        ended = asyncio.Event()
        held = (asyncio.get_running_loop(), ended)
        with self._lock:
            broken = self._broken
            self._open.add(held)
        try:
            if broken:
                await send({"type": "http.response.start", "status": 503, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return
            serving = asyncio.ensure_future(self._app(scope, receive, send))
            cutting = asyncio.ensure_future(ended.wait())
            await asyncio.wait({serving, cutting}, return_when=asyncio.FIRST_COMPLETED)
            for task in (serving, cutting):
                task.cancel()
            await asyncio.gather(serving, cutting, return_exceptions=True)
        finally:
            with self._lock:
                self._open.discard(held)


@pytest.fixture
def hand() -> Hand:
    return Hand()


class Place:
    """A site behind a cable."""

    def __init__(self, terminal: StandIn, hand: Hand) -> None:
        self.cables: list[Cable] = []

        def make(port: int) -> Cable:
            self.cables.append(
                Cable(create_app(terminal, token=TOKEN, port=port, monotonic_ms=hand))
            )
            return self.cables[0]

        self.server = LocalServer(make)

    @property
    def cable(self) -> Cable:
        return self.cables[0]


#: The page waits a second before it tries again; here a twentieth will do.
HASTE = """
const later = window.setTimeout;
window.setTimeout = (work, ms, ...more) => later(work, ms === 1000 ? 50 : ms, ...more);
"""


@pytest.fixture
def place(terminal: StandIn, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr("terminal.web.app.RETRY_MS", 50)
    made = Place(terminal, hand)
    yield made
    made.cable.mend()
    made.server.stop()


@pytest.fixture
def guest(chromium: Browser, place: Place) -> Iterator[Visitor]:
    visitor = Visitor(chromium)
    visitor.expected = ("net::ERR_", "503")
    yield visitor
    visitor.close()
    assert not visitor.complaints


def bring(page: Page, terminal: StandIn, hand: Hand, name: str) -> str:
    """Brings the kiosk to a state; its large words."""
    terminal.everywhere(practice=False, demo=False, unshown=None, closed_code="", nearby=())
    terminal.plug(KIOSK)
    terminal.network(on=True)
    terminal.dismiss(KIOSK)
    if page.get_attribute("body", "data-state") in ("recorded", "unrecorded"):
        terminal.insert(KIOSK, "good")
        page.wait_for_selector("body[data-state=approve]")
        terminal.dismiss(KIOSK)
    page.wait_for_selector("body[data-state=idle]")
    go, state = test_kiosk_page.STATES[name]
    go(terminal)
    if state == "reading":
        # Shown once it has lasted since the page's server saw the card, whenever that is.
        while page.get_attribute("body", "data-state") != state:
            hand.ms += 300
            terminal.change(KIOSK)
            page.wait_for_timeout(20)
    page.wait_for_selector(f"body[data-state={state}]")
    view = terminal.snapshot_view(KIOSK)
    if state == "idle" and view.tiles:  # the state alone does not tell that they have come
        page.wait_for_selector("#rechoose" if view.offer else f".tiles-{len(view.tiles)}")
    return page.inner_text("h1")


def test_a_reload_and_a_cut_at_every_state_of_the_kiosk(
    guest: Visitor, place: Place, terminal: StandIn, hand: Hand
) -> None:
    page = guest.open(f"{place.server.origin}/kiosk?key={TOKEN}", script=HASTE)
    for name, (_, state) in test_kiosk_page.STATES.items():
        words = bring(page, terminal, hand, name)
        page.reload()
        page.wait_for_selector(f"body[data-state={state}][data-turn]")
        assert page.inner_text("h1") == words, name
        place.cable.cut()
        page.wait_for_selector("body[data-state=cut]")
        assert page.is_hidden("#field"), f"{name}: an old result must not greet the next person"
        assert "已确认的" in page.inner_text("#cut"), f"{name}: it says what is kept"
        place.cable.mend()
        page.wait_for_selector(f"body[data-state={state}]")
        assert page.is_hidden("#cut")
        assert page.inner_text("h1") == words, name


def test_a_crash_of_the_browser_loses_nothing(
    guest: Visitor, place: Place, terminal: StandIn, hand: Hand
) -> None:
    url = f"{place.server.origin}/kiosk?key={TOKEN}"
    for name in test_kiosk_page.STATES:
        page = guest.open(url)
        words = bring(page, terminal, hand, name)
        signed = terminal.totals(KIOSK).redeemed
        with pytest.raises(Error):
            page.goto("chrome://crash", timeout=CRASH_MS)
        again = guest.open(url)
        again.wait_for_selector(f"body[data-state={test_kiosk_page.STATES[name][1]}]")
        assert again.inner_text("h1") == words, name
        assert terminal.totals(KIOSK).redeemed == signed
        again.close()


@pytest.mark.parametrize("name", COUNTER_STATES)
def test_a_reload_and_a_cut_at_the_counter(
    guest: Visitor, place: Place, terminal: StandIn, name: str
) -> None:
    page = guest.open(f"{place.server.origin}/counter?key={TOKEN}", script=HASTE)
    test_counter_page.arrive(page, terminal, name)
    there = test_counter_page.STATES[name][1]
    work = page.inner_text("#work").split("\n")[:3]
    page.reload()
    page.wait_for_selector(there)
    assert page.inner_text("#work").split("\n")[:3] == work
    place.cable.cut()
    page.wait_for_selector("#reconnecting:not([hidden])")
    assert "已确认的" in page.inner_text("#reconnecting")
    place.cable.mend()
    page.wait_for_selector("#reconnecting[hidden]", state="attached")
    until(page, f"!!document.querySelector({there!r})")
    assert page.inner_text("#work").split("\n")[:3] == work
