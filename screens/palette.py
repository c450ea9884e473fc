"""The colours of every page, with the contrast each pair must keep.

Red is the brand, so red never means an error. A state is told four times over: by the colour of
the field, by the outline of a shape, by a word and by a sound; colour alone carries nothing.
``static/palette.css`` is these tokens as custom properties; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Least contrast of text (WCAG 2.2, 1.4.3) and of graphics and borders (1.4.11).
TEXT_CONTRAST_MIN = 4.5
GRAPHIC_CONTRAST_MIN = 3.0

#: Name of the custom property, without its dashes, to the colour in sRGB.
TOKENS: dict[str, str] = {
    "paper": "#FBF7F2",
    "card": "#FFFFFF",
    "sand": "#F2EAE3",
    "ink": "#1B1613",
    "muted": "#5E544D",
    "border": "#8C7F75",
    "brand": "#B01E23",
    "on-brand": "#FFFFFF",
    "focus": "#0B57D0",
    "approve": "#0B6B45",
    "on-approve": "#FFFFFF",
    "retry": "#FFD45C",
    "on-retry": "#1B1613",
    "decline": "#14110F",
    "on-decline": "#FFFFFF",
    "decline-mark": "#FFD45C",
    "fault": "#DCE6F2",
    "on-fault": "#1B1613",
    "offline": "#F2C14E",
    "on-offline": "#1B1613",
    "practice": "#4A3AA7",
    "on-practice": "#FFFFFF",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two tokens that lie on each other, and the least contrast between them."""

    front: str
    back: str
    contrast_min: float = TEXT_CONTRAST_MIN


#: Every pair that the pages use; a pair that is not here must not be used.
PAIRS: tuple[Pair, ...] = (
    Pair("ink", "paper"),
    Pair("ink", "card"),
    Pair("ink", "sand"),
    Pair("muted", "paper"),
    Pair("muted", "card"),
    Pair("muted", "sand"),
    Pair("brand", "paper"),
    Pair("brand", "card"),
    Pair("on-brand", "brand"),
    Pair("on-approve", "approve"),
    Pair("on-retry", "retry"),
    Pair("on-decline", "decline"),
    Pair("decline-mark", "decline", GRAPHIC_CONTRAST_MIN),
    Pair("on-fault", "fault"),
    Pair("on-offline", "offline"),
    Pair("on-practice", "practice"),
    Pair("approve", "paper"),
    Pair("approve", "card"),
    Pair("practice", "paper"),
    Pair("border", "paper", GRAPHIC_CONTRAST_MIN),
    Pair("border", "card", GRAPHIC_CONTRAST_MIN),
    Pair("focus", "paper", GRAPHIC_CONTRAST_MIN),
    Pair("focus", "card", GRAPHIC_CONTRAST_MIN),
    Pair("focus", "sand", GRAPHIC_CONTRAST_MIN),
    Pair("paper", "ink"),
)

#: The four fields that a member must tell apart at a glance, whatever their colour vision.
MAIN_FIELDS: tuple[str, ...] = ("approve", "retry", "decline", "fault")


def channels(colour: str) -> tuple[float, float, float]:
    """Linear-light red, green and blue of ``#RRGGBB``, each 0 to 1 (IEC 61966-2-1)."""

    def linear(eight_bit: int) -> float:
        level = eight_bit / 255
        return level / 12.92 if level <= 0.04045 else float(((level + 0.055) / 1.055) ** 2.4)

    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return linear(red), linear(green), linear(blue)


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours ``#RRGGBB``, 1 to 21 (WCAG 2.2, contrast ratio)."""

    def luminance(colour: str) -> float:
        red, green, blue = channels(colour)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def stylesheet() -> str:
    """The tokens as CSS custom properties, the text of ``static/palette.css``."""
    lines = [f"  --{name}: {colour};" for name, colour in TOKENS.items()]
    return "\n".join([":root {", *lines, "}", ""])
