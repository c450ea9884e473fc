"""Terminals: the city as sixteen equal tiles, the list, and one terminal in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from server.configuring import SETTINGS
from server.fleet_desk import TerminalView
from server.pages.office import Office, Visit
from server.pages.places import MAP, code_of, name_of
from server.roles import Right
from sync.admission import LedgerState

ONLINE_MS: Final = 15 * 60 * 1000
ROWS_MAX: Final = 50
_TONES: Final = {"online": "good", "quiet": "calm", "new": "calm", "revoked_retired": "calm"}
_RANK: Final = ("stop", "wait", "good", "calm")


@dataclass(frozen=True, slots=True)
class Seen:
    """A terminal as the pages show it.

    Attributes:
        view: what the fleet desk knows.
        venue: name of its venue.
        district: code of its district.
        state: ``online``, ``quiet``, ``new``, ``silent``, a worry, or the ledger's own state.
    """

    view: TerminalView
    venue: str
    district: str
    state: str

    @property
    def tone(self) -> str:
        """How urgent its state is: good, wait, stop or calm."""
        return _TONES.get(self.state, "wait" if self.state.startswith("worry_") else "stop")

    @property
    def name(self) -> str:
        """What people call it."""
        return self.view.name or self.view.terminal


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
    office.act("/terminals/{ledger}", Right.FLEET_CHANGE, _act)


async def seen_of(visit: Visit) -> list[Seen]:
    """All terminals within the visitor's place, those that need a look first."""
    published = await visit.core.published()
    found = []
    for view in await visit.core.fleet_desk.all(visit.actor):
        venue = published.venues.get(view.venue)
        name = venue.name if venue is not None else view.venue
        found.append(Seen(view, name, code_of(view.district), state_of(view, visit.now_ms)))
    return sorted(found, key=lambda one: (_RANK.index(one.tone), one.view.terminal))


def state_of(view: TerminalView, now_ms: int) -> str:
    """In one word how a terminal stands."""
    if view.state != LedgerState.OK:
        return view.state
    if view.last_seen_ms is None:
        return "new"
    if "silent" in view.worries:
        return "silent"
    if view.worries:
        return f"worry_{view.worries[0]}"
    return "online" if now_ms - view.last_seen_ms < ONLINE_MS else "quiet"


async def _list(visit: Visit) -> Response:
    fleet = await seen_of(visit)
    district, state = visit.query("district"), visit.query("state")
    words = visit.query("q").lower()
    shown = [
        one
        for one in fleet
        if (not district or one.district == district)
        and (not state or one.state == state)
        and (not words or words in f"{one.view.terminal} {one.name} {one.venue}".lower())
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
    one = next((seen for seen in await seen_of(visit) if seen.view.ledger == ledger), None)
    if one is None:
        raise HTTPException(404)
    origin, _keys = await visit.core.origin_of(ledger)
    return visit.draw(
        "terminal.html",
        one=one,
        origin=origin,
        readers=[reader.split("|") for reader in one.view.readers],
        settings=SETTINGS,
        configurations=await visit.core.configurations.all(visit.actor, terminal=one.view.terminal),
        may_change=visit.actor.may(Right.FLEET_CHANGE),
    )


async def _act(visit: Visit) -> Response:
    ledger, form, core = visit.path("ledger"), visit.form, visit.core
    one = next((seen for seen in await seen_of(visit) if seen.view.ledger == ledger), None)
    if one is None:
        raise HTTPException(404)
    here = f"/terminals/{ledger}"
    match form.get("act"):
        case "configure":
            wanted = {name: int(form[name]) for name in SETTINGS if form.get(name, "").isdecimal()}
            await core.configurations.set(visit.actor, wanted, terminal=one.view.terminal)
            return visit.go(here, "configured")
        case "roll_back":
            number = form.get("version", "")
            version = int(number) if number.isdecimal() else 0
            await core.configurations.roll_back(visit.actor, version, terminal=one.view.terminal)
            return visit.go(here, "configured")
        case "revoke":
            await core.revoke(ledger, form.get("reason", ""))
            return visit.go(here, "revoked")
    raise HTTPException(400)
