"""Slips as ESC/POS bytes: Chinese in GB18030, columns that are right, QR, cut.

A printer of the GB kind sets every character of one byte in one column of 12 dots, and every
character of two bytes in two. So widths here follow the bytes, not Unicode: 「·」 takes two
columns on paper. What a printer's own font lacks is sent as dots, a line at a time.

References: Epson ESC/POS Application Programming Guide (``ESC @``, ``ESC a``, ``ESC E``, ``GS !``,
``GS V``, ``GS v 0``, ``GS ( k``), and its commands for ideographs (``FS &``, ``FS !``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

from terminal.receipts.layout import QR_BYTES_MAX, Line, Style, rows

DOTS_PER_COLUMN: Final = 12
FEED_BEFORE_CUT_DOTS: Final = 80
#: Lines of a slip at most; a sign-off sheet of 200 cards has about four a card.
LINES_MAX: Final = 1_200

INITIALISE: Final = b"\x1b@"
IDEOGRAPHS_ON: Final = b"\x1c&"
BOLD_ON, BOLD_OFF = b"\x1bE\x01", b"\x1bE\x00"
CENTRE, LEFT = b"\x1ba\x01", b"\x1ba\x00"
#: Twice as high and wide, for letters and for ideographs.
LARGE_ON, LARGE_OFF = b"\x1d!\x11\x1c!\x0c", b"\x1d!\x00\x1c!\x00"
TITLE_SCALE: Final = 2
CUT: Final = b"\x1dVB" + bytes([FEED_BEFORE_CUT_DOTS])

#: Signs that printers set wrongly or not at all, and what says the same.
_MONEY: Final = re.compile(r"[¥￥]\s?(-?[\d,]+(?:\.\d+)?)")
_SUBSTITUTES: Final = str.maketrans(
    {"¥": "元", "￥": "元", "—": "-", "–": "-", "×": "x", "“": '"', "”": '"', "’": "'", "✓": "√"}
    | {"\N{NO-BREAK SPACE}": " ", "\N{THIN SPACE}": " ", "…": "...", "↑": "^", "€": "EUR"}
)

#: In GB 2312-80, though Python's codec of that name has their places for other characters.
_ALSO_GB2312: Final = frozenset("·—")


@unique
class Glyphs(StrEnum):
    """Which ideographs a printer's own font has."""

    GB2312 = "gb2312"
    GB18030 = "gb18030"
    NONE = "none"


@unique
class QrBy(StrEnum):
    """Who draws the QR: the printer's own command, or dots that we send."""

    PRINTER = "printer"
    DOTS = "dots"


@dataclass(frozen=True, slots=True)
class Paper:
    """A roll: its columns of 12 dots, and the size of one QR module in dots."""

    mm: int
    columns: int
    module_dots: int

    @property
    def dots(self) -> int:
        """Printable width."""
        return self.columns * DOTS_PER_COLUMN


PAPERS: Final = {58: Paper(58, 32, 5), 80: Paper(80, 48, 6)}


@dataclass(frozen=True, slots=True)
class Dots:
    """A picture of one bit a dot: rows of whole bytes, the leftmost dot in the highest bit."""

    width: int
    height: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What one printer can do.

    Attributes:
        paper: the roll in it.
        glyphs: what its font has.
        qr: who draws the QR.
        cuts: whether it has a knife.
    """

    paper: Paper = PAPERS[58]
    glyphs: Glyphs = Glyphs.GB2312
    qr: QrBy = QrBy.PRINTER
    cuts: bool = True


def plain_signs(text: str) -> str:
    """The text with signs that any printer sets: ``¥20`` becomes ``20 元``."""
    said = _MONEY.sub(r"\1 元", text).translate(_SUBSTITUTES)
    return "".join(one if one.isprintable() else " " for one in said)


def columns_on_paper(text: str) -> int:
    """Width on a GB printer: one column for a byte of ASCII, two for all else."""
    return sum(1 if one.isascii() else 2 for one in text)


def has_glyphs(text: str, glyphs: Glyphs) -> bool:
    """Whether the printer's font has every character of the text."""
    if text.isascii():
        return text.isprintable()
    if glyphs is Glyphs.NONE or not text.isprintable():
        return False
    return all(one.isascii() or _in_font(one, glyphs) for one in text)


