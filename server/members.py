"""Members and cards as the member system gives them.

Only differences become new states; every state is kept with the moment from which it held, because
taps are judged by what was true when they happened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.rules.offer import CardStatus, MemberStatus
from server.card_list import CARD_STATUSES, FILE_BYTES_MAX, ImportReport, Membership, read_rows
from server.errors import ImportRefused
from server.known import pieces
from server.schema import cards, members


async def import_members(
    connection: AsyncConnection,
    data: bytes,
    now_ms: int,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ImportReport:
    """Takes a CSV of cards and members; what is as before changes nothing.

    Args:
        connection: inside a transaction that may write.
        data: UTF-8, with a heading of ``COLUMNS``; card and member must be there.
        now_ms: from when on new states hold.
        progress: told how many rows of how many are done.

    Raises:
        ImportRefused: the file as a whole is refused; nothing was changed.
    """
    if len(data) > FILE_BYTES_MAX:
        raise ImportRefused(f"a file of members has at most {FILE_BYTES_MAX} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ImportRefused("the file is not UTF-8", line=line) from None
    found = read_rows(text)
    changed_cards, changed_members = await take_rows(connection, found.rows, now_ms, progress)
    return ImportReport(
        rows=len(found.rows) + found.faulty,
        cards=changed_cards,
        members=changed_members,
        faults=tuple(found.faults),
        faulty=found.faulty,
    )


async def take_rows(
    connection: AsyncConnection,
    rows: Sequence[Membership],
    now_ms: int,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[int, int]:
    """Records the states that differ; of several rows of one card or member the last counts.

    Returns:
        How many cards and how many members have a new state.
    """
    by_card = {row.card: row for row in rows}
    by_member = {row.member: row for row in rows if row.member}
    changed_cards = changed_members = done = 0
    for some in pieces(sorted(by_card)):
        held = await _newest(connection, cards, cards.c.card, some)
        fresh = [_card_row(by_card[card], now_ms) for card in some]
        changed_cards += await _add(connection, cards, "card", fresh, held)
        done += len(some)
        progress(done, len(by_card))
    for some in pieces(sorted(by_member)):
        held = await _newest(connection, members, members.c.member, some)
        fresh = [_member_row(by_member[member], now_ms) for member in some]
        changed_members += await _add(connection, members, "member", fresh, held)
    return changed_cards, changed_members


def _card_row(row: Membership, now_ms: int) -> dict[str, Any]:
    return {
        "card": row.card,
        "from_ms": now_ms,
        "status": row.status.value,
        "member": row.member,
        "last4": row.last4,
        "expires": row.expires,
        "issued": row.issued,
        "replaced_by": row.replaced_by,
    }


def _member_row(row: Membership, now_ms: int) -> dict[str, Any]:
    return {
        "member": row.member,
        "from_ms": now_ms,
        "status": row.member_status.value,
        "district": row.district,
        "street": row.street,
        "tags": " ".join(sorted(row.tags)),
        "year": row.year,
    }


async def _newest(
    connection: AsyncConnection, table: Any, column: Any, names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    statement = select(table).where(column.in_(names)).order_by(table.c.from_ms)
    rows = (await connection.execute(statement)).mappings()
    return {row[column.name]: dict(row) for row in rows}


async def _add(
    connection: AsyncConnection,
    table: Any,
    key: str,
    fresh: Sequence[dict[str, Any]],
    held: Mapping[str, dict[str, Any]],
) -> int:
    changed = []
    for row in fresh:
        before = held.get(row[key])
        if before is None:
            changed.append(row)
        elif {**before, "from_ms": 0} != {**row, "from_ms": 0}:
            # Two states in one millisecond: the later one holds from the next.
            changed.append({**row, "from_ms": max(row["from_ms"], before["from_ms"] + 1)})
    if changed:
        await connection.execute(insert(table), changed)
    return len(changed)


async def set_card(connection: AsyncConnection, card: str, status: str, now_ms: int) -> None:
    """Gives a card another status from now on.

    Raises:
        ImportRefused: no such card or status; nothing was changed.
    """
    if status not in CARD_STATUSES:
        raise ImportRefused(f"status {status!r}: {', '.join(CARD_STATUSES)}")
    held = await _newest(connection, cards, cards.c.card, [card])
    if card not in held:
        raise ImportRefused(f"no card {card}")
    await _add(
        connection, cards, "card", [{**held[card], "status": status, "from_ms": now_ms}], held
    )


async def set_member(connection: AsyncConnection, member: str, status: str, now_ms: int) -> None:
    """Suspends a member from now on, or lets them use offers again.

    Raises:
        ImportRefused: no such member or status; nothing was changed.
    """
    if status not in set(MemberStatus):
        raise ImportRefused(f"status {status!r}: {', '.join(MemberStatus)}")
    held = await _newest(connection, members, members.c.member, [member])
    if member not in held:
        raise ImportRefused(f"no member {member}")
    row = {**held[member], "status": status, "from_ms": now_ms}
    await _add(connection, members, "member", [row], held)


async def current(connection: AsyncConnection) -> list[Membership]:
    """Every card as it stands now, with its member."""
    newest_card = select(cards.c.card, func.max(cards.c.from_ms).label("from_ms")).group_by(
        cards.c.card
    )
    latest = newest_card.subquery()
    card_rows = await connection.execute(
        select(cards).join(
            latest, (latest.c.card == cards.c.card) & (latest.c.from_ms == cards.c.from_ms)
        )
    )
    newest_member = (
        select(members.c.member, func.max(members.c.from_ms).label("from_ms"))
        .group_by(members.c.member)
        .subquery()
    )
    member_rows = await connection.execute(
        select(members).join(
            newest_member,
            (newest_member.c.member == members.c.member)
            & (newest_member.c.from_ms == members.c.from_ms),
        )
    )
    known = {row.member: row for row in member_rows}
    return [_current(row, known.get(row.member)) for row in card_rows]


def _current(card: Any, member: Any) -> Membership:
    return Membership(
        card=card.card,
        member=card.member,
        status=CardStatus(card.status),
        district=member.district if member else "",
        street=member.street if member else "",
        tags=frozenset(member.tags.split()) if member else frozenset(),
        last4=card.last4,
        member_status=MemberStatus(member.status) if member else MemberStatus.ACTIVE,
        year=member.year if member else 0,
        expires=card.expires,
        issued=card.issued,
        replaced_by=card.replaced_by,
    )
