"""Text as dots, for glyphs that a printer's own font lacks, and for previews.

Cells of 12 by 24 dots for a column, 24 by 24 for an ideograph, as the printers' own fonts have
them. The font is the machine's; Pillow is imported at the first use, since few slips need it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from terminal.errors import PrinterFault
from terminal.receipts.escpos import (
    DOTS_PER_COLUMN,
    TITLE_SCALE,
    Dots,
    Paper,
    columns_on_paper,
)
from terminal.receipts.layout import Style

if TYPE_CHECKING:
    from PIL import Image, ImageFont

GLYPH_DOTS: Final = 24
LEADING_DOTS: Final = 6
_LETTER_DOTS: Final = 21
#: Where Linux distributions keep a font with ideographs; `redcard doctor` checks for one.
FONT_FILES: Final = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-{weight}.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-{weight}.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-{weight}.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
)
_SIMPLIFIED_CHINESE: Final = "SC"


@cache
def font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The machine's font with ideographs, simplified Chinese where a file holds several.

    Raises:
        PrinterFault: there is none; the message says what to install.
    """
    from PIL import ImageFont

    basic = ImageFont.Layout.BASIC
    for pattern in FONT_FILES:
        file = Path(pattern.format(weight="Bold" if bold else "Regular"))
        if not file.exists():
            continue
        for index in range(16):
            try:
                # One character a cell: shaping is neither needed nor safe with any text.
                found = ImageFont.truetype(str(file), size, index, layout_engine=basic)
            except OSError:
                break
            if _SIMPLIFIED_CHINESE in str(found.getname()[0]).split() or "wqy" in file.name:
                return found
        return ImageFont.truetype(str(file), size, layout_engine=basic)
    raise PrinterFault("no font with ideographs; run `apt-get install fonts-noto-cjk`")


def draw(row: str, style: Style, paper: Paper) -> Dots:
    """One row as dots, each character in its own cell.

    Raises:
        PrinterFault: no font with ideographs is installed.
    """
    from PIL import Image

    height = GLYPH_DOTS + LEADING_DOTS
    picture = Image.new("L", (paper.dots, height), 0)
    put(picture, row, 0, 0, bold=style in {Style.TITLE, Style.NOTICE})
    if style is Style.TITLE:
        picture = enlarged(picture)
    return packed(picture)


def put(picture: Any, row: str, left: int, top: int, *, bold: bool) -> None:
    """Draws a row of cells into a picture, ink 255 on 0."""
    from PIL import ImageDraw

    pen, at = ImageDraw.Draw(picture), left
    for one in row:
        wide = columns_on_paper(one) * DOTS_PER_COLUMN
        letters = font(GLYPH_DOTS if wide > DOTS_PER_COLUMN else _LETTER_DOTS, bold=bold)
        pen.text((at + wide / 2, top + GLYPH_DOTS), one, fill=255, font=letters, anchor="ms")
        at += wide


def enlarged(picture: Image.Image) -> Image.Image:
    """The left half of a row at twice its height and width, as printers set a title."""
    half = picture.crop((0, 0, picture.width // TITLE_SCALE, picture.height))
    return half.resize((half.width * TITLE_SCALE, half.height * TITLE_SCALE))


def packed(picture: Image.Image) -> Dots:
    """A grey picture, ink light on dark, as one bit a dot."""
    sharp = picture.point(lambda level: 255 if level > 110 else 0).convert("1")
    return Dots(sharp.width, sharp.height, sharp.tobytes())
