"""Who may talk to the loopback pages and their API.

The service listens on 127.0.0.1 alone, yet any web page in any browser of this machine can send
requests there, and any local program can connect. So each request must name us as its host, must
come from our own pages when a browser sends it, must be JSON when it changes something, and must
carry the token of this start: as a bearer token from the command line, as a cookie from our pages.
The address that ``redcard counter`` prints has the token once, in ``?key=``; it becomes the cookie.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hmac import compare_digest
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from screens.language import wording
from screens.web import (
    PROBLEM_JSON,
    PagePolicy,
    Problem,
    language_of,
    problem_of_status,
    problem_response,
)
from terminal.errors import RequestForbidden


def _(text: str) -> str:
    """Marks a text for translation where it stands in a table."""
    return text


BODY_BYTES_MAX: Final = 65_536
KEY_PARAMETER: Final = "key"
#: Paths that anyone on this machine may read: style sheets, scripts, sounds.
OPEN_PATHS: Final = ("/static/",)
_SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Gate:
    """The rules, without I/O.

    Attributes:
        token: secret of this start, from ``run/api.json``.
        port: port on which the service listens.
        framed_by: origins that may show our pages in a frame, such as the demo's.
    """

    token: str = field(repr=False)
    port: int
    framed_by: tuple[str, ...] = ()

    @property
    def cookie(self) -> str:
        """Name of the cookie; cookies are shared between ports, so the port is in the name."""
        return f"redcard_{self.port}"

    @property
    def hosts(self) -> frozenset[str]:
        """Accepted values of the Host header; anything else is DNS rebinding."""
        return frozenset(f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]"))

    def admit(self, scope: Scope) -> None:
        """Lets a request pass, or says which rule it breaks.

        Raises:
            RequestForbidden: with the rule's name; nothing was done.
        """
        headers = Headers(scope=scope)
        client = scope.get("client")
        if client and client[0] not in _LOOPBACK:
            raise RequestForbidden("the terminal answers on this machine only", rule="client")
        if len(headers.getlist("host")) != 1 or headers["host"].lower() not in self.hosts:
            raise RequestForbidden("open the page by the address 127.0.0.1", rule="host")
        safe = scope["method"] in _SAFE_METHODS
        self._check_origin(headers, safe=safe)
        self._check_site(headers, safe=safe)
        if not safe:
            self._check_body(headers)
        if not scope["path"].startswith(OPEN_PATHS):
            self._check_token(headers)

    def _check_origin(self, headers: Headers, *, safe: bool) -> None:
        origin = headers.get("origin")
        if origin is None:
            if not safe and "authorization" not in headers:
                raise RequestForbidden("a page must say where it comes from", rule="origin")
        elif origin.lower() not in {f"http://{host}" for host in self.hosts}:
            raise RequestForbidden("another web page may not ask the terminal", rule="origin")

    def _check_site(self, headers: Headers, *, safe: bool) -> None:
        site = headers.get("sec-fetch-site")
        if site in (None, "same-origin"):
            return
        navigates = safe and headers.get("sec-fetch-mode") == "navigate"
        # The address typed or opened by the user; or our own page inside the demo's frame.
        if navigates and (site == "none" or (site == "same-site" and self.framed_by)):
            return
        raise RequestForbidden("another web page may not ask the terminal", rule="site")

    def _check_body(self, headers: Headers) -> None:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise RequestForbidden("send application/json", rule="content_type")
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            raise RequestForbidden(f"send at most {BODY_BYTES_MAX} bytes", rule="length")

    def _check_token(self, headers: Headers) -> None:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        given = bearer if scheme.lower() == "bearer" else self._cookie_of(headers)
        if not self.is_token(given):
            raise RequestForbidden(
                "open the page by the address that `redcard counter` prints", rule="token"
            )

    def _cookie_of(self, headers: Headers) -> str:
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return ""
        return cookies[self.cookie].value if self.cookie in cookies else ""

    def is_token(self, text: str) -> bool:
        """Whether this is the token of this start, compared in constant time."""
        return bool(text) and compare_digest(text.encode(), self.token.encode())

    def key_of(self, scope: Scope) -> tuple[str, str] | None:
        """Path without ``?key=``, and the key, when a page is opened by the printed address."""
        query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        keys = [value for name, value in query if name == KEY_PARAMETER]
        if scope["method"] != "GET" or not keys:
            return None
        rest = urlencode([pair for pair in query if pair[0] != KEY_PARAMETER])
        # One leading slash only: `//host` would send the browser, cookie and all, elsewhere.
        path = "/" + str(scope["path"]).lstrip("/\\")
        return (path + (f"?{rest}" if rest else ""), keys[-1])


class Guard:
    """ASGI middleware that puts a :class:`Gate` and the page policy before an application."""

    def __init__(
        self, app: ASGIApp, *, token: str, port: int, framed_by: Iterable[str] = ()
    ) -> None:
        """Wraps ``app``.

        Args:
            app: the pages and the API.
            token: secret of this start.
            port: where the service listens.
            framed_by: origins that may show the pages in a frame.
        """
        self._app = app
        self.gate = Gate(token, port, tuple(framed_by))
        self._policy = PagePolicy(framed_by=tuple(framed_by)).headers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection; websockets are refused, there are none."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._policy.items():
                    headers.setdefault(name, value)
                if not scope["path"].startswith(OPEN_PATHS):
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        response = self._entrance(scope)
        if response is not None:
            await response(scope, receive, send_with_headers)
            return
        await self._app(scope, _limited(receive), send_with_headers)

    def _entrance(self, scope: Scope) -> Response | None:
        """A redirect that sets the cookie, a refusal, or ``None`` to go on."""
        opened = self.gate.key_of(scope)
        if opened is not None and self.gate.is_token(opened[1]):
            response = RedirectResponse(opened[0], status_code=303)
            response.set_cookie(self.gate.cookie, opened[1], httponly=True, samesite="strict")
            host = Headers(scope=scope).get("host", "").lower()
            return response if host in self.gate.hosts else _refusal(scope, "host", "wrong host")
        try:
            self.gate.admit(scope)
        except RequestForbidden as error:
            return _refusal(scope, error.rule, str(error))
        return None


#: What a refused person reads, in the words of the rule that was broken; all else is general.
_FOR_PEOPLE: Final = {
    "token": _("Open the page by the address that `redcard counter` or `redcard kiosk` prints."),
    "host": _("Open the page by the address 127.0.0.1 on this machine itself."),
    "client": _("The terminal answers on this machine only."),
}


def _refusal(scope: Scope, rule: str, what: str) -> Response:
    """A page for a person, a problem document for a program; neither did anything."""
    request = Request(scope)
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        words = wording(language_of(request))
        general = problem_of_status(words, 403)
        detail = words.gettext(_FOR_PEOPLE[rule]) if rule in _FOR_PEOPLE else general.detail
        return problem_response(request, Problem(403, general.title, detail))
    document = {
        "type": "about:blank",
        "status": 403,
        "title": "This request was refused",
        "detail": f"Nothing was recorded: {what}.",
        "rule": rule,
    }
    return JSONResponse(document, 403, media_type=PROBLEM_JSON)


def _limited(receive: Receive) -> Receive:
    """Cuts a body that grows past the limit whatever its header said."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > BODY_BYTES_MAX:
                return {"type": "http.disconnect"}
        return message

    return limited
