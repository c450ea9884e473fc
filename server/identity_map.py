"""Who a member is: the one place of personal data, apart from every redemption, and erasable.

Ledgers, events and reports know a member by a random reference alone. The name behind it stands
here, sealed to the server's key, one row a member; erasing the row breaks no ledger, because
nothing else holds what it held. Every look is recorded in the transaction that gives it.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, insert, select, update

from server.audit import records
from server.desk import Desk
from server.errors import ImportRefused
from server.known import pieces
from server.roles import Actor, Right
from server.schema import cards, members
from server.schema_office import identities

#: Fields that may be kept of a person; no others, and none is needed for a redemption.
FIELDS: Final = ("name", "phone", "employer")
FIELD_LETTERS_MAX: Final = 64
FAULTS_TOLD_MAX: Final = 100
#: Why somebody looks, which is recorded; a look without a purpose is refused.
PURPOSES: Final = ("complaint", "correction", "access_request", "fraud_case", "lost_and_found")
_REFERENCE: Final = re.compile(r"[0-9a-f]{16}\Z")


@dataclass(frozen=True, slots=True)
class Identity:
    """What is known of a member.

    Attributes:
        member: reference.
        name: in full, or masked; empty if nothing is kept or it was erased.
        phone: as ``name``.
        employer: as ``name``.
        erased_ms: when it was erased, ``None`` if it was not.
    """

    member: str
    name: str = ""
    phone: str = ""
    employer: str = ""
    erased_ms: int | None = None


class IdentityMap:
    """Keeps, shows and erases identities."""

    def __init__(self, desk: Desk) -> None:
        """Works at a desk."""
        self._desk = desk

    async def put(self, who: Actor, member: str, fields: Mapping[str, str]) -> None:
        """Keeps what is known of a member, in the place of what was.

        Args:
            who: who does it.
            member: reference.
            fields: some of ``FIELDS``.

        Raises:
            NotAllowed: no right.
            ImportRefused: a field is unknown or too long; nothing was changed.
        """
        who.need(Right.MEMBERS)
        row = self._sealed(member, fields)
        async with self._desk.database.writing() as connection:
            await connection.execute(delete(identities).where(identities.c.member == member))
            await connection.execute(insert(identities), row)
            await self._desk.done(connection, who, "identity.put", member)

    async def take(self, who: Actor, data: bytes) -> tuple[int, list[tuple[int, str]]]:
        """Keeps who members are from a CSV with ``member`` and some of ``FIELDS``.

        Returns:
            How many were kept, and line and fault of the rows left out, at most 100.

        Raises:
            NotAllowed: no right.
            ImportRefused: no such heading, or not UTF-8; nothing was changed.
        """
        who.need(Right.MEMBERS)
        rows: dict[str, dict[str, Any]] = {}
        faults: list[tuple[int, str]] = []
        for line, fields in _rows(data):
            member = fields.pop("member")
            try:
                rows[member] = await asyncio.to_thread(self._sealed, member, fields)
            except ImportRefused as fault:
                faults.append((line, str(fault)))
        async with self._desk.database.writing() as connection:
            for some in pieces(list(rows.values())):
                names = [row["member"] for row in some]
                await connection.execute(delete(identities).where(identities.c.member.in_(names)))
                await connection.execute(insert(identities), list(some))
            await self._desk.done(connection, who, "identity.take", quantity=len(rows))
        return len(rows), faults[:FAULTS_TOLD_MAX]

    def _sealed(self, member: str, fields: Mapping[str, str]) -> dict[str, Any]:
        if not _REFERENCE.match(member):
            raise ImportRefused("member: 16 digits 0-9 and a-f")
        for name, value in fields.items():
            if name not in FIELDS or len(value) > FIELD_LETTERS_MAX:
                raise ImportRefused(
                    f"{name}: kept are {', '.join(FIELDS)}, at most {FIELD_LETTERS_MAX} letters"
                )
        sealed = self._desk.home.encrypt(json.dumps(dict(fields)).encode("utf-8"))
        now_ms = self._desk.now_ms()
        return {"member": member, "sealed": sealed, "set_ms": now_ms, "erased_ms": None}

    async def masked(self, who: Actor, member: str) -> Identity:
        """A member as everybody may see them who may look up: ``张*敏``, last digits of a phone.

        Raises:
            NotAllowed: no right.
        """
        who.need(Right.LOOK_UP)
        found = await self._read(who, member, "identity.masked", "")
        return Identity(
            member,
            mask_name(found.name),
            mask_phone(found.phone),
            "",
            found.erased_ms,
        )

    async def unmasked(self, who: Actor, member: str, purpose: str) -> Identity:
        """A member in full; the look and its purpose are recorded first.

        Raises:
            NotAllowed: no right.
            ImportRefused: no purpose, or an unknown one.
        """
        who.need(Right.UNMASK)
        if purpose not in PURPOSES:
            raise ImportRefused(f"purpose: one of {', '.join(PURPOSES)}; nothing was shown")
        return await self._read(who, member, "identity.unmasked", purpose)

    async def erase(self, who: Actor, member: str) -> bool:
        """Erases a member's identity and the last digits of their cards, for good.

        Redemptions stay: they hold a reference that now stands for nobody. The member's status and
        district stay too, for they decide what the card may still be used for.

        Returns:
            Whether there was something to erase.

        Raises:
            NotAllowed: no right.
        """
        who.need(Right.MEMBERS)
        async with self._desk.database.writing() as connection:
            gone = await connection.execute(
                update(identities)
                .where(identities.c.member == member, identities.c.erased_ms.is_(None))
                .values(sealed=b"", erased_ms=self._desk.now_ms())
            )
            digits = await connection.execute(
                update(cards).where(cards.c.member == member, cards.c.last4 != "").values(last4="")
            )
            await self._desk.done(connection, who, "identity.erase", member)
        return bool(gone.rowcount or digits.rowcount)

    async def access_copy(self, who: Actor, member: str) -> dict[str, Any]:
        """All that is kept of a member, for the member: identity, states, every look at it.

        Raises:
            NotAllowed: no right.
        """
        who.need(Right.UNMASK)
        identity = await self._read(who, member, "identity.access_copy", "access_request")
        async with self._desk.database.reading() as connection:
            states = await connection.execute(
                select(members).where(members.c.member == member).order_by(members.c.from_ms)
            )
            return {
                "member": member,
                "name": identity.name,
                "phone": identity.phone,
                "employer": identity.employer,
                "erased_ms": identity.erased_ms,
                "states": [dict(row) for row in states.mappings()],
                "looks": [
                    {"at_ms": one.at_ms, "role": one.role, "act": one.act, **one.detail}
                    for one in await records(connection, subject=member)
                ],
            }

    async def _read(self, who: Actor, member: str, act: str, purpose: str) -> Identity:
        async with self._desk.database.writing() as connection:
            await self._desk.noted(connection, who, act, member, purpose=purpose)
            row = (
                await connection.execute(select(identities).where(identities.c.member == member))
            ).one_or_none()
        if row is None or not row.sealed:
            return Identity(member, erased_ms=row.erased_ms if row is not None else None)
        fields = json.loads(self._desk.home.decrypt(bytes(row.sealed)))
        return Identity(member, *(fields.get(name, "") for name in FIELDS))


def _rows(data: bytes) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
        heading = list(reader.fieldnames or [])
        if "member" not in heading or set(heading) - {"member", *FIELDS}:
            raise ImportRefused(f"columns are member, {', '.join(FIELDS)}", line=1)
        for row in reader:
            yield reader.line_num, {name: (row[name] or "").strip() for name in heading}
    except UnicodeDecodeError:
        raise ImportRefused("the file is not UTF-8; nothing was changed") from None
    except csv.Error as error:
        raise ImportRefused(f"not a CSV: {error}; nothing was changed") from None


def mask_name(name: str) -> str:
    """A name with all but its ends hidden: ``张敏`` is ``张*``, ``张晓敏`` is ``张*敏``."""
    if len(name) < 2:
        return "*" if name else ""
    return name[0] + "*" if len(name) == 2 else name[0] + "*" * (len(name) - 2) + name[-1]


def mask_phone(phone: str) -> str:
    """The last four digits of a phone."""
    return f"****{phone[-4:]}" if len(phone) >= 8 else ""
