"""Goods sent from one station to another, as the ledgers of both tell it.

Both sign with the transfer's number. What only one has signed waits as a matter that opens when its
time is over; the other's signature takes it away, or closes it if it was open. A transfer of which
another quantity arrived than was sent opens a case at once. Folding everything anew finds the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.entry import Kind
from ledger.rules.goods import GoodsMovement
from server.casebook import DECIDE, decisions
from server.facts import Event
from server.schema_office import case_acts, matters

KIND: Final = "goods"
NOT_RECEIVED: Final = "transfer_not_received"
NOT_SENT: Final = "transfer_not_sent"
DIFFERS: Final = "transfer_differs"
#: So long a station may be without a network before its silence is a case.
WAIT_MS: Final = 3 * 24 * 3600 * 1000
#: Who closes a case when the other station has signed.
SERVER: Final = "server"
_KEY_MAX: Final = 255
#: What is missing while only this side has signed.
_SIDES: Final = {
    GoodsMovement.TRANSFERRED.value: NOT_RECEIVED,
    GoodsMovement.RECEIVED.value: NOT_SENT,
}

Facts = Mapping[str, str | int]


async def know_transfers(
    connection: AsyncConnection, log: int, found: Iterable[Event], now_ms: int
) -> None:
    """Takes the transfers among new entries of a ledger.

    Args:
        connection: inside a transaction that may write.
        log: which ledger.
        found: its new entries.
        now_ms: server time.
    """
    for event in found:
        side = _SIDES.get(event.text("movement")) if event.kind == Kind.GOODS else None
        if side is not None and event.text("transfer"):
            await _take(connection, log, event, side, now_ms)


async def _take(
    connection: AsyncConnection, log: int, event: Event, side: str, now_ms: int
) -> None:
    key = f"{KIND}|{event.text('transfer')}|{event.text('offer')}"[:_KEY_MAX]
    held = (await connection.execute(select(matters).where(matters.c.key == key))).one_or_none()
    if held is None:
        opened_ms = max(now_ms, event.at_ms + WAIT_MS)
        facts = _facts(log, event, side)
        await connection.execute(insert(matters), _row(key, side, event, facts, opened_ms))
        return
    facts = json.loads(held.facts)
    if held.reason == side or facts["log"] == log:
        return  # the same entry, read again; nobody signs for both sides
    if held.opened_ms > now_ms:
        await connection.execute(delete(matters).where(matters.c.key == key))
    else:
        await _close(connection, key, now_ms)
    both = {side: event.number("quantity"), held.reason: facts["quantity"]}
    if both[NOT_RECEIVED] != both[NOT_SENT]:
        sender, receiver = held.venue, event.text("venue")
        if side == NOT_RECEIVED:
            sender, receiver = receiver, sender
        told = {
            "transfer": event.text("transfer"),
            "from_venue": sender,
            "to_venue": receiver,
            "sent": both[NOT_RECEIVED],
            "arrived": both[NOT_SENT],
        }
        await _differs(connection, event, told, now_ms)


async def _differs(connection: AsyncConnection, event: Event, told: Facts, now_ms: int) -> None:
    key = f"{KIND}|{event.text('transfer')}|{event.text('offer')}"[: _KEY_MAX - 8] + "|differs"
    if await connection.scalar(select(matters.c.id).where(matters.c.key == key)) is None:
        await connection.execute(insert(matters), _row(key, DIFFERS, event, told, now_ms))


async def _close(connection: AsyncConnection, key: str, now_ms: int) -> None:
    """The other station has signed after all, unless a person has decided before."""
    if key not in await decisions(connection, [key]):
        act = {"key": key, "act": DECIDE, "value": "accept", "remark": "", "person": SERVER}
        await connection.execute(insert(case_acts), act | {"at_ms": now_ms})


def _facts(log: int, event: Event, side: str) -> Facts:
    other = event.text("to_venue") if side == NOT_RECEIVED else event.text("from_venue")
    return {
        "transfer": event.text("transfer"),
        "quantity": event.number("quantity"),
        "entry": str(event.position),
        "other_venue": other,
        "at_ms": event.at_ms,
        "log": log,
    }


def _row(key: str, reason: str, event: Event, facts: Facts, opened_ms: int) -> dict[str, Any]:
    return {
        "key": key,
        "kind": KIND,
        "reason": reason,
        "member": "",
        "offer": event.text("offer"),
        "venue": event.text("venue"),
        "terminal": "",
        "facts": json.dumps(dict(facts), ensure_ascii=False, sort_keys=True),
        "first_ms": event.at_ms,
        "opened_ms": opened_ms,
    }


def explain_transfer(reason: str, venue: str, facts: Facts) -> tuple[str, str] | None:
    """What a person is told of it, in Chinese and English; ``None`` for other reasons."""
    number = facts.get("transfer", "")
    if reason == DIFFERS:
        return (
            (
                f"调拨单 {number}：{facts['from_venue']} 发出 {facts['sent']} 份，"
                f"{facts['to_venue']} 签收 {facts['arrived']} 份。"
                "请两站核对实物与号段，差额由管理后台登记。"
            ),
            (
                f"Transfer {number}: {facts['from_venue']} sent {facts['sent']}, "
                f"{facts['to_venue']} signed for {facts['arrived']}. Have both count and compare "
                "the number ranges; the office records the difference."
            ),
        )
    other = facts.get("other_venue") or "?"
    if reason == NOT_RECEIVED:
        return (
            (
                f"调拨单 {number}：{venue} 已发出 {facts['quantity']} 份，{other} 三天内没有签收。"
                "请向收货站点核实：收到的补签收；没有收到的查路上；也可能该站尚未联网上传。"
            ),
            (
                f"Transfer {number}: {venue} sent {facts['quantity']}, and {other} has not signed "
                "for them within three days. Ask there: sign for what arrived, look for what did "
                "not; the station may only be without a network."
            ),
        )
    if reason == NOT_SENT:
        return (
            (
                f"调拨单 {number}：{venue} 签收 {facts['quantity']} 份，"
                f"{other} 三天内没有发出记录。请向发货站点核实：可能尚未联网上传，或单号写错。"
            ),
            (
                f"Transfer {number}: {venue} signed for {facts['quantity']}, and {other} has not "
                "recorded sending them within three days. Ask there: it may be without a network, "
                "or the number is wrong."
            ),
        )
    return None
