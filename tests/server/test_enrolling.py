"""Many terminals from a list, machines that wait for approval, and a spare for a broken one."""

from __future__ import annotations

from pathlib import Path

import pytest

from redcard.activation_sheets import activation_sheets
from server.core import ServerCore
from server.enrolling import fingerprint
from server.errors import EnrolmentRefused, ImportRefused, NotAllowed, TerminalUnknown
from server.office_acts import plain
from server.roles import CONSOLE_ACTOR, Actor, Role
from terminal.setup_text import read_setup
from tests.server.world import Time, enrol, new_keys, play, request_for

LIST = """terminal,venue,name,profile,offers
k1,M01,孔庙入口,kiosk,museum
c1,S0201,德胜柜台,counter,
c1,S0201,twice,counter,
k2,M01,,kiosk,
bad name,M01,,,
c2,nowhere,,,
"""


def test_a_list_gives_sheets_and_tells_faulty_rows(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, _time: Time) -> None:
        with pytest.raises(NotAllowed):
            await core.enrolments.many(Actor("d", Role.DISTRICT, "东城区"), LIST.encode())
        made = await core.enrolments.many(CONSOLE_ACTOR, LIST.encode())
        assert (made.rows, made.faulty) == (6, 4)
        assert [line for line, _ in made.faults] == [4, 5, 6, 7]
        assert [one.terminal for one in made.sheets] == ["k1", "c1"]
        pages = activation_sheets(plain(made.sheets), "https://card.example")
        assert pages.count("<section>") == 2
        assert "孔庙和国子监博物馆" in pages
        assert "http" not in pages.replace("http://www.w3.org/2000/svg", "").replace(
            "https://card.example", ""
        ), "a sheet loads nothing"
        kiosk = made.sheets[0]
        setup = f"redcard-setup/v1 https://card.example M01 kiosk museum {kiosk.code}"
        assert read_setup(setup).offers == ("museum",)
        answer = await core.enrol(request_for(kiosk.code, new_keys()))
        assert answer.settings["terminal"] == "k1"

    play(run, home, database_url)


@pytest.mark.parametrize("data", [b"terminal\nx\n", b"terminal,venue,colour\n", b"\xff", b""])
def test_another_file_is_refused_whole(home: Path, data: bytes) -> None:
    async def run(core: ServerCore, _time: Time) -> None:
        with pytest.raises(ImportRefused):
            await core.enrolments.many(CONSOLE_ACTOR, data)

    play(run, home)


def test_a_machine_waits_until_its_key_is_approved(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, _time: Time) -> None:
        data = b"terminal,venue\nc1,S0201\n"
        (sheet,) = (await core.enrolments.many(CONSOLE_ACTOR, data, approval=True)).sheets
        mine, other = new_keys(), new_keys()
        shown = fingerprint(mine.public_key("ledger"))
        for _ in range(2):
            with pytest.raises(EnrolmentRefused, match=shown):
                await core.enrol(request_for(sheet.code, mine))
        with pytest.raises(EnrolmentRefused, match="another machine"):
            await core.enrol(request_for(sheet.code, other))
        (waits,) = await core.enrolments.waiting(CONSOLE_ACTOR)
        assert (waits.terminal, waits.fingerprint) == ("c1", shown)
        with pytest.raises(ImportRefused):
            await core.enrolments.approve(CONSOLE_ACTOR, "c1", "0000-0000-0000")
        await core.enrolments.approve(CONSOLE_ACTOR, "c1", shown.lower().replace("-", ""))
        assert await core.enrolments.waiting(CONSOLE_ACTOR) == []
        with pytest.raises(EnrolmentRefused, match="another machine"):
            await core.enrol(request_for(sheet.code, other))
        assert (await core.enrol(request_for(sheet.code, mine))).ledger

    play(run, home, database_url)


def test_a_spare_takes_the_place(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        old = await enrol(core, "desheng", time, venues=["S0201"])
        made = await core.enrolments.replace(CONSOLE_ACTOR, "desheng", reason="lost")
        answer = await core.enrol(request_for(made.code, new_keys()))
        assert answer.settings["terminal"] == "desheng"
        rows = {row["ledger"]: row["state"] for row in await core.ledgers()}
        assert (rows[old.ledger], rows[answer.ledger]) == ("revoked_lost", "ok")
        with pytest.raises(TerminalUnknown):
            await core.enrolments.replace(CONSOLE_ACTOR, "nobody", reason="lost")
        with pytest.raises(ImportRefused):
            await core.enrolments.replace(CONSOLE_ACTOR, "desheng", reason="bored")

    play(run, home)
