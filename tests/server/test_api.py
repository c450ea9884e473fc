"""The API over real HTTP, and the server killed between commit and answer."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.log.note import Ed25519Verifier, open_note
from server import administration
from server.app import create_app, serve
from server.core import ServerCore
from server.errors import DatabaseFault, ImportRefused, ServerError
from sync.enrolment import decode_enrolled, encode_request
from sync.envelope import PART_MEDIA_TYPE, decode_receipts, encode_parts, seal
from sync.feed import decode_page
from sync.protocol import BATCH_BYTES_MAX, BATCH_MEDIA_TYPE, authorize, feed_path, judgements_path
from tests.server.running import child, run_file
from tests.server.world import (
    DAY_MS,
    Terminal,
    Time,
    enrol,
    new_keys,
    open_core,
    play,
    request_for,
)

HEADERS = {"Content-Type": BATCH_MEDIA_TYPE}
Scenario = Callable[[httpx.AsyncClient, ServerCore, Time], Awaitable[None]]


def over_http(scenario: Scenario, home: Path, database: str = "", token: str = "") -> None:
    """Plays against the application through its own ASGI door."""

    async def run(core: ServerCore, time: Time) -> None:
        app = create_app(core, token=token, judging=False)
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            await scenario(client, core, time)

    play(run, home, database)


async def post(client: httpx.AsyncClient, terminal: Terminal, body: bytes) -> httpx.Response:
    path = f"/v1/logs/{terminal.ledger}/entries"
    return await client.post(path, content=body, headers=HEADERS)


async def signed(
    client: httpx.AsyncClient, terminal: Terminal, target: str, ts_ms: int
) -> httpx.Response:
    header = authorize(terminal.ledger, target, ts_ms, terminal.sign)
    return await client.get(target, headers={"Authorization": header})


def test_a_terminals_day(home: Path, database_url: str) -> None:
    async def run(client: httpx.AsyncClient, core: ServerCore, time: Time) -> None:
        made = await core.activation("desheng", ["S0201"])
        keys = new_keys()
        answer = await client.post(
            "/v1/enrol", content=encode_request(request_for(made.code, keys))
        )
        assert answer.status_code == 200
        terminal = Terminal(keys, decode_enrolled(answer.content), time, venue="S0201")
        terminal.redeem(1, "n1", offer="pack")
        answer = await post(client, terminal, terminal.body(0))
        assert answer.status_code == 200
        assert answer.headers["redcard-time-ms"] == str(time())
        assert answer.headers["redcard-ledger-state"] == "ok"
        again = await post(client, terminal, terminal.body(0))
        assert again.content == answer.content
        target = judgements_path(terminal.ledger, 0)
        answer = await signed(client, terminal, target, time())
        assert answer.status_code == 200
        verifier = Ed25519Verifier.from_vkey(terminal.enrolled.vkeys["judgements"])
        page = decode_page(open_note(answer.content, [verifier]).text)
        assert [record["verdict"] for record in page.records] == ["accepted"]
        answer = await signed(client, terminal, feed_path(terminal.ledger, 0), time())
        verifier = Ed25519Verifier.from_vkey(terminal.enrolled.vkeys["feed"])
        page = decode_page(open_note(answer.content, [verifier]).text)
        assert [(record["kind"], record["units"]) for record in page.records] == [("lease", 4)]

    over_http(run, home, database_url)


def test_records_are_for_their_own_terminal_alone(home: Path) -> None:
    async def run(client: httpx.AsyncClient, core: ServerCore, time: Time) -> None:
        terminal, other = await enrol(core, "kiosk", time), await enrol(core, "other", time)
        target = judgements_path(terminal.ledger, 0)
        assert (await client.get(target)).status_code == 403
        assert (await signed(client, other, target, time())).status_code == 403
        stale = await signed(client, terminal, target, time() - DAY_MS)
        assert (stale.status_code, stale.json()["status_word"]) == (401, "stale_request")
        header = authorize(terminal.ledger, target, time(), terminal.sign)
        moved = judgements_path(terminal.ledger, 7)
        answer = await client.get(moved, headers={"Authorization": header})
        assert answer.status_code == 403
        unknown = judgements_path("a" * 26, 0)
        assert (await client.get(unknown)).status_code == 404
        assert (await client.get("/v1/logs/UPPER/feed")).status_code == 400

    over_http(run, home)


def test_bodies_are_bounded(home: Path) -> None:
    async def run(client: httpx.AsyncClient, core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        answer = await post(client, terminal, b"x" * (BATCH_BYTES_MAX + 1))
        assert (answer.status_code, answer.json()["status_word"]) == (413, "malformed")

        async def trickle() -> Any:
            for _ in range(BATCH_BYTES_MAX // 1000 + 2):
                yield b"x" * 1000

        path = f"/v1/logs/{terminal.ledger}/entries"
        answer = await client.post(path, content=trickle(), headers=HEADERS)
        assert answer.status_code == 413

    over_http(run, home)


def test_enrolment_says_what_is_wrong(home: Path) -> None:
    async def run(client: httpx.AsyncClient, core: ServerCore, time: Time) -> None:
        assert (await client.post("/v1/enrol", content=b"{}")).status_code == 400
        request = request_for("00000-00000-00000-00000", new_keys())
        answer = await client.post("/v1/enrol", content=encode_request(request))
        assert (answer.status_code, answer.json()["status_word"]) == (403, "activation")
        assert answer.headers["content-type"] == "application/problem+json"

    over_http(run, home)


def test_files_by_stick_meet_the_same_admission(home: Path, database_url: str) -> None:
    async def run(client: httpx.AsyncClient, core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        for n in range(6):
            terminal.redeem(n, f"n{n}")
        recipient = terminal.enrolled.recipient
        parts = [seal(terminal.batch(0, 4), recipient), seal(terminal.batch(4), recipient)]
        for _ in range(2):  # importing twice is a replay
            answer = await client.post("/v1/import", content=encode_parts(parts))
            receipts = decode_receipts(answer.content)
            assert (receipts.status, receipts.size, len(receipts.receipts)) == ("ok", 6, 2)
        relayed = await client.post(
            "/v1/files",
            content=encode_parts(parts[:1]),
            headers={"Content-Type": PART_MEDIA_TYPE},
        )
        assert relayed.content == receipts.receipts[0]
        assert (await client.post("/v1/files", content=encode_parts(parts))).status_code == 400
        stranger = seal(terminal.batch(0, 4), new_keys().recipient("age"))
        answer = await client.post("/v1/files", content=encode_parts([stranger]))
        assert answer.status_code == 400
        assert "another server" in answer.json()["detail"]

    over_http(run, home, database_url)


def test_the_repository_is_served_with_etags_and_ranges(home: Path) -> None:
    async def run(client: httpx.AsyncClient, core: ServerCore, time: Time) -> None:
        first = (await client.get("/v1/tuf/metadata/timestamp.json")).json()
        time.pass_(60_000)
        second = (await client.get("/v1/tuf/metadata/timestamp.json")).json()
        assert second["signed"]["redcard_signed_ms"] == time()
        assert second["signed"]["version"] == first["signed"]["version"] + 1
        answer = await client.get("/v1/tuf/metadata/1.root.json")
        assert answer.status_code == 200
        etag = {"If-None-Match": answer.headers["etag"]}
        again = await client.get("/v1/tuf/metadata/1.root.json", headers=etag)
        assert again.status_code == 304
        part = await client.get("/v1/tuf/metadata/1.root.json", headers={"Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, answer.content[10:20])
        for outside in ("/v1/tuf/../server.toml", "/v1/tuf/metadata/%2e%2e/%2e%2e/keys"):
            assert (await client.get(outside)).status_code == 404

    over_http(run, home)


def test_health_readiness_and_the_document(home: Path) -> None:
    async def run(client: httpx.AsyncClient, core: ServerCore, time: Time) -> None:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (await client.get("/readyz")).json() == {"status": "ok"}
        document = (await client.get("/openapi.json")).json()
        assert {
            "/v1/logs/{ledger}/entries",
            "/v1/logs/{ledger}/judgements",
            "/v1/logs/{ledger}/feed",
            "/v1/enrol",
            "/v1/files",
            "/v1/import",
        } <= set(document["paths"])
        assert not any("admin" in path for path in document["paths"])
        answer = await client.get("/nowhere")
        assert (answer.status_code, answer.headers["content-type"]) == (
            404,
            "application/problem+json",
        )
        await core.database.close()
        core.database = broken(core)
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]

    def broken(core: ServerCore) -> Any:
        class Gone:
            def reading(self) -> Any:
                raise OSError("gone")

            async def close(self) -> None:
                pass

        return Gone()

    over_http(run, home)


def test_acts_need_the_token_of_this_start(home: Path) -> None:
    async def run(client: httpx.AsyncClient, core: ServerCore, time: Time) -> None:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}):
            answer = await client.post("/v1/admin/offers", headers=headers)
            assert answer.status_code == 403
        headers = {"Authorization": "Bearer right"}
        answer = await client.post("/v1/admin/offers", headers=headers)
        assert {one["offer"] for one in answer.json()["offers"]} == {"museum", "pack"}
        answer = await client.post("/v1/admin/nothing", headers=headers)
        assert answer.status_code == 400
        answer = await client.post("/v1/admin/revoke", json={"ledger": "x"}, headers=headers)
        assert "reason" in answer.json()["detail"]
        answer = await client.post("/v1/admin/offers", content=b"{", headers=headers)
        assert answer.status_code == 400

    over_http(run, home, token="right")

    async def closed(client: httpx.AsyncClient, core: ServerCore, time: Time) -> None:
        answer = await client.post("/v1/admin/offers", headers={"Authorization": "Bearer "})
        assert answer.status_code == 403

    over_http(closed, home.with_name("closed"))


def test_a_fault_shows_no_trace(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(client: httpx.AsyncClient, core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        terminal.redeem(1, "n1")

        async def fails(*_arguments: Any, **_more: Any) -> Any:
            raise RuntimeError("secret inside")

        monkeypatch.setattr(core.ingest, "take", fails)
        answer = await post(client, terminal, terminal.body(0))
        assert (answer.status_code, "secret" in answer.text) == (500, False)
        monkeypatch.undo()
        assert (await post(client, terminal, terminal.body(0))).status_code == 200

    over_http(run, home)


def test_logs_name_no_ledger_and_no_person(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def run(client: httpx.AsyncClient, core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        terminal.redeem(1, "n1")
        await post(client, terminal, terminal.body(0))
        await signed(client, terminal, judgements_path(terminal.ledger, 0), time())
        lines = [
            json.loads(record.message) for record in caplog.records if "route" in record.message
        ]
        assert {line["route"] for line in lines} == {
            "/v1/logs/{ledger}/entries",
            "/v1/logs/{ledger}/judgements",
        }
        assert terminal.ledger not in caplog.text

    with caplog.at_level("INFO", logger="redcard.server.requests"):
        over_http(run, home)


def _prepared(home: Path) -> Terminal:
    """A home with an enrolled terminal that has something to send; nobody serves it."""
    made: list[Terminal] = []

    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        for n in range(3):
            terminal.redeem(n, f"n{n}")
        made.append(terminal)

    play(run, home)
    return made[0]


@pytest.mark.parametrize("die", ["before", "after"])
def test_killed_around_the_commit(home: Path, die: str) -> None:
    """kill -9 before or after the commit, always before the answer: sent again, stored once."""
    terminal = _prepared(home)
    path = f"/v1/logs/{terminal.ledger}/entries"
    with child(home, die=die) as (url, process):
        with pytest.raises(httpx.TransportError):
            httpx.post(url + path, content=terminal.body(0), headers=HEADERS)
        assert process.wait(timeout=30) == -signal.SIGKILL
    with child(home) as (url, process):
        first = httpx.post(url + path, content=terminal.body(0), headers=HEADERS)
        assert first.status_code == 200
        assert (
            httpx.post(url + path, content=terminal.body(0), headers=HEADERS).content
            == first.content
        )
        report = administration.ask(home, "report", {"month": "2014-05"}, Time())
        assert report["counts"]["recorded"] == 3
        assert (report["counts"]["lost"], report["counts"]["twice"]) == (0, 0)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
    assert not (home / "run" / "server.json").exists()


def test_acts_go_to_the_running_server(home: Path) -> None:
    terminal = _prepared(home)

    async def run() -> None:
        core = await ServerCore.open(home, Time())
        stop, ready = asyncio.Event(), asyncio.Event()

        def told(_url: str) -> None:
            ready.set()

        serving = asyncio.create_task(serve(core, host="127.0.0.1", port=0, ready=told, stop=stop))
        await ready.wait()
        try:
            assert (home / "run" / "server.json").stat().st_mode & 0o777 == 0o600
            assert run_file(home)["url"].startswith("http://127.0.0.1:")
            ask = administration.ask
            found = await asyncio.to_thread(ask, home, "terminals", {}, Time())
            assert [one["ledger"] for one in found["ledgers"]] == [terminal.ledger]
            with pytest.raises(ServerError, match="no ledger"):
                gone = {"ledger": "nobody", "reason": "lost"}
                await asyncio.to_thread(ask, home, "revoke", gone, Time())
        finally:
            stop.set()
            await serving

    asyncio.run(run())
    # Nobody serves any more: the act opens the home itself.
    assert administration.ask(home, "terminals", {}, Time())["ledgers"]
    with pytest.raises(ImportRefused):
        administration.ask(home, "no_such_act", {}, Time())


def test_a_port_in_use_is_named(home: Path) -> None:
    import socket

    async def run() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            core = await open_core(home, Time(), persons=1)
            try:
                with pytest.raises(DatabaseFault, match="cannot listen"):
                    await serve(core, host="127.0.0.1", port=taken.getsockname()[1])
            finally:
                await core.close()

    asyncio.run(run())
