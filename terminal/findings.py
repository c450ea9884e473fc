"""One thing that was checked, and its remedy if it is wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One check.

    Attributes:
        check: stable name for programs.
        ok: whether all is well.
        detail_zh: what was found, Chinese.
        detail_en: what was found, English.
        remedy: one command or act that mends it, empty if all is well.
    """

    check: str
    ok: bool
    detail_zh: str
    detail_en: str
    remedy: str = ""


def good(check: str, zh: str, en: str) -> Finding:
    """All is well."""
    return Finding(check, True, zh, en)


def bad(check: str, zh: str, en: str, remedy: str) -> Finding:
    """A fault; the Chinese text is a headline before the detail."""
    return Finding(check, False, f"{zh}：{en}", en, remedy)
