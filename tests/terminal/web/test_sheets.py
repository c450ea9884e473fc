"""Papers and the JSON paths of the counter's daily work, over the guarded application."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from readers.virtual.authority import TestCa
from terminal import work_paths
from terminal.web.api import api_routes
from terminal.web.sheets import WORDS
from tests.terminal.rig import Rig
from tests.terminal.test_collection import begin, put, with_proxies


@pytest.fixture
def rig(tmp_path: Path, world: TestCa) -> Iterator[Rig]:
    made = with_proxies(Rig(tmp_path / "home", world))
    yield made
    made.close()


class Web:
    """Sends requests to the routes in this process."""

    def __init__(self, rig: Rig) -> None:
        self._app = Starlette(routes=api_routes(rig.service))

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                return await client.request(method, path, **more)

        return asyncio.run(run())

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.send("GET", path, **more)


@pytest.fixture
def client(rig: Rig) -> Web:
    return Web(rig)


def post(client: Web, path: str, **body: Any) -> Any:
    return client.send("POST", f"/api/{path}", json={"position": "counter", **body})


def test_a_sign_off_sheet_names_every_card_and_nobody(rig: Rig, client: Web) -> None:
    shown = begin(rig, "film")
    put(rig, rig.member(1), rig.card(2))
    done = post(client, "collection/confirm", batch=shown.batch).json()
    assert (done["takable"], done["refused"]) == (1, 1)
    assert post(client, "collection/confirm", batch=shown.batch).json() == done
    for language, words in WORDS.items():
        page = client.get(f"/sheet/collection?batch={shown.batch}&lang={language.value}")
        assert page.status_code == 200
        assert words["agent_signed"] in unescape(page.text)
        assert page.text.count("<tr") == 3
        said = done["cards"][1]["message"][f"operator_{language.value}"]["big"]
        assert said in unescape(page.text)
    assert client.get("/sheet/collection?batch=nothing").status_code == 404


def test_paper_sheets_are_numbered_and_booking_lists_print(client: Web) -> None:
    first = client.get("/sheet/manual?position=counter").text
    second = client.get("/sheet/manual?position=counter").text
    assert "T-1-P00001" in first and "T-1-P00002" in second
    assert first.count("<tr") == 21
    assert client.get("/sheet/bookings?position=counter").status_code == 200
    assert client.get("/sheet/bookings?day=soon").status_code == 404


def test_both_languages_say_the_same_things() -> None:
    first, second = WORDS.values()
    assert first.keys() == second.keys()
    assert all([*first.values(), *second.values()])


def test_every_path_answers_and_refuses_what_it_does_not_know(client: Web) -> None:
    for path in work_paths.QUESTIONS:
        answer = client.get(f"/api/{path}", params={"position": "counter"})
        assert answer.status_code in {200, 400, 408, 409}, (path, answer.text)
        assert client.get(f"/api/{path}", params={"x": "1"}).status_code == 400
    for path in work_paths.ACTS:
        answer = post(client, path, unknown=1)
        assert (answer.status_code, answer.json()["field"]) == (400, "unknown"), path
    refused = client.get("/api/search", params={"q": "film", "limit": "many"})
    assert refused.json()["field"] == "limit"
    assert post(client, "goods/receive", offer="pack", quantity="5").json()["field"] == "quantity"


def test_refusals_carry_a_word_and_say_that_nothing_was_recorded(client: Web) -> None:
    post(client, "goods/receive", offer="pack", quantity=5, numbers=["A1-A5"])
    clash = post(client, "goods/receive", offer="pack", quantity=5, numbers=["A5-A9"])
    assert (clash.status_code, clash.json()["status_word"]) == (409, "numbers_overlap")
    assert "nothing was recorded" in clash.json()["detail"]
    none = post(client, "practice/start")
    assert (none.status_code, none.json()["status_word"]) == (409, "practice_unavailable")
    found = client.get("/api/search", params={"q": "yhqtb", "position": "counter"}).json()
    assert [one["id"] for one in found["found"]] == ["pack"]
    assert json.dumps(found)
