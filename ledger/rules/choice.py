"""Which offer a tap means that names none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import ledger.rules.decide
from ledger.codes import CODES, Code, Outcome
from ledger.rules.offer import BrokenOffer, Decision, Offer, RedemptionRequest, TerminalState
from ledger.rules.usage import UsageView


def choose(
    candidates: Sequence[tuple[Offer | BrokenOffer, UsageView, TerminalState]],
    request: RedemptionRequest,
    now_ms: int,
) -> Decision:
    """Decides on a tap that names no offer, among all that could be meant.

    One that can be had now is taken; of several the clerk chooses (O07). If there is none, the
    reason of the next to start is told, else that of the last to end, else the first by
    precedence that could still come true.
    """
    answers = [
        ledger.rules.decide.decide(replace(request, offer_id=offer.id), offer, usage, state, now_ms)
        for offer, usage, state in candidates
    ]
    valid = [one for one in answers if one.outcome in {Outcome.APPROVE, Outcome.REFER}]
    if len(valid) == 1:
        return valid[0]
    if valid:
        details: dict[str, str | int] = {"n": len(valid), "offers": "，".join(_ids(valid))}
        return Decision(outcome=Outcome.REFER, code=Code.O07, details=details)
    for code, pick in ((Code.O02, min), (Code.O03, max)):
        found = [one for one in answers if one.code is code]
        if found:
            return pick(found, key=_boundary)
    if answers:
        return max(answers, key=lambda one: (one.until_ms is not None, CODES[one.code].rank))
    return Decision(outcome=Outcome.DECLINE, code=Code.O01)


def _ids(decisions: Sequence[Decision]) -> list[str]:
    return [one.offer for one in decisions]


def _boundary(decision: Decision) -> int:
    value = decision.details.get("date_ms", 0)
    return value if isinstance(value, int) else 0
