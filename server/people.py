"""People of the back office: who there is, in which role and where; made and changed by others.

Signing in is ``server.sign_in``. A person is never deleted, because what they did stays recorded;
who leaves is made inactive, and every session of theirs ends.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from server.audit import Record, records
from server.desk import Desk
from server.errors import ImportRefused, PersonUnknown
from server.passwords import new_password, password_verifier
from server.roles import Actor, Right, Role
from server.schema_office import people, sessions

_PERSON: Final = re.compile(r"[a-z][a-z0-9._-]{1,31}\Z")
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f]{1,64}\Z")
_SCOPE: Final = re.compile(r"[^\x00-\x1f\x7f]{0,64}\Z")
#: Names that the record gives to acts of nobody in particular.
_RESERVED: Final = frozenset({"console", "operator", "server"})


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the back office.

    Attributes:
        person: sign-in name.
        name: what people call them.
        role: what they may do.
        scope: where: ``区``, ``区/街道``, a merchant, or empty for the whole city.
        active: whether they may sign in.
        second_factor: whether one is set up.
        locked_until_ms: until when sign-in is locked, 0 if it is not.
        temporary: whether the password was given by somebody else and must be changed.
        created_ms: since when.
    """

    person: str
    name: str
    role: Role
    scope: str
    active: bool
    second_factor: bool
    locked_until_ms: int
    temporary: bool
    created_ms: int


@dataclass(frozen=True, slots=True)
class FirstPassword:
    """A password for the first sign-in; shown once and kept only as a verifier."""

    person: str
    password: str


class People:
    """Makes and changes people, and reads the record of what they did."""

    def __init__(self, desk: Desk) -> None:
        """Works at a desk."""
        self._desk = desk

    async def add(
        self, who: Actor, person: str, *, name: str, role: str, scope: str = ""
    ) -> FirstPassword:
        """Makes a new person, with a password for the first sign-in.

        Args:
            who: who does it.
            person: sign-in name, ``[a-z0-9._-]``.
            name: what people call them.
            role: one of ``Role``.
            scope: ``区`` for a district, ``区/街道`` for a street, a merchant for a merchant.

        Raises:
            NotAllowed: no right.
            ImportRefused: a field is not sound, or there is such a person; nothing was changed.
        """
        who.need(Right.PEOPLE)
        _check(person, name, role, scope)
        password = new_password()
        verifier = await asyncio.to_thread(password_verifier, password, person)
        now_ms = self._desk.now_ms()
        row = {
            "person": person,
            "name": name,
            "role": role,
            "scope": scope,
            "password": verifier,
            "temporary": True,
            "totp": b"",
            "totp_confirmed": False,
            "totp_step": 0,
            "failures": 0,
            "locked_until_ms": 0,
            "active": True,
            "created_ms": now_ms,
            "changed_ms": now_ms,
        }
        async with self._desk.database.writing() as connection:
            taken = select(people.c.person).where(people.c.person == person)
            if await connection.scalar(taken) is not None:
                raise ImportRefused(f"there is a person {person} already; nothing was changed")
            await connection.execute(insert(people), row)
            await self._desk.done(connection, who, "person.add", person, role=role)
        return FirstPassword(person, password)

    async def change(
        self,
        who: Actor,
        person: str,
        *,
        role: str | None = None,
        scope: str | None = None,
        active: bool | None = None,
    ) -> Person:
        """Gives a person another role or place, or lets them in no more; ends their sessions.

        Raises:
            NotAllowed: no right, or it is the own account.
            PersonUnknown: no such person.
            ImportRefused: a field is not sound; nothing was changed.
        """
        who.need(Right.PEOPLE)
        if who.person == person:
            raise ImportRefused("nobody changes their own rights; another person must")
        async with self._desk.database.writing() as connection:
            held = await row_of(connection, person)
            fresh = {
                "role": held.role if role is None else role,
                "scope": held.scope if scope is None else scope,
                "active": held.active if active is None else active,
            }
            _check(person, held.name, str(fresh["role"]), str(fresh["scope"]))
            await connection.execute(
                update(people)
                .where(people.c.person == person)
                .values(**fresh, changed_ms=self._desk.now_ms())
            )
            await connection.execute(delete(sessions).where(sessions.c.person == person))
            await self._desk.done(
                connection,
                who,
                "person.change",
                person,
                role=str(fresh["role"]),
                active=int(bool(fresh["active"])),
            )
            return _person(await row_of(connection, person))

    async def reset(self, who: Actor, person: str, *, second_factor: bool = False) -> FirstPassword:
        """Gives a new first password and unlocks; with ``second_factor`` takes that away too.

        Raises:
            NotAllowed: no right.
            PersonUnknown: no such person.
        """
        who.need(Right.PEOPLE)
        password = new_password()
        verifier = await asyncio.to_thread(password_verifier, password, person)
        fresh: dict[str, Any] = {"password": verifier, "temporary": True, "failures": 0}
        if second_factor:
            fresh |= {"totp": b"", "totp_confirmed": False}
        async with self._desk.database.writing() as connection:
            await row_of(connection, person)
            await connection.execute(
                update(people)
                .where(people.c.person == person)
                .values(**fresh, locked_until_ms=0, changed_ms=self._desk.now_ms())
            )
            await connection.execute(delete(sessions).where(sessions.c.person == person))
            await self._desk.done(
                connection, who, "person.reset", person, second_factor=int(second_factor)
            )
        return FirstPassword(person, password)

    async def all(self, who: Actor) -> list[Person]:
        """Everybody, by name.

        Raises:
            NotAllowed: no right.
        """
        if not who.may(Right.AUDIT):
            who.need(Right.PEOPLE)
        async with self._desk.database.reading() as connection:
            rows = await connection.execute(select(people).order_by(people.c.person))
            return [_person(row) for row in rows]

    async def records(
        self, who: Actor, *, person: str = "", act: str = "", before_ms: int | None = None
    ) -> list[Record]:
        """What people did, the newest first; see ``server.audit.records``.

        Raises:
            NotAllowed: no right.
        """
        who.need(Right.AUDIT)
        async with self._desk.database.reading() as connection:
            found = await records(connection, person=person, act=act, before_ms=before_ms)
        return list(found)


