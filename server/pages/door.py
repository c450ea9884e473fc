"""Signing in and out: password, second factor, the own password; and the demo's open door."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Final

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import Response

from server.errors import ImportRefused, NotAllowed
from server.pages.gate import safe_target
from server.pages.navigation import first_page
from server.pages.office import STEPS, Office, Visit, address_of, within
from server.sign_in import SignIn, Step

_PASSWORD_LETTERS_MAX: Final = 256
#: Who a visitor of the demo is unless another is named.
DEMO_PERSON: Final = "demo"


def mount(office: Office) -> None:
    """Adds the pages."""
    office.open_page("/sign-in", _name)
    office.open_act("/sign-in", _enter)
    office.open_page("/sign-in/code", _code)
    office.open_act("/sign-in/code", _second)
    office.open_page("/sign-in/set-up", _set_up)
    office.open_act("/sign-in/set-up", _second)
    office.open_page("/sign-in/password", _password)
    office.open_act("/sign-in/password", _change)
    office.open_act("/sign-out", _leave)
    office.open_page("/sign-in/demo", _demo)


async def _name(visit: Visit) -> Response:
    if visit.session is not None and visit.session.step is Step.DONE:
        return visit.go(first_page(visit.actor))
    return visit.draw("sign_in.html", next=safe_target(visit.query("next", "/")), fault="")


async def _enter(visit: Visit) -> Response:
    within(visit.office.sign_ins, address_of(visit))
    person = visit.form.get("person", "")
    password = visit.form.get("password", "")[:_PASSWORD_LETTERS_MAX]
    answer = await visit.core.door.enter(person, password)
    target = safe_target(visit.form.get("next", "/"))
    if answer.step in {Step.REFUSED, Step.LOCKED}:
        return visit.draw(
            "sign_in.html", status=403, next=target, fault=answer.step.value, answer=answer
        )
    return _on(visit, answer, target)


def _on(visit: Visit, answer: SignIn, target: str) -> Response:
    """Keeps the session's token and goes on to what is still missing."""
    step = STEPS.get(answer.step)
    response = visit.go(f"{step}?next={target}" if step else target)
    visit.cookie.set(response, answer.token)
    return response


async def _code(visit: Visit) -> Response:
    if not _stands_at(visit, Step.CODE):
        return visit.go("/sign-in")
    return visit.draw("code.html", next=safe_target(visit.query("next", "/")), fault="")


async def _set_up(visit: Visit) -> Response:
    if not _stands_at(visit, Step.SET_UP):
        return visit.go("/sign-in")
    return await _draw_set_up(visit, safe_target(visit.query("next", "/")), "")


async def _draw_set_up(visit: Visit, target: str, fault: str) -> Response:
    uri = await visit.core.door.begin_second_factor(visit.token)
    secret = uri.partition("secret=")[2].partition("&")[0]
    return visit.draw(
        "set_up.html",
        status=403 if fault else 200,
        next=target,
        fault=fault,
        code=qr(uri),
        secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
    )


async def _second(visit: Visit) -> Response:
    within(visit.office.sign_ins, address_of(visit))
    if visit.session is None or visit.session.step not in {Step.CODE, Step.SET_UP}:
        return visit.go("/sign-in")
    code = "".join(visit.form.get("code", "").split())
    answer = await visit.core.door.second(visit.token, code)
    target = safe_target(visit.form.get("next", "/"))
    if answer.step is Step.LOCKED:
        return visit.draw(
            "sign_in.html", status=403, next=target, fault=answer.step.value, answer=answer
        )
    if answer.step is Step.REFUSED:
        if visit.session.step is Step.SET_UP:
            return await _draw_set_up(visit, target, "refused")
        return visit.draw("code.html", status=403, next=target, fault="refused")
    return _on(visit, answer, target)


async def _password(visit: Visit) -> Response:
    if not _stands_at(visit, Step.PASSWORD, Step.DONE):
        return visit.go("/sign-in")
    return visit.draw("password.html", fault="", next=safe_target(visit.query("next", "/")))


async def _change(visit: Visit) -> Response:
    if not _stands_at(visit, Step.PASSWORD, Step.DONE):
        return visit.go("/sign-in")
    old = visit.form.get("old", "")[:_PASSWORD_LETTERS_MAX]
    new = visit.form.get("new", "")[:_PASSWORD_LETTERS_MAX]
    target = safe_target(visit.form.get("next", "/"))
    fault = "" if new == visit.form.get("again", "") else "differs"
    if not fault:
        try:
            await visit.core.door.change_password(visit.token, old, new)
        except NotAllowed:
            fault = "wrong"
        except ImportRefused:
            fault = "weak"
    if fault:
        return visit.draw("password.html", status=400, fault=fault, next=target)
    return visit.go(target if target != "/" else first_page(visit.actor), "password")


async def _leave(visit: Visit) -> Response:
    if visit.token:
        await visit.core.door.leave(visit.token)
    response = visit.go("/sign-in", "out")
    visit.cookie.drop(response)
    return response


async def _demo(visit: Visit) -> Response:
    """One click from the demo's own page; no other server has this door."""
    key = demo_key(str(getattr(visit.request.app.state, "token", "")))
    if not visit.office.demo or not key or not hmac.compare_digest(key, visit.query("key")):
        raise HTTPException(404)
    answer = await visit.core.door.demo_visit(visit.query("person", DEMO_PERSON))
    response = visit.go(safe_target(visit.query("next", "/")))
    visit.cookie.set(response, answer.token)
    return response


def demo_key(run_token: str) -> str:
    """What opens the demo's door, made of the run's secret, which it does not tell.

    Args:
        run_token: of ``run/server.json``; empty opens nothing.
    """
    return hmac.new(run_token.encode(), b"demo visit", sha256).hexdigest() if run_token else ""


def _stands_at(visit: Visit, *steps: Step) -> bool:
    return visit.session is not None and visit.session.step in steps


def qr(text: str) -> Markup:
    """A text as a picture for a scanner (ISO/IEC 18004)."""
    import segno

    made = segno.make(text, error="m", micro=False)
    drawn = made.svg_inline(scale=5, border=4, dark="#1B1613", light="#FFFFFF", omitsize=True)
    return Markup(drawn)  # noqa: S704 - made here of dark and light fields alone
