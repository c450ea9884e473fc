"""What a careful eye checks on a page of the back office."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, Page

from tests.browser.conftest import LOCALES
from tests.browser.looking import violations
from tests.browser.office_world import OfficeSite

LAPTOP, DESK = (1280, 800), (1920, 1080)
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
    if (!host.closest('.scroll') && (box.left < -1 || box.right > innerWidth + 1))
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
