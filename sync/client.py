"""The terminal's end of sync: push, pull, status, and files by stick."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from ledger.errors import NotCanonical, NoteInvalid
from ledger.log import canonical
from ledger.log.merkle import Frontier
from ledger.log.note import Verifier, open_note
from sync.batch import Entries, ledger_of
from sync.errors import Malformed, Overloaded, Refused, TrustError, Unreachable
from sync.feed import Page, Record, decode_page, read_judgement
from sync.protocol import (
    NOTE_BYTES_MAX,
    SIZE_HEADER,
    TIME_HEADER,
    StatusWord,
    authorize,
    feed_path,
    judgements_path,
)
from sync.receipts import extend
from sync.state import SyncState
from sync.transport import Request, Response, Transport
from sync.uplink import (
    Progress,
    PushResult,
    SyncStatus,
    Uplink,
    check_answer,
    refused_status,
    standing,
)

if TYPE_CHECKING:
    from sync.carrying import CarryResult

PAGES_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class ServerKeys:
    """What a terminal learnt of its server at enrolment.

    Attributes:
        witness: key of the cosignatures on receipts.
        judgements: key of the judgements.
        feed: key of the feed.
        recipient: age recipient of the server, for files.
    """

    witness: Verifier
    judgements: Verifier
    feed: Verifier
    recipient: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a downlink brought.

    Attributes:
        version: version of the snapshot in force.
        changed: whether it is another one than before.
        signed_ms: server time at which its timestamp was signed.
    """

    version: int
    changed: bool
    signed_ms: int


class Downlink(Protocol):
    """What all terminals share: offers, venues, roster, keys (``sync.snapshot`` is one)."""

    def refresh(self, transport: Transport) -> Snapshot:
        """Brings the newest snapshot into force, whole or not at all.

        Raises:
            Unreachable: no whole answer.
            Refused: the server does not give it.
            TrustError: what came is not to be trusted; the current one stays.
        """


@dataclass(frozen=True, slots=True)
class PullResult:
    """What a pull brought.

    Attributes:
        status: how it ended.
        judgements: new judgements.
        feed: new feed records.
        snapshot: the snapshot now in force, ``None`` without a downlink or answer.
        detail: what happened and what to do, empty if all went well.
    """

    status: SyncStatus
    judgements: int = 0
    feed: int = 0
    snapshot: Snapshot | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SyncResult:
    """A push and a pull; the status is the first that is not ok."""

    status: SyncStatus
    push: PushResult
    pull: PullResult


@dataclass(frozen=True, slots=True)
class StatusReport:
    """One screen of how sync stands.

    Attributes:
        pending: entries without a receipt.
        acknowledged: entries that the server has receipted.
        last_sync_ms: when an exchange last went well, ``None`` if never.
        state: how the last exchange ended, ``never`` before the first.
        detail: what to do about it, empty if nothing.
        oldest_pending_ms: when the oldest entry without a receipt was written, ``None`` for none.
        flagged: entries of which the server found more than that they are good.
    """

    pending: int
    acknowledged: int
    last_sync_ms: int | None
    state: str
    detail: str = ""
    oldest_pending_ms: int | None = None
    flagged: int = 0

    def as_json(self) -> dict[str, object]:
        """The document of ``redcard sync status --json``; the time is RFC 3339 in UTC."""
        when = None
        if self.last_sync_ms is not None:
            moment = datetime.fromtimestamp(self.last_sync_ms / 1_000, UTC)
            when = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {
            "pending": self.pending,
            "acknowledged": self.acknowledged,
            "last_sync": when,
            "state": self.state,
            "detail": self.detail,
            "oldest_pending_ms": self.oldest_pending_ms,
            "flagged": self.flagged,
        }


