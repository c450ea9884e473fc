"""A booking by telephone: what the venue's terminal asks the server, and what it is answered.

The caller's name and the last digits of the card go no further than this one signed request: the
terminal keeps neither, the server compares them and keeps the token alone. Asking again for the
same session answers with the same token. This module is pure; signing is the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ledger.entry import Value
from ledger.errors import NotCanonical
from ledger.log import canonical
from sync.asking import QUESTION_BYTES_MAX
from sync.errors import Malformed
from sync.protocol import INTEGER_MAX

QUESTION_FORMAT: Final = "redcard-booking/v1"
ANSWER_FORMAT: Final = "redcard-booked/v1"
TEXT_CHARACTERS_MAX: Final = 64
FAULT_CHARACTERS_MAX: Final = 512
UNITS_MAX: Final = 1_000
#: Why a booking cannot be, for a page that says it in its own words.
CAUSES: Final = ("no_card", "several_cards", "no_session", "too_late", "full")


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingQuestion:
    """May this caller have this session?

    Attributes:
        session: its beginning in the venue's time, ISO 8601.
        last4: last four digits of the card.
        name: only compared, where several cards end alike; may be empty.
        ts_ms: the terminal's time, milliseconds.
    """

    offer: str
    venue: str
    session: str
    last4: str
    ts_ms: int
    name: str = ""
    units: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingAnswer:
    """The server's word: a reservation, or why there is none and what to do.

    Attributes:
        origin: the ledger's origin.
        question: SHA-256 of the question's body, in hexadecimal.
        reservation: of the token, which comes by the feed; empty for a refusal.
        fault: why not, one sentence; empty when it was booked.
        cause: the same as one word of ``CAUSES``; empty for any other, and from older servers.
    """

    origin: str
    question: str
    signed_ms: int
    reservation: str = ""
    from_ms: int = 0
    until_ms: int = 0
    fault: str = ""
    cause: str = ""


def bookings_path(ledger: str) -> str:
    """Path that takes a booking by POST."""
    return f"/v1/logs/{ledger}/bookings"


def encode_booking(question: BookingQuestion) -> bytes:
    """Returns the body of ``POST /v1/logs/{ledger}/bookings``.

    Raises:
        Malformed: a field breaks the format.
    """
    _check(question)
    record: dict[str, Value] = {
        "format": QUESTION_FORMAT,
        "offer": question.offer,
        "venue": question.venue,
        "session": question.session,
        "last4": question.last4,
        "name": question.name,
        "units": question.units,
        "ts_ms": question.ts_ms,
    }
    return canonical.encode(record)


def decode_booking(body: bytes) -> BookingQuestion:
    """Reads a question; unknown fields are ignored.

    Raises:
        Malformed: names the field that is missing or wrong.
    """
    if len(body) > QUESTION_BYTES_MAX:
        raise Malformed(f"a question has at most {QUESTION_BYTES_MAX} bytes; nothing was done")
    fields = _decoded(body)
    if fields.get("format") != QUESTION_FORMAT:
        raise Malformed(f"format: {QUESTION_FORMAT}")
    question = BookingQuestion(
        offer=_text(fields, "offer"),
        venue=_text(fields, "venue"),
        session=_text(fields, "session"),
        last4=_text(fields, "last4"),
        name=_text(fields, "name"),
        units=_number(fields, "units"),
        ts_ms=_number(fields, "ts_ms"),
    )
    _check(question)
    return question


def encode_booked(answer: BookingAnswer) -> str:
    """Returns the text to sign."""
    record: dict[str, Value] = {
        "origin": answer.origin,
        "question": answer.question,
        "signed_ms": answer.signed_ms,
        "reservation": answer.reservation,
        "from_ms": answer.from_ms,
        "until_ms": answer.until_ms,
        "fault": answer.fault[:FAULT_CHARACTERS_MAX],
    }
    if answer.cause:
        record["cause"] = answer.cause
    return f"{ANSWER_FORMAT}\n{canonical.encode(record).decode('utf-8')}\n"


def decode_booked(text: str) -> BookingAnswer:
    """Reads the text of an opened note.

    Raises:
        Malformed: not one answer.
    """
    head, _, rest = text.partition("\n")
    line, end, more = rest.partition("\n")
    if head != ANSWER_FORMAT or not end or more:
        raise Malformed(f"an answer is the line {ANSWER_FORMAT} and one line of canonical JSON")
    try:
        fields = _decoded(line.encode("utf-8"))
    except UnicodeEncodeError:
        raise Malformed("an answer is UTF-8") from None
    answer = BookingAnswer(
        origin=_text(fields, "origin"),
        question=_text(fields, "question"),
        signed_ms=_number(fields, "signed_ms"),
        reservation=_text(fields, "reservation"),
        from_ms=_number(fields, "from_ms"),
        until_ms=_number(fields, "until_ms"),
        fault=_text(fields, "fault"),
        cause=_cause(fields.get("cause", "")),
    )
    if bool(answer.reservation) == bool(answer.fault):
        raise Malformed("an answer is a reservation or a fault")
    return answer


def _cause(value: Value) -> str:
    # A newer server may know more causes: the sentence says them all the same.
    return value if isinstance(value, str) and value in CAUSES else ""


def _check(question: BookingQuestion) -> None:
    for name in ("offer", "venue", "session", "last4", "name"):
        text = getattr(question, name)
        if len(text) > TEXT_CHARACTERS_MAX or not (text.isprintable() or not text):
            raise Malformed(f"{name}: at most {TEXT_CHARACTERS_MAX} printable characters")
        if not text and name != "name":
            raise Malformed(f"{name}: is missing")
    if not 1 <= question.units <= UNITS_MAX or not 0 <= question.ts_ms <= INTEGER_MAX:
        raise Malformed("units and ts_ms: whole numbers within their bounds")


def _decoded(line: bytes) -> Mapping[str, Value]:
    try:
        return canonical.decode(line)
    except NotCanonical as error:
        raise Malformed(f"one line of canonical JSON: {error}") from None


def _text(fields: Mapping[str, Value], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise Malformed(f"{name}: a text")
    return value


def _number(fields: Mapping[str, Value], name: str) -> int:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Malformed(f"{name}: a whole number")
    return value
