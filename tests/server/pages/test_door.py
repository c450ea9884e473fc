"""Signing in through the pages, and what nobody gets in by."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from server.pages import gate
from server.pages.door import demo_key
from tests.server.pages.asking import HERE, LONG, SITE, Desk, at_a_desk
from tests.server.world import MINUTE_MS

COOKIE = "__Host-redcard-session"


def test_a_first_sign_in_sets_up_both_factors(home: Path) -> None:
    async def run(desk: Desk) -> None:
        password = await desk.person("wang", "federation")
        away = await desk.get("/audit")
        assert away.status_code == 303
        assert away.headers["location"] == "/sign-in?next=/audit"
        await desk.get("/sign-in?next=/audit")
        answer = await desk.post("/sign-in", person="wang", password=password, next="/audit")
        assert answer.headers["location"] == "/sign-in/set-up?next=/audit"
        cookie = answer.headers["set-cookie"]
        for part in (COOKIE, "HttpOnly", "Secure", "SameSite=strict", "Path=/"):
            assert part in cookie
        half = desk.client.cookies[COOKIE]
        assert (await desk.get("/audit")).headers["location"] == "/sign-in/set-up"
        page = await desk.get("/sign-in/set-up?next=/audit")
        assert "<svg" in page.text
        letters = re.search(r'class="secret">([A-Z2-7 ]+)<', page.text)
        assert letters
        text = letters.group(1).replace(" ", "")
        secret = base64.b32decode(text + "=" * (-len(text) % 8))
        wrong = await desk.post("/sign-in/set-up", code="000000", next="/audit")
        assert wrong.status_code == 403
        answer = await desk.post("/sign-in/set-up", code=desk.code(secret), next="/audit")
        assert answer.headers["location"] == "/sign-in/password?next=/audit"
        assert desk.client.cookies[COOKIE] != half
        await desk.get("/sign-in/password?next=/audit")
        weak = await desk.post("/sign-in/password", old=password, new="short", again="short")
        assert weak.status_code == 400
        answer = await desk.post(
            "/sign-in/password", old=password, new=LONG, again=LONG, next="/audit"
        )
        assert answer.headers["location"] == "/audit?said=password"
        assert (await desk.get("/audit")).status_code == 200
        await desk.post("/sign-out")
        assert (await desk.get("/audit")).status_code == 303

        desk.time.pass_(MINUTE_MS)
        await desk.get("/sign-in")
        answer = await desk.post("/sign-in", person="wang", password=LONG, next="/audit")
        assert answer.headers["location"] == "/sign-in/code?next=/audit"
        await desk.get("/sign-in/code")
        answer = await desk.post("/sign-in/code", code=desk.code(secret), next="/audit")
        assert answer.headers["location"] == "/audit"

    at_a_desk(run, home)


def test_wrong_answers_say_the_same_and_lock(home: Path) -> None:
    async def run(desk: Desk) -> None:
        await desk.person("wang", "federation")
        await desk.get("/sign-in")
        nobody = await desk.post("/sign-in", person="nobody", password="x")
        assert nobody.status_code == 403
        for _ in range(5):
            last = await desk.post("/sign-in", person="wang", password="wrong")
        assert "账号已锁定" in last.text
        assert "登录名或密码不正确" in nobody.text

    at_a_desk(run, home)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://other.office.example", "Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {},
    ],
)
def test_a_form_from_elsewhere_changes_nothing(home: Path, headers: dict[str, str]) -> None:
    async def run(desk: Desk) -> None:
        await desk.sit_down("wang")
        page = await desk.get("/people")
        token = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert token
        form = {"csrf": token.group(1), "person": "li", "name": "Li", "role": "auditor"}
        answer = await desk.client.post(
            f"{SITE}/people", data=form, headers={"Host": HERE["Host"], **headers}
        )
        assert answer.status_code == 403
        assert "不是从本页面提交" in answer.text
        assert '"li"' not in (await desk.get("/people")).text

    at_a_desk(run, home)


def test_a_form_needs_the_token_of_its_own_session(home: Path) -> None:
    async def run(desk: Desk) -> None:
        await desk.sit_down("wang")
        await desk.get("/people")
        other = desk.page
        await desk.sit_down("zhao")
        desk.page = other
        refused = await desk.post("/people", person="li", name="Li", role="auditor")
        assert refused.status_code == 403
        await desk.get("/people")
        made = await desk.post("/people", person="li", name="Li", role="auditor")
        assert made.status_code == 200
        assert "初始密码" in made.text

    at_a_desk(run, home)


def test_attempts_of_one_address_are_limited(home: Path) -> None:
    async def run(desk: Desk) -> None:
        await desk.get("/sign-in")
        for _ in range(gate.SIGN_INS_BURST):
            answer = await desk.post("/sign-in", person="no such", password="x")
            assert answer.status_code == 403
        answer = await desk.post("/sign-in", person="no such", password="x")
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
        desk.time.pass_(MINUTE_MS)
        assert (await desk.post("/sign-in", person="no such", password="x")).status_code == 403

    at_a_desk(run, home)


def test_the_demo_door_exists_in_no_other_house(home: Path) -> None:
    async def run(desk: Desk) -> None:
        await desk.person("demo", "federation")
        for key in ("", demo_key("token"), demo_key("")):
            assert (await desk.get(f"/sign-in/demo?key={key}")).status_code == 404

    at_a_desk(run, home)


def test_the_pages_say_who_may_load_what(home: Path) -> None:
    async def run(desk: Desk) -> None:
        page = await desk.get("/sign-in")
        headers = page.headers
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        for asset in ("server/office.css", "server/live.js", "screens/palette.css"):
            assert (await desk.get(f"/static/{asset}")).status_code == 200

    at_a_desk(run, home)
