"""A scanner that types into the counter's page: its line is a card, a person's is nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from ledger.rules.catalogue import load_offers, load_venues
from ledger.rules.request import MemberView
from ledger.rules.terms import CardStatus, MemberStatus
from readers.virtual.authority import TestCa
from readers.virtual.unionpay import make_pan
from terminal import work_paths
from terminal.answers import Phase
from terminal.composition import open_terminal
from terminal.errors import PositionUnknown, RequestInvalid
from terminal.install import red_card_schemes
from terminal.state import Listed
from terminal.wedge_desk import KEYS_MAX
from tests.terminal.rig import OFFERS, VENUES, Rig, hash_of

PAN = make_pan(7)
STRIPE = f";{PAN}=19052201234567890?"


@pytest.fixture
def rig(tmp_path: Path, world: TestCa) -> Iterator[Rig]:
    """A counter without any reader, whose offers take what is only identified."""
    made = Rig(tmp_path / "terminal", world, start=False)
    offers = [dict(offer, identified=True) for offer in OFFERS]
    venues = load_venues(json.dumps(VENUES).encode())
    catalogue = load_offers(json.dumps(offers).encode(), venues=venues)
    member = MemberView(ref=f"{7:016x}", status=MemberStatus.ACTIVE, district="xicheng")
    made.directory.cards[hash_of(PAN)] = Listed(CardStatus.ACTIVE, member)
    made.service = open_terminal(
        made.home,
        made.clock,
        schemes=lambda bundle, today: red_card_schemes(allow_test=True)(None, date(2014, 5, 30)),
        keys=made.keys,
    )
    made.service.parts.facts.install(replace(made.installed, catalogue=catalogue))
    made.service.start()
    yield made
    made.close()


def _typed(rig: Rig, text: str, *, pace_ms: int = 4, position: str = "counter") -> bool:
    keys = [*text, "Enter"]
    times = [number * pace_ms for number in range(len(keys))]
    body = {"position": position, "keys": keys, "times": times}
    answer = work_paths.act(rig.service.work, ("kiosk", "counter"), "typed", body)
    served: bool = answer["served"]
    return served


def test_a_swiped_stripe_is_a_card_at_hand_and_is_redeemed_as_identified(rig: Rig) -> None:
    assert _typed(rig, STRIPE)
    view = rig.service.snapshot_view("counter")
    assert view.phase is Phase.CARD
    answer = rig.service.tap("counter", "museum", "n1")
    assert answer.outcome == "approve"
    entry = rig.entries()[-1]
    assert (entry["kind"], entry["assurance"], entry["scheme"]) == (
        "redeem",
        "identified",
        "unionpay",
    )
    assert entry["card"] == hash_of(PAN)
    assert PAN not in json.dumps(entry)


def test_what_a_person_types_is_no_card(rig: Rig) -> None:
    before = rig.entries()
    assert not _typed(rig, STRIPE, pace_ms=80)
    assert not _typed(rig, "1234567")
    assert rig.service.snapshot_view("counter").phase is not Phase.CARD
    assert rig.entries() == before


def test_a_kiosk_redeems_what_is_typed_at_it(rig: Rig) -> None:
    assert _typed(rig, STRIPE, position="kiosk")
    assert rig.service.snapshot_view("kiosk").phase is Phase.ANSWER
    assert rig.entries()[-1]["assurance"] == "identified"


@pytest.mark.parametrize(
    ("keys", "times", "says"),
    [
        (["a", "b"], [1], "one for each key"),
        (["a"], ["1"], "whole milliseconds"),
        ([1], [1], "whole milliseconds"),
        (["a"] * (KEYS_MAX + 1), [1] * (KEYS_MAX + 1), "at most"),
        (["a" * 33], [1], "at most"),
    ],
)
def test_what_is_no_typing_is_refused(
    rig: Rig, keys: list[object], times: list[object], says: str
) -> None:
    body = {"position": "counter", "keys": keys, "times": times}
    with pytest.raises(RequestInvalid, match=says):
        work_paths.act(rig.service.work, ("counter",), "typed", body)
    with pytest.raises(PositionUnknown):
        _typed(rig, STRIPE, position="nowhere")
