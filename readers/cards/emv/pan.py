"""The application PAN: read, compared, handed over once, and never shown. Pure."""

from __future__ import annotations

from typing import Final

from readers.cards.errors import AuthenticationFailed, Failure
from readers.errors import CardUnreadable

#: ISO/IEC 7812-1: at most 19 digits. The shortest issued account numbers have 12.
DIGITS_MIN: Final = 12
DIGITS_MAX: Final = 19
_PADDED_BYTES_MAX: Final = 10
_TRACK2_BYTES_MAX: Final = 19


class Pan:
    """A primary account number that shows itself to nobody but ``take``.

    The digits are kept in a buffer that ``wipe`` overwrites. The card's own answers were
    immutable bytes before and cannot be overwritten; they are dropped as soon as they are read.
    """

    __slots__ = ("_digits",)

    def __init__(self, digits: bytes) -> None:
        """Takes 12 to 19 ASCII digits.

        Raises:
            CardUnreadable: not 12 to 19 digits; the message does not show them.
        """
        if not DIGITS_MIN <= len(digits) <= DIGITS_MAX or not digits.isdigit():
            raise CardUnreadable(f"an account number of {DIGITS_MIN} to {DIGITS_MAX} digits needed")
        self._digits = bytearray(digits)

    @classmethod
    def from_padded(cls, value: bytes) -> Pan:
        """Reads tag 5A or the PAN of a certificate: digits in nibbles, padded with F.

        Raises:
            CardUnreadable: not digits, or too short or long.
        """
        if len(value) > _PADDED_BYTES_MAX:
            raise CardUnreadable("the account number field is too long")
        return cls(value.hex().rstrip("f").encode("ascii"))

    @classmethod
    def from_track2(cls, value: bytes) -> Pan:
        """Reads tag 57: digits, the separator D, then what is not ours to read.

        Raises:
            CardUnreadable: no separator, not digits, or too short or long.
        """
        if len(value) > _TRACK2_BYTES_MAX:
            raise CardUnreadable("the track 2 field is too long")
        digits, separator, _ = value.hex().partition("d")
        if not separator:
            raise CardUnreadable("the track 2 field has no separator")
        return cls(digits.encode("ascii"))

    def take(self) -> bytes:
        """The ASCII digits, for the card hash and nothing else."""
        return bytes(self._digits)

    def starts_with(self, digits: str) -> bool:
        """Whether the account number begins with these digits (the issuer identifier)."""
        return self._digits.startswith(digits.encode("ascii"))

    def wipe(self) -> None:
        """Overwrites the digits."""
        self._digits[:] = bytes(len(self._digits))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pan) and self._digits == other._digits

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "Pan(hidden)"


def agreed(*found: Pan | None) -> Pan | None:
    """The one PAN that all places name, or ``None`` if no place names one.

    Of equal ones the first is returned and the others are wiped; of different ones all are.

    Raises:
        AuthenticationFailed: two places name different ones.
    """
    present = [pan for pan in found if pan is not None]
    same = all(pan == present[0] for pan in present)
    for pan in present[1 if same else 0 :]:
        pan.wipe()
    if not same:
        raise AuthenticationFailed(
            Failure.PAN_MISMATCH, "the card names different account numbers in different places"
        )
    return present[0] if present else None
