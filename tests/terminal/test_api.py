"""The JSON API over a real terminal, and the command line's way to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from terminal.errors import ServiceUnreachable
from terminal.home import ApiAddress
from terminal.remote import LocalDesk, Refused, RemoteDesk, desk_of, running
from terminal.web.api import api_routes
from tests.terminal.rig import Rig


class Client:
    """Sends requests to the API in this process."""

    def __init__(self, rig: Rig) -> None:
        self.app = Starlette(routes=api_routes(rig.service))

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                return await client.request(method, f"/api/{path}", **more)

        return asyncio.run(run())

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.send("POST", path, json=body)


@pytest.fixture
def client(rig: Rig) -> Client:
    return Client(rig)


def test_a_tap_a_replay_and_a_void_over_the_api(rig: Rig, client: Client) -> None:
    rig.lay(rig.member(1))
    first = client.post("tap", position="counter", offer="film", nonce="n1")
    assert first.status_code == 200
    document = first.json()
    assert (document["outcome"], document["code"], document["green"]) == ("approve", "A01", True)
    assert document["message"]["zh"]["big"] == "请领取"
    again = client.post("tap", position="counter", offer="film", nonce="n1").json()
    assert (again["replay"], again["entry"]) == (True, document["entry"])
    declined = client.post("tap", position="counter", offer="film", nonce="n2")
    assert (declined.status_code, declined.json()["code"]) == (200, "L01")
    void = client.post("void", position="counter", nonce="n1", reason="other")
    assert void.json()["code"] == "A01"
    outcome = client.send("GET", "outcome", params={"nonce": "n1"}).json()["answer"]
    assert (outcome["reversed"], outcome["green"]) == (True, False)
    assert client.send("GET", "outcome", params={"nonce": "n9"}).json() == {"answer": None}


def test_case_6_no_nonce_is_400_nonce_required(rig: Rig, client: Client) -> None:
    answer = client.post("tap", position="counter", offer="film")
    assert (answer.status_code, answer.json()["status_word"]) == (400, "nonce_required")
    assert "Nothing was recorded" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        ("tap", {"nonce": "n1", "offer": "film", "colour": "red"}, 400, "invalid"),
        ("tap", {"nonce": 7, "offer": "film"}, 400, "invalid"),
        ("tap", {"nonce": "n1", "offer": "film", "quantity": True}, 400, "invalid"),
        ("tap", {"nonce": "n1", "offer": "film", "simulate": 1}, 400, "invalid"),
        ("tap", {"nonce": "n1", "offer": "film", "evidence": {"a": 1}}, 400, "invalid"),
        ("tap", {"nonce": "n1", "offer": "film", "position": "desk"}, 404, "position_unknown"),
        ("tap", {"nonce": "n1", "offer": "film", "position": "counter"}, 408, "no_card"),
        ("shift/close", {"position": "counter"}, 409, "shift_state"),
        ("shift/open", {"position": "counter", "operator": "王"}, 400, "invalid"),
        ("sync", {"hard": True}, 400, "invalid"),
    ],
)
def test_refusals_have_a_status_a_word_and_leave_nothing(
    rig: Rig, client: Client, path: str, body: dict[str, Any], status: int, word: str
) -> None:
    size = len(rig.entries())
    answer = client.send("POST", path, json=body)
    assert (answer.status_code, answer.json()["status_word"]) == (status, word)
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(rig.entries()) == size


@pytest.mark.parametrize("content", [b"{", b"[]", b"7", b"[" * 100_000, b"\xff"])
def test_bodies_that_are_no_object_are_400(client: Client, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    assert client.send("POST", "tap", content=content, headers=headers).status_code == 400


def test_a_failed_ledger_is_t06_in_a_tap_and_503_in_health(
    rig: Rig, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ledger.errors import LogFault
    from ledger.log.store import LogStore

    assert client.send("GET", "health").status_code == 200
    rig.lay(rig.member(1))

    def refuse(*_: object, **__: object) -> None:
        raise LogFault("disk I/O error")

    monkeypatch.setattr(LogStore, "append", refuse)
    answer = client.post("tap", position="counter", offer="film", nonce="n1")
    assert (answer.status_code, answer.json()["code"]) == (200, "T06")
    monkeypatch.setattr(LogStore, "open", refuse)
    health = client.send("GET", "health")
    assert (health.status_code, health.json()["ok"]) == (503, False)
    assert client.post("shift/open", position="counter", operator="1").status_code == 503


def test_questions_answer_with_whole_documents(rig: Rig, client: Client) -> None:
    rig.counter(rig.member(1), "film", "n1")
    rig.lay(rig.member(2))
    status = client.send("GET", "status").json()
    assert (status["terminal"], status["positions"]) == ("T-1", ["kiosk", "counter"])
    assert status["link"]["pending"] == status["size"]
    assert {one["state"] for one in status["readers"]} == {"ready", "card"}
    position = {"position": "counter"}
    choices = client.send("GET", "choices", params=position).json()["choices"]
    assert [one["key"] for one in choices[:3]] == ["1", "2", "3"]
    assert {one["code"] for one in choices if not one["key"]} >= {"T04", "L07"}
    view = client.send("GET", "view", params=position).json()
    assert (view["phase"], view["card"]["code"], view["profile"]) == ("card", "", "counter")
    recent = client.send("GET", "recent", params={**position, "limit": "1"}).json()["recent"]
    assert [one["nonce"] for one in recent] == ["n1"]
    assert recent[0]["voidable_ms"] > 0
    assert client.send("GET", "totals", params=position).json()["redeemed"] == 1
    assert client.send("GET", "positions").json() == {"positions": ["kiosk", "counter"]}
    assert client.send("GET", "unshown", params=position).json() == {"unshown": None}
    assert client.post("sync").json()["status"] == "offline"
    assert client.post("acknowledge", position="counter", nonce="n1").json() == {}
    assert client.post("dismiss", position="counter").json() == {}
    assert client.post("shift/open", position="counter", operator="1001").status_code == 200
    assert client.post("shift/close", position="counter").json()["redeemed"] == 0


@pytest.fixture
def served(rig: Rig) -> Iterator[Rig]:
    """The terminal behind its guard on a real loopback port."""
    import socket

    import uvicorn

    from terminal.web.guard import Guard

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        app = Guard(Starlette(routes=api_routes(rig.service)), token="secret", port=port)
        config = uvicorn.Config(app, log_level="error", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
        thread.start()
        rig.home.write_api(ApiAddress(port, "secret", 1))
        try:
            yield rig
        finally:
            server.should_exit = True
            thread.join()


def test_a_command_asks_the_running_service(served: Rig) -> None:
    served.lay(served.member(1))
    with desk_of(served.home, lambda: pytest.fail("the service runs")) as desk:
        assert isinstance(desk, RemoteDesk)
        answer = desk.act("tap", position="counter", offer="film", nonce="n1", wait_ms=None)
        assert answer["code"] == "A01"
        assert desk.ask("outcome", nonce="n1")["answer"]["replay"]
        with pytest.raises(Refused) as caught:
            desk.act("tap", position="counter", offer="film", nonce="")
        assert (caught.value.status, caught.value.word) == (400, "nonce_required")


def test_a_wrong_token_is_refused_by_the_guard(served: Rig) -> None:
    address = served.home.read_api()
    assert address is not None
    with pytest.raises(Refused) as caught:
        RemoteDesk(ApiAddress(address.port, "guess", 1)).ask("status")
    assert (caught.value.status, caught.value.word) == (403, "token")


def test_without_a_running_service_the_command_is_the_terminal(rig: Rig) -> None:
    rig.home.write_api(ApiAddress(1, "old", 1))  # left by a process that died
    assert running(rig.home) is None
    with pytest.raises(ServiceUnreachable, match="same nonce"):
        RemoteDesk(ApiAddress(1, "old", 1)).act("sync")
    rig.lay(rig.member(1))
    with desk_of(rig.home, lambda: rig.service) as desk:
        assert isinstance(desk, LocalDesk)
        assert desk.act("tap", position="counter", offer="film", nonce="n1")["code"] == "A01"
        assert desk.ask("status")["terminal"] == "T-1"
        assert desk.act("void", position="counter", nonce="n1", reason="other")["code"] == "A01"
    rig.start()  # the desk closed what it opened
