"""Outcomes and codes of a decision: the one table that rules, log, pages and server share.

Each code is stable for ever. The letter names a family (C card, M member, O offer, L limit,
T terminal, V void), not a rank; ``rank`` says which answer wins when several apply.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique


@unique
class Outcome(StrEnum):
    """What the terminal does with a tap."""

    APPROVE = "approve"
    DECLINE = "decline"
    REFER = "refer"
    ERROR = "error"


@unique
class Code(StrEnum):
    """Reason of an outcome; the value is what entries and answers carry."""

    A00 = "A00"
    A01 = "A01"
    A02 = "A02"
    A03 = "A03"
    C01 = "C01"
    C02 = "C02"
    C03 = "C03"
    C04 = "C04"
    C05 = "C05"
    C06 = "C06"
    C07 = "C07"
    C08 = "C08"
    M01 = "M01"
    M02 = "M02"
    M03 = "M03"
    O01 = "O01"
    O02 = "O02"
    O03 = "O03"
    O04 = "O04"
    O05 = "O05"
    O06 = "O06"
    O07 = "O07"
    O08 = "O08"
    O09 = "O09"
    O10 = "O10"
    O11 = "O11"
    L01 = "L01"
    L02 = "L02"
    L03 = "L03"
    L04 = "L04"
    L05 = "L05"
    L06 = "L06"
    L07 = "L07"
    L08 = "L08"
    T01 = "T01"
    T02 = "T02"
    T03 = "T03"
    T04 = "T04"
    T05 = "T05"
    T06 = "T06"
    T07 = "T07"
    V01 = "V01"
    V02 = "V02"
    V03 = "V03"
    V04 = "V04"
    V05 = "V05"


@dataclass(frozen=True, slots=True)
class CodeFacts:
    """What is known of a code apart from its wording.

    Attributes:
        name: the stable English name, as in ``already_redeemed``.
        outcome: what the terminal does.
        rank: place in the order of precedence, 0 first; approvals come last.
        overridable: whether a supervisor may turn it into A02.
    """

    name: str
    outcome: Outcome
    rank: int
    overridable: bool


_NAMES: dict[Code, str] = {
    Code.A00: "approved",
    Code.A01: "approved_provisional",
    Code.A02: "approved_overridden",
    Code.A03: "already_in",
    Code.C01: "card_unreadable",
    Code.C02: "card_not_genuine",
    Code.C03: "card_unknown",
    Code.C04: "card_blocked",
    Code.C05: "card_replaced",
    Code.C06: "card_expired",
    Code.C07: "several_cards",
    Code.C08: "card_not_active",
    Code.M01: "member_suspended",
    Code.M02: "not_eligible",
    Code.M03: "identity_check",
    Code.O01: "offer_unknown",
    Code.O02: "not_started",
    Code.O03: "ended",
    Code.O04: "suspended",
    Code.O05: "wrong_venue",
    Code.O06: "outside_hours",
    Code.O07: "ambiguous",
    Code.O08: "reservation_required",
    Code.O09: "reservation_invalid",
    Code.O10: "rule_error",
    Code.O11: "evidence_required",
    Code.L01: "already_redeemed",
    Code.L02: "limit_day",
    Code.L03: "limit_period",
    Code.L04: "interval",
    Code.L05: "out_of_stock",
    Code.L06: "venue_quota",
    Code.L07: "lease_exhausted",
    Code.L08: "offline_cap",
    Code.T01: "terminal_revoked",
    Code.T02: "snapshot_expired",
    Code.T03: "clock",
    Code.T04: "online_only",
    Code.T05: "operator_rights",
    Code.T06: "ledger_fault",
    Code.T07: "nonce_conflict",
    Code.V01: "void_window",
    Code.V02: "void_wrong_terminal",
    Code.V03: "already_void",
    Code.V04: "no_original",
    Code.V05: "settled",
}

#: Order in which a tap is judged: the first that applies is the answer.
TAP_PRECEDENCE: tuple[Code, ...] = tuple(
    Code(text)
    for text in (
        "T07 T06 T01 T05 T03 T02 C07 C01 C02 C03 C04 C05 C06 C08 M01 O01 O10 O04 M02 O05 "
        "O02 O03 O06 O07 O08 O09 A03 L01 L02 L03 L04 T04 L05 L06 L07 L08 O11 M03"
    ).split()
)

#: Order in which a void is judged.
VOID_PRECEDENCE: tuple[Code, ...] = tuple(Code(text) for text in "T05 V04 V02 V03 V05 V01".split())

_REFER = frozenset({Code.M03, Code.O07, Code.O11})
_ERROR = frozenset({Code.C01, Code.C07, Code.T06, Code.T07})
_APPROVE = frozenset({Code.A00, Code.A01, Code.A02, Code.A03})
_NEVER_OVERRIDDEN = frozenset(
    {Code.C01, Code.C02, Code.C03, Code.C04, Code.C07, Code.C08, Code.O01, Code.O09, Code.O10}
    | {Code.L05, Code.L06, Code.L07}
    | {code for code in Code if code.value[0] in "TV"}
)


def _outcome(code: Code) -> Outcome:
    if code in _APPROVE:
        return Outcome.APPROVE
    if code in _REFER:
        return Outcome.REFER
    return Outcome.ERROR if code in _ERROR else Outcome.DECLINE


def _rank(code: Code) -> int:
    if code in TAP_PRECEDENCE:
        return TAP_PRECEDENCE.index(code)
    if code in VOID_PRECEDENCE:
        return len(TAP_PRECEDENCE) + VOID_PRECEDENCE.index(code)
    return len(TAP_PRECEDENCE) + len(VOID_PRECEDENCE)


#: The table: every code with its name, outcome, rank and whether it can be overridden.
CODES: dict[Code, CodeFacts] = {
    code: CodeFacts(
        name=_NAMES[code],
        outcome=_outcome(code),
        rank=_rank(code),
        overridable=code not in _APPROVE and code not in _NEVER_OVERRIDDEN,
    )
    for code in Code
}
