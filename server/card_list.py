"""Lists of cards and members as files: by keyed hash, never by number.

A file names each card by its card hash, made at the bank or by ``redcard server hash-cards``
inside the federation. What looks like a card number is refused with its line, and the whole file
with it. A row that is faulty in another way is left out and told; it stops nothing else.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from keys.derivation import card_hash
from ledger.rules.offer import CardStatus, MemberStatus
from server.errors import ImportRefused
from sync.errors import RosterInvalid
from sync.roster import RosterEntry, card_bytes

COLUMNS: Final = ("card", "member", "status", "district", "street", "tags", "last4")
FILE_BYTES_MAX: Final = 1 << 30
FAULTS_TOLD_MAX: Final = 100
#: What a roster can say of a card; the rest is what a reader finds.
CARD_STATUSES: Final = tuple(
    status.value
    for status in CardStatus
    if status.name in {"ACTIVE", "BLOCKED", "REPLACED", "EXPIRED", "NOT_ACTIVE"}
)
_MEMBER: Final = re.compile(r"[0-9a-f]{16}\Z")
_LAST4: Final = re.compile(r"([0-9]{4})?\Z")
_PLACE: Final = re.compile(r"[^\x00-\x1f\x7f]{0,64}\Z")
_NUMBER: Final = re.compile(r"[0-9][0-9 -]{10,24}[0-9]")


@dataclass(frozen=True, slots=True)
class Membership:
    """One row: a card and the member it belongs to.

    Attributes:
        card: card hash.
        member: member reference, empty for a card that is nobody's yet.
        status: of the card.
        district: of the member.
        street: of the member.
        tags: of the member.
        last4: last digits of the card, kept at the server only; empty if not given.
        member_status: whether the member may use offers.
        year: membership year for which the member is registered (会籍年度), 0 if not told.
        expires: ``yyyy-mm``, the last month of the card's life, empty if not told; the card's own,
            which has nothing to do with the membership year.
        issued: ``yyyy-mm-dd``, empty if not told.
        replaced_by: card hash of the card that took this one's place, or empty.
    """

    card: str
    member: str
    status: CardStatus = CardStatus.ACTIVE
    district: str = ""
    street: str = ""
    tags: frozenset[str] = frozenset()
    last4: str = ""
    member_status: MemberStatus = MemberStatus.ACTIVE
    year: int = 0
    expires: str = ""
    issued: str = ""
    replaced_by: str = ""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did.

    Attributes:
        rows: rows read.
        cards: cards with a new state.
        members: members with a new state.
        faults: line and what is wrong with it, at most 100.
        faulty: rows left out.
    """

    rows: int
    cards: int
    members: int
    faults: tuple[tuple[int, str], ...] = ()
    faulty: int = 0


@dataclass(slots=True)
class CardList:
    """Rows read from a file, and the faults of those left out, each with its line."""

    rows: list[Membership] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)
    faulty: int = 0


