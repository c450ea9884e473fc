"""Enrolment as the office does it: many at once, by approval, and a spare for one that broke.

A row of a list is one terminal. What is faulty is told with its line and stops nothing else; what
is good gets a one-time code, which is answered once, for the printed sheets, and kept as a hash.
Where approval is asked for, the code alone opens nothing: the machine that types it waits until
somebody compares the fingerprint of its key.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.rules.offer import Profile
from server import enrolment
from server.desk import Desk
from server.enrolment import CODE_LIFE_MS, Activation, code_hash
from server.errors import EnrolmentRefused, ImportRefused, ServerError
from server.roles import Actor, Right
from server.schema import activations
from sync.enrolment import EnrolRequest

COLUMNS: Final = ("terminal", "venue", "name", "profile", "offers")
ROWS_MAX: Final = 20_000
FAULTS_TOLD_MAX: Final = 100
FILE_BYTES_MAX: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a printed activation sheet says; the code is nowhere else.

    Attributes:
        terminal: short name.
        name: what people call it.
        venue: where it will stand.
        venue_name: what people call that.
        profile: counter or kiosk.
        offers: that a kiosk redeems.
        code: one-time activation code.
        expires_ms: until when it works.
        approval: whether somebody must approve the machine that types it.
    """

    terminal: str
    name: str
    venue: str
    venue_name: str
    profile: str
    offers: tuple[str, ...]
    code: str
    expires_ms: int
    approval: bool


@dataclass(frozen=True, slots=True)
class EnrolReport:
    """What a list of terminals gave.

    Attributes:
        rows: rows read.
        sheets: of the good ones.
        faults: line and what is wrong with it, at most 100.
        faulty: rows left out.
    """

    rows: int
    sheets: tuple[Sheet, ...]
    faults: tuple[tuple[int, str], ...]
    faulty: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A machine that waits for approval.

    Attributes:
        terminal: which it says it is.
        fingerprint: of its key, in groups, as the machine was told.
        asked_ms: not before this.
    """

    terminal: str
    fingerprint: str
    asked_ms: int


class Enrolments:
    """Makes codes for many terminals, approves, replaces."""

    def __init__(self, desk: Desk) -> None:
        """Works at a desk."""
        self._desk = desk

    async def many(
        self, who: Actor, data: bytes, *, approval: bool = False, life_ms: int = CODE_LIFE_MS
    ) -> EnrolReport:
        """Makes a code for every terminal of a list.

        Args:
            who: who does it.
            data: CSV, UTF-8, with a heading of ``COLUMNS``; terminal and venue must be there.
            approval: whether each machine must be approved.
            life_ms: how long the codes work.

        Raises:
            NotAllowed: no right.
            ImportRefused: the file as a whole is refused; nothing was made.
        """
        who.need(Right.FLEET_CHANGE)
        rows = _rows(data)
        sheets: list[Sheet] = []
        faults: list[tuple[int, str]] = []
        async with self._desk.database.writing() as connection:
            published = await self._desk.book.read(connection)
            seen: set[str] = set()
            for line, row in rows:
                try:
                    _check(row, seen)
                    made = await self._make(connection, row, approval=approval, life_ms=life_ms)
                except ServerError as error:
                    faults.append((line, str(error)))
                    continue
                seen.add(row["terminal"])
                venue = published.venues.get(row["venue"])
                sheets.append(
                    Sheet(
                        terminal=made.terminal,
                        name=row.get("name") or made.terminal,
                        venue=row["venue"],
                        venue_name=venue.name if venue else row["venue"],
                        profile=row.get("profile") or Profile.COUNTER.value,
                        offers=tuple(row.get("offers", "").split()),
                        code=made.code,
                        expires_ms=made.expires_ms,
                        approval=approval,
                    )
                )
            if sheets:
                await self._desk.done(connection, who, "terminal.enrol", quantity=len(sheets))
        told = tuple(faults[:FAULTS_TOLD_MAX])
        return EnrolReport(len(rows), tuple(sheets), told, len(faults))

    async def replace(self, who: Actor, terminal: str, *, reason: str) -> Activation:
        """Puts a spare in a terminal's place: revokes and wipes the old one, makes a new code.

        Raises:
            NotAllowed: no right.
            TerminalUnknown: no such terminal, or none that could be revoked.
            ImportRefused: an unknown reason; nothing was changed.
        """
        who.need(Right.FLEET_CHANGE)
        now_ms = self._desk.now_ms()
        async with self._desk.database.writing() as connection:
            await enrolment.revoke(connection, ledger=terminal, reason=reason, now_ms=now_ms)
            held = await enrolment.terminal_of(connection, terminal)
            made = await enrolment.create_activation(
                connection,
                terminal=terminal,
                name=held.name,
                places=held.venues.split(),
                profile=held.profile,
                now_ms=now_ms,
            )
            await self._desk.done(connection, who, "terminal.replace", terminal, reason=reason)
        return made

    async def waiting(self, who: Actor) -> list[Waiting]:
        """Machines that wait for approval, by name.

        Raises:
            NotAllowed: no right.
        """
        who.need(Right.FLEET_VIEW)
        query = (
            select(activations)
            .where(
                activations.c.approval.is_(True),
                activations.c.asked_key.is_not(None),
                activations.c.approved_ms.is_(None),
                activations.c.used_ms.is_(None),
                activations.c.expires_ms > self._desk.now_ms(),
            )
            .order_by(activations.c.terminal)
        )
        async with self._desk.database.reading() as connection:
            return [
                Waiting(row.terminal, fingerprint(bytes(row.asked_key)), row.created_ms)
                for row in await connection.execute(query)
            ]

    async def approve(self, who: Actor, terminal: str, shown: str) -> None:
        """Lets the machine in whose key has this fingerprint.

        Raises:
            NotAllowed: no right.
            ImportRefused: no such machine waits; nothing was changed.
        """
        who.need(Right.FLEET_CHANGE)
        wanted = next(
            (
                one
                for one in await self.waiting(who)
                if one.terminal == terminal and _same(one.fingerprint, shown)
            ),
            None,
        )
        if wanted is None:
            raise ImportRefused(f"no machine {terminal} with this fingerprint waits")
        async with self._desk.database.writing() as connection:
            await connection.execute(
                update(activations)
                .where(
                    activations.c.terminal == terminal,
                    activations.c.asked_key.is_not(None),
                    activations.c.used_ms.is_(None),
                )
                .values(approved_ms=self._desk.now_ms())
            )
            await self._desk.done(connection, who, "terminal.approve", terminal)

    async def _make(
        self, connection: AsyncConnection, row: Mapping[str, str], *, approval: bool, life_ms: int
    ) -> Activation:
        made = await enrolment.create_activation(
            connection,
            terminal=row["terminal"],
            name=row.get("name", ""),
            places=[row["venue"]],
            profile=row.get("profile") or Profile.COUNTER.value,
            now_ms=self._desk.now_ms(),
            life_ms=life_ms,
        )
        if approval:
            await connection.execute(
                update(activations)
                .where(activations.c.code_hash == code_hash(made.code))
                .values(approval=True)
            )
        return made


async def ask_approval(connection: AsyncConnection, request: EnrolRequest) -> str:
    """Notes the key that asks, where approval is needed.

    Returns:
        Empty if the machine may be enrolled, else what to tell it.

    Raises:
        EnrolmentRefused: no proof of its key, or another machine has asked with this code before.
    """
    enrolment.check_proof(request)
    mine = activations.c.code_hash == code_hash(request.code)
    held = (await connection.execute(select(activations).where(mine))).one_or_none()
    if held is None or not held.approval or held.used_ms is not None:
        return ""
    if held.asked_key is None:
        await connection.execute(
            update(activations).where(mine).values(asked_key=request.public_key)
        )
    elif bytes(held.asked_key) != request.public_key:
        raise EnrolmentRefused("another machine has asked with this code; ask for a new code")
    if held.approved_ms is not None:
        return ""
    return (
        f"this machine waits for approval, its key is {fingerprint(request.public_key)}: read it "
        "to the operator, then try again with the same code"
    )


def fingerprint(public_key: bytes) -> str:
    """Forty-eight bits of a key's SHA-256, in groups that two people can read to each other."""
    digits = sha256(public_key).hexdigest()[:12].upper()
    return "-".join(digits[at : at + 4] for at in range(0, 12, 4))


