"""Which page shows what to whom, and that no page names a member."""

from __future__ import annotations

from pathlib import Path

import pytest

from screens.language import Language, wording
from server.case_desk import DECISIONS, MATTERS
from server.disputes import DISPUTE_REASONS
from server.enrolling import Sheet
from server.identity_map import PURPOSES
from server.pages import enrolling, words
from server.pages.navigation import PLACES, first_page, menu_of
from server.pages.places import DISTRICTS, MAP, code_of, name_of
from server.roles import CONSOLE_ACTOR, RIGHTS, Actor, Right, Role
from sync.admission import LedgerState
from sync.feed import Reason, Verdict
from tests.server.pages.asking import Desk, at_a_desk
from tests.server.world import DAY_MS, MINUTE_MS, START_MS, card, enrol, member, push


async def used(desk: Desk) -> None:
    """Two terminals, one member over the limit."""
    core, time = desk.core, desk.time
    first, second = await enrol(core, "first", time), await enrol(core, "second", time)
    first.redeem(1, "n1")
    second.redeem(1, "n2", at_ms=START_MS + MINUTE_MS)
    time.pass_(MINUTE_MS)
    await push(core, first)
    await push(core, second)
    await core.judge()


def test_figures_terminals_and_cases(home: Path) -> None:
    async def run(desk: Desk) -> None:
        await used(desk)
        await desk.sit_down("wang")
        page = await desk.get("/")
        for said in ("孔庙和国子监博物馆免费参观", "超出会员限次", "不丢失，不重复"):
            assert said in page.text
        assert member(1) not in page.text
        assert card(1) not in page.text
        english = await desk.get("/?lang=en")
        for said in ("Confucian Temple", "Over a member", "Nothing lost, nothing twice"):
            assert said in english.text
        fleet = await desk.get("/terminals?lang=zh")
        for said in ("东城区", "first", "second", "在线"):
            assert said in fleet.text
        month = await desk.get("/reports?month=2014-05")
        assert "2014年5月月报" in month.text
        assert (await desk.get("/reports?month=nonsense")).status_code == 400
        book = await desk.get("/reports/file/2014-05.xlsx")
        assert book.content.startswith(b"PK")
        sheet = await desk.get("/reports/file/2014-05.csv")
        assert "人次" in sheet.content.decode("utf-8-sig")
        assert (await desk.get("/reports/file/2014-05.exe")).status_code == 404

    at_a_desk(run, home)


def test_a_case_is_assigned_noted_closed_and_opened_again(home: Path) -> None:
    async def run(desk: Desk) -> None:
        await used(desk)
        await desk.sit_down("wang")
        case = (await desk.core.case_desk.all(Actor("wang", Role.FEDERATION)))[0]
        page = await desk.get("/cases")
        assert "超出会员限次" in page.text
        link = page.text.split('<th scope="row"><a href="')[1].split('"')[0]
        await desk.get(link)
        for act, fields in (
            ("assign", {"person": "wang"}),
            ("note", {"remark": "asked the station"}),
            ("decide", {"decision": "accept", "remark": "a colleague's card"}),
        ):
            answer = await desk.post("/cases/case", key=case.key, act=act, **fields)
            assert answer.headers["location"].endswith("said=case")
            await desk.get(link)
        for said in ("asked the station", "无问题，照常计入", "已办结"):
            assert said in desk.page.text
        await desk.post("/cases/case", key=case.key, act="reopen")
        assert "待处理" in (await desk.get(link)).text
        assert (await desk.get("/cases/case?key=none")).status_code == 404

    at_a_desk(run, home)


@pytest.mark.parametrize("role", list(Role))
def test_each_role_opens_its_own_pages_and_no_others(home: Path, role: Role) -> None:
    scopes = {Role.DISTRICT: "东城区", Role.STREET: "西城区/德胜街道", Role.MERCHANT: "M01"}

    async def run(desk: Desk) -> None:
        await desk.sit_down("wang", role.value, scopes.get(role, ""))
        for group in PLACES:
            for place in group:
                page = await desk.get(place.path)
                if place.path == "/" and place.right not in RIGHTS[role]:
                    assert page.status_code == 303
                    continue
                assert page.status_code == (200 if place.right in RIGHTS[role] else 403), place
                if page.status_code == 403:
                    assert "您的权限不包含此操作" in page.text

    at_a_desk(run, home)


def test_an_empty_server_says_what_to_do_next(home: Path) -> None:
    async def run(desk: Desk) -> None:
        await desk.sit_down("wang")
        assert "redcard server enrol" in (await desk.get("/terminals")).text

    at_a_desk(run, home)


def test_the_menu_shows_what_one_may_open() -> None:
    hotline = Actor("sun", Role.HOTLINE)
    shown = [item.path for group in menu_of(hotline, "/hotline") for item in group]
    assert shown == ["/offers", "/stock", "/hotline", "/members"]
    assert [i.path for g in menu_of(hotline, "/hotline/x") for i in g if i.current] == ["/hotline"]
    assert first_page(Actor("m", Role.MERCHANT, "C01")) == "/settlement"


