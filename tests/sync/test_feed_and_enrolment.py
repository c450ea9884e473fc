from __future__ import annotations

import contextlib
import dataclasses

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.log.note import Ed25519Verifier, open_note, sign_note
from sync.enrolment import (
    Enrolled,
    EnrolRequest,
    decode_enrolled,
    decode_request,
    encode_enrolled,
    encode_request,
    enrol_request,
    proved,
)
from sync.errors import Malformed
from sync.feed import (
    Judgement,
    Page,
    Record,
    decode_page,
    encode_page,
    judgement_record,
    read_judgement,
)
from tests.sync.signed_log import DOMAIN, JUDGE, key, ledger_name, public

ORIGIN = f"{DOMAIN}/redcard/{ledger_name(1)}"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NAMES = st.text("abc_0", min_size=1, max_size=6)
VALUES = st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT


@st.composite
def pages(draw: st.DrawFn) -> Page:
    kind = draw(st.sampled_from(["judgements", "feed"]))
    name = {"judgements": "revision", "feed": "number"}[kind]
    after = draw(st.integers(0, 2**40))
    steps = draw(st.lists(st.integers(1, 9), max_size=6))
    number, records = after, []
    for step in steps:
        number += step
        records.append({**draw(st.dictionaries(NAMES, VALUES, max_size=3)), name: number})
    upto = number + draw(st.integers(0, 3))
    last = upto + draw(st.integers(0, 3))
    return Page(kind, ORIGIN, after, upto, last, draw(st.integers(0, 2**45)), tuple(records))


@given(pages())
def test_page_round_trip_through_a_signed_note(page: Page) -> None:
    text = encode_page(page)
    note = sign_note(text, [JUDGE])
    opened = open_note(note, [Ed25519Verifier.of(JUDGE)])
    assert decode_page(opened.text) == page
    assert encode_page(decode_page(text)) == text


@given(pages(), st.text(max_size=40), st.integers(0, 200))
def test_pages_are_total(page: Page, junk: str, at: int) -> None:
    text = encode_page(page)
    with contextlib.suppress(Malformed):
        mixed = text[:at] + junk + text[at:]
        assert encode_page(decode_page(mixed)) == mixed
    with contextlib.suppress(Malformed):
        decode_page(junk)


@pytest.mark.parametrize(
    "numbers", [(3,), (2,), (5, 5), (6, 5), (9,)], ids=["at", "below", "twice", "falling", "beyond"]
)
def test_numbers_rise_from_after_to_upto(numbers: tuple[int, ...]) -> None:
    records = tuple({"number": number} for number in numbers)
    with pytest.raises(Malformed):
        encode_page(Page("feed", ORIGIN, 3, 8, 8, 0, records))


def test_a_page_cannot_claim_more_than_the_server_has() -> None:
    with pytest.raises(Malformed):
        encode_page(Page("feed", ORIGIN, 3, 9, 8, 0, ()))
    with pytest.raises(Malformed):
        encode_page(Page("feed", ORIGIN, 3, 2, 8, 0, ()))


def test_a_page_has_a_limit_in_records_and_bytes() -> None:
    many = tuple({"number": number + 1} for number in range(501))
    with pytest.raises(Malformed):
        encode_page(Page("feed", ORIGIN, 0, 501, 501, 0, many))
    big: tuple[Record, ...] = tuple({"number": n + 1, "x": "y" * 4000} for n in range(300))
    with pytest.raises(Malformed):
        encode_page(Page("feed", ORIGIN, 0, 300, 300, 0, big))


@given(
    st.builds(
        Judgement,
        st.integers(0, 2**40),
        st.integers(1, 2**40),
        st.text("abc_", min_size=1, max_size=9),
        st.lists(st.text("abc_", min_size=1, max_size=9), max_size=3).map(
            lambda reasons: tuple(sorted(reasons))
        ),
        TEXT,
        TEXT,
    )
)
def test_judgement_round_trip(judgement: Judgement) -> None:
    assert read_judgement(judgement_record(judgement)) == judgement


@given(
    st.dictionaries(
        st.sampled_from(["seq", "revision", "verdict", "reasons", "nonce"]),
        VALUES | st.lists(TEXT) | st.lists(st.integers()),
    )
)
def test_judgements_are_total(record: dict[str, object]) -> None:
    with contextlib.suppress(Malformed):
        read_judgement(record)  # type: ignore[arg-type]


RECIPIENT = "age1" + "q" * 58


def request(**changed: str) -> EnrolRequest:
    facts = {
        "code": "ABCD-EFGH-JKLM",
        "recipient": RECIPIENT,
        "name": "德胜街道 1",
        "version": "0.1.0",
        **changed,
    }
    return enrol_request(public_key=public(key("t")), sign=key("t").sign, **facts)


def _verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def test_enrolment_proves_possession_of_every_field() -> None:
    made = request()
    assert decode_request(encode_request(made)) == made
    assert proved(made, _verify)
    for change in (
        {"code": "ABCD-EFGH-JKLX"},
        {"public_key": public(key("u"))},
        {"recipient": "age1" + "p" * 58},
        {"name": "other"},
        {"version": "9"},
    ):
        assert not proved(dataclasses.replace(made, **change), _verify)


@pytest.mark.parametrize(
    "change", [{"code": "short"}, {"recipient": "age1x"}, {"name": "a\nb"}, {"version": "x" * 201}]
)
def test_enrolment_refuses_by_field(change: dict[str, str]) -> None:
    with pytest.raises(Malformed, match=next(iter(change))):
        request(**change)


ENROLLED = Enrolled(
    ledger=ledger_name(1),
    origin=ORIGIN,
    domain=DOMAIN,
    vkeys={"witness": "w", "feed": "f"},
    recipient=RECIPIENT,
    tuf_root=b"{}",
    card_key=b"\x00\xff",
    card_key_id="k1",
    time_ms=5,
    settings={"venue": "M01"},
)


def test_enrolled_round_trip_and_origin() -> None:
    assert decode_enrolled(encode_enrolled(ENROLLED)) == ENROLLED
    with pytest.raises(Malformed, match="origin"):
        decode_enrolled(encode_enrolled(dataclasses.replace(ENROLLED, origin="x")))


@given(
    st.binary(max_size=100)
    | st.integers(0, 400).flatmap(
        lambda at: st.binary(max_size=4).map(
            lambda junk: encode_enrolled(ENROLLED)[:at] + junk + encode_enrolled(ENROLLED)[at + 1 :]
        )
    )
)
def test_enrolment_messages_are_total(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        encode_enrolled(decode_enrolled(data))
    with contextlib.suppress(Malformed):
        encode_request(decode_request(data))


def test_a_lone_surrogate_is_malformed() -> None:
    data = encode_request(request()).replace(b'"0.1.0"', b'"\\ud800"')
    with pytest.raises(Malformed, match="version"):
        decode_request(data)
