"""Groups flagged findings into cases: what somebody at the back office should look at together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from server.facts import Case, Event, Finding, Position
from sync.feed import Reason


def group_cases(findings: Iterable[Finding], events: Iterable[Event]) -> tuple[Case, ...]:
    """Makes the cases of a set of findings.

    All entries of one member, offer and period beyond a limit make one case, which lists the
    flagged entries and not the accepted one; units beyond a stock one per member and offer.
    Every other reason makes a case of its own entry.

    Args:
        findings: the newest finding of each entry.
        events: the events they are about; others are ignored.

    Returns:
        Cases by first event time, then reason.
    """
    by_position: Mapping[Position, Event] = {event.position: event for event in events}
    groups: dict[tuple[object, ...], list[tuple[Event, Finding]]] = {}
    for finding in findings:
        event = by_position.get(finding.position)
        if event is None:
            continue
        for reason in finding.reasons:
            groups.setdefault(_key(reason, event, finding), []).append((event, finding))
    cases = [_case(str(key[0]), group) for key, group in groups.items()]
    return tuple(sorted(cases, key=lambda case: (case.first_ms, case.reason, case.nonces)))


def _key(reason: Reason, event: Event, finding: Finding) -> tuple[object, ...]:
    if reason is Reason.OVER_MEMBER_LIMIT:
        return (reason, event.text("member"), event.text("offer"), finding.period)
    if reason is Reason.OVERSOLD:
        return (reason, event.text("member"), event.text("offer"))
    return (reason, finding.position)


def _case(reason: str, group: list[tuple[Event, Finding]]) -> Case:
    ordered = sorted(group, key=lambda pair: pair[0].order)
    first, finding = ordered[0]
    return Case(
        reason=Reason(reason),
        positions=tuple(event.position for event, _ in ordered),
        nonces=tuple(event.text("nonce") for event, _ in ordered),
        member=first.text("member"),
        offer=first.text("offer"),
        period=finding.period if reason == Reason.OVER_MEMBER_LIMIT else None,
        first_ms=first.at_ms,
    )
