"""The real server in memory: its ASGI application behind the transport port, on its own loop."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx

from keys.derivation import card_hash
from keys.passphrase import Argon2Cost
from ledger.rules.offer import CardStatus
from readers.virtual.authority import TestCa
from readers.virtual.unionpay import make_pan
from server.app import create_app
from server.card_list import Membership
from server.core import ServerCore
from server.home import Configuration, ServerHome
from sync.errors import Unreachable
from sync.transport import MemoryTransport, Request, Response
from terminal.clock import Clock
from tests.terminal.rig import DOMAIN, OFFERS, VENUES

T = TypeVar("T")
TERMINAL = "t-1"


class Federation:
    """A server with offers, venues, cards and CA keys published.

    ``found`` makes its folder once; every test works on a copy.
    """

    @staticmethod
    def found(path: Path, world: TestCa, clock: Clock) -> None:
        cost = Argon2Cost(memory_kib=8 * 1024, iterations=1, lanes=1)
        configuration = Configuration(domain=DOMAIN, listen="127.0.0.1:0")
        ServerHome.create(path, configuration, cost=cost)
        made = Federation(path, clock)
        made.core.repository.create(made.home.custodians())
        made.run(made.core.import_venues(json.dumps(VENUES).encode()))
        made.publish_offers()
        bundle = world.bundle(expires=datetime(2049, 1, 1, tzinfo=UTC))
        made.run(made.core.publish_ca_keys(bundle))
        made.close()

    def __init__(self, path: Path, clock: Clock) -> None:
        self._loop = asyncio.new_event_loop()
        #: Questions under way: a terminal that gave one up has left its thread behind.
        self._answering = 0
        self._quiet = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.clock = clock
        self.home = ServerHome.open(path)
        self.core = self.run(ServerCore.open(self.home, clock.wall_ms))
        self.app = create_app(self.core, judging=False)
        self.transport = MemoryTransport(self.answer)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def publish_offers(self, **changes: Mapping[str, Any]) -> None:
        offers = [{**offer, **changes.get(str(offer["id"]), {})} for offer in OFFERS]
        self.run(self.core.publish_offers(json.dumps(offers).encode()))

    def members(self, *serials: int, status: CardStatus = CardStatus.ACTIVE) -> None:
        mac = self.home.card_mac()
        rows = [
            Membership(
                card=card_hash(mac, "unionpay", make_pan(serial).encode("ascii")),
                member=f"{serial:016x}",
                status=status,
                district="xicheng",
            )
            for serial in serials
        ]
        self.run(self.core.take_members(rows))

    def code(self, terminal: str = TERMINAL) -> str:
        activation = self.run(self.core.activation(terminal, ["S01", "M01"], name="T-1"))
        return activation.code

    def answer(self, request: Request) -> Response:
        async def send() -> Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
                answer = await client.request(
                    request.method,
                    request.target,
                    headers=dict(request.headers),
                    content=request.body,
                )
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return Response(answer.status_code, headers, answer.content)

        with self._quiet:
            if self._closed:
                raise Unreachable("the server is gone")
            self._answering += 1
        try:
            return self.run(send())
        finally:
            with self._quiet:
                self._answering -= 1
                self._quiet.notify_all()

    def close(self) -> None:
        with self._quiet:
            self._closed = True
            assert self._quiet.wait_for(lambda: not self._answering, 30)
        self.run(self.core.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
