"""What a careful eye checks on a page of the back office."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, Page

from tests.browser.conftest import LOCALES
from tests.browser.looking import violations
from tests.browser.office_world import OfficeSite

LAPTOP, DESK, NARROW = (1280, 800), (1920, 1080), (640, 1000)
TEXT_PX_MIN = 14

_LOOK = """
() => {
  const seen = (e) => {
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    return box.width > 1 && box.height > 1 && style.visibility !== 'hidden';
  };
  const wrong = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode, host = node.parentElement;
    const text = node.textContent.trim();
    if (!text || !seen(host) || host.closest('script, style, title, desc, .skip')) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    let px = parseFloat(getComputedStyle(host).fontSize);
    const svg = host.closest('svg');
    if (svg) px *= svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    if (px < LEAST - 0.1) wrong.push(`small ${px.toFixed(1)}: ${text.slice(0, 30)}`);
    if (!host.closest('.scroll, .chart') && (box.left < -1 || box.right > innerWidth + 1))
      wrong.push(`cut: ${text.slice(0, 30)}`);
    if (/\\ufffd|\\bNone\\b|undefined|NaN|%\\(|\\{\\w+\\}|Undefined/.test(text))
      wrong.push(`raw: ${text.slice(0, 40)}`);
    if (/^(area|right|fact|field|kind|decision|act|line|dispute|role|figure)_/.test(text))
      wrong.push(`word missing: ${text}`);
  }
  const page = document.documentElement;
  if (page.scrollWidth > innerWidth + 1) wrong.push(`sideways ${page.scrollWidth}`);
  for (const box of document.querySelectorAll('.scroll'))
    if (innerWidth >= 1280 && box.scrollWidth > box.clientWidth + 1)
      wrong.push(`table too wide: ${box.getAttribute('aria-label')} ${box.scrollWidth}`);
  for (const cell of document.querySelectorAll('.chart text')) {
    const box = cell.getBBox(), view = cell.closest('svg').viewBox.baseVal;
    if (box.x < -1 || box.x + box.width > view.width + 1)
      wrong.push(`chart cut: ${cell.textContent}`);
  }
  for (const one of document.querySelectorAll('button, .button, input:not([type=hidden]), select'))
    if (seen(one) && one.getBoundingClientRect().height < 20) wrong.push(`low: ${one.name}`);
  return wrong;
}
""".replace("LEAST", str(TEXT_PX_MIN))


#: Menus, filters and forms are not for paper; nothing may stand beside it.
_ON_PAPER = """
() => {
  const wrong = [...document.querySelectorAll('.side, .filters, form, .skip, .no-print')]
    .filter((e) => e.checkVisibility()).map((e) => `printed: ${e.className || e.tagName}`);
  if (document.documentElement.scrollWidth > innerWidth + 1) wrong.push('wider than the paper');
  if (!document.querySelector('h1').checkVisibility()) wrong.push('no heading');
  return wrong;
}
"""

#: Notes where the focus comes, and returns how often Tab must be pressed: a field of a date or a
#: time has a stop for each of its parts.
_WATCH_FOCUS = """
() => {
  window.focused = []; window.unseen = [];
  document.addEventListener('focusin', (event) => {
    focused.push(event.target);
    const style = getComputedStyle(event.target);
    if (style.outlineStyle === 'none') unseen.push(event.target.outerHTML.slice(0, 60));
  });
  const kinds = 'a[href], button, input:not([type=hidden]), select, textarea, summary, '
    + '[tabindex="0"]';
  window.stops = [...document.querySelectorAll(kinds)]
    .filter((e) => e.tabIndex >= 0 && !e.disabled && e.checkVisibility());
  const parts = { date: 4, time: 4, 'datetime-local': 7 };
  const start = stops.indexOf(document.activeElement);  // where a page puts the focus itself
  return stops.slice(start + 1).reduce((all, one) => all + (parts[one.type] ?? 1), 0);
}
"""
_HOW_IT_WENT = """
() => {
  const wrong = unseen.map((one) => `focus not seen: ${one}`);
  // A press too many begins again at the top.
  const again = focused.findIndex((one, i) => i && stops.indexOf(one) === 0);
  if (again > 0) focused.length = again;
  const missed = stops.slice(stops.indexOf(focused[0])).filter((one) => !focused.includes(one));
  wrong.push(...missed.map((one) => `not reached: ${one.outerHTML.slice(0, 60)}`));
  const order = focused.map((one) => stops.indexOf(one));
  if (order.some((at, i) => i && at < order[i - 1])) wrong.push('the order jumps back');
  return wrong;
}
"""


@dataclass
class Visitor:
    """One person at one browser window, with a record of what went wrong in it."""

    page: Page
    site: OfficeSite
    complaints: list[str]
    requests: list[str]

    def see(self, path: str, language: str, *, axe: bool = True) -> list[str]:
        """Opens a page; returns all that is wrong with it."""
        mark = "&" if "?" in path else "?"
        answer = self.page.goto(f"{self.site.url}{path}{mark}lang={language}")
        assert answer is not None
        assert answer.status == 200, (path, answer.status)
        return self.wrong(axe=axe)

    def wrong(self, *, axe: bool = True) -> list[str]:
        """What is wrong with the page as it stands."""
        found: list[str] = self.page.evaluate(_LOOK)
        found += violations(self.page) if axe else []
        found += self.complaints
        self.complaints.clear()
        return found

    def paper(self) -> list[str]:
        """What is wrong with the page as it stands when it is printed on A4, within its margins."""
        self.page.emulate_media(media="print")
        self.resize((688, 980))
        shown = self.page.evaluate(_ON_PAPER)
        self.page.emulate_media(media="screen")
        self.resize(LAPTOP)
        return [str(one) for one in shown]

    def tab_through(self) -> list[str]:
        """Goes through the page by the Tab key alone; returns what is wrong with the way."""
        stops: int = self.page.evaluate(_WATCH_FOCUS)
        for _ in range(stops):
            self.page.keyboard.press("Tab")
        return [str(one) for one in self.page.evaluate(_HOW_IT_WENT)]

    def resize(self, size: tuple[int, int]) -> None:
        """Makes the window as large as another screen."""
        self.page.set_viewport_size({"width": size[0], "height": size[1]})

    def close(self) -> None:
        """Closes the window."""
        self.page.context.close()


def visit(
    browser: Browser,
    site: OfficeSite,
    *,
    person: str = "demo",
    size: tuple[int, int] = LAPTOP,
    language: str = "zh",
    scripts: bool = True,
) -> Visitor:
    """A window of somebody who is signed in; nobody if ``person`` is empty."""
    context: Any = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale=LOCALES[language],
        java_script_enabled=scripts,
    )
    context.set_default_timeout(8_000)
    if person:
        context.add_cookies(
            [{"name": "redcard-session", "value": site.session(person), "url": site.url}]
        )
    page = context.new_page()
    visitor = Visitor(page, site, [], [])
    page.on("pageerror", lambda error: visitor.complaints.append(f"error: {error}"))
    page.on(
        "console",
        lambda said: (
            visitor.complaints.append(f"{said.type}: {said.text}")
            if said.type in ("error", "warning")
            else None
        ),
    )
    page.on("request", lambda asked: visitor.requests.append(asked.url))
    return visitor
