"""Carries out what a desk asks for, in a worker thread: over the service, or on paper."""

from __future__ import annotations

from typing import Any

from ledger.errors import LogFault
from screens.language import Language, wording
from terminal.answers import TapAnswer
from terminal.errors import NoCard, TerminalError
from terminal.receipts.printer import PrintDesk
from terminal.receipts.slips import receipt_of, sign_off_sheet
from terminal.surface import TerminalSurface
from terminal.web.desk import Desk
from terminal.web.jobs import AcknowledgeJob, DismissJob, Job, SyncJob, TapJob, VoidJob
from terminal.web.panels import PrintJob, SheetJob, WorkJob

#: Methods of the counter's work that are asked without a position, or with it by name.
_ASKED_BY_NAME = frozenset({"search"})


class Clerk:
    """Serves one position."""

    def __init__(
        self, surface: TerminalSurface, position: str, printer: PrintDesk | None = None
    ) -> None:
        """Works over ``surface``; without a printer the browser prints."""
        self._surface = surface
        self._position = position
        self._printer = printer

    def serve(self, desk: Desk | None, job: Job) -> Job | None:
        """Does a job and tells the desk; the next job that follows from it, if any."""
        answer, result, word = None, None, ""
        try:
            if isinstance(job, WorkJob):
                result = self._work(job)
            elif isinstance(job, PrintJob):
                self._print(job)
            elif isinstance(job, SheetJob):
                self._print(PrintJob(sign_off_sheet(job.collection, wording(_language(desk)))))
            else:
                answer = self._do(job)
        except NoCard:
            word = "no_card"
        except LogFault:
            word = "ledger_fault"
        except TerminalError as error:
            # The service said no before anything was written.
            told = getattr(error, "cause", "") or getattr(error, "word", "")
            word = str(told) or _WORDS.get(type(error).__name__, "refused")
        if desk is None:
            return None
        following: Job | None = desk.finished(job, answer, word, result)
        if answer is not None and isinstance(job, TapJob):
            following = self._unasked(desk, answer) or following
        return following

    def _work(self, job: WorkJob) -> Any:
        if job.method == "report_problem":
            return self._surface.report_problem(self._position, **job.arguments)
        work = getattr(self._surface.work, job.method)
        if job.method in _ASKED_BY_NAME:
            return work(position=self._position, **job.arguments)
        return work(self._position, **job.arguments)

    def _do(self, job: Job) -> TapAnswer | None:
        surface, position = self._surface, self._position
        if isinstance(job, TapJob):
            return surface.tap(
                position,
                job.offer,
                job.nonce,
                evidence=dict(job.evidence),
                quantity=job.quantity,
                supervisor=job.supervisor,
                supervisor_pin=job.supervisor_pin,
                reason=job.reason,
            )
        if isinstance(job, VoidJob):
            return surface.void(position, job.nonce, reason=job.reason, void_nonce=job.void_nonce)
        if isinstance(job, DismissJob):
            surface.dismiss(position)
        elif isinstance(job, AcknowledgeJob):
            surface.acknowledge(position, job.nonce)
        elif isinstance(job, SyncJob):
            surface.sync_now()
        return None

    def _print(self, job: PrintJob) -> None:
        if self._printer is not None:
            self._printer.print(job.lines, job.qr)

    def _unasked(self, desk: Desk, answer: TapAnswer) -> PrintJob | None:
        """The slip of a redemption, where each is printed unasked."""
        if self._printer is None or not self._printer.auto or not answer.green or answer.replay:
            return None
        view = self._surface.snapshot_view(self._position)
        recent = self._surface.recent(self._position)
        tap = next((one for one in recent if one.nonce == answer.nonce), None)
        words = wording(_language(desk))
        offer = desk.offers.get(answer.offer)
        receipt = receipt_of(answer, tap, view, words, offer=offer)
        return PrintJob(receipt.lines, receipt.qr, answer.nonce) if receipt is not None else None


_WORDS = {
    "ShiftState": "shift_state",
    "CollectionState": "collection_state",
    "RequestInvalid": "invalid",
    "PracticeUnavailable": "practice",
}


def _language(desk: Desk | None) -> Language:
    """Paper is Chinese unless the clerk has switched the page."""
    return Language.EN if desk is not None and desk.switched else Language.ZH
