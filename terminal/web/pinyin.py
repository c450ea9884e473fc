"""Initial letters of Chinese titles, so that a clerk finds 端午套包 by typing ``dw``.

Level 1 of GB 2312-80 (rows 16 to 55, 3,755 characters) is ordered by pinyin, so the first
character of each letter is enough to know the initial of every character between two of them.
Level 2 is ordered by radical; the few of its characters that titles use stand in a table.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

_FIRST_OF_LETTER: Final = "啊芭擦搭蛾发噶哈击喀垃妈拿哦啪期然撒塌挖昔压匝"
_LETTERS: Final = "abcdefghjklmnopqrstwxyz"
_STARTS: Final = [letter.encode("gb2312") for letter in _FIRST_OF_LETTER]
_LEVEL_1_END: Final = "座".encode("gb2312")
#: Characters of level 2, and those that a title reads otherwise than the order says.
_EXCEPTIONS: Final[dict[str, str]] = {
    "坛": "t", "咪": "m", "圳": "z", "嘉": "j", "瑜": "y", "伽": "j", "芯": "x",
    "琅": "l", "槐": "h", "郭": "g", "苑": "y", "颐": "y", "馨": "x", "糕": "g", "粽": "z",
}  # fmt: skip


def initials(title: str) -> str:
    """Initials of a title in lower case; Latin letters and digits stay, all else is dropped."""
    return "".join(_initial(character) for character in title)


def _initial(character: str) -> str:
    if character in _EXCEPTIONS:
        return _EXCEPTIONS[character]
    if character.isascii():
        return character.lower() if character.isalnum() else ""
    try:
        code = character.encode("gb2312")
    except UnicodeEncodeError:
        return ""
    if not _STARTS[0] <= code <= _LEVEL_1_END:
        return ""
    return _LETTERS[bisect_right(_STARTS, code) - 1]


def matches(query: str, *names: str) -> bool:
    """Whether a search finds one of the names: by its words, its initials, or its number."""
    wanted = query.strip().lower()
    if not wanted:
        return True
    return any(wanted in name.lower() or wanted in initials(name) for name in names if name)
