"""A central server in memory: admission as it is, everything else as short as can be."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import pyrage

from ledger.log.checkpoint import cosign
from ledger.log.merkle import Frontier, leaf_hash
from ledger.log.note import KeySigner, sign_note
from sync.admission import (
    Admitted,
    Evidence,
    Fork,
    Gap,
    Inconsistent,
    LedgerState,
    LogState,
    Malformed,
    Refused,
    Replay,
    admit,
)
from sync.client import ServerKeys
from sync.envelope import FILES_PATH, decode_parts, open_part
from sync.errors import Malformed as BadBytes
from sync.feed import Judgement, Page, Record, encode_page, judgement_record
from sync.protocol import (
    FORK_STATUS,
    SIZE_HEADER,
    STATE_HEADER,
    TIME_HEADER,
    Batch,
    Problem,
    StatusWord,
    check_authorization,
    decode_batch,
    encode_problem,
    encode_size,
)
from sync.transport import Request, Response
from tests.sync.signed_log import FEED, JUDGE, WITNESS, SignedLog

IDENTITY = pyrage.x25519.Identity.generate()


@dataclass
class Held:
    origin: str
    public: object
    entries: list[bytes] = field(default_factory=list)
    frontier: Frontier = field(default_factory=Frontier)
    standing: LedgerState = LedgerState.OK
    receipts: dict[int, bytes] = field(default_factory=dict)
    evidence: list[Evidence] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    feed: list[Record] = field(default_factory=list)


class MemoryServer:
    def __init__(self) -> None:
        self.now_ms = 1_777_000_000_000
        self.logs: dict[str, Held] = {}
        self.verifiers: dict[str, object] = {}
        self.page_size = 2
        self.requests = 0

    def enrol(self, log: SignedLog) -> Held:
        held = Held(log.origin, log.verifier)
        self.logs[log.ledger] = held
        return held

    def keys(self) -> ServerKeys:
        from ledger.log.note import Ed25519Verifier

        return ServerKeys(
            Ed25519Verifier.of(WITNESS),
            Ed25519Verifier.of(JUDGE),
            Ed25519Verifier.of(FEED),
            str(IDENTITY.to_public()),
        )

    def backup(self) -> dict[str, Held]:
        return copy.deepcopy(self.logs)

    def restore(self, backup: dict[str, Held]) -> None:
        self.logs = copy.deepcopy(backup)

    def __call__(self, request: Request) -> Response:
        self.requests += 1
        self.now_ms += 1_000
        response = self._route(request)
        return Response(
            response.status, {TIME_HEADER: str(self.now_ms), **response.headers}, response.body
        )

    def _route(self, request: Request) -> Response:
        parts = urlsplit(request.target)
        if request.target == FILES_PATH:
            (part,) = decode_parts(request.body)
            return self._admit(open_part(part, lambda sealed: pyrage.decrypt(sealed, [IDENTITY])))
        ledger, what = parts.path.split("/")[3:5]
        if ledger not in self.logs:
            return _problem(Problem.of(StatusWord.UNKNOWN_LEDGER, "no such ledger"))
        if what == "entries":
            try:
                return self._admit(decode_batch(request.body, ledger=ledger))
            except BadBytes as error:
                return _problem(Problem.of(StatusWord.MALFORMED, str(error)))
        return self._read(request, ledger, what, int(parse_qs(parts.query)["after"][0]))

    def _admit(self, batch: Batch) -> Response:
        held = self.logs[batch.ledger]
        leaves = [leaf_hash(entry) for entry in held.entries]
        state = LogState(
            batch.ledger, held.origin, (), len(held.entries), held.frontier.root(),
            held.frontier, held.standing,
        )  # fmt: skip
        got = admit(state, batch, lambda a, b: leaves[a:b], [held.public])  # type: ignore[list-item]
        match got:
            case Admitted():
                assert got.old_size == len(held.entries)
                held.entries += got.entries
                held.frontier = got.frontier
                note = cosign(got.checkpoint, WITNESS, self.now_ms // 1_000)
                held.receipts[got.size] = note
                return self._good(held, note)
            case Replay(size):
                best = min(known for known in held.receipts if known >= size)
                return self._good(held, held.receipts[best])
            case Gap(size):
                return Response(409, {}, encode_size(size))
            case Fork(evidence):
                held.standing = LedgerState.QUARANTINED
                held.evidence.append(evidence)
                return _problem(Problem(FORK_STATUS, StatusWord.QUARANTINED, "two histories"))
            case Inconsistent(evidence):
                held.evidence.append(evidence)
                return _problem(Problem.of(StatusWord.INCONSISTENT, "does not hash to its root"))
            case Malformed(detail):
                return _problem(Problem.of(StatusWord.MALFORMED, detail))
            case Refused(word, detail, reason, evidence):
                if evidence is not None:
                    held.evidence.append(evidence)
                return _problem(Problem.of(word, detail, reason=reason))

    def _good(self, held: Held, body: bytes) -> Response:
        word = {LedgerState.OK: "ok", LedgerState.QUARANTINED: "quarantined"}
        headers = {
            STATE_HEADER: word.get(held.standing, "revoked"),
            SIZE_HEADER: str(len(held.entries)),
        }
        return Response(200, headers, body)

    def _read(self, request: Request, ledger: str, what: str, after: int) -> Response:
        held = self.logs[ledger]
        problem = check_authorization(
            request.headers.get("Authorization", ""),
            ledger=ledger,
            target=request.target,
            now_ms=self.now_ms,
            verify=held.public.verify,  # type: ignore[attr-defined]
        )
        if problem is not None:
            return _problem(problem)
        records: list[Record] = (
            [judgement_record(one) for one in held.judgements]
            if what == "judgements"
            else held.feed
        )
        name = "revision" if what == "judgements" else "number"
        key: Callable[[Record], int] = lambda record: int(str(record[name]))  # noqa: E731
        last = max((key(record) for record in records), default=after)
        page = tuple(record for record in records if key(record) > after)[: self.page_size]
        upto = key(page[-1]) if page else after
        text = encode_page(Page(what, held.origin, after, upto, max(last, upto), self.now_ms, page))
        signer: KeySigner = JUDGE if what == "judgements" else FEED
        return self._good(held, sign_note(text, [signer]))


def _problem(problem: Problem) -> Response:
    return Response(problem.status, {}, encode_problem(problem))
