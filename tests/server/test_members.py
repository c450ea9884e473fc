"""Lists of cards: hashes in, numbers refused, differences only."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from ledger.rules.offer import CardStatus
from server.card_list import hash_numbers, looks_like_number, luhn, read_rows, roster_records
from server.core import ServerCore
from server.errors import ImportRefused
from server.known import card_histories
from server.schema import cards, members
from sync.roster import Roster
from tests.server.world import Time, card, member, people, play

HEAD = "card,member,status,district,street,tags,last4\n"
#: A number with its check digit, of nobody's card.
NUMBER = "6210981234567890121"


def line(n: int, **more: str) -> str:
    row = {"status": "active", "district": "东城区", "street": "", "tags": "", "last4": "1234"}
    row |= more
    return f"{card(n)},{member(n)}," + ",".join(row.values()) + "\n"


async def count(core: ServerCore, table: Any) -> int:
    async with core.database.reading() as connection:
        return int(await connection.scalar(select(func.count()).select_from(table)) or 0)


def test_only_differences_are_new_states(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        before = await count(core, cards), await count(core, members)
        data = (HEAD + line(100) + line(101, tags="nursing young")).encode()
        report = await core.import_members(data)
        assert (report.rows, report.cards, report.members, report.faults) == (2, 2, 2, ())
        report = await core.import_members(data)
        assert (report.cards, report.members) == (0, 0)
        time.pass_(1000)
        changed = HEAD + line(100, status="blocked") + line(101, tags="nursing young")
        report = await core.import_members(changed.encode())
        assert (report.cards, report.members) == (1, 0)
        assert await count(core, cards) == before[0] + 3
        async with core.database.reading() as connection:
            held = await card_histories(connection, [card(100)])
        states = sorted(held[card(100)], key=lambda one: one[0])
        assert [state.status for _, state in states] == [CardStatus.ACTIVE, CardStatus.BLOCKED]

    play(run, home, database_url)


def test_a_faulty_row_is_told_and_stops_nothing_else(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        data = HEAD + line(100) + "nonsense,,\n" + line(101, status="melted") + line(102)
        report = await core.import_members(data.encode())
        assert (report.rows, report.cards, report.faulty) == (4, 2, 2)
        assert [number for number, _ in report.faults] == [3, 4]

    play(run, home)


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (HEAD + line(100) + f"{NUMBER},{member(1)},active,,,,\n", "line 3"),
        (HEAD + line(100) + line(101, street=f"no {NUMBER[:4]} {NUMBER[4:]}"), "line 3"),
        (HEAD + f"{card(1)},{NUMBER},active,,,,\n", "line 2"),
        ("card,name\n", "line 1"),
        ("card,member,name\n", "line 1"),
        ("", "line 1"),
    ],
)
def test_a_file_is_refused_whole_with_its_line(home: Path, data: str, where: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        before = await count(core, cards)
        with pytest.raises(ImportRefused, match=where) as refused:
            await core.import_members(data.encode())
        assert NUMBER not in str(refused.value)
        assert await count(core, cards) == before

    play(run, home)


def test_a_reference_with_a_letter_is_no_card_number() -> None:
    reference = "622222220007abcd"  # its first twelve digits pass the check of card numbers
    assert looks_like_number(reference)
    assert len(read_rows(f"{HEAD}{card(1)},{reference},active,,,,\n").rows) == 1
    with pytest.raises(ImportRefused, match="line 2"):
        read_rows(f"{HEAD}{card(1)},6222222222222225,active,,,,\n")


def test_bytes_that_are_no_text_are_refused_with_their_line(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        with pytest.raises(ImportRefused, match="line 2"):
            await core.import_members(HEAD.encode() + b"\xff\xfe")

    play(run, home)


def test_the_roster_says_what_was_imported(home: Path, tmp_path: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        await core.set_card(card(1), "blocked")
        await core.set_member(member(2), "suspended")
        data = core.repository.target("status/roster.bin")
        assert data is not None
        path = tmp_path / "roster.bin"
        path.write_bytes(data)
        with Roster.open(path) as roster:
            blocked, suspended = roster.lookup(card(1)), roster.lookup(card(2))
            assert blocked is not None
            assert blocked.status == "blocked"
            assert suspended is not None
            assert suspended.suspended
            assert suspended.member == member(2)
            assert roster.lookup(card(999)) is None

    play(run, home)


def test_unknown_cards_and_statuses_are_refused(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        for who, status in ((card(1), "unknown"), (card(999), "blocked")):
            with pytest.raises(ImportRefused):
                await core.set_card(who, status)
        with pytest.raises(ImportRefused):
            await core.set_member(member(1), "gone")

    play(run, home)


@given(st.integers(0, 10**18 - 1).map(str))
def test_numbers_are_found_however_they_are_written(digits: str) -> None:
    whole = next(digits + str(d) for d in range(10) if luhn(digits + str(d)))
    spaced = " ".join(whole[at : at + 4] for at in range(0, len(whole), 4))
    for text in (whole, spaced, spaced.replace(" ", "-"), f"card {whole}."):
        assert looks_like_number(text) == (12 <= len(whole) <= 19)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_rows(text)
    except ImportRefused:
        pass
    except csv.Error:
        raise AssertionError("undeclared error") from None


def test_the_tool_hashes_numbers_as_a_terminal_does() -> None:
    from hashlib import sha256

    from keys.derivation import card_hash

    def mac(data: bytes) -> bytes:
        return sha256(data).digest()

    text = f"number,member\n{NUMBER[:6]} {NUMBER[6:]},{member(1)}\n"
    rows = list(hash_numbers(text.splitlines(keepends=True), mac))
    assert rows[0] == ["card", "last4", "member"]
    assert rows[1] == [card_hash(mac, "unionpay", NUMBER.encode()), "0121", member(1)]
    sheet = io.StringIO()
    csv.writer(sheet).writerows(rows)
    assert len(read_rows(sheet.getvalue()).rows) == 1
    with pytest.raises(ImportRefused, match="line 2") as refused:
        list(hash_numbers(["number\n", "12x4\n"], mac))
    assert "12x4" not in str(refused.value)


def test_roster_records_ascend() -> None:
    from sync.roster import card_bytes

    order = [card_bytes(one) for one, _ in roster_records(people(200))]
    assert order == sorted(order)
