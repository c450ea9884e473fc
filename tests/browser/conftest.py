"""A real Chromium before real pages, with eyes for what must never happen.

Set ``REDCARD_PICTURES`` to a folder to keep the screenshots that the documentation uses.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from screens.serving import LocalServer
from terminal.web.app import create_app
from tests.terminal.web.stand_in import StandIn, monotonic_ms

TOKEN = "b" * 43
FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
    "--force-color-profile=srgb",
)
LOCALES = {"zh": "zh-CN", "en": "en-GB"}


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def terminal() -> StandIn:
    return StandIn()


@pytest.fixture
def site(terminal: StandIn) -> Iterator[LocalServer]:
    server = LocalServer(
        lambda port: create_app(terminal, token=TOKEN, port=port, monotonic_ms=monotonic_ms)
    )
    yield server
    server.stop()


class Visitor:
    """Opens pages in one browser and keeps a record of what went wrong in them."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[Any] = []
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.expected: tuple[str, ...] = ()

    def open(
        self,
        url: str,
        language: str = "zh",
        size: tuple[int, int] = (1280, 800),
        *,
        reduced_motion: bool = False,
        script: str = "",
    ) -> Page:
        """A page in a fresh context; ``script`` runs before the page's own."""
        context = self._browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            locale=LOCALES[language],
            reduced_motion="reduce" if reduced_motion else "no-preference",
        )
        self._contexts.append(context)
        context.set_default_timeout(8_000)
        page = context.new_page()
        if script:
            page.add_init_script(script)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(url)
        return page

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not any(word in text for word in self.expected):
            self.complaints.append(f"{kind}: {text}")

    def close(self) -> None:
        """Closes all pages."""
        for context in self._contexts:
            context.close()


@pytest.fixture
def visitor(chromium: Browser, site: LocalServer) -> Iterator[Visitor]:
    visitor = Visitor(chromium)
    yield visitor
    visitor.close()
    assert not visitor.complaints
    outside = [url for url in visitor.requests if not url.startswith("http://127.0.0.1:")]
    assert not outside, "a page asked for something outside this machine"


class Album:
    """Keeps screenshots when a folder was named for them; taking them costs a test its speed."""

    def __init__(self, folder: str | None) -> None:
        self._folder = Path(folder) if folder else None
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)

    def take(self, page: Page, name: str) -> None:
        """One picture of what the window shows."""
        if self._folder is not None:
            page.screenshot(path=self._folder / f"{name}.png")


@pytest.fixture(scope="session")
def album() -> Album:
    """Where pictures go: the folder in ``REDCARD_PICTURES``, or nowhere."""
    return Album(os.environ.get("REDCARD_PICTURES"))
