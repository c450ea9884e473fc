"""One tap, from card to green: the whole path on one page.

    card presented → nonce looked up → request → decide → entry, durable → answer
                                                 └ asks the server, if it must, and decides again

Nothing is answered before the entry is durable. ``refer``, ``error`` and dry runs write nothing and
do not bind the nonce. Whatever the log raises ends in T06 and no green light: the entry may or may
not be there, so the nonce stays noted, and once the log is recovered it says what was recorded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ledger.codes import Code, Outcome
from ledger.entry import Value
from ledger.errors import LogFault
from ledger.rules.decide import decide
from ledger.rules.offer import BrokenOffer, Offer
from ledger.rules.request import CardView, Decision, Prior, RedemptionRequest, TerminalState
from ledger.rules.terms import Ask, CardStatus, Venue
from ledger.rules.usage import UsageView
from ledger.rules.windows import day_start, local_day
from terminal.answers import TapAnswer
from terminal.clock import Moment
from terminal.entries import clock_entry, tap_entry
from terminal.journal import Journal, Pending
from terminal.presenting import Presented
from terminal.replay import number, prior_from, prior_of, text
from terminal.reservations import ReservationDesk
from terminal.state import Installed, TerminalFacts, card_view
from terminal.stock import NOTHING_TAKEN, Prepared, StockDesk, Taken
from terminal.tap_order import TapOrder, answer_details, request_of
from terminal.wording import name_of, voided, wording_of
from terminal.writer import LedgerWriter, Written

#: Told of each step, so that the demo and tests can cut the power exactly there.
Probe = Callable[[str], None]


def no_probe(step: str) -> None:
    """Ignores every step."""
    del step


@dataclass(frozen=True, slots=True)
class _Question:
    """What the server is asked before the decision is made again."""

    ask: Ask
    request: RedemptionRequest
    offer: Offer


class TapFlow:
    """Decides taps and writes them. One per terminal; safe to call from several threads."""

    def __init__(
        self,
        *,
        writer: LedgerWriter,
        facts: TerminalFacts,
        journal: Journal,
        stock: StockDesk,
        receipts: Callable[[int, bytes], str],
        offline_cap: int | None,
        terminal: str,
        probe: Probe = no_probe,
        reservations: ReservationDesk | None = None,
    ) -> None:
        self._writer = writer
        self._facts = facts
        self._journal = journal
        self._stock = stock
        self._receipts = receipts
        #: Approvals without a connection since the last receipt; may be set from afar.
        self.offline_cap = offline_cap
        self._terminal = terminal
        self._probe = probe
        self._reservations = reservations
        self._clock_ok = True

    def run(self, order: TapOrder, presented: Presented) -> TapAnswer:
        """Decides one tap and writes its entry; returns only after that is durable.

        Args:
            order: what is asked.
            presented: the card, or ``ABSENT`` for a second try of an answered nonce.
        """
        started_ns = presented.answered_ns or time.perf_counter_ns()
        now = self._facts.time.now()
        if not order.simulate:
            self._journal.begin(Pending(order.nonce, order.place.position, order.offer, now.now_ms))
        installed = self._facts.installed
        card = card_view(presented, installed.cards, self._today(order, installed, now))
        with self._writer.turn:
            answer = self._decide(order, card, installed, self._stock.unasked)
        if isinstance(answer, _Question):
            # Nobody waits for this but the tap itself: the turn is free meanwhile.
            venue = order.place.venue
            prepared = self._stock.ask(answer.ask, answer.request, answer.offer, venue, now)
            with self._writer.turn:
                answer = self._decide(order, card, installed, prepared, asked=True)
        assert isinstance(answer, TapAnswer), "a question is asked once"
        own_ms = (time.perf_counter_ns() - started_ns) / 1e6
        advice = presented.card.advice if presented.card else ""
        return replace(answer, own_ms=own_ms, advice=advice)

    def preview(
        self, order: TapOrder, presented: Presented, offers: Sequence[Offer]
    ) -> list[tuple[Offer, Decision]]:
        """Dry runs of many offers for one card: nothing is asked of the server or written."""
        now, installed = self._facts.time.now(), self._facts.installed
        card = card_view(presented, installed.cards, self._today(order, installed, now))
        member = card.member.ref if card.member else ""
        found = []
        with self._writer.turn:
            ready = self._writer.ready
            for offer in offers:
                asked = replace(order, offer=offer.id, simulate=True)
                usage = self.uses(member, offer, installed)
                state = self.state(
                    asked, offer, installed, now, None, self._stock.unasked, ledger_ok=ready
                )
                request = request_of(asked, card)
                state, _ = self.reserved(asked, request, offer, state, now)
                decision = decide(request, offer, usage, state, now.now_ms)
                found.append((offer, decision))
        return found

    def _decide(
        self,
        order: TapOrder,
        card: CardView,
        installed: Installed,
        prepared: Prepared,
        *,
        asked: bool = False,
    ) -> TapAnswer | _Question:
        now = self._facts.time.now()
        ready = self._writer.ready
        prior = None
        try:
            if ready and not order.simulate:
                prior = prior_of(self._writer, order.nonce)
                self._note_clock(now)
        except LogFault:
            ready = False
        if prior is not None and card.status is CardStatus.UNREADABLE and not card.card:
            # The card has gone since: the rest of the content still has to agree.
            card = replace(card, card=prior.card)
        request = request_of(order, card)
        offer = installed.offer(order.offer)
        member = card.member.ref if card.member else ""
        usage = self.uses(member, offer, installed)
        state = self.state(order, offer, installed, now, prior, prepared, ledger_ok=ready)
        state, token = self.reserved(order, request, offer, state, now)
        decision = decide(request, offer, usage, state, now.now_ms)
        if decision.replay and decision.seq is not None:
            return self._replayed(order.nonce, decision.seq, self._writer.entry(decision.seq))
        if decision.ask is not Ask.NOTHING and isinstance(offer, Offer) and not asked:
            return _Question(decision.ask, request, offer)
        if not self._is_recorded(order, decision):
            return self.answer(order, decision, installed, now.now_ms, usage.units)
        lease = state.lease.lease if state.lease else ""
        entry = tap_entry(
            request,
            decision,
            offer,
            order.place,
            now,
            connected=state.connected,
            lease=lease,
            marks=order.marks() | (token if decision.outcome is Outcome.APPROVE else {}),
        )
        self._probe("before_commit")
        try:
            written = self._writer.append(entry)
        except LogFault:
            return self.fault(order)
        self._probe("after_commit")
        units = self.uses(member, offer, installed).units
        return self.answer(order, decision, installed, now.now_ms, units, written)

    def uses(
        self, member: str, offer: Offer | BrokenOffer | None, installed: Installed
    ) -> UsageView:
        """Own uses and those that the snapshot knows of other terminals."""
        own = self._writer.usage.view(member, offer)
        return own.joined(installed.used.view(member, offer))

    def _is_recorded(self, order: TapOrder, decision: Decision) -> bool:
        """Refer, error and a dry run write nothing."""
        return not order.simulate and decision.outcome in {Outcome.APPROVE, Outcome.DECLINE}

    def state(
        self,
        order: TapOrder,
        offer: Offer | BrokenOffer | None,
        installed: Installed,
        now: Moment,
        prior: Prior | None,
        prepared: Prepared,
        *,
        ledger_ok: bool,
        taken: Taken = NOTHING_TAKEN,
    ) -> TerminalState:
        """What the terminal knows beside card and usage; the writer's turn is held."""
        link = self._facts.link
        sound = offer if isinstance(offer, Offer) else None
        venue = installed.venue(order.place.venue)
        return TerminalState(
            terminal=self._terminal,
            venue=venue,
            profile=order.profile,
            revoked=link.revoked or link.quarantined,
            ledger_ok=ledger_ok,
            clock_ok=now.clock_ok,
            snapshot=self._facts.snapshot_age(now),
            connected=link.connected(now.boot_ms),
            supervisor_ok=order.supervisor_ok,
            offline_cap=self.offline_cap,
            cap_used=taken.units
            + self._writer.usage.units_since(link.acknowledged, offer=order.offer),
            cap_used_total=taken.units + self._writer.usage.units_since(link.acknowledged),
            agent_cards=taken.cards + self._collected(order, venue, now),
            prior=prior,
            **self._stock.facts(
                sound,
                venue,
                now,
                prepared,
                order.quantity,
                replace(taken, hold=order.hold) if order.hold else taken,
            ),
        )

    def reserved(
        self,
        order: TapOrder,
        request: RedemptionRequest,
        offer: Offer | BrokenOffer | None,
        state: TerminalState,
        now: Moment,
    ) -> tuple[TerminalState, dict[str, str]]:
        """The state with the member's reservation, and what its use is to record of it."""
        if self._reservations is None or not isinstance(offer, Offer):
            return state, {}
        found, token = self._reservations.look(request, offer, state.venue, order.reservation, now)
        return replace(state, reservation=found), {"reservation": token} if token else {}

    def _collected(self, order: TapOrder, venue: Venue, now: Moment) -> int:
        """Cards that the representative has had served today of this offer."""
        if not order.agent:
            return 0
        since_ms = day_start(now.now_ms, venue.zone)
        return self._writer.agents.cards(order.agent, order.offer, since_ms)

    def _note_clock(self, now: Moment) -> None:
        """Writes a ``clock`` entry when the wall clock falls below the floor, or comes back."""
        if now.clock_ok == self._clock_ok:
            return
        self._writer.append(clock_entry(now, "restored" if now.clock_ok else "set_back"))
        self._clock_ok = now.clock_ok

    def _today(self, order: TapOrder, installed: Installed, now: Moment) -> str:
        return local_day(now.now_ms, installed.venue(order.place.venue).zone).isoformat()

    def answer(
        self,
        order: TapOrder,
        decision: Decision,
        installed: Installed,
        now_ms: int,
        units: int,
        written: Written | None = None,
    ) -> TapAnswer:
        """What is told of a decision; ``written`` is its entry, if it has one."""
        code = decision.code
        details = answer_details(decision, installed, order.offer)
        receipt = ""
        if written is not None and decision.outcome is Outcome.APPROVE:
            receipt = self._receipts(written.seq, written.leaf)
        return TapAnswer(
            outcome=decision.outcome.value,
            code=code.value,
            name=name_of(code),
            nonce=order.nonce,
            message=wording_of(code, details, installed.words),
            offer=decision.offer or order.offer,
            entry=written.seq if written else None,
            usage=units,
            until_ms=decision.until_ms,
            ts_ms=number(written.entry, "ts_ms", now_ms) if written else now_ms,
            forced=code is Code.A02,
            force_sent=bool(order.supervisor),
            simulate=order.simulate,
            overridden=decision.would_override.value if decision.would_override else "",
            receipt=receipt,
            details=details,
        )

    def proof(self, written: Written) -> str:
        """The terminal's signature over an entry, as a receipt's QR carries it."""
        return self._receipts(written.seq, written.leaf)

    def fault(self, order: TapOrder) -> TapAnswer:
        """T06: the log failed; whether this nonce was recorded is known after recovery."""
        return TapAnswer(
            outcome=Outcome.ERROR.value,
            code=Code.T06.value,
            name=name_of(Code.T06),
            nonce=order.nonce,
            message=wording_of(Code.T06, {}, self._facts.installed.words),
            offer=order.offer,
            ts_ms=self._facts.time.now().now_ms,
        )

    def recorded(self, nonce: str) -> TapAnswer | None:
        """The recorded answer to a nonce as a replay, ``None`` if nothing was recorded.

        Raises:
            LogFault: the log cannot be read now; nothing is known.
        """
        with self._writer.turn:
            found = self._writer.by_nonce(nonce)
            if found is None:
                return None
            seq, entry = found
            return self._replayed(nonce, seq, entry)

    def _replayed(self, nonce: str, seq: int, entry: Mapping[str, Value]) -> TapAnswer:
        installed = self._facts.installed
        prior = prior_from(self._writer, seq, entry)
        is_void = prior.is_void and prior.outcome is Outcome.APPROVE
        decision = Decision(outcome=prior.outcome, code=prior.code, offer=prior.offer_id)
        offer = installed.offer(prior.offer_id)
        ts_ms = number(entry, "ts_ms")
        details = {**answer_details(decision, installed, prior.offer_id), "time_ms": ts_ms}
        return TapAnswer(
            outcome=prior.outcome.value,
            code=prior.code.value,
            name=name_of(prior.code),
            nonce=nonce,
            message=(voided() if is_void else wording_of(prior.code, details, installed.words)),
            offer=prior.offer_id,
            replay=True,
            reversed=prior.reversed,
            entry=seq,
            until_ms=prior.until_ms,
            usage=self._writer.usage.view(text(entry, "member"), offer).units,
            ts_ms=ts_ms,
            details=details,
        )
