"""Chinese first, then English: wording by gettext, dates, numbers and money by locale.

The source language of the code is English; ``locale/zh_CN/LC_MESSAGES`` holds the Chinese, one file
for the terminal's pages and receipts and one for the server's pages. The catalogues are read from
their source files, so a fresh checkout needs no compile step.
Times are integers, milliseconds since the Unix epoch UTC, shown in the venue's time zone.
"""

from __future__ import annotations

import gettext as stdlib_gettext
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum, unique
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from screens.catalogue import Catalogue, joined, read_catalogue
from screens.errors import CatalogueBroken

VENUE_ZONE = "Asia/Shanghai"
FEN_PER_YUAN = 100
_CATALOGUE = "locale/{folder}/LC_MESSAGES/{domain}.po"
#: Catalogues; where two hold the same message, the first one's wording is used.
DOMAINS = ("redcard", "office")
_WEEKDAYS_ZH = "一二三四五六日"


@unique
class Language(StrEnum):
    """The languages of the pages; the value is what addresses and cookies carry."""

    ZH = "zh"
    EN = "en"

    @property
    def tag(self) -> str:
        """BCP 47 tag for the ``lang`` attribute."""
        return "zh-CN" if self is Language.ZH else "en"

    @property
    def locale(self) -> str:
        """Name of the locale for Babel."""
        return "zh_CN" if self is Language.ZH else "en_GB"

    @property
    def other(self) -> Language:
        """The language that the switch offers."""
        return Language.EN if self is Language.ZH else Language.ZH

    @property
    def own_name(self) -> str:
        """What the language calls itself."""
        return "中文" if self is Language.ZH else "English"


def negotiate(chosen: str | None, accept_language: str | None = None) -> Language:
    """The language of a page: what was chosen, else what the browser asks for, else Chinese.

    Args:
        chosen: value of the switch or cookie; anything but ``zh`` and ``en`` is ignored.
        accept_language: the request's header, RFC 9110 section 12.5.4.
    """
    if chosen in set(Language):
        return Language(chosen)
    best, best_weight = Language.ZH, 0.0
    for part in (accept_language or "").split(",")[:32]:
        tag, _, parameter = part.strip().partition(";")
        try:
            weight = float(parameter.strip().removeprefix("q=")) if parameter else 1.0
        except ValueError:
            continue
        primary = tag.split("-")[0].strip().lower()
        if primary in set(Language) and weight > best_weight:
            best, best_weight = Language(primary), weight
    return best


def _read_catalogues(folder: str) -> stdlib_gettext.NullTranslations:
    """The first catalogue; the others are read when a message is not in it: a kiosk needs none."""
    first, *more = DOMAINS
    return Catalogue(
        _read_catalogue(folder, first),
        lambda: joined(_read_catalogue(folder, domain) for domain in more),
    )


def _read_catalogue(folder: str, domain: str) -> dict[str, str]:
    path = files("screens").joinpath(_CATALOGUE.format(folder=folder, domain=domain))
    try:
        return read_catalogue(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as fault:
        raise CatalogueBroken(f"{path}: cannot be read: {fault}; reinstall redcard") from fault


class Wording:
    """All that depends on the language, bound to one."""

    def __init__(self, language: Language) -> None:
        """Reads the catalogue; use :func:`wording`, which keeps one per language.

        Raises:
            CatalogueBroken: the catalogue cannot be read.
        """
        self.language = language
        self._translations = (
            stdlib_gettext.NullTranslations()
            if language is Language.EN
            else _read_catalogues(language.locale)
        )
        self.gettext: Callable[[str], str] = self._translations.gettext
        self.ngettext: Callable[[str, str, int], str] = self._translations.ngettext

    def date(self, at_ms: int) -> str:
        """Day and month, ``6月2日`` or ``2 Jun``."""
        moment = local(at_ms)
        if self.language is Language.ZH:
            return f"{moment.month}月{moment.day}日"
        return self._babel_date(moment, "d MMM")

    def full_date(self, at_ms: int) -> str:
        """Date with weekday, ``2014-05-30 周五`` or ``Fri 30 May 2014``."""
        moment = local(at_ms)
        if self.language is Language.ZH:
            return f"{moment:%Y-%m-%d} 周{_WEEKDAYS_ZH[moment.weekday()]}"
        return self._babel_date(moment, "EEE d MMM y")

    def month(self, year: int, month: int) -> str:
        """A month of a report, ``2014年5月`` or ``May 2014``."""
        if self.language is Language.ZH:
            return f"{year}年{month}月"
        return self._babel_date(datetime(year, month, 1, tzinfo=UTC), "MMMM y")

    def clock(self, at_ms: int) -> str:
        """Time of day at the venue, ``10:12``."""
        return f"{local(at_ms):%H:%M}"

    def number(self, value: int) -> str:
        """A count with its thousands set apart, ``10,000``."""
        return f"{value:,}"

    def money(self, fen: int) -> str:
        """An amount given in fen: ``10 元`` or ``¥10``; fen are shown only when there are any."""
        yuan, rest = divmod(abs(fen), FEN_PER_YUAN)
        sign = "-" if fen < 0 else ""
        amount = f"{sign}{yuan:,}" + (f".{rest:02}" if rest else "")
        return f"{amount} 元" if self.language is Language.ZH else f"¥{amount}"

    def _babel_date(self, moment: datetime, pattern: str) -> str:
        from babel.dates import format_date

        return format_date(moment.date(), pattern, locale=self.language.locale)


@cache
def wording(language: Language) -> Wording:
    """The wording of a language; read once per process.

    Raises:
        CatalogueBroken: the catalogue cannot be read.
    """
    return Wording(language)


def local(at_ms: int) -> datetime:
    """A moment in the venue's time zone."""
    return datetime.fromtimestamp(at_ms / 1000, tz=ZoneInfo(VENUE_ZONE))


def minutes_seconds(remaining_ms: int) -> str:
    """A countdown as ``8:41``; never below ``0:00``."""
    minutes, seconds = divmod(max(0, remaining_ms) // 1000, 60)
    return f"{minutes}:{seconds:02}"
