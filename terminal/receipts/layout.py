"""What stands on a receipt, line by line, before any printer or page is chosen.

Widths are columns of a receipt printer: an ideograph takes two, a Latin letter one. 58 mm paper
has 32 columns, 80 mm paper 48. The QR holds the text that the terminal signed for this entry, at
most 300 bytes (DESIGN section 4), so that whoever keeps the slip can prove the redemption.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final, TypeAlias

from screens.language import Wording

COLUMNS_58_MM: Final = 32
COLUMNS_80_MM: Final = 48
QR_BYTES_MAX: Final = 300
HOTLINE: Final = "12351"
#: Measures a text in columns, as one printer or page sets it.
Width: TypeAlias = Callable[[str], int]


@unique
class Style(StrEnum):
    """How a line is set; printers and pages each have their means."""

    TITLE = "title"
    PLAIN = "plain"
    PAIR = "pair"
    RULE = "rule"
    CENTRE = "centre"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Line:
    """One line; ``right`` is set against the right margin."""

    text: str
    style: Style = Style.PLAIN
    right: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptFacts:
    """What the slip is about. Prices in fen, times in UTC milliseconds.

    Attributes:
        price_fen: what one costs the member, or ``None`` when it is not known any more.
        entry: sequence number in the terminal's ledger.
        offline: recorded while the server could not be asked.
        proof: the text for the QR, or empty for a slip without one.
        void_until_ms: until when this counter may void it, or ``None``.
        copy: printed again.
    """

    venue: str
    offer: str
    quantity: int
    price_fen: int | None
    entry: int
    ts_ms: int
    offline: bool
    proof: str = ""
    void_until_ms: int | None = None
    voided: bool = False
    practice: bool = False
    demo: bool = False
    copy: bool = False


def lay_out(facts: ReceiptFacts, words: Wording) -> tuple[Line, ...]:
    """The lines of a slip, top to bottom; the QR follows them."""
    _ = words.gettext
    lines = [Line(_("Red card receipt"), Style.TITLE), Line(facts.venue, Style.CENTRE)]
    if facts.practice:
        lines.append(Line(_("PRACTICE: nothing counts"), Style.NOTICE))
    if facts.demo:
        lines.append(Line(_("DEMO: not a real receipt"), Style.NOTICE))
    if facts.voided:
        lines.append(Line(_("VOIDED"), Style.NOTICE))
    if facts.copy:
        lines.append(Line(_("Reprint"), Style.CENTRE))
    lines += [
        Line("", Style.RULE),
        Line(facts.offer, Style.PLAIN),
        Line(_("Quantity"), Style.PAIR, str(facts.quantity)),
    ]
    if facts.price_fen is not None:
        pays = words.money(facts.price_fen * facts.quantity)
        lines.append(Line(_("To pay"), Style.PAIR, pays))
    lines += [
        Line("", Style.RULE),
        Line(_("Time"), Style.PAIR, f"{words.full_date(facts.ts_ms)} {words.clock(facts.ts_ms)}"),
        Line(_("Ledger no."), Style.PAIR, str(facts.entry)),
    ]
    if facts.offline:
        lines.append(Line(_("Recorded here, uploads when connected")))
    if facts.void_until_ms is not None and not facts.voided:
        until = words.clock(facts.void_until_ms)
        lines.append(Line(_("Can be voided here until"), Style.PAIR, until))
    lines += [
        Line("", Style.RULE),
        Line(_("Hotline %(number)s, 24 hours") % {"number": HOTLINE}, Style.CENTRE),
    ]
    if facts.proof:
        lines.append(Line(_("Scan to check the signed record"), Style.CENTRE))
    return tuple(lines)


def columns_of(text: str) -> int:
    """Width of a text in printer columns (Unicode TR 11: wide and full width take two)."""
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
    )


def wrap(text: str, columns: int, width: Width = columns_of) -> list[str]:
    """Breaks a text into lines of at most ``columns``; words of Latin letters stay whole."""
    lines: list[str] = []
    line = ""
    for piece in _pieces(text):
        if line and width(line + piece.rstrip()) > columns:
            lines.append(line.rstrip())
            line = ""
            piece = piece.lstrip()  # noqa: PLW2901 - a space never begins a line
        while width(piece) > columns:
            kept = _longest(piece, columns, width)
            lines.append(kept)
            piece = piece[len(kept) :]  # noqa: PLW2901 - the rest of an overlong word
        line += piece
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def rows(
    lines: Iterable[Line], columns: int, width: Width = columns_of, title_scale: int = 1
) -> Iterator[tuple[str, Style]]:
    """The rows of a slip, each at most ``columns`` wide, with how each is set.

    Args:
        lines: what stands on it.
        columns: of the paper.
        width: measures a text in columns.
        title_scale: how many times wider a title is set.
    """
    for line in lines:
        room = columns // title_scale if line.style is Style.TITLE else columns
        for row in _set(line, room, width):
            yield row, line.style


def _set(line: Line, columns: int, width: Width) -> list[str]:
    if line.style is Style.RULE:
        return ["-" * columns]
    if line.style is Style.PAIR:
        gap = columns - width(line.text) - width(line.right)
        if gap >= 1:
            return [line.text + " " * gap + line.right]
        right = wrap(line.right, columns, width)
        left = wrap(line.text, columns, width)
        return left + [" " * (columns - width(part)) + part for part in right]
    parts = wrap(line.text, columns, width)
    if line.style is Style.PLAIN:
        return parts
    return [" " * ((columns - width(part)) // 2) + part for part in parts]


def as_text(lines: Iterable[Line], columns: int = COLUMNS_58_MM) -> str:
    """The slip as fixed-width text, the way a printer without graphics sets it."""
    return "\n".join(row for row, _ in rows(lines, columns)) + "\n"


def qr_svg(payload: str) -> str:
    """The QR of a slip as inline SVG that takes its colour from the page; empty for no payload.

    Raises:
        ValueError: the payload is longer than ``QR_BYTES_MAX``.
    """
    if not payload:
        return ""
    if len(payload.encode()) > QR_BYTES_MAX:
        raise ValueError(f"a receipt QR holds at most {QR_BYTES_MAX} bytes; shorten the proof")
    import segno

    code = segno.make(payload, error="l", micro=False)
    return str(code.svg_inline(border=2, omitsize=True, svgclass="qr", lineclass=None))


def _pieces(text: str) -> list[str]:
    """Splits where a line may break: after a space, and around every wide character."""
    pieces: list[str] = []
    word = ""
    for one in text:
        if columns_of(one) == 2:
            pieces += [word, one] if word else [one]
            word = ""
        elif one == " ":
            pieces.append(word + one)
            word = ""
        else:
            word += one
    return [*pieces, word] if word else pieces


def _longest(text: str, columns: int, width: Width) -> str:
    kept = ""
    for one in text:
        if width(kept + one) > columns:
            break
        kept += one
    return kept or text[0]
