"""Who waits for the next change of a page: one event for each open stream."""

from __future__ import annotations

import asyncio


class Watchers:
    """What a page's streams wait on. Used from the event loop alone."""

    def __init__(self) -> None:
        self._watchers: set[asyncio.Event] = set()

    def watch(self) -> asyncio.Event:
        """An event that is set with every change, until :meth:`unwatch`."""
        event = asyncio.Event()
        self._watchers.add(event)
        return event

    def unwatch(self, event: asyncio.Event) -> None:
        """Ends a watch."""
        self._watchers.discard(event)

    def wake(self) -> None:
        """Lets every page look again."""
        for event in self._watchers:
            event.set()
