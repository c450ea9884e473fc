"""Tells the server of this terminal: queue, snapshot, clock, readers, version, settings in force.

At most every five minutes, and at once when something that a person would look at has changed. A
report that does not get through is told again later; nothing waits for it.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from ledger.errors import LedgerError
from ledger.log import canonical
from ledger.log.reading import LogReader
from readers.supervision import ReaderHealth
from sync.batch import ledger_of
from sync.client import Client
from sync.errors import SyncError
from sync.health import (
    HEALTH_MEDIA_TYPE,
    READERS_MAX,
    Health,
    encode_health,
    encode_problem,
    health_path,
    problems_path,
)
from terminal.configuration import TerminalConfig
from terminal.errors import JournalFault
from terminal.machine import software_version
from terminal.parts import Parts
from terminal.problems import ProblemDesk
from terminal.remote_settings import RemoteSettings
from terminal.state import TerminalFacts

REPORT_EVERY_MS: Final = 5 * 60_000
_WORD_MAX: Final = 120
_LOG: Final = logging.getLogger("redcard.reporting")


class Reporter:
    """Makes and sends reports.

    Args:
        home: folder of the ledger, for the space left.
        source: the ledger, read only.
        facts: snapshot, clock and link.
        settings: which remote settings are in force.
    """

    def __init__(
        self,
        home: Path,
        source: LogReader,
        facts: TerminalFacts,
        settings: RemoteSettings,
    ) -> None:
        self._home = home
        self._source = source
        self._facts = facts
        self._settings = settings
        self._readers: Callable[[], Sequence[ReaderHealth]] = tuple
        self._problems: ProblemDesk | None = None
        self._told_ms = -REPORT_EVERY_MS
        self._told: tuple[object, ...] = ()

    def begin(self, parts: Parts, readers: Callable[[], Sequence[ReaderHealth]]) -> None:
        """Puts the remote settings in force, and knows readers and reports as they stand."""
        self._problems = ProblemDesk(parts.journal)
        self._readers = readers
        self._settings.use(partial(put_in_force, parts))

    def tell(self, client: Client) -> None:
        """Sends what people reported, and its own health if that is due.

        A server that does not take it is no fault of ours.
        """
        self._tell_problems(client)
        clock_ms = self._facts.time.clock.boot_ms()
        try:
            health = self.health()
        except (LedgerError, JournalFault, OSError) as error:
            _LOG.warning("this terminal cannot say how it is: %s", error)
            return
        matters = (health.snapshot, health.configuration, health.fault, health.readers)
        if clock_ms - self._told_ms < REPORT_EVERY_MS and matters == self._told:
            return
        self._told_ms, self._told = clock_ms, matters
        try:
            path = health_path(ledger_of(self._source.origin))
            client.tell(path, encode_health(health), HEALTH_MEDIA_TYPE)
        except (SyncError, LedgerError, OSError) as error:
            _LOG.info("the report of health was not taken: %s", error)

    def _tell_problems(self, client: Client) -> None:
        desk = self._problems
        if desk is None:
            return
        path = problems_path(ledger_of(self._source.origin))
        try:
            for report in desk.waiting():
                client.tell(path, encode_problem(report), HEALTH_MEDIA_TYPE)
                desk.forget(report)
        except (SyncError, LedgerError, JournalFault, OSError) as error:
            _LOG.info("a report of a problem was not taken and waits: %s", error)

    def health(self) -> Health:
        """This terminal as it stands."""
        acknowledged = self._facts.link.acknowledged
        standing = self._settings.standing
        return Health(
            ts_ms=self._facts.time.clock.wall_ms(),
            size=self._source.size,
            acknowledged=min(acknowledged, self._source.size),
            oldest_ms=self._oldest_ms(acknowledged),
            snapshot_ms=self._facts.installed.signed_ms,
            snapshot=self._facts.snapshot_age(self._facts.time.now()).value,
            version=software_version(),
            configuration=standing.version,
            fault=standing.fault,
            readers=tuple(_told(one) for one in self._readers()[:READERS_MAX]),
            disk_mb=shutil.disk_usage(self._home).free >> 20,
        )

    def _oldest_ms(self, acknowledged: int) -> int:
        if acknowledged >= self._source.size:
            return 0
        for body in self._source.entries(acknowledged, acknowledged + 1):
            value = canonical.decode(body).get("ts_ms", 0)
            return value if isinstance(value, int) else 0
        return 0


def _told(health: ReaderHealth) -> str:
    name = health.name.replace("|", "/")
    return f"{name}|{health.state.value}"[:_WORD_MAX]


def put_in_force(parts: Parts, config: TerminalConfig) -> None:
    """Sets what can be set from afar, from the next tap and the next exchange on."""
    parts.courier.every_ms = config.sync_every_ms
    parts.flow.offline_cap = config.offline_cap
    parts.facts.limit_age(config.snapshot_max_age_ms)
