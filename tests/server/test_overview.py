"""The operator's page: on this machine alone, in both languages, without a person on it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from screens.language import Language
from server.core import ServerCore
from server.pages import overview
from sync.admission import LedgerState
from sync.feed import Reason
from tests.server.test_api import over_http
from tests.server.world import MINUTE_MS, START_MS, Time, card, enrol, member, push

HERE = {"Host": "127.0.0.1:8440"}


def test_figures_terminals_and_cases(home: Path) -> None:
    async def run(client: httpx.AsyncClient, core: ServerCore, time: Time) -> None:
        first, second = await enrol(core, "first", time), await enrol(core, "second", time)
        first.redeem(1, "n1")
        second.redeem(1, "n2", at_ms=START_MS + MINUTE_MS)
        time.pass_(MINUTE_MS)
        await push(core, first)
        await push(core, second)
        await core.judge()
        page = await client.get("/", headers=HERE)
        assert page.status_code == 200
        for words in ("孔庙和国子监博物馆免费参观", "2014年5月", "超出会员限次", "first", "正常"):
            assert words in page.text
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert member(1) not in page.text
        assert card(1) not in page.text
        english = await client.get("/?lang=en", headers=HERE)
        for words in ("Confucian Temple", "May 2014", "Over a member", "in order"):
            assert words in english.text
        other = await client.get("/?month=2014-06&lang=en", headers=HERE)
        assert "Nothing was redeemed" in other.text
        assert (await client.get("/?month=nonsense", headers=HERE)).status_code == 400
        for loaded in ("/static/server/overview.css", "/static/screens/palette.css"):
            assert (await client.get(loaded)).status_code == 200

    over_http(run, home)


def test_an_empty_server_says_what_to_do_next(home: Path) -> None:
    async def run(client: httpx.AsyncClient, core: ServerCore, time: Time) -> None:
        assert "redcard server enrol" in (await client.get("/", headers=HERE)).text

    over_http(run, home)


@pytest.mark.parametrize(
    "host", ["sync.example", "127.0.0.1.example", "", "[::2]:1", "localhost.x"]
)
def test_only_this_machine_is_answered(home: Path, host: str) -> None:
    async def run(client: httpx.AsyncClient, core: ServerCore, time: Time) -> None:
        assert (await client.get("/", headers={"Host": host})).status_code == 404
        for local in ("localhost", "localhost:8440", "[::1]:8440", "127.0.0.1"):
            assert (await client.get("/", headers={"Host": local})).status_code == 200

    over_http(run, home)


def test_every_state_and_reason_has_its_words() -> None:
    names = {one.value for one in [*LedgerState, *Reason]}
    assert names <= set(overview._TEXTS)
    for name in names - {LedgerState.OK.value}:
        assert overview.Texts(Language.ZH)(name) != name
