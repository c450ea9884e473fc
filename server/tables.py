"""Reports as tables: for a spreadsheet, comma-separated, or on paper.

A table is made from the report's document, as the server answers it in JSON, so that a command at
another machine and a page of this one make the same.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from server.definitions import definition

Cell = str | int
Document = Mapping[str, Any]

#: What a spreadsheet would take for the beginning of a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_NAME_MAX: Final = 31  # of a worksheet
_WIDTH_MAX: Final = 48

_FIGURES: Final = ("person_times", "persons", "quantity", "companions", "flagged")
#: Names of columns and sheets: Chinese, English.
_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "summary": ("汇总", "Summary"),
    "months": ("分月", "Months"),
    "offers": ("服务项目", "Offers"),
    "levels": ("级别", "Levels"),
    "districts": ("区县", "Districts"),
    "categories": ("类别", "Categories"),
    "venues": ("点位", "Venues"),
    "figure": ("指标", "Figure"),
    "value": ("数值", "Value"),
    "definition": ("口径", "Definition"),
    "key": ("编号", "Id"),
    "title": ("名称", "Name"),
    "level": ("级别", "Level"),
    "month": ("月份", "Month"),
    "person_times": ("人次", "Person-times"),
    "persons": ("人", "Persons"),
    "quantity": ("份数", "Units"),
    "companions": ("同行", "Companions"),
    "flagged": ("待核", "Flagged"),
    "offers_running": ("服务项目", "Offers"),
    "offers_new": ("新增项目", "New offers"),
    "offer_months": ("项目月数", "Offer-months"),
    "mean_offers": ("月均搭载", "Offers a month"),
    "mean_person_times": ("月均人次", "Person-times a month"),
    "peak_offers": ("项目高峰月", "Peak months by offers"),
    "peak_person_times": ("人次高峰月", "Peak months by person-times"),
    "last_year": ("同比", "Year on year"),
    "last_month": ("环比", "Month on month"),
    "stated": ("发布后更正", "Restated since"),
    "city": ("市级", "City"),
    "district": ("区县级", "District"),
    "street": ("街道乡镇级", "Street"),
    "as_of": ("数据截至", "As of"),
    "total": ("合计", "Total"),
}


class Fen(int):
    """An amount in fen, written in yuan with two decimals."""

    def __str__(self) -> str:
        """For instance ``-12.50``."""
        sign = "-" if self < 0 else ""
        return f"{sign}{abs(self) // 100}.{abs(self) % 100:02}"


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Attributes:
        name: of the sheet.
        headers: of the columns.
        rows: texts and whole numbers.
    """

    name: str
    headers: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def word(name: str, lang: str) -> str:
    """What people call a column or sheet; the name itself where it has none."""
    pair = _WORDS.get(name)
    return (pair[0] if lang == "zh" else pair[1]) if pair else name


def report_tables(document: Document, lang: str, as_of: str) -> list[Table]:
    """The tables of a month's or year's report.

    Args:
        document: the report as the server answers it.
        lang: ``zh`` or ``en``.
        as_of: the as-of time for people.
    """
    found = [Table(word("summary", lang), _heads(("figure", "value", "definition"), lang), ())]
    found[0] = Table(found[0].name, found[0].headers, tuple(_summary(document, lang, as_of)))
    if "months" in document:
        columns = ("offers_running", "offers_new", *_FIGURES[:-1])
        rows = [(one["key"], *(one[name] for name in columns)) for one in document["months"]]
        found.append(Table(word("months", lang), _heads(("month", *columns), lang), tuple(rows)))
    for name in ("offers", "levels", "districts", "categories", "venues"):
        lines = [one for one in document[name] if name != "offers" or _told(one)]
        rows = [_row(one, lang) for one in lines]
        heads = _heads(("key", "title", "level", *_FIGURES), lang)
        found.append(Table(word(name, lang), heads, tuple(rows)))
    return found


