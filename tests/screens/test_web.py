import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from screens.language import Language, wording
from screens.web import (
    PagePolicy,
    Problem,
    SecurityHeaders,
    environment,
    install_problem_pages,
    language_of,
    problem_of_status,
    shared_static,
)
from tests.screens.asking import ask


def broken(request: Request) -> Response:
    raise RuntimeError("/secret/path on host db-17")


def told(request: Request) -> Response:
    return JSONResponse({"lang": language_of(request).value})


def application(policy: PagePolicy | None = None) -> ASGIApp:
    app = Starlette(
        routes=[
            Route("/broken", broken),
            Route("/told", told),
            Route("/plain", lambda request: PlainTextResponse("x")),
            Mount("/static/screens", shared_static()),
        ]
    )
    install_problem_pages(app)
    return SecurityHeaders(app, policy or PagePolicy())


def test_pages_may_load_nothing_from_elsewhere() -> None:
    headers = ask(application(), "/plain").headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


def test_only_the_named_origin_may_frame_and_be_framed() -> None:
    origin = "http://127.0.0.1:8000"
    headers = ask(application(PagePolicy(framed_by=[origin], frames=[origin])), "/plain").headers
    policy = headers["content-security-policy"]
    assert f"frame-ancestors {origin}" in policy
    assert f"frame-src {origin};" in policy
    assert "x-frame-options" not in headers


def test_a_fault_tells_nothing_of_the_inside() -> None:
    answer = ask(application(), "/broken", headers={"accept": "text/html", "accept-language": "zh"})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "db-17" not in answer.text
    assert "服务遇到故障" in answer.text
    document = ask(application(), "/broken").json()
    assert document["status"] == 500
    assert "secret" not in str(document)


def test_programs_get_problem_json() -> None:
    answer = ask(application(), "/nothing")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "status", "title", "detail"}


@pytest.mark.parametrize("status", [400, 403, 404, 409, 500, 503])
def test_each_status_has_both_languages(status: int) -> None:
    zh = problem_of_status(wording(Language.ZH), status)
    en = problem_of_status(wording(Language.EN), status)
    assert zh.title != en.title
    assert zh.detail != en.detail


def test_a_problem_carries_its_extra_members() -> None:
    problem = Problem(409, "Gap", "Send from 3.", {"status_word": "need_from", "need_from": 3})
    assert problem.members()["status_word"] == "need_from"


def test_language_comes_from_the_switch_then_the_cookie_then_the_browser() -> None:
    one = application()
    assert ask(one, "/told?lang=en").json()["lang"] == "en"
    assert ask(one, "/told", headers={"cookie": "redcard_lang=en"}).json()["lang"] == "en"
    assert ask(one, "/told", headers={"accept-language": "en-GB"}).json()["lang"] == "en"
    assert ask(one, "/told").json()["lang"] == "zh"


@pytest.mark.parametrize("name", ["palette.css", "base.css", "icon.svg"])
def test_shared_files_are_served_and_stand_alone(name: str) -> None:
    answer = ask(application(), f"/static/screens/{name}")
    assert answer.status_code == 200
    assert "url(" not in answer.text
    assert "@import" not in answer.text


def test_templates_escape_what_they_are_given() -> None:
    page = environment(Language.EN).get_template("screens/problem.html")
    html = page.render(problem=Problem(400, "<script>alert(1)</script>", "x"))
    assert "<script>alert" not in html
