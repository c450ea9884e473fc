"""The rules of who may ask the pages for what, each alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response

from server.pages import gate


@pytest.mark.parametrize(
    ("target", "goes"),
    [
        ("/audit?person=li", "/audit?person=li"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/a\r\nset-cookie: x", "/"),
        ("", "/"),
        ("/" + "a" * 600, "/"),
    ],
)
def test_a_sign_in_goes_on_to_our_own_pages_alone(target: str, goes: str) -> None:
    assert gate.safe_target(target) == goes


@given(st.text(max_size=80))
def test_no_target_leaves_the_site(target: str) -> None:
    gone = gate.safe_target(target)
    assert gone.startswith("/")
    assert not gone.startswith("//")
    assert "\\" not in gone


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1:8440", True),
        ("localhost", True),
        ("[::1]:8440", True),
        ("127.0.0.1.example", False),
        ("office.example", False),
        ("localhost@evil.example", False),
        ("[::2]:1", False),
        ("[bad", False),
        ("", False),
    ],
)
def test_the_cookie_goes_without_tls_on_this_machine_alone(host: str, loopback: bool) -> None:
    assert gate.is_loopback(host) is loopback
    response = Response()
    gate.SessionCookie(host).set(response, "t")
    cookie = response.headers["set-cookie"]
    assert ("Secure" not in cookie) is loopback
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert cookie.startswith("redcard-session=" if loopback else "__Host-redcard-session=")


def test_a_bucket_fills_again_and_forgets_the_oldest() -> None:
    now = [0]
    rate = gate.Rate(lambda: now[0], burst=3, per_minute=6)
    assert [rate.take("a") for _ in range(4)] == [0, 0, 0, 11]
    assert rate.take("b") == 0
    now[0] += 10_000
    assert rate.take("a") == 0
    assert rate.take("a") > 0
    now[0] -= 60_000  # a clock set back gives nothing away
    assert rate.take("a") > 0
    for number in range(gate._KEYS_MAX + 5):
        rate.take(str(number))
    assert len(rate._held) == gate._KEYS_MAX


def test_a_form_token_is_of_one_session() -> None:
    mine, other = b"1" * 32, b"2" * 32
    assert gate.is_form_token(mine, gate.form_token(mine))
    assert not gate.is_form_token(other, gate.form_token(mine))
    assert not gate.is_form_token(mine, "")
    assert not gate.is_form_token(mine, "\udcff")
    assert mine.hex() not in gate.form_token(mine)


@given(st.binary(max_size=300))
def test_any_body_is_a_form_or_a_declared_error(body: bytes) -> None:
    try:
        form = gate.read_form(body)
    except ValueError:
        return
    assert all(isinstance(value, str) for value in form.values())


def test_a_form_is_bounded() -> None:
    assert gate.read_form(b"a=1&a=2&b=%E5%AD%94") == {"a": "1 2", "b": "孔"}
    with pytest.raises(ValueError, match="too large"):
        gate.read_form(b"a" * (gate.FORM_BYTES_MAX + 1))
    with pytest.raises(ValueError):
        gate.read_form(b"&".join(b"a=1" for _ in range(gate.FORM_FIELDS_MAX + 1)))
