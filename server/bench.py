"""The judge's bench: brings events before the judge and writes down what came out.

Only what changed is written: a new revision of the judgement, the row's new standing, the cases.
Members are judged whole, many at a time, so that the cost is a few statements for hundreds of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from server.casebook import keep_cases
from server.cases import group_cases
from server.database import Database
from server.facts import Case, Event, Finding, Position
from server.folding import events_of_members
from server.judge import USES, judge_alone, judge_member, voided_positions
from server.known import load_facts, pieces
from server.offers import Published
from server.schema import events, judgements, ledgers
from server.stock import Bucket, beyond, flagged_oversold, recount
from sync.feed import Reason, Verdict

#: Members whose events are in memory together.
MEMBERS_MAX: Final = 400
_UNCOUNTED: Final = frozenset({Verdict.DUPLICATE.value, Verdict.UNUSABLE.value})


@dataclass(slots=True)
class Bench:
    """One transaction of judging.

    Attributes:
        database: which database it is.
        connection: inside a transaction that may write.
        published: offers and venues.
        now_ms: server time, which dates new judgements.
        rows: rows of events that belong to no member, by position.
    """

    database: Database
    connection: AsyncConnection
    published: Published
    now_ms: int
    rows: dict[Position, dict[str, Any]] = field(default_factory=dict)
    _revisions: list[tuple[int, int, str, str, str, str]] = field(default_factory=list)
    _updates: list[dict[str, Any]] = field(default_factory=list)

    async def judge(self, members: Iterable[str], alone: Sequence[Event]) -> None:
        """Judges members with all they did, and events that belong to none."""
        await self._judge_alone(alone)
        buckets = await self._judge_members(members, None)
        await recount(self.connection, buckets)
        await self._judge_oversold(buckets)

    async def _judge_alone(self, found: Sequence[Event]) -> None:
        facts = await load_facts(self.connection, found, self.published)
        findings = [judge_alone(event, facts) for event in found]
        for event, finding in zip(found, findings, strict=True):
            self._note(event, self.rows[event.position], finding, voided=False)
        await self._write()
        cases = group_cases(findings, found)
        await keep_cases(self.connection, set(), cases, found, self.now_ms)

    async def _judge_members(
        self, members: Iterable[str], oversold: tuple[set[Bucket], frozenset[Position]] | None
    ) -> set[Bucket]:
        """Judges members; returns the parts of stock that their uses bear on."""
        buckets: set[Bucket] = set()
        for some in pieces(sorted(set(members) - {""}), MEMBERS_MAX):
            mine = await events_of_members(self.connection, some)
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
                cases += group_cases(findings, found)
            await self._write()
            await keep_cases(self.connection, set(some), cases, everything, self.now_ms)
            buckets |= {
                Bucket(row["offer"], row["bucket"]) for _, row in pairs if row["kind"] in USES
            }
        return buckets

    async def _judge_oversold(self, buckets: set[Bucket]) -> None:
        """Judges again whoever is newly beyond a stock, or no longer."""
        now = await beyond(self.connection, self.published, buckets)
        before = await flagged_oversold(self.connection, buckets)
        changed = now.keys() ^ before.keys()
        if changed:
            members = {now.get(one) or before.get(one, "") for one in changed}
            await self._judge_members(members, (buckets, frozenset(now)))

    def _note_member(
        self, held: Sequence[tuple[Event, dict[str, Any]]], findings: Sequence[Finding]
    ) -> None:
        by_position = {event.position: (event, row) for event, row in held}
        ordered = [by_position[finding.position][0] for finding in findings]
        voided = voided_positions(ordered)
        for finding in findings:
            event, row = by_position[finding.position]
            self._note(event, row, finding, voided=finding.position in voided)

    def _note(
        self, event: Event, row: Mapping[str, Any], finding: Finding, *, voided: bool
    ) -> None:
        """Keeps what has changed against the row for ``_write``."""
        reasons = " ".join(finding.reasons)
        counterpart = str(finding.counterpart) if finding.counterpart else ""
        verdict = finding.verdict.value
        counted = event.kind in USES and not voided and verdict not in _UNCOUNTED
        if (verdict, reasons, counterpart) != (row["verdict"], row["reasons"], row["counterpart"]):
            self._revisions.append(
                (row["log"], event.seq, verdict, reasons, counterpart, event.text("nonce"))
            )
        elif (counted, voided) == (row["counted"], row["voided"]):
            return
        self._updates.append(
            {
                "of_log": row["log"],
                "of_seq": event.seq,
                "verdict": verdict,
                "reasons": reasons,
                "counterpart": counterpart,
                "counted": counted,
                "voided": voided,
            }
        )

    async def _write(self) -> None:
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
        await self._number_revisions()
        self._updates.clear()
        self._revisions.clear()

    async def _number_revisions(self) -> None:
        """Appends the judgements, each with the next revision of its ledger."""
        by_log: dict[int, list[tuple[int, int, str, str, str, str]]] = {}
        for revision in self._revisions:
            by_log.setdefault(revision[0], []).append(revision)
        rows: list[tuple[Any, ...]] = []
        # In the order in which ingest moves heads, so that neither waits for the other in a ring.
        for log in sorted(by_log):
            mine = by_log[log]
            await self.connection.execute(
                update(ledgers)
                .where(ledgers.c.log == log)
                .values(revision=ledgers.c.revision + len(mine))
            )
            last = await self.connection.scalar(
                select(ledgers.c.revision).where(ledgers.c.log == log)
            )
            assert last is not None
            for number, (_, seq, verdict, reasons, counterpart, nonce) in enumerate(
                mine, last - len(mine) + 1
            ):
                rows.append((log, number, seq, verdict, reasons, counterpart, nonce, self.now_ms))
        await self.database.append(self.connection, judgements, rows)


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
