from __future__ import annotations

from pathlib import Path

import pytest

from keys.pin import pin_verifier
from terminal.errors import RequestInvalid
from terminal.journal import Journal
from terminal.supervisors import GRANT_MS, LOCKOUT_MS, PIN_FAILURES_MAX, Supervisors

CARD = "a" * 26


@pytest.fixture
def supervisors(tmp_path: Path) -> Supervisors:
    found = Supervisors(Journal(tmp_path / "state.db"))
    found.add("s1", "2468", CARD)
    return found


def test_a_pin_proves_its_owner_only(supervisors: Supervisors) -> None:
    assert supervisors.prove("s1", "2468", "counter", 0).ok
    for name, pin in (("s1", "2469"), ("s2", "2468"), ("", "2468"), ("s1", ""), ("s1", "２４６８")):
        assert not supervisors.prove(name, pin, "counter", 0).ok


def test_five_wrong_pins_lock_out_even_the_right_one_and_a_restart(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "state.db")
    supervisors = Supervisors(journal)
    supervisors.add("s1", "2468")
    for _ in range(PIN_FAILURES_MAX):
        proof = supervisors.prove("s1", "0000", "counter", 1_000)
    assert proof.locked_until_ms == 1_000 + LOCKOUT_MS
    journal.close()
    again = Supervisors(Journal(tmp_path / "state.db"))
    assert not again.prove("s1", "2468", "counter", LOCKOUT_MS).ok
    assert again.prove("s1", "2468", "counter", 1_000 + LOCKOUT_MS).ok


def test_a_right_pin_clears_the_count_and_a_past_lockout_starts_anew(
    supervisors: Supervisors,
) -> None:
    for _ in range(3):
        for _ in range(PIN_FAILURES_MAX - 1):
            supervisors.prove("s1", "0000", "counter", 0)
        assert supervisors.prove("s1", "2468", "counter", 0).ok
    for _ in range(PIN_FAILURES_MAX):
        supervisors.prove("s1", "0000", "counter", 0)
    assert supervisors.prove("s1", "0000", "counter", LOCKOUT_MS).locked_until_ms == 0


def test_the_guess_is_counted_before_it_is_compared(
    supervisors: Supervisors, monkeypatch: pytest.MonkeyPatch
) -> None:
    def power_cut(verifier: str, pin: str) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("terminal.supervisors.pin_matches", power_cut)
    with pytest.raises(KeyboardInterrupt):
        supervisors.prove("s1", "0000", "counter", 0)
    assert supervisors._journal.supervisors()[0].failures == 1


def test_an_own_card_opens_one_act_at_its_own_position_for_a_minute(
    supervisors: Supervisors,
) -> None:
    assert supervisors.card_tapped("b" * 26, "counter", 0) == ""
    assert supervisors.card_tapped("", "counter", 0) == ""
    assert supervisors.card_tapped(CARD, "counter", 0) == "s1"
    assert not supervisors.prove("s1", "", "other", 1).ok
    assert not supervisors.prove("s2", "", "counter", 1).ok
    assert supervisors.prove("s1", "", "counter", 1).ok
    assert not supervisors.prove("s1", "", "counter", 2).ok
    supervisors.card_tapped(CARD, "counter", 0)
    assert not supervisors.prove("s1", "", "counter", GRANT_MS).ok


@pytest.mark.parametrize(
    ("name", "pin"), [("", "1234"), ("a b", "1234"), ("s", "12"), ("s", "x" * 4)]
)
def test_malformed_ids_and_pins_are_refused(supervisors: Supervisors, name: str, pin: str) -> None:
    with pytest.raises(RequestInvalid):
        supervisors.add(name, pin)


def test_no_pin_is_stored(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "state.db")
    Supervisors(journal).add("s1", "975310864")
    journal.close()
    for path in tmp_path.iterdir():
        assert b"975310864" not in path.read_bytes()


def test_a_supervisor_is_provided_changed_and_withdrawn(tmp_path: Path) -> None:
    supervisors = Supervisors(Journal(tmp_path / "state.db"))
    first, second = pin_verifier("2468"), pin_verifier("1357")
    supervisors.provide("s1", first, "", active=True)
    assert supervisors.prove("s1", "2468", "counter", 0).ok
    for _ in range(PIN_FAILURES_MAX):
        supervisors.prove("s1", "0000", "counter", 0)
    supervisors.provide("s1", first, "", active=True)
    assert not supervisors.prove("s1", "2468", "counter", 0).ok  # repeated: still locked
    supervisors.provide("s1", second, CARD, active=True)
    assert supervisors.prove("s1", "1357", "counter", 0).ok
    assert supervisors.card_tapped(CARD, "counter", 0) == "s1"
    supervisors.provide("s1", "", "", active=False)
    assert not supervisors.prove("s1", "", "counter", 1).ok
    assert not supervisors.prove("s1", "1357", "counter", 0).ok
    assert supervisors.card_tapped(CARD, "counter", 0) == ""
    supervisors.provide("nobody", "", "", active=False)


def test_a_supervisor_with_a_card_alone_has_no_pin(supervisors: Supervisors) -> None:
    supervisors.provide("s2", "", "b" * 26, active=True)
    assert supervisors.card_tapped("b" * 26, "counter", 0) == "s2"
    for pin in ("", "0000"):
        assert not supervisors.prove("s2", pin, "other", 0).ok


@pytest.mark.parametrize(
    ("name", "verifier", "card"),
    [
        ("", pin_verifier("1234"), ""),
        ("s1", "1234", ""),
        ("s1", "", ""),
        ("s1", pin_verifier("1234").replace("m=19456", "m=999999"), ""),
        ("s1", pin_verifier("1234"), "A" * 26),
    ],
    # A verifier has fresh salt each time; as a name it would differ between test processes.
    ids=["no name", "a bare PIN", "nothing", "a costly verifier", "no card hash"],
)
def test_a_malformed_supervisor_is_refused_and_the_old_one_stays(
    supervisors: Supervisors, name: str, verifier: str, card: str
) -> None:
    with pytest.raises(RequestInvalid):
        supervisors.provide(name, verifier, card, active=True)
    assert supervisors.prove("s1", "2468", "counter", 0).ok
