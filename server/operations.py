"""What the people who run the server watch: counters and gauges for Prometheus, of no person.

Labels are words of ours alone: a method, a route with its place holders, a status. How many are
waiting, judged and open is asked of the database when somebody looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from server.schema import cases, cursors, ledgers

if TYPE_CHECKING:
    from server.core import ServerCore

METRICS_MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS_S: Final = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0)
#: Where a request matches no route of ours, whatever it asked for.
_OTHER: Final = "other"


class Metrics:
    """The figures of one server process."""

    def __init__(self) -> None:
        """Begins at zero."""
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = CollectorRegistry()
        named: dict[str, Any] = {"registry": self._registry}
        self._requests = Counter(
            "redcard_requests", "Answers given", ["method", "route", "status"], **named
        )
        self._seconds = Histogram(
            "redcard_request_seconds", "Time of answers", ["route"], buckets=_BUCKETS_S, **named
        )
        self._inside = Gauge("redcard_ingest_inside", "Batches being taken in now", **named)
        self._ledgers = Gauge("redcard_ledgers", "Ledgers by state", ["state"], **named)
        self._entries = Gauge("redcard_entries", "Entries stored under receipts", **named)
        self._to_judge = Gauge("redcard_entries_to_judge", "Entries not judged yet", **named)
        self._cases = Gauge("redcard_cases_open", "Cases open, by reason", ["reason"], **named)
        self._versions = Gauge(
            "redcard_published_version", "Version in force of what is published", ["role"], **named
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one answer."""
        said = method if method in _METHODS else _OTHER
        self._requests.labels(said, route or _OTHER, str(status)).inc()
        self._seconds.labels(route or _OTHER).observe(seconds)

    async def render(self, core: ServerCore) -> bytes:
        """The figures as Prometheus reads them."""
        from prometheus_client import generate_latest

        behind = ledgers.c.size - func.coalesce(cursors.c.next_seq, 0)
        by_state = (
            select(ledgers.c.state, func.count(), func.sum(ledgers.c.size), func.sum(behind))
            .join(cursors, cursors.c.log == ledgers.c.log, isouter=True)
            .group_by(ledgers.c.state)
        )
        by_reason = (
            select(cases.c.reason, func.count())
            .where(cases.c.state == "open")
            .group_by(cases.c.reason)
        )
        async with core.database.reading() as connection:
            states = (await connection.execute(by_state)).all()
            reasons = (await connection.execute(by_reason)).all()
        for gauge in (self._ledgers, self._cases, self._versions):
            gauge.clear()
        for state, count, _, _ in states:
            self._ledgers.labels(state).set(count)
        for reason, count in reasons:
            self._cases.labels(reason).set(count)
        self._entries.set(sum(int(row[2]) for row in states))
        self._to_judge.set(sum(int(row[3]) for row in states))
        self._inside.set(core.ingest.inside)
        for role, version in (await core.publications.versions()).items():
            self._versions.labels(role).set(version)
        return generate_latest(self._registry)
