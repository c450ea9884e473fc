"""A page that asks for evidence needs the name under which to send it."""

from __future__ import annotations

from ledger.rules.catalogue import parse_offer
from ledger.rules.decide import decide
from ledger.rules.offer import (
    CardStatus,
    CardView,
    MemberView,
    RedemptionRequest,
    TerminalState,
    Venue,
)
from ledger.rules.usage import Usage


def test_evidence_required_names_what_to_send() -> None:
    offer = parse_offer(
        {
            "id": "SWIM",
            "from": "2026-01-01T00:00:00+08:00",
            "until": "2027-01-01T00:00:00+08:00",
            "evidence": [
                {"name": "note", "required": False},
                {"name": "deep_water", "title": "深水合格证", "title_en": "deep-water certificate"},
            ],
        }
    )
    member = MemberView("f" * 16)
    card = CardView("a" * 26, CardStatus.ACTIVE, "unionpay", "authenticated", member)
    state = TerminalState(terminal="t1", venue=Venue("v"))

    def ask(evidence: dict[str, str]) -> tuple[str, object]:
        request = RedemptionRequest(nonce="n", card=card, offer_id="SWIM", evidence=evidence)
        view = Usage().view(member.ref, offer)
        decision = decide(request, offer, view, state, 1_780_000_000_000)
        return decision.code.value, decision.details.get("evidence")

    assert ask({}) == ("O11", "deep_water")
    assert ask({"deep_water": "No. 7"})[0] in {"A00", "A01"}
