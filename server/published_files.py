"""Serves what is published: static files, each brought to this process before it is first sent."""

from __future__ import annotations

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from server.shelf import Shelf


class PublishedFiles(StaticFiles):
    """The folder of a shelf below its path."""

    def __init__(self, shelf: Shelf) -> None:
        """Serves nothing yet."""
        super().__init__(directory=shelf.folder, check_dir=False)
        self._shelf = shelf

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answers with a file, or 404."""
        await self._shelf.bring(path)
        return await super().get_response(path, scope)
