"""A representative brings colleagues' cards: each its own decision and entry, one commit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.log.reading import LogReader
from ledger.rules.offer import Offer
from ledger.rules.terms import CardStatus
from readers.virtual.authority import TestCa
from readers.virtual.box import VirtualCard
from readers.virtual.unionpay import make_pan
from terminal.work_answers import CollectionShown
from tests.terminal.rig import Rig, hash_of

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
        before = opened(rig)
        seen = (len(before.cards), before.last_fault)
        rig.readers["counter"].insert(card)
        for _ in range(400):
            now = opened(rig)
            if (len(now.cards), now.last_fault) != seen:
                break
            rig.watch("counter", lambda view: view.phase.value == "idle")
        rig.readers["counter"].remove()
    return opened(rig)


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
