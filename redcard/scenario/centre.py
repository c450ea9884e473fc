"""The scenario's server: the real admission, receipts and judge over ledgers kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ledger.entry import Entry, Kind, check
from ledger.errors import EntryInvalid, NotCanonical
from ledger.log import canonical
from ledger.log.checkpoint import cosign
from ledger.log.merkle import Frontier
from ledger.log.note import Ed25519Verifier, KeySigner, Verifier, vkey
from ledger.rules.usage import Usage, Use
from server.cases import group_cases
from server.facts import Case, Event, Facts, Finding
from server.judge import judge_member
from sync import admission
from sync.errors import Malformed
from sync.feed import Verdict
from sync.protocol import (
    FORK_STATUS,
    RECEIPT_MEDIA_TYPE,
    STATE_HEADER,
    Problem,
    StatusWord,
    decode_batch,
    encode_problem,
    encode_size,
)
from sync.transport import Request, Response
from sync.uplink import SyncStatus

#: Verdicts that take an entry out of usage and stock.
_NOT_COUNTED: Final = frozenset({Verdict.DUPLICATE, Verdict.UNUSABLE})
_NOBODY: Final = ""


@dataclass
class Held:
    """One ledger as the server holds it."""

    state: admission.LogState
    verifier: Verifier
    enrolled_ms: int
    bodies: list[bytes] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    receipts: dict[int, bytes] = field(default_factory=dict)
    evidence: list[admission.Evidence] = field(default_factory=list)
    last_receipt_ms: int = 0
    revoked_size: int | None = None


class Centre:
    """Ledgers, what was found of their entries, and the usage that follows from it."""

    def __init__(
        self,
        witness: KeySigner,
        true_ms: Callable[[], int],
        facts: Callable[[], Facts],
        admitted: Callable[[str, Entry], None],
        placed: Callable[[Event], Event],
    ) -> None:
        """Joins the receipt key, the clock, what is known, who is told, and who orders events."""
        self._signer = witness
        self.witness: Verifier = Ed25519Verifier.of(witness)
        self.vkey = vkey(witness.name, witness.public_key, witness.note_type)
        self._true_ms = true_ms
        self._facts = facts
        self._admitted = admitted
        self._placed = placed
        self.ledgers: dict[str, Held] = {}
        self.findings: dict[tuple[str, int], Finding] = {}
        self.usage = Usage()
        self._dirty = False

    def enrol(self, signer: KeySigner) -> None:
        """Makes a ledger known."""
        ledger = signer.name.rpartition("/")[2]
        verifier = Ed25519Verifier.of(signer)
        empty = Frontier()
        state = admission.LogState(ledger, signer.name, (), 0, empty.root(), empty)
        self.ledgers[ledger] = Held(state, verifier, self._true_ms())

    # The way in.

    def take(self, request: Request) -> Response:
        """Answers a POST of a batch, as the server's ingest does."""
        ledger = request.target.split("/")[3]
        held = self.ledgers.get(ledger)
        if held is None:
            return _problem(Problem.of(StatusWord.UNKNOWN_LEDGER, "no such ledger is enrolled"))
        try:
            batch = decode_batch(request.body, ledger=ledger)
        except Malformed as error:
            return _problem(Problem.of(StatusWord.MALFORMED, str(error)))
        verdict = admission.admit(
            held.state, batch, lambda start, stop: held.leaves[start:stop], [held.verifier]
        )
        state = {STATE_HEADER.lower(): _standing_word(held.state.state)}
        match verdict:
            case admission.Admitted():
                return Response(200, state, self._store(held, verdict))
            case admission.Replay(size=size):
                stored = min(at for at in held.receipts if at >= size)
                return Response(200, state, held.receipts[stored])
            case admission.Gap(size=size):
                return Response(409, state, encode_size(size))
            case admission.Fork(evidence=proof):
                held.evidence.append(proof)
                held.state = replace(held.state, state=admission.LedgerState.QUARANTINED)
                word = StatusWord.QUARANTINED.value
                return _problem(Problem(FORK_STATUS, word, "two histories were signed"))
            case admission.Inconsistent(evidence=proof):
                held.evidence.append(proof)
                return _problem(Problem.of(StatusWord.INCONSISTENT, "kept as evidence"))
            case admission.Malformed(detail=detail):
                return _problem(Problem.of(StatusWord.MALFORMED, detail))
            case admission.Refused(word=word, detail=detail, evidence=proof):
                if proof is not None:
                    held.evidence.append(proof)
                return _problem(Problem.of(word, detail))
        raise AssertionError(f"no answer for {verdict}")

    def _store(self, held: Held, new: admission.Admitted) -> bytes:
        now_ms = self._true_ms()
        receipt = cosign(new.checkpoint, self._signer, now_ms // 1000)
        after_ms = held.last_receipt_ms or held.enrolled_ms
        for seq, body in enumerate(new.entries, new.old_size):
            entry = _read(body)
            event = Event(held.state.ledger, seq, entry, after_ms, now_ms)
            held.events.append(self._placed(event))
            if entry is not None:
                self._admitted(held.state.ledger, entry)
        held.bodies.extend(new.entries)
        held.leaves.extend(new.leaf_hashes)
        held.receipts[new.size] = receipt
        held.last_receipt_ms = now_ms
        held.state = replace(held.state, size=new.size, root=new.root, frontier=new.frontier)
        self._dirty = True
        return receipt

    # Judgement.

    def changed(self) -> None:
        """What judgements rest on has changed."""
        self._dirty = True

    def judge(self) -> None:
        """Judges all entries again, member by member, and folds the usage that follows."""
        if not self._dirty:
            return
        self._dirty = False
        facts = self._facts()
        self._judge(facts)
        # Which uses lie beyond a stock follows from what counts, and that from the judgement.
        known = self._facts()
        if known.oversold != facts.oversold:
            self._judge(known)

    def _judge(self, facts: Facts) -> None:
        for group in self._by_member():
            for finding in judge_member(group, facts):
                self.findings[finding.position] = finding
        self.usage = Usage()
        for held in self.ledgers.values():
            for event in held.events:
                finding = self.findings[event.position]
                if event.entry is not None and finding.verdict not in _NOT_COUNTED:
                    self.usage.apply(event.entry, ledger=event.ledger)

    def _by_member(self) -> list[list[Event]]:
        """Events of one member together, with the voids that name them; the others alone."""
        owner: dict[tuple[str, int], str] = {}
        events = [event for held in self.ledgers.values() for event in held.events]
        for event in events:
            owner[event.position] = event.text("member")
        groups: dict[str, list[Event]] = {}
        alone: list[list[Event]] = []
        for event in events:
            member = owner[event.position]
            if event.kind == Kind.VOID:
                origin = (event.text("orig_ledger") or event.ledger, event.number("orig_seq", -1))
                member = owner.get(origin, member)
            if member == _NOBODY:
                alone.append([event])
            else:
                groups.setdefault(member, []).append(event)
        return [*groups.values(), *alone]

    def told(self, ledger: str) -> tuple[dict[str, str], dict[str, list[str]]]:
        """Newest verdicts and flags of a ledger's entries, by nonce."""
        self.judge()
        verdicts: dict[str, str] = {}
        flags: dict[str, list[str]] = {}
        for event in self.ledgers[ledger].events:
            nonce = event.text("nonce")
            if nonce and nonce not in verdicts:
                finding = self.findings[event.position]
                verdicts[nonce] = finding.verdict.value
                flags[nonce] = sorted(reason.value for reason in finding.reasons)
        return verdicts, flags

    def used_elsewhere(self, ledger: str) -> list[Use]:
        """Uses at all ledgers but one: the used-set of that one."""
        self.judge()
        return [use for use in self.usage.all_uses() if use.ledger != ledger]

    def cases(self) -> tuple[Case, ...]:
        """What the back office should look at, by first event time, then reason."""
        self.judge()
        events = [event for held in self.ledgers.values() for event in held.events]
        return group_cases(self.findings.values(), events)

    def find(self, nonce: str) -> tuple[str, Event] | None:
        """The redemption with this nonce and its ledger, wherever it was admitted."""
        for ledger, held in self.ledgers.items():
            for event in held.events:
                if event.text("nonce") == nonce and event.kind == Kind.REDEEM:
                    return ledger, event
        return None

    def revoke(self, ledger: str, reason: str) -> None:
        """Revokes a ledger: ``retired``, ``lost`` or ``compromised``."""
        held = self.ledgers[ledger]
        held.revoked_size = held.state.size
        state = admission.LedgerState(f"revoked_{reason}")
        held.state = replace(held.state, state=state)
        self.changed()

    def revoked_from(self) -> dict[str, int]:
        """Size of each revoked ledger at its revocation."""
        return {
            ledger: held.revoked_size
            for ledger, held in self.ledgers.items()
            if held.revoked_size is not None
        }

    def standing_of(self, ledger: str) -> SyncStatus:
        """How a ledger stands."""
        return SyncStatus(_standing_word(self.ledgers[ledger].state.state))


def _read(body: bytes) -> Entry | None:
    """An entry that the server understands, or nothing: it is stored all the same."""
    try:
        entry = canonical.decode(body)
        check(entry)
    except (NotCanonical, EntryInvalid):
        return None
    return entry


def _standing_word(state: admission.LedgerState) -> str:
    if state is admission.LedgerState.OK:
        return StatusWord.OK.value
    if state is admission.LedgerState.QUARANTINED:
        return StatusWord.QUARANTINED.value
    return StatusWord.REVOKED.value


def _problem(problem: Problem) -> Response:
    headers = {"content-type": RECEIPT_MEDIA_TYPE}
    return Response(problem.status, headers, encode_problem(problem))


def units_beyond(uses: Sequence[Use], capacity: int) -> list[Use]:
    """The uses by which a stock was exceeded, the last ones by time."""
    total, found = 0, []
    for use in sorted(uses):
        total += use.quantity
        if total > capacity:
            found.append(use)
    return found
