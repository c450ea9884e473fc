"""A browser's questions to the server's pages, without a browser."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from server.core import ServerCore
from server.passwords import STEP_S, code_at
from server.roles import CONSOLE_ACTOR, Actor, Role
from server.sign_in import _open
from tests.server.test_api import over_http
from tests.server.world import Time

SITE = "https://office.example"
HERE = {"Host": "office.example", "Sec-Fetch-Site": "same-origin", "Origin": SITE}
LONG = "a long enough pass phrase"


class Desk:
    """One browser at a desk: keeps cookies, fills in forms as they were drawn."""

    def __init__(self, client: httpx.AsyncClient, core: ServerCore, time: Time) -> None:
        self.client = client
        self.core = core
        self.time = time
        self.page: httpx.Response

    async def get(self, path: str, **headers: str) -> httpx.Response:
        self.page = await self.client.get(f"{SITE}{path}", headers={**HERE, **headers})
        return self.page

    async def post(self, path: str, **fields: str) -> httpx.Response:
        """Sends a form of the page that was opened last, with its hidden token."""
        token = re.search(r'name="csrf" value="([^"]+)"', self.page.text)
        form = {"csrf": token.group(1), **fields} if token else fields
        self.page = await self.client.post(f"{SITE}{path}", data=form, headers=HERE)
        return self.page

    async def person(self, person: str, role: str, scope: str = "") -> str:
        """Makes somebody; returns the first password."""
        made = await self.core.people.add(
            CONSOLE_ACTOR, person, name=person, role=role, scope=scope
        )
        return made.password

    async def sit_down(self, person: str, role: str = "federation", scope: str = "") -> None:
        """Makes somebody and lets them in, by a session that signing in would have opened."""
        from sqlalchemy import update

        from server.schema_office import people

        await self.person(person, role, scope)
        async with self.core.database.writing() as connection:
            await connection.execute(update(people).values(temporary=False))
            token = await _open(connection, person, complete=True, now_ms=self.time())
        self.client.cookies.clear()
        self.client.cookies.set("__Host-redcard-session", token, domain="office.example")

    def actor(self, person: str = "wang", role: Role = Role.FEDERATION, scope: str = "") -> Actor:
        """Somebody as the services know them."""
        return Actor(person, role, scope)

    def code(self, secret: bytes) -> str:
        return code_at(secret, self.time() // 1000 // STEP_S)


def at_a_desk(scenario: Callable[[Desk], Awaitable[None]], home: Path) -> None:
    """Plays one browser's visit."""

    async def run(client: httpx.AsyncClient, core: ServerCore, time: Time) -> None:
        await scenario(Desk(client, core, time))

    over_http(run, home)
