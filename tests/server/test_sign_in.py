"""People and how they are let in: two factors, lockout, sessions, and the record of it all."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from server import passwords
from server.core import ServerCore
from server.errors import ImportRefused, NotAllowed, PersonUnknown
from server.passwords import code_at, password_verifier, provisioning_uri, step_of
from server.roles import CONSOLE_ACTOR, Actor, Right, Role
from server.sign_in import FAILURES_MAX, HALF_MS, IDLE_MS, LOCK_MS, SESSION_MS, Step
from tests.server.world import MINUTE_MS, Time, play


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost of a guess is not what is tested here."""
    from keys import pin

    monkeypatch.setattr(pin, "MEMORY_KIB", 64)
    monkeypatch.setattr(pin, "ITERATIONS", 1)


async def _secret(core: ServerCore, token: str) -> bytes:
    uri = await core.door.begin_second_factor(token)
    shown = parse_qs(urlsplit(uri).query)["secret"][0]
    return base64.b32decode(shown + "=" * (-len(shown) % 8))


def _code(secret: bytes, time: Time) -> str:
    return code_at(secret, time() // 30_000)


async def _join(core: ServerCore, time: Time, person: str = "wang") -> tuple[str, bytes, str]:
    """A new auditor with both factors: password, secret and session's token."""
    first = await core.people.add(CONSOLE_ACTOR, person, name="王", role="auditor")
    entered = await core.door.enter(person, first.password)
    assert entered.step is Step.SET_UP
    secret = await _secret(core, entered.token)
    inside = await core.door.second(entered.token, _code(secret, time))
    assert inside.step is Step.PASSWORD
    await core.door.change_password(inside.token, first.password, "a quite long one 42")
    return "a quite long one 42", secret, inside.token


def test_two_factors_let_in(home: Path, database_url: str) -> None:
    async def scenario(core: ServerCore, time: Time) -> None:
        password, secret, token = await _join(core, time)
        session = await core.door.session(token)
        assert session is not None
        assert (session.step, session.actor.role) == (Step.DONE, Role.AUDITOR)
        entered = await core.door.enter("wang", password)
        assert entered.step is Step.CODE
        half = await core.door.session(entered.token)
        assert half is not None
        assert half.step is Step.CODE
        with pytest.raises(NotAllowed):
            await core.door.begin_second_factor(entered.token)
        # The code that was used already works no second time, the next one does.
        assert (await core.door.second(entered.token, _code(secret, time))).step is Step.REFUSED
        time.pass_(30_000)
        inside = await core.door.second(entered.token, _code(secret, time))
        assert inside.step is Step.DONE
        assert await core.door.session(entered.token) is None
        await core.door.leave(inside.token)
        assert await core.door.session(inside.token) is None

    play(scenario, home, database_url)


def test_five_wrong_answers_lock(home: Path) -> None:
    async def scenario(core: ServerCore, time: Time) -> None:
        password, secret, token = await _join(core, time)
        for _ in range(FAILURES_MAX - 1):
            assert (await core.door.enter("wang", "wrong")).step is Step.REFUSED
        locked = await core.door.enter("wang", "wrong")
        assert (locked.step, locked.until_ms) == (Step.LOCKED, time() + LOCK_MS)
        assert await core.door.session(token) is None, "a lock ends what was open"
        assert (await core.door.enter("wang", password)).step is Step.LOCKED
        time.pass_(LOCK_MS)
        entered = await core.door.enter("wang", password)
        for _ in range(FAILURES_MAX):
            answer = await core.door.second(entered.token, "000000")
        assert answer.step is Step.LOCKED, "codes are counted too"
        assert (await core.door.enter("nobody", "wrong")).step is Step.REFUSED
        tried = await core.people.records(CONSOLE_ACTOR, person="wang", act="sign_in")
        assert [one.result for one in tried].count("refused") == 2 * FAILURES_MAX + 1
        assert secret not in str(tried).encode()

    play(scenario, home)


def test_sessions_end(home: Path) -> None:
    async def scenario(core: ServerCore, time: Time) -> None:
        password, secret, token = await _join(core, time)
        time.pass_(IDLE_MS - 1)
        assert await core.door.session(token) is not None
        time.pass_(IDLE_MS)
        assert await core.door.session(token) is None, "half an hour of silence ends it"
        inside = await core.door.enter("wang", password)
        time.pass_(HALF_MS)
        assert await core.door.session(inside.token) is None, "half a sign-in does not last"
        inside = await core.door.enter("wang", password)
        inside = await core.door.second(inside.token, _code(secret, time))
        for _ in range(SESSION_MS // (20 * MINUTE_MS) - 1):
            time.pass_(20 * MINUTE_MS)
            assert await core.door.session(inside.token) is not None
        time.pass_(20 * MINUTE_MS)
        assert await core.door.session(inside.token) is None, "twelve hours end it in any case"

    play(scenario, home)


def test_who_changes_people(home: Path) -> None:
    async def scenario(core: ServerCore, time: Time) -> None:
        _, _, token = await _join(core, time)
        auditor = Actor("wang", Role.AUDITOR)
        with pytest.raises(NotAllowed):
            await core.people.add(auditor, "li", name="李", role="hotline")
        for wrong in ("Li", "console", "x"):
            with pytest.raises(ImportRefused):
                await core.people.add(CONSOLE_ACTOR, wrong, name="李", role="hotline")
        for role, scope in (("district", ""), ("street", "东城区"), ("hotline", "东城区")):
            with pytest.raises(ImportRefused, match="scope"):
                await core.people.add(CONSOLE_ACTOR, "li", name="李", role=role, scope=scope)
        with pytest.raises(PersonUnknown):
            await core.people.reset(CONSOLE_ACTOR, "li")
        await core.people.change(CONSOLE_ACTOR, "wang", active=False)
        assert await core.door.session(token) is None
        assert (await core.door.enter("wang", "a quite long one 42")).step is Step.REFUSED
        first = await core.people.reset(CONSOLE_ACTOR, "wang", second_factor=True)
        await core.people.change(CONSOLE_ACTOR, "wang", active=True, role="federation")
        assert (await core.door.enter("wang", first.password)).step is Step.SET_UP
        with pytest.raises(ImportRefused, match="own rights"):
            await core.people.change(Actor("wang", Role.FEDERATION), "wang", role="auditor")
        acts = [one.act for one in await core.people.records(CONSOLE_ACTOR, act="person")]
        assert acts == ["person.change", "person.reset", "person.change", "person.add"]

    play(scenario, home)


def test_an_identity_is_shown_masked_and_erased(home: Path, database_url: str) -> None:
    member = f"{7:016x}"

    async def scenario(core: ServerCore, _time: Time) -> None:
        identities = core.identities
        agent = Actor("li", Role.HOTLINE)
        await identities.put(CONSOLE_ACTOR, member, {"name": "张晓敏", "phone": "13800138000"})
        masked = await identities.masked(agent, member)
        assert (masked.name, masked.phone) == ("张*敏", "****8000")
        with pytest.raises(ImportRefused, match="purpose"):
            await identities.unmasked(agent, member, "")
        assert (await identities.unmasked(agent, member, "complaint")).name == "张晓敏"
        with pytest.raises(NotAllowed):
            await identities.masked(Actor("wang", Role.AUDITOR), member)
        looks = await core.people.records(CONSOLE_ACTOR, person="li")
        assert [(one.act, one.subject) for one in looks] == [
            ("identity.unmasked", member),
            ("identity.masked", member),
        ]
        assert looks[0].detail == {"purpose": "complaint"}
        kept, faults = await identities.take(
            CONSOLE_ACTOR, f"member,name\n{8:016x},李雷\nx,y\n".encode()
        )
        assert (kept, [line for line, _ in faults]) == (1, [3])
        with pytest.raises(ImportRefused, match="columns"):
            await identities.take(CONSOLE_ACTOR, b"member,card\n")
        copy = await identities.access_copy(CONSOLE_ACTOR, f"{8:016x}")
        assert (copy["name"], [look["act"] for look in copy["looks"]]) == (
            "李雷",
            ["identity.access_copy"],
        )
        assert await identities.erase(CONSOLE_ACTOR, member)
        gone = await identities.unmasked(agent, member, "complaint")
        assert (gone.name, gone.erased_ms is not None) == ("", True)
        assert not await identities.erase(CONSOLE_ACTOR, member)

    play(scenario, home, database_url)
    if not database_url:
        assert "张晓敏".encode() not in (home / "server.db").read_bytes()


def test_rights_hold_for_a_place() -> None:
    district = Actor("d", Role.DISTRICT, "东城区")
    street = Actor("s", Role.STREET, "东城区/景山街道")
    assert district.may(Right.OFFERS_PASS, district="东城区", street="景山街道")
    assert not district.may(Right.OFFERS_PASS, district="西城区")
    assert street.may(Right.OFFERS_WRITE, district="东城区", street="景山街道")
    assert not street.may(Right.OFFERS_WRITE, district="东城区", street="东华门街道")
    assert not street.may(Right.OFFERS_PASS, district="东城区", street="景山街道")
    assert not Actor("m", Role.MERCHANT, "m1").may(Right.REPORTS)


def test_codes_are_those_of_rfc_6238() -> None:
    # Appendix B, SHA-1, the last six of its eight digits.
    secret = b"12345678901234567890"
    for at_s, digits in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
        assert code_at(secret, at_s // 30) == digits
    assert step_of(secret, "287 082", 59_000, 0) == 1
    assert step_of(secret, "287082", 59_000, 1) is None
    assert step_of(secret, "287082", 59_000 + 60_000, 0) is None
    uri = provisioning_uri(secret, "wang", "demo.redcard.example")
    assert uri.startswith("otpauth://totp/demo.redcard.example%3Awang?secret=GEZDGNBV")


@pytest.mark.parametrize("weak", ["short", "wang-wang-wang-1", "aaaaaaaaaaaabbbb"])
def test_weak_passwords_are_refused(weak: str) -> None:
    with pytest.raises(ImportRefused):
        password_verifier(weak, "wang")


def test_an_unknown_name_costs_as_much() -> None:
    from keys.pin import check_verifier

    check_verifier(passwords.NOBODY)
    assert not asyncio.run(asyncio.to_thread(passwords.password_matches, passwords.NOBODY, "x"))
