"""One-time codes, the terminal's own key, and what a revocation means."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from keys.keystore import MemoryKeyStore
from server.core import ServerCore
from server.enrolment import CODE_LIFE_MS, code_hash, new_code
from server.errors import EnrolmentRefused, ImportRefused, TerminalUnknown
from server.schema import activations
from tests.server.world import Time, enrol, new_keys, play, push, request_for


def test_a_code_buys_a_ledger_and_the_card_key(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        answer = terminal.enrolled
        assert answer.origin == f"test.redcard.example/redcard/{answer.ledger}"
        assert answer.settings["venue"] == "M01"
        secret = terminal.keys.decrypt("age", answer.card_key)
        held = MemoryKeyStore()
        held.import_secret("k", "hmac", secret)
        assert held.mac("k", b"card") == core.home.card_mac()(b"card")
        assert (await core.ledgers())[0]["terminal"] == "kiosk"

    play(run, home, database_url)


def test_a_code_works_once(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        made = await core.activation("kiosk", ["M01"])
        keys = new_keys()
        first = await core.enrol(request_for(made.code, keys))
        # The answer was lost: the same key may ask again and gets the same ledger.
        assert (await core.enrol(request_for(made.code, keys))).ledger == first.ledger
        with pytest.raises(EnrolmentRefused, match="used already"):
            await core.enrol(request_for(made.code, new_keys()))
        assert len(await core.ledgers()) == 1

    play(run, home, database_url)


def test_a_used_ledger_is_not_handed_out_again(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        made = await core.activation("kiosk", ["M01"])
        keys = new_keys()
        answer = await core.enrol(request_for(made.code, keys))
        from tests.server.world import Terminal

        terminal = Terminal(keys, answer, time)
        terminal.redeem(1, "n1")
        await push(core, terminal)
        with pytest.raises(EnrolmentRefused, match="used already"):
            await core.enrol(request_for(made.code, keys))

    play(run, home)


def test_codes_expire_and_unknown_ones_are_refused(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        made = await core.activation("kiosk", ["M01"])
        time.pass_(CODE_LIFE_MS)
        with pytest.raises(EnrolmentRefused, match="expired"):
            await core.enrol(request_for(made.code, new_keys()))
        with pytest.raises(EnrolmentRefused, match="not known"):
            await core.enrol(request_for("00000-00000-00000-00000", new_keys()))

    play(run, home)


def test_possession_of_the_key_is_proved(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        made = await core.activation("kiosk", ["M01"])
        request = request_for(made.code, new_keys())
        stolen = replace(request, public_key=new_keys().public_key("ledger"))
        for forged in (stolen, replace(request, name="other"), replace(request, proof=bytes(64))):
            with pytest.raises(EnrolmentRefused, match="did not prove"):
                await core.enrol(forged)
        await core.enrol(request)

    play(run, home)


def test_codes_are_kept_as_hashes_only(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        made = await core.activation("kiosk", ["M01"])
        async with core.database.reading() as connection:
            row = (await connection.execute(select(activations))).one()
        assert bytes(row.code_hash) == code_hash(made.code)
        codes.append(made.code)

    codes: list[str] = []
    play(run, home)
    for file in home.rglob("*"):
        if file.is_file():
            held = file.read_bytes()
            assert codes[0].encode() not in held
            assert codes[0].replace("-", "").encode() not in held


@given(st.randoms())
def test_codes_survive_being_read_aloud(_random: object) -> None:
    code = new_code()
    assert code_hash(code.lower().replace("-", "")) == code_hash(code)
    assert code_hash(code.replace("0", "o").replace("1", "l")) == code_hash(code)


def test_what_is_asked_for_is_checked(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        for name, places, profile in (
            ("Kiosk!", ["M01"], "kiosk"),
            ("kiosk", ["nowhere"], "kiosk"),
            ("kiosk", [], "kiosk"),
            ("kiosk", ["M01"], "robot"),
        ):
            with pytest.raises(ImportRefused):
                await core.activation(name, places, profile=profile)
        assert await core.ledgers() == []

    play(run, home)


def test_revocation_is_once_and_names_a_reason(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        with pytest.raises(ImportRefused):
            await core.revoke(terminal.ledger, "disliked")
        await core.revoke("kiosk", "lost")
        with pytest.raises(TerminalUnknown):
            await core.revoke("kiosk", "retired")
        assert (await core.ledgers())[0]["revoked_reason"] == "lost"

    play(run, home)


def test_first_leases_are_granted_once(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        made = await core.activation("desheng", ["S0201"])
        keys = new_keys()
        for _ in range(2):
            await core.enrol(request_for(made.code, keys))
        assert (await core.stock_of("pack")).leased == 4

    play(run, home)
