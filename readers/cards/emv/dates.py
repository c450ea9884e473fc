"""Dates as cards write them (EMV Book 2, 5.3 and Book 3, A). Pure."""

from __future__ import annotations

from datetime import date, timedelta

from readers.errors import CardUnreadable

#: JR/T 0025 and EMV Book 4, 6.7.3: years 00 to 49 are 20YY, 50 to 99 are 19YY.
_CENTURY_TURN = 50


def month_end(value: bytes) -> date:
    """Last day of a certificate's month MMYY, which is still valid.

    Raises:
        CardUnreadable: not two bytes of digits, or no such month.
    """
    digits = _digits(value, 2)
    month, year = int(digits[:2]), _year(digits[2:])
    if not 1 <= month <= 12:
        raise CardUnreadable("a certificate names a month that does not exist")
    following = date(year + month // 12, month % 12 + 1, 1)
    return following - timedelta(days=1)


def day(value: bytes) -> date:
    """A date YYMMDD, such as tag 5F24; day 00 means the last day of the month.

    Raises:
        CardUnreadable: not three bytes of digits, or no such day.
    """
    digits = _digits(value, 3)
    if digits[4:] == "00":
        return month_end(value[1:2] + value[0:1])
    try:
        return date(_year(digits[:2]), int(digits[2:4]), int(digits[4:]))
    except ValueError:
        raise CardUnreadable("the card names a day that does not exist") from None


def day_bytes(value: date) -> bytes:
    """A date as YYMMDD, such as tag 9A."""
    return bytes.fromhex(f"{value.year % 100:02d}{value.month:02d}{value.day:02d}")


def _digits(value: bytes, length: int) -> str:
    digits = value.hex()
    if len(value) != length or not digits.isdecimal():
        raise CardUnreadable(f"a date of {length} bytes of digits needed")
    return digits


def _year(digits: str) -> int:
    year = int(digits)
    return (2000 if year < _CENTURY_TURN else 1900) + year