def test_every_code_has_its_words_in_both_languages() -> None:
    names = {one.value for one in [*LedgerState, *Reason, *Verdict]} | set(MATTERS) | set(PURPOSES)
    names |= {f"role_{role}" for role in Role} | {f"right_{right}" for right in Right}
    names |= {f"decision_{one}" for one in DECISIONS} | {
        f"dispute_{one}" for one in DISPUTE_REASONS
    }
    assert not names - set(words.WORDS)
    chinese = words.in_language(wording(Language.ZH))
    assert not [name for name in names if chinese(name) in {name, words.WORDS[name]}]
    assert chinese("no such code") == "no such code"


def test_sixteen_equal_tiles() -> None:
    tiles = [code for row in MAP for code in row]
    assert len(tiles) == len(set(tiles)) == len(DISTRICTS) == 16
    assert {len(row) for row in MAP} == {4}
    assert code_of("东城区") == code_of("110101") == "110101"
    assert name_of("110229", "zh") == "延庆县"
    assert name_of("elsewhere", "en") == "elsewhere"


def test_a_sheet_holds_what_a_new_machine_reads(home: Path) -> None:
    async def run(desk: Desk) -> None:
        await desk.sit_down("wang")
        await desk.get("/terminals/enrol")
        rows = "kiosk-9,M01,Kiosk,kiosk,museum\nbad name,M01,,,"
        page = await desk.post("/terminals/enrol", rows=rows)
        assert page.text.count('class="panel sheet"') == 1
        assert "第 3 行" in page.text
        assert (
            enrolling._scanned(
                Sheet("kiosk-9", "Kiosk", "M01", "", "kiosk", ("museum",), "A" * 20, 0, False),
                "https://office.example",
            )
            == f"redcard-setup/v1 https://office.example M01 kiosk museum {'A' * 20}"
        )

    at_a_desk(run, home)


def test_who_a_member_is_needs_a_purpose_and_is_recorded(home: Path) -> None:
    async def run(desk: Desk) -> None:
        await desk.sit_down("sun", "hotline")
        await desk.core.identities.put(
            CONSOLE_ACTOR, member(1), {"name": "张晓敏", "phone": "13800001234"}
        )
        await desk.get(f"/members?member={member(1)}")
        masked = await desk.post("/members", member=member(1))
        assert "张*敏" in masked.text
        assert "张晓敏" not in masked.text
        refused = await desk.post("/members/full", member=member(1), purpose="curiosity")
        assert refused.status_code == 400
        assert "张晓敏" not in refused.text
        await desk.get("/members")
        full = await desk.post("/members/full", member=member(1), purpose="complaint")
        assert "张晓敏" in full.text
        assert full.headers["cache-control"] == "no-store"
        assert (await desk.post("/members/erase", member=member(1), sure="1")).status_code == 403
        acts = [one.act for one in await desk.core.people.records(CONSOLE_ACTOR, person="sun")]
        assert acts[:2] == ["identity.unmasked", "identity.masked"]
        await desk.sit_down("wang")
        await desk.get("/members")
        gone = await desk.post("/members/erase", member=member(1), sure="1")
        assert gone.headers["location"] == "/members?said=erased"
        await desk.get("/members")
        assert "已于" in (await desk.post("/members", member=member(1))).text

    at_a_desk(run, home)


def test_a_redemption_is_taken_back_from_its_entry(home: Path) -> None:
    async def run(desk: Desk) -> None:
        await used(desk)
        await desk.sit_down("wang")
        ledger = (await desk.core.ledgers())[0]["ledger"]
        here = f"/settlement/entries/{ledger}/0"
        page = await desk.get(here)
        assert "撤销此笔核销" in page.text
        assert (await desk.get(f"{here}/proof")).text.startswith("c2sp.org/tlog-proof@v1")
        await desk.get(here)
        done = await desk.post(here, reason="mistake")
        assert done.headers["location"] == f"{here}?said=void_A00"
        await desk.get(here)
        again = await desk.post(here, reason="mistake")
        assert again.headers["location"] == f"{here}?said=void_V03"
        assert (await desk.get(f"/settlement/entries/{ledger}/99")).status_code == 404

    at_a_desk(run, home)


def test_a_statement_is_kept_as_a_file_and_has_lines_to_sign_on_paper(home: Path) -> None:
    async def run(desk: Desk) -> None:
        await used(desk)
        desk.time.pass_(3 * DAY_MS)
        await desk.sit_down("wang")
        await desk.get("/settlement")
        await desk.post("/settlement", month="2014-05")
        (one,) = await desk.core.statements.all(Actor("wang", Role.FEDERATION))
        page = await desk.get(f"/settlement/{one.id}")
        assert f"/settlement/{one.id}/file/xlsx" in page.text
        assert "商户（签字、盖章、日期）" in page.text
        sheet = await desk.get(f"/settlement/{one.id}/file/csv")
        assert len(sheet.text.splitlines()) > len(one.lines) + 10
        assert (await desk.get(f"/settlement/{one.id}/file/xlsx")).content.startswith(b"PK")
        for missing in (f"{one.id}/file/exe", "99/file/csv"):
            assert (await desk.get(f"/settlement/{missing}")).status_code in {400, 404}

    at_a_desk(run, home)
