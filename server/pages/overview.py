"""The server's first page: terminals, figures of the month, open cases."""

from __future__ import annotations

from fastapi import FastAPI

from server.core import ServerCore


def mount_pages(app: FastAPI, core: ServerCore) -> None:
    """Adds the pages to the application."""
