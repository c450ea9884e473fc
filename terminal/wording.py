"""The words of an answer, for member and operator, in both languages, from the rules' own table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ledger.codes import CODES, Code
from ledger.rules.messages import Audience, Lang, message
from ledger.rules.published_words import NO_WORDS, PublishedWords
from terminal.answers import Line, Wording

_NOTHING_RECORDED: Final = Wording(
    zh=Line("请重新刷卡", "刚才中断，本次未登记"),
    en=Line("Please tap again", "The last tap was interrupted; nothing was recorded"),
    operator_zh=Line("上一次未登记", "中断的那一次没有写入账本，请重新刷卡"),
    operator_en=Line("The last tap was not recorded", "It was interrupted; tap the card again"),
)
_VOIDED: Final = Wording(
    zh=Line("已撤销", "这一次不再计入您的使用"),
    en=Line("Reversed", "It does not count toward your uses any more"),
    operator_zh=Line("已撤销", "已写一笔冲正，名额和库存已退回"),
    operator_en=Line("Reversed", "A reversing entry was written; the unit is back in stock"),
)
_INTERNAL: Final = Wording(
    zh=Line("请重新刷卡", "若再次出现，请找工作人员"),
    en=Line("Please tap again", "If this happens again, ask the staff"),
    operator_zh=Line("程序出错", "本次未登记；请重试，并运行 redcard doctor"),
    operator_en=Line("The program failed", "Nothing was recorded; retry, and run redcard doctor"),
)


def wording_of(
    code: Code, details: Mapping[str, str | int], published: PublishedWords = NO_WORDS
) -> Wording:
    """All four texts of a code; ``place_en`` stands in for ``place`` in English."""
    english = {**details, "place": details["place_en"]} if "place_en" in details else details

    def line(language: Lang, audience: Audience) -> Line:
        chosen = english if language == "en" else details
        text = message(code, language, audience, chosen, published=published)
        return Line(text.big, text.small)

    return Wording(
        zh=line("zh", "member"),
        en=line("en", "member"),
        operator_zh=line("zh", "operator"),
        operator_en=line("en", "operator"),
    )


def name_of(code: Code) -> str:
    """The stable English name of a code."""
    return CODES[code].name


def voided() -> Wording:
    """A void that was done."""
    return _VOIDED


def nothing_recorded() -> Wording:
    """After an interruption, when the ledger proves that nothing was recorded."""
    return _NOTHING_RECORDED


def recorded_at(clock_text: str) -> Wording:
    """After an interruption, when the ledger has the tap; ``clock_text`` is local, 「10:01」."""
    return Wording(
        zh=Line(f"{clock_text} 已登记", "刚才那一次已登记，无需再刷"),
        en=Line(f"Recorded at {clock_text}", "That tap is recorded; no need to tap again"),
        operator_zh=Line(f"{clock_text} 已登记", "中断前已写入账本，请勿重复办理"),
        operator_en=Line(
            f"Recorded at {clock_text}", "It was in the ledger before the interruption"
        ),
    )


def refused_at(clock_text: str, wording: Wording) -> Wording:
    """After an interruption, when the ledger has a decline."""
    return Wording(
        zh=Line(wording.zh.big, f"{clock_text} {wording.zh.small}"),
        en=Line(wording.en.big, f"{clock_text} {wording.en.small}"),
        operator_zh=Line(wording.operator_zh.big, f"{clock_text} {wording.operator_zh.small}"),
        operator_en=Line(wording.operator_en.big, f"{clock_text} {wording.operator_en.small}"),
    )


def internal_fault() -> Wording:
    """When our own code failed before anything was written."""
    return _INTERNAL
