"""What a careful eye checks on a page, as one script, so that every state is looked at whole."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

_AXE = Path(__file__).parent / "vendor" / "axe.min.js"

#: Every visible text with its size, every target with its box, everything that is cut off.
_LOOK = """
() => {
  const visible = (e) => {
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    return box.width > 1 && box.height > 1
      && style.visibility !== 'hidden' && style.display !== 'none';
  };
  const texts = [], cut = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode, host = node.parentElement;
    if (!node.textContent.trim() || !visible(host)) continue;
    if (host.closest('.visually-hidden, script, style')) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const scrolls = host.closest('#work, #member, #side, .box, .outcome');
    for (const box of range.getClientRects()) {
      const out = box.left < -0.5 || box.right > innerWidth + 0.5
        || (!scrolls && (box.top < -0.5 || box.bottom > innerHeight + 0.5));
      if (out && !host.closest('.ribbon')) cut.push(node.textContent.trim().slice(0, 40));
    }
    const clip = host.closest('#field, .result');
    if (clip && clip.scrollHeight > clip.clientHeight + 1) cut.push('too high: ' + clip.id);
    texts.push({
      text: node.textContent.trim().slice(0, 40),
      px: parseFloat(getComputedStyle(host).fontSize),
      tag: host.tagName.toLowerCase(),
      needed: !!host.closest('.big, .small, .band, #foot, .venue'),
    });
  }
  const all = [...document.querySelectorAll('button, input, a[href]')];
  const targets = all.filter(visible).map((e) => {
    const box = e.getBoundingClientRect();
    return { name: e.textContent.trim() || e.id, width: box.width, height: box.height };
  });
  const page = document.documentElement;
  return {
    texts, targets, cut,
    sideways: page.scrollWidth > innerWidth + 1 || document.body.scrollWidth > innerWidth + 1,
    downwards: page.scrollHeight > innerHeight + 1,
    tofu: /\\ufffd|None|undefined|NaN|%\\(|\\{\\w+\\}/.test(document.body.innerText),
  };
}
"""

_RUN_AXE = """
async () => {
  const answer = await axe.run(document, { resultTypes: ['violations'] });
  const where = (one) => one.nodes.map((node) => node.target).join(' ');
  return answer.violations.map((one) => `${one.id}: ${one.help} ${where(one)}`);
}
"""


@dataclass(frozen=True)
class Sight:
    """What one look found."""

    texts: list[dict[str, Any]]
    targets: list[dict[str, Any]]
    cut: list[str]
    sideways: bool
    downwards: bool
    tofu: bool

    def smallest(self, *, needed: bool = False) -> tuple[float, str]:
        """The smallest text with its size in CSS pixels."""
        chosen = [one for one in self.texts if one["needed"] or not needed]
        return min((one["px"], one["text"]) for one in chosen)


def look(page: Page) -> Sight:
    """Looks at the whole page once."""
    return Sight(**page.evaluate(_LOOK))


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong with the page."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_axe_source())
    found = page.evaluate(_RUN_AXE)
    return [str(one) for one in found]


@cache
def _axe_source() -> str:
    return _AXE.read_text("utf-8")


def until(page: Page, condition: str, seconds: float = 8.0) -> None:
    """Waits for a JavaScript condition; the page's own policy forbids the usual way by eval."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"never: {condition}"
        page.wait_for_timeout(20)


def settle(page: Page) -> None:
    """Waits until what is on its way has been painted, and brings its motion to its end."""
    page.evaluate(
        """async () => {
          await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
          const ends = (one) => one.effect.getComputedTiming().iterations !== Infinity;
          const motion = document.getAnimations().filter(ends);
          for (const one of motion) one.finish();
          await Promise.all(motion.map((one) => one.finished.catch(() => {})));
        }"""
    )
