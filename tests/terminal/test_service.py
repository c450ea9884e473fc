"""What pages see: phases, card sessions, choices, numbers, and the courier at work."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.rules.catalogue import load_offers
from ledger.rules.terms import CardStatus
from readers.virtual.authority import TestCa
from terminal.answers import Phase, plain
from terminal.errors import NoCard
from terminal.position import CARD_SESSION_MS
from tests.terminal.rig import OFFERS, Rig


def _phases(rig: Rig, position: str) -> tuple[list[str], Callable[[], None]]:
    seen: list[str] = []

    def note(name: str) -> None:
        if name == position:
            phase = rig.service.position(position).shown()[0].value
            if seen[-1:] != [phase]:
                seen.append(phase)

    return seen, rig.service.subscribe(note)


def test_a_kiosk_goes_from_idle_to_reading_to_answer_and_back(rig: Rig) -> None:
    assert rig.service.snapshot_view("kiosk").phase is Phase.IDLE
    seen, end = _phases(rig, "kiosk")
    rig.kiosk(rig.member(1))
    rig.service.dismiss("kiosk")
    end()
    end()
    assert [phase for phase in seen if phase != "idle"] == ["reading", "answer"]
    assert seen[-1] == "idle"
    assert rig.service.snapshot_view("kiosk").answer is None


def test_a_new_card_takes_the_place_of_the_answer_before(rig: Rig) -> None:
    first = rig.kiosk(rig.member(1))
    second = rig.kiosk(rig.member(2))
    assert first.nonce != second.nonce
    rig.restart()
    unshown = rig.service.last_unshown("kiosk")
    assert unshown is not None
    assert unshown.nonce == second.nonce  # the first was shown when the second took its place


def test_the_view_carries_everything_a_page_draws_and_no_identity(rig: Rig) -> None:
    rig.connect()
    rig.kiosk(rig.member(1))
    view = rig.service.snapshot_view("kiosk")
    assert (view.venue_name, view.venue_name_en, view.profile) == ("孔庙", "Confucius", "kiosk")
    assert view.offer is not None
    assert (view.offer.title, view.offer.kind) == ("免费入馆", "entry")
    assert (view.signed, view.confirmed, view.size) == (1, 0, 3)
    assert (view.link.connected, view.link.pending) == (True, 3)
    assert view.demo
    text = json.dumps(plain(view), ensure_ascii=False)
    assert f"{1:016x}" not in text
    assert rig.entries()[-1]["card"] not in text
    assert json.loads(text)["answer"]["green"] is True


def test_signed_and_confirmed_are_redemptions_and_voids_under_a_receipt(rig: Rig) -> None:
    rig.counter(rig.member(1), "film", "n1")
    rig.counter(rig.member(1), "film", "n2")
    rig.service.void("counter", "n1", reason="other")
    view = rig.service.snapshot_view("counter")
    assert (view.signed, view.confirmed) == (2, 0)
    rig.service.parts.facts.update_link(acknowledged=len(rig.entries()) - 1)
    assert rig.service.snapshot_view("counter").confirmed == 1


def test_choices_put_what_can_be_taken_first_and_say_why_not(rig: Rig) -> None:
    with pytest.raises(NoCard):
        rig.service.choices("counter")
    size = len(rig.entries())
    rig.lay(rig.member(1))
    choices = rig.service.choices("counter")
    assert [(one.key, one.offer.id) for one in choices] == [
        ("1", "film"),
        ("2", "museum"),
        ("3", "proof"),
        ("", "clinic"),
        ("", "pack"),
    ]
    codes = {one.offer.id: one.code for one in choices}
    assert codes == {
        "film": "A01",
        "museum": "A01",
        "proof": "O11",
        "clinic": "T04",
        "pack": "L07",
    }
    assert len(rig.entries()) == size
    rig.service.tap("counter", "film", "n1")
    after = {one.offer.id: (one.key, one.code, one.usage) for one in rig.service.choices("counter")}
    assert after["film"] == ("", "L01", 1)
    assert {one.offer.stock_left for one in choices if one.offer.id == "pack"} == {0}


def test_ended_offers_are_left_out_and_coming_ones_say_when(rig: Rig) -> None:
    past = {"from": "2013-01-01T00:00:00+08:00", "until": "2014-01-01T00:00:00+08:00"}
    coming = {"from": "2014-06-01T00:00:00+08:00", "until": "2014-07-01T00:00:00+08:00"}
    offers = [{**OFFERS[0], "id": "old", **past}, {**OFFERS[0], "id": "soon", **coming}]
    catalogue = load_offers(json.dumps(offers).encode(), venues=rig.installed.catalogue.venues)
    rig.service.parts.facts.install(replace(rig.installed, catalogue=catalogue, version=2))
    rig.lay(rig.member(1))
    choices = rig.service.choices("counter")
    assert [(one.offer.id, one.code) for one in choices] == [("soon", "O02")]
    assert choices[0].until_ms == 1_401_552_000_000


@pytest.mark.parametrize(
    ("status", "code"),
    [(CardStatus.ACTIVE, ""), (CardStatus.BLOCKED, "C04"), (CardStatus.NOT_ACTIVE, "C08")],
)
def test_a_counter_sees_what_is_wrong_with_a_card_before_choosing(
    rig: Rig, status: CardStatus, code: str
) -> None:
    rig.lay(rig.member(1, status))
    card = rig.service.snapshot_view("counter").card
    assert card is not None
    assert (card.code, card.present, card.assurance) == (code, True, "authenticated")
    assert (card.message is None) == (not code)
    if code:
        assert all(not one.key for one in rig.service.choices("counter"))


def test_an_unknown_card_at_the_counter_is_c03(rig: Rig) -> None:
    rig.lay(rig.card(99))
    card = rig.service.snapshot_view("counter").card
    assert card is not None
    assert card.code == "C03"


def test_a_lifted_card_serves_one_redemption_within_a_minute(rig: Rig) -> None:
    rig.lay(rig.member(1))
    rig.lift()
    rig.clock.pass_ms(CARD_SESSION_MS - 1)
    assert rig.service.card_present("counter")
    assert rig.service.tap("counter", "film", "n1").code == "A01"
    assert not rig.service.card_present("counter")
    with pytest.raises(NoCard):
        rig.service.tap("counter", "museum", "n2")


def test_a_lifted_card_is_forgotten_after_a_minute(rig: Rig) -> None:
    rig.lay(rig.member(1))
    rig.lift()
    rig.clock.pass_ms(CARD_SESSION_MS)
    assert not rig.service.card_present("counter")
    assert rig.service.snapshot_view("counter").phase is Phase.IDLE


def test_a_card_that_stays_serves_several_offers_and_a_decline_keeps_it(rig: Rig) -> None:
    rig.lay(rig.member(1))
    assert rig.service.tap("counter", "film", "n1").code == "A01"
    assert rig.service.tap("counter", "museum", "n2").code == "A01"
    assert rig.service.tap("counter", "film", "n3").code == "L01"
    rig.lift()
    assert rig.service.tap("counter", "clinic", "n4").code == "T04"
    assert rig.service.card_present("counter")
    rig.service.dismiss("counter")
    assert not rig.service.card_present("counter")


def test_two_waiting_taps_do_not_share_a_card(rig: Rig) -> None:
    failed: list[str] = []

    def first() -> None:
        try:
            rig.service.tap("counter", "film", "n1", wait_ms=10_000)
        except NoCard as error:
            failed.append(str(error))

    thread = threading.Thread(target=first)
    thread.start()
    counter = rig.service.position("counter")
    while not counter.armed():
        pass
    waiting = counter.arm()
    thread.join()
    assert failed
    assert "another tap took its turn" in failed[0]
    counter.release(waiting)
    assert not counter.armed()


def test_a_reader_unplugged_is_told_and_comes_back(rig: Rig) -> None:
    rig.readers["kiosk"].stop()
    rig.close()
    rig.start()
    view = rig.watch("kiosk", lambda view: view.reader.state == "ready")
    assert view.reader.name == "kiosk reader"
    shown = {one.name: one.state for one in rig.service.status().readers}
    assert shown["kiosk reader"] == "ready"


def test_a_reader_of_no_position_is_not_read(tmp_path: Path, world: TestCa) -> None:
    rig = Rig(tmp_path / "t", world, start=False)
    rig.home = type(rig.home)(
        rig.home.path,
        replace(
            rig.home.config,
            positions=tuple(replace(one, reader="other") for one in rig.home.config.positions),
        ),
    )
    rig.start()
    size = len(rig.entries())
    rig.readers["kiosk"].insert(rig.member(1))
    rig.close()
    assert len(rig.entries()) == size


def test_a_terminal_without_a_snapshot_says_so(rig: Rig) -> None:
    assert any("sync pull" in one for one in rig.service.status().problems)


def test_a_bad_offer_in_a_signed_snapshot_is_o10_and_told(rig: Rig) -> None:
    offers = [*OFFERS, {**OFFERS[0], "id": "bad", "until": "1999"}]
    catalogue = load_offers(
        json.dumps(offers).encode(), venues=rig.installed.catalogue.venues, lenient=True
    )
    rig.service.parts.facts.install(replace(rig.installed, catalogue=catalogue))
    assert rig.counter(rig.member(1), "bad", "n1").code == "O10"
    assert any("bad" in one for one in rig.service.status().problems)
    assert rig.counter(rig.member(1), "film", "n2").code == "A01"


def test_a_receipt_in_the_members_hand_is_short_and_signed_by_the_ledgers_key(rig: Rig) -> None:
    from ledger.log.merkle import leaf_hash
    from ledger.log.note import Ed25519Verifier
    from ledger.log.proof import open_tap_receipt
    from ledger.log.reading import LogReader

    answer = rig.kiosk(rig.member(1))
    assert 0 < len(answer.receipt.encode()) <= 300
    assert answer.entry is not None
    key = Ed25519Verifier(rig.service.parts.origin, rig.keys.public_key("ledger"))
    receipt = open_tap_receipt(answer.receipt, [key])
    assert (receipt.origin, receipt.seq) == (rig.service.parts.origin, answer.entry)
    with LogReader.open(rig.home.ledger_path) as reader:
        entry = next(iter(reader.entries(receipt.seq, receipt.seq + 1)))
    assert leaf_hash(entry) == receipt.leaf
    assert rig.kiosk(rig.member(1)).receipt == ""


def test_close_may_be_called_twice_and_frees_the_ledger(rig: Rig) -> None:
    rig.close()
    rig.close()
    rig.start()
    assert rig.service.snapshot_view("kiosk").phase is Phase.IDLE
