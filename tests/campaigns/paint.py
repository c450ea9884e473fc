"""The campaign ``paint``: how fast, how light and how steady the kiosk's page is.

A service with the city's cards runs in a process of its own; a real Chromium shows its page. The
control is a page that keeps every picture it has shown: its heap must be seen to grow.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from readers.virtual.vpcd import pcscd_available
from tests.campaigns.kiosk_weight import TAPS, Kiosk, city_kiosk, taps
from tests.campaigns.report import Budget, Report

PAINT_P95_MS: Final = 30.0
RESIDENT_MB_MAX: Final = 60.0
HEAP_GROWTH_MB_MAX: Final = 5.0
FIRST_PAGE_KB_MAX: Final = 60.0
CITY_CARDS: Final = 3_555_000
SMALL_CARDS: Final = 2_000
WARM_UP_TAPS: Final = 100
TAPS_AT_ONCE: Final = 50
MEGABYTE: Final = 1_000_000

#: Notes when a message came and when the green of a tap, or an empty page, has been painted.
NOTE_PAINTS: Final = """
window.paints = [];
window.kept = [];
window.heard = [];
window.turns = 0;
const now = () => performance.timeOrigin + performance.now();
window.EventSource = class extends EventSource {
  constructor(url) {
    super(url);
    this.addEventListener('message', () => {
      turns += 1;
      if (heard.length < 1_000) heard.push(now());
    });
  }
};
addEventListener('DOMContentLoaded', () => {
  new MutationObserver(() => {
    if (paints.length > 1_000) return;
    if (!['approve', undefined].includes(document.body.dataset.state)) return;
    // A message sent in a frame arrives once the frame has been painted.
    const painted = new MessageChannel();
    painted.port1.onmessage = () => paints.push(now());
    requestAnimationFrame(() => painted.port2.postMessage(0));
  }).observe(document.body, { attributes: true, attributeFilter: ['data-turn'] });
});
"""
#: The control: a page that never forgets.
KEEP_ALL: Final = """() => new MutationObserver(() => {
  // Beside the nodes something of the script's own: nodes alone hardly count as its heap.
  const field = document.getElementById('field');
  for (let i = 0; i < 40; i++) kept.push([field.cloneNode(true), new Array(1_000).fill(i + 0.5)]);
}).observe(document.getElementById('field'), { childList: true, subtree: true })"""


class Service:
    """The kiosk service in its own process."""

    def __init__(self, folder: Path, cards: int) -> None:
        child = [sys.executable, "-m", "tests.campaigns.paint_child"]
        subprocess.run([*child, "build", str(folder), str(cards)], check=True)
        self.process = subprocess.Popen(
            [*child, "serve", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "MALLOC_ARENA_MAX": "2"},
        )
        self.url = self.line()
        self.floor = self.line()

    def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        text = self.process.stdout.readline()
        assert text, "the kiosk service ended; see its message above"
        return text.strip()

    def ask(self, command: str) -> str:
        """A command and its one line."""
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.line()

    def times(self, command: str) -> list[float]:
        """A command and its times, milliseconds since 1970."""
        found, line = [], self.ask(command)
        while line != "done":
            found.append(float(line))
            line = self.line()
        return found

    def close(self) -> None:
        """Ends it in order; a second call is harmless."""
        if self.process.poll() is not None:
            return
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


def run(budget: Budget) -> Report:
    """``budget.rounds`` taps in one browser page."""
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import FLAGS

    report = Report()
    place = Path(tempfile.mkdtemp(prefix="paint-"))
    executable = shutil.which("chromium")
    if executable is None:
        report.notes.append("no chromium on this machine: apt-get install chromium")
        report.need(False, "no chromium")
        return report
    service = Service(place, SMALL_CARDS if budget.small else CITY_CARDS)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
            page = browser.new_context(locale="zh-CN").new_page()
            _first_page(page, service.url, report)
            _paints(page, service, budget, report)
            _heap(page, service, budget, report)
            service.close()
            _memory(browser, place, budget, report)
            browser.close()
    finally:
        service.close()
        shutil.rmtree(place)
    return report


def _first_page(page: Any, url: str, report: Report) -> None:
    """What the first page costs over the wire, and whom it asks."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    received: list[float] = []
    asked: list[str] = []
    session.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    page.on("request", lambda request: asked.append(request.url))
    page.add_init_script(NOTE_PAINTS)
    page.goto(url)
    page.wait_for_selector("body[data-turn]")
    page.wait_for_timeout(200)
    outside = [one for one in asked if not one.startswith("http://127.0.0.1:")]
    report.figures["first page, kB over the wire"] = round(sum(received) / 1_000, 1)
    report.figures["requests"] = len(asked)
    report.figures["requests outside"] = len(outside)
    report.need(sum(received) / 1_000 <= FIRST_PAGE_KB_MAX, "the first page is too heavy")
    report.need(not outside, f"asked outside: {outside[:3]}")


