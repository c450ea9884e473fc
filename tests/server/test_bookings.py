"""Bookings by telephone, from a file and moved: each answer says what to do, nothing is lost."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from ledger.rules import windows
from server import bookings
from server.bookings import Wanted
from server.card_list import Membership
from server.core import ServerCore
from server.errors import ImportRefused
from tests.server.test_reservations import TOUR, with_tour
from tests.server.world import Terminal, Time, card, member

DAY = "2014-06-02"


async def digits(core: ServerCore, **last4: str) -> None:
    rows = [
        Membership(card=card(int(name[1:])), member=member(int(name[1:])), last4=tail)
        for name, tail in last4.items()
    ]
    await core.take_members(rows)


def wanted(last4: str = "8821", at: str = f"{DAY}T09:00", name: str = "") -> Wanted:
    return Wanted("tour", "M01", at, last4, name)


def test_a_caller_is_booked_by_the_last_digits_and_the_session(tmp_path: Path) -> None:
    async def play(core: ServerCore, time: Time, first: Terminal) -> None:
        await digits(core, m1="8821", m2="0001", m3="0001")
        issued = await bookings.book(core, wanted())
        assert (issued.member, issued.terminal) == (member(1), "first")
        for wish, said in (
            (wanted("7777"), "no card in force ends in 7777"),
            (wanted("0001"), "2 members' cards end in 0001"),
            (wanted("12"), "last four digits"),
            (wanted(at=f"{DAY}T08:00"), "the next begins 2014-06-02T09:00"),
            (wanted(at="tomorrow"), "is no time"),
        ):
            with pytest.raises(ImportRefused, match=said):
                await bookings.book(core, wish)
        from server.roles import CONSOLE_ACTOR

        await core.identities.put(CONSOLE_ACTOR, member(2), {"name": "张三敏"})
        await core.identities.put(CONSOLE_ACTOR, member(3), {"name": "李四"})
        assert (await bookings.book(core, wanted("0001", name="张小敏"))).member == member(2)
        listed = await bookings.day(core, "M01", DAY)
        assert sorted((row["last4"], row["state"]) for row in listed) == [
            ("0001", "booked"),
            ("8821", "booked"),
        ]

    with_tour(play, tmp_path)


def test_a_bad_line_keeps_no_other_from_being_booked(tmp_path: Path) -> None:
    async def play(core: ServerCore, time: Time, first: Terminal) -> None:
        await digits(core, m1="8821", m2="8822")
        rows = [
            "offer,venue,session,last4,name,units",
            f"tour,M01,{DAY}T09:00,8821,,1",
            f"tour,M01,{DAY}T09:00,9999,,",
            f"nothing,M01,{DAY}T09:00,8822,,1",
            f"tour,M01,{DAY}T10:00,8822,,1",
        ]
        outcomes = await bookings.book_all(core, "\n".join(rows).encode("utf-8-sig"))
        assert [(one.wanted.line, one.issued is not None) for one in outcomes] == [
            (2, True), (3, False), (4, False), (5, True),
        ]  # fmt: skip
        for data, said in (
            (b"offer,venue\n", "line 1: the column"),
            (b"\xff", "not UTF-8"),
            (b"offer,venue,session,last4,units\ntour,M01,x,8821,many\n", "line 2: units"),
        ):
            with pytest.raises(ImportRefused, match=said):
                bookings.read_csv(data)

    with_tour(play, tmp_path)


def test_a_booking_comes_as_many_days_before_as_its_offer_asks(tmp_path: Path) -> None:
    async def play(core: ServerCore, time: Time, first: Terminal) -> None:
        await digits(core, m1="8821", m2="8822")
        ahead = {**TOUR, "version": 2, "booking_days": 2}
        await core.publish_offers(json.dumps([ahead]).encode())
        today = windows.local_day(time.now_ms, "Asia/Shanghai")
        for days, taken in ((1, False), (2, True)):
            session = f"{today + timedelta(days=days)}T09:00"
            (outcome,) = await bookings.book_all(
                core, f"offer,venue,session,last4\ntour,M01,{session},8821".encode()
            )
            assert (outcome.issued is not None) is taken
            assert taken or f"from {today + timedelta(days=2)} on; nothing" in outcome.fault
        promised = await core.reserve(card(2), "tour", "M01")
        assert promised.member == member(2), "the back office itself may promise one"

    with_tour(play, tmp_path)


def test_a_session_that_moved_takes_its_bookings_along(tmp_path: Path) -> None:
    async def play(core: ServerCore, time: Time, first: Terminal) -> None:
        await digits(core, m1="8821", m2="8822")
        for tail in ("8821", "8822"):
            await bookings.book(core, wanted(tail, f"{DAY}T09:00"))
        later = {**TOUR, "version": 2, "hours": ["13:00-17:00"]}
        await core.publish_offers(json.dumps([later]).encode())
        assert {row["state"] for row in await bookings.day(core, "M01", DAY)} == {"moved"}
        rows = await bookings.move(core, "tour", "M01", f"{DAY}T09:00", f"{DAY}T10:00")
        assert all("the next begins 2014-06-02T13:00" in row["fault"] for row in rows)
        rows = await bookings.move(core, "tour", "M01", f"{DAY}T09:00", "2014-06-03T13:00")
        assert ["moved_to" in row for row in rows] == [True, True]
        assert [row["state"] for row in await bookings.day(core, "M01", "2014-06-03")] == [
            "booked", "booked",
        ]  # fmt: skip
        assert {row["state"] for row in await bookings.day(core, "M01", DAY)} == {"cancelled"}

    with_tour(play, tmp_path)


def test_a_session_that_is_over_shows_who_did_not_come(tmp_path: Path) -> None:
    async def play(core: ServerCore, time: Time, first: Terminal) -> None:
        await digits(core, m1="8821")
        issued = await bookings.book(core, wanted())
        time.now_ms = issued.until_ms
        assert [row["state"] for row in await bookings.day(core, "M01", DAY)] == ["missed"]

    with_tour(play, tmp_path)
