"""What a terminal tells of itself: its health now and then, and a problem that somebody reports.

Each is one object of the restricted canonical JSON of entries, the body of a signed POST. Neither
is an entry: nothing is decided by it, a lost one costs nothing, and the newest holds. There is no
room for text about people: names of readers, states and numbers. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ledger.entry import Value
from ledger.errors import NotCanonical
from ledger.log import canonical
from sync.errors import Malformed
from sync.protocol import INTEGER_MAX

HEALTH_FORMAT: Final = "redcard-health/v1"
PROBLEM_FORMAT: Final = "redcard-problem/v1"
HEALTH_MEDIA_TYPE: Final = "application/vnd.redcard.health"
REPORT_BYTES_MAX: Final = 4_096
READERS_MAX: Final = 16
#: What a person may report; what it is about is chosen, never typed.
PROBLEMS: Final = ("reader", "printer", "network", "screen", "offer", "stock", "card", "other")
SNAPSHOT_GRADES: Final = ("fresh", "degraded", "locked")
_WORD: Final = re.compile(r"[^\x00-\x1f\x7f]{0,128}\Z")
_NONCE: Final = re.compile(r"[^\x00-\x1f\x7f]{1,64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A terminal's state.

    Attributes:
        ts_ms: the terminal's wall clock, milliseconds; against the server's it is the clock's
            offset.
        size: entries of its ledger.
        acknowledged: of these, receipted.
        oldest_ms: event time of the oldest entry without receipt, 0 if there is none.
        snapshot_ms: signed time of the snapshot in force, 0 if there is none.
        snapshot: its age in a word: fresh, degraded, locked.
        version: of the program.
        configuration: number of the remote configuration in force, 0 for none.
        fault: why a newer one is not in force, or empty.
        readers: ``name|state|profile`` of each reader.
        printer: state of the printer, or empty.
        disk_mb: free megabytes where the ledger lies.
    """

    ts_ms: int
    size: int
    acknowledged: int
    oldest_ms: int = 0
    snapshot_ms: int = 0
    snapshot: str = "fresh"
    version: str = ""
    configuration: int = 0
    fault: str = ""
    readers: tuple[str, ...] = ()
    printer: str = ""
    disk_mb: int = 0


@dataclass(frozen=True, slots=True)
class ProblemReport:
    """A problem that somebody at the terminal reports.

    Attributes:
        nonce: makes it the same report when it is sent again.
        about: one of ``PROBLEMS``.
        venue: where.
        nonce_of_tap: the tap that it is about, or empty.
        ts_ms: the terminal's wall clock.
    """

    nonce: str
    about: str
    venue: str
    nonce_of_tap: str
    ts_ms: int


def health_path(ledger: str) -> str:
    """Path that takes a terminal's health by POST."""
    return f"/v1/logs/{ledger}/health"


def problems_path(ledger: str) -> str:
    """Path that takes a report of a problem by POST."""
    return f"/v1/logs/{ledger}/problems"


def encode_health(health: Health) -> bytes:
    """The body of a report of health."""
    record: dict[str, Value] = {
        "format": HEALTH_FORMAT,
        "ts_ms": health.ts_ms,
        "size": health.size,
        "acknowledged": health.acknowledged,
        "oldest_ms": health.oldest_ms,
        "snapshot_ms": health.snapshot_ms,
        "snapshot": health.snapshot,
        "version": health.version,
        "configuration": health.configuration,
        "fault": health.fault,
        "readers": list(health.readers),
        "printer": health.printer,
        "disk_mb": health.disk_mb,
    }
    return canonical.encode(record)


def decode_health(body: bytes) -> Health:
    """Reads a report of health.

    Raises:
        Malformed: too long, another format, or a field of a wrong form.
    """
    record = _record(body, HEALTH_FORMAT)
    readers = record.get("readers", [])
    if not isinstance(readers, list) or len(readers) > READERS_MAX:
        raise Malformed(f"readers: at most {READERS_MAX} texts")
    names = tuple(_checked(one, "readers") for one in readers)
    snapshot = _text(record, "snapshot")
    if snapshot not in SNAPSHOT_GRADES:
        raise Malformed(f"snapshot: one of {', '.join(SNAPSHOT_GRADES)}")
    return Health(
        ts_ms=_number(record, "ts_ms"),
        size=_number(record, "size"),
        acknowledged=_number(record, "acknowledged"),
        oldest_ms=_number(record, "oldest_ms"),
        snapshot_ms=_number(record, "snapshot_ms"),
        snapshot=snapshot,
        version=_text(record, "version"),
        configuration=_number(record, "configuration"),
        fault=_text(record, "fault"),
        readers=names,
        printer=_text(record, "printer"),
        disk_mb=_number(record, "disk_mb"),
    )


def encode_problem(report: ProblemReport) -> bytes:
    """The body of a report of a problem."""
    record: dict[str, Value] = {
        "format": PROBLEM_FORMAT,
        "nonce": report.nonce,
        "about": report.about,
        "venue": report.venue,
        "tap": report.nonce_of_tap,
        "ts_ms": report.ts_ms,
    }
    return canonical.encode(record)


def decode_problem(body: bytes) -> ProblemReport:
    """Reads a report of a problem.

    Raises:
        Malformed: too long, another format, or a field of a wrong form.
    """
    record = _record(body, PROBLEM_FORMAT)
    nonce, about = _text(record, "nonce"), _text(record, "about")
    if not _NONCE.match(nonce):
        raise Malformed("nonce: 1 to 64 characters")
    if about not in PROBLEMS:
        raise Malformed(f"about: one of {', '.join(PROBLEMS)}")
    venue = _text(record, "venue")
    return ProblemReport(nonce, about, venue[:64], _text(record, "tap"), _number(record, "ts_ms"))


def _record(body: bytes, form: str) -> Mapping[str, Value]:
    if len(body) > REPORT_BYTES_MAX:
        raise Malformed(f"a report has at most {REPORT_BYTES_MAX} bytes")
    try:
        record = canonical.decode(body)
    except NotCanonical as error:
        raise Malformed(f"the report is not canonical JSON: {error}") from None
    if record.get("format") != form:
        raise Malformed(f"this is not a {form}")
    return record


def _number(record: Mapping[str, Value], name: str) -> int:
    value = record.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= INTEGER_MAX:
        raise Malformed(f"{name}: a whole number from 0")
    return value


def _text(record: Mapping[str, Value], name: str) -> str:
    return _checked(record.get(name, ""), name)


def _checked(value: object, name: str) -> str:
    if not isinstance(value, str) or not _WORD.match(value):
        raise Malformed(f"{name}: at most 128 characters")
    return value
