"""Signed lists of members: from whom, in turn, once; and their way over the network."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.keystore import KeyKind, MemoryKeyStore
from ledger.log.note import KeySigner, sign_note, vkey
from server.app import create_app
from server.core import ServerCore
from server.errors import ImportRefused, NotAllowed
from server.member_feed import FeedStatement, read_statement
from server.roles import CONSOLE_ACTOR, Actor, Role
from tests.server.world import Time, card, member, play

HEAD = "card,member,status,year,expires,issued,replaced_by\n"


def signer(source: str = "huiyuan") -> KeySigner:
    store = MemoryKeyStore()
    store.generate("feed", KeyKind.ED25519)
    return KeySigner(source, lambda data: store.sign("feed", data), store.public_key("feed"))


def signed(by: KeySigner, number: int, data: bytes) -> bytes:
    digest = hashlib.sha256(data).hexdigest()
    return sign_note(FeedStatement(by.name, number, digest).text(), [by])


def rows(*lines: str) -> bytes:
    return (HEAD + "".join(f"{line}\n" for line in lines)).encode()


def test_lists_are_taken_in_turn_and_once(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, _time: Time) -> None:
        by, other = signer(), signer()
        feed = core.member_feed
        first = rows(f"{card(100)},{member(100)},active,2014,2017-03,2013-11-30,")
        with pytest.raises(ImportRefused, match="sends no lists"):
            await feed.take(first, signed(by, 1, first))
        with pytest.raises(NotAllowed):
            await feed.set_source(Actor("h", Role.HOTLINE), "huiyuan", vkey(by.name, by.public_key))
        with pytest.raises(ImportRefused, match="vkey"):
            await feed.set_source(CONSOLE_ACTOR, "huiyuan", "nonsense")
        await feed.set_source(CONSOLE_ACTOR, "huiyuan", vkey(by.name, by.public_key))
        report = await feed.take(first, signed(by, 1, first))
        assert (report.rows, report.cards) == (1, 1)
        assert await feed.take(first, signed(by, 1, first)) == report, "again: the same answer"
        # The bank has replaced the card; a row of nonsense is told and stops nothing.
        second = rows(
            f"{card(100)},{member(100)},active,2014,2017-03,2013-11-30,{card(101)}",
            "nonsense,,,,,,",
            f"{card(101)},{member(100)},active,2014,2019-05,2014-05-01,",
        )
        for note, why in (
            (signed(other, 2, second), "note"),
            (signed(by, 2, first), "not the one"),
            (signed(by, 1, second), "in their order"),
        ):
            with pytest.raises(ImportRefused, match=why):
                await feed.take(second, note)
        report = await feed.take(second, signed(by, 2, second))
        assert (report.cards, report.faulty, report.faults[0][0]) == (2, 1, 3)
        await _check_roster(core)
        assert [(one.source, one.number) for one in await feed.sources(CONSOLE_ACTOR)] == [
            ("huiyuan", 2)
        ]
        await feed.set_source(CONSOLE_ACTOR, "huiyuan", vkey(by.name, by.public_key), active=False)
        with pytest.raises(ImportRefused, match="sends no lists"):
            await feed.take(second, signed(by, 3, second))

    play(run, home, database_url)


async def _check_roster(core: ServerCore) -> None:
    from sync.roster import Roster

    data = core.repository.target("status/roster.bin")
    assert data is not None
    path = core.home.path / "look.bin"
    path.write_bytes(data)
    with Roster.open(path) as roster:
        old, new = roster.lookup(card(100)), roster.lookup(card(101))
        assert old is not None
        assert new is not None
        assert (old.status, new.status) == ("replaced", "active")
        assert (new.member, new.expires) == (member(100), (2019, 5))


def test_a_list_comes_over_the_network(home: Path) -> None:
    async def run(core: ServerCore, _time: Time) -> None:
        by = signer()
        data = rows(f"{card(100)},{member(100)},active,2014,,,")
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(create_app(core, judging=False)), base_url="http://x"
        )

        async def send(note: bytes) -> Any:
            header = {"Redcard-Note": base64.b64encode(note).decode()}
            return await client.post("/v1/members", content=data, headers=header)

        async with client:
            refused = await send(signed(by, 1, data))
            assert (refused.status_code, refused.headers["content-type"]) == (
                400,
                "application/problem+json",
            )
            assert (await client.post("/v1/members", content=data)).status_code == 400
            await core.member_feed.set_source(
                CONSOLE_ACTOR, "huiyuan", vkey(by.name, by.public_key)
            )
            taken = await send(signed(by, 1, data))
        assert (taken.status_code, taken.json()["cards"]) == (200, 1), taken.text

    play(run, home)


@given(st.binary(max_size=300))
def test_any_note_is_read_or_refused(data: bytes) -> None:
    for note in (data, b"redcard-members/v1\n" + data):
        try:
            read_statement(note)
        except ImportRefused:
            continue


@given(st.integers(0, 2**50), st.binary(max_size=10))
def test_statements_make_the_round_trip(number: int, data: bytes) -> None:
    statement = FeedStatement("bank.example", number, hashlib.sha256(data).hexdigest())
    assert read_statement(statement.text().encode() + b"\n-- x y\n") == statement
