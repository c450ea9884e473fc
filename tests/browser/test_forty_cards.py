"""A representative with forty cards, served by the keyboard alone, over a real terminal.

The browser, the page, the rules, the ledger on disk and the virtual red cards are all real; the
test is the hand that lays down cards and presses keys.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from ledger.rules.terms import CardStatus
from readers.virtual.authority import TestCa
from screens.serving import LocalServer
from terminal.web.api import api_routes
from terminal.web.app import create_app
from tests.browser.conftest import TOKEN, Album, Visitor
from tests.terminal.rig import Rig
from tests.terminal.test_collection import AGENT, lease, opened, with_proxies
from tests.terminal.web.stand_in import monotonic_ms

pytestmark = pytest.mark.browser

CARDS = 40
#: The figure to reach for the whole visit, from the representative's card to the recorded list.
SECONDS_MAX = 120


@pytest.fixture
def rig(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    world = TestCa.in_folder(tmp_path_factory.mktemp("browser-ca"))
    made = with_proxies(Rig(tmp_path / "home", world))
    lease(made, 60)
    yield made
    made.close()


@pytest.fixture
def counter(rig: Rig, chromium: Browser) -> Iterator[Page]:
    service = rig.service
    server = LocalServer(
        lambda port: create_app(
            service, token=TOKEN, port=port, monotonic_ms=monotonic_ms, api=api_routes(service)
        )
    )
    visitor = Visitor(chromium)
    try:
        yield visitor.open(f"{server.origin}/counter?key={TOKEN}")
        assert not visitor.complaints
    finally:
        visitor.close()
        server.stop()


def test_forty_cards_by_keyboard_alone_in_one_commit(rig: Rig, counter: Page, album: Album) -> None:
    colleagues = [rig.member(serial) for serial in range(1, CARDS)]
    colleagues.append(rig.member(CARDS, CardStatus.BLOCKED))
    began = time.monotonic()
    rig.lay(rig.member(AGENT))
    counter.keyboard.press("F4")
    pack = counter.locator("#collect-pack kbd")
    pack.wait_for()
    counter.keyboard.press(pack.inner_text())
    counter.locator(".tally-good").wait_for()
    rig.readers["counter"].remove()
    for number, card in enumerate(colleagues, 1):
        rig.readers["counter"].insert(card)
        counter.locator(".cards .no", has_text=re.compile(rf"^{number}$")).wait_for()
        rig.readers["counter"].remove()
    album.take(counter, "counter-collect-zh-1280")
    before = rig.service.status().size
    counter.keyboard.press("Enter")
    counter.locator(".cards .word >> text=已发").first.wait_for()
    took = time.monotonic() - began
    assert took < SECONDS_MAX
    done = opened(rig)
    assert (done.state, done.takable, done.refused) == ("done", CARDS - 1, 1)
    assert done.checkpoint_size == before + CARDS
    kinds = [entry["kind"] for entry in rig.entries()[before:]]
    assert kinds == ["redeem"] * (CARDS - 1) + ["decline"]
