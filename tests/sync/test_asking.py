"""Questions at the tap and their answers: round trips, limits, and what is signed."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.log import canonical
from sync.asking import (
    QUESTION_BYTES_MAX,
    Answer,
    HoldQuestion,
    LeaseQuestion,
    Word,
    decode_answer,
    decode_hold,
    decode_lease,
    digest,
    encode_answer,
    encode_hold,
    encode_lease,
)
from sync.errors import Malformed
from sync.protocol import (
    INTEGER_MAX,
    REQUEST_SKEW_MS_MAX,
    StatusWord,
    authorize,
    check_authorization,
    request_message,
)

LEDGER = "a" * 26
UNITS = st.integers(1, 2**31 - 1)
TIMES = st.integers(0, INTEGER_MAX)
NAMES = st.text(string.ascii_letters + string.digits + "-_.", min_size=1, max_size=64)
CARDS = st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=26, max_size=26)
NONCES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x7f", min_codepoint=32),
    min_size=1,
    max_size=64,
)
HOLDS = st.builds(
    HoldQuestion,
    nonce=NONCES,
    card=CARDS,
    offer=NAMES,
    offer_version=st.integers(0, 2**31 - 1),
    quantity=UNITS,
    companions=st.integers(0, 2**31 - 1),
    venue=NAMES,
    ts_ms=TIMES,
    agent=st.just("") | CARDS,
    supervisor=st.just("") | NAMES,
    reason=st.just("") | NAMES,
)
LEASES = st.builds(
    LeaseQuestion,
    offer=NAMES,
    venue=NAMES,
    units=UNITS,
    lease=st.just("") | NAMES,
    left=st.integers(0, 2**31 - 1),
    after=TIMES,
    ts_ms=TIMES,
)
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
ANSWERS = st.one_of(
    st.builds(
        Answer,
        word=st.just(Word.HELD),
        origin=NAMES,
        question=DIGESTS,
        until_ms=TIMES,
        signed_ms=TIMES,
    ),
    st.builds(
        Answer,
        word=st.just(Word.REFUSED),
        origin=NAMES,
        question=DIGESTS,
        signed_ms=TIMES,
        code=st.from_regex(r"[A-Z][0-9]{2}", fullmatch=True),
        until_ms=st.none() | TIMES,
    ),
    st.builds(
        Answer,
        word=st.sampled_from([Word.GRANTED, Word.POOL_EMPTY, Word.VENUE_EMPTY]),
        origin=NAMES,
        question=DIGESTS,
        signed_ms=TIMES,
    ),
)
HOLD = HoldQuestion(
    nonce="n1",
    card="c" * 26,
    offer="clinic",
    offer_version=3,
    quantity=2,
    companions=1,
    venue="S01",
    ts_ms=1_401_415_200_000,
)
LEASE = LeaseQuestion(
    offer="pack", venue="S01", units=2, lease="abc", left=1, after=7, ts_ms=1_401_415_200_000
)
HELD = Answer(
    word=Word.HELD, origin="d/redcard/l", question="0" * 64, signed_ms=1_000, until_ms=2_000
)


@given(HOLDS)
def test_a_question_for_a_hold_goes_there_and_back(question: HoldQuestion) -> None:
    body = encode_hold(question)
    assert decode_hold(body) == question
    assert encode_hold(decode_hold(body)) == body


@given(LEASES)
def test_a_question_for_units_goes_there_and_back(question: LeaseQuestion) -> None:
    body = encode_lease(question)
    assert decode_lease(body) == question
    assert encode_lease(decode_lease(body)) == body


@given(ANSWERS)
def test_an_answer_goes_there_and_back(answer: Answer) -> None:
    text = encode_answer(answer)
    assert text.endswith("\n")
    assert decode_answer(text) == answer
    assert encode_answer(decode_answer(text)) == text


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8")))
def test_readers_of_questions_are_total(data: bytes) -> None:
    for decode in (decode_hold, decode_lease):
        with pytest.raises(Malformed):
            decode(data)


@given(st.text(max_size=300), st.text(max_size=60))
def test_the_reader_of_answers_is_total(text: str, tail: str) -> None:
    for one in (text, f"redcard-answer/v1\n{text}", encode_answer(HELD) + tail + "x"):
        with pytest.raises(Malformed):
            decode_answer(one)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nonce", ""),
        ("nonce", "a\nb"),
        ("nonce", "x" * 65),
        ("nonce", "\ud800"),
        ("card", "A" * 26),
        ("card", "a" * 25),
        ("offer", ""),
        ("offer", "a b"),
        ("venue", ""),
        ("quantity", 0),
        ("quantity", -1),
        ("companions", -1),
        ("offer_version", 2**31),
        ("ts_ms", -1),
        ("agent", "a b"),
        ("assurance", ""),
        ("supervisor", "a\n"),
        ("reason", "x" * 65),
    ],
)
def test_a_malformed_question_for_a_hold_is_refused_by_both_ends(field: str, value: Any) -> None:
    with pytest.raises(Malformed):
        encode_hold(replace(HOLD, **{field: value}))
    record = {**canonical.decode(encode_hold(HOLD)), field: value}
    if value == "\ud800":
        return
    with pytest.raises(Malformed):
        decode_hold(canonical.encode(record))


@pytest.mark.parametrize(
    ("field", "value"),
    [("offer", ""), ("venue", "a b"), ("units", 0), ("lease", "\x00"), ("left", -1), ("after", -1)],
)
def test_a_malformed_question_for_units_is_refused_by_both_ends(field: str, value: Any) -> None:
    with pytest.raises(Malformed):
        encode_lease(replace(LEASE, **{field: value}))
    with pytest.raises(Malformed):
        decode_lease(canonical.encode({**canonical.decode(encode_lease(LEASE)), field: value}))


@pytest.mark.parametrize(
    ("encode", "decode"), [(encode_hold, decode_hold), (encode_lease, decode_lease)]
)
def test_every_field_is_needed_and_of_its_type(
    encode: Callable[[Any], bytes], decode: Callable[[bytes], Any]
) -> None:
    record = canonical.decode(encode(HOLD if encode is encode_hold else LEASE))
    for name, value in record.items():
        with pytest.raises(Malformed):
            decode(canonical.encode({key: one for key, one in record.items() if key != name}))
        wrong: bool | str = True if isinstance(value, int) else ""
        with pytest.raises(Malformed):
            decode(canonical.encode({**record, name: wrong} | ({name: 1} if wrong == "" else {})))
    assert decode(canonical.encode({**record, "later": "ignored"})) is not None
    with pytest.raises(Malformed, match="4096"):
        decode(b" " * (QUESTION_BYTES_MAX + 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"until_ms": None},
        {"code": "L05"},
        {"word": Word.REFUSED},
        {"word": Word.REFUSED, "code": "L5"},
        {"word": Word.GRANTED},
        {"word": Word.POOL_EMPTY, "until_ms": None, "code": "L05"},
        {"origin": ""},
        {"question": "0" * 63},
        {"signed_ms": -1},
        {"until_ms": -1},
    ],
)
def test_an_answer_that_contradicts_itself_is_refused_by_both_ends(changes: Any) -> None:
    with pytest.raises(Malformed):
        encode_answer(replace(HELD, **changes))


def test_an_answer_of_a_newer_server_is_refused_and_not_guessed() -> None:
    with pytest.raises(Malformed, match="not known"):
        decode_answer(encode_answer(HELD).replace('"held"', '"maybe"'))


def test_the_nonces_content_is_that_of_the_ledger() -> None:
    same = replace(HOLD, ts_ms=5, supervisor="s1", reason="x", offer_version=9, venue="M01")
    assert same.content() == HOLD.content()
    for changes in (
        {"card": "d" * 26},
        {"offer": "museum"},
        {"quantity": 3},
        {"companions": 0},
        {"agent": "e" * 26},
    ):
        assert replace(HOLD, **changes).content() != HOLD.content()


def test_the_signature_of_a_post_covers_its_body_and_is_none_of_a_get() -> None:
    target, now_ms = "/v1/logs/x/holds", 1_000
    signed: list[bytes] = []

    def sign(message: bytes) -> bytes:
        signed.append(message)
        return b"s" * 64

    body = encode_hold(HOLD)
    header = authorize(LEDGER, target, now_ms, sign, body)
    assert signed == [f"POST\n{target}\n1000\n{digest(body)}\n".encode()]

    def check(seen: bytes | None, at_ms: int = now_ms) -> StatusWord | str:
        problem = check_authorization(
            header,
            ledger=LEDGER,
            target=target,
            now_ms=at_ms,
            verify=lambda message, _signature: message in signed,
            body=seen,
        )
        return problem.status_word if problem else ""

    assert check(body) == ""
    assert check(body + b" ") == StatusWord.UNSIGNED
    assert check(b"") == StatusWord.UNSIGNED
    assert check(None) == StatusWord.UNSIGNED
    assert check(body, now_ms + REQUEST_SKEW_MS_MAX + 1) == StatusWord.STALE_REQUEST
    assert request_message(target, 1) != request_message(target, 1, b"")
