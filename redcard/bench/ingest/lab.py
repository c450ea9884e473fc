"""What the rounds of the bench share: PostgreSQL, a server's home, offers and members."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from keys.passphrase import Argon2Cost
from redcard.bench.ingest.load import Fleet, Post
from redcard.bench.ingest.worker import NOW_MS
from redcard.bench.postgres import Cluster, cluster
from server.card_list import Membership
from server.core import ServerCore
from server.home import Configuration, ServerHome
from server.members import take_rows

T = TypeVar("T")

DOMAIN: Final = "bench.redcard.example"
#: Offer decided at the server, once for each member, as a ticket is redeemed once.
ONLINE_OFFER: Final = "BENCH-ONLINE"
_VENUES: Final = [{"id": "M01", "name": "Bench", "district": "东城区", "level": "city"}]
_YEARS: Final = {"from": "2014-01-01T00:00:00+08:00", "until": "2100-01-01T00:00:00+08:00"}
_OFFERS: Final[list[dict[str, Any]]] = [
    {
        "id": "BJ-T-005",
        "version": 3,
        "kind": "entry",
        "limits": [{"count": 1, "per": "day"}],
        "offline": "open",
        **_YEARS,
    },
    {
        "id": ONLINE_OFFER,
        "kind": "ticket",
        "limits": [{"count": 1, "per": "offer"}],
        "offline": "online",
        **_YEARS,
    },
]


@dataclass(frozen=True, slots=True)
class Lab:
    """A PostgreSQL and a server's home.

    Attributes:
        postgres: the cluster.
        home: the server's folder; its keys are for the bench alone.
    """

    postgres: Cluster
    home: Path

    def at(self, url: str, work: Callable[[ServerCore], Awaitable[T]]) -> T:
        """Does some work with a server of this process, between rounds."""

        async def whole() -> T:
            async with await ServerCore.open(self.home, lambda: NOW_MS, database_url=url) as core:
                return await work(core)

        return asyncio.run(whole())

    def database(self) -> str:
        """A new database with offers and venues; returns its URL."""
        url = self.postgres.database()

        async def furnish(core: ServerCore) -> None:
            await core.import_venues(json.dumps(_VENUES).encode())
            await core.publish_offers(json.dumps(_OFFERS).encode())

        self.at(url, furnish)
        return url

    def enrol(self, url: str, fleet: Fleet) -> None:
        """Enrols terminals."""
        self.at(url, lambda core: fleet.enrol(core.database))

    def know(self, url: str, posts: Sequence[Post]) -> None:
        """Makes the cards and members of some entries known."""
        taps = [json.loads(entry) for post in posts for entry in post.entries]

        async def take(core: ServerCore) -> None:
            rows = [Membership(tap["card"], tap["member"], district="东城区") for tap in taps]
            async with core.database.writing() as connection:
                await take_rows(connection, rows, 0)

        self.at(url, take)


@contextmanager
def lab(place: Path) -> Iterator[Lab]:
    """Makes everything in a folder; it is gone at the end.

    Raises:
        DatabaseFault: there is no PostgreSQL here.
    """
    home = place / "server"
    made = ServerHome.create(
        home, Configuration(DOMAIN), cost=Argon2Cost(memory_kib=64, iterations=1, lanes=1)
    )
    with cluster() as postgres:
        template = postgres.database()
        one = Lab(postgres, home)

        async def begin(core: ServerCore) -> None:
            await core.publications.create(made.custodians())

        one.at(template, begin)
        postgres.template = template.partition("?")[0].rpartition("/")[2]
        yield one
