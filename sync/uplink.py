"""The push loop: batches up, receipts back, the cursor behind them. Deletes nothing, ever."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum, unique
from typing import Final, TypeAlias

from ledger.log.merkle import Frontier, leaf_hash
from ledger.log.note import Verifier
from sync.batch import Entries, next_batch
from sync.errors import Malformed, Overloaded, ReceiptInvalid, Refused, Unreachable
from sync.protocol import (
    BATCH_MEDIA_TYPE,
    RECEIPT_BYTES_MAX,
    STATE_HEADER,
    Batch,
    decode_problem,
    decode_size,
    encode_batch,
    entries_path,
)
from sync.receipts import extend, open_receipt, prove
from sync.state import StoredReceipt, SyncState
from sync.transport import Request, Response, Transport

REWINDS_MAX: Final = 3


@unique
class SyncStatus(StrEnum):
    """How an exchange with the server ended."""

    OK = "ok"
    OFFLINE = "offline"
    OVERLOADED = "overloaded"
    NEED_FROM = "need_from"
    QUARANTINED = "quarantined"
    INCONSISTENT = "inconsistent"
    REVOKED = "revoked"
    REFUSED = "refused"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True)
class PushResult:
    """What a push did; also what its progress callback sees while it runs.

    Attributes:
        status: how it ended.
        size: entries that the server has receipted.
        pending: entries without a receipt.
        batches: batches sent, replays included.
        entries: entries in them.
        sent_bytes: bytes of them.
        receipts: receipts verified and stored.
        detail: what happened and what to do, for a person; empty if all went well.
        retry_after_s: what the server asked for, 0 if nothing.
    """

    status: SyncStatus
    size: int
    pending: int
    batches: int = 0
    entries: int = 0
    sent_bytes: int = 0
    receipts: int = 0
    detail: str = ""
    retry_after_s: int = 0


Progress: TypeAlias = Callable[[PushResult], None]


def check_answer(response: Response) -> None:
    """Lets a 200 pass and maps every other answer but a 409.

    Raises:
        Overloaded: 408, 429 or 5xx; the same request may be sent again later.
        Refused: any other status.
    """
    if response.status == 200:
        return
    problem = decode_problem(response.body, status=response.status)
    if response.status in {408, 429} or response.status >= 500:
        raise Overloaded(
            f"the server is busy ({response.status}): {problem.detail}",
            retry_after_s=response.integer("Retry-After") or 0,
        )
    raise Refused(problem)


def refused_status(refusal: Refused) -> SyncStatus:
    """Status of a refusal: the server's word if it is one of ours."""
    try:
        return SyncStatus(refusal.problem.status_word)
    except ValueError:
        return SyncStatus.REFUSED


def standing(response: Response) -> SyncStatus:
    """What the server says of the ledger beside a good answer: ok, revoked or quarantined."""
    word = response.headers.get(STATE_HEADER.lower(), "ok")
    known = {SyncStatus.REVOKED, SyncStatus.QUARANTINED}
    return next((status for status in known if word == status), SyncStatus.OK)


class Uplink:
    """Brings one ledger's entries to the server.

    Args:
        source: the terminal's log, read only.
        state: where receipts and the cursor are kept.
        transport: the way to the server.
        witness: the server's cosigning key.
    """

    def __init__(
        self, source: Entries, state: SyncState, transport: Transport, witness: Verifier
    ) -> None:
        """Sends nothing yet."""
        self._source = source
        self._state = state
        self._transport = transport
        self._witness = witness

    def push(self, progress: Progress = lambda _result: None) -> PushResult:
        """Sends all that has no receipt.

        Returns:
            How far it came; every failure of the network or the server is a status, not an error.

        Raises:
            LedgerError: the log cannot be read.
            BatchTooLarge: no batch can be made of what comes next.
            StateFault: the sync database cannot be used.
        """
        run = _Run(self._source, self._state, self._transport, self._witness, progress)
        return run.until_done()


