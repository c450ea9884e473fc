"""The frame of the server's pages: who visits, what they may open, how a page is drawn.

A page is a function of a ``Visit``; here it gets its session, its right, its language and, for a
form, its checks. What goes wrong is said on a page of the same frame, with what happened, whether
anything was changed, and what to do next.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ledger.errors import LedgerError
from screens.language import Language, Wording, wording
from screens.web import LANGUAGE_COOKIE, PagePolicy, environment, language_of
from server.core import ServerCore
from server.errors import NotAllowed, Overloaded, PersonUnknown, ServerError, TerminalUnknown
from server.pages import gate, words
from server.pages.faults import said
from server.pages.navigation import menu_of
from server.pages.places import name_of
from server.roles import Actor, Right, Role
from server.sign_in import Session, Step

QUERY_LETTERS_MAX: Final = 128
_NOBODY: Final = Actor("nobody", Role.MERCHANT)
#: Where a half-open session goes on.
STEPS: Final = {
    Step.CODE: "/sign-in/code",
    Step.SET_UP: "/sign-in/set-up",
    Step.PASSWORD: "/sign-in/password",
}


@dataclass(frozen=True, slots=True)
class Visit:
    """One request for a page, or one form sent.

    Attributes:
        office: the pages.
        request: what was asked.
        language: of the page.
        session: who is signed in, ``None`` for nobody.
        form: fields sent.
        now_ms: server time.
    """

    office: Office
    request: Request
    language: Language
    session: Session | None
    form: Mapping[str, str] = field(default_factory=dict)
    now_ms: int = 0

    @property
    def core(self) -> ServerCore:
        """The server."""
        return self.office.core

    @property
    def actor(self) -> Actor:
        """Who visits."""
        return self.session.actor if self.session is not None else _NOBODY

    @property
    def cookie(self) -> gate.SessionCookie:
        """The session's cookie at this address."""
        return gate.SessionCookie(self.request.headers.get("host", ""))

    @property
    def token(self) -> str:
        """The session's own token, empty if there is none."""
        return self.request.cookies.get(self.cookie.name, "")[:QUERY_LETTERS_MAX]

    def query(self, name: str, default: str = "") -> str:
        """A parameter of the address, cut to what a filter may hold."""
        return self.request.query_params.get(name, default)[:QUERY_LETTERS_MAX].strip()

    def path(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])

    def number(self, name: str) -> int:
        """A part of the path that is a number.

        Raises:
            HTTPException: it is none.
        """
        text = self.path(name)
        if not text.isdecimal() or len(text) > 9:
            raise HTTPException(404)
        return int(text)

    def gettext(self, text: str) -> str:
        """A text in the page's language."""
        return wording(self.language).gettext(text)

    def draw(self, template: str, *, status: int = 200, **scene: Any) -> Response:
        """A page."""
        body = environment(self.language, "server.pages").get_template(template)
        text = body.render(**self._frame(), **scene)
        response = HTMLResponse(text, status, headers=_HEADERS)
        if self.query("lang") in set(Language):
            response.set_cookie(
                LANGUAGE_COOKIE, self.query("lang"), httponly=True, samesite="lax", path="/"
            )
        return response

    def go(self, path: str, said: str = "") -> Response:
        """On to another page, with a word on what was done (a name of ``words.SAID``)."""
        mark = "&" if "?" in path else "?"
        target = f"{path}{mark}said={said}" if said else path
        return RedirectResponse(target, 303, headers=_HEADERS)

    def file(self, data: bytes, name: str, media_type: str) -> Response:
        """A file to be kept."""
        headers = {**_HEADERS, "content-disposition": f'attachment; filename="{name}"'}
        return Response(data, media_type=media_type, headers=headers)

    def _frame(self) -> dict[str, Any]:
        words_here = wording(self.language)
        here = self.request.url.path
        session = self.session
        return {
            "visit": self,
            "who": self.actor,
            "signed_in": session is not None and session.step is Step.DONE,
            "form_token": gate.form_token(session.token_hash) if session is not None else "",
            "fresh_token": gate.fresh_token,
            "menu": menu_of(self.actor, here) if session is not None else (),
            "here": here,
            "said": words.SAID.get(self.query("said"), ""),
            "word": words.in_language(words_here),
            "in_words": lambda text: said(text, self.language)[0],
            "tongue_of": lambda text: said(text, self.language)[1],
            "moment": lambda ms: f"{words_here.date(ms)} {words_here.clock(ms)}",
            "period_name": lambda period: _period(words_here, period),
            "district_name": lambda code: (
                words_here.gettext(name_of(code, self.language)) if code else ""
            ),
            "AREAS": words.AREAS,
            "now_ms": self.now_ms,
            "other_language": str(self.request.url.include_query_params(lang=self.language.other)),
            "demo": self.office.demo,
        }


Page = Callable[[Visit], Awaitable[Response]]

