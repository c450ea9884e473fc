"""Joins the server's pages to its application: what each loads, and every page in turn."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from screens.web import shared_static
from server.core import ServerCore
from server.pages import (
    cases,
    door,
    drafting,
    enrolling,
    hotline,
    members,
    offers,
    overview,
    people,
    reports,
    settlement,
    stock,
    terminals,
)
from server.pages.office import Office


def mount_pages(app: FastAPI, core: ServerCore) -> Office:
    """Adds all pages to the application; returns their frame, which also draws problems."""
    app.mount("/static/screens", shared_static(), name="screens")
    app.mount("/static/server", StaticFiles(packages=[("server.pages", "static")]), name="server")
    office = Office(app, core)
    for place in (
        door,
        enrolling,
        overview,
        drafting,
        offers,
        stock,
        hotline,
        members,
        terminals,
        cases,
        reports,
        settlement,
        people,
    ):
        place.mount(office)
    return office
