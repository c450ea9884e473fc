"""Asking the server at the tap: nothing green unheld, nobody kept waiting, nothing asked twice."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from keys.derivation import card_hash
from ledger.log.note import Ed25519Verifier, sign_note
from ledger.rules.terms import OnlineAnswer, Refill
from readers.virtual.authority import TestCa
from readers.virtual.unionpay import make_pan
from server.card_list import Membership
from server.home import FEED, JUDGEMENTS
from server.schema import holds
from sync.asker import Asker
from sync.asking import HoldQuestion, LeaseQuestion, Word, decode_answer, encode_answer
from sync.errors import Unreachable
from sync.transport import MemoryTransport, Request, Response
from terminal.asking import QUESTIONS_MAX, ServerQuestions
from terminal.stock import Prepared
from tests.terminal.clocks import HandClock
from tests.terminal.federation import Federation
from tests.terminal.rig import OFFERS, WINDOW, Rig
from tests.terminal.station import Station

DEMO = Path(__file__).parents[2] / "redcard" / "demo_data" / "offers.json"
TICKET = {
    "id": "ticket",
    "title": "庙会门票",
    "kind": "ticket",
    **WINDOW,
    "limits": [{"count": 1, "per": "offer"}],
    "stock": {"pool": 2},
    "offline": "online",
}
HOLD = HoldQuestion(
    nonce="n1",
    card="c" * 26,
    offer="ticket",
    offer_version=1,
    quantity=1,
    companions=0,
    venue="S01",
    ts_ms=1,
)
LEASE = LeaseQuestion(offer="pack", venue="S01", units=1, lease="", left=0, after=0, ts_ms=1)


@pytest.fixture
def federation(tmp_path: Path, founded: Path) -> Iterator[Federation]:
    made = Federation(shutil.copytree(founded, tmp_path / "server"), HandClock())
    made.run(made.core.publish_offers(json.dumps([*OFFERS, TICKET]).encode()))
    made.members(1, 2, 3, 4, 5)
    yield made
    made.close()


def _station(path: Path, world: TestCa, federation: Federation, name: str) -> Station:
    assert isinstance(federation.clock, HandClock)
    made = Station(path, world, federation, federation.clock, name)
    assert made.service.sync_now().status == "ok"
    return made


@pytest.fixture
def station(tmp_path: Path, world: TestCa, federation: Federation) -> Iterator[Station]:
    made = _station(tmp_path / "terminal", world, federation, "t-1")
    yield made
    made.close()


@pytest.fixture
def other(tmp_path: Path, world: TestCa, federation: Federation) -> Iterator[Station]:
    made = _station(tmp_path / "other", world, federation, "t-2")
    yield made
    made.close()


def held(federation: Federation) -> dict[str, str]:
    """State of every hold by its nonce."""

    async def read() -> dict[str, str]:
        async with federation.core.database.reading() as connection:
            rows = await connection.execute(select(holds.c.nonce, holds.c.state))
            return {row.nonce: row.state for row in rows}

    return federation.run(read())


def judged(*stations: Station) -> None:
    for one in stations:
        assert one.service.sync_now().status == "ok"
    stations[0].federation.run(stations[0].federation.core.judge())


class Slow(MemoryTransport):
    """Holds every question until it is let go."""

    def __init__(self, answer: Callable[[Request], Response]) -> None:
        super().__init__(answer)
        self.go = threading.Event()
        self.came = threading.Event()
        self.questions = 0

    def exchange(self, request: Request, *, bytes_max: int = 1 << 20) -> Response:
        if request.method == "POST" and request.target.endswith(("/holds", "/leases")):
            self.questions += 1
            self.came.set()
            self.go.wait(20)
        return super().exchange(request, bytes_max=bytes_max)


def questions_over(
    station: Station,
    transport: MemoryTransport,
    timeout_ms: int,
    now_ms: Callable[[], int] | None = None,
) -> None:
    """Lets a station ask over another network than its courier's."""
    enrolment = station.home.enrolment()
    asker = Asker(
        origin=enrolment.origin,
        transport=transport,
        feed=_feed_key(station),
        sign=lambda message: station.keys.sign("ledger", message),
        now_ms=now_ms or station.clock.wall_ms,
    )
    station.service.parts.stock.questions = ServerQuestions(
        asker, lambda: None, station.service.parts.facts, timeout_ms=timeout_ms
    )


def _feed_key(station: Station) -> Ed25519Verifier:
    return Ed25519Verifier.from_vkey(station.home.enrolment().vkeys["feed"])


# Holds.


