"""A day's work at the back office in a real browser: in, through an offer's review, and a call."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from server.passwords import STEP_S, code_at
from server.roles import CONSOLE_ACTOR as CONSOLE
from tests.browser.conftest import Album
from tests.browser.looking import until
from tests.browser.office_eyes import Visitor, visit
from tests.browser.office_walk import walk
from tests.browser.office_world import OfficeSite, office

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
LONG = "a long enough pass phrase"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OfficeSite]:
    with office(tmp_path_factory.mktemp("office") / "server") as running:
        yield running


def sound(window: Visitor) -> None:
    assert window.wrong() == []


def code_of(page: Page, site: OfficeSite) -> str:
    letters = page.inner_text(".secret").replace(" ", "")
    secret = base64.b32decode(letters + "=" * (-len(letters) % 8))
    return code_at(secret, site.time() // 1000 // STEP_S)


def test_every_page_is_sound_in_english(chromium: Browser, site: OfficeSite, album: Album) -> None:
    walk(chromium, site, album, "en")


def test_a_new_person_signs_in(chromium: Browser, site: OfficeSite, album: Album) -> None:
    made = site.ask(
        lambda core: core.people.add(CONSOLE, "newly", name="马骏", role="auditor", scope="")
    )
    window = visit(chromium, site, person="")
    page = window.page
    page.goto(f"{site.url}/audit?lang=zh")
    album.take(page, "office-sign-in-zh-1280")
    sound(window)
    page.fill("#person", "newly")
    page.fill("#password", "wrong")
    page.press("#password", "Enter")
    assert "登录名或密码不正确" in page.inner_text("[role=alert]")
    window.complaints.clear()  # the browser notes the 403
    sound(window)
    page.fill("#person", "newly")
    page.fill("#password", made.password)
    page.click("button")
    page.wait_for_url("**/sign-in/set-up**")
    sound(window)
    album.take(page, "office-second-factor-zh-1280")
    page.fill("#code", code_of(page, site))
    page.click("button")
    page.wait_for_url("**/sign-in/password**")
    page.fill("#old", made.password)
    page.fill("#new", LONG)
    page.fill("#again", LONG)
    page.click("button")
    page.wait_for_url("**/audit**")
    assert "密码已修改" in page.inner_text(".said")
    sound(window)
    cookies = page.context.cookies()
    session = next(one for one in cookies if one["name"] == "redcard-session")
    assert session["httpOnly"]
    assert session["sameSite"] == "Strict"
    page.click("text=退出登录")
    page.wait_for_url("**/sign-in**")
    page.goto(f"{site.url}/audit")
    assert "/sign-in" in page.url
    window.close()


def test_an_offer_goes_from_draft_to_publication(
    chromium: Browser, site: OfficeSite, album: Album
) -> None:
    author = visit(chromium, site, person="demo")
    page = author.page
    page.goto(f"{site.url}/offers/offer/BJ-T-005?lang=zh")
    page.click("text=复制为下一年项目")
    assert page.input_value("[name=id]") == "BJ-T-005-next"
    assert page.input_value("[name=from]") == "2015-05-01"
    page.fill("[name=cap]", "many")
    page.click("aside button[value=save]")
    assert "草稿未保存" in page.inner_text("[role=alert]")
    assert "请填写整数" in page.inner_text("#f-cap-fault")
    author.complaints.clear()  # the browser notes the 400
    sound(author)
    page.fill("[name=cap]", "")
    page.fill("[name=id]", "BJ-T-105")
    page.fill("[name=title]", "孔庙和国子监博物馆免费参观（明年）")
    rows = page.locator("#rows-limits .row").count()
    page.click("#rows-limits button.add")
    page.locator("#rows-limits .row").nth(rows).wait_for()
    last = page.evaluate("document.activeElement.name")
    assert last == f"limits.{rows}.n", "the new row has the focus"
    page.fill(f"[name='{last}']", "0")
    page.click("#answers >> text=至少为 1")
    page.fill(f"[name='{last}']", "1")
    page.locator("#answers .answers li").first.wait_for()
    sound(author)
    album.take(page, "office-draft-zh-1280")
    page.click("aside button[value=save]")
    page.wait_for_url("**/offers/drafts/*")
    draft = page.url.partition("?")[0]
    page.click("text=谁能领")
    assert "/ 20" in page.inner_text(".figures")
    page.goto(draft)
    page.click("text=提交审核")
    assert "须由他人审核" in page.inner_text("main")
    assert page.locator("button[value=pass]").count() == 0
    author.complaints.clear()
    sound(author)
    author.close()

    other = visit(chromium, site, person="chen")
    page = other.page
    page.goto(f"{draft}?lang=zh")
    page.click("text=审核通过并发布")
    assert "项目已发布" in page.inner_text(".said")
    page.goto(f"{site.url}/offers/offer/BJ-T-105?lang=zh")
    assert "未开始" in page.inner_text(".head")
    page.click("button[value=suspend]")
    assert "项目已暂停" in page.inner_text(".said")
    sound(other)
    other.close()


@pytest.mark.parametrize(
    ("language", "asked", "said"),
    [
        ("zh", "端午", ("端午优惠券套包", "目前还有", "截止到 2014-06-20", "西城区德胜街道")),
        ("zh", "dwyhq", ("端午优惠券套包",)),
        ("en", "museum", ("Confucian Temple", "It runs until", "Bring your own red card")),
    ],
)
def test_one_search_answers_a_caller(
    chromium: Browser,
    site: OfficeSite,
    album: Album,
    language: str,
    asked: str,
    said: tuple[str, ...],
) -> None:
    window = visit(chromium, site, person="hotline", language=language)
    page = window.page
    page.goto(f"{site.url}/hotline?lang={language}")
    page.fill("#q", asked)
    page.press("#q", "Enter")
    words = page.inner_text(".say >> nth=0")
    assert not [one for one in said if one not in words]
    assert asked not in page.url
    sound(window)
    album.take(page, f"office-hotline-{language}-1280")
    window.close()


def test_why_a_card_was_declined_is_told_without_telling_whose_it_is(
    chromium: Browser, site: OfficeSite, album: Album
) -> None:
    window = visit(chromium, site, person="hotline")
    page = window.page
    page.goto(f"{site.url}/hotline?lang=zh")
    page.fill("#q", "8829")  # every declined card of this world
    page.press("#q", "Enter")
    page.locator(".chip.stop").first.wait_for()
    assert page.locator(".say").count() >= 2
    text = page.inner_text("main")
    assert "未通过" in text
    assert "0000000000000009" not in text
    sound(window)
    album.take(page, "office-hotline-card-zh-1280")
    window.close()
    seen = site.ask(lambda core: core.people.records(CONSOLE, person="hotline", act="hotline."))
    assert {one.act for one in seen} >= {"hotline.search", "hotline.card"}
    assert not [one for one in seen if "端午" in str(one)]


def test_a_live_page_renews_its_figures_and_nothing_else(
    chromium: Browser, site: OfficeSite
) -> None:
    window = visit(chromium, site)
    page = window.page
    page.clock.install()
    page.goto(f"{site.url}/?lang=zh")
    page.eval_on_selector("[data-live=figures] dd", "e => { e.textContent = 'old'; }")
    page.eval_on_selector("h1", "e => { e.textContent = 'kept'; }")
    page.clock.run_for(16_000)
    figures = "document.querySelector('[data-live=figures]').innerText"
    until(page, f"!{figures}.includes('old')")
    assert page.inner_text("h1") == "kept"
    page.clock.run_for(11 * 60_000)
    before = len(window.requests)
    page.clock.run_for(5 * 60_000)
    assert len(window.requests) == before, "a page nobody touches keeps no session alive"
    window.close()


def test_a_role_without_the_right_is_told_so(chromium: Browser, site: OfficeSite) -> None:
    window = visit(chromium, site, person="hotline")
    page = window.page
    answer = page.goto(f"{site.url}/settlement?lang=zh")
    assert answer is not None
    assert answer.status == 403
    assert "您的权限不包含此操作" in page.inner_text("h1")
    window.complaints.clear()
    sound(window)
    window.close()


def test_machines_get_sheets_to_print(chromium: Browser, site: OfficeSite, album: Album) -> None:
    window = visit(chromium, site)
    page = window.page
    page.goto(f"{site.url}/terminals/enrol?lang=zh")
    sound(window)
    page.fill("#rows", "desheng-3,S0201,德胜三号机,counter,\ndesheng-4,S9999,无此点位,counter,")
    page.click("text=生成激活单")
    assert page.locator(".sheet").count() == 1
    assert "第 " in page.inner_text(".lines")
    code = page.inner_text(".big-code")
    assert len(code) >= 10
    sound(window)
    album.take(page, "office-activation-zh-1280")
    assert window.paper() == []
    page.goto(f"{site.url}/terminals?lang=zh")
    assert code not in page.content()
    window.close()
