from pathlib import Path

import pytest

from keys.errors import SecretInvalid
from terminal.staff import STAFF_FAILURES_MAX, STAFF_LOCKOUT_MS, StaffPin


def test_a_machine_without_a_pin_opens_to_nobody(tmp_path: Path) -> None:
    proof = StaffPin(tmp_path / "staff.json").enter("0000", 0)
    assert (proof.ok, proof.set) == (False, False)


def test_the_pin_opens_and_is_not_kept_in_the_clear(tmp_path: Path) -> None:
    file = tmp_path / "staff.json"
    StaffPin(file).set("246810")
    assert StaffPin(file).enter("246810", 0).ok
    assert not StaffPin(file).enter("246811", 0).ok
    assert b"246810" not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0


def test_wrong_pins_lock_the_corner_over_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "staff.json"
    StaffPin(file).set("1234")
    for _ in range(STAFF_FAILURES_MAX):
        locked = StaffPin(file).enter("9999", 1_000).locked_until_ms
    assert locked == 1_000 + STAFF_LOCKOUT_MS
    assert not StaffPin(file).enter("1234", 1_001).ok
    assert StaffPin(file).enter("1234", locked).ok


def test_a_pin_is_digits_and_a_damaged_file_opens_to_nobody(tmp_path: Path) -> None:
    file = tmp_path / "staff.json"
    with pytest.raises(SecretInvalid):
        StaffPin(file).set("12a4")
    file.write_text("[]")
    assert not StaffPin(file).enter("", 0).ok
