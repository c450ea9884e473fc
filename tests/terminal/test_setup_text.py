import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.enrolment import SETUP_HEAD as HEAD
from terminal.configuration import parse
from terminal.errors import ConfigInvalid
from terminal.setup_text import SetupText, read_setup

CODE = "ABCDE-FGHJK-MNPQR-STVWX"
SETUP = SetupText("https://federation.example", "M01", "kiosk", ("BJ-T-005",), CODE)


def test_the_qr_says_everything_once() -> None:
    assert SETUP.text() == f"{HEAD} https://federation.example M01 kiosk BJ-T-005 {CODE}"
    assert read_setup(f"  {SETUP.text()}\n") == SETUP
    config = parse(SETUP.configuration())
    assert config.server == "https://federation.example"
    assert (config.positions[0].venue, config.positions[0].offer) == ("M01", "BJ-T-005")


def test_several_offers_become_tiles_and_a_counter_has_none() -> None:
    two = SetupText("https://f.example", "M01", "kiosk", ("A1", "B2"), CODE)
    assert parse(read_setup(two.text()).configuration()).positions[0].offers == ("A1", "B2")
    counter = SetupText("https://f.example", "S0201", "counter", (), CODE)
    assert parse(read_setup(counter.text()).configuration()).positions[0].profile == "counter"


@pytest.mark.parametrize("code", [CODE, CODE.replace("-", ""), CODE.lower()])
def test_a_code_alone_is_enough_where_the_rest_is_known(code: str) -> None:
    assert read_setup(code) == SetupText("", "", "", (), code)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ABCDE",
        f"{HEAD} ftp://x M01 kiosk A {CODE}",
        f'{HEAD} https://x"y M01 kiosk A {CODE}',
        f"{HEAD} https://x M01 kiosk - {CODE}",
        f"{HEAD} https://x M01 window A {CODE}",
        f"{HEAD} https://x M01 kiosk A,B,C,D,E,F,G {CODE}",
        f"{HEAD} https://x M01 kiosk A SHORT",
        f"redcard-setup/v2 https://x M01 kiosk A {CODE}",
        "x" * 601,
    ],
)
def test_anything_else_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        read_setup(text)
    assert not text or text not in str(caught.value)


def test_the_code_is_in_no_representation() -> None:
    assert CODE not in repr(SETUP)


@given(st.text(max_size=200) | st.text().map(lambda text: f"{HEAD} {text}"))
def test_no_text_does_anything_but_be_read_or_refused(text: str) -> None:
    try:
        assert read_setup(text).code
    except ConfigInvalid:
        return
