"""A settlement statement as tables: for a spreadsheet, comma-separated, or on paper.

Made from the statement's document as the server answers it, so that a command and a page make the
same file. Amounts stand in yuan with two decimals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from server.tables import Cell, Fen, Table

Document = Mapping[str, Any]

_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "statement": ("结算单", "Statement"),
    "by_offer": ("按项目", "By offer"),
    "signed_entries": ("签名记录", "Signed entries"),
    "figure": ("指标", "Figure"),
    "value": ("数值", "Value"),
    "number": ("编号", "Number"),
    "merchant": ("商户", "Merchant"),
    "month": ("月份", "Month"),
    "state": ("状态", "State"),
    "stated": ("已出单", "stated"),
    "disputed": ("有异议", "disputed"),
    "settled": ("已结清", "settled"),
    "stated_at": ("出单时间", "Made"),
    "settled_at": ("结清时间", "Settled"),
    "kind": ("类别", "Kind"),
    "use": ("核销", "Redemptions"),
    "back": ("冲回", "Taken back"),
    "adjustment": ("更正", "Correction"),
    "offer": ("项目", "Offer"),
    "title": ("名称", "Name"),
    "redemptions": ("笔数", "Redemptions"),
    "late": ("其中补传", "Late"),
    "units": ("份数", "Units"),
    "yuan": ("金额（元）", "Amount (yuan)"),
    "in_all": ("合计", "In all"),
    "entry": ("账目", "Entry"),
    "when": ("时间", "When"),
    "venue": ("点位", "Venue"),
    "leaf": ("散列值", "Leaf hash"),
    "yes": ("是", "yes"),
}
_OFFERS: Final = ("kind", "offer", "title", "redemptions", "late", "units", "yuan")
_ENTRIES: Final = ("entry", "when", "venue", "offer", "kind", "late", "units", "yuan", "leaf")


def statement_tables(
    document: Document,
    lang: str,
    moment: Callable[[int], str],
    titles: Mapping[str, str] | None = None,
) -> list[Table]:
    """The tables of one statement: what it is, its sums by offer, its signed entries.

    Args:
        document: the statement with its ``entries``, as the server answers it.
        lang: ``zh`` or ``en``.
        moment: how a time in milliseconds is written.
        titles: what offers are called; those without one stay empty.
    """
    word = _words(lang)

    def made(name: str, heads: Sequence[str], rows: Iterable[tuple[Cell, ...]]) -> Table:
        return Table(word(name), tuple(map(word, heads)), tuple(rows))

    entries = (_entry(one, word, moment) for one in document["entries"])
    return [
        made("statement", ("figure", "value"), _facts(document, word, moment)),
        made("by_offer", _OFFERS, _lines(document, word, titles or {})),
        made("signed_entries", _ENTRIES, entries),
    ]


def _words(lang: str) -> Callable[[str], str]:
    return lambda name: _WORDS[name][0 if lang == "zh" else 1]


def _facts(
    document: Document, word: Callable[[str], str], moment: Callable[[int], str]
) -> Iterator[tuple[Cell, ...]]:
    settled = document["settled_ms"]
    yield word("number"), int(document["id"])
    yield word("merchant"), document["merchant"]
    yield word("month"), document["month"]
    yield word("state"), word(document["state"])
    yield word("stated_at"), moment(document["stated_ms"])
    yield word("settled_at"), moment(settled) if settled else "—"
    yield word("units"), int(document["units"])
    yield word("yuan"), Fen(document["fen"])


def _lines(
    document: Document, word: Callable[[str], str], titles: Mapping[str, str]
) -> Iterator[tuple[Cell, ...]]:
    redemptions = late = 0
    for one in document["lines"]:
        redemptions += one["redemptions"]
        late += one["late_redemptions"]
        yield (
            word(one["kind"]), one["offer"], titles.get(one["offer"], ""), one["redemptions"],
            one["late_redemptions"], one["units"], Fen(one["fen"]),
        )  # fmt: skip
    yield word("in_all"), "", "", redemptions, late, document["units"], Fen(document["fen"])


def _entry(
    one: Document, word: Callable[[str], str], moment: Callable[[int], str]
) -> tuple[Cell, ...]:
    return (
        one["position"], moment(one["at_ms"]), one["venue"], one["offer"], word(one["side"]),
        word("yes") if one["late"] else "", one["units"], Fen(one["fen"]), one["leaf"],
    )  # fmt: skip
