"""Signing in: password, second factor, lockout, sessions.

A session's token is random, shown once to the browser and kept only as a hash; it ends after half
an hour of silence and after twelve hours in any case. Five wrong answers in a row, of password or
code, lock the account for a quarter of an hour. Everything tried is recorded.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from server.audit import DONE, REFUSED
from server.desk import Desk
from server.errors import ImportRefused, NotAllowed
from server.passwords import (
    NOBODY,
    new_secret,
    password_matches,
    password_verifier,
    provisioning_uri,
    step_of,
)
from server.people import row_of
from server.roles import Actor, Role
from server.schema_office import people, sessions

FAILURES_MAX: Final = 5
LOCK_MS: Final = 15 * 60 * 1000
IDLE_MS: Final = 30 * 60 * 1000
SESSION_MS: Final = 12 * 3600 * 1000
#: A session that is only half signed in has so long for the second factor.
HALF_MS: Final = 5 * 60 * 1000
TOKEN_BYTES: Final = 32
#: The one domain that is nobody's: a server of this name holds test keys and made-up members.
DEMO_DOMAIN: Final = "demo.redcard.example"
_PERSON_MAX: Final = 32


class Step(StrEnum):
    """What a sign-in needs next."""

    DONE = "done"
    CODE = "code"  # the code of the second factor
    SET_UP = "set_up"  # a second factor must be set up first
    PASSWORD = "password"  # noqa: S105 - the password was given by somebody else: change it
    REFUSED = "refused"  # name or password is wrong, or the account is not active
    LOCKED = "locked"


@dataclass(frozen=True, slots=True)
class SignIn:
    """Answer to one step of a sign-in.

    Attributes:
        step: what comes next.
        token: of the session, for the cookie; empty when refused or locked.
        until_ms: of a lock, when it ends; of a session, when it ends at the latest.
    """

    step: Step
    token: str = ""
    until_ms: int = 0


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is alive.

    Attributes:
        actor: who it is.
        step: ``done`` when everything was given, else what is missing.
        until_ms: when it ends if nothing is done.
        token_hash: of its token, for forms' own tokens.
    """

    actor: Actor
    step: Step
    until_ms: int
    token_hash: bytes


