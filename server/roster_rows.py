"""Every card as it stands now, packed, in the order in which a roster wants it.

A city has millions of cards: a row is kept in some eighty bytes until all are in order, which is by
the bytes of the hash and so none that a database knows.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.rules.offer import MemberStatus
from server.card_list import month_of
from server.schema import cards, members
from sync.roster import RosterEntry, card_bytes

STREAM_ROWS: Final = 20_000
_KEY_BYTES: Final = 16
_NUMBER_DIGITS: Final = 8


@dataclass(frozen=True, slots=True)
class Standing:
    """Cards in order.

    Attributes:
        packed: bytes of the hash, number of the entry, member reference.
        entries: what many cards have in common; the member is not in it.
    """

    packed: Sequence[bytes]
    entries: Sequence[RosterEntry]

    def records(self) -> Iterator[tuple[str, RosterEntry]]:
        """As ``build_roster`` takes them."""
        end = _KEY_BYTES + _NUMBER_DIGITS
        for one in self.packed:
            card = base64.b32encode(one[:_KEY_BYTES]).decode("ascii").lower().rstrip("=")
            held = self.entries[int(one[_KEY_BYTES:end], 16)]
            member = one[end:].decode("ascii")
            yield (
                card,
                RosterEntry(
                    held.status,
                    member,
                    held.suspended,
                    held.district,
                    held.street,
                    held.tags,
                    held.expires,
                ),
            )


async def standing_of(
    connection: AsyncConnection, names: Sequence[str]
) -> list[tuple[str, RosterEntry]]:
    """Some cards, and all cards of some members, each with its member and in its newest state."""
    chosen = cards.c.card.in_(names) | cards.c.member.in_(names)
    found = await connection.execute(_newest().where(chosen))
    return [(name, replace(_entry(tuple(common)), member=owner)) for name, owner, *common in found]


async def standing(connection: AsyncConnection) -> Standing:
    """Reads every card with its member, each in its newest state."""
    numbers: dict[tuple[Any, ...], int] = {}
    packed: list[bytes] = []
    postgresql = connection.dialect.name == "postgresql"
    statement = _distinct() if postgresql else _newest()
    found = await connection.stream(statement.execution_options(yield_per=STREAM_ROWS))
    async for some in found.partitions(STREAM_ROWS):
        for card, member, *common in some:
            number = numbers.setdefault(tuple(common), len(numbers))
            packed.append(b"%b%08x%b" % (card_bytes(card), number, member.encode("ascii")))
    packed.sort()
    return Standing(packed, [_entry(common) for common in numbers])


def _entry(common: tuple[Any, ...]) -> RosterEntry:
    status, expires, standing_, district, street, tags = common
    return RosterEntry(
        status=status,
        suspended=standing_ == MemberStatus.SUSPENDED.value,
        district=district or "",
        street=street or "",
        tags=tuple((tags or "").split()),
        expires=month_of(expires),
    )


def _columns(card: Any, member: Any) -> tuple[Any, ...]:
    return (
        card.card,
        card.member,
        card.status,
        card.expires,
        member.status,
        member.district,
        member.street,
        member.tags,
    )


def _newest() -> Select[Any]:
    """By the keys of both tables, one look for each card: SQLite sorts nothing for it."""
    last, other = cards.alias("last"), members.alias("other")
    newest_card = select(func.max(last.c.from_ms)).where(last.c.card == cards.c.card)
    newest_member = select(func.max(other.c.from_ms)).where(other.c.member == cards.c.member)
    joined = (members.c.member == cards.c.member) & (
        members.c.from_ms == newest_member.scalar_subquery()
    )
    return (
        select(*_columns(cards.c, members.c))
        .select_from(cards.outerjoin(members, joined))
        .where(cards.c.from_ms == newest_card.scalar_subquery())
    )


def _distinct() -> Select[Any]:
    """By one pass over each table: PostgreSQL joins the two by hashing."""
    card = (
        select(cards).ext(distinct_on(cards.c.card)).order_by(cards.c.card, cards.c.from_ms.desc())
    )
    member = (
        select(members)
        .ext(distinct_on(members.c.member))
        .order_by(members.c.member, members.c.from_ms.desc())
    )
    left, right = card.subquery("card"), member.subquery("member")
    joined = left.outerjoin(right, left.c.member == right.c.member)
    return select(*_columns(left.c, right.c)).select_from(joined)
