"""Every page of the back office in a real browser, in both languages and at two sizes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from server.roles import CONSOLE_ACTOR as CONSOLE
from tests.browser.conftest import Album
from tests.browser.looking import settle
from tests.browser.office_eyes import DESK, LAPTOP, visit
from tests.browser.office_world import UNUSED, OfficeSite, office

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

#: Pages that stand in the documentation: name of the picture, and its height where it is cut.
PICTURES = {
    "/": "overview",
    "/offers": "offers",
    "/offers/offer/XC-L-009/try": "dry-run",
    "/stock": "stock",
    "/terminals": "terminals",
    "/reports": "report",
    "/cases": "cases",
    "/settlement": "settlement",
    "/people": "people",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OfficeSite]:
    with office(tmp_path_factory.mktemp("office") / "server") as running:
        yield running


def pages_of(site: OfficeSite) -> list[str]:
    """Every page and state that can be opened by its address."""
    from server.pages.cases import link_of

    async def found(core: object) -> tuple[list[str], list[int], list[str]]:
        cases = await site.core.case_desk.all(CONSOLE)
        statements = await site.core.statements.all(CONSOLE)
        entries = await site.core.statements.entries(CONSOLE, statements[0].id)
        kinds = {one.kind: link_of(one.key) for one in cases}
        return list(kinds.values()), [one.id for one in statements], [entries[0].position]

    cases, statements, positions = site.ask(found)
    museum = site.terminals["museum-1"].ledger
    lost = site.terminals["changping-1"].ledger
    return [
        *("/", "/offers", "/offers?state=ended&q=zzz", "/offers/drafts", "/offers/new"),
        *("/offers/new?copy=BJ-T-005", "/offers/offer/BJ-T-005", "/offers/offer/XC-L-009"),
        *("/offers/offer/XC-L-009/try", "/offers/offer/BJ-M-025/try"),
        *("/offers/drafts/1", "/offers/drafts/2", "/offers/drafts/3", "/offers/drafts/2?edit=1"),
        *("/stock", "/stock?all=1", "/stock/XC-L-009", "/stock/BJ-T-005", "/hotline"),
        *("/terminals", "/terminals?district=110102", "/terminals?q=zzz"),
        *(f"/terminals/{museum}", f"/terminals/{lost}"),
        *("/cases", "/cases?state=closed", *cases),
        *("/reports", "/reports?month=2014-04", "/reports/year", "/reports/year?year=2013"),
        *("/settlement", "/settlement?month=2013-01"),
        *(f"/settlement/{number}" for number in statements[:2]),
        *(f"/settlement/entries/{position}" for position in positions),
        *("/members", "/terminals/enrol"),
        *("/people", "/people/chen", "/people/demo", "/audit", "/audit?act=draft."),
        *("/sign-in/password",),
    ]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_is_sound(
    chromium: Browser, site: OfficeSite, album: Album, language: str
) -> None:
    laptop = visit(chromium, site, size=LAPTOP, language=language)
    desk = visit(chromium, site, size=DESK, language=language)
    wrong: dict[str, list[str]] = {}
    for path in pages_of(site):
        found = laptop.see(path, language) + desk.see(path, language, axe=False)
        if found:
            wrong[path] = found
        name = PICTURES.get(path)
        if name:
            settle(laptop.page)
            album.take(laptop.page, f"office-{name}-{language}-1280")
    laptop.close()
    desk.close()
    assert not wrong
    outside = [url for url in laptop.requests + desk.requests if not url.startswith(site.url + "/")]
    assert not outside


@pytest.mark.parametrize("person", ["xicheng", "desheng", "audit", "hotline", "hospital"])
def test_each_role_sees_sound_pages_of_its_own(
    chromium: Browser, site: OfficeSite, person: str
) -> None:
    window = visit(chromium, site, person=person)
    window.page.goto(site.url)
    links = window.page.eval_on_selector_all("nav a", "all => all.map(a => a.pathname)")
    assert links
    wrong = {path: found for path in links if (found := window.see(path, "zh"))}
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


def test_a_page_is_walked_by_keyboard(chromium: Browser, site: OfficeSite) -> None:
    window = visit(chromium, site, language="en")
    page = window.page
    page.goto(f"{site.url}/terminals?lang=en")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
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
    assert UNUSED not in page.inner_text("main")
    window.close()
