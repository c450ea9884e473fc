"""Guard, pages and stream together, over a real socket."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from screens.serving import LocalServer
from terminal.answers import Phase
from terminal.web.app import create_app
from tests.terminal.web.stand_in import COUNTER, KIOSK, StandIn, monotonic_ms

TOKEN = "a" * 43
Message = dict[str, Any]
DEMO = "http://127.0.0.1:9"


@pytest.fixture
def terminal() -> StandIn:
    return StandIn()


@pytest.fixture
def served(terminal: StandIn) -> Iterator[LocalServer]:
    app = LocalServer(
        lambda port: create_app(
            terminal, token=TOKEN, port=port, monotonic_ms=monotonic_ms, framed_by=[DEMO]
        )
    )
    yield app
    app.stop()


@pytest.fixture
def browser(served: LocalServer) -> Iterator[httpx.Client]:
    headers = {"origin": served.origin, "sec-fetch-site": "same-origin"}
    with httpx.Client(base_url=served.origin, headers=headers, timeout=10) as client:
        client.cookies.set(f"redcard_{served.port}", TOKEN)
        yield client


class Stream:
    """Reads one event stream in a thread and keeps its messages."""

    def __init__(self, client: httpx.Client, path: str) -> None:
        self.messages: list[Message] = []
        self.arrived = threading.Condition()
        self._stop = False
        self._client = httpx.Client(base_url=client.base_url, cookies=client.cookies, timeout=20)
        self._path = path
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._client, self._client.stream("GET", self._path) as response:
            for line in response.iter_lines():
                if self._stop:
                    return
                if line.startswith("data: {"):
                    with self.arrived:
                        self.messages.append(json.loads(line.removeprefix("data: ")))
                        self.arrived.notify_all()

    def wait(self, state: str, seconds: float = 8.0) -> Message:
        deadline = time.monotonic() + seconds
        with self.arrived:
            while True:
                for message in reversed(self.messages):
                    if message["body"]["state"] == state:
                        return message
                left = deadline - time.monotonic()
                assert left > 0, f"no {state}; saw {[m['body'] for m in self.messages]}"
                self.arrived.wait(left)

    def stop(self) -> None:
        self._stop = True


def act(client: httpx.Client, position: str, action: str, value: str = "") -> httpx.Response:
    return client.post("/act", json={"position": position, "action": action, "value": value})


def test_a_page_is_whole_before_any_script_runs(browser: httpx.Client) -> None:
    html = browser.get("/kiosk").text
    assert "请刷卡" in html
    assert 'lang="zh-CN"' in html
    assert 'data-state="idle"' in html
    assert "Dragon Boat" not in html
    assert "请刷卡" in browser.get("/counter").text


def test_the_first_page_is_small(browser: httpx.Client) -> None:
    paths = [
        "/kiosk",
        "/static/screens/palette.css",
        "/static/screens/base.css",
        "/static/screens/icon.svg",
        "/static/terminal/kiosk.css",
        "/static/terminal/live.js",
        "/static/terminal/sound.js",
    ]
    sizes = [len(browser.get(path).content) for path in paths]
    assert all(sizes)
    assert sum(sizes) <= 60_000


def test_pages_ask_for_nothing_elsewhere_and_hold_no_inline_code(browser: httpx.Client) -> None:
    for path in ("/kiosk", "/counter"):
        answer = browser.get(path)
        assert "<script>" not in answer.text
        assert " style=" not in answer.text
        assert "onclick" not in answer.text
        assert f"frame-ancestors {DEMO}" in answer.headers["content-security-policy"]
        assert "https:" not in answer.text


def test_language_by_the_browser_and_by_the_switch(browser: httpx.Client) -> None:
    english = browser.get("/kiosk", headers={"accept-language": "en"})
    assert "Please tap your card" in english.text
    assert "lang=en" in english.text
    switched = browser.get("/kiosk?lang=en")
    assert "redcard_lang=en" in switched.headers["set-cookie"]


def test_the_front_leads_to_the_first_position(browser: httpx.Client) -> None:
    answer = browser.get("/")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/kiosk?position=kiosk"


@pytest.mark.parametrize(
    "path", ["/kiosk?position=counter", "/counter?position=x", "/events?position=x", "/x"]
)
def test_a_position_that_is_not_there_is_a_problem_page(browser: httpx.Client, path: str) -> None:
    answer = browser.get(path, headers={"accept": "text/html"})
    assert answer.status_code == 404
    assert "没有这个页面" in answer.text


def test_a_stream_brings_every_state_whole(browser: httpx.Client, terminal: StandIn) -> None:
    stream = Stream(browser, "/events?position=kiosk&lang=zh")
    idle = stream.wait("idle")
    assert set(idle["regions"]) == {"head", "bands", "field", "foot"}
    terminal.insert(KIOSK, "good")
    message = stream.wait("approve")
    assert "请进" in message["regions"]["field"]
    assert message["sound"] == "approve"
    assert stream.wait("idle")["boot"] == message["boot"]
    stream.stop()


def test_a_result_ends_without_any_event_of_the_service(
    browser: httpx.Client, terminal: StandIn
) -> None:
    stream = Stream(browser, "/events?position=kiosk")
    stream.wait("idle")
    terminal.insert(KIOSK, "good")
    stream.wait("approve")
    count = len(stream.messages)
    with stream.arrived:
        while len(stream.messages) == count:
            assert stream.arrived.wait(8)
    assert stream.messages[-1]["body"]["state"] == "idle"
    stream.stop()


def test_a_new_stream_begins_with_what_holds_now(browser: httpx.Client, terminal: StandIn) -> None:
    terminal.insert(COUNTER, "good")
    act(browser, COUNTER, "key", "1")
    act(browser, COUNTER, "key", "Enter")
    stream = Stream(browser, "/events?position=counter&lang=en")
    message = stream.wait("approve")
    assert message["lang"] == "en"
    assert "<svg" in message["regions"]["side"]
    stream.stop()


def test_keys_redeem_once_and_void(browser: httpx.Client, terminal: StandIn) -> None:
    terminal.insert(COUNTER, "good")
    for key in ("1", "Enter", "Enter"):
        assert act(browser, COUNTER, "key", key).status_code == 204
    assert terminal.totals(COUNTER).redeemed == 1
    for key in ("F8", "2", "Enter"):
        act(browser, COUNTER, "key", key)
    totals = terminal.totals(COUNTER)
    assert (totals.redeemed, totals.voided) == (0, 1)


def test_two_enters_at_once_write_one_entry(browser: httpx.Client, terminal: StandIn) -> None:
    terminal.insert(COUNTER, "good")
    act(browser, COUNTER, "key", "1")
    terminal.hold.clear()
    first = threading.Thread(target=act, args=(browser, COUNTER, "key", "Enter"))
    first.start()
    stream = Stream(browser, "/events?position=counter")
    stream.wait("confirming")
    assert act(browser, COUNTER, "key", "Enter").status_code == 204
    terminal.hold.set()
    first.join(10)
    stream.wait("approve")
    assert terminal.totals(COUNTER).redeemed == 1
    stream.stop()


def test_a_card_that_left_is_told_and_nothing_is_recorded(
    browser: httpx.Client, terminal: StandIn
) -> None:
    terminal.insert(COUNTER, "good")
    act(browser, COUNTER, "key", "1")
    with terminal._lock:
        view = terminal.places[COUNTER].view
        terminal.places[COUNTER].view = type(view)(
            **{name: getattr(view, name) for name in view.__slots__} | {"card": None}
        )
    act(browser, COUNTER, "key", "Enter")
    assert "卡片已移开" in browser.get("/counter").text
    assert terminal.totals(COUNTER).redeemed == 0


def test_painted_answers_are_acknowledged(browser: httpx.Client, terminal: StandIn) -> None:
    terminal.interrupted(KIOSK, recorded=True)
    stream = Stream(browser, "/events?position=kiosk")
    message = stream.wait("recorded")
    assert terminal.last_unshown(KIOSK) is not None
    act(browser, KIOSK, "shown", message["shown"])
    assert terminal.last_unshown(KIOSK) is None
    stream.stop()


def test_a_kiosk_touch_changes_the_page(browser: httpx.Client) -> None:
    act(browser, KIOSK, "large")
    assert 'data-large="true"' in browser.get("/kiosk").text
    act(browser, KIOSK, "language")
    assert "Please tap your card" in browser.get("/kiosk").text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"position": "counter", "action": "key"}',
        b'{"position": "counter", "action": "key", "value": 1}',
        b'{"position": "counter", "action": "key", "value": ["1"]}',
        json.dumps({"position": COUNTER, "action": "search", "value": "x" * 8_001}).encode(),
    ],
)
def test_malformed_presses_are_refused(browser: httpx.Client, body: bytes) -> None:
    answer = browser.post("/act", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["title"]


ATTACKS: dict[str, tuple[str, dict[str, str]]] = {
    "other origin": ("POST", {"origin": "http://evil.example"}),
    "null origin": ("POST", {"origin": "null"}),
    "other port": ("POST", {"origin": "http://127.0.0.1:1"}),
    "other site": ("POST", {"sec-fetch-site": "cross-site"}),
    "same site, not same origin": ("POST", {"sec-fetch-site": "same-site"}),
    "rebound host": ("POST", {"host": "evil.example"}),
    "form": ("POST", {"content-type": "application/x-www-form-urlencoded"}),
    "text": ("POST", {"content-type": "text/plain"}),
    "no cookie": ("POST", {"cookie": ""}),
    "wrong cookie": ("POST", {"cookie": "redcard_1=" + "b" * 43}),
    "wrong bearer": ("POST", {"authorization": "Bearer " + "b" * 43, "cookie": ""}),
    "page from elsewhere": ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}),
    "stream from elsewhere": ("EVENTS", {"sec-fetch-site": "cross-site"}),
}


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_attacks_on_the_local_page_are_refused(
    browser: httpx.Client, terminal: StandIn, attack: str
) -> None:
    terminal.insert(COUNTER, "good")
    act(browser, COUNTER, "key", "1")
    method, headers = ATTACKS[attack]
    if method == "POST":
        body = {"position": COUNTER, "action": "key", "value": "Enter"}
        sent = {"content-type": "application/json", **headers}
        answer = browser.post("/act", content=json.dumps(body), headers=sent)
    else:
        path = "/events?position=counter" if method == "EVENTS" else "/counter"
        answer = browser.get(path, headers=headers)
    assert answer.status_code == 403
    assert terminal.totals(COUNTER).redeemed == 0


def test_after_a_restart_the_page_sees_another_start(terminal: StandIn) -> None:
    boots = set()
    for _ in range(2):
        app = LocalServer(
            lambda port: create_app(terminal, token=TOKEN, port=port, monotonic_ms=monotonic_ms)
        )
        with httpx.Client(base_url=app.origin) as client:
            client.cookies.set(f"redcard_{app.port}", TOKEN)
            stream = Stream(client, "/events?position=kiosk")
            boots.add(stream.wait("idle")["boot"])
            stream.stop()
            app.stop()
    assert len(boots) == 2


def test_stopping_ends_open_streams(terminal: StandIn) -> None:
    app = LocalServer(
        lambda port: create_app(terminal, token=TOKEN, port=port, monotonic_ms=monotonic_ms)
    )
    client = httpx.Client(base_url=app.origin)
    client.cookies.set(f"redcard_{app.port}", TOKEN)
    stream = Stream(client, "/events?position=kiosk")
    stream.wait("idle")
    app.stop()
    stream._thread.join(10)
    assert not stream._thread.is_alive()
    assert terminal._callbacks == []
    terminal.change(KIOSK, phase=Phase.IDLE)
    client.close()
