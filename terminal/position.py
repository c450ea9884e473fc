"""One position at one moment: its reader, the card at hand, what is shown, who waits for a card.

Plain state behind a lock; it decides nothing and writes nothing. ``terminal.service`` moves it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from ledger.rules.terms import Profile
from readers.pcsc import PcscReaders
from readers.supervision import ReaderHealth, ReaderState
from terminal.answers import Phase, ReaderShown, TapAnswer
from terminal.configuration import PositionConfig
from terminal.presenting import Presented

#: A card tapped at a counter stays at hand this long after it left the reader.
CARD_SESSION_MS: Final = 60_000
#: A tile touched at a kiosk waits this long for its card.
TILE_MS: Final = 20_000


@dataclass(frozen=True, slots=True)
class CardSession:
    """The card at hand at a counter.

    Attributes:
        present: it still lies on the reader.
        until_boot_ms: boot time at which it is forgotten.
        supervisor: the supervisor whose own card it is, or empty.
    """

    presented: Presented
    present: bool
    until_boot_ms: int
    supervisor: str = ""


class Position:
    """State of one position. Every method takes the lock itself."""

    def __init__(self, config: PositionConfig, changed: Callable[[str], None]) -> None:
        self.config = config
        self.profile = Profile(config.profile)
        self.lock = threading.RLock()
        self._changed = changed
        self._pattern = re.compile(config.reader)
        self._health: dict[str, ReaderHealth] = {}
        self._session: CardSession | None = None
        self._answer: TapAnswer | None = None
        self._phase = Phase.IDLE
        self._since_ms = 0
        self._armed: Future[Presented] | None = None
        self._taker: Callable[[Presented], None] | None = None
        self._tile = ("", 0)
        self.revision = 0

    @property
    def id(self) -> str:
        """Its name in ``terminal.toml``."""
        return self.config.id

    def serves(self, reader: str) -> bool:
        """Whether a reader of this name belongs to this position."""
        return self._pattern.search(reader) is not None

    def move(self, phase: Phase, now_ms: int) -> None:
        """Goes to a phase, and tells the pages."""
        with self.lock:
            self._phase, self._since_ms = phase, now_ms
            self._touch()

    def show(self, answer: TapAnswer, now_ms: int) -> TapAnswer | None:
        """Shows an answer; returns the one that it replaces."""
        with self.lock:
            replaced, self._answer = self._answer, answer
            self.move(Phase.ANSWER, now_ms)
            return replaced

    def clear(self, now_ms: int) -> TapAnswer | None:
        """Forgets card and answer; returns the answer that was shown."""
        with self.lock:
            shown, self._answer, self._session = self._answer, None, None
            self.move(Phase.IDLE, now_ms)
            return shown

    def take_card(self, session: CardSession, now_ms: int) -> None:
        """A card came to hand."""
        with self.lock:
            self._session = session
            self.move(Phase.CARD, now_ms)

    def card_left(self) -> None:
        """The card left the reader; its session runs on."""
        with self.lock:
            held = self._session
            if held is not None and held.present:
                self._session = CardSession(
                    held.presented, False, held.until_boot_ms, held.supervisor
                )
                self._touch()

    def end_session(self) -> None:
        """The card at hand was used; the next act needs a new tap."""
        with self.lock:
            self._session = None

    def session(self, boot_ms: int) -> CardSession | None:
        """The card at hand, if it is not forgotten."""
        with self.lock:
            held = self._session
            if held is not None and not held.present and held.until_boot_ms <= boot_ms:
                self._session = held = None
                if self._phase is Phase.CARD:
                    self._phase = Phase.IDLE
            return held

    def choose(self, offer: str, boot_ms: int) -> None:
        """A tile of a kiosk was touched; one that it does not have, or none, ends a choice."""
        with self.lock:
            known = offer in self.config.offers
            self._tile = (offer, boot_ms + TILE_MS) if known else ("", 0)
            self._touch()

    def offer(self, boot_ms: int) -> str:
        """The offer that a card tapped now is for; empty while none was chosen."""
        with self.lock:
            offer, until_ms = self._tile
            return offer if boot_ms < until_ms else self.config.offer

    def arm(self) -> Future[Presented]:
        """The next card goes to whoever holds the returned future; an earlier wait is ended."""
        with self.lock:
            self.disarm()
            self._armed = Future()
            return self._armed

    def disarm(self) -> None:
        """Nobody waits for a card any more."""
        with self.lock:
            waiting, self._armed = self._armed, None
            if waiting is not None:
                waiting.cancel()

    def release(self, waiting: Future[Presented]) -> None:
        """Whoever waited has given up."""
        with self.lock:
            if self._armed is waiting:
                self._armed = None
            waiting.cancel()

    def armed(self) -> bool:
        """Whether somebody waits for the next card."""
        with self.lock:
            return self._armed is not None

    def hand_over(self, presented: Presented) -> bool:
        """Gives a card to whoever waits for it, or takes all; ``False`` if nobody does."""
        with self.lock:
            (waiting, self._armed), taker = (self._armed, None), self._taker
        if waiting is not None and _deliver(waiting, presented):
            return True
        if taker is not None:
            taker(presented)
        return taker is not None

    def divert(self, taker: Callable[[Presented], None] | None) -> None:
        """Every card goes to a taker from now on, until it is diverted back with ``None``."""
        with self.lock:
            self._taker = taker

    def set_health(self, health: ReaderHealth) -> None:
        """A reader of this position has another state."""
        with self.lock:
            self._health[health.name] = health
            self._touch()

    def reader(self) -> ReaderShown:
        """The best reader of this position: one with a card, else ready, else whatever is there."""
        with self.lock:
            if not self._health:
                return ReaderShown("", ReaderState.ABSENT.value, "")
            # The service's own record says nothing of a reader that is stuck: it counts alone.
            told = [one for one in self._health.values() if one.name != PcscReaders.name]
            best = min(told or self._health.values(), key=lambda one: _ORDER[one.state])
            return ReaderShown(best.name, best.state.value, best.detail)

    def readers(self) -> list[ReaderHealth]:
        """The records of all readers seen at this position, by name."""
        with self.lock:
            return [self._health[name] for name in sorted(self._health)]

    def shown(self) -> tuple[Phase, int, TapAnswer | None]:
        """Phase, when it began, and the answer shown."""
        with self.lock:
            return self._phase, self._since_ms, self._answer

    def touch(self) -> None:
        """Something around the position changed; pages fetch a new view."""
        with self.lock:
            self._touch()

    def _touch(self) -> None:
        self.revision += 1
        self._changed(self.config.id)


def _deliver(waiting: Future[Presented], presented: Presented) -> bool:
    if not waiting.set_running_or_notify_cancel():
        return False
    waiting.set_result(presented)
    return True


_ORDER: Final = {
    ReaderState.CARD: 0,
    ReaderState.READY: 1,
    ReaderState.OPENING: 2,
    ReaderState.FAULT: 3,
    ReaderState.ABSENT: 4,
}
