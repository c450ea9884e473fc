"""The first two minutes: the real demo, server, terminal and cards, in a real browser."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from tests.browser.conftest import Album, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.timeout(420)]
START_TIMEOUT_S = 120


class RunningDemo:
    """``redcard demo`` as a process, until Ctrl-C."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._said = (place.parent / "said.json").open("w+")
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "redcard", "demo", "--json", "--in-process"),
                *("--port", "0", "--dir", str(place)),
            ],
            stdout=self._said,
            stderr=subprocess.STDOUT,
        )
        self.page = self._wait_for_address()

    def _wait_for_address(self) -> str:
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end and self._process.poll() is None:
            text = Path(self._said.name).read_text()
            if "{" in text and text.rstrip().endswith("}"):
                return str(json.loads(text[text.index("{") :])["page"])
            time.sleep(0.1)
        raise AssertionError(Path(self._said.name).read_text())

    def stop(self) -> int:
        self._process.send_signal(signal.SIGINT)
        code = self._process.wait(30)
        self._said.close()
        return code


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[RunningDemo]:
    running = RunningDemo(tmp_path / "demo")
    try:
        yield running
    finally:
        code = running.stop()
        shutil.rmtree(running.place, ignore_errors=True)
    assert code == 0


def tap(page: Page, card: str, slot: str) -> None:
    page.click(f"button[data-card={card}][data-slot={slot}]")


def numbers(page: Page, signed: int, confirmed: int) -> None:
    pair = page.locator("#numbers .pair b")
    expect(pair.nth(0)).to_have_text(str(signed), timeout=60_000)
    expect(pair.nth(1)).to_have_text(str(confirmed), timeout=60_000)


def frames(page: Page) -> tuple[FrameLocator, FrameLocator]:
    return page.frame_locator(".kiosk-frame iframe"), page.frame_locator(".counter-frame iframe")


def test_the_first_two_minutes(demo: RunningDemo, visitor: Visitor, album: Album) -> None:
    # The power is cut on purpose: streams break, and the pages come back by themselves.
    visitor.expected = ("ERR_CONNECTION", "ERR_INCOMPLETE", "ERR_EMPTY", "EventSource")
    page = visitor.open(demo.page, "zh", (1600, 1000))
    kiosk, counter = frames(page)
    expect(kiosk.get_by_text("请刷卡").first).to_be_visible(timeout=20_000)
    numbers(page, 0, 0)

    tap(page, "good-1", "kiosk")
    expect(kiosk.get_by_text("请进").first).to_be_visible(timeout=10_000)
    numbers(page, 1, 1)
    page.wait_for_timeout(2_500)
    tap(page, "good-1", "kiosk")
    expect(kiosk.get_by_text("已登记，请直接入馆").first).to_be_visible(timeout=10_000)
    tap(page, "forged", "kiosk")
    expect(kiosk.get_by_text("无法识别此卡").first).to_be_visible(timeout=10_000)
    numbers(page, 1, 1)

    tap(page, "good-1", "counter")
    expect(counter.get_by_text("端午优惠券套包").first).to_be_visible(timeout=10_000)
    expect(counter.get_by_text("214").first).to_be_visible()
    counter.locator("body").press("1")
    page.wait_for_timeout(300)
    album.take(page, "demo")
    counter.locator("body").press("Enter")
    numbers(page, 2, 2)

    page.click("#network")
    expect(page.locator("#network")).to_have_attribute("aria-checked", "false", timeout=15_000)
    page.click("button[data-act=tap-five]")
    numbers(page, 7, 2)
    album.take(page, "demo-offline")

    page.click("#power")
    expect(page.locator("#power")).to_have_attribute("aria-checked", "true", timeout=60_000)
    numbers(page, 8, 2)
    expect(kiosk.get_by_text("已登记").first).to_be_visible(timeout=20_000)

    page.click("#network")
    numbers(page, 8, 8)
    page.click("#tamper")
    expect(page.locator("#outcome .verdict.bad")).to_be_visible(timeout=20_000)
    expect(page.locator("#outcome .verdict.good")).to_be_visible()
    page.click("button[data-act=close]")
    page.click("#report")
    expect(page.locator("#outcome .verdict.good")).to_contain_text("登记 8 笔", timeout=20_000)
    expect(page.locator("#outcome .verdict.good")).to_contain_text("丢失 0 笔")
    album.take(page, "demo-report")

    # One click to the back office, without a password: the demo's own door.
    with page.expect_popup() as opened:
        page.click("a:has-text('管理后台')")
    office = opened.value
    expect(office.locator("h1")).to_have_text("总览", timeout=20_000)
    expect(office.get_by_text("孔庙和国子监博物馆").first).to_be_visible()
    assert "key=" not in office.url
    album.take(office, "demo-office")
