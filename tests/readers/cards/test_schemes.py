"""Every scheme says what it proves, what a stolen terminal reveals, and who judged it."""

from __future__ import annotations

from pathlib import Path

import pytest

from readers.cards.scheme import CardScheme
from redcard.inspection import all_schemes

ROOT = Path(__file__).parents[3]
SCHEMES = all_schemes()


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda one: one.name)
def test_a_scheme_speaks_for_itself(scheme: CardScheme) -> None:
    assert len(scheme.strength) > 20
    assert "key of the card hash" in scheme.stolen_terminal
    for vector in scheme.vectors:
        file = vector.partition(":")[0]
        assert not file.startswith("tests/") or (ROOT / file).is_file(), vector
    authenticates = "signature" in scheme.strength
    assert bool(scheme.vectors) is authenticates, "who authenticates is judged by others"


def test_the_documentation_has_a_line_for_each() -> None:
    text = (ROOT / "docs" / "cards.md").read_text("utf-8")
    names = {"unionpay", "piv", "uid", "scanned"}
    assert {one.name for one in SCHEMES} == names
    for name in names - {"scanned"}:  # whose entries name the card's own scheme
        assert f"| `{name}`" in text