def test_an_online_offer_is_approved_when_connected_and_confirmed_by_its_entry(
    station: Station, federation: Federation
) -> None:
    answer = station.counter(station.card(1), "ticket", "n1")
    assert (answer.outcome, answer.code, answer.usage) == ("approve", "A00", 1)
    entry = station.entries()[-1]
    assert (entry["kind"], entry["nonce"], entry["mode"]) == ("redeem", "n1", "online")
    assert held(federation) == {"n1": "held"}
    judged(station)
    assert held(federation) == {"n1": "confirmed"}
    state = federation.run(federation.core.stock_of("ticket"))
    assert (state.redeemed, state.leased, state.stock_left) == (1, 0, 1)


def test_limit_and_stock_are_exact_over_two_terminals(station: Station, other: Station) -> None:
    assert station.counter(station.card(1), "ticket", "n1").code == "A00"
    refused = other.counter(other.card(1), "ticket", "n2")
    assert (refused.outcome, refused.code) == ("decline", "L01")
    assert other.entries()[-1]["code"] == "L01"
    assert other.counter(other.card(2), "ticket", "n3").code == "A00"
    assert station.counter(station.card(3), "ticket", "n4").code == "L05"
    # The clerk takes one back: as soon as that is up, another terminal may give it out.
    assert station.service.void("counter", "n1", reason="mistake").outcome == "approve"
    judged(station)
    assert other.counter(other.card(3), "ticket", "n5").code == "A00"
    judged(station, other)
    state = station.federation.run(station.federation.core.stock_of("ticket"))
    assert (state.redeemed, state.reversed, state.oversold) == (2, 1, 0)


def test_the_demos_enrolment_is_approved_at_a_street_station(
    station: Station, federation: Federation
) -> None:
    document = next(one for one in json.loads(DEMO.read_bytes()) if one["id"] == "BJ-I-022")
    street = {"id": "S02", "name": "月坛", "district": "xicheng", "level": "street"}
    federation.run(federation.core.import_venues(json.dumps([street]).encode()))
    federation.run(federation.core.activation("t-1", ["S02", "M01"]))
    federation.run(federation.core.publish_offers(json.dumps([document]).encode()))
    mac = federation.home.card_mac()
    row = Membership(
        card_hash(mac, "unionpay", make_pan(9).encode()), f"{9:016x}", tags=frozenset({"employed"})
    )
    federation.run(federation.core.take_members([row]))
    text = (station.home.path / "terminal.toml").read_text("utf-8")
    (station.home.path / "terminal.toml").write_text(text.replace('"S01"', '"S02"'), "utf-8")
    station.home = type(station.home).open(station.home.path)
    station.restart()
    assert station.service.sync_now().status == "ok"
    assert station.counter(station.card(9), "BJ-I-022", "n1").code == "A00"
    assert station.counter(station.card(9), "BJ-I-022", "n2").code == "L03"
    assert station.counter(station.card(1), "BJ-I-022", "n3").code == "M02"
    assert held(federation) == {"n1": "held"}


def test_what_needs_no_answer_asks_nothing(station: Station, federation: Federation) -> None:
    assert station.counter(station.card(99), "ticket", "n1").code == "C03"
    dry = station.counter(station.card(1), "ticket", "n2", simulate=True)
    assert (dry.outcome, dry.entry) == ("approve", None)
    assert station.counter(station.card(1), "museum", "n3").code == "A00"
    station.lay(station.card(2))
    shown = {one.offer.id: one.code for one in station.service.choices("counter")}
    station.lift()
    assert shown["ticket"] in {"", "A00"}
    assert held(federation) == {}


def test_a_lost_answer_is_asked_for_again_in_the_same_tap(
    station: Station, federation: Federation
) -> None:
    federation.transport.lose_answers = 1
    assert station.counter(station.card(1), "ticket", "n1").code == "A00"
    assert held(federation) == {"n1": "held"}


def test_an_answer_that_never_comes_declines_and_gives_its_hold_back(
    station: Station, other: Station
) -> None:
    federation = station.federation
    federation.transport.lose_answers = 2
    assert station.counter(station.card(1), "ticket", "n1").code == "T04"
    assert held(federation) == {"n1": "held"}
    assert station.entries()[-1]["code"] == "T04"
    # The next tap does not wait: until the courier gets through this terminal is on its own.
    assert station.counter(station.card(2), "ticket", "n2").code == "T04"
    assert "n2" not in held(federation)
    judged(station)
    assert held(federation) == {"n1": "released"}
    assert station.counter(station.card(1), "ticket", "n3").code == "A00"
    replay = station.counter(station.card(1), "ticket", "n1")
    assert (replay.code, replay.replay) == ("T04", True)