def luhn(digits: str) -> bool:
    """Whether digits end in the check digit of card numbers (ISO/IEC 7812-1, annex B)."""
    total = 0
    for index, letter in enumerate(reversed(digits)):
        value = int(letter) * (2 if index % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def looks_like_number(text: str) -> bool:
    """Whether a text holds what could be a card number: 12 to 19 digits with their check digit."""
    for found in _NUMBER.findall(text):
        digits = re.sub(r"[ -]", "", found)
        if 12 <= len(digits) <= 19 and luhn(digits):
            return True
    return False


def read_rows(text: str) -> CardList:
    """Reads a CSV with a heading; a faulty row is left out and told.

    Raises:
        ImportRefused: no such heading, or a card number stands in the file; with the line.
    """
    reader = csv.DictReader(io.StringIO(text, newline=""))
    heading = [name.strip() for name in reader.fieldnames or []]
    missing = [name for name in ("card", "member") if name not in heading]
    unknown = [name for name in heading if name not in {*COLUMNS, "member_status"}]
    if missing or unknown:
        said = f"column {missing[0]} is missing" if missing else f"column {unknown[0]} is unknown"
        raise ImportRefused(f"{said}; known are {', '.join(COLUMNS)}, member_status", line=1)
    reader.fieldnames = heading
    found = CardList()
    for row in reader:
        line = reader.line_num
        _refuse_numbers(row, line)
        try:
            found.rows.append(_membership(row))
        except ValueError as fault:
            found.faulty += 1
            if len(found.faults) < FAULTS_TOLD_MAX:
                found.faults.append((line, str(fault)))
    return found


def _refuse_numbers(row: Mapping[str | None, Any], line: int) -> None:
    for name, value in row.items():
        for text in value if isinstance(value, list) else [value or ""]:
            # A member reference is random: one in 1,800 is all digits and one in ten of these
            # passes the check. A bank's numbers of this country begin with 62.
            if name == "member" and _MEMBER.match(text) and not text.startswith("62"):
                continue
            if looks_like_number(text):
                raise ImportRefused(
                    "a card number stands here; nothing was imported. Name cards by their hash "
                    "(redcard server hash-cards), and delete this file",
                    line=line,
                )


def _membership(row: Mapping[str | None, Any]) -> Membership:
    if None in row or any(value is None for value in row.values()):
        raise ValueError("the row has not as many fields as the heading")
    fields = {str(name): str(value).strip() for name, value in row.items()}
    try:
        card_bytes(fields["card"])
    except RosterInvalid as error:
        raise ValueError(f"card: {error}") from None
    for name, form, said in (
        ("last4", _LAST4, "four digits or nothing"),
        ("district", _PLACE, "at most 64 characters"),
        ("street", _PLACE, "at most 64 characters"),
    ):
        if not form.match(fields.get(name, "")):
            raise ValueError(f"{name}: {said}")
    member = fields["member"]
    if member and (not _MEMBER.match(member) or not int(member, 16)):
        raise ValueError("member: 16 digits 0-9 and a-f, not all 0, or nothing")
    status = fields.get("status") or CardStatus.ACTIVE.value
    if status not in CARD_STATUSES:
        raise ValueError(f"status: {', '.join(CARD_STATUSES)}")
    standing = fields.get("member_status") or MemberStatus.ACTIVE.value
    if standing not in set(MemberStatus):
        raise ValueError(f"member_status: {', '.join(MemberStatus)}")
    return Membership(
        card=fields["card"],
        member=fields["member"],
        status=CardStatus(status),
        district=fields.get("district", ""),
        street=fields.get("street", ""),
        tags=frozenset(fields.get("tags", "").split()),
        last4=fields.get("last4", ""),
        member_status=MemberStatus(standing),
    )


def roster_records(rows: Sequence[Membership]) -> Iterator[tuple[str, RosterEntry]]:
    """The rows as a roster holds them, in its order."""
    for row in sorted(rows, key=lambda one: card_bytes(one.card)):
        yield (
            row.card,
            RosterEntry(
                status=row.status.value,
                member=row.member,
                suspended=row.member_status is MemberStatus.SUSPENDED,
                district=row.district,
                street=row.street,
                tags=tuple(sorted(row.tags)),
            ),
        )


def hash_numbers(text: str, mac: Callable[[bytes], bytes]) -> Iterator[list[str]]:
    """The tool for inside the federation: card numbers of a CSV become card hashes.

    The column ``number`` is replaced by ``card`` and ``last4``; other columns stay.

    Raises:
        ImportRefused: no column ``number``, or one that is no number; with its line and not the
            number itself.
    """
    reader = csv.DictReader(io.StringIO(text, newline=""))
    heading = list(reader.fieldnames or [])
    if "number" not in heading:
        raise ImportRefused("column number is missing", line=1)
    others = [name for name in heading if name != "number"]
    yield ["card", "last4", *others]
    for row in reader:
        digits = re.sub(r"[ -]", "", row["number"] or "")
        if not digits.isascii() or not digits.isdigit() or not 12 <= len(digits) <= 19:
            raise ImportRefused("number: 12 to 19 digits", line=reader.line_num)
        card = card_hash(mac, "unionpay", digits.encode("ascii"))
        yield [card, digits[-4:], *(row[name] or "" for name in others)]
