"""The entries that a terminal writes: one function a kind, fields as ``docs/entry.md`` has them.

No entry carries a name, a number of a card or free text: evidence is recorded by the names of what
was asked for, reasons by their codes. ``position`` is ours beyond the contract's fields; readers of
a ledger keep and ignore what they do not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger.codes import Code
from ledger.entry import Entry, Kind, Value
from ledger.rules.offer import BrokenOffer, Decision, Offer, RedemptionRequest
from terminal.clock import Moment


@dataclass(frozen=True, slots=True)
class Place:
    """Where and by whom an entry is made.

    Attributes:
        position: id of the position in ``terminal.toml``.
        venue: id of its venue.
        operator: who works there: of the open shift, else the position itself.
        shift: id of the open shift, or empty.
    """

    position: str
    venue: str
    operator: str
    shift: str = ""


def _begin(kind: Kind, place: Place, moment: Moment) -> dict[str, Value]:
    entry: dict[str, Value] = {
        "kind": kind.value,
        "ts_ms": moment.now_ms,
        "mono_ms": moment.boot_ms,
        "venue": place.venue,
        "operator": place.operator,
        "position": place.position,
    }
    if place.shift:
        entry["shift"] = place.shift
    return entry


def tap_entry(
    request: RedemptionRequest,
    decision: Decision,
    offer: Offer | BrokenOffer | None,
    place: Place,
    moment: Moment,
    *,
    connected: bool,
    lease: str = "",
    marks: Mapping[str, Value] | None = None,
) -> Entry:
    """The entry of a decided tap: ``redeem``, ``reentry`` or ``decline``.

    Declines C02 and C03 carry the card's hash, if there is one, and no member.
    """
    approved = decision.code in {Code.A00, Code.A01, Code.A02}
    reentry = decision.code is Code.A03
    kind = Kind.REDEEM if approved else Kind.REENTRY if reentry else Kind.DECLINE
    entry = _begin(kind, place, moment)
    entry.update(
        nonce=request.nonce,
        card=request.card.card,
        offer=decision.offer or request.offer_id,
        code=decision.code.value,
        quantity=request.quantity,
    )
    if request.agent:
        entry["agent"] = request.agent
    if request.companions:
        entry["companions"] = request.companions
    if request.card.scheme:
        entry["scheme"] = request.card.scheme
        entry["assurance"] = request.card.assurance
    member = request.card.member
    if member is not None and decision.code not in {Code.C02, Code.C03}:
        entry["member"] = member.ref
    if offer is not None:
        entry["offer_version"] = offer.version
    entry["mode"] = "online" if connected else "offline"
    if kind is Kind.DECLINE and decision.until_ms is not None:
        entry["until_ms"] = decision.until_ms
    if request.supervisor and (approved or reentry):
        entry["supervisor"] = request.supervisor
    if decision.code is Code.A02:
        entry["reason_code"] = request.reason or "unstated"
        if decision.would_override is not None:
            entry["overridden"] = decision.would_override.value
    if request.evidence and approved:
        entry["evidence"] = sorted(request.evidence)
    if lease and approved:
        entry["lease"] = lease
    entry.update(marks or {})
    return entry


def void_entry(
    *,
    nonce: str,
    original: Mapping[str, Value],
    orig_seq: int,
    code: Code,
    reason: str,
    supervisor: str,
    place: Place,
    moment: Moment,
    connected: bool,
) -> Entry:
    """The entry that reverses a redemption.

    It repeats what it takes back, so that folds need no second look-up.
    """
    entry = _begin(Kind.VOID, place, moment)
    entry.update(
        nonce=nonce,
        card=original.get("card", ""),
        offer=original.get("offer", ""),
        code=code.value,
        orig_seq=orig_seq,
        orig_nonce=original.get("nonce", ""),
        reason_code=reason or "unstated",
        mode="online" if connected else "offline",
    )
    for name in ("member", "quantity", "lease", "reservation", "offer_version"):
        if name in original:
            entry[name] = original[name]
    if supervisor:
        entry["supervisor"] = supervisor
    return entry


def refused_void_entry(
    *,
    nonce: str,
    original: Mapping[str, Value],
    orig_nonce: str,
    code: Code,
    place: Place,
    moment: Moment,
) -> Entry:
    """The ``decline`` of a void that was not allowed."""
    entry = _begin(Kind.DECLINE, place, moment)
    entry.update(
        nonce=nonce,
        card=original.get("card", ""),
        offer=original.get("offer", ""),
        code=code.value,
        orig_nonce=orig_nonce,
    )
    return entry


def shift_open_entry(place: Place, moment: Moment) -> Entry:
    """The opening of a shift; ``place.shift`` is its id."""
    return _begin(Kind.OPEN, place, moment)


def shift_close_entry(
    place: Place,
    moment: Moment,
    offers: Sequence[str],
    counts: Sequence[int],
    voids: Sequence[int],
) -> Entry:
    """The closing of a shift with its totals in parallel arrays."""
    entry = _begin(Kind.CLOSE, place, moment)
    entry.update(offers=list(offers), counts=list(counts), voids=list(voids))
    return entry


def clock_entry(moment: Moment, reason: str) -> Entry:
    """The wall clock fell below the signed floor, or came back above it."""
    return {
        "kind": Kind.CLOCK.value,
        "ts_ms": moment.now_ms,
        "mono_ms": moment.boot_ms,
        "offset_ms": -moment.behind_ms,
        "reason_code": reason,
    }


def fault_entry(moment: Moment, component: str, reason: str) -> Entry:
    """Something of the terminal failed and works again."""
    return {
        "kind": Kind.FAULT.value,
        "ts_ms": moment.now_ms,
        "mono_ms": moment.boot_ms,
        "component": component,
        "reason_code": reason,
    }
