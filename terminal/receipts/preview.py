"""A printer of pictures: reads the bytes that a real printer would get, and draws the paper.

It knows exactly the commands that :mod:`terminal.receipts.escpos` writes, and refuses all others,
so the picture shows what the bytes say and not what somebody meant.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final

from terminal.receipts.escpos import CUT, DOTS_PER_COLUMN, TITLE_SCALE, Paper
from terminal.receipts.raster import GLYPH_DOTS, LEADING_DOTS, enlarged, put

SLIP_BYTES_MAX: Final = 1_048_576
PAPER_DOTS_MAX: Final = 60_000
MARGIN_DOTS: Final = 24
_KNIFE: Final = CUT[:3]


class Unprintable(ValueError):
    """Bytes that are no slip of ours."""


@dataclass(slots=True)
class _Head:
    """The state of the print head."""

    bold: bool = False
    large: bool = False
    centre: bool = False
    module_dots: int = 4
    qr: bytes = b""
    strips: list[Any] = field(default_factory=list)
    height: int = 0


def picture_of(slip: bytes, paper: Paper) -> bytes:
    """The paper as a PNG.

    Args:
        slip: what :func:`terminal.receipts.escpos.encode` wrote.
        paper: the roll.

    Raises:
        Unprintable: an unknown command, a truncated one, or more paper than a slip has.
    """
    from PIL import Image

    if len(slip) > SLIP_BYTES_MAX:
        raise Unprintable(f"a slip has at most {SLIP_BYTES_MAX} bytes")
    head, at = _Head(), 0
    while at < len(slip):
        at = _step(slip, at, head, paper)
        if head.height > PAPER_DOTS_MAX:
            raise Unprintable(f"a slip has at most {PAPER_DOTS_MAX} dots of paper")
    sheet = Image.new("L", (paper.dots + 2 * MARGIN_DOTS, head.height + 2 * MARGIN_DOTS), 255)
    top = MARGIN_DOTS
    for strip in head.strips:
        sheet.paste(0, (MARGIN_DOTS, top), strip)
        top += strip.height
    out = BytesIO()
    sheet.convert("1").save(out, "PNG")
    return out.getvalue()


def _step(slip: bytes, at: int, head: _Head, paper: Paper) -> int:
    """One command or one row of text; returns where the next begins."""
    if slip[at : at + 1] not in (b"\x1b", b"\x1c", b"\x1d"):
        end = slip.find(b"\n", at)
        if end < 0:
            raise Unprintable(f"byte {at}: a row without its end")
        _print_row(slip[at:end], head, paper)
        return end + 1
    two = slip[at : at + 2]
    if two in (b"\x1b@", b"\x1c&"):
        return at + 2
    if slip[at : at + 3] == _KNIFE:
        _feed(head, paper, _byte(slip, at + 3))
        return at + 4
    if slip[at : at + 4] == b"\x1dv0\x00":
        return _picture(slip, at, head, paper)
    if slip[at : at + 3] == b"\x1d(k":
        return _qr_command(slip, at, head, paper)
    value = _byte(slip, at + 2)
    if two == b"\x1bE":
        head.bold = value == 1
    elif two == b"\x1ba":
        head.centre = value == 1
    elif two == b"\x1d!":
        head.large = value == 0x11
    elif two != b"\x1c!":
        raise Unprintable(f"byte {at}: unknown command {two.hex()}")
    return at + 3


def _byte(slip: bytes, at: int) -> int:
    if at >= len(slip):
        raise Unprintable(f"byte {at}: a truncated command")
    return slip[at]


def _add(head: _Head, strip: Any) -> None:
    head.strips.append(strip)
    head.height += strip.height


def _feed(head: _Head, paper: Paper, dots: int) -> None:
    from PIL import Image

    if dots:
        _add(head, Image.new("L", (paper.dots, dots), 0))


def _print_row(row: bytes, head: _Head, paper: Paper) -> None:
    from PIL import Image

    try:
        text = row.decode("gb18030")
    except UnicodeDecodeError as error:
        raise Unprintable(f"a row is not GB18030: {error}") from None
    if len(row) * DOTS_PER_COLUMN * (TITLE_SCALE if head.large else 1) > paper.dots:
        raise Unprintable(f"a row of {len(row)} columns does not fit on the paper")
    height = GLYPH_DOTS + LEADING_DOTS
    strip = Image.new("L", (paper.dots, height), 0)
    put(strip, text, 0, 0, bold=head.bold)
    _add(head, enlarged(strip) if head.large else strip)


def _picture(slip: bytes, at: int, head: _Head, paper: Paper) -> int:
    across = int.from_bytes(slip[at + 4 : at + 6], "little")
    height = int.from_bytes(slip[at + 6 : at + 8], "little")
    end = at + 8 + across * height
    if not across or not height or end > len(slip) or across * 8 > paper.dots + 7:
        raise Unprintable(f"byte {at}: a picture of {across * 8} x {height} dots")
    _paste_bits(slip[at + 8 : end], across * 8, height, head, paper)
    return end


def _paste_bits(data: bytes, width: int, height: int, head: _Head, paper: Paper) -> None:
    from PIL import Image

    bits = Image.frombytes("1", (width, height), data).convert("L")
    strip = Image.new("L", (paper.dots, height), 0)
    strip.paste(bits, ((paper.dots - width) // 2 if head.centre else 0, 0))
    _add(head, strip)


def _qr_command(slip: bytes, at: int, head: _Head, paper: Paper) -> int:
    length = int.from_bytes(slip[at + 3 : at + 5], "little")
    end = at + 5 + length
    body = slip[at + 5 : end]
    if len(body) != length or length < 3 or body[:1] != b"1":
        raise Unprintable(f"byte {at}: a truncated QR command")
    function, parameters = body[1], body[2:]
    if function == 67:
        head.module_dots = parameters[0]
    elif function == 80:
        head.qr = parameters[1:]
    elif function == 81:
        _print_qr(head, paper)
    elif function not in (65, 69):
        raise Unprintable(f"byte {at}: unknown QR function {function}")
    return end


def _print_qr(head: _Head, paper: Paper) -> None:
    from dataclasses import replace

    from terminal.receipts.escpos import qr_dots

    if not head.qr:
        raise Unprintable("a QR without content")
    sized = replace(paper, module_dots=max(1, min(16, head.module_dots)))
    try:
        dots = qr_dots(head.qr.decode(), sized)
    except (ValueError, UnicodeDecodeError) as error:
        raise Unprintable(f"a QR that cannot be drawn: {error}") from None
    if dots.width > paper.dots:
        raise Unprintable("a QR that is wider than the paper")
    _paste_bits(dots.data, (dots.width + 7) // 8 * 8, dots.height, head, paper)
