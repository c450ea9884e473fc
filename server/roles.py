"""Roles of people, and which right each has where.

A right is held for a place: the whole city, one district, one street or one merchant. Who holds it
for a district holds it for that district's streets. Writing an offer and passing it are two rights
of one role, but never of one person for one offer (``server.drafts``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from server.errors import NotAllowed


class Role(StrEnum):
    """What somebody is in the federation's house."""

    FEDERATION = "federation"
    DISTRICT = "district"
    STREET = "street"
    MERCHANT = "merchant"
    AUDITOR = "auditor"
    HOTLINE = "hotline"


class Right(StrEnum):
    """What somebody may do or see."""

    OVERVIEW = "overview"
    OFFERS_VIEW = "offers.view"
    OFFERS_WRITE = "offers.write"
    OFFERS_PASS = "offers.pass"  # noqa: S105 - to let pass, no secret
    STOCK_MOVE = "stock.move"
    REPORTS = "reports"
    SETTLEMENT_VIEW = "settlement.view"
    SETTLEMENT_CLOSE = "settlement.close"
    DISPUTE = "dispute"
    CASES_VIEW = "cases.view"
    CASES_DECIDE = "cases.decide"
    FLEET_VIEW = "fleet.view"
    FLEET_CHANGE = "fleet.change"
    LOOK_UP = "look_up"
    UNMASK = "unmask"
    MEMBERS = "members"
    PEOPLE = "people"
    AUDIT = "audit"


_ALL: Final = frozenset(Right)
RIGHTS: Final[Mapping[Role, frozenset[Right]]] = {
    Role.FEDERATION: _ALL - {Right.DISPUTE},
    Role.DISTRICT: frozenset(
        {
            Right.OVERVIEW,
            Right.OFFERS_VIEW,
            Right.OFFERS_WRITE,
            Right.OFFERS_PASS,
            Right.STOCK_MOVE,
            Right.REPORTS,
            Right.CASES_VIEW,
            Right.CASES_DECIDE,
            Right.FLEET_VIEW,
        }
    ),
    Role.STREET: frozenset(
        {
            Right.OVERVIEW,
            Right.OFFERS_VIEW,
            Right.OFFERS_WRITE,
            Right.REPORTS,
            Right.CASES_VIEW,
            Right.FLEET_VIEW,
        }
    ),
    Role.MERCHANT: frozenset({Right.SETTLEMENT_VIEW, Right.DISPUTE}),
    Role.AUDITOR: frozenset(
        {
            Right.OVERVIEW,
            Right.OFFERS_VIEW,
            Right.REPORTS,
            Right.SETTLEMENT_VIEW,
            Right.CASES_VIEW,
            Right.FLEET_VIEW,
            Right.AUDIT,
        }
    ),
    Role.HOTLINE: frozenset({Right.OFFERS_VIEW, Right.LOOK_UP, Right.UNMASK}),
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts.

    Attributes:
        person: sign-in name, or ``console`` for the server's own shell.
        role: in which role.
        scope: ``区`` of a district, ``区/街道`` of a street, a merchant's id; empty for the whole.
        name: what people call them.
    """

    person: str
    role: Role
    scope: str = ""
    name: str = ""

    def may(self, right: Right, *, district: str = "", street: str = "") -> bool:
        """Whether the right is held at all, and for this place if one is named."""
        if right not in RIGHTS[self.role]:
            return False
        if self.role not in {Role.DISTRICT, Role.STREET} or not district:
            return True
        own_district, _, own_street = self.scope.partition("/")
        if district != own_district:
            return False
        return not own_street or not street or street == own_street

    def need(self, right: Right, *, district: str = "", street: str = "") -> None:
        """Lets only who holds the right go on.

        Raises:
            NotAllowed: it is not held here; nothing was done.
        """
        if not self.may(right, district=district, street=street):
            where = f" for {district}{street}" if district else ""
            raise NotAllowed(f"{self.person} has no right {right}{where}; nothing was done")

    @property
    def district(self) -> str:
        """The own district, empty for who has the whole city."""
        own = self.role in {Role.DISTRICT, Role.STREET}
        return self.scope.partition("/")[0] if own else ""

    @property
    def street(self) -> str:
        """The own street, empty for who has more than one."""
        return self.scope.partition("/")[2] if self.role is Role.STREET else ""


#: Who types at the server's own machine holds every right; the operating system let them in.
CONSOLE_ACTOR: Final = Actor("console", Role.FEDERATION)