class _Run:
    """One push: the counters and how often the server asked for earlier entries."""

    def __init__(
        self,
        source: Entries,
        state: SyncState,
        transport: Transport,
        witness: Verifier,
        progress: Progress,
    ) -> None:
        self._source = source
        self._state = state
        self._transport = transport
        self._witness = witness
        self._progress = progress
        self._known = state.acknowledged()
        self._rewinds = 0
        self._standing = SyncStatus.OK
        self._result = PushResult(SyncStatus.OK, self._known.size, 0)

    def until_done(self) -> PushResult:
        try:
            return self._work()
        except Overloaded as error:
            ended = self._ended(SyncStatus.OVERLOADED, str(error))
            return replace(ended, retry_after_s=error.retry_after_s)
        except Unreachable as error:
            return self._ended(SyncStatus.OFFLINE, str(error))
        except ReceiptInvalid as error:
            return self._ended(SyncStatus.UNVERIFIED, str(error))

    def _work(self) -> PushResult:
        if self._known.size > self._source.size:
            return self._older_disk()
        while (batch := next_batch(self._source, self._known.size)) is not None:
            try:
                stuck = self._one(batch)
            except Refused as refusal:
                return self._refused(refusal)
            if stuck:
                return self._ended(SyncStatus.NEED_FROM, stuck)
            self._progress(self._ended(self._standing, ""))
        return self._ended(self._standing, "")

    def _one(self, batch: Batch) -> str:
        """Sends one batch and stores its receipt; says why if the server keeps asking."""
        response = self._send(batch)
        if response.status == 409:
            return self._rewind(batch, response)
        check_answer(response)
        self._standing = standing(response)
        # The usual receipt ends where the batch does: its entries need not be read again.
        ahead = self._known.extend(leaf_hash(entry) for entry in batch.entries)
        proved = prove(response.body, self._witness, self._source, self._known, ahead)
        receipt = StoredReceipt(proved.frontier.size, proved.note, proved.time_s)
        self._state.add_receipt(receipt, proved.frontier)
        self._known = proved.frontier
        self._result = replace(self._result, receipts=self._result.receipts + 1)
        return ""

    def _send(self, batch: Batch) -> Response:
        body = encode_batch(batch)
        self._result = replace(
            self._result,
            batches=self._result.batches + 1,
            entries=self._result.entries + len(batch.entries),
            sent_bytes=self._result.sent_bytes + len(body),
        )
        headers = {"Content-Type": BATCH_MEDIA_TYPE}
        request = Request("POST", entries_path(batch.ledger), headers, body)
        return self._transport.exchange(request, bytes_max=RECEIPT_BYTES_MAX)

    def _rewind(self, batch: Batch, response: Response) -> str:
        """Goes back to what the server holds; a server restored from a backup holds less."""
        try:
            size = decode_size(response.body)
        except Malformed as error:
            raise ReceiptInvalid(f"a 409 without a size: {error}") from error
        self._rewinds += 1
        if size >= batch.old_size or self._rewinds > REWINDS_MAX:
            return f"the server keeps asking for entries from {size}, which were sent; try later"
        self._known = extend(Frontier(), self._source, size)
        self._state.rewind(self._known)
        return ""

    def _refused(self, refusal: Refused) -> PushResult:
        status = refused_status(refusal)
        detail = refusal.problem.detail
        if status is SyncStatus.INCONSISTENT:
            agreed = self._agreed()
            if agreed.size < self._known.size:
                return self._show_fork(agreed, detail)
        return self._ended(status, detail)

    def _older_disk(self) -> PushResult:
        agreed = self._agreed()
        detail = (
            f"the server confirmed {self._known.size} entries, this disk holds "
            f"{self._source.size}: it was restored from an older copy. Stop redeeming and call "
            "the operator; delete nothing"
        )
        return self._show_fork(agreed, detail)

    def _show_fork(self, agreed: Frontier, detail: str) -> PushResult:
        """Sends from the last common size, so that two signed histories meet at the server."""
        batch = next_batch(self._source, agreed.size)
        if batch is not None:
            response = self._send(batch)
            try:
                if response.status != 409:
                    check_answer(response)
            except Refused as refusal:
                return self._ended(refused_status(refusal), refusal.problem.detail)
        return self._ended(SyncStatus.INCONSISTENT, detail)

    def _agreed(self) -> Frontier:
        """The largest receipted tree that this ledger's own entries still hash to."""
        agreed = Frontier()
        for receipt in self._state.receipts():
            if agreed.size < receipt.size <= self._source.size:
                tree = extend(agreed, self._source, receipt.size)
                cosigned = open_receipt(receipt.note, self._witness, self._source.origin)
                if tree.root() != cosigned.checkpoint.root:
                    break
                agreed = tree
        return agreed

    def _ended(self, status: SyncStatus, detail: str) -> PushResult:
        pending = max(0, self._source.size - self._known.size)
        return replace(
            self._result, status=status, size=self._known.size, pending=pending, detail=detail
        )
