"""What the demo is made of: a federation with its server, one terminal, and a box of red cards.

All keys here are test keys and are refused outside the demo; the catalogue is that of the
federation's year 2014. A second start finds everything as it was left.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Final

from keys.derivation import card_hash
from keys.passphrase import Argon2Cost
from ledger.rules.offer import CardStatus
from readers.virtual.authority import TestCa
from readers.virtual.card_box import BoxCard, Kind, demo_box
from server.card_list import Membership
from server.core import ServerCore
from server.home import Configuration, ServerHome
from server.pages.door import DEMO_PERSON
from server.pages.offer_form import next_year
from server.roles import CONSOLE_ACTOR
from terminal.clock import Clock

DOMAIN: Final = "demo.redcard.example"
TERMINAL: Final = "desheng-1"
STATION: Final = "S0201"
MUSEUM: Final = "M01"
MUSEUM_OFFER: Final = "BJ-T-005"
PACK_OFFER: Final = "XC-L-009"
ONLINE_OFFER: Final = "BJ-I-022"
#: Units of the coupon pack that the station holds on the morning of the demo.
PACK_LEASE_UNITS: Final = 214
#: The visitor, another member, five at the gate, one in the power cut, and the colleagues.
VISITOR: Final = "good-1"
OTHER: Final = "good-2"
FIVE: Final = tuple(f"good-{number}" for number in range(3, 8))
INTERRUPTED: Final = "good-8"
COLLEAGUES: Final = tuple(f"good-{number}" for number in range(9, 47))
GOOD_CARDS: Final = 46
#: Sign-in name, name, role and place of the demo's people.
PEOPLE: Final = (
    (DEMO_PERSON, "王敏", "federation", ""),
    ("hotline", "孙丽", "hotline", ""),
)
SEED: Final = 20140530
#: Opening the demo's key files must not keep a visitor waiting; real homes take the default cost.
_COST: Final = Argon2Cost(memory_kib=8 * 1024, iterations=1, lanes=1)
_DISTRICT: Final = "110102"

_CONFIGURATION: Final = """\
# The demo's terminal: one machine with two positions. Written anew at each start of the demo.
[terminal]
name = "{terminal}"
server = "{server}"
sync_every = "5s"
demo = true

[[position]]
id = "kiosk"
profile = "kiosk"
venue = "{museum}"
offer = "{offer}"
reader = "{kiosk}"

[[position]]
id = "counter"
profile = "counter"
venue = "{station}"
reader = "{counter}"
"""


@dataclass(frozen=True, slots=True)
class Folders:
    """Where one demo keeps its things."""

    root: Path

    @property
    def server(self) -> Path:
        """The server's home."""
        return self.root / "server"

    @property
    def terminal(self) -> Path:
        """The terminal's home."""
        return self.root / "terminal"

    @property
    def cards(self) -> Path:
        """The test authority's keys, so that a box has the same cards every time."""
        return self.root / "cards"

    def fresh(self) -> bool:
        """Whether nothing was set up here yet."""
        return not (self.terminal / "enrolment.json").exists()


def terminal_configuration(server: str, readers: Sequence[str]) -> str:
    """Text of ``terminal.toml`` for the two positions.

    Args:
        server: address of the server.
        readers: regular expressions of the kiosk's and the counter's reader.
    """
    kiosk, counter = (name.replace("\\", "\\\\") for name in readers)
    return _CONFIGURATION.format(
        terminal=TERMINAL,
        server=server,
        museum=MUSEUM,
        station=STATION,
        offer=MUSEUM_OFFER,
        kiosk=kiosk,
        counter=counter,
    )


def fill_box(folders: Folders, today: date) -> dict[str, BoxCard]:
    """The box of cards, by name; the same on every start."""
    world = TestCa.in_folder(folders.cards)
    return {card.name: card for card in demo_box(world, seed=SEED, today=today, good=GOOD_CARDS)}


def found_federation(
    folders: Folders,
    box: dict[str, BoxCard],
    clock: Clock,
    listen: str,
    say: Callable[[str], None],
) -> str:
    """Makes the server's home and publishes catalogue, roster and card keys.

    Args:
        folders: of this demo; the server's is empty.
        box: the cards, for the member feed.
        clock: the demo clock.
        listen: address and port of the server to be.
        say: told what is being done.

    Returns:
        The one-time code with which the terminal enrols.
    """
    say("server: keys")
    home = ServerHome.create(
        folders.server, Configuration(domain=DOMAIN, listen=listen), cost=_COST
    )
    return asyncio.run(_publish(folders, home, box, clock, say))


async def _publish(
    folders: Folders,
    home: ServerHome,
    box: dict[str, BoxCard],
    clock: Clock,
    say: Callable[[str], None],
) -> str:
    async with await ServerCore.open(home, clock.wall_ms) as core:
        await core.publications.create(home.custodians())
        say("server: venues, offers")
        await core.import_venues(_shipped("venues.json"))
        await core.publish_offers(_with_lease(_shipped("offers.json")))
        say("server: members and cards, CA keys")
        await core.take_members(_feed(box, home))
        await _people(core)
        until = datetime.fromtimestamp(clock.wall_ms() / 1000, UTC) + timedelta(days=365)
        bundle = TestCa.in_folder(folders.cards).bundle(expires=until)
        await core.publish_ca_keys(bundle)
        activation = await core.activation(
            TERMINAL, [STATION, MUSEUM], name="德胜街道工会服务站 1 号机"
        )
    return activation.code


async def _people(core: ServerCore) -> None:
    """Who works at the demo's back office, and an offer that waits there to be reviewed.

    The demo's own page lets its visitor in as the first of them.
    """
    for person, name, role, scope in PEOPLE:
        await core.people.add(CONSOLE_ACTOR, person, name=name, role=role, scope=scope)
    last_year = json.loads(_shipped("offers.json"))[0]
    waiting = next_year(last_year) | {"id": "BJ-C-101", "title": "地坛庙会门票（明年）"}
    await core.drafts.submit(CONSOLE_ACTOR, await core.drafts.write(CONSOLE_ACTOR, waiting))


def _shipped(name: str) -> bytes:
    return (files("redcard") / "demo_data" / name).read_bytes()


def _with_lease(offers: bytes) -> bytes:
    """Gives the demo's station its share of the coupon pack."""
    documents = json.loads(offers)
    for document in documents:
        if document["id"] == PACK_OFFER:
            document["stock"]["leases"] = {TERMINAL: PACK_LEASE_UNITS}
    return json.dumps(documents, ensure_ascii=False).encode()


def _feed(box: dict[str, BoxCard], home: ServerHome) -> list[Membership]:
    """The members of the box as the member system would send them, by card hash."""
    mac = home.card_mac()
    draw = random.Random(SEED)  # noqa: S311 - member references of a demo
    status = {
        Kind.BLOCKED: CardStatus.BLOCKED,
        Kind.REPLACED: CardStatus.REPLACED,
    }
    return [
        Membership(
            card=card_hash(mac, "unionpay", card.identifier),
            member=f"{draw.getrandbits(64):016x}",
            status=status.get(card.kind, CardStatus.ACTIVE),
            district=_DISTRICT,
            street="desheng",
            tags=frozenset({"employed"}),
            last4=card.identifier[-4:].decode(),
        )
        for card in box.values()
        if card.enrolled
    ]