def _told(line: Document) -> bool:
    """Whether an offer ran in the period or was used in it."""
    return bool(line["person_times"] or line["offers_running"])


def _heads(names: Iterable[str], lang: str) -> tuple[str, ...]:
    return tuple(word(name, lang) for name in names)


def _row(line: Document, lang: str) -> tuple[Cell, ...]:
    title = line["title"] if lang == "zh" else line["title_en"] or line["title"]
    level = word(line["level"], lang) if line["level"] else ""
    return line["key"], title or word(line["key"], lang), level, *(line[one] for one in _FIGURES)


def _summary(document: Document, lang: str, as_of: str) -> Iterator[tuple[Cell, ...]]:
    total = document["total"]

    def told(name: str, value: Cell, label: str = "") -> tuple[Cell, ...]:
        return label or word(name, lang), value, definition(name, lang)

    yield told("as_of", as_of)
    for name in ("offers_running", "offers_new", *_FIGURES):
        yield told(name, total[name])
    for name in ("offer_months", "mean_offers", "mean_person_times"):
        if name in document:
            yield told(name, document[name])
    for name in ("peak_offers", "peak_person_times"):
        if document.get(name):
            yield told(name, " ".join(document[name]))
    for name in ("last_year", "last_month"):
        if name in document:
            yield from _beside(document[name], name, lang, told)
    stated = document.get("stated")
    for name, change in sorted(stated["changed"].items()) if stated else ():
        yield told("stated", f"{change:+}", f"{word('stated', lang)} · {word(name, lang)}")


def _beside(other: Document, name: str, lang: str, told: Any) -> Iterator[tuple[Cell, ...]]:
    for figure in ("offers_running", "person_times", "persons"):
        percent = other["growth"][figure]
        grown = "—" if percent is None else f"{percent:+}%"
        value = f"{grown} ({other['period']}: {other[figure]})"
        yield told(name, value, f"{word(name, lang)} · {word(figure, lang)}")


def plain(cell: Cell) -> Cell:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def as_csv(tables: Sequence[Table]) -> bytes:
    """Tables one below the other, in UTF-8 with the mark by which spreadsheets know it."""
    sheet = io.StringIO(newline="")
    writer = csv.writer(sheet)
    for number, table in enumerate(tables):
        if number:
            writer.writerow([])
        writer.writerow([table.name])
        writer.writerow(table.headers)
        writer.writerows([plain(cell) for cell in row] for row in table.rows)
    return b"\xef\xbb\xbf" + sheet.getvalue().encode("utf-8")


def as_xlsx(tables: Sequence[Table]) -> bytes:
    """Tables as a workbook, a sheet each: headers stand still, numbers are numbers."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Alignment, Font

    book = Workbook(write_only=True)
    for table in tables:
        sheet = book.create_sheet(table.name[:_NAME_MAX])
        sheet.freeze_panes = "A2"
        for number, header in enumerate(table.headers):
            texts = [header, *(str(row[number]) for row in table.rows)]
            width = max(sum(1 + (ord(letter) > 0x2E7F) for letter in text) for text in texts) + 2
            sheet.column_dimensions[chr(ord("A") + number)].width = min(width, _WIDTH_MAX)
        heads = []
        for header in table.headers:
            cell = WriteOnlyCell(sheet, header)
            cell.font = Font(bold=True)
            heads.append(cell)
        sheet.append(heads)
        for row in table.rows:
            cells = []
            for value in row:
                cell = WriteOnlyCell(sheet, value / 100 if isinstance(value, Fen) else value)
                if isinstance(value, Fen):
                    cell.number_format = "#,##0.00"
                elif isinstance(value, int):
                    cell.number_format = "#,##0"
                else:
                    cell.data_type = "s"  # a text, whatever it begins with
                    cell.alignment = Alignment(wrap_text=len(value) > _WIDTH_MAX, vertical="top")
                cells.append(cell)
            sheet.append(cells)
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()
