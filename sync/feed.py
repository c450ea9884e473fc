"""What the server signs for one terminal alone: judgements, and its feed.

Both are signed notes whose text begins with ``redcard-judgements/v1`` or ``redcard-feed/v1``,
followed by ``origin``, ``after``, ``upto``, ``last``, ``signed_ms`` and one canonical JSON object a
line. Numbers never decrease; a page says how far it reaches and how far the server is. Signing and
opening are the caller's (``ledger.log.note``): this module is pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final, TypeAlias

from ledger.entry import Value
from ledger.errors import NotCanonical
from ledger.log import canonical
from sync.errors import Malformed
from sync.protocol import PAGE_BYTES_MAX, RECORDS_PER_PAGE_MAX, integer

Record: TypeAlias = Mapping[str, Value]

_HEAD: Final = re.compile(
    r"redcard-(judgements|feed)/v1\n"
    r"origin ([!-~]{1,255})\n"
    r"after ([0-9]{1,16})\nupto ([0-9]{1,16})\nlast ([0-9]{1,16})\nsigned_ms ([0-9]{1,16})\n"
)
_WORD: Final = re.compile(r"[a-z0-9_]{1,64}\Z")


@unique
class Verdict(StrEnum):
    """What the server's projection holds of an entry."""

    ACCEPTED = "accepted"
    ACCEPTED_FLAGGED = "accepted_flagged"
    DUPLICATE = "duplicate"
    UNUSABLE = "unusable"


@unique
class Reason(StrEnum):
    """Why an entry is flagged."""

    OVER_MEMBER_LIMIT = "over_member_limit"
    STALE_STATUS = "stale_status"
    CLOCK_SKEW = "clock_skew"
    LEASE_EXPIRED = "lease_expired"
    AFTER_REVOCATION = "after_revocation"
    OFFER_WITHDRAWN = "offer_withdrawn"
    ORIGINAL_MISSING = "original_missing"
    OVERSOLD = "oversold"


@dataclass(frozen=True, slots=True)
class Judgement:
    """One verdict on one entry; of several, the one with the newest revision holds.

    Attributes:
        seq: the entry.
        revision: number of this judgement in the ledger's stream of judgements, from 1.
        verdict: an unknown word of a newer server is kept.
        reasons: sorted; unknown ones are kept.
        nonce: the entry's nonce, empty if it has none.
        counterpart: ``<ledger id>/<seq>`` of the entry it conflicts with, empty if none.
    """

    seq: int
    revision: int
    verdict: str
    reasons: tuple[str, ...] = ()
    nonce: str = ""
    counterpart: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of numbered records of one ledger.

    Attributes:
        kind: ``judgements`` or ``feed``.
        origin: the ledger's origin.
        after: number after which the page begins, as asked.
        upto: highest number that the page covers; ask again after this one.
        last: highest number that the server has; more is to come while ``upto < last``.
        signed_ms: server time at which it was signed.
        records: in ascending order of their number.
    """

    kind: str
    origin: str
    after: int
    upto: int
    last: int
    signed_ms: int
    records: tuple[Record, ...]


_NUMBER: Final = {"judgements": "revision", "feed": "number"}


def encode_page(page: Page) -> str:
    """Returns the text to sign.

    Raises:
        Malformed: the page contradicts itself or a limit.
    """
    _check(page)
    head = (
        f"redcard-{page.kind}/v1\norigin {page.origin}\nafter {page.after}\nupto {page.upto}\n"
        f"last {page.last}\nsigned_ms {page.signed_ms}\n"
    )
    try:
        lines = [canonical.encode(record).decode("utf-8") + "\n" for record in page.records]
    except NotCanonical as error:
        raise Malformed(f"a record cannot be written: {error}") from None
    text = head + "".join(lines)
    if len(text.encode("utf-8")) > PAGE_BYTES_MAX:
        raise Malformed(f"a page has at most {PAGE_BYTES_MAX} bytes; put fewer records in it")
    return text


def decode_page(text: str) -> Page:
    """Reads the text of an opened note; ``encode_page`` of the result is ``text`` again.

    Raises:
        Malformed: not one page within the limits.
    """
    if len(text) > PAGE_BYTES_MAX:
        raise Malformed(f"a page has at most {PAGE_BYTES_MAX} bytes")
    head = _HEAD.match(text)
    if head is None:
        raise Malformed("a page begins with the lines of redcard-judgements/v1 or redcard-feed/v1")
    after, upto, last, signed_ms = (
        integer(head.group(index), name)
        for index, name in ((3, "after"), (4, "upto"), (5, "last"), (6, "signed_ms"))
    )
    lines = text[head.end() :].split("\n")
    if lines[-1] or len(lines) - 1 > RECORDS_PER_PAGE_MAX:
        raise Malformed(f"a page holds at most {RECORDS_PER_PAGE_MAX} whole lines")
    try:
        records = tuple(canonical.decode(line.encode("utf-8")) for line in lines[:-1])
    except (NotCanonical, UnicodeEncodeError) as error:
        raise Malformed(f"a record is not canonical JSON: {error}") from None
    page = Page(head.group(1), head.group(2), after, upto, last, signed_ms, records)
    _check(page)
    return page


def _check(page: Page) -> None:
    name = _NUMBER[page.kind]
    if not page.after <= page.upto <= page.last:
        raise Malformed("a page's numbers must be in the order after, upto, last")
    if len(page.records) > RECORDS_PER_PAGE_MAX:
        raise Malformed(f"a page holds at most {RECORDS_PER_PAGE_MAX} records")
    previous = page.after
    for record in page.records:
        number = record.get(name)
        if type(number) is not int or not previous < number <= page.upto:
            raise Malformed(f"{name} must rise from after to upto, not be {number!r}")
        previous = number


def judgement_record(judgement: Judgement) -> Record:
    """The record of one judgement, as it stands in a page."""
    record: dict[str, Value] = {
        "seq": judgement.seq,
        "revision": judgement.revision,
        "verdict": judgement.verdict,
    }
    if judgement.reasons:
        record["reasons"] = sorted(judgement.reasons)
    if judgement.nonce:
        record["nonce"] = judgement.nonce
    if judgement.counterpart:
        record["counterpart"] = judgement.counterpart
    return record


def read_judgement(record: Record) -> Judgement:
    """Reads the record of one judgement; unknown fields are ignored.

    Raises:
        Malformed: a field is missing or of the wrong type.
    """
    seq, revision, verdict = record.get("seq"), record.get("revision"), record.get("verdict")
    if type(seq) is not int or type(revision) is not int or seq < 0 or revision < 1:
        raise Malformed("a judgement needs seq and revision")
    if not isinstance(verdict, str) or not _WORD.match(verdict):
        raise Malformed("a judgement needs a verdict, one word of a-z, 0-9 and _")
    nonce, counterpart = record.get("nonce", ""), record.get("counterpart", "")
    if not isinstance(nonce, str) or not isinstance(counterpart, str):
        raise Malformed("nonce and counterpart of a judgement are texts")
    return Judgement(
        seq, revision, verdict, _words(record.get("reasons", ()), "reasons"), nonce, counterpart
    )


def _words(value: Value, name: str) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise Malformed(f"{name} must be an array of words")
    words = tuple(item for item in value if isinstance(item, str) and _WORD.match(item))
    if len(words) != len(value):
        raise Malformed(f"{name} must be an array of words of a-z, 0-9 and _")
    return words
