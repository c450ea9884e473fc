from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers.cards.scheme import CardAssurance
from readers.cards.track2 import identify_track2
from readers.connection import Interface
from readers.errors import CardError, CardNotSupported, CardUnreadable
from readers.virtual.authority import TestCa
from readers.virtual.unionpay import make_pan
from tests.readers.cards.bench import PAN, card, named, tap

LINE = f";{PAN}=19052201234567890?"


def test_the_stripe_names_the_same_card_as_its_chip(world: TestCa) -> None:
    swiped = identify_track2(LINE, named)
    tapped = tap(card(world, Interface.CONTACTLESS), world)
    assert (swiped.card, swiped.scheme) == (tapped.card, tapped.scheme)
    assert swiped.assurance is CardAssurance.IDENTIFIED
    assert (swiped.method, swiped.expires) == ("track2", date(2019, 5, 31))
    assert PAN not in repr(swiped)


@pytest.mark.parametrize("end", ["", "\r", "\n", "\r\n", ":", ":\r\n"])
def test_what_readers_add_at_the_end(end: str) -> None:
    assert identify_track2(LINE + end, named).card == named("unionpay", PAN.encode())


def test_an_expired_stripe_is_named_with_its_last_day() -> None:
    assert identify_track2(f";{PAN}=1402220?", named).expires == date(2014, 2, 28)


@pytest.mark.parametrize(
    "line",
    [
        "",
        LINE[1:],
        LINE[:-1],
        LINE.replace("=", "D"),
        LINE.replace("1905", "1913"),
        LINE.replace(PAN, PAN[:-1] + str((int(PAN[-1]) + 1) % 10)),
        LINE.replace(PAN, PAN[:11]),
        LINE.replace(PAN, PAN.translate(str.maketrans("0123456789", "０１２３４５６７８９"))),
        f"%B{PAN}^NAME^1905220?" + LINE,
        LINE + LINE,
        f";{PAN}=1905220{'0' * 60}?",
    ],
    ids=range(11),
)
def test_what_was_not_read_whole(line: str) -> None:
    with pytest.raises(CardUnreadable) as raised:
        identify_track2(line, named)
    assert "swipe again" in str(raised.value) or "month" in str(raised.value)
    assert PAN[:8] not in str(raised.value)


def test_another_scheme_is_no_red_card() -> None:
    with pytest.raises(CardNotSupported):
        identify_track2(";4761739001010119=2212201?", named)


@given(
    st.one_of(
        st.text(max_size=70),
        st.from_regex(r";[0-9]{10,20}=[0-9]{3,30}\?.?", fullmatch=True),
        st.integers(0, 999_999_999).map(lambda n: f";{make_pan(n)}=1913201?"),
    )
)
def test_any_line_raises_only_declared_errors(line: str) -> None:
    try:
        answer = identify_track2(line, named)
    except CardError as error:
        assert line not in str(error) or len(line) < 3
    else:
        assert answer.assurance is CardAssurance.IDENTIFIED
