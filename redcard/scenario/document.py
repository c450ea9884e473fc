"""Scenario documents: their YAML, checked key by key, as plain records."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final, TypeVar

from ledger.entry import INTEGER_MAX
from ledger.errors import OfferInvalid
from ledger.rules.catalogue import parse_venue
from ledger.rules.offer import VENUE_ZONE, CardStatus, MemberStatus, Profile, Venue
from redcard.scenario.errors import DocumentInvalid
from redcard.scenario.spelling import milliseconds, offer_fields, seconds
from redcard.scenario.yaml_lines import Plain, Table, load

T = TypeVar("T")
W = TypeVar("W", bound=StrEnum)

SCENARIO_BYTES_MAX: Final = 4 * 1024 * 1024
START_MS: Final = 1_777_597_200_000  # 2026-05-01T09:00:00+08:00

_TOP: Final = frozenset(
    "scenario start timezone venues members cards terminals supervisors offers steps holidays "
    "reservations".split()
)
#: Arguments of each step; ``None`` marks a step that takes a list or a word.
STEPS: Final[Mapping[str, frozenset[str] | None]] = {
    name: frozenset(arguments.split()) if arguments is not None else None
    for name, arguments in {
        "tap": "terminal card cards offer nonce quantity companions evidence agent supervisor "
        "reason simulate reservation",
        "void": "terminal nonce void_nonce supervisor reason",
        "offline": None,
        "online": None,
        "sync": None,
        "pull": None,
        "set": "card member terminal offer recall revoked",
        "clock": "terminal offset",
        "crash": None,
        "lose_answer": None,
        "resend": None,
        "tamper": "terminal nonce field value",
        "restore": "terminal size",
        "clone": "terminal as",
        "export": "terminal file",
        "import": None,
        "drop": "offer members terminals offline_share seed",
        "state": "offer member terminal cases",
        "settle": "offer",
    }.items()
}
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d")
_BESIDE: Final = frozenset({"at", "after", "expect", "expect_min", "expect_max", "name", "note"})


@dataclass(frozen=True, slots=True)
class MemberSpec:
    """A member as the scenario begins."""

    status: MemberStatus = MemberStatus.ACTIVE
    district: str = ""
    street: str = ""
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CardSpec:
    """A card as the scenario begins; ``member`` is a name, or empty for a card of nobody."""

    member: str = ""
    status: CardStatus = CardStatus.ACTIVE
    assurance: str = "authenticated"


@dataclass(frozen=True, slots=True)
class TerminalSpec:
    """A terminal as the scenario begins."""

    venue: str
    profile: Profile = Profile.COUNTER
    online: bool = True
    snapshot_max_age_ms: int | None = None
    offline_cap: int | None = None


@dataclass(frozen=True, slots=True)
class ReservationSpec:
    """A reservation that the server signed before the scenario begins."""

    member: str
    offer: str
    venue: str
    from_ms: int
    until_ms: int
    units: int = 1
    terminal: str = ""


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One step: what to do, when, and what to expect of the answer."""

    kind: str
    argument: Plain
    line: int
    at_ms: int | None = None
    after_ms: int = 0
    expect: Plain = None
    expect_min: Plain = None
    expect_max: Plain = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One document. Offers are field mappings in the spelling of an offer file."""

    title: str
    line: int
    start_ms: int
    zone: str
    venues: Mapping[str, Venue]
    members: Mapping[str, MemberSpec]
    cards: Mapping[str, CardSpec]
    terminals: Mapping[str, TerminalSpec]
    supervisors: frozenset[str]
    offers: Mapping[str, Mapping[str, object]]
    reservations: Mapping[str, ReservationSpec] = field(default_factory=dict)
    holidays: frozenset[date] | None = None
    steps: tuple[StepSpec, ...] = ()


def read_scenarios(text: str) -> Iterator[Scenario]:
    """Yields the scenarios of a file.

    Raises:
        DocumentInvalid: with the line; nothing of the file may be played then.
    """
    if len(text) > SCENARIO_BYTES_MAX:
        raise DocumentInvalid(f"a file has at most {SCENARIO_BYTES_MAX} characters", line=1)
    for document in load(text):
        yield _scenario(table(document, "a scenario", 1))


def table(value: Plain, what: str, line: int) -> Table:
    """A mapping; nothing at all counts as an empty one.

    Raises:
        DocumentInvalid: it is something else.
    """
    if value is None:
        return Table(line)
    if not isinstance(value, Table):
        raise DocumentInvalid(f"{what} must be a mapping", line=line)
    return value


def only(source: Table, known: Collection[str], what: str) -> None:
    """Refuses keys that nobody reads, naming key and line."""
    for key in source:
        if key not in known:
            raise DocumentInvalid(f"unknown key {key} in {what}", line=source.line_of(key))


def word(source: Table, key: str, default: str = "") -> str:
    """A text; numbers are taken as they are written."""
    value = source.get(key, default)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise DocumentInvalid(f"{key} must be a text", line=source.line_of(key))
    return str(value)


def names(value: Plain, what: str, line: int) -> list[str]:
    """One name or a list of names."""
    items = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(item, str | int) and not isinstance(item, bool) for item in items):
        raise DocumentInvalid(f"{what} must be a name or a list of names", line=line)
    return [str(item) for item in items]


def _scenario(source: Table) -> Scenario:
    only(source, _TOP, "a scenario")
    zone = word(source, "timezone", VENUE_ZONE)
    start = source.get("start")
    cards, replaced = _cards(_part(source, "cards"))
    steps = source.get("steps")
    if not isinstance(steps, list):
        raise DocumentInvalid("steps must be a list", line=source.line_of("steps"))
    return Scenario(
        title=word(source, "scenario"),
        line=source.line,
        start_ms=START_MS if start is None else milliseconds(start, zone, source.line_of("start")),
        zone=zone,
        venues=_each(_part(source, "venues"), lambda name, one: _venue(name, one, zone)),
        members=_each(_part(source, "members"), _member),
        cards={
            name: CardSpec(card.member, CardStatus.REPLACED, card.assurance)
            if name in replaced
            else card
            for name, card in cards.items()
        },
        terminals=_each(_part(source, "terminals"), _terminal),
        supervisors=frozenset(
            names(source.get("supervisors"), "supervisors", source.line_of("supervisors"))
        ),
        offers=_each(_part(source, "offers"), lambda name, one: offer_fields(name, one, zone)),
        reservations=_each(
            _part(source, "reservations"), lambda name, one: _reservation(name, one, zone)
        ),
        holidays=_holidays(source),
        steps=tuple(_step(step, source, zone) for step in steps),
    )


def _part(source: Table, key: str) -> Table:
    return table(source.get(key), key, source.line_of(key))


def _each(source: Table, read: Callable[[str, Table], T]) -> dict[str, T]:
    return {
        name: read(name, table(value, name, source.line_of(name))) for name, value in source.items()
    }


def _venue(name: str, source: Table, zone: str) -> Venue:
    try:
        return parse_venue({"zone": zone, **source, "id": name})
    except OfferInvalid as fault:
        raise DocumentInvalid(f"venue {name}: {fault}", line=source.line_of(fault.field)) from None


def _choice(kind: type[W], source: Table, key: str, default: W) -> W:
    try:
        return kind(word(source, key, default))
    except ValueError:
        known = ", ".join(str(one) for one in kind)
        raise DocumentInvalid(f"{key} must be one of {known}", line=source.line_of(key)) from None


def _member(name: str, source: Table) -> MemberSpec:
    only(source, {"status", "district", "street", "tags"}, f"the member {name}")
    return MemberSpec(
        status=_choice(MemberStatus, source, "status", MemberStatus.ACTIVE),
        district=word(source, "district"),
        street=word(source, "street"),
        tags=frozenset(names(source.get("tags"), "tags", source.line_of("tags"))),
    )


def _cards(source: Table) -> tuple[dict[str, CardSpec], set[str]]:
    """Cards, and the names of those that another one replaces and that have no own status."""
    cards: dict[str, CardSpec] = {}
    replaced: set[str] = set()
    own: set[str] = set()
    for name, value in source.items():
        one = table(value, name, source.line_of(name))
        only(one, {"member", "status", "replaces", "assurance"}, f"the card {name}")
        cards[name] = CardSpec(
            word(one, "member"),
            _choice(CardStatus, one, "status", CardStatus.ACTIVE),
            word(one, "assurance", "authenticated"),
        )
        replaced.update(names(one.get("replaces"), "replaces", one.line_of("replaces")))
        if "status" in one:
            own.add(name)
    return cards, replaced - own


def _terminal(name: str, source: Table) -> TerminalSpec:
    known = {"venue", "profile", "online", "snapshot_max_age", "offline_cap"}
    only(source, known, f"the terminal {name}")
    age, cap = source.get("snapshot_max_age"), source.get("offline_cap")
    if cap is not None and (isinstance(cap, bool) or not isinstance(cap, int)):
        raise DocumentInvalid("offline_cap must be a number", line=source.line_of("offline_cap"))
    online = source.get("online", True)
    if not isinstance(online, bool):
        raise DocumentInvalid("online must be true or false", line=source.line_of("online"))
    return TerminalSpec(
        venue=word(source, "venue"),
        profile=_choice(Profile, source, "profile", Profile.COUNTER),
        online=online,
        snapshot_max_age_ms=None
        if age is None
        else seconds(age, source.line_of("snapshot_max_age")) * 1000,
        offline_cap=cap,
    )


def _reservation(name: str, source: Table, zone: str) -> ReservationSpec:
    known = {"member", "offer", "venue", "from", "until", "units", "terminal"}
    only(source, known, f"the reservation {name}")
    units = source.get("units", 1)
    if isinstance(units, bool) or not isinstance(units, int):
        raise DocumentInvalid("units must be a number", line=source.line_of("units"))
    return ReservationSpec(
        member=word(source, "member"),
        offer=word(source, "offer"),
        venue=word(source, "venue"),
        from_ms=milliseconds(source["from"], zone, source.line_of("from"))
        if "from" in source
        else 0,
        until_ms=milliseconds(source["until"], zone, source.line_of("until"))
        if "until" in source
        else INTEGER_MAX,
        units=units,
        terminal=word(source, "terminal"),
    )


def _holidays(source: Table) -> frozenset[date] | None:
    if "holidays" not in source:
        return None
    line = source.line_of("holidays")
    try:
        return frozenset(
            date.fromisoformat(day) for day in names(source["holidays"], "holidays", line)
        )
    except ValueError as fault:
        raise DocumentInvalid(f"holidays: {fault}", line=line) from None


def _step(value: Plain, document: Table, zone: str) -> StepSpec:
    source = table(value, "a step", document.line_of("steps"))
    kinds = [key for key in source if key in STEPS]
    for key in source:
        if key not in STEPS and key not in _BESIDE:
            raise DocumentInvalid(f"unknown key {key} in a step", line=source.line_of(key))
    if len(kinds) != 1:
        raise DocumentInvalid("a step does exactly one thing", line=source.line)
    kind = kinds[0]
    argument, known = source[kind], STEPS[kind]
    line = source.line_of(kind)
    if known is not None and kind != "set":
        only(table(argument, kind, line), known, f"the step {kind}")
    at, after = source.get("at"), source.get("after")
    if kind == "crash":
        argument, at = _crash(source, argument, at)
    if kind == "import":
        argument, at = _import(source, argument, at)
    return StepSpec(
        kind=kind,
        argument=argument,
        line=line,
        at_ms=None if at is None else milliseconds(at, zone, source.line_of("at")),
        after_ms=0 if after is None else seconds(after, source.line_of("after")) * 1000,
        expect=source.get("expect"),
        expect_min=source.get("expect_min"),
        expect_max=source.get("expect_max"),
    )


def _import(source: Table, argument: Plain, at: Plain) -> tuple[Plain, Plain]:
    """Where a file is brought is its own ``at``, also when it stands beside the step."""
    found = argument
    if not isinstance(argument, Table):
        found = Table(source.line)
        found["file"] = argument
    assert isinstance(found, Table)
    if isinstance(at, str) and not _TIME.match(at) and "at" not in found:
        found["at"], at = at, None
    only(found, {"at", "terminal", "file"}, "the step import")
    return found, at


def _crash(source: Table, argument: Plain, at: Plain) -> tuple[Plain, Plain]:
    """Where in the tap a crash comes is its own ``at``, also when it stands beside the step."""
    found = argument
    if not isinstance(argument, Table):
        found = Table(source.line)
        found["terminal"] = argument
    assert isinstance(found, Table)
    if isinstance(at, str) and at.endswith("_commit"):
        found["at"], at = at, None
    only(found, {"terminal", "at"}, "the step crash")
    return found, at
