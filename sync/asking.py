"""What a terminal asks the server while a card lies on the reader, and what the server answers.

Two questions, each one object of the restricted canonical JSON of entries: a hold for an ``online``
offer, bound to the nonce of the tap, and more units of a leased stock. Both are sent as the body of
a signed POST. The answer is a signed note of the server's feed key that names the question by its
SHA-256, so that no answer can be taken for another's. Signing and opening are the caller's
(``ledger.log.note``): this module is pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from hashlib import sha256
from typing import Final

from ledger.entry import Value
from ledger.errors import NotCanonical
from ledger.log import canonical
from sync.errors import Malformed
from sync.protocol import INTEGER_MAX

HOLD_FORMAT: Final = "redcard-hold/v1"
LEASE_FORMAT: Final = "redcard-lease/v1"
ANSWER_FORMAT: Final = "redcard-answer/v1"
#: As long as an entry may be: a question holds less.
QUESTION_BYTES_MAX: Final = 4_096
ANSWER_BYTES_MAX: Final = 16_384
QUESTION_MEDIA_TYPE: Final = "application/vnd.redcard.question"

_CARD: Final = re.compile(r"[a-z2-7]{26}\Z")
_NAME: Final = re.compile(r"[!-~]{1,64}\Z")
_NAME_OR_NONE: Final = re.compile(r"[!-~]{0,64}\Z")
_NONCE: Final = re.compile(r"[^\x00-\x1f\x7f]{1,64}\Z")
_ORIGIN: Final = re.compile(r"[!-~]{1,255}\Z")
_CODE: Final = re.compile(r"(?:[A-Z][0-9]{2})?\Z")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}\Z")
_UNITS_MAX: Final = 2**31 - 1


@unique
class Word(StrEnum):
    """The answer in one word: the first two to a hold, the others to a lease."""

    HELD = "held"
    REFUSED = "refused"
    GRANTED = "granted"
    POOL_EMPTY = "pool_empty"
    VENUE_EMPTY = "venue_empty"


_HOLD_WORDS: Final = frozenset({Word.HELD, Word.REFUSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldQuestion:
    """May this card have this offer under this nonce?

    The nonce is bound to (card, offer, quantity, companions, agent), as in the ledger: another
    question with the same content gets the same answer.

    Attributes:
        nonce: of the tap.
        card: card hash.
        offer: offer id.
        offer_version: the version that the terminal decides by; the server's own one rules.
        quantity: units.
        companions: persons who come along.
        venue: where.
        agent: card hash of the proxy collector, or empty.
        assurance: how the card was read, as in entries.
        supervisor: the proven supervisor who overrides, or empty.
        reason: the reason code of the override, or empty.
        ts_ms: the terminal's time, milliseconds.
    """

    nonce: str
    card: str
    offer: str
    offer_version: int
    quantity: int
    companions: int
    venue: str
    ts_ms: int
    agent: str = ""
    assurance: str = "authenticated"
    supervisor: str = ""
    reason: str = ""

    def content(self) -> bytes:
        """SHA-256 of what the nonce is bound to."""
        bound: dict[str, Value] = {
            "agent": self.agent,
            "card": self.card,
            "companions": self.companions,
            "offer": self.offer,
            "quantity": self.quantity,
        }
        return sha256(canonical.encode(bound)).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseQuestion:
    """May this terminal have more units of this offer's stock?

    Attributes:
        offer: offer id.
        venue: where they are wanted; with the moment it says from which part of the stock.
        units: units of the tap that waits.
        lease: the open lease that should be filled up, or empty for a new one.
        left: units left on it.
        after: number of the last feed record that the terminal has: a lease granted after it is on
            its way already and is not granted again, so the question may be repeated.
        ts_ms: the terminal's time, milliseconds.
    """

    offer: str
    venue: str
    units: int
    lease: str
    left: int
    after: int
    ts_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The server's word.

    Attributes:
        word: what it is.
        origin: the ledger's origin.
        question: SHA-256 of the question's body, in hexadecimal.
        code: why it was refused, or what the tap is instead (A03); empty otherwise.
        until_ms: of ``held``, when the hold ends; of ``refused``, when it becomes possible, or
            ``None``.
        signed_ms: server time at which it was signed.
    """

    word: Word
    origin: str
    question: str
    signed_ms: int
    code: str = ""
    until_ms: int | None = None


