"""The back office: what is published, who the members are, and the figures.

What changes is changed in the database first and then published from there; a publication that
fails is made good by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from server import card_list, leases, members, offers, reports, reservations, stock
from server.casebook import open_cases
from server.database import Database
from server.desk import Desk
from server.fleet import fleet
from server.home import RESERVATIONS, ServerHome
from server.known import pieces
from server.offers import OfferBook, Published
from server.own_ledger import ACTS_MAX, OwnLedger, act_of
from server.publications import CA_KEYS_TARGET, Publications, change_is_due
from server.report_lines import Line, whole_line
from server.services import Services
from server.signals.scan import SIGNALS_LOCK, Scan, scan, touched_days
from server.statistics import counting, months_with_events
from server.year_report import YearReport, year_report
from sync.admission import LedgerState


class BackOffice(Services):
    """Offers, venues, members, stock and figures of one server."""

    def __init__(self, home: ServerHome, database: Database, now_ms: Callable[[], int]) -> None:
        """Joins home, database and clock."""
        self.home = home
        self.database = database
        self.now_ms = now_ms
        self.book = OfferBook()
        self.publications = Publications(home, database, now_ms, self.book)
        self.repository = self.publications.repository
        self.own = OwnLedger(home, database, now_ms)
        desk = Desk(home, database, now_ms, self.book, self.own)
        super().__init__(desk, self, self.import_members)
        #: Rows of an import under way that are done, of how many; both 0 while there is none.
        self.importing = (0, 0)

    # Offers, venues, members: changed in the database, then published.

    async def publish_offers(self, data: bytes) -> list[str]:
        """Publishes a file of offers; see ``offers.publish_offers``."""
        async with self.database.writing() as connection:
            changed = await offers.publish_offers(connection, data, self.now_ms())
            await self._first_leases(connection)
            for some in pieces(changed, ACTS_MAX):
                acts = [act_of("offer", subject=name) for name in some]
                await self.own.append(connection, acts)
        await self.publish()
        return changed

    async def offers_changed(self) -> None:
        """Grants the leases that a new offer names, and publishes."""
        async with self.database.writing() as connection:
            await self._first_leases(connection)
        await self.publish()

    async def _first_leases(self, connection: AsyncConnection) -> None:
        for row in await fleet(connection):
            if row["state"] == LedgerState.OK:
                await self.grant_first_leases(connection, row["ledger"], row["terminal"])

    async def change_offer(self, name: str, changes: dict[str, Any]) -> int:
        """Publishes the next version of one offer; see ``offers.change_offer``."""
        async with self.database.writing() as connection:
            version = await offers.change_offer(connection, name, changes, self.now_ms())
            await self.own.record(connection, "offer", subject=name, version=version)
        await self.publish()
        return version

    async def import_venues(self, data: bytes) -> int:
        """Takes a file of venues; see ``offers.import_venues``."""
        async with self.database.writing() as connection:
            count = await offers.import_venues(connection, data)
            await self.own.record(connection, "venues", quantity=count)
        await self.publish()
        return count

    async def import_members(
        self,
        file: bytes | Path,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> card_list.ImportReport:
        """Takes a file of cards and members; see ``members.import_members``."""

        def moved(done: int, total: int) -> None:
            self.importing = (done, total)
            progress(done, total)

        try:
            report, digest = await members.import_file(self.database, file, self.now_ms(), moved)
        finally:
            self.importing = (0, 0)
        async with self.database.writing() as connection:
            await self.own.record(connection, "members", subject=digest)
        await self.publish_roster()
        return report

    async def take_members(self, rows: Sequence[card_list.Membership]) -> tuple[int, int]:
        """Takes cards and members that were read already."""
        async with self.database.writing() as connection:
            await self.database.in_turn(connection, members.CHANGES_LOCK)
            changed = await members.take_rows(connection, rows, self.now_ms())
        await self.publish_roster()
        return changed

    async def set_card(self, card: str, status: str) -> None:
        """Gives a card another status; see ``members.set_card``."""
        async with self.database.writing() as connection:
            await self.database.in_turn(connection, members.CHANGES_LOCK)
            await members.set_card(connection, card, status, self.now_ms())
            await change_is_due(connection, card)
            await self.own.record(connection, "card", card=card, status=status)
        await self.publications.cards()

    async def set_member(self, member: str, status: str) -> None:
        """Gives a member another status; see ``members.set_member``."""
        async with self.database.writing() as connection:
            await self.database.in_turn(connection, members.CHANGES_LOCK)
            await members.set_member(connection, member, status, self.now_ms())
            await change_is_due(connection, member)
            await self.own.record(connection, "member", member=member, status=status)
        await self.publications.cards()

    async def publish(self) -> None:
        """Puts offers, venues and messages as they stand in force."""
        await self.publications.offers()

    async def publish_roster(self) -> None:
        """Puts all cards as they stand in force."""
        await self.publications.roster()

    async def publish_used(self) -> bool:
        """Puts what may still count against members in force; says whether it is new."""
        return await self.publications.used()

    async def publish_ca_keys(
        self, data: bytes, custodians: Path | None = None, *, target: str = CA_KEYS_TARGET
    ) -> int:
        """Puts a bundle of card CA keys in force, signed by the custodians who are here.

        Args:
            data: the bundle.
            custodians: folder of their keys, absent the server's own.
            target: ``PIV_ROOTS_TARGET`` for the authorities of staff cards instead.

        Raises:
            PublicationRefused: fewer than two of them.
        """
        return await self.publications.signed_by_custodians(target, data, custodians)

    # Figures.

    async def published(self) -> Published:
        """Offers and venues as they stand."""
        async with self.database.reading() as connection:
            return await self.book.read(connection)

    async def month_report(self, month: str) -> reports.MonthReport:
        """The report of one month; see ``reports.month_report``."""
        async with self.database.writing() as connection:
            published = await self.book.read(connection)
            return await reports.month_report(connection, published, month, self.now_ms())

    async def year_report(self, year: str) -> YearReport:
        """The report of one year; see ``year_report.year_report``."""
        async with self.database.writing() as connection:
            published = await self.book.read(connection)
            return await year_report(connection, published, year, self.now_ms())

    async def state_period(self, period: str, person: str) -> Line:
        """Keeps the figures of a month or year as somebody states them now."""
        async with self.database.writing() as connection:
            published = await self.book.read(connection)
            now_ms = self.now_ms()
            found = await (await counting(connection, published, now_ms)).of(period)
            total = whole_line(found, published, period)
            await reports.state(connection, period, total, person, now_ms)
            await self.own.record(connection, "stated", operator=person, subject=period)
            return total

    async def count_statistics(self) -> int:
        """Counts every month and year that something touched; returns how many there are.

        A report counts what it needs by itself; this one is for when nobody waits.
        """
        async with self.database.reading() as connection:
            months = await months_with_events(connection)
        names = [*months, *sorted({month[:4] for month in months})]
        for name in names:
            async with self.database.writing() as connection:
                published = await self.book.read(connection)
                count = await counting(connection, published, self.now_ms())
                await count.of(name)
        return len(names)

    async def counts(self) -> dict[str, int]:
        """Recorded, confirmed, lost and twice."""
        async with self.database.writing() as connection:
            published = await self.book.read(connection)
            count = await counting(connection, published, self.now_ms())
            return await reports.whole_counts(connection, count)

    async def stock_of(self, offer: str) -> stock.StockState:
        """Stock of one offer."""
        async with self.database.reading() as connection:
            published = await self.book.read(connection)
            return await stock.state_of(connection, published, offer, self.now_ms())

    async def grant(
        self, ledger: str, offer: str, units: int, bucket: str = ""
    ) -> leases.Lease | None:
        """Grants a lease; see ``leases.grant``."""
        async with self.database.writing() as connection:
            published = await self.book.read(connection)
            lease = await leases.grant(
                connection,
                self.database,
                published,
                stock.Bucket(offer, bucket),
                ledger=ledger,
                units=units,
                now_ms=self.now_ms(),
            )
            if lease is not None:
                await self.own.record(
                    connection, "lease", subject=ledger, offer=offer, quantity=lease.units
                )
            return lease

    async def recall(self, ledger: str, offer: str) -> int:
        """Asks a terminal for its unused units; see ``leases.recall``."""
        async with self.database.writing() as connection:
            asked = await leases.recall(
                connection, ledger=ledger, offer=offer, now_ms=self.now_ms()
            )
            await self.own.record(connection, "recall", subject=ledger, offer=offer)
            return asked

    async def reserve(
        self,
        card: str,
        offer: str,
        venue: str,
        *,
        from_ms: int = 0,
        until_ms: int = 0,
        terminal: str = "",
        units: int = 1,
    ) -> reservations.Issued:
        """Promises units to one member at one venue; see ``reservations.issue``."""
        wish = reservations.Wish(card, offer, venue, from_ms, until_ms, terminal, units)
        async with self.database.writing() as connection:
            published = await self.book.read(connection)
            signer, now_ms = self.home.signer(RESERVATIONS), self.now_ms()
            issued = await reservations.issue(
                connection, self.database, published, signer, wish, now_ms
            )
            await self.own.record(
                connection, "reserved", subject=issued.reservation, offer=offer, venue=venue
            )
            return issued

    async def cancel_reservation(self, name: str) -> None:
        """Withdraws a reservation; see ``reservations.cancel``."""
        async with self.database.writing() as connection:
            await reservations.cancel(connection, name, self.now_ms())
            await self.own.record(connection, "reservation_cancelled", subject=name)

    async def reservations(self, *, offer: str = "", venue: str = "") -> list[dict[str, Any]]:
        """Reservations by their time."""
        async with self.database.reading() as connection:
            return await reservations.listed(connection, offer=offer, venue=venue)

    async def cases(self) -> list[dict[str, Any]]:
        """Open cases by first event time, then reason."""
        async with self.database.reading() as connection:
            return await open_cases(connection)

    async def scan_signals(self, days: Sequence[int] = ()) -> Scan:
        """Looks at days with every signal and keeps their cases; see ``signals.scan``.

        Without days, at those of which something came since the last look. Looks at nothing while
        another server process is at it.
        """
        async with self.database.writing() as connection:
            if not await self.database.exclusive(connection, SIGNALS_LOCK):
                return Scan((), 0, {}, 0, 0)
            published = await self.book.read(connection)
            now_ms = self.now_ms()
            touched = days or await touched_days(connection, now_ms)
            return await scan(connection, published, touched, now_ms)

    async def ledgers(self) -> list[dict[str, Any]]:
        """Every ledger: terminal, state, size, last seen, judgements to come."""
        async with self.database.reading() as connection:
            return await fleet(connection)

    async def grant_first_leases(
        self, connection: AsyncConnection, ledger: str, terminal: str
    ) -> None:
        """Grants the leases that published offers name for a terminal and it never had."""
        published = await self.book.read(connection)
        await leases.grant_first(
            connection,
            self.database,
            published,
            ledger=ledger,
            terminal=terminal,
            now_ms=self.now_ms(),
        )
