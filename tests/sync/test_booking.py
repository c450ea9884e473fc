"""The question of a booking and its answer: round trips, bounds, and refusals by name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.booking import (
    BookingAnswer,
    BookingQuestion,
    decode_booked,
    decode_booking,
    encode_booked,
    encode_booking,
)
from sync.errors import Malformed

WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=40)
QUESTIONS = st.builds(
    BookingQuestion,
    offer=WORDS,
    venue=WORDS,
    session=WORDS,
    last4=WORDS,
    name=WORDS | st.just(""),
    units=st.integers(1, 1000),
    ts_ms=st.integers(0, 2**53 - 1),
)


@given(QUESTIONS)
def test_a_question_is_read_as_it_is_written(question: BookingQuestion) -> None:
    assert decode_booking(encode_booking(question)) == question


@given(WORDS, st.booleans())
def test_an_answer_is_read_as_it_is_written(word: str, booked: bool) -> None:
    answer = BookingAnswer(
        origin="o",
        question="q",
        signed_ms=1,
        reservation=word if booked else "",
        fault="" if booked else word,
    )
    assert decode_booked(encode_booked(answer)) == answer


@given(st.binary(max_size=200), st.text(max_size=200))
def test_anything_else_is_malformed(data: bytes, text: str) -> None:
    for read in (lambda: decode_booking(data), lambda: decode_booked(text)):
        with pytest.raises(Malformed):
            read()


def test_bounds_are_named() -> None:
    good = {"offer": "a", "venue": "b", "session": "c", "last4": "8821", "ts_ms": 1}
    for name, value in (("offer", ""), ("name", "x" * 65), ("session", "a\nb"), ("units", 0)):
        with pytest.raises(Malformed, match=name):
            encode_booking(BookingQuestion(**{**good, name: value}))  # type: ignore[arg-type]
    with pytest.raises(Malformed, match="at most"):
        decode_booking(b"x" * 5_000)
    full = BookingAnswer(origin="o", question="q", signed_ms=1, fault="no room", cause="full")
    assert decode_booked(encode_booked(full)) == full
    newer = encode_booked(replace(full, cause="of_tomorrow"))
    assert decode_booked(newer) == replace(full, cause="")
    both = BookingAnswer(origin="o", question="q", signed_ms=1, reservation="r", fault="f")
    with pytest.raises(Malformed, match="a reservation or a fault"):
        decode_booked(encode_booked(both))