def holds_path(ledger: str) -> str:
    """Path that takes a question for a hold by POST."""
    return f"/v1/logs/{ledger}/holds"


def leases_path(ledger: str) -> str:
    """Path that takes a question for more units of a leased stock by POST."""
    return f"/v1/logs/{ledger}/leases"


def digest(body: bytes) -> str:
    """The name of a question in its answer."""
    return sha256(body).hexdigest()


def encode_hold(question: HoldQuestion) -> bytes:
    """Returns the body of ``POST /v1/logs/{ledger}/holds``.

    Raises:
        Malformed: a field breaks the format.
    """
    _check_hold(question)
    return _encode(
        {
            "format": HOLD_FORMAT,
            "nonce": question.nonce,
            "card": question.card,
            "offer": question.offer,
            "offer_version": question.offer_version,
            "quantity": question.quantity,
            "companions": question.companions,
            "venue": question.venue,
            "agent": question.agent,
            "assurance": question.assurance,
            "supervisor": question.supervisor,
            "reason": question.reason,
            "ts_ms": question.ts_ms,
        }
    )


def decode_hold(body: bytes) -> HoldQuestion:
    """Reads a question for a hold; unknown fields are ignored.

    Raises:
        Malformed: names the field that is missing or wrong.
    """
    fields = _decode(body, HOLD_FORMAT)
    question = HoldQuestion(
        nonce=_text(fields, "nonce"),
        card=_text(fields, "card"),
        offer=_text(fields, "offer"),
        offer_version=_number(fields, "offer_version"),
        quantity=_number(fields, "quantity"),
        companions=_number(fields, "companions"),
        venue=_text(fields, "venue"),
        agent=_text(fields, "agent"),
        assurance=_text(fields, "assurance"),
        supervisor=_text(fields, "supervisor"),
        reason=_text(fields, "reason"),
        ts_ms=_number(fields, "ts_ms"),
    )
    _check_hold(question)
    return question


def encode_lease(question: LeaseQuestion) -> bytes:
    """Returns the body of ``POST /v1/logs/{ledger}/leases``.

    Raises:
        Malformed: a field breaks the format.
    """
    _check_lease(question)
    return _encode(
        {
            "format": LEASE_FORMAT,
            "offer": question.offer,
            "venue": question.venue,
            "units": question.units,
            "lease": question.lease,
            "left": question.left,
            "after": question.after,
            "ts_ms": question.ts_ms,
        }
    )


def decode_lease(body: bytes) -> LeaseQuestion:
    """Reads a question for more units; unknown fields are ignored.

    Raises:
        Malformed: names the field that is missing or wrong.
    """
    fields = _decode(body, LEASE_FORMAT)
    question = LeaseQuestion(
        offer=_text(fields, "offer"),
        venue=_text(fields, "venue"),
        units=_number(fields, "units"),
        lease=_text(fields, "lease"),
        left=_number(fields, "left"),
        after=_number(fields, "after"),
        ts_ms=_number(fields, "ts_ms"),
    )
    _check_lease(question)
    return question


def encode_answer(answer: Answer) -> str:
    """Returns the text to sign.

    Raises:
        Malformed: the answer contradicts itself.
    """
    _check_answer(answer)
    record: dict[str, Value] = {
        "answer": answer.word.value,
        "origin": answer.origin,
        "question": answer.question,
        "signed_ms": answer.signed_ms,
    }
    if answer.code:
        record["code"] = answer.code
    if answer.until_ms is not None:
        record["until_ms"] = answer.until_ms
    return f"{ANSWER_FORMAT}\n{canonical.encode(record).decode('utf-8')}\n"


def decode_answer(text: str) -> Answer:
    """Reads the text of an opened note; ``encode_answer`` of the result says the same.

    Raises:
        Malformed: not one answer, or one that contradicts itself.
    """
    head, _, rest = text.partition("\n")
    line, end, more = rest.partition("\n")
    if head != ANSWER_FORMAT or not end or more or len(text) > ANSWER_BYTES_MAX:
        raise Malformed(f"an answer is the line {ANSWER_FORMAT} and one line of canonical JSON")
    try:
        fields = canonical.decode(line.encode("utf-8"))
    except (NotCanonical, UnicodeEncodeError) as error:
        raise Malformed(f"an answer is not canonical JSON: {error}") from None
    word = _text(fields, "answer")
    if word not in set(Word):
        raise Malformed(f"the answer {word[:32]!r} is not known to this version")
    answer = Answer(
        word=Word(word),
        origin=_text(fields, "origin"),
        question=_text(fields, "question"),
        signed_ms=_number(fields, "signed_ms"),
        code=_text(fields, "code") if "code" in fields else "",
        until_ms=_number(fields, "until_ms") if "until_ms" in fields else None,
    )
    _check_answer(answer)
    return answer


