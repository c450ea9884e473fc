"""The services of the back office, each at the same desk; what pages, API and commands call."""

from __future__ import annotations

from typing import Protocol

from server.announcements import Announcements
from server.case_desk import CaseDesk
from server.configuring import Configurations
from server.desk import Desk
from server.disputes import Disputes
from server.drafts import Drafts
from server.enrolling import Enrolments
from server.evidence import Evidence
from server.fleet_desk import FleetDesk
from server.hotline import Hotline
from server.identity_map import IdentityMap
from server.member_feed import MemberFeed, Take
from server.offer_life import OfferLife
from server.office_voids import OfficeVoids
from server.people import People
from server.settlement import Settlement
from server.sign_in import Door
from server.statements import Statements
from server.stock_desk import StockDesk


class Publishing(Protocol):
    """What brings a change to the terminals."""

    async def publish(self) -> None:
        """Puts offers and venues as they stand into force."""

    async def offers_changed(self) -> None:
        """The same after new offers, which may name leases."""


class Services:
    """All of them, by name."""

    def __init__(self, desk: Desk, publishing: Publishing, take: Take) -> None:
        """Opens every service at a desk; ``take`` imports a list of members."""
        self.people = People(desk)
        self.door = Door(desk)
        self.identities = IdentityMap(desk)
        self.case_desk = CaseDesk(desk)
        self.voids = OfficeVoids(desk)
        self.enrolments = Enrolments(desk)
        self.member_feed = MemberFeed(desk, take)
        self.hotline = Hotline(desk)
        self.fleet_desk = FleetDesk(desk)
        self.configurations = Configurations(desk)
        self.announcements = Announcements(desk, publishing.publish)
        self.drafts = Drafts(desk, publishing.offers_changed)
        self.offer_life = OfferLife(desk, publishing.publish)
        self.stock_desk = StockDesk(desk, publishing.publish)
        self.settlement = Settlement(desk)
        self.statements = Statements(desk)
        self.disputes = Disputes(desk)
        self.evidence = Evidence(desk)
