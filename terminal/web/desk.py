"""What a clerk does at the counter: a state machine of keys and clicks, without I/O.

After a tap it takes two actions: a number key picks an offer, Enter confirms. A press may yield
one :class:`Job` for the service; its end comes back through :meth:`Desk.finished`. The nonce of a
redemption is made when the offer is picked, so that a second Enter can never write a second entry.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum, unique
from typing import Any, Final

from ledger.codes import CODES, Code
from screens.language import Language, wording
from terminal.answers import (
    OfferChoice,
    OfferShown,
    Phase,
    PositionView,
    RecentTap,
    TapAnswer,
)
from terminal.receipts.slips import receipt_of
from terminal.web.asking import Override
from terminal.web.jobs import (
    AcknowledgeJob,
    Books,
    DismissJob,
    Job,
    SyncJob,
    TapJob,
    VoidJob,
)
from terminal.web.panels import PrintJob, SheetJob, WorkJob
from terminal.web.pinyin import matches
from terminal.web.rack import KEYS, Rack

QUERY_CHARACTERS_MAX: Final = 40
NOTE_CHARACTERS_MAX: Final = 64
#: Units that one tap may give out at most; the offer's own limit decides.
QUANTITY_SHOWN_MAX: Final = 99
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
    PANEL = "panel"
    CLOSED = "closed"


class Desk:
    """The counter of one position."""

    def __init__(self, view: PositionView, books: Books, new_nonce: Callable[[], str]) -> None:
        """Begins with what holds now; ``new_nonce`` makes a fresh ULID."""
        self.view = view
        self.books = books
        self._new_nonce = new_nonce
        self.picked = ""
        self.nonce = ""
        self.quantity = self._asked = 1
        self.rack = Rack()
        #: Nonces whose slip was printed here; the next one is a copy and says so.
        self.printed: set[str] = set()
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

    def observe(self, view: PositionView, books: Books) -> WorkJob | None:
        """Takes over a newer view; a new card or answer ends what was picked before.

        Returns what an open panel wants to ask now.
        """
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
        return self.rack.observe(view, books.totals)

    @property
    def mode(self) -> Mode:
        """What the page shows now."""
        if self.rack.panel is not None:
            return Mode.PANEL
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
        if mode is Mode.PANEL:
            return self.press("key", name)
        if name in KEYS:
            return self.press(KEYS[name])
        if name == "F9":
            return self.press("print")
        if name in ("+", "=", "-") and mode is Mode.CHOOSING:
            return self.press("quantity", str(self.quantity + (-1 if name == "-" else 1)))
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
        if action == "language":
            self.switched = not self.switched
        elif action == "shown":
            return AcknowledgeJob(value) if value else None
        elif self.rack.panel is not None:
            return self._from_panel(self.rack.take(action, value))
        elif self.rack.opens(action) and self.busy is None:
            self.voiding = False
            return self.rack.open(action, self.view, self.books.totals)
        elif action == "print":
            return self._slip_job()
        elif action == "override" and self.busy is None:
            self._open_override(value)
        elif action == "quantity" and value.isascii() and value.isdigit():
            self.quantity = min(max(1, int(value)), QUANTITY_SHOWN_MAX)
        elif action == "pick" and self.mode is Mode.CHOOSING:
            self._pick(value)
        elif action == "search":
            self.query = value[:QUERY_CHARACTERS_MAX]
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
        return None

    def _slip_job(self) -> PrintJob | None:
        """The slip of the answer shown; the second one is a copy. Nothing without a printer."""
        answer = self.view.answer if self.view.phase is Phase.ANSWER else None
        if answer is None or self.books.printer.state == "none":
            return None
        tap = next((one for one in self.books.recent if one.nonce == answer.nonce), None)
        receipt = receipt_of(
            answer,
            tap,
            self.view,
            wording(Language.EN if self.switched else Language.ZH),
            offer=self.offers.get(answer.offer),
            copy=answer.nonce in self.printed,
        )
        return PrintJob(receipt.lines, receipt.qr, answer.nonce) if receipt is not None else None

    @property
    def overridable(self) -> TapAnswer | None:
        """The answer shown, if a supervisor may let it pass."""
        answer = self.view.answer if self.mode is Mode.RESULT else None
        if answer is None or not answer.code or not answer.offer or answer.reversed:
            return None
        return answer if answer.outcome == "decline" and may_be_lifted(answer.code) else None

    def _open_override(self, offer: str) -> None:
        shown = self.overridable
        if not offer and shown is not None:
            self.rack.override(shown.offer, shown.message)
        for one in self.view.choices if self.mode is Mode.CHOOSING else ():
            if one.offer.id == offer and one.outcome == "decline" and may_be_lifted(one.code):
                self.rack.override(offer, one.message)

    def _from_panel(self, job: WorkJob | PrintJob | SheetJob | Override | None) -> Job | None:
        if not isinstance(job, Override):
            return job
        return self._start(
            TapJob(
                job.offer,
                self._new_nonce(),
                supervisor=job.supervisor,
                supervisor_pin=job.pin,
                reason=job.reason,
            )
        )

    def finished(
        self, job: Job, answer: TapAnswer | None = None, problem: str = "", result: Any = None
    ) -> WorkJob | None:
        """The service has answered a job, or ``problem`` says why it could not.

        Returns what an open panel wants to ask next.
        """
        if self.busy is job:
            self.busy = None
        if isinstance(job, WorkJob):
            return self.rack.answered(job, result, problem)
        if isinstance(job, PrintJob) and job.nonce:
            self.printed.add(job.nonce)
        self.problem = problem
        if isinstance(job, VoidJob) and answer is not None:
            self.void_answer = answer
        return None

    def _learn(self, view: PositionView) -> None:
        for choice in view.choices:
            self.offers[choice.offer.id] = choice.offer

    def _start(self, job: Job) -> Job:
        self.busy = job
        return job

    def _unpick(self) -> None:
        self.picked = self.nonce = ""
        self.quantity = 1

    def _pick(self, offer: str) -> None:
        if offer == self.picked:
            return
        chosen = (one for one in self.view.choices if one.offer.id == offer)
        choice = next(chosen, None)
        if choice is not None and choice.key:
            self.picked, self.nonce, self.quantity = offer, self._new_nonce(), 1

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
                self._asked = self.quantity
                return self._start(TapJob(self.picked, self.nonce, quantity=self.quantity))
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
        return self._start(TapJob(answer.offer, answer.nonce, evidence, self._asked))


def _session(view: PositionView) -> tuple[bool, int]:
    """Changes with every new card; an answer belongs to the card before it."""
    return view.phase in (Phase.READING, Phase.CARD), view.since_ms


def may_be_lifted(code: str) -> bool:
    """Whether a supervisor may let a decline with this code pass; T05 asks for one."""
    return CODES[Code(code)].overridable or code == Code.T05
