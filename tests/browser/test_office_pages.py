"""Every page of the back office in a real browser: Chinese, roles, paper, keyboard, no scripts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import Album
from tests.browser.office_eyes import visit
from tests.browser.office_walk import walk
from tests.browser.office_world import UNUSED, OfficeSite, office
from tests.screens.colour import VISIONS, distance

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OfficeSite]:
    with office(tmp_path_factory.mktemp("office") / "server") as running:
        yield running


def test_every_page_is_sound_in_chinese(chromium: Browser, site: OfficeSite, album: Album) -> None:
    walk(chromium, site, album, "zh")


@pytest.mark.parametrize("person", ["xicheng", "desheng", "audit", "hotline", "hospital"])
def test_each_role_sees_sound_pages_of_its_own(
    chromium: Browser, site: OfficeSite, person: str
) -> None:
    window = visit(chromium, site, person=person)
    window.page.goto(site.url)
    links = window.page.eval_on_selector_all("nav a", "all => all.map(a => a.pathname)")
    assert links
    wrong = {path: found for path in links if (found := window.see(path, "zh", axe=False))}
    window.close()
    assert not wrong


def test_without_scripts_every_page_and_form_works(chromium: Browser, site: OfficeSite) -> None:
    window = visit(chromium, site, scripts=False, language="en")
    page = window.page
    for path in ("/", "/terminals", "/reports", "/stock"):
        page.goto(f"{site.url}{path}?lang=en")
        assert page.locator("h1").count() == 1
    page.goto(f"{site.url}/terminals?lang=en")
    page.click(".tile.stop >> nth=0")
    assert page.locator(".tile[aria-current]").count() == 1
    page.fill("[name=q]", "changping")
    page.click("text=Filter")
    assert page.locator("tbody tr").count() == 1
    page.goto(f"{site.url}/hotline?lang=en")
    page.fill("#q", "museum")
    page.press("#q", "Enter")
    assert "at this moment" in page.inner_text(".say >> nth=0")
    window.close()


def test_every_page_of_the_menu_is_reached_whole_by_keyboard(
    chromium: Browser, site: OfficeSite
) -> None:
    window = visit(chromium, site, language="en")
    window.page.goto(site.url)
    paths = window.page.eval_on_selector_all("nav a", "all => all.map(a => a.pathname)")
    wrong = {}
    for path in [*paths, "/offers/new?copy=BJ-T-005", "/stock/XC-L-009", "/people/chen"]:
        window.page.goto(f"{site.url}{path}")
        found = window.tab_through()
        if found:
            wrong[path] = found
    window.close()
    assert not wrong


def test_a_page_is_walked_by_keyboard(chromium: Browser, site: OfficeSite) -> None:
    window = visit(chromium, site, language="en")
    page = window.page
    page.goto(f"{site.url}/terminals?lang=en")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "button"
    page.keyboard.press("Tab")
    assert "tile" in page.evaluate("document.activeElement.className")
    ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert ring == "solid"
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.outerHTML.slice(0, 120)"))
    assert any('name="q"' in one for one in seen)
    assert len(seen) > 30
    window.close()


def test_the_report_is_made_for_paper(chromium: Browser, site: OfficeSite, album: Album) -> None:
    window = visit(chromium, site)
    page = window.page
    page.goto(f"{site.url}/reports?lang=zh")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 688, "height": 980})  # A4 within its margins
    hidden = "e => getComputedStyle(e).display === 'none'"
    assert page.eval_on_selector(".side", hidden)
    assert page.eval_on_selector(".filters", hidden)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
    album.take(page, "office-report-print-zh")
    page.goto(f"{site.url}/?lang=zh")
    seen = "e => e.checkVisibility({contentVisibilityAuto: true})"
    assert page.eval_on_selector(".chart:not(.half) details td", seen), "a curve has its numbers"
    page.emulate_media(media="screen")
    for path in ("/settlement/1", "/reports/year", "/stock/XC-L-009"):
        page.goto(f"{site.url}{path}?lang=zh")
        assert window.paper() == [], path
    window.close()


def test_a_tile_is_told_by_more_than_its_colour(chromium: Browser, site: OfficeSite) -> None:
    window = visit(chromium, site)
    page = window.page
    page.goto(f"{site.url}/terminals?lang=zh")
    told = "e => [e.offsetWidth, e.offsetHeight, e.querySelectorAll('svg').length, e.innerText]"
    boxes = page.eval_on_selector_all(".tile", f"all => all.map({told})")
    assert len(boxes) == 16
    assert len({(width, height) for width, height, _, _ in boxes}) == 1
    assert all(shapes == 1 and len(text.split()) >= 3 for _, _, shapes, text in boxes)
    read = """tone => {
      const tile = document.querySelector('.tile'), held = tile.className;
      tile.className = `tile ${tone}`;
      const style = getComputedStyle(tile);
      const own = style.backgroundColor === getComputedStyle(document.querySelector('.side'))
        .backgroundColor ? style.borderTopColor : style.backgroundColor;
      tile.className = held;
      const hex = (n) => (+n).toString(16).padStart(2, '0');
      return '#' + own.match(/[0-9]+/g).slice(0, 3).map(hex).join('');
    }"""
    fields = {tone: page.evaluate(read, tone) for tone in ("good", "wait", "stop")}
    for vision in VISIONS:
        for one, other in combinations(fields, 2):
            assert distance(fields[one], fields[other], vision) >= 30, (one, other, vision)
    assert UNUSED not in page.inner_text("main")
    window.close()
