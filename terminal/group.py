"""Many cards, one commit: each decided by itself, all entries durable together or none.

Each decision sees what the ones before it in the group have taken: units of the lease, of the caps,
and uses of the same member. What the server must be asked is asked first, while nobody holds the
writer's turn: units for the whole group by one question, holds by one question a card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ledger.codes import CODES, Code, Outcome
from ledger.errors import LogFault
from ledger.rules.decide import decide
from ledger.rules.offer import BrokenOffer, Offer
from ledger.rules.request import CardView, Decision, RedemptionRequest, TerminalState
from ledger.rules.terms import Ask
from ledger.rules.usage import UsageView, Use
from ledger.rules.windows import local_day
from terminal.answers import TapAnswer
from terminal.clock import Moment
from terminal.entries import tap_entry
from terminal.flow import TapFlow
from terminal.presenting import Presented
from terminal.replay import prior_of
from terminal.state import Installed, TerminalFacts, card_view
from terminal.stock import NOTHING_TAKEN, Prepared, StockDesk, Taken
from terminal.tap_order import TapOrder, request_of
from terminal.writer import LedgerWriter, Written

_USES = frozenset({Code.A00, Code.A01, Code.A02})


@dataclass(frozen=True, slots=True)
class Step:
    """One card of the group, decided."""

    order: TapOrder
    request: RedemptionRequest
    offer: Offer | BrokenOffer | None
    decision: Decision
    state: TerminalState

    @property
    def takes(self) -> bool:
        """Whether it gives something out."""
        return self.decision.code in _USES and not self.decision.replay

    @property
    def is_recorded(self) -> bool:
        """Whether it has an entry of its own; refer and error write nothing."""
        answered = CODES[self.decision.code].outcome in {Outcome.APPROVE, Outcome.DECLINE}
        return answered and not self.decision.replay


class GroupFlow:
    """Decides and writes groups. One per terminal; safe to call from several threads."""

    def __init__(
        self, writer: LedgerWriter, facts: TerminalFacts, stock: StockDesk, flow: TapFlow
    ) -> None:
        self._writer = writer
        self._facts = facts
        self._stock = stock
        self._flow = flow

    def preview(self, taps: Sequence[tuple[TapOrder, Presented]]) -> list[Step]:
        """What would come of the group now: nothing is asked of the server or written."""
        dry = [(replace(order, simulate=True), presented) for order, presented in taps]
        with self._writer.turn:
            return self._walk(dry, {})

    def run(self, taps: Sequence[tuple[TapOrder, Presented]]) -> tuple[list[TapAnswer], int]:
        """Decides the group and writes it by one commit; returns only after that is durable.

        Returns:
            The answers in the order of the taps, and the size of the ledger after the commit; T06
            for all of them and size 0 when the log failed: then none was recorded, as far as is
            known, and the same nonces ask again.
        """
        try:
            with self._writer.turn:
                steps = self._walk(taps, {})
            prepared = self._asked(steps)
            with self._writer.turn:
                if prepared:
                    steps = self._walk(taps, prepared)
                return self._commit(steps)
        except LogFault:
            return [self._flow.fault(order) for order, _ in taps], 0

    def _commit(self, steps: Sequence[Step]) -> tuple[list[TapAnswer], int]:
        now = self._facts.time.now()
        entries = [
            tap_entry(
                step.request,
                step.decision,
                step.offer,
                step.order.place,
                now,
                connected=step.state.connected,
                lease=step.state.lease.lease if step.state.lease else "",
                marks=step.order.marks(),
            )
            for step in steps
            if step.is_recorded
        ]
        written = iter(self._writer.append_all(entries) if entries else [])
        answers = [
            self._answer(step, now, next(written) if step.is_recorded else None) for step in steps
        ]
        return answers, self._writer.size

    def _answer(self, step: Step, now: Moment, written: Written | None) -> TapAnswer:
        if step.decision.replay:
            found = self._flow.recorded(step.order.nonce)
            assert found is not None, "a replay has its entry"
            return found
        member = step.request.card.member
        units = self._writer.usage.view(member.ref if member else "", step.offer).units
        return self._flow.answer(
            step.order, step.decision, self._facts.installed, now.now_ms, units, written
        )

    def _walk(
        self, taps: Sequence[tuple[TapOrder, Presented]], prepared: Mapping[str, Prepared]
    ) -> list[Step]:
        """Decides one after the other; the writer's turn is held."""
        installed, now = self._facts.installed, self._facts.time.now()
        taken, uses, steps = NOTHING_TAKEN, dict[str, list[Use]](), list[Step]()
        ready = self._writer.ready
        for order, presented in taps:
            venue = installed.venue(order.place.venue)
            today = local_day(now.now_ms, venue.zone).isoformat()
            card = card_view(presented, installed.cards, today)
            mine = uses.setdefault(card.member.ref if card.member else card.card, [])
            given = prepared.get(order.nonce, self._stock.unasked)
            step = self._decide(order, card, installed, now, given, taken, mine, ready=ready)
            steps.append(step)
            if step.takes:
                taken = _more(taken, step)
                mine.append(_use(step, now, len(steps)))
        return steps

    def _decide(
        self,
        order: TapOrder,
        card: CardView,
        installed: Installed,
        now: Moment,
        prepared: Prepared,
        taken: Taken,
        mine: Sequence[Use],
        *,
        ready: bool,
    ) -> Step:
        request, offer = request_of(order, card), installed.offer(order.offer)
        prior = prior_of(self._writer, order.nonce) if ready and not order.simulate else None
        usage = self._flow.uses(card.member.ref if card.member else "", offer, installed)
        if mine and isinstance(offer, Offer):
            groups: dict[str, Sequence[Use]] = {
                limit.group: tuple(mine) for limit in offer.limits if limit.group
            }
            usage = usage.joined(UsageView(tuple(mine), groups))
        state = self._flow.state(
            order, offer, installed, now, prior, prepared, ledger_ok=ready, taken=taken
        )
        decision = decide(request, offer, usage, state, now.now_ms)
        return Step(order, request, offer, decision, state)

    def _asked(self, steps: Sequence[Step]) -> dict[str, Prepared]:
        """What the server says to the questions of the group, by nonce."""
        asking = [step for step in steps if step.decision.ask is not Ask.NOTHING]
        prepared: dict[str, Prepared] = {}
        refill = [step for step in asking if step.decision.ask is Ask.REFILL]
        if refill:
            units = sum(one.request.quantity for one in steps if one.takes or one in refill)
            whole = replace(refill[0].request, quantity=units)
            answer = self._ask(refill[0], whole)
            prepared = {step.order.nonce: answer for step in steps}
        for step in asking:
            if step.decision.ask is Ask.HOLD:
                prepared[step.order.nonce] = self._ask(step, step.request)
        return prepared

    def _ask(self, step: Step, request: RedemptionRequest) -> Prepared:
        assert isinstance(step.offer, Offer), "only a sound offer asks"
        now, venue = self._facts.time.now(), step.order.place.venue
        return self._stock.ask(step.decision.ask, request, step.offer, venue, now)


def _more(taken: Taken, step: Step) -> Taken:
    quantity, lease = step.request.quantity, step.state.lease
    by_lease = dict(taken.by_lease)
    if lease is not None:
        by_lease[lease.lease] = by_lease.get(lease.lease, 0) + quantity
    colleague = bool(step.request.agent)
    return replace(
        taken,
        units=taken.units + quantity,
        cards=taken.cards + colleague,
        by_lease=by_lease,
    )


def _use(step: Step, now: Moment, place: int) -> Use:
    """The use as the fold will have it; its seq only orders the group."""
    member = step.request.card.member
    return Use(
        ts_ms=now.now_ms,
        ledger="",
        seq=(1 << 52) + place,
        quantity=step.request.quantity,
        venue=step.order.place.venue,
        offer=step.request.offer_id,
        member=member.ref if member else "",
    )