class Door:
    """Lets people in."""

    def __init__(self, desk: Desk) -> None:
        """Works at a desk."""
        self._desk = desk

    @property
    def is_demo(self) -> bool:
        """Whether this is the demo's server; its visitors are let in without two factors."""
        return self._desk.home.configuration.domain == DEMO_DOMAIN

    async def demo_visit(self, person: str) -> SignIn:
        """Lets a visitor of the demo in; recorded as any other sign-in.

        Raises:
            NotAllowed: this server is no demo, or has no such active person.
        """
        row = await self._row(person[:_PERSON_MAX])
        if not self.is_demo or row is None or not row.active:
            raise NotAllowed("sign in with name, password and code")
        now_ms = self._desk.now_ms()
        async with self._desk.database.writing() as connection:
            await self._tried(connection, row, "sign_in.demo", result=DONE)
            mine = update(people).where(people.c.person == row.person)
            await connection.execute(mine.values(temporary=False))  # nobody was told the password
            await _forget_old(connection, now_ms)
            token = await _open(connection, row.person, complete=True, now_ms=now_ms)
        return SignIn(Step.DONE, token, now_ms + SESSION_MS)

    async def enter(self, person: str, password: str) -> SignIn:
        """First step: name and password.

        An unknown name takes as long and gets the same answer as a wrong password.
        """
        row = await self._row(person[:_PERSON_MAX])
        kept = row.password if row is not None else NOBODY
        right = await asyncio.to_thread(password_matches, kept, password)
        now_ms = self._desk.now_ms()
        async with self._desk.database.writing() as connection:
            if row is None:
                return SignIn(Step.REFUSED)
            fresh = await row_of(connection, person)
            if fresh.locked_until_ms > now_ms:
                await self._tried(connection, fresh, "sign_in.password", result=REFUSED)
                return SignIn(Step.LOCKED, until_ms=fresh.locked_until_ms)
            if not right or not fresh.active or fresh.password != kept:
                return await self._failed(connection, fresh, "sign_in.password")
            await self._tried(connection, fresh, "sign_in.password", result=DONE)
            await _forget_old(connection, now_ms)
            token = await _open(connection, person, complete=False, now_ms=now_ms)
            step = Step.CODE if fresh.totp_confirmed else Step.SET_UP
            return SignIn(step, token, now_ms + HALF_MS)

    async def begin_second_factor(self, token: str) -> str:
        """Makes a secret for who has no second factor yet; returns what its QR code holds.

        Raises:
            NotAllowed: no such session, or a second factor is set up already.
        """
        now_ms = self._desk.now_ms()
        async with self._desk.database.writing() as connection:
            row = await self._half(connection, token, now_ms)
            if row.totp_confirmed:
                raise NotAllowed("a second factor is set up already; another person can reset it")
            secret = self._desk.home.decrypt(row.totp) if row.totp else new_secret()
            if not row.totp:
                sealed = self._desk.home.encrypt(secret)
                await connection.execute(
                    update(people).where(people.c.person == row.person).values(totp=sealed)
                )
        return provisioning_uri(secret, row.person, self._desk.home.configuration.domain)

    async def second(self, token: str, code: str) -> SignIn:
        """Second step: the code. The session goes on under a new token.

        Raises:
            NotAllowed: no such session, or no second factor was begun.
        """
        now_ms = self._desk.now_ms()
        async with self._desk.database.writing() as connection:
            row = await self._half(connection, token, now_ms)
            if not row.totp:
                raise NotAllowed("no second factor is set up; begin one first")
            if row.locked_until_ms > now_ms:
                return SignIn(Step.LOCKED, until_ms=row.locked_until_ms)
            secret = self._desk.home.decrypt(bytes(row.totp))
            step = step_of(secret, code, now_ms, row.totp_step)
            if step is None:
                return await self._failed(connection, row, "sign_in.code")
            await connection.execute(
                update(people)
                .where(people.c.person == row.person)
                .values(totp_step=step, totp_confirmed=True, failures=0)
            )
            await connection.execute(
                delete(sessions).where(sessions.c.token_hash == hash_of(token))
            )
            fresh = await _open(connection, row.person, complete=True, now_ms=now_ms)
            await self._tried(connection, row, "sign_in.code", result=DONE)
            after = Step.PASSWORD if row.temporary else Step.DONE
            return SignIn(after, fresh, now_ms + SESSION_MS)

    async def session(self, token: str) -> Session | None:
        """The session of a token, which counts as used now; ``None`` if it is none or over."""
        now_ms = self._desk.now_ms()
        async with self._desk.database.reading() as connection:
            row = await _session(connection, token, now_ms)
        if row is None:
            return None
        if now_ms - row.seen_ms >= IDLE_MS // 30:  # one write a minute is enough
            async with self._desk.database.writing() as connection:
                await connection.execute(
                    update(sessions)
                    .where(sessions.c.token_hash == hash_of(token))
                    .values(seen_ms=now_ms)
                )
        step = Step.DONE
        if not row.complete:
            step = Step.CODE if row.totp_confirmed else Step.SET_UP
        elif row.temporary:
            step = Step.PASSWORD
        end_ms = min(now_ms + IDLE_MS, row.opened_ms + SESSION_MS)
        return Session(_actor(row), step, end_ms, hash_of(token))

    async def change_password(self, token: str, old: str, new: str) -> None:
        """Changes the own password; other sessions of the same person end.

        Raises:
            NotAllowed: no complete session, or the old password is wrong.
            ImportRefused: the new one is too weak or the old one.
        """
        now_ms = self._desk.now_ms()
        async with self._desk.database.reading() as connection:
            row = await _session(connection, token, now_ms)
        if row is None or not row.complete:
            raise NotAllowed("sign in first")
        if old == new:
            raise ImportRefused("the new password is the old one")
        if not await asyncio.to_thread(password_matches, row.password, old):
            async with self._desk.database.writing() as connection:
                await self._failed(connection, row, "sign_in.change_password")
            raise NotAllowed("the old password is wrong; nothing was changed")
        verifier = await asyncio.to_thread(password_verifier, new, row.person)
        async with self._desk.database.writing() as connection:
            await connection.execute(
                update(people)
                .where(people.c.person == row.person)
                .values(password=verifier, temporary=False, failures=0, changed_ms=now_ms)
            )
            await connection.execute(
                delete(sessions).where(
                    sessions.c.person == row.person, sessions.c.token_hash != hash_of(token)
                )
            )
            await self._tried(connection, row, "sign_in.change_password", result=DONE)

    async def leave(self, token: str) -> None:
        """Ends a session; one that is over already is no fault."""
        async with self._desk.database.writing() as connection:
            await connection.execute(
                delete(sessions).where(sessions.c.token_hash == hash_of(token))
            )

    async def _row(self, person: str) -> Any:
        async with self._desk.database.reading() as connection:
            statement = select(people).where(people.c.person == person)
            return (await connection.execute(statement)).one_or_none()

    async def _half(self, connection: AsyncConnection, token: str, now_ms: int) -> Any:
        row = await _session(connection, token, now_ms)
        if row is None or row.complete:
            raise NotAllowed("begin with name and password")
        return row

    async def _failed(self, connection: AsyncConnection, row: Any, act: str) -> SignIn:
        """Counts a wrong answer; the fifth in a row locks the account."""
        now_ms = self._desk.now_ms()
        failures = row.failures + 1
        locked = failures >= FAILURES_MAX
        fresh: Mapping[str, int] = {
            "failures": 0 if locked else failures,
            "locked_until_ms": now_ms + LOCK_MS if locked else 0,
        }
        await connection.execute(
            update(people).where(people.c.person == row.person).values(**fresh)
        )
        if locked:
            await connection.execute(delete(sessions).where(sessions.c.person == row.person))
        await self._tried(connection, row, act, result=REFUSED)
        return SignIn(Step.LOCKED if locked else Step.REFUSED, until_ms=fresh["locked_until_ms"])

    async def _tried(self, connection: AsyncConnection, row: Any, act: str, *, result: str) -> None:
        await self._desk.noted(connection, _actor(row), act, row.person, result=result)


