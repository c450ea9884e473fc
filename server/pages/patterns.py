"""Sentences with places for what differs, found again in what a service has said."""

from __future__ import annotations

import re
from collections.abc import Iterable

Patterns = tuple[tuple[re.Pattern[str], str], ...]


def patterns(texts: Iterable[str]) -> Patterns:
    """Each text with ``%(a)s`` to ``%(c)s`` in it as a pattern, those that say most first."""
    ranked = sorted(texts, key=lambda text: -len(re.sub(r"%\([a-c]\)s", "", text)))
    return tuple(
        (re.compile(re.sub(r"%\\\(([a-c])\\\)s", r"(?P<\1>.+?)", re.escape(text)), re.DOTALL), text)
        for text in ranked
    )
