"""What a problem may be about, in words in the order of the number keys, and what follows."""

from __future__ import annotations

from typing import Final

from screens.language import Wording
from terminal.answers import PositionView


def _(text: str) -> str:
    """Marks a text for translation where it stands in a table."""
    return text


ABOUTS: Final = {
    "reader": _("Card reader"),
    "printer": _("Printer"),
    "network": _("Network"),
    "screen": _("Screen or keyboard"),
    "offer": _("An offer"),
    "stock": _("Goods in stock"),
    "card": _("A card"),
    "other": _("Other"),
}


def what_becomes(view: PositionView, words: Wording) -> str:
    """What happens to a report that was kept just now."""
    if view.link.connected:
        return words.gettext("It is kept here and goes to the federation with the next upload.")
    return words.gettext("Not sent yet: no connection. It is kept here and sent when there is one.")
