"""What a clerk does at the counter: a state machine of keys and clicks, without I/O.

After a tap it takes two actions: a number key picks an offer, Enter confirms. A press may yield
one :class:`Job` for the service; its end comes back through :meth:`Desk.finished`. The nonce of a
redemption is made when the offer is picked, so that a second Enter can never write a second entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Final, TypeAlias

from terminal.answers import (
    OfferChoice,
    OfferShown,
    Phase,
    PositionView,
    RecentTap,
    TapAnswer,
    Totals,
)
from terminal.web.pinyin import matches

QUERY_CHARACTERS_MAX: Final = 40
NOTE_CHARACTERS_MAX: Final = 64
#: Reasons of a void, in the order of their number keys.
VOID_REASONS: Final = ("wrong_offer", "member_declined", "print_failed", "other")


@unique
class Mode(StrEnum):
    """What the middle of the page is for."""

    IDLE = "idle"
    READING = "reading"
    CHOOSING = "choosing"
    BUSY = "busy"
    RESULT = "result"
    VOIDING = "voiding"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class TapJob:
    """Redeem an offer with the card at hand; the same nonce again after a refer."""

    offer: str
    nonce: str
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VoidJob:
    """Reverse the redemption with this nonce."""

    nonce: str
    reason: str
    void_nonce: str


@dataclass(frozen=True, slots=True)
class DismissJob:
    """End the card session and any answer."""


@dataclass(frozen=True, slots=True)
class AcknowledgeJob:
    """The page has shown the answer with this nonce."""

    nonce: str


@dataclass(frozen=True, slots=True)
class SyncJob:
    """Push and pull now."""


Job: TypeAlias = TapJob | VoidJob | DismissJob | AcknowledgeJob | SyncJob


@dataclass(frozen=True, slots=True)
class Books:
    """Counts and recent acts of the position, fetched beside its view."""

    totals: Totals
    recent: tuple[RecentTap, ...] = ()


class Desk:
    """The counter of one position."""

    def __init__(self, view: PositionView, books: Books, new_nonce: Callable[[], str]) -> None:
        """Begins with what holds now; ``new_nonce`` makes a fresh ULID."""
        self.view = view
        self.books = books
        self._new_nonce = new_nonce
        self.picked = ""
        self.nonce = ""
        self.query = ""
        self.busy: Job | None = None
        self.voiding = False
        self.void_picked = ""
        self.void_reason = ""
        self.void_nonce = ""
        self.void_answer: TapAnswer | None = None
        self.problem = ""
        self.switched = False
        #: Offers seen in any list: an answer outlives the list that it was chosen from.
        self.offers: dict[str, OfferShown] = {}
        self._session: tuple[bool, int] = _session(view)
        self._learn(view)

    def observe(self, view: PositionView, books: Books) -> None:
        """Takes over a newer view; a new card or answer ends what was picked before."""
        session = _session(view)
        if session != self._session:
            self._session = session
            self._unpick()
            if view.phase in (Phase.READING, Phase.CARD):
                self.voiding, self.void_answer, self.query = False, None, ""
        self.view, self.books = view, books
        self._learn(view)
        if self.picked and self.choice is None:
            self._unpick()

    @property
    def mode(self) -> Mode:
        """What the page shows now."""
        if self.voiding:
            return Mode.VOIDING
        if isinstance(self.busy, TapJob) or self.view.phase is Phase.CONFIRMING:
            return Mode.BUSY
        if self.view.phase is Phase.CLOSED:
            return Mode.CLOSED
        if self.view.phase is Phase.ANSWER and self.view.answer is not None:
            return Mode.RESULT
        if self.view.phase is Phase.IDLE and self.view.unshown is not None:
            return Mode.RESULT
        if self.view.phase is Phase.CARD:
            return Mode.CHOOSING
        return Mode.READING if self.view.phase is Phase.READING else Mode.IDLE

    @property
    def choice(self) -> OfferChoice | None:
        """The offer that Enter would confirm."""
        found = (one for one in self.view.choices if one.offer.id == self.picked)
        return next(found, None)

    @property
    def found(self) -> tuple[OfferChoice, ...]:
        """The offers that the search leaves, in the service's order."""
        return tuple(
            one
            for one in self.view.choices
            if matches(self.query, one.offer.title, one.offer.title_en, one.offer.id)
        )

    @property
    def voidable(self) -> tuple[RecentTap, ...]:
        """Recent redemptions that this counter may still void, at most nine."""
        return tuple(one for one in self.books.recent if one.voidable_ms > 0)[:9]

    def key(self, name: str) -> Job | None:
        """A key of the keyboard, by its DOM name; keys without a meaning now do nothing."""
        mode = self.mode
        if name == "F8":
            return self.press("void")
        if name == "Escape":
            return self.press("back")
        if name == "Enter":
            return self.press("confirm")
        if name in ("ArrowDown", "ArrowUp") and mode is Mode.CHOOSING:
            self._step(1 if name == "ArrowDown" else -1)
            return None
        if len(name) == 1 and name in "123456789":
            return self._digit(name, mode)
        return None

    def press(self, action: str, value: str = "") -> Job | None:
        """A click, or what a key stands for; an action without a meaning now does nothing."""
        self.problem = ""
        if action == "pick" and self.mode is Mode.CHOOSING:
            self._pick(value)
        elif action == "search":
            self.query = value[:QUERY_CHARACTERS_MAX]
        elif action == "language":
            self.switched = not self.switched
        elif action == "void" and self.busy is None:
            self._open_void()
        elif action == "void-pick":
            self.void_picked = value if value in {one.nonce for one in self.voidable} else ""
        elif action == "void-reason":
            self.void_reason = value if value in VOID_REASONS else ""
        elif action == "back":
            return self._back()
        elif action == "confirm":
            return self._confirm()
        elif action == "attest" and self.mode is Mode.RESULT:
            return self._attest(value)
        elif action == "sync" and self.busy is None:
            return self._start(SyncJob())
        elif action == "shown" and value:
            return AcknowledgeJob(value)
        return None

    def finished(self, job: Job, answer: TapAnswer | None = None, problem: str = "") -> None:
        """The service has answered a job, or ``problem`` says why it could not."""
        if self.busy is job:
            self.busy = None
        self.problem = problem
        if isinstance(job, VoidJob) and answer is not None:
            self.void_answer = answer

    def _learn(self, view: PositionView) -> None:
        for choice in view.choices:
            self.offers[choice.offer.id] = choice.offer

    def _start(self, job: Job) -> Job:
        self.busy = job
        return job

    def _unpick(self) -> None:
        self.picked = self.nonce = ""

    def _pick(self, offer: str) -> None:
        if offer == self.picked:
            return
        chosen = (one for one in self.view.choices if one.offer.id == offer)
        choice = next(chosen, None)
        if choice is not None and choice.key:
            self.picked, self.nonce = offer, self._new_nonce()

    def _step(self, by: int) -> None:
        takable = [one.offer.id for one in self.found if one.key]
        if takable:
            at = takable.index(self.picked) + by if self.picked in takable else min(0, by)
            self._pick(takable[at % len(takable)])

    def _digit(self, digit: str, mode: Mode) -> Job | None:
        if mode is Mode.CHOOSING:
            chosen = (one.offer.id for one in self.view.choices if one.key == digit)
            self._pick(next(chosen, ""))
        elif mode is Mode.VOIDING and self.void_answer is None:
            if not self.void_picked and int(digit) <= len(self.voidable):
                return self.press("void-pick", self.voidable[int(digit) - 1].nonce)
            if self.void_picked and int(digit) <= len(VOID_REASONS):
                return self.press("void-reason", VOID_REASONS[int(digit) - 1])
        return None

    def _open_void(self) -> None:
        self.voiding, self.void_answer, self.void_reason = True, None, ""
        self.void_nonce = self._new_nonce()
        answer = self.view.answer if self.view.phase is Phase.ANSWER else None
        shown = answer.nonce if answer else ""
        voidable = [one.nonce for one in self.voidable]
        # F8 right after a mistake means that mistake; so does the only one there is.
        self.void_picked = shown if shown in voidable else ""
        if len(voidable) == 1:
            self.void_picked = voidable[0]

    def _back(self) -> Job | None:
        if self.voiding:
            if self.void_answer is None and self.void_picked and len(self.voidable) > 1:
                self.void_picked = self.void_reason = ""
            else:
                return self._close_void()
        elif self.query:
            self.query = ""
        elif self.picked and self.mode is Mode.CHOOSING:
            self._unpick()
        elif self.mode is Mode.RESULT:
            return self._leave_result()
        elif self.mode is Mode.CHOOSING:
            return DismissJob()
        return None

    def _close_void(self) -> Job | None:
        done = self.void_answer is not None and self.view.phase is Phase.ANSWER
        self.voiding, self.void_answer = False, None
        self.void_picked = self.void_reason = ""
        return DismissJob() if done else None

    def _confirm(self) -> Job | None:
        if self.voiding:
            if self.void_answer is not None:
                return self._close_void()
            if self.void_picked and self.void_reason and self.busy is None:
                return self._start(VoidJob(self.void_picked, self.void_reason, self.void_nonce))
        elif self.mode is Mode.CHOOSING and self.busy is None:
            if self.picked:
                return self._start(TapJob(self.picked, self.nonce))
            if self.view.card is not None and self.view.card.code:
                return DismissJob()
        elif self.mode is Mode.RESULT:
            return self._leave_result()
        return None

    def _leave_result(self) -> Job:
        """A recovered tap counts as shown only when the clerk has put it away."""
        unshown = self.view.unshown
        if self.view.phase is Phase.IDLE and unshown is not None:
            return AcknowledgeJob(unshown.nonce)
        return DismissJob()

    def _attest(self, note: str) -> Job | None:
        """Answers a refer with what was checked; it keeps the nonce (DESIGN section 3)."""
        answer = self.view.answer
        if answer is None or answer.outcome != "refer" or self.busy is not None:
            return None
        name = str((answer.details or {}).get("evidence", "identity"))
        evidence = {name: note.strip()[:NOTE_CHARACTERS_MAX] or "checked"}
        return self._start(TapJob(answer.offer, answer.nonce, evidence))


def _session(view: PositionView) -> tuple[bool, int]:
    """Changes with every new card; an answer belongs to the card before it."""
    return view.phase in (Phase.READING, Phase.CARD), view.since_ms
