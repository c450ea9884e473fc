"""Lists of cards and members as files: by keyed hash, never by number.

A file names each card by its card hash, made at the bank or by ``redcard server hash-cards``
inside the federation. What looks like a card number is refused with its line, and the whole file
with it. A row that is faulty in another way is left out and told; it stops nothing else.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from keys.derivation import card_hash
from ledger.rules.offer import CardStatus, MemberStatus
from server.errors import ImportRefused
from sync.roster import RosterEntry, card_bytes

COLUMNS: Final = (
    "card",
    "member",
    "status",
    "district",
    "street",
    "tags",
    "last4",
    "member_status",
    "year",
    "expires",
    "issued",
    "replaced_by",
)
FILE_BYTES_MAX: Final = 4 << 30
FAULTS_TOLD_MAX: Final = 100
#: What a roster can say of a card; the rest is what a reader finds.
CARD_STATUSES: Final = tuple(
    status.value
    for status in CardStatus
    if status.name in {"ACTIVE", "BLOCKED", "REPLACED", "EXPIRED", "NOT_ACTIVE"}
)
_MEMBER: Final = re.compile(r"[0-9a-f]{16}\Z")
_LAST4: Final = re.compile(r"([0-9]{4})?\Z")
_CARD: Final = re.compile(r"[a-z2-7]{25}[aeimquy4]\Z", re.ASCII)
_DAY: Final = re.compile(r"([0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]))?\Z", re.ASCII)
_MONTH: Final = re.compile(r"(20[0-9]{2}-(0[1-9]|1[0-2]))?\Z", re.ASCII)
_YEAR: Final = re.compile(r"(20[0-9]{2})?\Z", re.ASCII)
#: Different common parts of rows that are remembered.
_KNOWN_MAX: Final = 100_000
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
    found = CardList()
    found.rows.extend(rows_of(io.StringIO(text, newline=""), found))
    return found


def lines_of(stream: Iterable[bytes]) -> Iterator[str]:
    """Lines of a UTF-8 file, with or without a byte order mark.

    Raises:
        ImportRefused: a line is not UTF-8; with its number.
    """
    for number, line in enumerate(stream, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise ImportRefused("the file is not UTF-8", line=number) from None


def rows_of(lines: Iterable[str], told: CardList) -> Iterator[Membership]:
    """Reads rows one by one, so that millions of them are never in memory together.

    Args:
        lines: of a CSV with a heading.
        told: takes the faults of rows that are left out, and their number.

    Raises:
        ImportRefused: no such heading, or a card number stands in the file; with the line.
    """
    watched = _Watch(lines)
    reader = csv.reader(watched)
    try:
        heading = [name.strip() for name in next(reader, [])]
        _check_heading(heading)
        parser = RowParser(heading)
        for fields in reader:
            if watched.suspicious:
                watched.suspicious = False
                _refuse_numbers(dict(zip(heading, fields, strict=False)), fields, reader.line_num)
            if not fields:
                continue
            try:
                yield parser.parse(fields)
            except ValueError as fault:
                told.faulty += 1
                if len(told.faults) < FAULTS_TOLD_MAX:
                    told.faults.append((reader.line_num, str(fault)))
    except csv.Error as error:
        raise ImportRefused(f"not a CSV: {error}", line=reader.line_num) from None


class _Watch:
    """Passes lines on and notes those that could hold a card number."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.suspicious = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        if _NUMBER.search(line):
            self.suspicious = True
        return line


def _check_heading(heading: Sequence[str]) -> None:
    missing = [name for name in ("card", "member") if name not in heading]
    unknown = [name for name in heading if name not in COLUMNS]
    twice = [name for name in heading if heading.count(name) > 1]
    if missing or unknown or twice:
        said = (
            f"column {missing[0]} is missing"
            if missing
            else f"column {(unknown or twice)[0]} is {'unknown' if unknown else 'there twice'}"
        )
        raise ImportRefused(f"{said}; known are {', '.join(COLUMNS)}", line=1)


def _refuse_numbers(named: Mapping[str, str], fields: Sequence[str], line: int) -> None:
    for index, text in enumerate(fields):
        # A reference or a hash with a letter in it is no card number, whatever digits it holds; of
        # a bank's numbers of this country all begin with 62. References of digits alone that begin
        # so and pass the check are not given out: one in two million would.
        if _CARD.match(text) and not text.isdigit():
            continue
        of_member = index < len(named) and named.get("member") == text
        if of_member and _MEMBER.match(text) and not (text.isdigit() and text.startswith("62")):
            continue
        if looks_like_number(text):
            raise ImportRefused(
                "a card number stands here; nothing was imported. Name cards by their hash "
                "(redcard server hash-cards), and delete this file",
                line=line,
            )


