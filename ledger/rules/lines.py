"""Where a field stands in a JSON text: only asked for when something is wrong with it."""

from __future__ import annotations

import re
from typing import Final

_PART: Final = re.compile(r'[\s,:]*("(?:[^"\\]|\\.)*"|[\[\]{}]|[^\s,:\[\]{}"]+)')
_STEP: Final = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def line_of(text: str, index: int, path: str) -> int:
    """Line, counted from 1, of a field in the item ``index`` of a JSON array.

    The nearest enclosing field that exists answers for one that is missing.
    """
    wanted: tuple[str | int, ...] = (
        index,
        *((name or int(number)) for name, number in _STEP.findall(path)),
    )
    lines = _positions(text)
    while wanted and wanted not in lines:
        wanted = wanted[:-1]
    return lines.get(wanted, 1)


def _positions(text: str) -> dict[tuple[str | int, ...], int]:
    """Lines of all fields by path; the text is known to be sound JSON."""
    lines: dict[tuple[str | int, ...], int] = {}
    stack: list[_Open] = []
    line, at = 1, 0
    for match in _PART.finditer(text):
        part = match[1]
        line += text.count("\n", at, match.start(1))
        at = match.start(1)
        if part in "]}":
            stack.pop()
        elif stack and stack[-1].is_object and stack[-1].key is None:
            stack[-1].key = part[1:-1]
            lines[_path(stack)] = line
            continue
        else:
            if stack and not stack[-1].is_object:
                stack[-1].key = 0 if stack[-1].key is None else int(stack[-1].key) + 1
                lines[_path(stack)] = line
            if part in "[{":
                stack.append(_Open(is_object=part == "{"))
                continue
        if stack and stack[-1].is_object:
            stack[-1].key = None
    return lines


class _Open:
    """An array or object whose end has not come yet."""

    __slots__ = ("is_object", "key")

    def __init__(self, *, is_object: bool) -> None:
        self.is_object = is_object
        self.key: str | int | None = None


def _path(stack: list[_Open]) -> tuple[str | int, ...]:
    return tuple(one.key for one in stack if one.key is not None)