async def row_of(connection: AsyncConnection, person: str) -> Any:
    """The row of a person.

    Raises:
        PersonUnknown: no such person.
    """
    statement = select(people).where(people.c.person == person)
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise PersonUnknown(f"no person is called {person}; nothing was done")
    return row


def _person(row: Any) -> Person:
    return Person(
        person=row.person,
        name=row.name,
        role=Role(row.role),
        scope=row.scope,
        active=bool(row.active),
        second_factor=bool(row.totp_confirmed),
        locked_until_ms=row.locked_until_ms,
        temporary=bool(row.temporary),
        created_ms=row.created_ms,
    )


def _check(person: str, name: str, role: str, scope: str) -> None:
    if not _PERSON.match(person) or person in _RESERVED:
        raise ImportRefused("person: 2 to 32 of a-z, 0-9, dot, hyphen and _, a letter first")
    if not _NAME.match(name):
        raise ImportRefused("name: 1 to 64 characters")
    if role not in set(Role):
        raise ImportRefused(f"role {role!r}: {', '.join(Role)}")
    if not _SCOPE.match(scope):
        raise ImportRefused("scope: at most 64 characters")
    district, slash, street = scope.partition("/")
    wanted = {
        Role.DISTRICT: bool(district) and not slash,
        Role.STREET: bool(district and street),
        Role.MERCHANT: bool(scope),
    }
    if not wanted.get(Role(role), not scope):
        raise ImportRefused(
            "scope: a district's name for district, district/street for street, the merchant for "
            "merchant, nothing for the others"
        )