def _check_hold(question: HoldQuestion) -> None:
    _match(_NONCE, question.nonce, "nonce: 1 to 64 characters, no control characters")
    _match(_CARD, question.card, "card: 26 characters a-z and 2-7")
    _match(_NAME, question.offer, "offer: an offer id of 1 to 64 characters")
    _match(_NAME, question.venue, "venue: a venue id of 1 to 64 characters")
    _match(_NAME_OR_NONE, question.agent, "agent: a card hash, or empty")
    _match(_NAME, question.assurance, "assurance: a word as in entries")
    _match(_NAME_OR_NONE, question.supervisor, "supervisor: at most 64 characters")
    _match(_NAME_OR_NONE, question.reason, "reason: at most 64 characters")
    _within(question.offer_version, 0, _UNITS_MAX, "offer_version")
    _within(question.quantity, 1, _UNITS_MAX, "quantity")
    _within(question.companions, 0, _UNITS_MAX, "companions")
    _within(question.ts_ms, 0, INTEGER_MAX, "ts_ms")


def _check_lease(question: LeaseQuestion) -> None:
    _match(_NAME, question.offer, "offer: an offer id of 1 to 64 characters")
    _match(_NAME, question.venue, "venue: a venue id of 1 to 64 characters")
    _match(_NAME_OR_NONE, question.lease, "lease: a lease id, or empty")
    _within(question.units, 1, _UNITS_MAX, "units")
    _within(question.left, 0, _UNITS_MAX, "left")
    _within(question.after, 0, INTEGER_MAX, "after")
    _within(question.ts_ms, 0, INTEGER_MAX, "ts_ms")


def _check_answer(answer: Answer) -> None:
    _match(_ORIGIN, answer.origin, "origin: at most 255 printable characters")
    _match(_DIGEST, answer.question, "question: SHA-256 in hexadecimal")
    _match(_CODE, answer.code, "code: a letter and two digits")
    _within(answer.signed_ms, 0, INTEGER_MAX, "signed_ms")
    if (answer.word is Word.REFUSED) != bool(answer.code):
        raise Malformed("code: a refusal names one, and nothing else does")
    if answer.word is Word.HELD and answer.until_ms is None:
        raise Malformed("until_ms: a hold says when it ends")
    if answer.until_ms is not None:
        if answer.word not in _HOLD_WORDS:
            raise Malformed("until_ms: only of a hold or its refusal")
        _within(answer.until_ms, 0, INTEGER_MAX, "until_ms")


def _match(pattern: re.Pattern[str], text: str, what: str) -> None:
    if not pattern.match(text):
        raise Malformed(what)


def _within(number: int, least: int, most: int, name: str) -> None:
    if not least <= number <= most:
        raise Malformed(f"{name}: from {least} to {most}")


def _encode(record: dict[str, Value]) -> bytes:
    try:
        body = canonical.encode(record)
    except NotCanonical as error:
        raise Malformed(f"a question cannot be written: {error}") from None
    if len(body) > QUESTION_BYTES_MAX:
        raise Malformed(f"a question has at most {QUESTION_BYTES_MAX} bytes")
    return body


def _decode(body: bytes, form: str) -> Mapping[str, Value]:
    if len(body) > QUESTION_BYTES_MAX:
        raise Malformed(f"a question has at most {QUESTION_BYTES_MAX} bytes; nothing was done")
    try:
        fields = canonical.decode(body)
    except NotCanonical as error:
        raise Malformed(f"a question is one line of canonical JSON: {error}") from None
    if fields.get("format") != form:
        raise Malformed(f"format: {form}")
    return fields


def _text(fields: Mapping[str, Value], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise Malformed(f"{name}: a text is missing")
    return value


def _number(fields: Mapping[str, Value], name: str) -> int:
    value = fields.get(name)
    if type(value) is not int:
        raise Malformed(f"{name}: an integer is missing")
    return value
