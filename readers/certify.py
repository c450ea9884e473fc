"""``readers certify``: a reader on trial, in twenty minutes, for whoever must buy or accept it.

The operator lays a card, leaves it, takes it off, unplugs the reader; everything else runs by
itself. What nobody carries out is skipped and the report says so. Times come from the driver that
counters use, not from a bare library.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Any, Final, Protocol

from firmware_profiles.match import Match
from firmware_profiles.model import Sighting, version_text
from readers import certify_measure as measure
from readers.cards.scheme import CardScheme, SchemeContext
from readers.certify_events import CardEvents
from readers.certify_measure import Measured, Progress
from readers.certify_report import Distribution, ReaderFacts, Report, Result, Step, Verdict
from readers.connection import CardConnection, Interface, ResettableConnection
from readers.errors import CardRemoved, ReaderError, ReaderMissing
from readers.feedback import ReaderFeedback, Signal
from readers.supervision import CardReader, ReaderState

log = logging.getLogger(__name__)

TAPS: Final = 500
LAYS: Final = 3
WAIT_MS: Final = 60_000
#: A tap, powering the card included; of what a member waits for, the reader's share.
TAP_P95_US_MAX: Final = 500_000
#: Schemes that need no keys and prove nothing.
IDENTIFYING: Final = frozenset({"uid", "scanned"})
_SHOWN: Final = (Signal.APPROVE, Signal.DECLINE)


@unique
class Instruction(StrEnum):
    """What the operator is asked to do."""

    LAY = "lay"
    LAY_AND_LEAVE = "lay_and_leave"
    LIFT = "lift"
    UNPLUG = "unplug"
    PLUG = "plug"
    LAY_NEXT = "lay_next"


class Operator(Protocol):
    """The person at the reader, or a script in their place."""

    def tell(self, instruction: Instruction) -> None:
        """Says what to do now; returns at once."""

    def wants(self, step: Step) -> bool:
        """Whether a step that needs hands is carried out; else it is skipped."""

    def saw(self, signal: Signal) -> bool | None:
        """Whether the reader showed a signal just now; ``None`` if nobody looked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is tried and how.

    Attributes:
        facts: the reader.
        reader: its driver, not started.
        extended: its profile says that it carries extended APDUs.
        feedback: shows signals, or ``None`` without profiles.
        schemes: card schemes; without CA keys, none.
        context: date, challenges and a throw-away card hash.
        taps: how often the card is powered and read.
        cards: how many issued cards the operator will lay, at most.
        wait_ms: how long to wait for a person.
    """

    facts: ReaderFacts
    reader: CardReader
    extended: bool
    feedback: ReaderFeedback | None
    schemes: Sequence[CardScheme]
    context: SchemeContext
    taps: int = TAPS
    cards: int = 0
    wait_ms: int = WAIT_MS


class Course:
    """One certification."""

    def __init__(self, trial: Trial, operator: Operator, progress: Progress) -> None:
        """Prepares; ``run`` begins.

        Args:
            trial: what is tried.
            operator: who lays cards.
            progress: told how many of the taps are done.
        """
        self._trial = trial
        self._operator = operator
        self._progress = progress
        self._events = CardEvents(trial.facts.name)
        self._measured = Measured()
        self._results: dict[Step, Result] = {}
        self._methods: Counter[str] = Counter()

    def run(self, *, software: str, system: str, started_ms: int) -> Report:
        """Carries the whole out.

        Args:
            software: version of this program.
            system: operating system and drivers, one line.
            started_ms: UTC milliseconds.

        Raises:
            ReaderMissing: no card came at all; there is nothing to report.
        """
        begun = time.monotonic()
        self._note(_identity(self._trial.facts))
        self._trial.reader.start(self._events)
        try:
            self._with_cards()
            self._unplug()
            self._issued()
        finally:
            self._trial.reader.stop()
        return Report(
            reader=self._trial.facts,
            software=software,
            system=system,
            started_ms=started_ms,
            duration_ms=round((time.monotonic() - begun) * 1_000),
            results=tuple(self._results[step] for step in Step if step in self._results),
            exchanges=Distribution.of(self._measured.exchanges_us),
            taps=Distribution.of(self._measured.taps_us),
            methods=dict(self._methods),
        )

    def _note(self, result: Result) -> None:
        self._results[result.step] = result

    def _with_cards(self) -> None:
        """Detection, then everything that one card on the reader can tell, then its removal."""
        lays, lifted = 0, True
        by_hand = self._operator.wants(Step.DETECTION)
        for _ in range(LAYS if by_hand else 0):
            try:
                self._lay(Instruction.LAY, self._measured.note_uid)
                lays += 1
                lifted = self._lift() and lifted
            except TimeoutError:
                break
        try:
            error = self._lay(Instruction.LAY_AND_LEAVE, self._battery)
        except TimeoutError:
            error = ReaderMissing(
                f"no card came to {self._trial.facts.name}; nothing was certified"
            )
            if not lays:
                raise error from None
        if isinstance(error, ReaderError):
            log.warning("the trial broke off: %s", type(error).__name__)
        self._finish_battery(error)
        complete = not by_hand or lays == LAYS
        verdict = Verdict.PASSED if complete else Verdict.FAILED
        figures = {"lays": lays + 1}
        self._note(Result(Step.DETECTION, verdict, "" if complete else "lay_missed", figures))
        if not by_hand:
            self._note(Result(Step.REMOVAL, Verdict.SKIPPED, "not_asked"))
            return
        lifted = self._lift() and lifted
        verdict = Verdict.PASSED if lifted else Verdict.FAILED
        self._note(Result(Step.REMOVAL, verdict, "" if lifted else "lift_missed"))

    def _lay(self, how: Instruction, job: Callable[[ResettableConnection], Any]) -> Any:
        self._events.due(job)
        self._operator.tell(how)
        try:
            return self._events.wait("inserted", self._trial.wait_ms)
        finally:
            self._events.forget()

    def _lift(self) -> bool:
        self._operator.tell(Instruction.LIFT)
        try:
            self._events.wait("removed", self._trial.wait_ms)
        except TimeoutError:
            return False
        return True

    def _battery(self, card: ResettableConnection) -> None:
        """All that needs no hands, in the reader's own thread while the card lies there."""
        trial, measured = self._trial, self._measured
        for _ in range(measure.UID_READS):
            measured.note_uid(card)
        self._note(measure.apdu_sizes(card, extended=trial.extended))
        card.reset()
        self._note(measure.chaining(card))
        self._note(self._signals(card))
        for made in range(trial.taps):
            measure.tap(card, trial.schemes, trial.context, measured)
            self._progress(made + 1, trial.taps)
        card.reset()
        for _ in range(measure.UID_READS):
            measured.note_uid(card)

    def _finish_battery(self, error: object) -> None:
        """Verdicts on what was gathered, also where it broke off."""
        self._note(self._measured.uid_result())
        self._note(measure.taps_result(self._measured, self._trial.taps))
        self._note(_timing(self._measured))
        broken = type(error).__name__ if isinstance(error, ReaderError) else ""
        for step in (Step.APDU_SIZES, Step.CHAINING, Step.FEEDBACK):
            if step not in self._results:
                self._note(Result(step, Verdict.FAILED, "broken_off", {"fault": broken}))

    def _signals(self, card: CardConnection) -> Result:
        feedback, name = self._trial.feedback, self._trial.facts.name
        has = [one for one in _SHOWN if feedback is not None and feedback.command(name, one)]
        if feedback is None or not has or card.interface is not Interface.CONTACTLESS:
            return Result(Step.FEEDBACK, Verdict.NOT_APPLICABLE, "no_feedback")
        feedback.show(name, card, Signal.SILENCE)
        confirmed = seen = 0
        looked = self._operator.wants(Step.FEEDBACK)
        for signal in has:
            confirmed += feedback.show(name, card, signal)
            seen += bool(looked and self._operator.saw(signal))
        figures = {"signals": len(has), "confirmed": confirmed, "seen": seen}
        if confirmed < len(has):
            return Result(Step.FEEDBACK, Verdict.FAILED, "feedback_refused", figures)
        if not looked:
            return Result(Step.FEEDBACK, Verdict.SKIPPED, "not_looked", figures)
        verdict = Verdict.PASSED if seen == len(has) else Verdict.FAILED
        return Result(
            Step.FEEDBACK, verdict, "" if seen == len(has) else "feedback_unseen", figures
        )

    def _unplug(self) -> None:
        if not self._operator.wants(Step.UNPLUG):
            self._note(Result(Step.UNPLUG, Verdict.SKIPPED, "not_asked"))
            return
        self._operator.tell(Instruction.UNPLUG)
        gone = self._events.state({ReaderState.ABSENT, ReaderState.FAULT}, self._trial.wait_ms)
        back = False
        if gone:
            self._operator.tell(Instruction.PLUG)
            back = self._events.state({ReaderState.READY, ReaderState.CARD}, self._trial.wait_ms)
        remark = "" if back else "not_back" if gone else "unplug_unseen"
        self._note(Result(Step.UNPLUG, Verdict.PASSED if back else Verdict.FAILED, remark))

    def _issued(self) -> None:
        """How many issued cards prove themselves, one after the other."""
        if not self._trial.cards or not self._operator.wants(Step.CARDS):
            self._note(Result(Step.CARDS, Verdict.SKIPPED, "not_asked"))
            return
        if all(one.name in IDENTIFYING for one in self._trial.schemes):
            self._note(Result(Step.CARDS, Verdict.SKIPPED, "no_ca_keys"))
            return
        for _ in range(self._trial.cards):
            try:
                self._methods[str(self._lay(Instruction.LAY_NEXT, self._method))] += 1
            except TimeoutError:  # the operator has no more
                break
            self._lift()
        laid = sum(self._methods.values())
        figures: dict[str, int | str] = {"laid": laid, **self._methods}
        self._note(Result(Step.CARDS, Verdict.NOTED, "" if laid else "no_cards", figures))

    def _method(self, card: ResettableConnection) -> str:
        try:
            return measure.method_of(card, self._trial.schemes, self._trial.context)
        except CardRemoved:
            return "lifted_too_early"
        except ReaderError as error:
            return type(error).__name__


