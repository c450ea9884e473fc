"""Entries of a known shape are checked and encoded as if each were the first of its shape."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.entry import Kind, check
from ledger.errors import EntryInvalid, LedgerError, NotCanonical
from ledger.log import canonical, stamping
from ledger.log.recovery import Head
from tests.ledger.log.ledgers import BOOT, tap

WHOLE: dict[str, Any] = {**tap(1), "v": 1, "seq": 7, "boot": BOOT.boot, "agent": "b" * 26}
VALUES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["", "a" * 257, "\x7f", "\x1f", '"', "\\", "中文", "\ud800", "0" * 16]),
    st.integers(-(2**70), 2**70),
    st.sampled_from([2**53 - 1, 2**53, -(2**53), 1 - 2**53]),
    st.booleans(),
    st.floats(),
    st.lists(st.integers(), max_size=2),
)


def in_full(entry: dict[str, Any]) -> tuple[Kind, bytes]:
    return check(entry), canonical.encode(entry)


@given(st.dictionaries(st.sampled_from([*WHOLE, "note", "x1", "Bad"]), VALUES, max_size=4))
def test_a_known_shape_changes_no_verdict(change: dict[str, Any]) -> None:
    entry = {**WHOLE, **change}
    stamping.encode(dict(WHOLE))
    for _ in range(2):
        try:
            expected = in_full(entry)
        except LedgerError as error:
            with pytest.raises(type(error)):
                stamping.encode(entry)
        else:
            assert stamping.encode(entry) == expected


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"v": 0}, EntryInvalid),
        ({"boot": "00112233445566AA"}, EntryInvalid),
        ({"member": "0123456789abcde"}, EntryInvalid),
        ({"card": "a" * 25 + "1"}, EntryInvalid),
        ({"agent": "A" * 26}, EntryInvalid),
        ({"offer": "a" * 257}, EntryInvalid),
        ({"venue": "\x7f"}, EntryInvalid),
        ({"venue": "\n"}, EntryInvalid),
        ({"quantity": 2**53}, NotCanonical),
        ({"quantity": -(2**53)}, NotCanonical),
        ({"note": "x" * 4096}, NotCanonical),
        ({"operator": "\udc80"}, NotCanonical),
    ],
)
def test_what_a_known_shape_may_still_do_wrong(
    change: dict[str, Any], error: type[LedgerError]
) -> None:
    stamping.encode({**WHOLE, "note": "x"})
    with pytest.raises(error):
        stamping.encode({**WHOLE, "note": "x", **change})


def test_values_at_their_limits_are_taken() -> None:
    for change in ({"quantity": 2**53 - 1}, {"quantity": 1 - 2**53}, {"offer": "中" * 256}):
        entry = {**WHOLE, **change}
        assert stamping.encode(entry) == in_full(entry)


def test_a_switch_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamping, "_shapes", {})
    for value in (True, False, 1, True):
        entry = {**WHOLE, "closed": value}
        assert stamping.encode(entry) == in_full(entry)


def test_each_form_is_looked_at_in_every_entry() -> None:
    goods = {
        **{name: WHOLE[name] for name in "v seq boot ts_ms mono_ms offer venue".split()},
        "kind": "goods",
        "operator": "li",
        "quantity": 1,
        "movement": "held",
    }
    for name, good in (("member", "0" * 16), ("card", "a" * 26), ("agent", "a" * 26)):
        stamping.encode({**goods, name: good})
        with pytest.raises(EntryInvalid, match=name):
            stamping.encode({**goods, name: good[:-1]})


def test_integers_alone_may_be_too_long() -> None:
    many = {**WHOLE, **{f"x{number}": 1 for number in range(300)}}
    stamping.encode(many)
    with pytest.raises(NotCanonical, match="are more than 4096"):
        stamping.encode({**many, **{f"x{number}": 2**52 for number in range(300)}})


def test_a_commit_has_a_limit_of_entries_and_bytes() -> None:
    head = Head(boot=BOOT.boot)
    for count in (0, 501):
        with pytest.raises(EntryInvalid, match="1 to 500"):
            stamping.stamp([tap(1)] * count, head, BOOT.boot)
    made = stamping.stamp([tap(number) for number in range(500)], head, BOOT.boot)
    assert made.total_bytes == sum(len(row[1].encode()) + 1 for row in made.rows)
    assert [row[2] for row in made.rows] == [leaf[:8] for leaf in made.leaves]
    assert [seq for _, seq in made.nonces] == list(range(500))
    assert [row[0] for row in made.rows] == list(range(500))
    long = [tap(number, note="x" * 3_000) for number in range(300)]
    assert stamping.stamp(long[:200], head, BOOT.boot).total_bytes < 1_000_000
    with pytest.raises(EntryInvalid, match="1000000 bytes"):
        stamping.stamp(long, head, BOOT.boot)


def test_no_more_shapes_are_remembered_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamping, "SHAPES_MAX", 2)
    monkeypatch.setattr(stamping, "_shapes", {})
    for number in range(5):
        stamping.encode({**WHOLE, f"x{number}": 1})
    assert len(stamping._shapes) == 2


def test_an_array_or_an_odd_member_is_looked_at_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stamping, "_shapes", {})
    stamping.encode({**WHOLE, "list": ["a"]})
    stamping.encode({**WHOLE, "member": 1_234_567_890_123_456})
    assert stamping._shapes == {}
    with pytest.raises(EntryInvalid):
        stamping.encode({**WHOLE, "member": 1})


def test_the_clock_of_one_boot_never_runs_back() -> None:
    head = Head(boot=BOOT.boot, mono_ms=20_000)
    race = stamping.stamp([tap(1, mono_ms=20_000 - stamping.MONO_RACE_MS)], head, BOOT.boot)
    assert race.mono_ms == 20_000
    with pytest.raises(EntryInvalid, match="runs back"):
        stamping.stamp([tap(1, mono_ms=19_999 - stamping.MONO_RACE_MS)], head, BOOT.boot)
    assert stamping.stamp([tap(1, mono_ms=5)], head, "f" * 16).mono_ms == 5
    with pytest.raises(EntryInvalid, match="mono_ms"):
        stamping.stamp(
            [{key: value for key, value in tap(1).items() if key != "mono_ms"}], head, "f" * 16
        )
