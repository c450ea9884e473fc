from __future__ import annotations

import base64
import contextlib
import hashlib
import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.errors import RosterInvalid
from sync.roster import HEADER, STATUSES, Roster, RosterEntry, card_bytes
from sync.roster_build import Built, build_roster
from sync.roster_delta import HEADER as DELTA_HEADER
from sync.roster_delta import apply_delta, make_delta


def card(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()


def hashed(number: int) -> str:
    return card(hashlib.sha256(b"%d" % number).digest()[:16])


def build(
    path: Path, records: dict[str, RosterEntry], *, version: int = 1, older: Built | None = None
) -> Built:
    ordered = sorted(records.items(), key=lambda item: card_bytes(item[0]))
    return build_roster(
        path,
        ordered,
        version=version,
        as_of_ms=1_777_000_000_000 + version,
        card_key_id="k1",
        older=older.tables if older else None,
    )


ENTRIES = st.builds(
    RosterEntry,
    status=st.sampled_from(STATUSES),
    member=st.just("") | st.integers(1, 2**64 - 1).map(lambda n: f"{n:016x}"),
    suspended=st.booleans(),
    district=st.sampled_from(["", "xicheng", "东城"]),
    street=st.sampled_from(["", "desheng"]),
    tags=st.sets(st.sampled_from(["nursing", "model", "migrant"])).map(
        lambda tags: tuple(sorted(tags))
    ),
    expires=st.none() | st.tuples(st.integers(2010, 2051), st.integers(1, 12)),
)
# Few different prefixes, so that collisions are common.
CARDS = st.builds(
    lambda first, rest: card(bytes([first]) * 8 + bytes([rest]) * 8),
    st.integers(0, 255),
    st.integers(0, 255),
) | st.binary(min_size=16, max_size=16).map(card)


@given(st.dictionaries(CARDS, ENTRIES, max_size=30), st.lists(CARDS, max_size=10))
@settings(max_examples=60)
def test_every_card_is_found_exactly(
    tmp_path_factory: pytest.TempPathFactory,
    records: dict[str, RosterEntry],
    others: list[str],
) -> None:
    path = tmp_path_factory.mktemp("roster") / "roster.bin"
    built = build(path, records)
    prefixes = {card_bytes(one)[:8] for one in records}
    with Roster.open(path) as roster:
        assert (len(roster), built.count) == (len(records), len(records))
        assert (roster.version, roster.card_key_id) == (1, "k1")
        assert roster.as_of_ms == 1_777_000_000_001
        for one, entry in records.items():
            assert roster.lookup(one) == entry
        for one in others:
            if one not in records and card_bytes(one)[:8] not in prefixes:
                assert roster.lookup(one) is None


def test_equal_prefixes_are_told_apart(tmp_path: Path) -> None:
    cards = [card(b"same-pre" + bytes([n]) * 8) for n in (1, 2, 200)]
    records = {one: RosterEntry(STATUSES[n]) for n, one in enumerate(cards)}
    records[card(bytes(16))] = RosterEntry("blocked")
    records[card(b"\xff" * 16)] = RosterEntry("expired")
    build(tmp_path / "r", records)
    with Roster.open(tmp_path / "r") as roster:
        for one, entry in records.items():
            assert roster.lookup(one) == entry
        assert roster.lookup(card(b"same-pre" + bytes([3]) * 8)) is None
        assert roster.lookup(card(b"same-prf" + bytes([1]) * 8)) is None


@given(st.text("abcdefghijklmnopqrstuvwxyz234567189A=", max_size=30))
def test_card_hashes_are_read_as_base32_is(text: str) -> None:
    try:
        expected = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except ValueError:
        expected = b""
    good = len(text) == 26 and card(expected) == text
    if good:
        assert card_bytes(text) == expected
    else:
        with pytest.raises(RosterInvalid):
            card_bytes(text)


def _pairs(*cards: str) -> Iterable[tuple[str, RosterEntry]]:
    return [(one, RosterEntry("active")) for one in cards]


@pytest.mark.parametrize(
    ("records", "what"),
    [
        (_pairs(card(b"b" * 16), card(b"a" * 16)), "record 2"),
        (_pairs(card(b"a" * 16), card(b"a" * 16)), "record 2"),
        (_pairs("A" * 26), "record 1"),
        ([(card(b"a" * 16), RosterEntry("lost"))], "record 1: status"),
        ([(card(b"a" * 16), RosterEntry("active", "0" * 16))], "record 1: member"),
        ([(card(b"a" * 16), RosterEntry("active", "12"))], "record 1: member"),
        ([(card(b"a" * 16), RosterEntry("active", expires=(2009, 12)))], "record 1: expiry"),
        ([(card(b"a" * 16), RosterEntry("active", expires=(2030, 13)))], "record 1: expiry"),
    ],
)
def test_a_faulty_record_is_named_and_the_old_file_stays(
    tmp_path: Path, records: Iterable[tuple[str, RosterEntry]], what: str
) -> None:
    path = tmp_path / "r"
    build(path, {card(b"a" * 16): RosterEntry("active")})
    before = path.read_bytes()
    with pytest.raises(RosterInvalid, match=what):
        build_roster(path, records, version=2, as_of_ms=0, card_key_id="")
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["r"]


@given(st.data())
@settings(max_examples=60)
def test_a_damaged_file_is_refused_or_answers_without_a_crash(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("roster") / "roster.bin"
    records = {hashed(n): RosterEntry("active", f"{n + 1:016x}") for n in range(9)}
    build(path, records)
    raw = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del raw[data.draw(st.integers(0, len(raw) - 1)) :]
    for _ in range(data.draw(st.integers(0, 3))):
        if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw)
    with contextlib.suppress(RosterInvalid), Roster.open(path) as roster:
        for n in range(12):
            with contextlib.suppress(RosterInvalid):
                roster.lookup(hashed(n))


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    build(tmp_path / "r", {hashed(1): RosterEntry("active")})
    data = (tmp_path / "r").read_bytes()
    for length in (0, 1, HEADER.size - 1, HEADER.size, len(data) - 1):
        (tmp_path / "r").write_bytes(data[:length])
        with pytest.raises(RosterInvalid):
            Roster.open(tmp_path / "r")


def _delta(tmp_path: Path, one: dict[str, RosterEntry], two: dict[str, RosterEntry]) -> bytes:
    first = build(tmp_path / "one", one)
    build(tmp_path / "two", two, version=2, older=first)
    with Roster.open(tmp_path / "one") as older, Roster.open(tmp_path / "two") as newer:
        delta = make_delta(older, newer)
    assert delta is not None
    (tmp_path / "delta").write_bytes(delta)
    apply_delta(tmp_path / "one", tmp_path / "delta", tmp_path / "made")
    assert (tmp_path / "made").read_bytes() == (tmp_path / "two").read_bytes()
    return delta


UNIQUE = st.integers(0, 40).map(hashed)


@given(st.dictionaries(UNIQUE, ENTRIES, max_size=30), st.dictionaries(UNIQUE, ENTRIES, max_size=30))
@settings(max_examples=60)
def test_a_delta_gives_the_very_bytes_of_the_new_roster(
    tmp_path_factory: pytest.TempPathFactory,
    one: dict[str, RosterEntry],
    two: dict[str, RosterEntry],
) -> None:
    folder = tmp_path_factory.mktemp("delta")
    _delta(folder, one, two)
    _delta(folder, one, {**one, **two})


def test_a_day_of_four_hundred_changes_is_two_kilobytes(tmp_path: Path) -> None:
    one = {hashed(n): RosterEntry("active", f"{n + 1:016x}", tags=("a",)) for n in range(40_000)}
    two = dict(one)
    for n in range(0, 40_000, 100):
        two[hashed(n)] = RosterEntry("blocked", f"{n + 1:016x}", tags=("a",))
    assert len(_delta(tmp_path, one, two)) <= 2_048


def test_a_delta_fits_one_roster_only_and_applies_whole(tmp_path: Path) -> None:
    one = {hashed(n): RosterEntry("active") for n in range(20)}
    two = {**one, hashed(30): RosterEntry("blocked", district="x")}
    delta = _delta(tmp_path, one, two)
    (tmp_path / "made").unlink()
    for bad in (delta[:-1], delta + b"\0", b"", delta[:40] + b"\xff" * 8 + delta[48:]):
        (tmp_path / "bad").write_bytes(bad)
        with pytest.raises(RosterInvalid):
            apply_delta(tmp_path / "one", tmp_path / "bad", tmp_path / "made")
    with pytest.raises(RosterInvalid, match="leads from"):
        apply_delta(tmp_path / "two", tmp_path / "delta", tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_a_delta_that_changes_one_record_twice_is_refused(tmp_path: Path) -> None:
    one = {hashed(n): RosterEntry("active") for n in range(9)}
    first = build(tmp_path / "one", one)
    tables = b'{"card_key_id":"k1","places":[],"tagsets":[],"profiles":[]}'
    # Twice the status of record 5, and record 7 gone: the count would come out right.
    changes = bytes([5, 1, 0, 2, 2, 10])
    head = DELTA_HEADER.pack(b"redcard-rdelta/2", 1, 2, 0, 9, first.count, 3, len(tables))
    (tmp_path / "delta").write_bytes(head + zlib.compress(tables + changes))
    with pytest.raises(RosterInvalid, match="twice"):
        apply_delta(tmp_path / "one", tmp_path / "delta", tmp_path / "made")
    assert not (tmp_path / "made").exists()


@given(st.data())
@settings(max_examples=80)
def test_a_damaged_delta_never_crashes(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("delta")
    one = {hashed(n): RosterEntry("active", f"{n + 1:016x}") for n in range(12)}
    two = {hashed(n): RosterEntry("blocked", f"{n + 2:016x}", tags=("t",)) for n in range(3, 15)}
    delta = bytearray(_delta(folder, one, two))
    for _ in range(data.draw(st.integers(1, 3))):
        delta[data.draw(st.integers(0, len(delta) - 1))] = data.draw(st.integers(0, 255))
    (folder / "delta").write_bytes(delta)
    with contextlib.suppress(RosterInvalid):
        apply_delta(folder / "one", folder / "delta", folder / "made2")


def test_rosters_with_collisions_have_no_delta(tmp_path: Path) -> None:
    twins = {card(b"same-pre" + bytes([n]) * 8): RosterEntry("active") for n in (1, 2)}
    build(tmp_path / "one", twins)
    with Roster.open(tmp_path / "one") as roster:
        assert make_delta(roster, roster) is None


def test_tables_that_were_not_continued_have_no_delta(tmp_path: Path) -> None:
    build(tmp_path / "one", {hashed(1): RosterEntry("active", district="a")})
    build(tmp_path / "two", {hashed(1): RosterEntry("active", district="b")}, version=2)
    with Roster.open(tmp_path / "one") as one, Roster.open(tmp_path / "two") as two:
        assert make_delta(one, two) is None