def _paints(page: Any, service: Service, budget: Budget, report: Report) -> None:
    """From the service's word to the painted green; beside it an empty page's, by turns."""
    taps = 8 if budget.small else 100
    floor = page.context.new_page()
    floor.add_init_script(NOTE_PAINTS)
    waits: dict[str, list[float]] = {"paint": [], "heard": [], "floor": []}
    floor.goto(service.floor)
    for _ in range(2 if budget.small else 4):
        rounds = taps // (2 if budget.small else 4)
        for shown, word in ((floor, "floor"), (page, "watch")):
            shown.bring_to_front()
            said = service.times(f"{word} {rounds}")
            shown.wait_for_timeout(300)
            painted = _after(said, shown.evaluate("paints"))
            waits["floor" if word == "floor" else "paint"] += painted
            if word == "watch":
                waits["heard"] += _after(said, shown.evaluate("heard"))
            shown.evaluate("paints.length = heard.length = 0")
    floor.close()
    report.need(len(waits["paint"]) == taps, f"{len(waits['paint'])} of {taps} greens were painted")
    for name, found in waits.items():
        found.sort()
        if found:
            report.figures[f"{name} p50, ms"] = round(found[len(found) // 2], 1)
            report.figures[f"{name} p95, ms"] = round(found[len(found) * 95 // 100], 1)
    late = report.figures.get("paint p95, ms", 0.0)
    if not budget.small:
        report.need(float(late) <= PAINT_P95_MS, f"a change is painted after {late} ms (p95)")


def _after(said: list[float], seen: list[float]) -> list[float]:
    """How long after each word the next sight of it came."""
    return [
        min(at - told for at in seen if at >= told)
        for told in said
        if any(at >= told for at in seen)
    ]


def _heap(page: Any, service: Service, budget: Budget, report: Report) -> None:
    """What the page's heap gains by many taps; and by few, when it never forgets."""
    warm = 10 if budget.small else WARM_UP_TAPS
    service.ask(f"tap {warm}")
    before, done = _heap_bytes(page), 0
    while budget.more(done):
        service.ask(f"tap {TAPS_AT_ONCE}")
        done += TAPS_AT_ONCE
        if not budget.small:
            page.wait_for_timeout(1)
    growth = (_heap_bytes(page) - before) / MEGABYTE
    report.figures["taps in one page"] = done
    report.figures["of them shown"] = page.evaluate("turns")
    report.figures["heap growth, MB"] = round(growth, 2)
    report.need(growth <= HEAP_GROWTH_MB_MAX, f"the page's heap grew by {growth:.1f} MB")
    page.evaluate(KEEP_ALL)
    before = _heap_bytes(page)
    service.times("watch 12")
    page.wait_for_timeout(300)
    kept = page.evaluate("kept.length")
    report.controls["a page that never forgets"] = kept > 0 and _heap_bytes(page) > before
    page.close()


def _heap_bytes(page: Any) -> float:
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.enable")
    session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    return float(used)


def _memory(browser: Any, place: Path, budget: Budget, report: Report) -> None:
    """What ``redcard kiosk`` itself holds: at start, and after taps with its page open."""
    cards: list[Any] = []
    with ExitStack() as undo:
        if budget.small:
            kiosk = Kiosk(place / "home", {})
            undo.callback(kiosk.close)
            slot = None
        else:
            kiosk, cards, slot = undo.enter_context(city_kiosk(place / "demo", CITY_CARDS))
        page = browser.new_context(locale="zh-CN").new_page()
        page.goto(kiosk.url)
        page.wait_for_selector("body[data-turn]")
        report.figures["redcard kiosk at start, MB"] = round(kiosk.resident() / MEGABYTE, 1)
        if slot is not None:
            seen = taps(page, cards, slot, TAPS)
            report.notes.append(f"taps at the real command: {seen}")
            report.need(seen.get("approve", 0) > 0, f"no card was approved: {seen}")
        elif not budget.small:
            report.notes.append(f"weighed without taps: {pcscd_available()}")
        resident = kiosk.resident() / MEGABYTE
        page.context.close()
    report.figures["redcard kiosk, MB beyond the roster"] = round(resident, 1)
    if not budget.small:
        report.need(resident <= RESIDENT_MB_MAX, f"the kiosk service holds {resident:.1f} MB")