def test_a_power_cut_between_hold_and_entry_is_resolved_by_the_nonce(
    station: Station, other: Station
) -> None:
    class PowerCut(Exception):
        pass

    def cut(step: str) -> None:
        if step == "before_commit":
            raise PowerCut

    station.probe = cut
    station.lay(station.card(1))
    with pytest.raises(PowerCut):
        station.service.tap("counter", "ticket", "n1")
    station.lift()
    assert held(station.federation) == {"n1": "held"}
    assert station.kinds().count("redeem") == 0
    station.probe = lambda step: None
    station.restart()
    assert station.service.sync_now().status == "ok"
    assert other.counter(other.card(1), "ticket", "n2").code == "L01"
    # Another card under the nonce is T07 though this ledger knows nothing of it.
    conflict = station.counter(station.card(2), "ticket", "n1")
    assert (conflict.outcome, conflict.code, conflict.entry) == ("error", "T07", None)
    answer = station.counter(station.card(1), "ticket", "n1")
    assert (answer.code, answer.replay) == ("A00", False)
    assert station.kinds().count("redeem") == 1
    assert held(station.federation) == {"n1": "held"}


def test_a_machine_that_slept_over_its_hold_does_not_use_it(station: Station) -> None:
    questions: Any = station.service.parts.stock.questions
    sleep_ms = 0

    class Sleeping:
        def hold(self, question: HoldQuestion) -> Prepared:
            answer: Prepared = questions.hold(question)
            station.clock.pass_ms(sleep_ms)
            station.connect()
            return answer

        def refill(self, question: LeaseQuestion) -> Refill:
            answer: Refill = questions.refill(question)
            return answer

    station.service.parts.stock.questions = Sleeping()
    sleep_ms = 5 * 60_000
    assert station.counter(station.card(1), "ticket", "n1").code == "T04"
    sleep_ms -= 1
    assert station.counter(station.card(2), "ticket", "n2").code == "A00"


def test_a_revoked_ledger_gets_no_hold(station: Station, federation: Federation) -> None:
    federation.run(federation.core.revoke(station.home.enrolment().ledger, "lost"))
    assert station.counter(station.card(1), "ticket", "n1").code == "T04"
    assert held(federation) == {}
    assert station.service.sync_now().status == "revoked"
    assert station.counter(station.card(1), "ticket", "n2").code == "T01"


def test_a_supervisor_lifts_a_members_limit_at_the_server_too(
    station: Station, other: Station
) -> None:
    assert station.counter(station.card(1), "ticket", "n1").code == "A00"
    other.service.parts.supervisors.add("s1", "2468")
    forced = {"supervisor": "s1", "supervisor_pin": "2468", "reason": "other"}
    assert other.counter(other.card(1), "ticket", "n2").code == "L01"
    # Its own ledger does not know the use; the server does, and takes the supervisor's word.
    assert other.counter(other.card(1), "ticket", "n3", **forced).outcome == "approve"
    assert other.counter(other.card(2), "ticket", "n4", **forced).code == "L05"


# The network.


def test_a_silent_server_is_given_up_and_holds_up_nobody(station: Station) -> None:
    slow = Slow(station.federation.answer)
    questions_over(station, slow, 1_500)
    answers: list[str] = []

    def tap() -> None:
        answers.append(station.service.tap("counter", "ticket", "n1").code or "")

    station.lay(station.card(1))
    tapping = threading.Thread(target=tap)
    tapping.start()
    assert slow.came.wait(10)
    # While the counter waits the kiosk serves: nobody holds the ledger.
    assert station.kiosk(station.card(2)).code == "A00"
    assert answers == []
    tapping.join(10)
    assert answers == ["T04"]
    station.lift()
    asked = slow.questions
    assert station.counter(station.card(3), "ticket", "n2").code == "T04"
    assert slow.questions == asked
    slow.go.set()


def test_a_server_that_is_down_is_told_at_once(station: Station) -> None:
    station.federation.transport.connected = False
    assert station.counter(station.card(1), "ticket", "n1").code == "T04"
    assert not station.service.status().link.connected


def test_questions_that_hang_do_not_pile_up(rig: Rig) -> None:
    go = threading.Event()

    def never(request: Request) -> Response:
        go.wait(20)
        raise Unreachable("gone")

    running = threading.active_count()
    asker = Asker(
        origin="d/redcard/" + "a" * 26,
        transport=MemoryTransport(never),
        feed=_NoKey(),
        sign=lambda _message: b"s" * 64,
        now_ms=lambda: 1,
    )
    questions = ServerQuestions(asker, lambda: None, rig.service.parts.facts, timeout_ms=1)
    for _ in range(3 * QUESTIONS_MAX):
        assert questions.hold(HOLD).online is OnlineAnswer.UNANSWERED
        assert questions.refill(LEASE) is Refill.NOT_ASKED
    assert threading.active_count() <= running + QUESTIONS_MAX
    assert rig.service.parts.facts.link.failed
    go.set()


