"""Who may ask the server's pages for what: origin, forms' own tokens, cookies, and how often.

The rules are plain functions of what a request says, so that each can be tested alone. A browser
that sends a form tells where the page came from; one that does not say so is refused, and so is
one whose token is not the session's own. Cookies are closed to scripts, go to this site alone, and
travel over TLS alone wherever the server is reached from another machine.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from starlette.responses import Response

FORM_BYTES_MAX: Final = 262_144
FORM_FIELDS_MAX: Final = 400
TARGET_LETTERS_MAX: Final = 512
#: Sign-in attempts of one address: at once, and then a minute.
SIGN_INS_BURST: Final = 20
SIGN_INS_PER_MINUTE: Final = 10
#: Pages of one session, and look-ups of one person.
PAGES_BURST: Final = 300
PAGES_PER_MINUTE: Final = 240
LOOKS_BURST: Final = 30
LOOKS_PER_MINUTE: Final = 20
_KEYS_MAX: Final = 10_000
_MINUTE_MS: Final = 60_000
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class Rate:
    """A bucket of tokens for each key, filled as time goes; keys longest unused are forgotten."""

    def __init__(self, now_ms: Callable[[], int], *, burst: int, per_minute: int) -> None:
        """Starts with full buckets.

        Args:
            now_ms: server time.
            burst: tokens that a bucket holds.
            per_minute: tokens that come back in a minute.
        """
        self._now_ms = now_ms
        self._burst = burst
        self._per_minute = per_minute
        self._held: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, key: str) -> int:
        """Takes a token; returns whole seconds until there is one, 0 if it was taken."""
        now_ms = self._now_ms()
        tokens, at_ms = self._held.pop(key, (float(self._burst), now_ms))
        back = max(0, now_ms - at_ms) * self._per_minute / _MINUTE_MS
        tokens = min(float(self._burst), tokens + back)
        wait_s = 0
        if tokens >= 1:
            tokens -= 1
        else:
            wait_s = int((1 - tokens) * 60 / self._per_minute) + 1
        self._held[key] = (tokens, now_ms)
        if len(self._held) > _KEYS_MAX:
            self._held.popitem(last=False)
        return wait_s


class Sent:
    """Forms that were sent, so that a second click or a reload does nothing twice.

    Each form that is drawn carries a token of its own. The same form with the same content is done
    once: who sends it again while it is being done waits for the same answer, and afterwards gets
    the same redirection. Other answers may hold what is shown once, and are not kept.
    """

    def __init__(self) -> None:
        """Has seen no form."""
        self._answers: OrderedDict[bytes, asyncio.Future[Response | None]] = OrderedDict()

    async def once(
        self, session: bytes, path: str, body: bytes, do: Callable[[], Awaitable[Response]]
    ) -> Response:
        """The answer to a form, made by ``do`` if it was not sent before.

        Args:
            session: whose form, by the hash of the session's token.
            path: where it was sent.
            body: all of it, its own token included.
            do: what it asks for.
        """
        key = sha256(b"\0".join((session, path.encode("utf-8", "replace"), body))).digest()
        held = self._answers.get(key)
        if held is not None:
            # Without an answer the first one was refused; then it is asked for again.
            return await asyncio.shield(held) or await do()
        self._answers[key] = answer = asyncio.get_running_loop().create_future()
        while len(self._answers) > _KEYS_MAX:
            self._answers.popitem(last=False)
        response: Response | None = None
        try:
            response = await do()
            return response
        finally:
            answer.set_result(response)
            if response is None or response.status_code != HTTPStatus.SEE_OTHER:
                self._answers.pop(key, None)


def fresh_token() -> str:
    """A token for one form as it is drawn."""
    return base64.urlsafe_b64encode(secrets.token_bytes(9)).decode("ascii")


def is_loopback(host: str) -> bool:
    """Whether a ``Host`` header names this machine itself."""
    return (urlsplit(f"//{host}").hostname or "") in _LOOPBACK if _sound(host) else False


def _sound(host: str) -> bool:
    try:
        parts = urlsplit(f"//{host}")
    except ValueError:
        return False
    return bool(parts.hostname) and parts.netloc == host and "@" not in host


def own_origin(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that a form was sent from a page of ours.

    ``Sec-Fetch-Site`` says it best; browsers without it send ``Origin`` with every form.
    """
    site = headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    origin = headers.get("origin")
    if origin is None or origin == "null":
        return site == "same-origin"
    host = headers.get("host", "")
    return bool(host) and urlsplit(origin).netloc == host


def form_token(token_hash: bytes) -> str:
    """The token that a session's forms carry; it tells nothing of the session's own."""
    made = hmac.digest(token_hash, b"redcard form", sha256)
    return base64.urlsafe_b64encode(made[:24]).decode("ascii")


def is_form_token(token_hash: bytes, sent: str) -> bool:
    """Whether a form carries its session's token."""
    return hmac.compare_digest(form_token(token_hash).encode(), sent.encode("utf-8", "replace"))


def read_form(body: bytes) -> dict[str, str]:
    """Fields of ``application/x-www-form-urlencoded``; fields of one name are joined by spaces.

    Raises:
        ValueError: not such a form, or more than one may hold.
    """
    if len(body) > FORM_BYTES_MAX:
        raise ValueError("the form is too large")
    pairs = parse_qsl(
        body.decode("utf-8"),
        keep_blank_values=True,
        max_num_fields=FORM_FIELDS_MAX,
        errors="strict",
    )
    form: dict[str, str] = {}
    for name, value in pairs:
        text = value.replace("\r\n", "\n").strip()
        form[name] = f"{form[name]} {text}" if form.get(name) else text
    return form


def safe_target(target: str) -> str:
    """Where to go after a sign-in: a path of ours, else the first page."""
    if not target.startswith("/") or target.startswith("//") or len(target) > TARGET_LETTERS_MAX:
        return "/"
    if any(letter in target for letter in "\\\r\n\t") or not target.isprintable():
        return "/"
    return target


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """The cookie of a session.

    Attributes:
        host: the request's ``Host``; on loopback alone the cookie may travel without TLS.
    """

    host: str

    @property
    def secure(self) -> bool:
        """Whether the cookie travels over TLS alone."""
        return not is_loopback(self.host)

    @property
    def name(self) -> str:
        """The prefix makes browsers refuse the cookie from a plain or a sister site."""
        return "__Host-redcard-session" if self.secure else "redcard-session"

    def set(self, response: Response, token: str) -> None:
        """Puts a token into the browser until it closes."""
        response.set_cookie(
            self.name, token, path="/", httponly=True, secure=self.secure, samesite="strict"
        )

    def drop(self, response: Response) -> None:
        """Takes it out again."""
        response.delete_cookie(
            self.name, path="/", httponly=True, secure=self.secure, samesite="strict"
        )
