from __future__ import annotations

from pathlib import Path

import pytest

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
    def power_cut(pin: str, salt: bytes) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr("terminal.supervisors._verifier", power_cut)
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
