"""The staff corner of a kiosk: a PIN, then today's figures and the day's closing.

Opened by touching the red card in the head of the page. It holds nothing personal, overrides
nothing, closes by itself, and any card tapped closes it at once. Milliseconds are monotonic.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final, TypeAlias

from keys.pin import PIN_DIGITS_MAX
from screens.language import Language, Wording
from terminal.answers import PositionView, StaffProof, Totals
from terminal.web.abouts import ABOUTS, what_becomes
from terminal.web.view import notices

CORNER_SHOWN_MS: Final = 60_000


@unique
class Corner(StrEnum):
    """How far somebody has come."""

    SHUT = "shut"
    PIN = "pin"
    SHEET = "sheet"
    CLOSING = "closing"
    CLOSED = "closed"
    PROBLEM = "problem"
    REPORTED = "reported"


@dataclass(frozen=True, slots=True)
class EnterJob:
    """Check this PIN."""

    pin: str


@dataclass(frozen=True, slots=True)
class CloseDayJob:
    """Close the day."""


@dataclass(frozen=True, slots=True)
class ProblemJob:
    """Report a problem that is about this."""

    about: str


CornerJob: TypeAlias = EnterJob | CloseDayJob | ProblemJob
_WITH_FIGURES: Final = frozenset({Corner.SHEET, Corner.CLOSING, Corner.CLOSED})


@dataclass(frozen=True, slots=True)
class Sheet:
    """The corner as the page draws it.

    Attributes:
        kind: a value of :class:`Corner`.
        typed: how many digits of the PIN were typed.
        said: why it did not open, or what was done.
        figures: what and how many, of today or of the day closed.
        abouts: what a problem may be about, while that is asked.
        notices: what the federation tells the people here.
    """

    kind: str
    typed: int
    said: str
    figures: tuple[tuple[str, str], ...]
    offers: tuple[tuple[str, str], ...]
    abouts: tuple[tuple[str, str], ...] = ()
    notices: tuple[str, ...] = ()


class StaffCorner:
    """Follows touches; whoever holds it carries out the jobs and brings the answers."""

    def __init__(self) -> None:
        self.state = Corner.SHUT
        self._digits = ""
        self._until_ms = 0
        self._proof: StaffProof | None = None
        self._totals: Totals | None = None
        self._unkept = False

    @property
    def until_ms(self) -> int | None:
        """When it closes by itself; ``None`` while it is shut."""
        return None if self.state is Corner.SHUT else self._until_ms

    def expire(self, now_ms: int) -> None:
        """Closes a corner that nobody touches any more."""
        if self.state is not Corner.SHUT and now_ms >= self._until_ms:
            self.shut()

    def shut(self) -> None:
        """Closes it."""
        self.state, self._digits, self._proof, self._totals = Corner.SHUT, "", None, None

    def press(self, action: str, value: str, now_ms: int) -> CornerJob | None:
        """A touch; one without a meaning now does nothing."""
        self.expire(now_ms)
        if action == "staff":
            if self.state is not Corner.SHUT:
                self.shut()
                return None
            self.state = Corner.PIN
        elif self.state is Corner.SHUT:
            return None
        elif action == "leave":
            self.shut()
            return None
        elif self.state is Corner.PIN:
            self._until_ms = now_ms + CORNER_SHOWN_MS
            return self._type(action, value)
        elif action == "close-day" and self.state is Corner.SHEET:
            self.state = Corner.CLOSING
        elif action == "close-day-no" and self.state is Corner.CLOSING:
            self.state = Corner.SHEET
        elif action == "close-day-yes" and self.state is Corner.CLOSING:
            return CloseDayJob()
        elif action == "problem" and self.state is Corner.SHEET:
            self.state = Corner.PROBLEM
        elif action == "about" and self.state is Corner.PROBLEM and value in ABOUTS:
            return ProblemJob(value)
        else:
            return None
        self._until_ms = now_ms + CORNER_SHOWN_MS
        return None

    def _type(self, action: str, value: str) -> EnterJob | None:
        if action == "digit" and len(value) == 1 and value in "0123456789":
            self._proof = None
            self._digits = (self._digits + value)[:PIN_DIGITS_MAX]
        elif action == "erase":
            self._digits = ""
        elif action == "enter" and self._digits:
            job = EnterJob(self._digits)
            self._digits = ""
            return job
        return None

    def proved(self, proof: StaffProof, totals: Totals | None) -> None:
        """The PIN was checked; with the right one come today's figures."""
        self._proof = proof
        if proof.ok and self.state is Corner.PIN:
            self.state, self._totals = Corner.SHEET, totals

    def closed(self, totals: Totals | None) -> None:
        """The day was closed with these figures; ``None``: it was not."""
        self.state = Corner.SHEET if totals is None else Corner.CLOSED
        self._totals = totals or self._totals

    def reported(self, *, kept: bool) -> None:
        """A report was kept, or it could not be."""
        self.state, self._unkept = Corner.REPORTED, not kept

    def sheet(self, view: PositionView, words: Wording) -> Sheet | None:
        """What the page draws; ``None`` while it is shut."""
        if self.state is Corner.SHUT:
            return None
        shown = self._totals if self.state in _WITH_FIGURES else None
        return Sheet(
            kind=self.state.value,
            typed=len(self._digits),
            said=self._said(view, words),
            figures=_figures(view, shown, words) if shown else (),
            offers=_offers(shown, words) if shown else (),
            abouts=(
                tuple((name, words.gettext(title)) for name, title in ABOUTS.items())
                if self.state is Corner.PROBLEM
                else ()
            ),
            notices=notices(view, words) if self.state is Corner.SHEET else (),
        )

    def _said(self, view: PositionView, words: Wording) -> str:
        proof = self._proof
        if self.state is Corner.PROBLEM:
            return words.gettext("What is it about?")
        if self.state is Corner.REPORTED:
            if self._unkept:
                return words.gettext("The report could not be kept; please telephone.")
            return what_becomes(view, words)
        if self.state is Corner.CLOSED:
            return words.gettext("The day is closed, signed and on this machine's disk.")
        if self.state is Corner.CLOSING:
            return words.gettext("What comes after counts for the next day. Close the day?")
        if proof is None or proof.ok:
            return ""
        if not proof.set:
            return words.gettext("No PIN is set here; run `redcard staff-pin` on this machine.")
        if proof.locked_until_ms:
            return words.gettext("Too many wrong PINs; please wait five minutes.")
        return words.gettext("This PIN is wrong.")


