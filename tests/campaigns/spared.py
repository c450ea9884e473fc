"""Mutants that no test can tell from the original, each with the reason."""

from __future__ import annotations

from typing import Final

_SENTINEL: Final = "later than every instant, whichever of them it is"
_ASKED_BEFORE: Final = "an earlier family has already answered"
_SCHEMA: Final = "the entry's schema demands the field"

#: By module, line, and the code before and after: why both do the same.
SPARED: Final[dict[tuple[str, str, str, str], str]] = {
    ("ledger.rules.limits", "_EVER: Final = 2**62", "2", "3"): _SENTINEL,
    ("ledger.rules.limits", "_EVER: Final = 2**62", "62", "63"): _SENTINEL,
    ("ledger.rules.limits", "_EVER: Final = 2**62", "62", "61"): _SENTINEL,
    (
        "ledger.rules.limits",
        "last = bisect_left(uses, end_ms, key=_when) if end_ms < _EVER else len(uses)",
        "end_ms < _EVER",
        "end_ms <= _EVER",
    ): "the search finds the end, only slower",
    (
        "ledger.rules.decide",
        "asked = bool(case.request.supervisor) and case.state.supervisor_ok",
        "bool(case.request.supervisor) and case.state.supervisor_ok",
        "bool(case.request.supervisor)",
    ): f"a supervisor without proof is T05: {_ASKED_BEFORE}",
    (
        "ledger.rules.decide",
        "if member is not None and not _belongs(member, offer):",
        "member is not None and (not _belongs(member, offer))",
        "not _belongs(member, offer)",
    ): f"a card without a member is C08, which nobody lifts: {_ASKED_BEFORE}",
    (
        "ledger.rules.leases",
        'kind, offer = entry.get("kind"), str(entry.get("offer", ""))',
        "''",
        "'~'",
    ): _SCHEMA,
    (
        "ledger.rules.leases",
        'spend = self._spends.pop(_number(entry, "orig_seq", -1), None)',
        "1",
        "2",
    ): "no entry stands at a negative position",
}