def hash_of(token: str) -> bytes:
    """What is kept of a session's token."""
    return sha256(b"redcard session\n" + token.encode("utf-8", "replace")).digest()


def _actor(row: Any) -> Actor:
    return Actor(row.person, Role(row.role), row.scope, row.name)


async def _open(connection: AsyncConnection, person: str, *, complete: bool, now_ms: int) -> str:
    token = secrets.token_urlsafe(TOKEN_BYTES)
    row = {
        "token_hash": hash_of(token),
        "person": person,
        "complete": complete,
        "created_ms": now_ms,
        "seen_ms": now_ms,
    }
    await connection.execute(insert(sessions), row)
    return token


async def _session(connection: AsyncConnection, token: str, now_ms: int) -> Any:
    """A live session's row with its person's, ``None`` if there is none."""
    statement = (
        select(
            people,
            sessions.c.complete,
            sessions.c.seen_ms,
            sessions.c.created_ms.label("opened_ms"),
        )
        .join(sessions, sessions.c.person == people.c.person)
        .where(sessions.c.token_hash == hash_of(token), people.c.active.is_(True))
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        return None
    whole, idle = (SESSION_MS, IDLE_MS) if row.complete else (HALF_MS, HALF_MS)
    alive = now_ms - row.opened_ms < whole and now_ms - row.seen_ms < idle
    return row if alive else None


async def _forget_old(connection: AsyncConnection, now_ms: int) -> None:
    """Takes out sessions that are over."""
    await connection.execute(
        delete(sessions).where(
            or_(sessions.c.created_ms < now_ms - SESSION_MS, sessions.c.seen_ms < now_ms - IDLE_MS)
        )
    )
