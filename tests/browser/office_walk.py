"""A walk over every page of the back office that has an address, with a careful eye."""

from __future__ import annotations

from playwright.sync_api import Browser

from server.pages.cases import link_of
from server.roles import CONSOLE_ACTOR as CONSOLE
from tests.browser.conftest import Album
from tests.browser.looking import settle
from tests.browser.office_eyes import DESK, LAPTOP, NARROW, visit
from tests.browser.office_world import OfficeSite

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
#: Of each kind of page one, at which axe looks at every size.
AT_EVERY_SIZE = {"/", "/offers/new?copy=BJ-T-005", "/stock/XC-L-009", "/terminals"}


def pages_of(site: OfficeSite) -> list[str]:
    """Every page and state that can be opened by its address."""

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


def walk(chromium: Browser, site: OfficeSite, album: Album, language: str) -> None:
    """Opens every page in a language at two sizes and finds nothing wrong with any."""
    window = visit(chromium, site, size=LAPTOP, language=language)
    wrong: dict[str, list[str]] = {}
    for path in pages_of(site):
        found = window.see(path, language)
        name = PICTURES.get(path)
        if name:
            settle(window.page)
            album.take(window.page, f"office-{name}-{language}-1280")
        looked_into = path in AT_EVERY_SIZE
        for size in (DESK, NARROW) if looked_into or language == "en" else (DESK,):
            window.resize(size)
            found += window.wrong(axe=looked_into)
        window.resize(LAPTOP)
        if found:
            wrong[path] = found
    window.close()
    assert wrong == {}
    outside = [url for url in window.requests if not url.startswith(site.url + "/")]
    assert not outside