def facts_of(name: str, driver: str, seen: Sighting, match: Match) -> ReaderFacts:
    """What the report says of the reader, from what it shows of itself and its profile."""
    version = seen.device_version
    fault = match.profile.fault_of(version)
    return ReaderFacts(
        name=name,
        driver=driver,
        profile=match.profile.id,
        model=match.profile.title,
        usb="" if seen.vid is None or seen.pid is None else f"{seen.vid:04X}:{seen.pid:04X}",
        device_version="" if version is None else version_text(version),
        firmware=seen.firmware,
        known_bad=fault.issue if fault else "",
    )


def _identity(facts: ReaderFacts) -> Result:
    if facts.known_bad:
        return Result(Step.IDENTITY, Verdict.FAILED, "known_bad", {"issue": facts.known_bad})
    if facts.profile.startswith("generic-"):
        return Result(Step.IDENTITY, Verdict.NOTED, "unknown_model", {"profile": facts.profile})
    return Result(Step.IDENTITY, Verdict.PASSED, "", {"profile": facts.profile})


def _timing(measured: Measured) -> Result:
    times = Distribution.of(measured.taps_us)
    figures: dict[str, int | str] = {
        "tap_p50_us": times.p50_us,
        "tap_p95_us": times.p95_us,
        "answer_bytes_longest": measured.answer_bytes_longest,
    }
    if not times.count:
        return Result(Step.TIMING, Verdict.FAILED, "nothing_timed", figures)
    slow = times.p95_us > TAP_P95_US_MAX
    return Result(
        Step.TIMING,
        Verdict.FAILED if slow else Verdict.PASSED,
        "too_slow" if slow else "",
        figures,
    )
