"""Terminals: the city as sixteen equal tiles, the list, and one terminal in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from server.pages.office import Office, Visit
from server.pages.places import MAP, code_of, name_of
from server.roles import Right
from sync.admission import LedgerState

ONLINE_MS: Final = 15 * 60 * 1000
DAY_MS: Final = 24 * 3600 * 1000
SILENT_MS: Final = 3 * DAY_MS
ROWS_MAX: Final = 50
_TONES: Final = {"online": "good", "quiet": "wait", "new": "calm", "revoked_retired": "calm"}
_RANK: Final = ("stop", "wait", "good", "calm")


@dataclass(frozen=True, slots=True)
class Seen:
    """A terminal as the fleet page shows it.

    Attributes:
        ledger: its ledger.
        terminal: its id.
        name: what people call it.
        venues: names of its venues.
        district: code of the first venue's district.
        state: ``online``, ``quiet``, ``silent``, ``new`` or the ledger's own state.
        size: receipted entries.
        to_judge: entries that wait to be judged.
        seen_ms: last batch, 0 for never.
        version: of the program.
    """

    ledger: str
    terminal: str
    name: str
    venues: tuple[str, ...]
    district: str
    state: str
    size: int
    to_judge: int
    seen_ms: int
    version: str
    profile: str

    @property
    def tone(self) -> str:
        """How urgent its state is: good, wait, stop or calm."""
        return _TONES.get(self.state, "stop")


@dataclass(frozen=True, slots=True)
class Tile:
    """One district or county."""

    code: str
    name: str
    tone: str
    state: str
    online: int
    terminals: int
    venues: int


def mount(office: Office) -> None:
    """Adds the pages."""
    office.page("/terminals", Right.FLEET_VIEW, _list)
    office.page("/terminals/{ledger}", Right.FLEET_VIEW, _one)


async def seen_of(visit: Visit) -> list[Seen]:
    """All terminals within the visitor's place, those that need a look first."""
    published = await visit.core.published()
    found = []
    for row in await visit.core.ledgers():
        places = [
            published.venues[name] for name in row["venues"].split() if name in published.venues
        ]
        district = places[0].district if places else ""
        street = places[0].street if places else ""
        if not visit.actor.may(Right.FLEET_VIEW, district=district, street=street):
            continue
        found.append(
            Seen(
                ledger=row["ledger"],
                terminal=row["terminal"],
                name=row["name"] or row["terminal"],
                venues=tuple(place.name for place in places) or tuple(row["venues"].split()),
                district=code_of(district),
                state=state_of(row, visit.now_ms),
                size=row["size"],
                to_judge=row["to_judge"],
                seen_ms=row["received_ms"] or 0,
                version=row["version"],
                profile=row["profile"],
            )
        )
    return sorted(found, key=lambda one: (_RANK.index(one.tone), one.terminal))


def state_of(row: dict[str, Any], now_ms: int) -> str:
    """In one word how a terminal stands."""
    if row["state"] != LedgerState.OK:
        return str(row["state"])
    if row["received_ms"] is None:
        return "new"
    age_ms = now_ms - row["received_ms"]
    if age_ms < ONLINE_MS:
        return "online"
    return "quiet" if age_ms < SILENT_MS else "silent"


async def _list(visit: Visit) -> Response:
    fleet = await seen_of(visit)
    district, state = visit.query("district"), visit.query("state")
    words = visit.query("q").lower()
    shown = [
        one
        for one in fleet
        if (not district or one.district == district)
        and (not state or one.state == state)
        and (not words or words in f"{one.terminal} {one.name} {' '.join(one.venues)}".lower())
    ]
    first = int(visit.query("from")) if visit.query("from").isdecimal() else 0
    published = await visit.core.published()
    return visit.draw(
        "terminals.html",
        tiles=tiles_of(fleet, [code_of(one.district) for one in published.venues.values()], visit),
        fleet=fleet,
        shown=shown[first : first + ROWS_MAX],
        many=len(shown),
        first=first,
        rows_max=ROWS_MAX,
        district=district,
        district_name=name_of(district, visit.language) if district else "",
        state=state,
        words=visit.query("q"),
        states=sorted({one.state for one in fleet}),
    )


def tiles_of(fleet: Sequence[Seen], venues: Sequence[str], visit: Visit) -> list[list[Tile]]:
    """The city, row by row; a tile is as urgent as its most urgent terminal."""

    def tile(code: str) -> Tile:
        mine = [one for one in fleet if one.district == code]
        worst = min(mine, key=lambda one: _RANK.index(one.tone), default=None)
        return Tile(
            code=code,
            name=visit.gettext(name_of(code, visit.language)),
            tone=worst.tone if worst else "calm",
            state=worst.state if worst else "none",
            online=sum(one.state == "online" for one in mine),
            terminals=len(mine),
            venues=sum(one == code for one in venues),
        )

    return [[tile(code) for code in row] for row in MAP]


async def _one(visit: Visit) -> Response:
    ledger = visit.path("ledger")
    one = next((seen for seen in await seen_of(visit) if seen.ledger == ledger), None)
    origin, _keys = await visit.core.origin_of(ledger)
    if one is None:
        visit.actor.need(Right.FLEET_CHANGE)
    return visit.draw("terminal.html", one=one, origin=origin)
