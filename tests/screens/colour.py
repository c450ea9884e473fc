"""Colour vision and distance, to prove that the fields can be told apart.

Simulation: Machado, Oliveira and Fernandes 2009, severity 1.0, on linear light. Distance: CIE76
in CIELAB under D65.
"""

from __future__ import annotations

from screens.palette import channels

Triple = tuple[float, float, float]

VISIONS: dict[str, tuple[Triple, Triple, Triple]] = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
_WHITE = (0.95047, 1.0, 1.08883)


def _times(matrix: tuple[Triple, ...], vector: Triple) -> Triple:
    first, second, third = (
        sum(left * right for left, right in zip(row, vector, strict=True)) for row in matrix
    )
    return first, second, third


def lab(colour: str, vision: str) -> Triple:
    """CIELAB of a colour ``#RRGGBB`` as one kind of colour vision sees it."""
    seen = _times(VISIONS[vision], channels(colour))
    clipped = tuple(min(1.0, max(0.0, one)) for one in seen)
    xyz = _times(_TO_XYZ, (clipped[0], clipped[1], clipped[2]))

    def response(value: float) -> float:
        limit = (6 / 29) ** 3
        return float(value ** (1 / 3)) if value > limit else value / (3 * (6 / 29) ** 2) + 4 / 29

    x, y, z = (response(one / white) for one, white in zip(xyz, _WHITE, strict=True))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def distance(one: str, other: str, vision: str) -> float:
    """Delta E (CIE76) of two colours for one kind of colour vision."""
    pairs = zip(lab(one, vision), lab(other, vision), strict=True)
    return float(sum((left - right) ** 2 for left, right in pairs) ** 0.5)
