"""The very bytes that a printer gets, and pictures drawn from them by a second reader."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from terminal.errors import PrinterFault
from terminal.receipts.escpos import (
    CUT,
    INITIALISE,
    LARGE_OFF,
    LARGE_ON,
    LINES_MAX,
    PAPERS,
    Dots,
    Glyphs,
    Model,
    Paper,
    QrBy,
    columns_on_paper,
    encode,
    has_glyphs,
    plain_signs,
    qr_dots,
    raster,
)
from terminal.receipts.layout import QR_BYTES_MAX, Line, Style, lay_out, rows
from terminal.receipts.preview import MARGIN_DOTS, Unprintable, picture_of
from terminal.receipts.raster import draw
from tests.terminal.receipts.test_layout import EN, FACTS, ZH
from tests.terminal.web.stand_in import RECEIPT

SLIP = lay_out(replace(FACTS, proof=RECEIPT), ZH)


def unseen(row: str, style: Style, paper: Paper) -> Dots:
    """Stands in for drawn text where only its place matters."""
    del style
    return Dots(8, 1, bytes([len(row) % 256])) if paper else Dots(0, 0, b"")


def test_the_bytes_of_a_slip_on_58_mm_paper() -> None:
    slip = (
        Line("小红卡服务凭条", Style.TITLE),
        Line("德胜", Style.CENTRE),
        Line("", Style.RULE),
        Line("需付", Style.PAIR, "¥21"),
        Line("24 小时 · 练习", Style.NOTICE),
    )
    golden = (
        b"\x1b@\x1c&"
        b"\x1bE\x01\x1d!\x11\x1c!\x0c" + b" " + "小红卡服务凭条".encode("gb2312") + b"\n"
        b"\x1d!\x00\x1c!\x00\x1bE\x00" + b" " * 14 + "德胜".encode("gb2312") + b"\n" + b"-" * 32
        + b"\n" + "需付".encode("gb2312") + b" " * 23 + "21 元".encode("gb2312") + b"\n"
        b"\x1bE\x01" + b" " * 8 + b"24 \xd0\xa1\xca\xb1 \xa1\xa4 \xc1\xb7\xcf\xb0" + b"\n\x1bE\x00"
        b"\x1dVB\x50"
    )  # fmt: skip
    assert encode(slip, "", Model(), unseen) == golden


def test_the_qr_as_the_printers_own_command() -> None:
    slip = encode((), "ABC", Model(), unseen)
    commands = (
        b"\x1d(k\x04\x001A2\x00",
        b"\x1d(k\x03\x001C\x05",
        b"\x1d(k\x03\x001E0",
        b"\x1d(k\x06\x001P0ABC",
        b"\x1d(k\x03\x001Q0",
    )
    assert slip == INITIALISE + b"\x1c&\x1ba\x01" + b"".join(commands) + b"\x1ba\x00\n" + CUT


def test_the_qr_of_a_whole_proof_fits_on_either_paper() -> None:
    for paper in PAPERS.values():
        assert qr_dots("x" * QR_BYTES_MAX, paper).width <= paper.dots


def test_a_printer_without_a_knife_is_not_told_to_cut() -> None:
    assert CUT[:3] not in encode(SLIP, "", Model(cuts=False), unseen)


@pytest.mark.parametrize("mm", [58, 80])
@pytest.mark.parametrize("words", [ZH, EN], ids=["zh", "en"])
def test_every_row_is_as_wide_as_its_bytes_say(mm: int, words: object) -> None:
    lines = lay_out(replace(FACTS, practice=True, demo=True), ZH if words is ZH else EN)
    columns = PAPERS[mm].columns
    tame = [Line(plain_signs(one.text), one.style, plain_signs(one.right)) for one in lines]
    for row, style in rows(tame, columns, columns_on_paper, 2):
        wide = len(row.encode("gb18030")) * (2 if style is Style.TITLE else 1)
        assert wide == columns_on_paper(row) * (2 if style is Style.TITLE else 1) <= columns


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("¥20", "20 元"),
        ("￥ 1,050.50", "1,050.50 元"),
        ("10—12", "10-12"),
        ("2 × 3…", "2 x 3..."),
        ("端午 · 套包", "端午 · 套包"),
    ],
)
def test_signs_that_printers_set_wrongly_are_said_otherwise(before: str, after: str) -> None:
    assert plain_signs(before) == after


@pytest.mark.parametrize(
    ("text", "gb2312", "gb18030"),
    [
        ("端午（名优企业）", True, True),
        ("朱镕基", False, True),
        ("㐂", False, False),
        ("😀", False, False),
        ("abc", True, True),
        ("a\x1bb", False, False),
    ],
)
def test_what_a_printers_font_has(text: str, gb2312: bool, gb18030: bool) -> None:
    assert has_glyphs(text, Glyphs.GB2312) is gb2312
    assert has_glyphs(text, Glyphs.GB18030) is gb18030
    assert has_glyphs(text, Glyphs.NONE) is (text.isascii() and text.isprintable())


def test_a_row_that_the_font_lacks_is_sent_as_dots_and_no_other() -> None:
    slip = encode((Line("端午"), Line("镕"), Line("端午")), "", Model(), unseen)
    word = "端午".encode("gb2312")
    assert slip.count(b"\x1dv0\x00") == 1
    assert slip.index(word) < slip.index(b"\x1dv0") < slip.rindex(word)


def test_a_printer_without_ideographs_gets_no_chinese_bytes() -> None:
    slip = encode(SLIP, "", Model(glyphs=Glyphs.NONE), unseen)
    assert b"\x1c&" not in slip
    assert "凭".encode("gb2312") not in slip
    assert "凭".encode("gb2312") in encode(SLIP, "", Model(), unseen)


@pytest.mark.parametrize("mm", [58, 80])
@pytest.mark.parametrize("glyphs", list(Glyphs))
@pytest.mark.parametrize("qr", list(QrBy))
def test_the_paper_can_be_looked_at(mm: int, glyphs: Glyphs, qr: QrBy) -> None:
    paper = PAPERS[mm]
    slip = encode(SLIP, RECEIPT, Model(paper=paper, glyphs=glyphs, qr=qr), draw)
    picture = Image.open(BytesIO(picture_of(slip, paper)))
    assert picture.width == paper.dots + 2 * MARGIN_DOTS
    ink = picture.convert("L").point(lambda level: 255 - level).getbbox()
    assert ink is not None
    assert ink[0] >= MARGIN_DOTS
    assert ink[2] <= picture.width - MARGIN_DOTS


def test_both_ways_to_draw_the_qr_give_the_same_picture() -> None:
    drawn = {
        hashlib.sha256(picture_of(encode((), RECEIPT, Model(qr=qr), draw), PAPERS[58])).digest()
        for qr in QrBy
    }
    assert len(drawn) == 1


def test_text_by_the_font_and_text_by_dots_stand_in_the_same_place() -> None:
    line = (Line("需付", Style.PAIR, "21 元"),)
    boxes = set()
    for glyphs in (Glyphs.GB2312, Glyphs.NONE):
        slip = encode(line, "", Model(glyphs=glyphs), draw)
        grey = Image.open(BytesIO(picture_of(slip, PAPERS[58]))).convert("L")
        boxes.add(grey.point(lambda level: 255 - level).getbbox())
    assert len(boxes) == 1


def test_what_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="lines"):
        encode((Line("x"),) * (LINES_MAX + 1), "", Model(), unseen)
    with pytest.raises(ValueError, match="300 bytes"):
        encode((), "x" * 301, Model(), unseen)
    with pytest.raises(ValueError, match="dots take"):
        raster(Dots(8, 2, b"x"))


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
lines_of_any_kind = st.lists(
    st.builds(Line, texts, st.sampled_from(list(Style)), texts), max_size=8
)


@given(lines_of_any_kind, st.sampled_from(list(Glyphs)), st.sampled_from([58, 80]))
def test_whatever_stands_on_a_slip_it_can_be_read_back(
    lines: list[Line], glyphs: Glyphs, mm: int
) -> None:
    model = Model(paper=PAPERS[mm], glyphs=glyphs)
    assert picture_of(encode(lines, "", model, draw), PAPERS[mm]).startswith(b"\x89PNG")


@given(st.binary(max_size=200))
def test_bytes_that_are_no_slip_are_refused_and_nothing_else(data: bytes) -> None:
    try:
        assert picture_of(INITIALISE + data, PAPERS[58]).startswith(b"\x89PNG")
    except Unprintable as error:
        assert str(error)


def test_without_a_font_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from terminal.receipts import raster as module

    monkeypatch.setattr(module, "FONT_FILES", ("/nowhere/{weight}.ttc",))
    module.font.cache_clear()
    with pytest.raises(PrinterFault, match="apt-get install"):
        draw("镕", Style.PLAIN, PAPERS[58])
    module.font.cache_clear()


def test_a_title_is_twice_as_large() -> None:
    slip = encode((Line("小红卡", Style.TITLE),), "", Model(), draw)
    assert slip.index(LARGE_ON) < slip.index("小红卡".encode("gb2312")) < slip.index(LARGE_OFF)
    large = draw("镕", Style.TITLE, PAPERS[58])
    assert large.height == 2 * draw("镕", Style.PLAIN, PAPERS[58]).height