class RowParser:
    """Makes memberships of rows; what many rows have in common is checked once."""

    def __init__(self, heading: Sequence[str]) -> None:
        """Knows the columns by their heading."""
        self._width = len(heading)
        self._at = {name: heading.index(name) for name in heading}
        own = {"card", "member", "last4", "issued", "replaced_by"}
        self._common = [self._at[name] for name in heading if name not in own]
        self._names = [name for name in heading if name not in own]
        self._known: dict[tuple[str, ...], _Common] = {}

    def parse(self, fields: Sequence[str]) -> Membership:
        """One row.

        Raises:
            ValueError: says which column is wrong, and what belongs there.
        """
        if len(fields) != self._width:
            raise ValueError("the row has not as many fields as the heading")
        card, member = self._text(fields, "card"), self._text(fields, "member")
        if not _CARD.match(card):
            raise ValueError("card: a card hash of 16 bytes is 26 characters a-z and 2-7")
        if member and (not _MEMBER.match(member) or not int(member, 16)):
            raise ValueError("member: 16 digits 0-9 and a-f, not all 0, or nothing")
        last4, issued = self._text(fields, "last4"), self._text(fields, "issued")
        if not _LAST4.match(last4):
            raise ValueError("last4: four digits or nothing")
        if not _DAY.match(issued):
            raise ValueError("issued: yyyy-mm-dd or nothing")
        replaced_by = self._text(fields, "replaced_by")
        if replaced_by and not _CARD.match(replaced_by):
            raise ValueError("replaced_by: the hash of the card that took its place, or nothing")
        key = tuple([fields[index] for index in self._common])
        common = self._known.get(key)
        if common is None:
            common = _common(dict(zip(self._names, (one.strip() for one in key), strict=True)))
            if len(self._known) < _KNOWN_MAX:
                self._known[key] = common
        status = common.status
        if replaced_by and status is CardStatus.ACTIVE:
            status = CardStatus.REPLACED
        return Membership(
            card,
            member,
            status,
            common.district,
            common.street,
            common.tags,
            last4,
            common.member_status,
            common.year,
            common.expires,
            issued,
            replaced_by,
        )

    def _text(self, fields: Sequence[str], name: str) -> str:
        index = self._at.get(name)
        return "" if index is None else fields[index].strip()


class _Common(NamedTuple):
    """What many rows have in common."""

    status: CardStatus
    district: str
    street: str
    tags: frozenset[str]
    member_status: MemberStatus
    year: int
    expires: str


def _common(fields: Mapping[str, str]) -> _Common:
    """Checks the columns that many rows share; raises ``ValueError`` naming the wrong one."""
    for name in ("district", "street"):
        if not _PLACE.match(fields.get(name, "")):
            raise ValueError(f"{name}: at most 64 characters")
    status = fields.get("status") or CardStatus.ACTIVE.value
    if status not in CARD_STATUSES:
        raise ValueError(f"status: {', '.join(CARD_STATUSES)}")
    standing = fields.get("member_status") or MemberStatus.ACTIVE.value
    if standing not in set(MemberStatus):
        raise ValueError(f"member_status: {', '.join(MemberStatus)}")
    year = fields.get("year", "")
    if not _YEAR.match(year):
        raise ValueError("year: of membership, yyyy, or nothing")
    expires = fields.get("expires", "")
    if not _MONTH.match(expires):
        raise ValueError("expires: yyyy-mm, the card's last month, or nothing")
    return _Common(
        CardStatus(status),
        fields.get("district", ""),
        fields.get("street", ""),
        frozenset(fields.get("tags", "").split()),
        MemberStatus(standing),
        int(year or 0),
        expires,
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
                expires=month_of(row.expires),
            ),
        )


def month_of(expires: str) -> tuple[int, int] | None:
    """Year and month of ``yyyy-mm``, ``None`` if it is empty."""
    return (int(expires[:4]), int(expires[5:7])) if expires else None


def hash_numbers(lines: Iterable[str], mac: Callable[[bytes], bytes]) -> Iterator[list[str]]:
    """The tool for inside the federation: card numbers of a CSV become card hashes.

    The column ``number`` is replaced by ``card`` and ``last4``; other columns stay.

    Args:
        lines: of the CSV; millions of them are never in memory together.
        mac: HMAC-SHA-256 under the federation's card key.

    Raises:
        ImportRefused: no column ``number``, or one that is no number; with its line and not the
            number itself.
    """
    reader = csv.DictReader(lines)
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
