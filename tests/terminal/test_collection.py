"""A representative brings colleagues' cards: each its own decision and entry, one commit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import LogFault
from ledger.log.reading import LogReader
from ledger.rules.offer import Offer
from ledger.rules.terms import CardStatus
from readers.virtual.authority import TestCa
from readers.virtual.box import VirtualCard
from readers.virtual.unionpay import make_pan
from terminal.errors import CollectionState, NoCard, RequestInvalid
from terminal.work_answers import CollectionShown
from tests.terminal.rig import Rig, hash_of
from tests.terminal.test_interruption import fail_append

AGENT = 900


@pytest.fixture
def rig(tmp_path: Path, world: TestCa) -> Iterator[Rig]:
    made = with_proxies(Rig(tmp_path / "home", world))
    yield made
    made.close()


def with_proxies(made: Rig) -> Rig:
    """Lets representatives collect two of the offers."""
    offers = dict(made.installed.catalogue.offers)
    for name in ("film", "pack"):
        offer = offers[name]
        assert isinstance(offer, Offer)
        offers[name] = replace(offer, proxy_collect=True, cap=500)
    made.installed = replace(
        made.installed, catalogue=replace(made.installed.catalogue, offers=offers)
    )
    made.service.parts.facts.install(made.installed)
    return made


def lease(rig: Rig, units: int) -> None:
    now = rig.service.parts.facts.time.now()
    rig.service.parts.writer.append(
        {
            "kind": "lease",
            "ts_ms": now.now_ms,
            "mono_ms": now.boot_ms,
            "lease": "L1",
            "offer": "pack",
            "units": units,
            "lease_epoch": 1,
            "expires_ms": now.now_ms + 10**9,
        }
    )


def begin(rig: Rig, offer: str, **more: Any) -> Any:
    rig.lay(rig.member(AGENT))
    shown = rig.service.work.begin_collection("counter", offer, **more)
    rig.readers["counter"].remove()
    return shown


def put(rig: Rig, *cards: VirtualCard) -> Any:
    for card in cards:
        seen = looked(rig)
        rig.readers["counter"].insert(card)

        def changed(_view: object, seen: tuple[int, str] = seen) -> bool:
            return looked(rig) != seen

        rig.watch("counter", changed)
        rig.readers["counter"].remove()
    return opened(rig)


def looked(rig: Rig) -> tuple[int, str]:
    shown = opened(rig)
    return len(shown.cards), shown.last_fault


def opened(rig: Rig) -> CollectionShown:
    shown = rig.service.work.collection("counter")
    assert shown is not None
    return shown


def test_forty_cards_are_forty_entries_in_one_commit(rig: Rig) -> None:
    lease(rig, 60)
    shown = begin(rig, "pack")
    assert (shown.state, shown.agent, shown.cards) == ("open", hash_of(make_pan(AGENT))[-4:], ())
    cards = [rig.member(serial) for serial in range(1, 39)]
    cards.append(rig.member(39, CardStatus.BLOCKED))
    cards.append(rig.card(40))
    shown = put(rig, *cards)
    assert (shown.takable, shown.refused, shown.stock_left) == (38, 2, 22)
    assert [one.code for one in shown.cards[38:]] == ["C04", "C03"]
    with LogReader.open(rig.home.ledger_path) as reader:
        before, root_size = reader.size, reader.checkpoint()[0]
        done = rig.service.work.confirm_collection("counter", shown.batch)
        # One signed checkpoint between the size before and the size after: one durable commit.
        assert reader.checkpoint(at_least=before + 1)[0] == before + 40 == done.checkpoint_size
    assert root_size == before
    assert done.state == "done"
    entries = rig.entries()[-40:]
    assert [one["kind"] for one in entries] == ["redeem"] * 38 + ["decline"] * 2
    assert {one["agent"] for one in entries} == {hash_of(make_pan(AGENT))}
    assert {one["batch"] for one in entries} == {shown.batch}
    assert len({one["nonce"] for one in entries}) == 40
    assert "member" not in entries[39]
    assert [one.entry for one in done.cards] == list(range(before, before + 40))


def test_a_stranger_among_the_cards_harms_nobody(rig: Rig) -> None:
    shown = begin(rig, "film")
    shown = put(rig, rig.member(1), rig.card(77), rig.member(2))
    assert [one.code for one in shown.cards] == ["A01", "C03", "A01"]
    shown = rig.service.work.remove_card("counter", 2)
    assert [(one.number, one.code) for one in shown.cards] == [(1, "A01"), (2, "A01")]
    done = rig.service.work.confirm_collection("counter", shown.batch)
    assert (done.takable, done.refused) == (2, 0)
    with pytest.raises(CollectionState):
        rig.service.work.remove_card("counter", 1)


def test_the_same_card_and_the_same_member_count_once(rig: Rig) -> None:
    first = rig.member(1)
    begin(rig, "film")
    put(rig, first)
    rig.readers["counter"].insert(first)
    rig.watch("counter", lambda view: view.phase.value == "idle")
    rig.readers["counter"].remove()
    rig.directory.cards[hash_of(make_pan(50))] = rig.directory.cards[hash_of(make_pan(1))]
    shown = put(rig, rig.card(50))
    assert [(one.number, one.code, one.same_as) for one in shown.cards] == [
        (1, "A01", 0),
        (2, "L01", 1),
    ]
    done = rig.service.work.confirm_collection("counter", shown.batch)
    assert [one.code for one in done.cards] == ["A01", "L01"]
    assert [one["kind"] for one in rig.entries()[-2:]] == ["redeem", "decline"]


def test_a_card_that_cannot_be_read_is_asked_for_again(rig: Rig) -> None:
    begin(rig, "film")
    rig.service.reception.several_cards("counter reader")
    rig.watch("counter", lambda view: opened(rig).last_fault == "several")
    shown = put(rig, rig.member(1))
    assert (len(shown.cards), shown.last_fault) == (1, "")


def test_who_may_collect_and_how_much(rig: Rig) -> None:
    work = rig.service.work
    with pytest.raises(NoCard, match="own card comes first"):
        work.begin_collection("counter", "film")
    rig.lay(rig.member(AGENT, CardStatus.BLOCKED))
    for offer, word in (
        ("film", "agent_refused"),
        ("museum", "proxy_not_allowed"),
        ("none", "invalid"),
    ):
        with pytest.raises(RequestInvalid) as error:
            work.begin_collection("counter", offer)
        assert error.value.word == word
    rig.lift()
    offers = dict(rig.service.parts.facts.installed.catalogue.offers)
    film = offers["film"]
    assert isinstance(film, Offer)
    offers["film"] = replace(film, proxy_cards=2)
    catalogue = replace(rig.installed.catalogue, offers=offers)
    rig.service.parts.facts.install(replace(rig.installed, catalogue=catalogue))
    shown = begin(rig, "film")
    with pytest.raises(CollectionState, match="open already"):
        work.begin_collection("counter", "film")
    shown = put(rig, *(rig.member(one) for one in (1, 2, 3)))
    assert [one.code for one in shown.cards] == ["A01", "A01", "M03"]
    assert shown.allowance_left == 0
    work.confirm_collection("counter", shown.batch)
    shown = begin(rig, "film")
    assert [one.code for one in put(rig, rig.member(4)).cards] == ["M03"]
    work.cancel_collection("counter")
    assert rig.service.work.collection("counter") is None
    assert rig.counter(rig.member(4), "film", "in-person").code == "A01"


def test_a_list_is_recorded_whole_or_not_at_all(rig: Rig) -> None:
    shown = begin(rig, "film")
    shown = put(rig, *(rig.member(one) for one in range(1, 6)))
    size = rig.service.status().size
    rig.restart()
    assert rig.service.work.collection("counter") is None
    assert rig.service.status().size == size
    with pytest.raises(CollectionState):
        rig.service.work.confirm_collection("counter", shown.batch)
    shown = begin(rig, "film")
    put(rig, *(rig.member(one) for one in range(1, 6)))
    done = rig.service.work.confirm_collection("counter", shown.batch)
    rig.restart()
    again = rig.service.work.confirm_collection("counter", shown.batch)
    assert [one.entry for one in again.cards] == [one.entry for one in done.cards]
    assert rig.kinds().count("redeem") == 5
    rig.service.void("counter", done.cards[0].nonce, reason="other")
    sheet = rig.service.work.sheet(shown.batch)
    assert sheet is not None
    assert [one.outcome for one in sheet.cards] == ["reversed", *["approve"] * 4]


def test_a_list_longer_than_the_stock_gives_out_what_there_is(rig: Rig) -> None:
    lease(rig, 3)
    begin(rig, "pack")
    shown = put(rig, *(rig.member(one) for one in range(1, 6)))
    assert [one.code for one in shown.cards] == ["A01", "A01", "A01", "L07", "L07"]
    assert shown.stock_left == 0
    done = rig.service.work.confirm_collection("counter", shown.batch)
    assert (done.units, done.refused) == (3, 2)


def test_a_ledger_that_fails_records_none_and_the_list_stands(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(rig, "film")
    shown = put(rig, rig.member(1), rig.member(2))
    with monkeypatch.context() as patch:
        fail_append(LogFault("disk I/O error"), patch)
        with pytest.raises(CollectionState, match="nothing is given out twice") as error:
            rig.service.work.confirm_collection("counter", shown.batch)
    assert error.value.word == "ledger_fault"
    done = rig.service.work.confirm_collection("counter", shown.batch)
    assert (done.takable, rig.kinds().count("redeem")) == (2, 2)
