"""The fleet: what each terminal tells of itself, and what worries.

A terminal's report is signed with its ledger's key; the newest is kept. What terminals report as in
force stands beside what was set (``server.configuring``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from server.case_desk import open_matter
from server.configuring import EVERY_TERMINAL
from server.desk import Desk
from server.errors import TerminalUnknown
from server.fleet import fleet
from server.offers import Published
from server.roles import Actor, Right
from server.schema import ledgers, terminals
from server.schema_office import configurations, health
from sync.admission import LedgerState
from sync.health import Health, ProblemReport

SILENT_MS: Final = 24 * 3600 * 1000
CLOCK_MS: Final = 120_000
QUEUE_OLD_MS: Final = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class TerminalView:
    """A terminal's ledger as the fleet shows it.

    Attributes:
        ledger: ledger id.
        terminal: short name.
        name: what people call it.
        venue: where it stands.
        district: of the venue.
        street: of the venue.
        profile: counter or kiosk.
        state: of the ledger.
        size: entries held here.
        to_judge: of these, not judged yet.
        last_seen_ms: last batch or report, ``None`` if never.
        queue: entries that the terminal says it has not sent, ``None`` if it never said.
        oldest_ms: event time of the oldest of them, 0 if there is none.
        snapshot_ms: signed time of its snapshot, 0 if not told.
        snapshot: fresh, degraded, locked, or empty if not told.
        offset_ms: its clock against the server's, ``None`` if not told.
        version: of its program.
        readers: name, state and profile of each reader.
        printer: state of the printer.
        disk_mb: free megabytes, ``None`` if not told.
        configuration: number in force there.
        wished: number set here, 0 for none.
        fault: why the wished one is not in force.
        worries: what somebody should look at: ``silent``, ``queue``, ``snapshot``, ``clock``,
            ``reader``, ``configuration``, ``quarantined``; the gravest first.
    """

    ledger: str
    terminal: str
    name: str
    venue: str
    district: str
    street: str
    profile: str
    state: str
    size: int
    to_judge: int
    last_seen_ms: int | None
    queue: int | None = None
    oldest_ms: int = 0
    snapshot_ms: int = 0
    snapshot: str = ""
    offset_ms: int | None = None
    version: str = ""
    readers: tuple[str, ...] = ()
    printer: str = ""
    disk_mb: int | None = None
    configuration: int = 0
    wished: int = 0
    fault: str = ""
    worries: tuple[str, ...] = ()


class FleetDesk:
    """Shows terminals, and keeps what they report."""

    def __init__(self, desk: Desk) -> None:
        """Works at a desk."""
        self._desk = desk

    async def all(self, who: Actor, *, worried: bool = False) -> list[TerminalView]:
        """Terminals of the own place, by name.

        Args:
            who: who looks.
            worried: only those about which there is a worry.

        Raises:
            NotAllowed: no right.
        """
        who.need(Right.FLEET_VIEW)
        now_ms = self._desk.now_ms()
        async with self._desk.database.reading() as connection:
            published = await self._desk.book.read(connection)
            rows = await fleet(connection)
            told = {row.log: row for row in await connection.execute(select(health))}
            logs = {
                row.ledger: row.log
                for row in await connection.execute(select(ledgers.c.ledger, ledgers.c.log))
            }
            wished = await _wished(connection)
        views = [
            _view(row, told.get(logs[row["ledger"]]), published, wished, now_ms)
            for row in rows
            if row["terminal"]
        ]
        return [
            one
            for one in views
            if who.may(Right.FLEET_VIEW, district=one.district, street=one.street)
            and (one.worries or not worried)
        ]

    async def take_health(self, ledger: str, report: Health) -> None:
        """Keeps what a terminal told of itself; the caller has checked its signature.

        Raises:
            TerminalUnknown: no such ledger.
        """
        now_ms = self._desk.now_ms()
        document = {
            name: getattr(report, name) for name in Health.__slots__ if name != "readers"
        } | {"readers": list(report.readers), "offset_ms": report.ts_ms - now_ms}
        async with self._desk.database.writing() as connection:
            row = await _log(connection, ledger)
            await connection.execute(delete(health).where(health.c.log == row.log))
            kept = {"log": row.log, "document": json.dumps(document), "reported_ms": now_ms}
            await connection.execute(insert(health), kept)
            await connection.execute(
                update(terminals)
                .where(terminals.c.terminal == row.terminal)
                .values(version=report.version[:64])
            )

    async def take_problem(self, ledger: str, report: ProblemReport) -> bool:
        """Opens a case for what somebody at a terminal reports; sending it again opens none.

        Raises:
            TerminalUnknown: no such ledger.
        """
        async with self._desk.database.writing() as connection:
            row = await _log(connection, ledger)
            return await open_matter(
                connection,
                key=f"problem|{ledger}|{report.nonce}",
                kind="problem",
                reason=report.about,
                now_ms=self._desk.now_ms(),
                venue=report.venue,
                terminal=row.terminal,
                facts={"tap": report.nonce_of_tap, "ts_ms": report.ts_ms},
            )


async def _wished(connection: AsyncConnection) -> dict[str, int]:
    query = select(
        configurations.c.terminal, func.max(configurations.c.version).label("version")
    ).group_by(configurations.c.terminal)
    return {row.terminal: row.version for row in await connection.execute(query)}


async def _log(connection: AsyncConnection, ledger: str) -> Any:
    query = select(ledgers.c.log, ledgers.c.terminal).where(ledgers.c.ledger == ledger)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise TerminalUnknown("no ledger of this name is enrolled here")
    return row


def _view(
    row: Mapping[str, Any],
    told: Any,
    published: Published,
    wished: Mapping[str, int],
    now_ms: int,
) -> TerminalView:
    place = (row["venues"] or "").partition(" ")[0]
    venue = published.venues.get(place)
    document = json.loads(told.document) if told is not None else {}
    seen = [moment for moment in (row["received_ms"], told and told.reported_ms) if moment]
    view = {
        "ledger": row["ledger"],
        "terminal": row["terminal"],
        "name": row["name"],
        "venue": place,
        "district": venue.district if venue else "",
        "street": venue.street if venue else "",
        "profile": row["profile"],
        "state": row["state"],
        "size": row["size"],
        "to_judge": row["to_judge"],
        "last_seen_ms": max(seen) if seen else None,
        "version": row["version"],
        "wished": max(wished.get(EVERY_TERMINAL, 0), wished.get(row["terminal"], 0)),
    }
    if document:
        # What was reported is set against what has come since.
        view |= {name: document[name] for name in _TOLD}
        view |= {
            "queue": max(0, document["size"] - row["size"]),
            "readers": tuple(document["readers"]),
        }
        if not view["queue"]:
            view["oldest_ms"] = 0
    found = TerminalView(**view)
    return TerminalView(**view, worries=_worries(found, now_ms))


_TOLD: Final = (
    "oldest_ms",
    "snapshot_ms",
    "snapshot",
    "offset_ms",
    "printer",
    "disk_mb",
    "configuration",
    "fault",
)


def _worries(view: TerminalView, now_ms: int) -> tuple[str, ...]:
    found = []
    if view.state == LedgerState.QUARANTINED.value:
        found.append("quarantined")
    if view.state != LedgerState.OK.value:
        return tuple(found)
    if view.last_seen_ms is None or now_ms - view.last_seen_ms > SILENT_MS:
        found.append("silent")
    if view.oldest_ms and now_ms - view.oldest_ms > QUEUE_OLD_MS:
        found.append("queue")
    if view.snapshot in {"degraded", "locked"}:
        found.append("snapshot")
    if view.offset_ms is not None and abs(view.offset_ms) > CLOCK_MS:
        found.append("clock")
    if any(reader.split("|")[1:2] in (["fault"], ["absent"]) for reader in view.readers):
        found.append("reader")
    if view.configuration < view.wished and view.queue is not None:
        found.append("configuration")
    return tuple(found)