def _in_font(one: str, glyphs: Glyphs) -> bool:
    if glyphs is Glyphs.GB2312 and one not in _ALSO_GB2312:
        try:
            one.encode("gb2312")
        except UnicodeEncodeError:
            return False
    # Four bytes take two columns on one printer and four on the next; as dots they take two.
    return len(one.encode("gb18030")) == 2


def encode(
    lines: Sequence[Line],
    qr: str,
    model: Model,
    draw: Callable[[str, Style, Paper], Dots],
) -> bytes:
    """A whole slip.

    Args:
        lines: what stands on it.
        qr: text of its QR, at most 300 bytes, or empty for none.
        model: the printer.
        draw: a row of text as dots, for what the printer's font lacks.

    Raises:
        ValueError: too many lines, or the QR's text is too long.
    """
    if len(lines) > LINES_MAX or len(qr.encode()) > QR_BYTES_MAX:
        raise ValueError(f"at most {LINES_MAX} lines, and {QR_BYTES_MAX} bytes in the QR")
    parts = [INITIALISE]
    if model.glyphs is not Glyphs.NONE:
        parts.append(IDEOGRAPHS_ON)
    tame = [Line(plain_signs(one.text), one.style, plain_signs(one.right)) for one in lines]
    for row, style in rows(tame, model.paper.columns, columns_on_paper, TITLE_SCALE):
        parts.extend(_row(row, style, model, draw))
    if qr:
        parts += [CENTRE, *_qr(qr, model), LEFT, b"\n"]
    parts.append(CUT if model.cuts else b"\n\n\n")
    return b"".join(parts)


def _row(
    row: str, style: Style, model: Model, draw: Callable[[str, Style, Paper], Dots]
) -> Iterator[bytes]:
    if not has_glyphs(row, model.glyphs):
        yield raster(draw(row, style, model.paper))
        return
    strong = style in {Style.TITLE, Style.NOTICE}
    if strong:
        yield BOLD_ON
    if style is Style.TITLE:
        yield LARGE_ON
    yield row.encode("gb18030") + b"\n"
    if style is Style.TITLE:
        yield LARGE_OFF
    if strong:
        yield BOLD_OFF


def raster(dots: Dots) -> bytes:
    """``GS v 0``: a picture, at one dot a dot."""
    across = (dots.width + 7) // 8
    if len(dots.data) != across * dots.height:
        raise ValueError(f"{dots.width} x {dots.height} dots take {across * dots.height} bytes")
    head = b"\x1dv0\x00" + across.to_bytes(2, "little") + dots.height.to_bytes(2, "little")
    return head + dots.data


def _qr(text: str, model: Model) -> list[bytes]:
    if model.qr is QrBy.DOTS:
        return [raster(qr_dots(text, model.paper))]

    def command(function: int, parameters: bytes) -> bytes:
        body = b"1" + bytes([function]) + parameters
        return b"\x1d(k" + len(body).to_bytes(2, "little") + body

    return [
        command(65, b"2\x00"),  # model 2
        command(67, bytes([model.paper.module_dots])),
        command(69, b"0"),  # error correction L
        command(80, b"0" + text.encode()),
        command(81, b"0"),
    ]


def qr_dots(text: str, paper: Paper) -> Dots:
    """The QR as dots, with its quiet zone."""
    import segno

    code = segno.make(text, error="l", micro=False, encoding="utf-8")
    lines = [list(line) for line in code.matrix_iter(scale=paper.module_dots, border=2)]
    width = len(lines[0])
    packed = b"".join(_packed(line) for line in lines)
    return Dots(width, len(lines), packed)


def _packed(line: Sequence[int]) -> bytes:
    padded = [*line, *[0] * (-len(line) % 8)]
    return bytes(
        sum(bool(bit) << (7 - place) for place, bit in enumerate(padded[at : at + 8]))
        for at in range(0, len(padded), 8)
    )
