"""Reports as tables: what a spreadsheet opens, and what it must not take for a formula."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from redcard.cli import main
from server.definitions import DEFINITIONS, FURTHER, definition
from server.tables import Table, as_csv, as_xlsx, plain, report_tables
from tests.server.world import START_MS, Time, enrol, open_core, push

SHEETS = ["汇总", "分月", "服务项目", "级别", "区县", "类别", "点位"]


@pytest.fixture
def served(home: Path) -> Path:
    """A server's home with three redemptions, one of an offer with a hostile title."""

    async def prepare() -> None:
        time = Time()
        async with await open_core(home, time) as core:
            await core.change_offer("museum", {"title": '=HYPERLINK("http://x","y")'})
            terminal = await enrol(core, "kiosk", time)
            for who in range(3):
                terminal.redeem(who, f"n{who}", at_ms=START_MS + who)
            await push(core, terminal)
            await core.judge()

    asyncio.run(prepare())
    return home


def run(home: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["--home", str(home), "server", "report", *arguments])
    return int(ended.value.code or 0), capsys.readouterr().out


def test_a_year_as_a_workbook(
    served: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "2014.xlsx"
    code, said = run(served, capsys, "--year", "2014", "--out", str(out), "--lang", "zh")
    assert (code, str(out) in said.replace("\n", "")) == (0, True)
    book = load_workbook(out)
    assert book.sheetnames == SHEETS
    summary = {row[0]: row[1:] for row in book["汇总"].iter_rows(values_only=True)}
    assert summary["人次"] == (3, definition("person_times", "zh"))
    assert summary["月均搭载"][0] == "0.67"
    months = {row[0]: row[1] for row in book["分月"].iter_rows(values_only=True, min_row=2)}
    assert len(months) == 12
    assert (months["2014-05"], months["2014-04"]) == (2, 0)
    (museum,) = (row for row in book["服务项目"].iter_rows(min_row=2) if row[0].value == "museum")
    assert museum[1].value == '=HYPERLINK("http://x","y")'
    assert museum[1].data_type == "s"
    assert museum[3].value == 3


def test_a_month_as_comma_separated_tables(
    served: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "may.csv"
    assert run(served, capsys, "--month", "2014-05", "--out", str(out), "--lang", "en")[0] == 0
    data = out.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
    assert rows[0] == ["Summary"]
    assert ["Offers"] in rows
    (museum,) = (row for row in rows if row[:1] == ["museum"])
    assert museum[3] == "3"
    text = run(served, capsys, "--month", "2014-05", "--csv")[1]
    (line,) = (row for row in csv.reader(io.StringIO(text)) if row[1:2] == ["museum"])
    assert line[2].startswith("'=")


def test_a_year_on_the_screen_and_stated(served: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run(served, capsys, "--year", "2014", "--lang", "en")
    assert code == 0
    assert "8 offer-months, 0.67 offers and 0 person-times a month" in said
    assert definition("mean_offers", "en") in said
    answer = json.loads(run(served, capsys, "--year", "2014", "--state", "--json")[1])
    assert answer["stated"]["totals"]["person_times"] == 3
    assert answer["stated"]["changed"] == {}
    assert answer["last_year"]["growth"]["person_times"] is None


@pytest.mark.parametrize(
    "arguments",
    [(), ("--month", "2014-05", "--year", "2014"), ("--month", "2014-05", "--out", "a.pdf")],
)
def test_what_cannot_be_meant_is_usage(
    served: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert run(served, capsys, *arguments)[0] == 2


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1"])
def test_no_cell_begins_like_a_formula(text: str) -> None:
    table = Table("t", ("a",), ((text,),))
    (_, _, (cell,)) = csv.reader(io.StringIO(as_csv([table]).decode("utf-8-sig"), newline=""))
    assert cell == f"'{text}"
    assert plain("a=1") == "a=1"
    assert plain(-5) == -5


def test_long_tables_keep_their_numbers() -> None:
    rows = tuple((f"项目{n}", n) for n in range(1_100))
    book = load_workbook(io.BytesIO(as_xlsx([Table("x" * 40, ("名称", "人次"), rows)])))
    sheet = book.worksheets[0]
    assert (sheet.title, sheet.max_row, sheet.freeze_panes) == ("x" * 31, 1_101, "A2")
    assert sheet["B1101"].value == 1_099


def test_every_figure_of_a_report_has_its_definition(served: Path) -> None:
    async def documents() -> list[dict[str, Any]]:
        async with await _open(served) as core:
            return [
                asdict(await core.month_report("2014-05")),
                asdict(await core.year_report("2014")),
            ]

    for document in asyncio.run(documents()):
        for lang in ("zh", "en"):
            rows = report_tables(document, lang, "now")[0].rows
            assert [row[0] for row in rows if not row[2]] == []
            assert len({row[0] for row in rows}) == len(rows)
    assert all(zh and en for zh, en in (*DEFINITIONS.values(), *FURTHER.values()))


async def _open(home: Path) -> Any:
    from server.core import ServerCore

    return await ServerCore.open(home, Time())
