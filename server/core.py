"""The central server without HTTP: what its API, its commands and its pages all call.

Composition root of everything but the web: home and keys, database, ingest, judging, publication.
Time comes from one function that is handed in; nothing here looks at a clock.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from ledger.log.note import sign_note
from ledger.rules.offer import Decision, Offer
from server import enrolment, hot_holds, online, supervisors
from server.back_office import BackOffice
from server.backup import come_back
from server.configuring import tell_configuration
from server.database import Database
from server.enrolling import ask_approval
from server.enrolment import Activation
from server.errors import DatabaseFault, EnrolmentRefused, TerminalUnknown
from server.heads import read_log
from server.home import FEED, JUDGEMENTS, WITNESS, ServerHome
from server.ingest import Ingest, standing
from server.pages_of_records import feed_page, judgements_page
from server.projections import Projector
from server.schema import ledgers, settings
from sync.admission import LedgerState
from sync.enrolment import Enrolled, EnrolRequest
from sync.feed import encode_page
from sync.protocol import SIZE_HEADER, STATE_HEADER

#: Longest that judging waits before it looks again by itself.
JUDGE_PAUSE_S: Final = 5.0
#: Shortest time between two used-sets, each of which terminals fetch.
USED_PAUSE_S: Final = 300.0
#: Longest that a terminal's question waits for its own entries to be judged.
JUDGE_WAIT_S: Final = 10.0
_log = logging.getLogger("redcard.server")


class ServerCore(BackOffice):
    """One server process."""

    def __init__(self, home: ServerHome, database: Database, now_ms: Callable[[], int]) -> None:
        """Use ``open``."""
        super().__init__(home, database, now_ms)
        self.projector = Projector(database, self.book, now_ms)
        self._more = asyncio.Event()
        self.ingest = Ingest(database, home.signer(WITNESS), now_ms, stored=self._more.set)
        self._judging: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls, home: Path | ServerHome, now_ms: Callable[[], int], *, database_url: str = ""
    ) -> Self:
        """Opens a home, its keys and its database, which is brought up to date.

        Args:
            home: the folder, or one that was opened already.
            now_ms: server time, milliseconds since the epoch.
            database_url: another database than the one configured.

        Raises:
            HomeInvalid: not a home.
            DatabaseFault: the database cannot be used, or another process has it.
        """
        opened = home if isinstance(home, ServerHome) else ServerHome.open(home)
        url = database_url or opened.configuration.database
        core = cls(opened, await Database.open(opened.path, url), now_ms)
        try:
            await core.publications.shelf.begin()
            await come_back(core)
        except BaseException:
            await core.close()
            raise
        return core

    async def close(self) -> None:
        """Stops judging after its step and closes the database."""
        await self.stop_judging()
        await self.database.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_reason: object) -> None:
        await self.close()

    # Judging, in the background of a running server.

    def start_judging(self) -> None:
        """Judges what comes in, until ``stop_judging``."""
        if self._judging is None:
            self._judging = asyncio.create_task(self._judge_forever())

    async def stop_judging(self) -> None:
        """Ends judging; a step under way is undone and done again at the next start."""
        if self._judging is not None:
            self._judging.cancel()
            with suppress(asyncio.CancelledError):
                await self._judging
            self._judging = None

    async def _judge_forever(self) -> None:
        judged, told_s = True, -USED_PAUSE_S
        while True:
            self._more.clear()
            try:
                while await self.projector.step():
                    judged = True
                now_s = asyncio.get_running_loop().time()
                if judged and now_s - told_s > USED_PAUSE_S:
                    await self.publish_used()
                    judged, told_s = False, now_s
            except (SQLAlchemyError, OSError):
                # Nothing is lost: the step was undone, and the cursor stands where it was.
                _log.exception("judging failed and is tried again")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._more.wait(), JUDGE_PAUSE_S)

    async def judge(self, ledger: str | None = None) -> int:
        """Judges now what is stored; returns how many entries were taken."""
        return await self.projector.catch_up(ledger)

    # What one terminal asks for.

    async def judgements(self, ledger: str, after: int) -> bytes:
        """A signed page of the judgements of a ledger after a revision.

        Raises:
            TerminalUnknown: no such ledger.
        """
        async with asyncio.timeout(JUDGE_WAIT_S):
            await self.judge(ledger)
        async with self.database.reading() as connection:
            page = await judgements_page(connection, ledger, after, self.now_ms())
        return sign_note(encode_page(page), [self.home.signer(JUDGEMENTS)])

    async def feed(self, ledger: str, after: int) -> bytes:
        """A signed page of a ledger's own feed after a number.

        Raises:
            TerminalUnknown: no such ledger.
        """
        async with self.database.reading() as connection:
            page = await feed_page(connection, ledger, after, self.now_ms())
        return sign_note(encode_page(page), [self.home.signer(FEED)])

    async def standing(self, ledger: str) -> dict[str, str]:
        """Headers beside a terminal's pages: how its ledger stands, and how much of it is here.

        Raises:
            TerminalUnknown: no such ledger.
        """
        async with self.database.reading() as connection:
            state = (await read_log(connection, ledger)).state
        return {STATE_HEADER: standing(state.state), SIZE_HEADER: str(state.size)}

    async def hold(self, question: online.Question) -> Decision:
        """Decides on a tap on an ``online`` offer and holds its units; see ``online.hold``."""
        hot = self.database.hot
        published = await self.book.lately(self.database)
        offer = published.newest.get(question.offer)
        if hot is not None and isinstance(offer, Offer) and online.endless(offer):
            return await hot_holds.hold(hot, published, offer, question, self.now_ms())
        async with self.database.writing() as connection:
            return await online.hold(connection, self.database, published, question, self.now_ms())

    # Terminals.

    async def activation(
        self,
        terminal: str,
        places: Sequence[str],
        *,
        profile: str = "counter",
        name: str = "",
        life_ms: int = enrolment.CODE_LIFE_MS,
    ) -> Activation:
        """Makes a one-time code for a terminal; see ``enrolment.create_activation``."""
        async with self.database.writing() as connection:
            made = await enrolment.create_activation(
                connection,
                terminal=terminal,
                name=name,
                places=places,
                profile=profile,
                now_ms=self.now_ms(),
                life_ms=life_ms,
            )
            await self.own.record(connection, "activation", subject=terminal)
            return made

    async def enrol(self, request: EnrolRequest) -> Enrolled:
        """Enrols the terminal that holds a code; see ``enrolment.enrol``.

        It begins with the leases that the published offers name for it, and with the supervisors
        of its terminal.
        """
        if not self.repository.exists:
            raise EnrolmentRefused("nothing is published yet; run: redcard server init")
        async with self.database.writing() as connection:
            waits = await ask_approval(connection, request)
        if waits:
            raise EnrolmentRefused(waits)
        root = await self.publications.root()
        async with self.database.writing() as connection:
            answer = await enrolment.enrol(connection, self.home, root, request, self.now_ms())
            terminal = answer.settings["terminal"]
            await self.grant_first_leases(connection, answer.ledger, terminal)
            await supervisors.tell_all(
                connection, ledger=answer.ledger, terminal=terminal, now_ms=self.now_ms()
            )
            await tell_configuration(connection, answer.ledger, terminal, self.now_ms())
            return answer

    async def provide_supervisor(
        self, terminal: str, supervisor: str, *, pin: str, card: str, active: bool
    ) -> int:
        """Makes somebody a supervisor at a terminal, or withdraws; see ``supervisors.provide``."""
        async with self.database.writing() as connection:
            told = await supervisors.provide(
                connection,
                terminal=terminal,
                supervisor=supervisor,
                pin=pin,
                card=card,
                active=active,
                now_ms=self.now_ms(),
            )
            await self.own.record(
                connection, "supervisor", subject=supervisor, terminal=terminal, active=int(active)
            )
            return told

    async def supervisors(self) -> list[dict[str, Any]]:
        """Who is a supervisor where."""
        async with self.database.reading() as connection:
            return await supervisors.supervisors_of(connection)

    async def revoke(self, ledger: str, reason: str) -> LedgerState:
        """Revokes a ledger or terminal; see ``enrolment.revoke``."""
        async with self.database.writing() as connection:
            state = await enrolment.revoke(
                connection, ledger=ledger, reason=reason, now_ms=self.now_ms()
            )
            await self.own.record(connection, "revoke", subject=ledger, reason=reason)
            return state

    async def origin_of(self, ledger: str) -> tuple[str, tuple[str, ...]]:
        """Origin and verifier keys of a ledger.

        Raises:
            TerminalUnknown: no such ledger.
        """
        async with self.database.reading() as connection:
            row = (
                await connection.execute(
                    select(ledgers.c.origin, ledgers.c.vkeys).where(ledgers.c.ledger == ledger)
                )
            ).one_or_none()
        if row is None:
            raise TerminalUnknown("no ledger of this name is enrolled here")
        return row.origin, tuple(row.vkeys.splitlines())

    async def ready(self) -> None:
        """Checks that the database answers.

        Raises:
            DatabaseFault: it does not.
        """
        try:
            async with self.database.reading() as connection:
                await connection.execute(select(settings.c.name).limit(1))
        except (SQLAlchemyError, OSError) as error:
            raise DatabaseFault("the database does not answer") from error
