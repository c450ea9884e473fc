"""Attacks on the loopback service: each refused with 403 before anything is done."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from terminal.web.guard import BODY_BYTES_MAX, Guard

TOKEN = "t" * 43
PORT = 8401
BASE = f"http://127.0.0.1:{PORT}"
COOKIE = f"redcard_{PORT}={TOKEN}"
GOOD_PAGE = {
    "host": f"127.0.0.1:{PORT}",
    "origin": BASE,
    "sec-fetch-site": "same-origin",
    "content-type": "application/json",
    "cookie": COOKIE,
}


class Site:
    """An application that counts what the guard lets through."""

    def __init__(self, *, framed_by: tuple[str, ...] = (), client: str = "127.0.0.1") -> None:
        self.reached = 0

        async def reach(request: Request) -> Response:
            self.reached += 1
            return JSONResponse({"body": len(await request.body())})

        app = Starlette(
            routes=[
                Route("/api/tap", reach, methods=["POST"]),
                Route("/kiosk", reach),
                Route("/static/x.css", reach),
            ]
        )
        self.guard = Guard(app, token=TOKEN, port=PORT, framed_by=framed_by)
        self.client = client

    def send(
        self, method: str, path: str, headers: dict[str, str], content: bytes = b""
    ) -> httpx.Response:
        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.guard, client=(self.client, 5))
            async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
                return await client.request(method, path, headers=headers, content=content)

        return asyncio.run(run())


def changed(**headers: str | None) -> dict[str, str]:
    merged: dict[str, Any] = GOOD_PAGE | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return {name: value for name, value in merged.items() if value is not None}


def test_our_own_page_and_the_command_line_are_let_in() -> None:
    site = Site()
    assert site.send("POST", "/api/tap", GOOD_PAGE, b"{}").status_code == 200
    bearer = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    assert site.send("POST", "/api/tap", bearer, b"{}").status_code == 200
    assert site.send("GET", "/kiosk", {"cookie": COOKIE}).status_code == 200
    assert site.reached == 3


@pytest.mark.parametrize(
    ("rule", "headers"),
    [
        ("host", changed(host="evil.example")),
        ("host", changed(host=f"evil.example:{PORT}")),
        ("host", changed(host="127.0.0.1:80")),
        ("host", changed(host=f"127.0.0.1.evil.example:{PORT}")),
        ("origin", changed(origin="https://evil.example")),
        ("origin", changed(origin="null")),
        ("origin", changed(origin="http://127.0.0.1:9999")),
        ("origin", changed(origin=f"https://127.0.0.1:{PORT}")),
        ("origin", changed(origin=None)),
        ("site", changed(sec_fetch_site="cross-site")),
        ("site", changed(sec_fetch_site="same-site")),
        ("site", changed(sec_fetch_site="none")),
        ("content_type", changed(content_type="text/plain")),
        ("content_type", changed(content_type="application/x-www-form-urlencoded")),
        ("content_type", changed(content_type="multipart/form-data; a=application/json")),
        ("content_type", changed(content_type=None)),
        ("length", changed(content_length=str(BODY_BYTES_MAX + 1))),
        ("length", changed(content_length="-1")),
        ("token", changed(cookie=None)),
        ("token", changed(cookie=f"redcard_{PORT}=")),
        ("token", changed(cookie=f"redcard_{PORT}={'u' * 43}")),
        ("token", changed(cookie=f"redcard_9999={TOKEN}")),
        ("token", changed(cookie=None, authorization=f"Basic {TOKEN}")),
        ("token", changed(authorization="Bearer wrong")),
    ],
)
def test_attacks_on_a_change_are_refused(rule: str, headers: dict[str, str]) -> None:
    site = Site()
    answer = site.send("POST", "/api/tap", headers, b"{}")
    assert (answer.status_code, answer.json()["rule"]) == (403, rule)
    assert "Nothing was recorded" in answer.json()["detail"]
    assert site.reached == 0


@pytest.mark.parametrize(("language", "word"), [("zh-CN", "拒绝"), ("en", "refused")])
def test_a_person_who_is_refused_reads_a_page(language: str, word: str) -> None:
    site = Site()
    headers = {"accept": "text/html,*/*", "accept-language": language}
    answer = site.send("GET", "/kiosk", headers)
    assert answer.status_code == 403
    assert answer.headers["content-type"].startswith("text/html")
    assert "content-security-policy" in answer.headers
    assert word in answer.text
    assert "redcard kiosk" in answer.text
    assert TOKEN not in answer.text
    assert site.send("POST", "/api/tap", {**headers, "host": "x"}).json()["rule"] == "host"


def test_another_machine_is_refused_even_with_the_token() -> None:
    site = Site(client="192.0.2.7")
    assert site.send("POST", "/api/tap", GOOD_PAGE, b"{}").json()["rule"] == "client"


def test_reading_needs_the_token_too_and_static_files_do_not() -> None:
    site = Site()
    assert site.send("GET", "/kiosk", {}).status_code == 403
    assert site.send("GET", "/static/x.css", {}).status_code == 200
    assert site.send("GET", "/kiosk", changed(sec_fetch_site="cross-site")).status_code == 403


def test_the_printed_address_becomes_a_cookie_and_loses_its_key() -> None:
    site = Site()
    answer = site.send("GET", f"/kiosk?lang=en&key={TOKEN}", {})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/kiosk?lang=en"
    assert answer.headers["set-cookie"].startswith(COOKIE)
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "samesite=strict" in answer.headers["set-cookie"].lower()
    assert site.send("GET", "/kiosk?key=wrong", {}).status_code == 403
    assert site.send("GET", f"/kiosk?key={TOKEN}", {"host": "evil.example"}).status_code == 403
    away = site.send("GET", f"//evil.example/kiosk?key={TOKEN}", {})
    assert not away.headers.get("location", "/").startswith("//")


def test_a_body_that_grows_past_its_header_is_cut() -> None:
    site = Site()

    async def run() -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []
        chunks = iter([b"x" * 40_000] * 4)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": next(chunks), "more_body": True}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/api/tap",
            "raw_path": b"/api/tap",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in GOOD_PAGE.items()],
            "client": ("127.0.0.1", 5),
        }
        try:
            await site.guard(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - Starlette's own signal of a lost client
            assert type(error).__name__ == "ClientDisconnect"
        return sent

    assert all(message.get("status") != 200 for message in asyncio.run(run()))
    assert site.reached <= 1


def test_pages_carry_a_policy_and_may_be_framed_only_by_who_was_named() -> None:
    plain = Site().send("GET", "/kiosk", {"cookie": COOKIE})
    assert "frame-ancestors 'none'" in plain.headers["content-security-policy"]
    assert "default-src 'self'" in plain.headers["content-security-policy"]
    assert plain.headers["cache-control"] == "no-store"
    framed = Site(framed_by=("http://127.0.0.1:8400",))
    headers = {"cookie": COOKIE, "sec-fetch-site": "same-site", "sec-fetch-mode": "navigate"}
    answer = framed.send("GET", "/kiosk", headers)
    assert answer.status_code == 200
    assert "frame-ancestors http://127.0.0.1:8400" in answer.headers["content-security-policy"]
    assert Site().send("GET", "/kiosk", headers).status_code == 403


def test_refusals_carry_the_policy_and_websockets_are_not_served() -> None:
    site = Site()
    assert "content-security-policy" in site.send("GET", "/kiosk", {}).headers
    sent: list[Any] = []

    async def run() -> None:
        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        await site.guard({"type": "websocket", "path": "/kiosk", "headers": []}, receive, send)

    asyncio.run(run())
    assert not sent
