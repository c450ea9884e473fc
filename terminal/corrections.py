"""Voids: a redemption taken back by a new entry that names it; nothing is erased.

The clerk may void at the position and in the shift that gave it, within 15 minutes of the machine's
own time and the same boot (V01); later only a supervisor. A kiosk never voids (T05).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.codes import Code, Outcome
from ledger.entry import Kind, Value
from ledger.errors import LogFault
from ledger.rules.request import Decision
from ledger.rules.terms import Profile
from ledger.rules.voids import Found, Original, VoidRequest, VoidState, decide_void
from terminal.answers import TapAnswer
from terminal.clock import Moment
from terminal.entries import Place, refused_void_entry, void_entry
from terminal.flow import Probe, no_probe
from terminal.replay import number, prior_from, text
from terminal.state import TerminalFacts
from terminal.tap_order import answer_details
from terminal.wording import name_of, voided, wording_of
from terminal.writer import LedgerWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidOrder:
    """What is asked; checked at the edge.

    Attributes:
        nonce: of the redemption to take back.
        void_nonce: of this void; the same again answers the same.
        supervisor_ok: the supervisor named was proved by PIN or own card.
    """

    place: Place
    profile: Profile
    nonce: str
    void_nonce: str
    reason: str
    supervisor: str = ""
    supervisor_ok: bool = False


class Corrections:
    """Decides voids and writes them. One per terminal; safe to call from several threads."""

    def __init__(
        self, *, writer: LedgerWriter, facts: TerminalFacts, probe: Probe = no_probe
    ) -> None:
        self._writer = writer
        self._facts = facts
        self._probe = probe

    def void(self, order: VoidOrder) -> TapAnswer:
        """Decides one void and writes its entry; returns only after that is durable."""
        with self._writer.turn:
            now = self._facts.time.now()
            ready = self._writer.ready
            try:
                return self._void(order, now, ready=ready)
            except LogFault:
                return self._answer(order, _fault(), {}, now.now_ms)

    def _void(self, order: VoidOrder, now: Moment, *, ready: bool) -> TapAnswer:
        seq, entry = self._writer.by_nonce(order.nonce) or (-1, {}) if ready else (-1, {})
        connected = self._facts.link.connected(now.boot_ms)
        held = self._writer.by_nonce(order.void_nonce) if ready else None
        state = VoidState(
            profile=order.profile,
            connected=connected,
            ledger_ok=ready,
            supervisor_ok=order.supervisor_ok,
            prior=prior_from(self._writer, *held) if held else None,
            prior_original=text(held[1], "orig_nonce") if held else "",
        )
        request = VoidRequest(
            nonce=order.void_nonce,
            original=order.nonce,
            reason=order.reason,
            supervisor=order.supervisor,
        )
        decision = decide_void(request, self._original(order, seq, entry, now), state)
        if decision.replay or decision.outcome is Outcome.ERROR:
            return self._answer(order, decision, entry, now.now_ms)
        if decision.outcome is Outcome.APPROVE:
            written = void_entry(
                nonce=order.void_nonce,
                original=entry,
                orig_seq=seq,
                code=decision.code,
                reason=order.reason,
                supervisor=order.supervisor,
                place=order.place,
                moment=now,
                connected=connected,
            )
        else:
            written = refused_void_entry(
                nonce=order.void_nonce,
                original=entry,
                orig_nonce=order.nonce,
                code=decision.code,
                place=order.place,
                moment=now,
            )
        self._probe("before_commit")
        stored = self._writer.append(written)
        self._probe("after_commit")
        return self._answer(order, decision, entry, now.now_ms, stored.seq)

    def _original(
        self, order: VoidOrder, seq: int, entry: Mapping[str, Value], now: Moment
    ) -> Original:
        if text(entry, "kind") != Kind.REDEEM:
            return Original(found=Found.NOWHERE)
        voids = self._writer.log.voids_of(seq)
        voided = self._writer.log.entry(voids[0]) if voids else None
        place = order.place
        return Original(
            found=Found.HERE,
            seq=seq,
            offer=text(entry, "offer"),
            terminal=text(entry, "position"),
            age_ms=max(0, now.boot_ms - number(entry, "mono_ms")),
            same_boot=text(entry, "boot") == self._writer.log.boot,
            same_shift=(text(entry, "position"), text(entry, "shift"))
            == (place.position, place.shift),
            voided_ms=number(voided, "ts_ms") if voided else None,
        )

    def _answer(
        self,
        order: VoidOrder,
        decision: Decision,
        original: Mapping[str, Value],
        now_ms: int,
        seq: int | None = None,
    ) -> TapAnswer:
        installed = self._facts.installed
        offer_id = decision.offer or text(original, "offer")
        offer = installed.offer(offer_id)
        details = answer_details(decision, installed, offer_id)
        done = decision.outcome is Outcome.APPROVE
        return TapAnswer(
            outcome=decision.outcome.value,
            code=decision.code.value,
            name=name_of(decision.code),
            nonce=order.void_nonce,
            message=(voided() if done else wording_of(decision.code, details, installed.words)),
            offer=offer_id,
            replay=decision.replay,
            entry=decision.seq if seq is None else seq,
            usage=self._writer.usage.view(text(original, "member"), offer).units,
            ts_ms=now_ms,
            force_sent=bool(order.supervisor),
            details=details,
        )


def _fault() -> Decision:
    return Decision(outcome=Outcome.ERROR, code=Code.T06)