def _same(one: str, other: str) -> bool:
    return one.replace("-", "") == other.replace("-", "").strip().upper()


def _rows(data: bytes) -> list[tuple[int, dict[str, str]]]:
    if len(data) > FILE_BYTES_MAX:
        raise ImportRefused(f"a list of terminals has at most {FILE_BYTES_MAX} bytes")
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
        heading = [name.strip() for name in reader.fieldnames or []]
        stray = [name for name in heading if name not in COLUMNS]
        if stray or "terminal" not in heading or "venue" not in heading:
            raise ImportRefused(f"columns are {', '.join(COLUMNS)}; nothing was made", line=1)
        reader.fieldnames = heading
        rows: list[tuple[int, dict[str, str]]] = []
        for row in reader:
            fields: dict[str, Any] = {name: row.get(name) or "" for name in heading}
            rows.append((reader.line_num, {k: str(v).strip() for k, v in fields.items()}))
            if len(rows) > ROWS_MAX:
                raise ImportRefused(f"a list has at most {ROWS_MAX} rows; nothing was made")
    except UnicodeDecodeError:
        raise ImportRefused("the list is not UTF-8; nothing was made") from None
    except csv.Error as error:
        raise ImportRefused(f"not a CSV: {error}; nothing was made") from None
    return rows


def _check(row: Mapping[str, str], seen: set[str]) -> None:
    if row["terminal"] in seen:
        raise ImportRefused(f"terminal {row['terminal']} stands twice in the list")
    if row.get("profile") == Profile.KIOSK.value and not row.get("offers"):
        raise ImportRefused("a kiosk needs the offers that it redeems, separated by spaces")
