from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.errors import SecretInvalid
from keys.pin import check_verifier, pin_matches, pin_verifier

VERIFIER = pin_verifier("2468")


def test_a_verifier_matches_its_pin_alone() -> None:
    check_verifier(VERIFIER)
    assert VERIFIER.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert pin_matches(VERIFIER, "2468")
    for other in ("2469", "246", "24680", "", "２４６８", "\x00"):
        assert not pin_matches(VERIFIER, other)
    assert pin_verifier("2468") != VERIFIER  # a salt of its own


@pytest.mark.parametrize("pin", ["", "123", "1" * 13, "12a4", "１２３４", "1234\n"])
def test_what_is_no_pin_is_refused(pin: str) -> None:
    with pytest.raises(SecretInvalid):
        pin_verifier(pin)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("argon2id", "argon2i"),
        ("v=19", "v=16"),
        ("m=19456", "m=262145"),
        ("m=19456", "m=019456"),
        ("m=19456", "m=7"),
        ("t=2", "t=17"),
        ("t=2", "t=0"),
        ("p=1", "p=17"),
        ("$argon2id", "argon2id"),
    ],
)
def test_a_verifier_that_would_stop_the_machine_or_is_none_is_refused(old: str, new: str) -> None:
    altered = VERIFIER.replace(old, new, 1)
    with pytest.raises(SecretInvalid):
        check_verifier(altered)
    assert not pin_matches(altered, "2468")


@given(st.text(max_size=120))
def test_any_text_is_checked_without_harm(text: str) -> None:
    with pytest.raises(SecretInvalid):
        check_verifier(text)
    assert not pin_matches(text, "2468")
