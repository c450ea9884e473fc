"""Initial letters of Chinese texts, so that a clerk finds 端午套包 by typing ``dwtb``.

``initials.json`` is made from pypinyin by ``script/initials``: one letter for every ideograph of
the Unicode block U+4E00 to U+9FFF, and all letters of those with several readings (重庆 is ``cq``
and ``zq``). The dictionary itself would cost a terminal 57 MB of memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from itertools import islice, product
from typing import Final

_FIRST: Final = 0x4E00
#: Spellings kept of a text with several readings; further ones are hardly ever typed.
SPELLINGS_MAX: Final = 16


@cache
def _table() -> tuple[str, Mapping[str, str]]:
    document = json.loads(files("terminal").joinpath("initials.json").read_text("utf-8"))
    return document["letters"], document["others"]


def initials(text: str) -> str:
    """The commonest initials, lower case; Latin letters and digits stay, all else is dropped."""
    return "".join(letters[0] for letters in _readings(text))


def spellings(text: str) -> tuple[str, ...]:
    """All initials by which a text may be typed, the commonest first; at most SPELLINGS_MAX."""
    ways = islice(product(*_readings(text)), SPELLINGS_MAX)
    return tuple("".join(way) for way in ways)


def _readings(text: str) -> Iterable[str]:
    letters, others = _table()
    for character in text:
        if character.isascii():
            if character.isalnum():
                yield character.lower()
            continue
        place = ord(character) - _FIRST
        if 0 <= place < len(letters) and letters[place] != " ":
            first = letters[place]
            # The table's own order decides; the first letter is the one in `letters`.
            yield first + others.get(character, first).replace(first, "")
