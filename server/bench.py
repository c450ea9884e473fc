"""The judge's bench: brings events before the judge and writes down what came out.

Only what changed is written: a new revision of the judgement, the row's new standing, the cases.
Members are judged whole, many at a time, so that the cost is a few statements for hundreds of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from server.casebook import keep_cases
from server.cases import group_cases
from server.database import Database
from server.facts import Case, Event, Finding, Position
from server.folding import events_of_members
from server.judge import USES, judge_alone, judge_member, voided_positions
from server.known import among, load_facts, pieces
from server.offers import Published
from server.schema import events, histories, judgements, ledgers
from server.stock import Bucket, Moved, beyond, move, recount
from sync.feed import Reason, Verdict

#: Members whose events are in memory together.
MEMBERS_MAX: Final = 2_000
_UNCOUNTED: Final = frozenset({Verdict.DUPLICATE.value, Verdict.UNUSABLE.value})
_whole_row: Final = itemgetter(*(column.name for column in events.columns))
_standing: Final = itemgetter("verdict", "reasons", "counterpart")


@dataclass(slots=True)
class Bench:
    """One transaction of judging.

    Attributes:
        database: which database it is.
        connection: inside a transaction that may write.
        published: offers and venues.
        now_ms: server time, which dates new judgements.
    """

    database: Database
    connection: AsyncConnection
    published: Published
    now_ms: int
    _fresh: dict[Position, tuple[Event, dict[str, Any]]] = field(default_factory=dict)
    _of_member: dict[str, list[Position]] = field(default_factory=dict)
    _revisions: dict[tuple[int, int], tuple[str, str, str, str]] = field(default_factory=dict)
    _updates: list[dict[str, Any]] = field(default_factory=list)
    _moved: dict[Bucket, Moved] = field(default_factory=dict)
    _flagged: set[str] = field(default_factory=set)

    def lay(self, event: Event, row: dict[str, Any]) -> None:
        """Takes a new event with its row, which is written when it is judged."""
        self._fresh[event.position] = (event, row)
        if Reason.OVERSOLD in row["reasons"]:  # it was signed so before
            self._part(row).oversold += 1
        self._of_member.setdefault(row["member"], []).append(event.position)

    async def put_down(self) -> None:
        """Writes the rows of all new events as they are, to be judged later."""
        await self._insert(list(self._fresh))
        self._of_member.clear()

    async def _insert(self, positions: Iterable[Position]) -> None:
        rows = [self._fresh.pop(position)[1] for position in positions]
        await self.database.append(self.connection, events, [_whole_row(row) for row in rows])
        named = [(row["member"], row["log"], row["seq"]) for row in rows if row["member"]]
        await self.database.append(self.connection, histories, named)

    async def judge(
        self, members: Iterable[str], alone: Sequence[Event], *, anew: bool = False
    ) -> None:
        """Judges members with all they did, and events that belong to none.

        Args:
            members: references.
            alone: events of nobody.
            anew: counts the stock from all events, not from what this changes of it.
        """
        await self._judge_alone(alone)
        buckets = await self._judge_members(members, None)
        if anew:
            self._moved.clear()
            await recount(self.connection)
        await self._move_stock()
        await self._judge_oversold(buckets)
        await self._number_revisions()

    async def _move_stock(self) -> None:
        await move(self.connection, self._moved)
        self._moved.clear()

    def _part(self, row: Mapping[str, Any]) -> Moved:
        """What this step has changed of the part of a stock that an event takes from."""
        return self._moved.setdefault(Bucket(row["offer"], row["bucket"]), Moved())

    async def _judge_alone(self, found: Sequence[Event]) -> None:
        facts = await load_facts(self.connection, found, self.published)
        findings = [judge_alone(event, facts) for event in found]
        stored = await self._rows_of([e for e in found if e.position not in self._fresh])
        for event, finding in zip(found, findings, strict=True):
            held = self._fresh.get(event.position)
            row = held[1] if held else stored[event.position]
            self._note(event, row, finding, voided=False)
        await self._write(self._of_member.pop("", []))
        cases = group_cases(findings, found)
        await keep_cases(self.connection, set(), cases, found, self.now_ms)

    async def _rows_of(self, found: Sequence[Event]) -> dict[Position, dict[str, Any]]:
        """Rows that were written before, of events that belong to no member."""
        if not found:
            return {}
        statement = (
            select(events, ledgers.c.ledger)
            .join(ledgers, ledgers.c.log == events.c.log)
            .where(events.c.member == "")
        )
        rows = (await self.connection.execute(statement)).mappings()
        return {Position(row["ledger"], row["seq"]): dict(row) for row in rows}

    async def _judge_members(
        self, members: Iterable[str], oversold: tuple[set[Bucket], frozenset[Position]] | None
    ) -> set[Bucket]:
        """Judges members; returns the parts of stock that their uses bear on."""
        buckets: set[Bucket] = set()
        for some in pieces(sorted(set(members) - {""}), MEMBERS_MAX):
            mine = await events_of_members(self.connection, some)
            fresh = [place for member in some for place in self._of_member.pop(member, [])]
            for place in fresh:
                mine.setdefault(self._fresh[place][1]["member"], []).append(self._new(place))
            pairs = [pair for held in mine.values() for pair in held]
            everything = [event for event, _ in pairs]
            facts = await load_facts(
                self.connection, everything, self.published, _beyond_stock(pairs, oversold)
            )
            cases: list[Case] = []
            for held in mine.values():
                found = [event for event, _ in held]
                findings = judge_member(found, facts)
                self._note_member(held, findings)
                if any(finding.reasons for finding in findings):
                    cases += group_cases(findings, found)
            await self._write(fresh)
            # Cases are of what is flagged, or was: the row of whoever has one says so.
            await keep_cases(self.connection, self._flagged, cases, everything, self.now_ms)
            self._flagged.clear()
            buckets |= {
                Bucket(row["offer"], row["bucket"]) for _, row in pairs if row["kind"] in USES
            }
        return buckets

    async def _judge_oversold(self, buckets: set[Bucket]) -> None:
        """Judges again whoever is newly beyond a stock, or no longer."""
        now, before = await beyond(self.connection, self.published, buckets)
        changed = now.keys() ^ before.keys()
        if changed:
            members = {now.get(one) or before.get(one, "") for one in changed}
            await self._judge_members(members, (buckets, frozenset(now)))
            await self._move_stock()

    def _new(self, place: Position) -> tuple[Event, dict[str, Any]]:
        """A new event as ``events_of_members`` would give it."""
        event, row = self._fresh[place]
        if event.entry is not None and not event.text("member"):
            event = replace(event, entry={**event.entry, "member": row["member"]})
        return event, row

    def _note_member(
        self, held: Sequence[tuple[Event, dict[str, Any]]], findings: Sequence[Finding]
    ) -> None:
        if len(held) == 1:
            (event, row), (finding,) = held[0], findings
            self._note(event, row, finding, voided=False)
            return
        by_position = {event.position: (event, row) for event, row in held}
        ordered = [by_position[finding.position][0] for finding in findings]
        voided = voided_positions(ordered)
        for finding in findings:
            event, row = by_position[finding.position]
            self._note(event, row, finding, voided=finding.position in voided)

    def _note(self, event: Event, row: dict[str, Any], finding: Finding, *, voided: bool) -> None:
        """Keeps what has changed against the row for ``_write``."""
        reasons = " ".join(finding.reasons)
        counterpart = str(finding.counterpart) if finding.counterpart else ""
        verdict = finding.verdict.value
        use = event.kind in USES
        counted = use and not voided and verdict not in _UNCOUNTED
        if reasons or row["reasons"]:
            self._flagged.add(row["member"])
        if (verdict, reasons, counterpart) != _standing(row):
            nonce = event.text("nonce")
            self._revisions[row["log"], event.seq] = (verdict, reasons, counterpart, nonce)
        elif (counted, voided) == (row["counted"], row["voided"]):
            return
        if use:
            part = self._part(row)
            part.redeemed += row["quantity"] * (counted - row["counted"])
            part.reversed += row["quantity"] * (voided - row["voided"])
            part.oversold += (Reason.OVERSOLD in reasons) - (Reason.OVERSOLD in row["reasons"])
        standing = {
            "verdict": verdict,
            "reasons": reasons,
            "counterpart": counterpart,
            "counted": counted,
            "voided": voided,
        }
        if finding.position in self._fresh:
            row.update(standing)
        else:
            self._updates.append({"of_log": row["log"], "of_seq": event.seq, **standing})

    async def _write(self, fresh: Iterable[Position]) -> None:
        await self._insert(fresh)
        if self._updates:
            statement = update(events).where(
                events.c.log == bindparam("of_log"), events.c.seq == bindparam("of_seq")
            )
            await self.connection.execute(
                statement.values(
                    {
                        name: bindparam(name)
                        for name in ("verdict", "reasons", "counterpart", "counted", "voided")
                    }
                ),
                self._updates,
            )
        self._updates.clear()

    async def _number_revisions(self) -> None:
        """Appends the judgements, each with the next revision of its ledger."""
        logs = sorted({log for log, _ in self._revisions})
        last: dict[int, int] = {}
        for which in among(self.connection, ledgers.c.log, logs):
            # In the order in which ingest moves heads, so that neither waits for the other in a
            # ring; and last of all, so that ingest waits no longer than it must.
            statement = (
                select(ledgers.c.log, ledgers.c.revision)
                .where(which)
                .order_by(ledgers.c.log)
                .with_for_update()
            )
            last |= {row.log: row.revision for row in await self.connection.execute(statement)}
        rows: list[tuple[Any, ...]] = []
        for (log, seq), judgement in sorted(self._revisions.items()):
            last[log] += 1
            rows.append((log, last[log], seq, *judgement, self.now_ms))
        if rows:
            moved = update(ledgers).where(ledgers.c.log == bindparam("of_log"))
            await self.connection.execute(
                moved.values(revision=bindparam("to_revision")),
                [{"of_log": log, "to_revision": last[log]} for log in logs],
            )
            await self.database.append(self.connection, judgements, rows)
        self._revisions.clear()


def _beyond_stock(
    pairs: Sequence[tuple[Event, Mapping[str, Any]]],
    oversold: tuple[set[Bucket], frozenset[Position]] | None,
) -> frozenset[Position]:
    """Positions beyond a stock: as just counted, or as flagged before where nothing was counted."""
    counted, positions = oversold or (set(), frozenset())
    kept = {
        event.position
        for event, row in pairs
        if Reason.OVERSOLD in row["reasons"].split()
        and Bucket(row["offer"], row["bucket"]) not in counted
    }
    return frozenset(positions | kept)
