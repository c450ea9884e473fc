"""What a decision takes and gives: card, request, the terminal's state, the answer.

All records are frozen and hold plain values. Times are integer milliseconds since the Unix epoch
(UTC). A request says what was tapped; the state says what the terminal knows apart from the
member's uses; the decision is the answer to a tap or a void.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ledger.codes import Code, Outcome
from ledger.rules.terms import (
    Ask,
    CardStatus,
    MemberStatus,
    OnlineAnswer,
    Profile,
    Refill,
    ReservationState,
    SnapshotAge,
    Venue,
)


@dataclass(frozen=True, slots=True)
class MemberView:
    """What a decision knows of a member; ``ref`` is 16 lower-case hexadecimal digits."""

    ref: str
    status: MemberStatus = MemberStatus.ACTIVE
    district: str = ""
    street: str = ""
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CardView:
    """What a decision knows of the card in the field; ``card`` is the card hash or empty."""

    card: str = ""
    status: CardStatus = CardStatus.UNKNOWN
    scheme: str = ""
    assurance: str = "authenticated"
    member: MemberView | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedemptionRequest:
    """One tap. The nonce's content is (card, offer, quantity, companions, agent).

    Attributes:
        offer_id: the offer asked for, or empty when the terminal should choose.
        agent: card hash of the proxy collector (代领人), or empty.
        supervisor: who overrides, or empty; asks for an override together with ``reason``.
        simulate: a dry run that writes nothing.
    """

    nonce: str
    card: CardView
    offer_id: str = ""
    quantity: int = 1
    companions: int = 0
    evidence: Mapping[str, str] = field(default_factory=dict)
    agent: str = ""
    supervisor: str = ""
    reason: str = ""
    simulate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What the ledger already holds under the nonce of a request."""

    outcome: Outcome
    code: Code
    seq: int
    card: str
    offer_id: str
    quantity: int = 1
    companions: int = 0
    agent: str = ""
    until_ms: int | None = None
    reversed: bool = False
    is_void: bool = False


@dataclass(frozen=True, slots=True)
class LeaseView:
    """The open lease of this terminal for the offer, as ``leases`` folds it."""

    lease: str
    epoch: int
    units: int
    spent: int
    expires_ms: int

    @property
    def left(self) -> int:
        """Units that may still be given out."""
        return max(0, self.units - self.spent)


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalState:
    """What the terminal knows apart from the member's uses, at the moment of the tap.

    Attributes:
        ledger_ok: whether the ledger can be appended to.
        clock_ok: whether the wall clock stands above the signed time floor.
        snapshot: age of the signed data, graded.
        connected: the last authenticated exchange with the server lies within 30 s.
        operator_ok: whether the clerk on duty may redeem here.
        supervisor_ok: whether ``request.supervisor`` is a proven supervisor.
        offline_cap: units this terminal may approve unconnected, or ``None`` for no bound.
        cap_used: unreversed units of this offer above the last receipted size.
        cap_used_total: the same over all offers.
        agent_cards: colleagues' cards that the representative has had served today here.
        lease: the terminal's open lease for this offer.
        refill: what came of asking for more units.
        online: what the server said of an ``online`` offer, with ``online_code`` and
            ``online_until_ms`` when it refused.
        reservation: state of the member's reservation.
        stock_used: units of this offer known as redeemed in the current day or session, for a
            soft count.
        prior: what the ledger holds under this nonce.
        choices: how many offers could be meant when the request names none.
    """

    terminal: str
    venue: Venue
    profile: Profile = Profile.COUNTER
    revoked: bool = False
    ledger_ok: bool = True
    clock_ok: bool = True
    snapshot: SnapshotAge = SnapshotAge.FRESH
    connected: bool = False
    operator_ok: bool = True
    supervisor_ok: bool = False
    offline_cap: int | None = None
    cap_used: int = 0
    cap_used_total: int = 0
    agent_cards: int = 0
    lease: LeaseView | None = None
    refill: Refill = Refill.NOT_ASKED
    online: OnlineAnswer = OnlineAnswer.NOT_ASKED
    online_code: Code | None = None
    online_until_ms: int | None = None
    reservation: ReservationState = ReservationState.NONE
    stock_used: int = 0
    prior: Prior | None = None
    choices: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer to a tap or a void.

    Attributes:
        until_ms: when it becomes possible, or ``None`` for never or unknown.
        counted: units of this offer by this member known before the decision.
        would_override: the code that a supervisor did override (with A02), or could.
        details: values for ``messages``; keys ending in ``_ms`` are instants.
        replay: the ledger already held this nonce; ``seq`` is its entry.
        reversed: the entry was voided since; nothing may show green.
        ask: what a connected terminal asks the server before it shows this answer: more units
            of a lease, or a hold for an ``online`` offer. It then decides again with
            ``TerminalState.refill`` or ``lease``, or with ``TerminalState.online``.
    """

    outcome: Outcome
    code: Code
    offer: str = ""
    until_ms: int | None = None
    counted: int = 0
    would_override: Code | None = None
    details: Mapping[str, str | int] = field(default_factory=dict)
    replay: bool = False
    seq: int | None = None
    reversed: bool = False
    ask: Ask = Ask.NOTHING