class _NoKey:
    name = "d/feed"
    key_id = b"1234"

    def verify(self, message: bytes, signature: bytes) -> bool:
        return False


@pytest.mark.parametrize(
    "change",
    ["another key", "another question", "another ledger", "another kind", "newer code", "cut"],
)
def test_an_answer_that_is_not_the_servers_to_this_question_is_none(
    station: Station, change: str
) -> None:
    federation = station.federation

    def forged(request: Request) -> Response:
        response = federation.answer(request)
        text = response.body.decode("utf-8").split("\n\n")[0] + "\n"
        answer, key = decode_answer(text), FEED
        if change == "another key":
            key = JUDGEMENTS
        elif change == "another question":
            answer = replace(answer, question="0" * 64)
        elif change == "another ledger":
            answer = replace(answer, origin=answer.origin[:-1] + "z")
        elif change == "another kind":
            answer = replace(answer, word=Word.GRANTED, until_ms=None)
        elif change == "newer code":
            answer = replace(answer, word=Word.REFUSED, code="Z99")
        body = sign_note(encode_answer(answer), [federation.home.signer(key)])
        return Response(200, {}, body[:-9] if change == "cut" else body)

    questions_over(station, MemoryTransport(forged), 5_000)
    assert station.counter(station.card(1), "ticket", "n1").code == "T04"
    assert held(federation) == {"n1": "held"}  # given back when the decline comes up


def test_a_terminal_whose_clock_is_off_asks_by_the_servers(station: Station) -> None:
    network = MemoryTransport(station.federation.answer)
    questions_over(station, network, 5_000, lambda: station.clock.wall + 3_600_000)
    assert station.counter(station.card(1), "ticket", "n1").code == "A00"


# Leases.


def test_an_empty_lease_is_filled_up_at_the_tap(station: Station, other: Station) -> None:
    first = station.counter(station.card(1), "pack", "n1")
    assert first.code == "A00"
    lease, redeem = station.entries()[-2:]
    assert (lease["kind"], lease["units"]) == ("lease", 8)
    assert (redeem["kind"], redeem["lease"]) == ("redeem", lease["lease"])
    assert station.counter(station.card(2), "pack", "n2").code == "A00"
    assert station.kinds().count("lease") == 1
    judged(station)
    station.federation.publish_offers(
        pack={"version": 2, "limits": [{"count": 50, "per": "offer"}]}
    )
    judged(station)
    assert station.counter(station.card(3), "pack", "n3", quantity=7).code == "A00"
    renewed = station.entries()[-2]
    assert (renewed["lease"], renewed["lease_epoch"]) == (lease["lease"], 2)
    # A tap for several is never spread over two leases.
    judged(other)
    assert other.counter(other.card(4), "pack", "n4").code == "A00"
    assert other.counter(other.card(5), "pack", "n5", quantity=9).code == "A00"
    judged(station, other)
    state = station.federation.run(station.federation.core.stock_of("pack"))
    assert (state.redeemed, state.oversold) == (19, 0)
    assert state.leased + (state.stock_left or 0) == 81


def test_an_empty_pool_is_told_and_nothing_is_granted_twice(
    station: Station, other: Station
) -> None:
    federation = station.federation
    federation.publish_offers(pack={"version": 2, "stock": {"mode": "pool", "quantity": 2}})
    judged(station, other)
    federation.transport.lose_answers = 1
    assert station.counter(station.card(1), "pack", "n1").code == "A00"
    assert station.kinds().count("lease") == 1
    refused = other.counter(other.card(3), "pack", "n3")
    assert (refused.outcome, refused.code) == ("decline", "L05")
    # The last unit lies idle at the first terminal: it is called back, and comes with its sync.
    judged(station)
    judged(station)
    assert station.kinds().count("lease_close") == 1
    assert other.counter(other.card(2), "pack", "n2").code == "A00"
    assert other.counter(other.card(4), "pack", "n4").code == "L05"
    judged(station, other)
    state = federation.run(federation.core.stock_of("pack"))
    assert (state.redeemed, state.leased, state.oversold) == (2, 0, 0)


def test_a_refill_that_is_cut_off_arrives_with_the_next_sync(station: Station) -> None:
    federation = station.federation
    federation.transport.lose_answers = 2
    assert station.counter(station.card(1), "pack", "n1").code == "L07"
    assert station.kinds().count("lease") == 0
    judged(station)
    assert station.kinds().count("lease") == 1
    assert station.counter(station.card(1), "pack", "n2").code == "A00"
    assert station.kinds().count("lease") == 1
