"""Whether a search of the counter's list finds an offer (``terminal.pinyin`` has the letters)."""

from __future__ import annotations

from terminal.pinyin import initials, spellings

__all__ = ["initials", "matches"]


def matches(query: str, *names: str) -> bool:
    """Whether a search finds one of the names: by its words, its initials, or its number."""
    wanted = query.strip().lower()
    if not wanted:
        return True
    return any(
        wanted in name.lower() or any(wanted in way for way in spellings(name))
        for name in names
        if name
    )