_HEADERS: Final[Mapping[str, str]] = {
    **PagePolicy().headers(),
    # Forms then say where they come from; other sites still learn nothing.
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


class Office:
    """The server's pages on one application."""

    def __init__(self, app: FastAPI, core: ServerCore) -> None:
        """Adds nothing yet; see ``page`` and ``act``."""
        self._app = app
        self.core = core
        self.demo = core.door.is_demo
        self.sign_ins = _rate(core, gate.SIGN_INS_BURST, gate.SIGN_INS_PER_MINUTE)
        self.pages = _rate(core, gate.PAGES_BURST, gate.PAGES_PER_MINUTE)
        self.sent = gate.Sent()
        self.looks = _rate(core, gate.LOOKS_BURST, gate.LOOKS_PER_MINUTE)

    def page(self, path: str, right: Right, draw: Page) -> None:
        """Adds a page that whoever holds the right may open."""
        self._add("GET", path, draw, right)

    def act(self, path: str, right: Right, do: Page) -> None:
        """Adds what a form of ours may be sent to."""
        self._add("POST", path, do, right)

    def open_page(self, path: str, draw: Page) -> None:
        """Adds a page for whoever is not signed in yet, or not wholly."""
        self._add("GET", path, draw, None)

    def open_act(self, path: str, do: Page) -> None:
        """Adds a form for whoever is not signed in yet, or not wholly."""
        self._add("POST", path, do, None)

    def _add(self, method: str, path: str, page: Page, right: Right | None) -> None:
        async def answer(request: Request) -> Response:
            visit = await self._visit(request)
            try:
                return await self._answer(visit, page, right, sent=method == "POST")
            except (ServerError, LedgerError, HTTPException, ValueError) as fault:
                return refusal(visit, fault)

        self._app.add_api_route(
            path, answer, methods=[method], include_in_schema=False, response_model=None
        )

    async def problem(self, request: Request, fault: Exception) -> Response:
        """The page for an address that is none of ours, or for a fault of the server.

        Who asks is told by the session where it can still be read.
        """
        visit = Visit(self, request, language_of(request), None, now_ms=self.core.now_ms())
        with suppress(ServerError):
            visit = await self._visit(request)
        return refusal(visit, fault)

    async def _visit(self, request: Request) -> Visit:
        visit = Visit(self, request, language_of(request), None, now_ms=self.core.now_ms())
        session = await self.core.door.session(visit.token) if visit.token else None
        return Visit(self, request, visit.language, session, now_ms=visit.now_ms)

    async def _answer(
        self, visit: Visit, page: Page, right: Right | None, *, sent: bool
    ) -> Response:
        session = visit.session
        if right is not None:
            if session is None:
                return visit.go(f"/sign-in?next={visit.request.url.path}")
            if session.step is not Step.DONE:
                return visit.go(STEPS.get(session.step, "/sign-in"))
        key = session.token_hash.hex() if session is not None else _address(visit.request)
        _within(self.pages.take(key))
        if sent:
            visit = await _checked(visit)
        if right is not None:
            visit.actor.need(right)
        if session is not None and visit.form.get("once"):
            body = await visit.request.body()
            path = visit.request.url.path
            return await self.sent.once(session.token_hash, path, body, lambda: page(visit))
        return await page(visit)


async def _checked(visit: Visit) -> Visit:
    """A visit with its form, if the form came from a page of ours and of this session."""
    if not gate.own_origin(visit.request.headers):
        raise HTTPException(403)
    if int(visit.request.headers.get("content-length") or 0) > gate.FORM_BYTES_MAX:
        raise HTTPException(413)
    form = gate.read_form(await visit.request.body())
    session = visit.session
    if session is not None and not gate.is_form_token(session.token_hash, form.get("csrf", "")):
        raise HTTPException(403)
    return Visit(visit.office, visit.request, visit.language, session, form, visit.now_ms)


def refusal(visit: Visit, fault: Exception) -> Response:
    """A page that says what was refused."""
    status, what, remedy = words.PROBLEMS[_kind(fault)]
    bare = isinstance(fault, HTTPException) or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    told = "" if bare else str(fault)
    detail, tongue = said(told, visit.language)
    page = visit.draw(
        "refused.html",
        status=status,
        what=visit.gettext(what),
        remedy=visit.gettext(remedy),
        detail=detail,
        tongue=tongue,
    )
    if isinstance(fault, Overloaded):
        page.headers["Retry-After"] = str(fault.retry_after_s)
    return page


def _period(words: Wording, period: str) -> str:
    """``2014-05`` as people write a month; a year stays as it is."""
    year, _, month = period.partition("-")
    return words.month(int(year), int(month)) if month.isdecimal() else period


def _kind(fault: Exception) -> str:
    match fault:
        case HTTPException(status_code=403):
            return "foreign_form"
        case HTTPException(status_code=404) | TerminalUnknown() | PersonUnknown():
            return "missing"
        case NotAllowed():
            return "no_right"
        case Overloaded() | HTTPException(status_code=429):
            return "too_often"
        case HTTPException(status_code=405):
            return "missing"
        case ServerError() | LedgerError() | HTTPException() | ValueError():
            return "unsound"
    return "fault"


def _within(wait_s: int) -> None:
    if wait_s:
        raise Overloaded("too many requests", retry_after_s=wait_s, by_sender=True)


def within(rate: gate.Rate, key: str) -> None:
    """Takes a token of a rate.

    Raises:
        Overloaded: there is none.
    """
    _within(rate.take(key))


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else ""


def address_of(visit: Visit) -> str:
    """From which machine a request came."""
    return _address(visit.request)


def _rate(core: ServerCore, burst: int, per_minute: int) -> gate.Rate:
    return gate.Rate(core.now_ms, burst=burst, per_minute=per_minute)
