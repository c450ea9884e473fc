"""One position as its pages see it: the newest view, the state machine, and who watches.

The service calls back from any thread; the stage fetches the new view in a worker thread, hands it
to the kiosk screen or the counter desk, and wakes every page that watches. Presses go the other
way. All state lives here or in the service, so a page that reloads loses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ledger.errors import LogFault
from screens.language import Language
from screens.web import environment
from terminal.answers import PositionView
from terminal.errors import TerminalError
from terminal.receipts.printer import NO_PRINTER, PrintDesk
from terminal.surface import TerminalSurface
from terminal.web.corner import CornerJob, EnterJob, ProblemJob
from terminal.web.kiosk import KioskScene, KioskScreen, TileJob
from terminal.web.ulid import new_ulid
from terminal.web.watchers import Watchers

if TYPE_CHECKING:
    # A kiosk has sixty megabytes: what only a counter needs is imported where a counter begins.
    from terminal.web.clerk import Clerk
    from terminal.web.counter import CounterScene
    from terminal.web.desk import Desk
    from terminal.web.jobs import Books, Job

REGIONS: Final[dict[str, tuple[str, ...]]] = {
    "kiosk": ("head", "bands", "field", "foot"),
    "counter": ("head", "bands", "member", "work", "side", "foot"),
}
_RECENT_FETCHED: Final = 40
_ATTRIBUTES: Final = ("state", "mode", "large", "practice", "open", "printer")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A scene as a page takes it over: attributes of the body, and regions of HTML.

    Attributes:
        redraw_ms: monotonic time from which another scene holds, or ``None``.
    """

    language: Language
    body: dict[str, str]
    regions: dict[str, str]
    sound: str
    sound_key: str
    shown: str
    redraw_ms: int | None
    scene: object

    def message(self, boot: str) -> dict[str, Any]:
        """The JSON of one event."""
        return {
            "boot": boot,
            "lang": self.language.tag,
            "body": self.body,
            "regions": self.regions,
            "sound": self.sound,
            "sound_key": self.sound_key,
            "shown": self.shown,
        }


class Stage(Watchers):
    """Follows one position for all its pages; lives on one event loop."""

    #: Seconds after which a quiet stream looks at the clock again.
    beat_s = 8.0

    def __init__(
        self,
        surface: TerminalSurface,
        position: str,
        monotonic_ms: Callable[[], int],
        printer: PrintDesk | None = None,
    ) -> None:
        """Begins with the view that holds now.

        Args:
            surface: the running terminal.
            position: which of its positions.
            monotonic_ms: a monotonic clock, milliseconds.
            printer: the receipt printer, if this machine has one.

        Raises:
            PositionUnknown: no such position.
        """
        self._surface = surface
        self._monotonic_ms = monotonic_ms
        self._printer = printer
        super().__init__()
        self._refreshing = asyncio.Lock()
        self.position = position
        self.view: PositionView = surface.snapshot_view(position)
        self._kiosk: KioskScreen | None = None
        self._desk: Desk | None = None
        self._clerk: Clerk | None = None
        if self.view.profile == "kiosk":
            self._kiosk = KioskScreen(self.view, monotonic_ms())
        else:
            self._open_counter()

    def _open_counter(self) -> None:
        from terminal.web.clerk import Clerk
        from terminal.web.desk import Desk

        self._desk = Desk(self.view, self._books(), lambda: new_ulid(self.view.now_ms))
        self._clerk = Clerk(self._surface, self.position, self._printer)

    @property
    def page(self) -> str:
        """Which page draws this position: ``kiosk`` or ``counter``."""
        return "kiosk" if self._kiosk is not None else "counter"

    async def refresh(self) -> None:
        """Fetches the newest view and hands it on; views never overtake each other."""
        async with self._refreshing:
            self.view = await asyncio.to_thread(self._surface.snapshot_view, self.position)
            if self._kiosk is not None:
                self._kiosk.observe(self.view, self._monotonic_ms())
            elif self._desk is not None:
                wanted: Job | None = self._desk.observe(
                    self.view, await asyncio.to_thread(self._books)
                )
                await self._serve(wanted)
        self.wake()

    def draw(self, language: Language) -> Drawn:
        """The page at this moment, for a browser of this language."""
        scene: KioskScene | CounterScene
        redraw_ms = None
        if self._kiosk is not None:
            scene = self._kiosk.scene(language, self._monotonic_ms())
            redraw_ms = scene.redraw_ms
        else:
            from terminal.web import counter

            assert self._desk is not None
            scene = counter.scene(self._desk, language)
        env = environment(scene.language, "terminal.web")
        regions = {
            name: env.get_template(_file(self.page, name)).render(scene=scene)
            for name in REGIONS[self.page]
        }
        body = {"page": self.page}
        for name in _ATTRIBUTES:
            value = getattr(scene, name, None)
            if value is not None:
                body[name] = str(value).lower()
        return Drawn(
            scene.language,
            body,
            regions,
            scene.sound,
            scene.sound_key,
            scene.shown,
            redraw_ms,
            scene,
        )

    async def press(self, action: str, value: str) -> None:
        """A key or a touch on any page of this position; returns when its work is done.

        The newest view is fetched first: if the card has changed since the page was painted, the
        press means nothing any more, rather than something else.
        """
        await self.refresh()
        if self._kiosk is not None:
            await self._touch(self._kiosk, action, value)
            return
        assert self._desk is not None
        job = self._desk.key(value) if action == "key" else self._desk.press(action, value)
        self.wake()
        if job is not None:
            await self._serve(job)
            await self.refresh()

    async def _serve(self, job: Job | None) -> None:
        """Does a counter's job, and what follows from it."""
        while job is not None:
            assert self._clerk is not None
            job = await asyncio.to_thread(self._clerk.serve, self._desk, job)

    async def _touch(self, kiosk: KioskScreen, action: str, value: str) -> None:
        touched = kiosk.press(action, self._monotonic_ms(), value)
        if touched is not None:
            await asyncio.to_thread(self._serve_kiosk, kiosk, touched)
        elif action == "shown" and value:
            kiosk.painted(value, self._monotonic_ms())
            await asyncio.to_thread(self._surface.acknowledge, self.position, value)
        self.wake()
        if touched is not None or action == "shown":
            await self.refresh()

    def _serve_kiosk(self, kiosk: KioskScreen, job: CornerJob | TileJob) -> None:
        try:
            if isinstance(job, TileJob):
                self._surface.choose(self.position, job.offer)
            elif isinstance(job, EnterJob):
                proof = self._surface.staff_enter(self.position, job.pin)
                totals = self._surface.totals(self.position) if proof.ok else None
                kiosk.corner.proved(proof, totals)
            elif isinstance(job, ProblemJob):
                self._surface.report_problem(self.position, job.about)
                kiosk.corner.reported(kept=True)
            else:
                kiosk.corner.closed(self._surface.close_day(self.position))
        except (TerminalError, LogFault):
            if isinstance(job, ProblemJob):
                kiosk.corner.reported(kept=False)
                return
            # Nothing was written; the corner stays where it was, and the closed state tells why.
            kiosk.corner.closed(None)

    def _books(self) -> Books:
        from terminal.web.jobs import Books

        recent = self._surface.recent(self.position, _RECENT_FETCHED)
        printer = self._printer.shown if self._printer is not None else NO_PRINTER
        return Books(self._surface.totals(self.position), tuple(recent), printer)


def _file(page: str, region: str) -> str:
    return "bands.html" if region == "bands" else f"{page}_{region}.html"
