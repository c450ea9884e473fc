"""Problems that somebody at this terminal reports: kept in the journal until the server has them.

What it is about is chosen, never typed, so nothing about a person can get in. A report is filed by
the server as a case; the same report sent twice is one case.
"""

from __future__ import annotations

import logging
from typing import Final

from sync.errors import Malformed
from sync.health import PROBLEMS, ProblemReport, decode_problem, encode_problem
from terminal.errors import RequestInvalid
from terminal.journal import Journal

#: The newest are kept while there is no server to take them.
REPORTS_KEPT_MAX: Final = 20
_PREFIX: Final = "problem."
_LOG: Final = logging.getLogger("redcard.problems")


class ProblemDesk:
    """Reports that wait in a journal. Safe from several threads, and beside another desk."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def keep(self, report: ProblemReport) -> int:
        """Keeps a report, durable on return; how many wait now.

        Raises:
            RequestInvalid: it is about nothing that is known.
            JournalFault: it could not be kept.
        """
        if report.about not in PROBLEMS:
            raise RequestInvalid(f"one of {', '.join(PROBLEMS)}", field="about")
        self._journal.store_fact(_PREFIX + report.nonce, encode_problem(report).decode("utf-8"))
        waiting = self.waiting()
        for old in waiting[:-REPORTS_KEPT_MAX]:
            self.forget(old)
        return min(len(waiting), REPORTS_KEPT_MAX)

    def waiting(self) -> list[ProblemReport]:
        """Reports that the server does not have yet, oldest first."""
        found = []
        for name, text in self._journal.facts(_PREFIX).items():
            try:
                found.append(decode_problem(text.encode("utf-8")))
            except Malformed as error:
                _LOG.warning("a report that cannot be read is dropped: %s", error)
                self._journal.forget_fact(name)
        return found

    def forget(self, report: ProblemReport) -> None:
        """The server has it."""
        self._journal.forget_fact(_PREFIX + report.nonce)
