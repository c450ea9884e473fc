"""What every page stands on: templates, security headers and problem pages.

Pages load nothing from elsewhere and run no inline script or style, so the content security
policy is ``default-src 'self'``. Errors are problem details (RFC 9457): JSON for programs, a page
for people, and neither ever shows a trace, a path or a host name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus

from jinja2 import ChoiceLoader, Environment, PackageLoader, PrefixLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from screens.language import Language, Wording, minutes_seconds, negotiate, wording
from screens.sending import StaticFolder

LANGUAGE_COOKIE = "redcard_lang"
PROBLEM_JSON = "application/problem+json"


@dataclass(frozen=True, slots=True)
class PagePolicy:
    """Who may frame the pages and whom they may frame; nobody unless told.

    Attributes:
        framed_by: origins, as ``http://127.0.0.1:8000``, that may show the pages in a frame.
        frames: origins that the pages may show in a frame.
    """

    framed_by: Sequence[str] = ()
    frames: Sequence[str] = ()

    def headers(self) -> dict[str, str]:
        """The response headers of this policy, names in lower case."""
        ancestors = " ".join(self.framed_by) or "'none'"
        frames = " ".join(self.frames) or "'none'"
        policy = (
            f"default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; "
            f"frame-src {frames}; frame-ancestors {ancestors}"
        )
        headers = {
            "content-security-policy": policy,
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        }
        if not self.framed_by:
            headers["x-frame-options"] = "DENY"
        return headers


class SecurityHeaders:
    """ASGI middleware that puts a :class:`PagePolicy` on every answer; streams pass untouched."""

    def __init__(self, app: ASGIApp, policy: PagePolicy) -> None:
        """Wraps ``app``."""
        self._app = app
        self._headers = policy.headers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if not scope["path"].startswith("/static/"):
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)


@cache
def environment(language: Language, *packages: str) -> Environment:
    """Templates of the given packages, and the shared ones under ``screens/``, in one language.

    Args:
        language: whose wording ``_()``, dates and money use.
        packages: import names that have a ``templates`` folder, the first found wins.
    """
    words = wording(language)
    env = Environment(
        loader=ChoiceLoader(
            [
                PrefixLoader({"screens": PackageLoader("screens")}),
                *(PackageLoader(package) for package in packages),
            ]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    # The i18n extension adds this method at run time; the environment's type does not know it.
    env.install_gettext_callables(words.gettext, words.ngettext, newstyle=True)  # type: ignore[attr-defined]
    env.globals["language"] = language
    env.globals["month"] = words.month
    env.filters["date"] = words.date
    env.filters["full_date"] = words.full_date
    env.filters["clock"] = words.clock
    env.filters["money"] = words.money
    env.filters["number"] = words.number
    env.filters["kept_dots"] = kept_dots
    env.filters["minutes_seconds"] = minutes_seconds
    return env


def kept_dots(text: str) -> str:
    """A line may break after a middle dot, never before it."""
    return text.replace(" ·", "\N{NO-BREAK SPACE}·")


def shared_static() -> StaticFolder:
    """The shared style sheets and scripts, to be mounted at ``/static/screens``."""
    return StaticFolder("screens")


def language_of(request: Request) -> Language:
    """Language of a request: ``?lang=``, else the cookie, else the browser's header."""
    chosen = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
    return negotiate(chosen, request.headers.get("accept-language"))


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: what happened, whether anything was used, what to do next.

    Attributes:
        status: HTTP status.
        title: what happened, in a few words.
        detail: whether anything was recorded, and what to do.
        extra: further members of the JSON form, such as a status word.
    """

    status: int
    title: str
    detail: str
    extra: Mapping[str, str | int] = field(default_factory=dict)

    def members(self) -> dict[str, str | int]:
        """The members of the JSON form, RFC 9457 section 3.1."""
        return {
            "type": "about:blank",
            "status": self.status,
            "title": self.title,
            "detail": self.detail,
            **self.extra,
        }


def problem_response(request: Request, problem: Problem) -> Response:
    """The problem as a page when the client asks for HTML, else as problem JSON."""
    if "text/html" in request.headers.get("accept", ""):
        template = environment(language_of(request)).get_template("screens/problem.html")
        return HTMLResponse(template.render(problem=problem), status_code=problem.status)
    return JSONResponse(problem.members(), problem.status, media_type=PROBLEM_JSON)


def problem_of_status(words: Wording, status: int) -> Problem:
    """The general problem of an HTTP status, in words for the person before the screen."""
    if status == HTTPStatus.NOT_FOUND:
        title = words.gettext("There is no such page")
        detail = words.gettext("Nothing was recorded. Go back, or open the counter or kiosk again.")
    elif status in (HTTPStatus.FORBIDDEN, HTTPStatus.UNAUTHORIZED):
        title = words.gettext("This request was refused")
        detail = words.gettext("Nothing was recorded. Reload the page on this machine itself.")
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        title = words.gettext("The service met a fault")
        detail = words.gettext("What was confirmed is kept. Reload the page to see the last tap.")
    else:
        title = words.gettext("This request cannot be served")
        detail = words.gettext("Nothing was recorded. Reload the page and try again.")
    return Problem(status, title, detail)


def install_problem_pages(app: Starlette) -> None:
    """Makes ``app`` answer every failure with a problem of :func:`problem_of_status`."""

    async def refused(request: Request, fault: Exception) -> Response:
        status = fault.status_code if isinstance(fault, HTTPException) else 500
        problem = problem_of_status(wording(language_of(request)), status)
        return problem_response(request, problem)

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(Exception, refused)