class Client:
    """Sync of one ledger.

    Args:
        source: the terminal's log, read only.
        state: the terminal's sync database.
        transport: the way to the server.
        keys: the server's public keys.
        sign: Ed25519 with the terminal's key, for signed GET requests.
        now_ms: wall clock.
        downlink: what brings the shared snapshot; none in a server-less setting.
    """

    def __init__(
        self,
        *,
        source: Entries,
        state: SyncState,
        transport: Transport,
        keys: ServerKeys,
        sign: Callable[[bytes], bytes],
        now_ms: Callable[[], int],
        downlink: Downlink | None = None,
    ) -> None:
        """Sends nothing yet."""
        self._source = source
        self._state = state
        self._transport = transport
        self._keys = keys
        self._sign = sign
        self._now_ms = now_ms
        self._downlink = downlink
        self._ledger = ledger_of(source.origin)

    def sync(self, progress: Progress = lambda _result: None) -> SyncResult:
        """Pushes, then pulls; pulls also if the push was refused, for that may say why."""
        pushed = self.push(progress)
        if pushed.status in {SyncStatus.OFFLINE, SyncStatus.OVERLOADED}:
            return SyncResult(pushed.status, pushed, PullResult(pushed.status))
        pulled = self.pull()
        if pushed.status is SyncStatus.OK and self.status().pending:
            # The pull showed that the server was restored from a backup: fill it up again.
            pushed = self.push(progress)
        status = pushed.status if pushed.status is not SyncStatus.OK else pulled.status
        self._remember(status, pushed.detail or pulled.detail)
        return SyncResult(status, pushed, pulled)

    def push(self, progress: Progress = lambda _result: None) -> PushResult:
        """Sends all that has no receipt; see ``Uplink.push``."""
        result = Uplink(self._source, self._state, self._transport, self._keys.witness).push(
            progress
        )
        self._remember(result.status, result.detail, exchanged=result.receipts > 0)
        return result

    def pull(self) -> PullResult:
        """Fetches judgements, the feed and the shared snapshot.

        Returns:
            What came; every failure of the network or the server is a status, not an error.

        Raises:
            StateFault: the sync database cannot be used.
        """
        result = PullResult(SyncStatus.OK)
        whole = False
        try:
            result = self._pull_judgements(result)
            result = self._pull_feed(result)
            if self._downlink is not None:
                snapshot = self._downlink.refresh(self._transport)
                self._state.raise_number("signed_ms", snapshot.signed_ms)
                result = replace(result, snapshot=snapshot)
            whole = True
        except Overloaded as error:
            result = replace(result, status=SyncStatus.OVERLOADED, detail=str(error))
        except Unreachable as error:
            result = replace(result, status=SyncStatus.OFFLINE, detail=str(error))
        except Refused as refusal:
            detail = refusal.problem.detail
            result = replace(result, status=refused_status(refusal), detail=detail)
        except (Malformed, NoteInvalid, TrustError) as error:
            result = replace(result, status=SyncStatus.UNVERIFIED, detail=str(error))
        self._remember(result.status, result.detail, exchanged=whole)
        return result

    def pull_feed(self) -> int:
        """Fetches this terminal's own feed alone; returns how many records came.

        Raises:
            SyncError: the network, the server or the sync database fails.
            NoteInvalid: a page is not signed by the server.
        """
        return self._pull_feed(PullResult(SyncStatus.OK)).feed

    def status(self) -> StatusReport:
        """How sync stands, without asking the server."""
        acknowledged = self._state.acknowledged().size
        last = self._state.number("last_sync_ms")
        size = self._source.size
        return StatusReport(
            pending=max(0, size - acknowledged),
            acknowledged=acknowledged,
            last_sync_ms=last or None,
            state=(self._state.fact("state") or b"never").decode("utf-8"),
            detail=(self._state.fact("detail") or b"").decode("utf-8"),
            oldest_pending_ms=self._written_ms(acknowledged) if size > acknowledged else None,
            flagged=self._state.flagged(),
        )

    def _written_ms(self, seq: int) -> int | None:
        """When an entry was written, by the terminal's clock; ``None`` if it does not say so."""
        for body in self._source.entries(seq, seq + 1):
            with suppress(NotCanonical):
                moment = canonical.decode(body).get("ts_ms")
                return moment if isinstance(moment, int) else None
        return None

    def signed_ms(self) -> int:
        """The highest server-signed time that has been verified here; 0 if none."""
        return self._state.number("signed_ms")

    def export(self, path: Path) -> CarryResult:
        """Writes all entries without a receipt to a file for the server; see ``carrying``."""
        from sync.carrying import export_batches  # few ever carry a file; a kiosk has no room

        start = self._state.acknowledged().size
        return export_batches(self._source, start, self._keys.recipient, path)

    def import_(self, path: Path) -> CarryResult:
        """Takes receipts that came back, or relays a batch file to the server.

        Raises:
            EnvelopeInvalid: not whole, or receipts of another ledger.
            ReceiptInvalid: a receipt does not prove what it should.
            OSError: the medium cannot be read or written.
        """
        from sync import carrying, envelope

        if envelope.is_receipt_file(data := envelope.read_file(path)):
            result = carrying.import_receipts(self._source, self._state, self._keys.witness, data)
            self._remember(result.status, result.detail, exchanged=result.receipts > 0)
            return result
        result = carrying.relay(self._transport, self._keys.witness, path, data)
        if result.ledger != self._ledger:
            return result
        if result.written is not None:
            back = envelope.read_file(result.written)
            carrying.import_receipts(self._source, self._state, self._keys.witness, back)
        return replace(result, pending=max(0, self._source.size - self._state.acknowledged().size))

    def _pull_judgements(self, result: PullResult) -> PullResult:
        for _ in range(PAGES_MAX):
            after = self._state.number("judgements")
            target = judgements_path(self._ledger, after)
            page, status = self._page(target, "judgements", after, self._keys.judgements)
            judged = [read_judgement(record) for record in page.records]
            self._state.add_judgements(judged, page.upto, page.signed_ms)
            result = replace(result, status=status, judgements=result.judgements + len(judged))
            if page.upto == page.last:
                break
            _advanced(page)
        return result

    def _pull_feed(self, result: PullResult) -> PullResult:
        for _ in range(PAGES_MAX):
            after = self._state.number("feed")
            page, _status = self._page(
                feed_path(self._ledger, after), "feed", after, self._keys.feed
            )
            records = [_numbered(record) for record in page.records]
            self._state.add_feed(records, page.upto, page.signed_ms)
            result = replace(result, feed=result.feed + len(records))
            if page.upto == page.last:
                break
            _advanced(page)
        return result

    def _page(
        self, target: str, kind: str, after: int, verifier: Verifier
    ) -> tuple[Page, SyncStatus]:
        response = self._get(target)
        page = decode_page(open_note(response.body, [verifier]).text)
        if (page.kind, page.origin, page.after) != (kind, self._source.origin, after):
            raise Malformed(f"the server answered with another page than {target}")
        self._compare_sizes(response.integer(SIZE_HEADER))
        return page, standing(response)

    def _compare_sizes(self, held: int | None) -> None:
        """Moves the cursor back if the server holds less than it has receipted.

        The header is not signed: at worst entries are sent once more and answered as replays.
        """
        if held is not None and held < self._state.acknowledged().size <= self._source.size:
            self._state.rewind(extend(Frontier(), self._source, held))

    def tell(self, target: str, body: bytes, media_type: str) -> None:
        """Sends a signed report of which nothing comes back; see ``sync.health``.

        Raises:
            Unreachable: no answer; nothing depends on it.
            Refused: the server does not take it.
        """
        header = authorize(self._ledger, target, self._now_ms(), self._sign, body)
        headers = {"Authorization": header, "Content-Type": media_type}
        request = Request("POST", target, headers, body)
        check_answer(self._transport.exchange(request, bytes_max=NOTE_BYTES_MAX))

    def _get(self, target: str) -> Response:
        """A signed GET; if our clock is too far off, once more by the server's."""
        response = self._signed_get(target, self._now_ms())
        try:
            check_answer(response)
        except Refused as refusal:
            server_ms = response.integer(TIME_HEADER)
            if refusal.problem.status_word != StatusWord.STALE_REQUEST or server_ms is None:
                raise
            response = self._signed_get(target, server_ms)
            check_answer(response)
        return response

    def _signed_get(self, target: str, ts_ms: int) -> Response:
        header = authorize(self._ledger, target, ts_ms, self._sign)
        request = Request("GET", target, {"Authorization": header})
        return self._transport.exchange(request, bytes_max=NOTE_BYTES_MAX)

    def _remember(self, status: SyncStatus, detail: str, *, exchanged: bool = False) -> None:
        facts = {"state": status.value.encode("utf-8"), "detail": detail.encode("utf-8")}
        self._state.put_facts(facts)
        if exchanged:
            self._state.put_facts({"last_sync_ms": self._now_ms().to_bytes(8, "big")})


def _numbered(record: Record) -> tuple[int, bytes]:
    number = record["number"]
    assert isinstance(number, int)
    return number, canonical.encode(record)


def _advanced(page: Page) -> None:
    if page.upto == page.after:
        raise Malformed("the server says that more is to come, but sends nothing")
