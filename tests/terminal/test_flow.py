"""The whole path with virtual red cards on virtual readers and a real ledger on disk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from ledger.codes import Code
from ledger.rules.terms import CardStatus, MemberStatus
from readers.connection import Interface
from readers.virtual.authority import SigningKey
from readers.virtual.box import Faults, FaultyCard
from readers.virtual.unionpay import make_pan
from terminal.answers import Phase, TapAnswer
from terminal.errors import NoCard, PositionUnknown, RequestInvalid
from tests.terminal.rig import Rig, hash_of


def test_a_good_card_at_the_kiosk_is_green_and_in_the_ledger(rig: Rig) -> None:
    answer = rig.kiosk(rig.member(1))
    assert (answer.outcome, answer.code, answer.green) == ("approve", "A01", True)
    assert answer.message.zh.big == "请进"
    assert (answer.usage, answer.replay, answer.reversed) == (1, False, False)
    last = rig.entries()[-1]
    assert answer.entry == last["seq"]
    assert last["kind"] == "redeem"
    assert last["card"] == hash_of(make_pan(1))
    assert last["member"] == f"{1:016x}"
    assert (last["scheme"], last["assurance"], last["mode"], last["position"]) == (
        "unionpay",
        "authenticated",
        "offline",
        "kiosk",
    )


def test_a00_and_a01_say_whether_the_server_was_heard_within_30_seconds(rig: Rig) -> None:
    card = rig.member(1)
    rig.connect()
    assert rig.counter(card, "proof", "n1", evidence={"ticket": "7"}).code == "A00"
    rig.clock.pass_ms(30_000)
    assert rig.counter(card, "proof", "n2", evidence={"ticket": "7"}).code == "A00"
    rig.clock.pass_ms(1)
    assert rig.counter(card, "proof", "n3", evidence={"ticket": "7"}).code == "A01"
    rig.connect()
    rig.service.parts.facts.update_link(failed=True)
    assert rig.counter(card, "proof", "n4", evidence={"ticket": "7"}).code == "A01"


def test_the_second_tap_of_a_day_is_a_decline_that_is_recorded(rig: Rig) -> None:
    card = rig.member(1)
    first, second = rig.kiosk(card), rig.kiosk(card)
    assert (first.code, second.code) == ("A01", "L02")
    assert (second.outcome, second.green, second.usage) == ("decline", False, 1)
    assert second.until_ms == 1_401_465_600_000  # the next local midnight
    assert rig.kinds()[-2:] == ["redeem", "decline"]
    rig.clock.pass_ms(14 * 3_600_000)
    assert rig.kiosk(card).code == "A01"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (CardStatus.BLOCKED, "C04"),
        (CardStatus.REPLACED, "C05"),
        (CardStatus.EXPIRED, "C06"),
        (CardStatus.NOT_ACTIVE, "C08"),
    ],
)
def test_what_the_roster_says_of_a_card(rig: Rig, status: CardStatus, code: str) -> None:
    answer = rig.kiosk(rig.member(1, status))
    assert (answer.outcome, answer.code) == ("decline", code)
    assert rig.entries()[-1]["card"] == hash_of(make_pan(1))


def test_case_13_an_unknown_card_leaves_its_hash_and_no_member(rig: Rig) -> None:
    assert rig.kiosk(rig.card(99)).code == "C03"
    last = rig.entries()[-1]
    assert (last["kind"], last["card"]) == ("decline", hash_of(make_pan(99)))
    assert "member" not in last


def test_a_forged_card_is_c02_and_leaves_no_member(rig: Rig) -> None:
    card = rig.member(1)
    forged = rig.card(1, signer=SigningKey(rig.world.issuer.public, 3))
    answer = rig.kiosk(forged)
    assert (answer.outcome, answer.code) == ("decline", "C02")
    assert "member" not in rig.entries()[-1]
    assert rig.entries()[-1]["card"] == hash_of(make_pan(1)), "which card it claims to be"
    assert rig.kiosk(card).code == "A01"


def test_a_card_that_only_says_who_it_is_is_not_believed_and_told_what_would_help(rig: Rig) -> None:
    answer = rig.kiosk(rig.member(1, signature_in="nowhere"))
    assert (answer.outcome, answer.code, answer.advice) == ("decline", "C02", "use_contact")
    last = rig.entries()[-1]
    assert (last["assurance"], last["card"]) == ("identified", hash_of(make_pan(1)))
    assert "member" not in last


def test_the_chips_own_expiry_is_c06_but_a_block_wins(rig: Rig) -> None:
    expired: dict[str, Any] = {
        "expires": date(2014, 4, 30),
        "issuer_expires": date(2019, 5, 31),
        "icc_expires": date(2019, 5, 31),
    }
    assert rig.kiosk(rig.member(1, **expired)).code == "C06"
    assert rig.kiosk(rig.member(2, CardStatus.BLOCKED, **expired)).code == "C04"


def test_a_suspended_member_is_m01(rig: Rig) -> None:
    assert rig.kiosk(rig.member(1, member_status=MemberStatus.SUSPENDED)).code == "M01"


@pytest.mark.parametrize("faults", [Faults(tear_at=2), Faults(endless_at=2)])
def test_case_25_a_card_that_fails_in_between_is_c01_without_an_entry(
    rig: Rig, faults: Faults
) -> None:
    card = rig.member(1)
    size = len(rig.entries())
    answer = rig.kiosk(FaultyCard(card, faults))
    assert (answer.outcome, answer.code, answer.entry) == ("error", "C01", None)
    assert len(rig.entries()) == size
    assert rig.kiosk(card).code == "A01"


def test_case_24_two_cards_are_c07_without_an_entry(rig: Rig) -> None:
    size = len(rig.entries())
    reader = rig.readers["kiosk"]
    first, second = rig.member(1), rig.member(2)
    reader.stop()
    reader.insert(first)
    reader.insert(second)
    reader.start(rig.service.reception)
    view = rig.watch("kiosk", lambda view: view.phase is Phase.ANSWER)
    assert (view.answer.outcome, view.answer.code) == ("error", "C07")
    assert len(rig.entries()) == size


def test_case_3_the_same_nonce_answers_the_same_also_without_a_card(rig: Rig) -> None:
    card = rig.member(1)
    first = rig.counter(card, "film", "n1")
    size = len(rig.entries())
    again = rig.counter(card, "film", "n1")
    absent = rig.service.tap("counter", "film", "n1")
    for answer in (again, absent):
        assert (answer.outcome, answer.code, answer.entry) == ("approve", "A01", first.entry)
        assert (answer.replay, answer.usage, answer.ts_ms) == (True, 1, first.ts_ms)
    assert len(rig.entries()) == size
    declined = rig.counter(card, "film", "n2")
    assert rig.counter(card, "film", "n2").entry == declined.entry
    assert rig.service.tap("counter", "film", "n2").until_ms == declined.until_ms


@pytest.mark.parametrize(
    "ask",
    [
        lambda rig: rig.counter(rig.member(2), "film", "n1"),
        lambda rig: rig.counter(rig.member(1), "proof", "n1", evidence={"ticket": "7"}),
        lambda rig: rig.counter(rig.member(1), "film", "n1", quantity=2),
        lambda rig: rig.counter(rig.member(1), "film", "n1", companions=1),
        lambda rig: rig.service.tap("counter", "film", "n1", quantity=2),
    ],
)
def test_a_nonce_with_other_content_is_t07(rig: Rig, ask: Callable[[Rig], TapAnswer]) -> None:
    rig.counter(rig.member(1), "film", "n1")
    size = len(rig.entries())
    answer = ask(rig)
    assert (answer.outcome, answer.code, answer.entry) == ("error", "T07", None)
    assert len(rig.entries()) == size


def test_case_4_eight_taps_of_one_card_at_once_approve_one(rig: Rig) -> None:
    rig.lay(rig.member(1))
    answers = _at_once(8, lambda n: rig.service.tap("counter", "film", f"n{n}"))
    codes = sorted(str(answer.code) for answer in answers)
    assert codes == ["A01"] + ["L01"] * 7
    assert rig.kinds().count("redeem") == 1


def test_case_5_eight_sends_of_one_nonce_are_one_entry(rig: Rig) -> None:
    rig.lay(rig.member(1))
    answers = _at_once(8, lambda n: rig.service.tap("counter", "film", "same"))
    assert {(one.outcome, one.code, one.entry, one.usage) for one in answers} == {
        ("approve", "A01", answers[0].entry, 1)
    }
    assert sum(not answer.replay for answer in answers) == 1
    assert rig.kinds().count("redeem") == 1


def _at_once(count: int, call: Callable[[int], TapAnswer]) -> list[TapAnswer]:
    gate, answers = threading.Barrier(count), []

    def run(number: int) -> None:
        gate.wait()
        answers.append(call(number))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == count
    return answers


def test_case_6_a_tap_without_a_nonce_is_refused_and_says_so(rig: Rig) -> None:
    with pytest.raises(RequestInvalid) as caught:
        rig.service.tap("counter", "film", "")
    assert caught.value.word == "nonce_required"


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("nonce", {"nonce": "a\nb"}),
        ("nonce", {"nonce": "x" * 65}),
        ("quantity", {"quantity": 0}),
        ("quantity", {"quantity": True}),
        ("companions", {"companions": -1}),
        ("wait_ms", {"wait_ms": 10**9}),
        ("reason", {"reason": "because the member asked"}),
        ("offer", {"offer": "a b"}),
        ("offer", {"offer": ""}),
        ("evidence.ticket", {"evidence": {"ticket": "x" * 500}}),
    ],
)
def test_malformed_requests_are_refused_by_field(
    rig: Rig, field: str, more: dict[str, Any]
) -> None:
    size = len(rig.entries())
    arguments = {"offer": "film", "nonce": "n1", **more}
    with pytest.raises(RequestInvalid) as caught:
        rig.service.tap("counter", **arguments)
    assert caught.value.field == field
    assert len(rig.entries()) == size


def test_an_unknown_position_names_those_there_are(rig: Rig) -> None:
    with pytest.raises(PositionUnknown, match="kiosk, counter"):
        rig.service.tap("desk", "film", "n1")


def test_case_10_a_dry_run_writes_nothing_and_binds_nothing(rig: Rig) -> None:
    rig.lay(rig.member(1))
    size = len(rig.entries())
    dry = rig.service.tap("counter", "film", "n1", simulate=True)
    assert (dry.outcome, dry.code, dry.entry, dry.green) == ("approve", "A01", None, False)
    assert len(rig.entries()) == size
    assert rig.service.outcome_of("n1") is None
    assert rig.service.tap("counter", "film", "n1").code == "A01"


def test_case_41_to_43_a_refer_binds_nothing_and_is_answered_with_the_same_nonce(rig: Rig) -> None:
    rig.lay(rig.member(1))
    size = len(rig.entries())
    for evidence in ({}, {"ticket": "  "}):
        answer = rig.service.tap("counter", "proof", "n1", evidence=evidence)
        assert (answer.outcome, answer.code) == ("refer", "O11")
    assert len(rig.entries()) == size
    answer = rig.service.tap("counter", "proof", "n1", evidence={"ticket": "77 8899"})
    assert answer.code == "A01"
    last = rig.entries()[-1]
    assert last["evidence"] == ["ticket"]
    assert "8899" not in str(last)


def test_an_offer_that_the_snapshot_does_not_have_is_o01(rig: Rig) -> None:
    assert rig.counter(rig.member(1), "nothing", "n1").code == "O01"
    assert rig.entries()[-1]["offer"] == "nothing"


def test_case_57_an_online_offer_without_a_connection_is_t04(rig: Rig) -> None:
    answer = rig.counter(rig.member(1), "clinic", "n1")
    assert (answer.outcome, answer.code) == ("decline", "T04")


def test_case_56_the_offline_cap_counts_what_no_receipt_covers(rig: Rig) -> None:
    for serial in range(1, 4):
        assert rig.counter(rig.member(serial), "film", f"n{serial}").code == "A01"
    assert rig.counter(rig.member(4), "film", "n4").code == "L08"
    rig.service.parts.facts.update_link(acknowledged=len(rig.entries()))
    assert rig.counter(rig.member(4), "film", "n5").code == "A01"
    rig.connect()


def test_a_decide_that_raises_makes_the_tap_fail_and_shows_no_green(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    card = rig.member(1)
    rig.lay(card)
    size = len(rig.entries())
    monkeypatch.setattr("terminal.flow.decide", broken)
    answer = rig.kiosk(card)
    assert (answer.outcome, answer.code, answer.green) == ("error", None, False)
    with pytest.raises(ZeroDivisionError):
        rig.service.tap("counter", "film", "n1")
    assert len(rig.entries()) == size
    monkeypatch.undo()
    assert rig.kiosk(card).code == "A01"


def test_without_a_card_nothing_happens(rig: Rig) -> None:
    size = len(rig.entries())
    with pytest.raises(NoCard, match="Nothing was recorded"):
        rig.service.tap("counter", "film", "n1")
    with pytest.raises(NoCard, match="within 20 ms"):
        rig.service.tap("kiosk", "museum", "n1", wait_ms=20)
    assert len(rig.entries()) == size


def test_an_armed_tap_takes_the_next_card_instead_of_the_kiosks_own_offer(rig: Rig) -> None:
    card = rig.member(1)
    found: list[TapAnswer] = []
    thread = threading.Thread(
        target=lambda: found.append(
            rig.service.tap("kiosk", "proof", "n1", evidence={"ticket": "7"}, wait_ms=10_000)
        )
    )
    thread.start()
    kiosk = rig.service.position("kiosk")
    while not kiosk.armed():
        pass
    rig.readers["kiosk"].insert(card)
    thread.join()
    assert (found[0].code, found[0].offer) == ("A01", "proof")
    rig.readers["kiosk"].remove()
    rig.watch("kiosk", lambda view: view.reader.state == "ready")
    assert rig.kinds().count("redeem") == 1
    view = rig.watch("kiosk", lambda view: view.phase is Phase.ANSWER)
    assert view.answer.nonce == "n1"


def test_a_contact_card_takes_the_same_path(rig: Rig) -> None:
    assert rig.kiosk(rig.member(1, interface=Interface.CONTACT)).code == "A01"


def test_the_snapshots_age_locks_the_terminal(rig: Rig) -> None:
    rig.close()
    rig.home = type(rig.home)(rig.home.path, replace(rig.home.config, snapshot_max_age_ms=72_000))
    rig.start()
    card = rig.member(1)
    rig.clock.pass_ms(36_000)
    assert rig.counter(card, "film", "n1").code == "T02"  # degraded: capped offers stop
    assert rig.kiosk(card).code == "A01"
    rig.clock.pass_ms(36_000)
    assert rig.kiosk(card).code == "T02"
    assert rig.service.snapshot_view("kiosk").closed_code == "T02"


def test_case_80_a_clock_set_back_is_t03_and_one_clock_entry(rig: Rig) -> None:
    card = rig.member(1)
    time = rig.service.parts.facts.time
    time.signed(rig.clock.wall)
    rig.clock.wall -= 120_001
    assert rig.kiosk(card).code == "T03"
    assert rig.kiosk(card).code == "T03"
    assert rig.kinds().count("clock") == 1
    noted = next(entry for entry in rig.entries() if entry["kind"] == "clock")
    assert noted["offset_ms"] < -120_000
    assert rig.entries()[-1]["ts_ms"] >= rig.clock.wall + 120_001
    rig.clock.wall += 120_001
    assert rig.kiosk(card).code == "A01"
    assert rig.kinds().count("clock") == 2


def test_the_floor_survives_a_restart(rig: Rig) -> None:
    card = rig.member(1)
    time = rig.service.parts.facts.time
    rig.service.parts.journal.store_floor(time.signed(rig.clock.wall))
    rig.clock.pass_ms(600_000)
    rig.close()
    rig.clock.wall -= 3_600_000
    rig.start()
    assert rig.kiosk(card).code == "T03"


def test_a_revoked_ledger_takes_no_taps(rig: Rig) -> None:
    card = rig.member(1)
    rig.service.parts.facts.heard(revoked=True)
    assert rig.kiosk(card).code == "T01"
    assert rig.service.snapshot_view("kiosk").closed_code == "T01"


def test_every_code_that_a_tap_answers_has_words(rig: Rig) -> None:
    answer = rig.kiosk(rig.card(99))
    assert answer.name == "card_unknown"
    for line in (answer.message.zh, answer.message.en, answer.message.operator_zh):
        assert line.big
        assert "{" not in line.big + line.small
    assert Code(str(answer.code)) is Code.C03