def _figures(view: PositionView, totals: Totals, words: Wording) -> tuple[tuple[str, str], ...]:
    _ = words.gettext
    figures = [
        (_("Given today"), words.number(totals.redeemed)),
        (_("Voided"), words.number(totals.voided)),
        (_("Refused"), words.number(totals.declined)),
        (_("To upload"), words.number(view.link.pending)),
    ]
    shown = [view.offer, *view.tiles] if view.offer is not None else list(view.tiles)
    left = [one.stock_left for one in shown if one is not None and one.stock_left is not None]
    if left:
        counted = {one.id for one in shown if one is not None and one.stock_left is not None}
        used = sum(one.count - one.voids for one in totals.lines if one.offer in counted)
        # One field for both: a third row would not fit the smallest screen.
        both = f"{words.number(used)} / {words.number(sum(left))}"
        figures.append((" / ".join((_("Allowance used today"), _("Left here"))), both))
    last = view.link.last_sync_ms
    figures.append((_("Last sync"), words.clock(last) if last else _("never")))
    return tuple(figures)


def _offers(totals: Totals, words: Wording) -> tuple[tuple[str, str], ...]:
    chinese = words.language is Language.ZH
    return tuple(
        (one.title if chinese else one.title_en or one.title, words.number(one.count))
        for one in totals.lines
    )
