from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.errors import Malformed
from sync.protocol import (
    BATCH_BYTES_MAX,
    REQUEST_SKEW_MS_MAX,
    Batch,
    Problem,
    StatusWord,
    authorize,
    check_authorization,
    decode_batch,
    decode_problem,
    decode_size,
    encode_batch,
    encode_problem,
    encode_size,
    feed_path,
    parse_authorization,
)
from tests.sync.signed_log import key, ledger_name

LEDGER = ledger_name(7)
ENTRY = st.binary(max_size=60).map(lambda data: data.replace(b"\n", b""))
BATCHES = st.builds(
    Batch,
    st.just(LEDGER),
    st.integers(0, 2**50),
    st.lists(ENTRY, min_size=1, max_size=8).map(tuple),
    st.binary(min_size=1, max_size=100),
)


@given(BATCHES)
def test_batch_round_trip(batch: Batch) -> None:
    data = encode_batch(batch)
    assert decode_batch(data, ledger=LEDGER) == batch
    assert encode_batch(decode_batch(data, ledger=LEDGER)) == data


@given(st.binary(max_size=300) | st.binary(max_size=80).map(lambda b: b"redcard-batch/v1\n" + b))
def test_decoding_anything_gives_a_batch_or_malformed(data: bytes) -> None:
    try:
        batch = decode_batch(data, ledger=LEDGER)
    except Malformed:
        return
    assert encode_batch(batch) == data


@given(BATCHES, st.data())
def test_a_changed_byte_never_reads_as_the_same_batch(batch: Batch, data: st.DataObject) -> None:
    body = bytearray(encode_batch(batch))
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        changed = decode_batch(bytes(body), ledger=LEDGER)
    except Malformed:
        return
    assert changed != batch


@given(BATCHES, st.integers(1, 40))
def test_a_truncated_batch_is_malformed(batch: Batch, cut: int) -> None:
    with pytest.raises(Malformed):
        decode_batch(encode_batch(batch)[:-cut], ledger=LEDGER)


@pytest.mark.parametrize(
    "data",
    [
        b"redcard-batch/v1\nold 00\ncount 1\ncheckpoint 1\n\nxe\n",
        b"redcard-batch/v1\nold 0\ncount 501\ncheckpoint 1\n\nx" + b"e\n" * 501,
        b"redcard-batch/v1\nold 0\ncount 0\ncheckpoint 1\n\nx",
        b"redcard-batch/v1\nold 0\ncount 1\ncheckpoint 0\n\ne\n",
        b"redcard-batch/v1\nold 9007199254740991\ncount 1\ncheckpoint 1\n\nxe\n",
        b"redcard-batch/v1\nold 0\ncount 1\ncheckpoint 1\n\nxe\n\n",
        b"redcard-batch/v1\nold 0\ncount 2\ncheckpoint 1\n\nxe\n",
        b"redcard-batch/v1\r\nold 0\ncount 1\ncheckpoint 1\n\nxe\n",
        b"redcard-batch/v1\nold 0\ncount 1\ncheckpoint 99999\n\nxe\n",
    ],
)
def test_limits_and_only_spelling(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode_batch(data, ledger=LEDGER)


def test_a_batch_of_more_than_a_mebibyte_is_malformed() -> None:
    batch = Batch(LEDGER, 0, (b"x" * BATCH_BYTES_MAX,), b"c")
    with pytest.raises(Malformed):
        encode_batch(batch)
    data = b"redcard-batch/v1\nold 0\ncount 1\ncheckpoint 1\n\nc" + b"x" * BATCH_BYTES_MAX + b"\n"
    with pytest.raises(Malformed):
        decode_batch(data, ledger=LEDGER)


def test_an_entry_with_a_line_feed_cannot_be_sent() -> None:
    with pytest.raises(Malformed):
        encode_batch(Batch(LEDGER, 0, (b"a\nb",), b"c"))


@given(st.integers(0, 2**53 - 1))
def test_size_round_trip(size: int) -> None:
    assert decode_size(encode_size(size)) == size


@given(st.binary(max_size=40))
def test_size_is_total(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert encode_size(decode_size(data)) == data


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@given(st.integers(400, 599), TEXT, TEXT, TEXT)
def test_problem_round_trip(status: int, word: str, detail: str, reason: str) -> None:
    problem = Problem(status, word, detail, reason)
    assert decode_problem(encode_problem(problem), status=status) == problem


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers(), st.lists).map(
        lambda value: json.dumps(value).encode()
    )
)
def test_problem_is_total(data: bytes) -> None:
    problem = decode_problem(data, status=502)
    assert problem.status == 502
    problem.detail.encode()


def test_a_proxys_html_becomes_a_problem_without_word() -> None:
    assert decode_problem(b"<html>Bad gateway", status=502).status_word == ""


NOW_MS = 1_777_000_000_000
TARGET = feed_path(LEDGER, 3)


def _verify(message: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key("t").public_key().verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _check(header: str, **changed: object) -> Problem | None:
    facts: dict[str, object] = {"ledger": LEDGER, "target": TARGET, "now_ms": NOW_MS, **changed}
    return check_authorization(header, verify=_verify, **facts)  # type: ignore[arg-type]


def test_a_signed_request_is_good_for_its_target_ledger_and_time_alone() -> None:
    header = authorize(LEDGER, TARGET, NOW_MS, key("t").sign)
    assert parse_authorization(header).ledger == LEDGER
    assert _check(header) is None
    assert _check(header, now_ms=NOW_MS + REQUEST_SKEW_MS_MAX) is None
    other = _check(header, target=feed_path(LEDGER, 4))
    assert other is not None
    assert (other.status, other.status_word) == (403, StatusWord.UNSIGNED)
    foreign = _check(header, ledger=ledger_name(8))
    assert foreign is not None
    assert foreign.status == 403
    stale = _check(header, now_ms=NOW_MS + REQUEST_SKEW_MS_MAX + 1)
    assert stale is not None
    assert (stale.status, stale.status_word) == (401, StatusWord.STALE_REQUEST)
    wrong = _check(authorize(LEDGER, TARGET, NOW_MS, key("other").sign))
    assert wrong is not None
    assert wrong.status_word == StatusWord.UNSIGNED


@given(st.text(max_size=300) | st.text(max_size=100).map(lambda t: f"Redcard {LEDGER} 1 {t}"))
def test_authorization_is_total(header: str) -> None:
    problem = _check(header)
    assert problem is not None
    assert problem.status_word == StatusWord.UNSIGNED
