"""Every cause of a refused booking has words of its own on the page, in both languages."""

from __future__ import annotations

import pytest

from screens.language import Language, wording
from sync.booking import CAUSES
from terminal.web.panels import Panel


@pytest.mark.parametrize("language", list(Language))
def test_each_cause_says_what_is_wrong_and_what_to_do(language: Language) -> None:
    said = set()
    for word in [*(f"booking_{cause}" for cause in CAUSES), "booking_refused", "unheard_of"]:
        panel = Panel()
        panel.refused(word)
        said.add(panel.said(wording(language)))
    assert len(said) == len(CAUSES) + 2
