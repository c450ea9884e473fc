"""Takes batches in: one admission, one transaction, then the answer.

What is stored under a verified root is stored for good, with the receipt that was given for it; the
same range sent again gets the same bytes back. Nothing here looks into an entry: what an entry says
is judged later, off this path (``server.projections``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.log.checkpoint import cosign
from ledger.log.note import Signer
from server.commits import GroupCommit, StoredLog, Work
from server.database import Database
from server.errors import DatabaseFault, Overloaded, TerminalUnknown
from server.heads import (
    UNKNOWN_TEXT,
    LeavesWanted,
    admit_stored,
    nothing_held,
    read_log,
    stored_log,
)
from server.schema import evidence, ledgers, receipts
from sync import admission
from sync.admission import LedgerState, admit
from sync.errors import Malformed
from sync.protocol import (
    BATCH_ENTRIES_MAX,
    FORK_STATUS,
    PROBLEM_MEDIA_TYPE,
    RECEIPT_MEDIA_TYPE,
    SIZE_MEDIA_TYPE,
    STATE_HEADER,
    Batch,
    Problem,
    StatusWord,
    decode_batch,
    encode_problem,
    encode_size,
)

#: Requests that may be at work at once; more are told to come back.
REQUESTS_INSIDE_MAX: Final = 64
#: Of these, how many one ledger may have: an honest terminal has one.
REQUESTS_PER_LEDGER_MAX: Final = 4
RETRY_AFTER_S: Final = 5
#: Pieces of evidence kept per ledger; whoever carries batches can make more without limit.
EVIDENCE_PER_LEDGER_MAX: Final = 32
#: A smaller batch was not cut short by its limits, so it held all that the terminal had.
DRAINED_ENTRIES_MAX: Final = BATCH_ENTRIES_MAX // 2
#: Heads that are remembered, of those who came last.
HEADS_MAX: Final = 4_096
_ATTEMPTS_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to whoever brought a batch."""

    status: int
    media_type: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Ingest:
    """The way in, for HTTP and for files."""

    def __init__(
        self,
        database: Database,
        cosigner: Signer,
        now_ms: Callable[[], int],
        stored: Callable[[], None] = lambda: None,
    ) -> None:
        """Joins database, receipt key and clock.

        Args:
            database: where entries go.
            cosigner: key of note type 0x04 that signs receipts.
            now_ms: server time, milliseconds since the epoch.
            stored: told after new entries were committed.
        """
        self._database = database
        self._cosigner = cosigner
        self._now_ms = now_ms
        self._stored = stored
        self._commits = GroupCommit(database)
        self._inside: Counter[str] = Counter()
        self._heads: dict[str, StoredLog] = {}

    @property
    def inside(self) -> int:
        """Requests that are being read and served now."""
        return self._inside.total()

    @contextmanager
    def place(self, ledger: str) -> Iterator[None]:
        """Holds a place while a request is read and served.

        Raises:
            Overloaded: too many are inside; nothing was read.
        """
        if self._inside.total() >= REQUESTS_INSIDE_MAX:
            raise Overloaded(
                "the server is busy; nothing was taken, keep the entries and send again",
                retry_after_s=RETRY_AFTER_S,
            )
        if self._inside[ledger] >= REQUESTS_PER_LEDGER_MAX:
            raise Overloaded(
                "this ledger has batches under way already; wait for their answers",
                retry_after_s=RETRY_AFTER_S,
                by_sender=True,
            )
        self._inside[ledger] += 1
        try:
            yield
        finally:
            self._inside[ledger] -= 1
            if not self._inside[ledger]:
                del self._inside[ledger]

    async def take(self, ledger: str, body: bytes, *, carrier: str = "http") -> Answer:
        """Admits the bytes of one batch and answers when they are durable.

        Args:
            ledger: ledger id of the path, or of the file's header.
            body: a batch in wire format.
            carrier: ``http`` or ``file``.

        Raises:
            DatabaseFault: nothing was acknowledged.
        """
        try:
            batch = decode_batch(body, ledger=ledger)
        except Malformed as error:
            return refuse(StatusWord.MALFORMED, f"{error}; nothing was stored")
        return await self.take_batch(batch, carrier=carrier)

    async def take_batch(self, batch: Batch, *, carrier: str = "http") -> Answer:
        """As ``take``, for a batch that was already read."""
        try:
            answer = await self._at_once(batch, carrier)
            if answer is not None:
                return answer
            for _ in range(_ATTEMPTS_MAX):
                async with self._database.reading() as connection:
                    stored = await read_log(connection, batch.ledger)
                    verdict = await admit_stored(connection, stored, batch)
                    answer = await self._without_storing(connection, stored, verdict)
                if answer is not None:
                    return answer
                answer = await self._store(stored, batch, verdict, carrier)
                if answer is not None:
                    return answer
        except TerminalUnknown as error:
            return refuse(StatusWord.UNKNOWN_LEDGER, str(error))
        except (SQLAlchemyError, OSError) as error:
            raise DatabaseFault(
                "the server could not store the batch and acknowledged nothing; send it again"
            ) from error
        raise Overloaded(
            "this ledger is being written by others; send the batch again",
            retry_after_s=RETRY_AFTER_S,
        )

    async def _at_once(self, batch: Batch, carrier: str) -> Answer | None:
        """The usual case, a batch that follows what is held, by the head as last seen.

        Whether the head still stands there is decided by the commit; for every other answer all
        has to be looked at, so there is none here.
        """
        stored = self._heads.get(batch.ledger)
        if stored is None:
            if self._database.hot is None:
                return None
            stored = await self.head(batch.ledger)
        try:
            verdict = admit(stored.state, batch, nothing_held, stored.verifiers)
        except LeavesWanted:
            return None
        if not isinstance(verdict, admission.Admitted):
            return None
        return await self._store(stored, batch, verdict, carrier)

    async def head(self, ledger: str) -> StoredLog:
        """A ledger's head as it is now.

        Raises:
            TerminalUnknown: there is no such ledger.
        """
        if self._database.hot is None:
            async with self._database.reading() as connection:
                return await read_log(connection, ledger)
        row = await self._database.hot.head(ledger)
        if row is None:
            raise TerminalUnknown(UNKNOWN_TEXT)
        return stored_log(row)

    async def _without_storing(
        self, connection: AsyncConnection, stored: StoredLog, verdict: admission.Admission
    ) -> Answer | None:
        """The answer where nothing has to be written, else ``None``."""
        state = {STATE_HEADER: standing(stored.state.state)}
        match verdict:
            case admission.Replay(size=size):
                statement = (
                    select(receipts.c.note)
                    .where(receipts.c.log == stored.log, receipts.c.size >= size)
                    .order_by(receipts.c.size)
                    .limit(1)
                )
                note = await connection.scalar(statement)
                assert note is not None, "entries are held without a receipt"
                return Answer(200, RECEIPT_MEDIA_TYPE, bytes(note), state)
            case admission.Gap(size=size):
                return Answer(409, SIZE_MEDIA_TYPE, encode_size(size), state)
            case admission.Malformed(detail=detail):
                return refuse(StatusWord.MALFORMED, f"{detail}; nothing was stored")
            case admission.Refused(evidence=None):
                return refuse(verdict.word, verdict.detail, reason=verdict.reason)
        return None

    async def _store(
        self, stored: StoredLog, batch: Batch, verdict: admission.Admission, carrier: str
    ) -> Answer | None:
        """Writes; ``None`` if somebody else was faster and all has to be looked at again."""
        match verdict:
            case admission.Admitted():
                now_ms = self._now_ms()
                work = Work(
                    log=stored,
                    admitted=verdict,
                    receipt=cosign(verdict.checkpoint, self._cosigner, now_ms // 1000),
                    received_ms=now_ms,
                    carrier=carrier,
                    drained=carrier == "http" and len(batch.entries) < DRAINED_ENTRIES_MAX,
                )
                if not await self._commits.commit(work):
                    self._heads.pop(batch.ledger, None)
                    return None
                if work.changes_key:
                    self._heads.pop(batch.ledger, None)
                else:
                    self._seen(work.after)
                self._stored()
                state = {STATE_HEADER: standing(stored.state.state)}
                return Answer(200, RECEIPT_MEDIA_TYPE, work.receipt, state)
            case admission.Fork(evidence=proof):
                if not await self._quarantine(stored, proof):
                    return None
                return _problem(Problem(FORK_STATUS, StatusWord.QUARANTINED.value, _FORK_TEXT))
            case admission.Inconsistent(evidence=proof):
                await self._keep(stored, proof)
                return refuse(StatusWord.INCONSISTENT, _INCONSISTENT_TEXT)
            case admission.Refused(evidence=proof) if proof is not None:
                await self._keep(stored, proof)
                return refuse(verdict.word, verdict.detail, reason=verdict.reason)
        raise AssertionError(f"no answer for {verdict}")

    def _seen(self, stored: StoredLog) -> None:
        """Remembers the heads of those who came last."""
        self._heads.pop(stored.state.ledger, None)
        self._heads[stored.state.ledger] = stored
        if len(self._heads) > HEADS_MAX:
            del self._heads[next(iter(self._heads))]

    async def _quarantine(self, stored: StoredLog, proof: admission.Evidence) -> bool:
        async with self._database.writing() as connection:
            changed = await connection.execute(
                update(ledgers)
                .where(ledgers.c.log == stored.log, ledgers.c.state == stored.state.state.value)
                .values(state=LedgerState.QUARANTINED.value)
            )
            if changed.rowcount != 1:
                return False
            await connection.execute(insert(evidence), self._evidence_row(stored, proof))
        return True

    async def _keep(self, stored: StoredLog, proof: admission.Evidence) -> None:
        async with self._database.writing() as connection:
            held = await connection.scalar(
                select(func.count()).select_from(evidence).where(evidence.c.log == stored.log)
            )
            if (held or 0) < EVIDENCE_PER_LEDGER_MAX:
                await connection.execute(insert(evidence), self._evidence_row(stored, proof))

    def _evidence_row(self, stored: StoredLog, proof: admission.Evidence) -> dict[str, Any]:
        return {
            "log": stored.log,
            "reason": proof.reason,
            "size": proof.size,
            "checkpoint": proof.checkpoint,
            "bodies": b"".join(entry + b"\n" for entry in proof.entries),
            "our_size": proof.our_size,
            "our_root": proof.our_root,
            "seen_ms": self._now_ms(),
        }


def refuse(word: StatusWord, detail: str, *, reason: str = "") -> Answer:
    """A problem document with the status that belongs to the word."""
    return _problem(Problem.of(word, detail, reason=reason))


def _problem(problem: Problem) -> Answer:
    return Answer(problem.status, PROBLEM_MEDIA_TYPE, encode_problem(problem))


def standing(state: LedgerState) -> str:
    """The word that tells a terminal how its ledger stands."""
    if state is LedgerState.OK:
        return StatusWord.OK.value
    if state is LedgerState.QUARANTINED:
        return StatusWord.QUARANTINED.value
    return StatusWord.REVOKED.value


_FORK_TEXT: Final = (
    "this ledger's key has signed two different histories: both are kept as proof and the ledger "
    "is quarantined. Nothing was taken, nothing may be deleted. Stop redeeming, call the operator"
)
_INCONSISTENT_TEXT: Final = (
    "the entries do not hash to the root that the terminal signed; they were altered on the way or "
    "on its disk. They were kept as evidence, the ledger stands as before. "
    "Run: redcard ledger verify"
)
