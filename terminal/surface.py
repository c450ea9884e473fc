"""The surface of a running terminal: what its pages, its API and the command line may ask.

``terminal.service.TerminalService`` fulfils it. Every method may be called from any thread. Those
marked *writes* go through the one writer of the ledger and return only after the entry is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from terminal.answers import (
    OfferChoice,
    PositionView,
    RecentTap,
    ShiftShown,
    StaffProof,
    SyncAnswer,
    TapAnswer,
    TerminalStatus,
    Totals,
    Unshown,
)


class TerminalSurface(Protocol):
    """What one terminal offers to those who show it."""

    @property
    def work(self) -> object:
        """The counter's daily work, a ``terminal.counterwork.CounterWork``."""

    def positions(self) -> tuple[str, ...]:
        """Names of the positions in ``terminal.toml``, in its order."""

    def snapshot_view(self, position: str) -> PositionView:
        """The whole state of one position; cheap enough to ask at every event.

        Raises:
            PositionUnknown: no such position.
        """

    def subscribe(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Calls back with the name of each position whose view changed.

        The callback runs in whatever thread made the change and must return at once: it only
        notes that a new view is to be fetched. The returned function ends the subscription.
        """

    def card_present(self, position: str) -> bool:
        """Whether a card session is open: a card lies there, or was tapped a moment ago."""

    def choices(self, position: str) -> list[OfferChoice]:
        """Dry runs of the decision for the card at hand, those that can be taken first.

        Raises:
            NoCard: no card session is open.
        """

    def tap(
        self,
        position: str,
        offer: str,
        nonce: str,
        *,
        quantity: int = 1,
        companions: int = 0,
        evidence: Mapping[str, str] | None = None,
        supervisor: str = "",
        supervisor_pin: str = "",
        reason: str = "",
        simulate: bool = False,
        reservation: str = "",
        hold: str = "",
        wait_ms: int = 0,
    ) -> TapAnswer:
        """One redemption with the card at hand, or with the next card within ``wait_ms``; *writes*.

        An already answered nonce is answered again without waiting for a card. ``reservation`` is
        a token that the member brought; those of the feed are known without it. ``hold`` names the
        telephone hold that the units come from.

        Raises:
            NoCard: no card came in time; nothing was recorded.
            RequestInvalid: nonce missing or malformed, quantity out of range, hold over.
            PositionUnknown: no such position.
        """

    def void(
        self,
        position: str,
        nonce: str,
        *,
        reason: str,
        void_nonce: str = "",
        supervisor: str = "",
        supervisor_pin: str = "",
    ) -> TapAnswer:
        """Reverses the redemption with this nonce by a new entry; *writes*."""

    def outcome_of(self, nonce: str) -> TapAnswer | None:
        """The recorded answer to a nonce as a replay, or ``None``: nothing was recorded."""

    def dismiss(self, position: str) -> None:
        """Ends the card session and any shown answer; the position is idle again."""

    def choose(self, position: str, offer: str) -> None:
        """A tile of a kiosk was touched: the next card is for this offer, for a while."""

    def last_unshown(self, position: str) -> Unshown | None:
        """The tap that an interruption hid from this page, if any; pages ask it at start."""

    def acknowledge(self, position: str, nonce: str) -> None:
        """The page has shown this answer; it is not unshown any more."""

    def totals(self, position: str) -> Totals:
        """Counts since the shift opened, or since local midnight without a shift."""

    def recent(self, position: str, limit: int = 20) -> list[RecentTap]:
        """The newest acts of this position."""

    def status(self) -> TerminalStatus:
        """The terminal as a whole."""

    def sync_now(self) -> SyncAnswer:
        """One push and pull in the caller's thread; never raises for an unreachable server."""

    def open_shift(self, position: str, operator: str) -> ShiftShown:
        """Opens a shift; *writes*.

        Raises:
            ShiftState: one is open already.
        """

    def close_shift(self, position: str) -> Totals:
        """Closes the shift with its totals; *writes*.

        Raises:
            ShiftState: none is open.
        """

    def close_day(self, position: str) -> Totals:
        """Closes the day of a kiosk, with or without a shift; *writes*."""

    def staff_enter(self, position: str, pin: str) -> StaffProof:
        """Whether this PIN opens the staff corner; wrong ones lock it for a while."""

    def report_problem(self, position: str, about: str, tap: str = "") -> int:
        """Keeps a report for the federation's desk; how many wait to be sent.

        It goes with the next exchange. ``about`` is one of ``sync.health.PROBLEMS``; ``tap`` the
        nonce of the tap that it is about, or empty. Also from practice it is a real report.
        """
