"""Words that the federation publishes: other texts for codes, and notices to those at counters.

A file of them is JSON::

    {"format": "redcard-messages/v1",
     "texts": {"L05": {"member": {"zh": ["已领完", "下周一再来"], "en": ["Gone", "See you"]}}},
     "notices": [{"id": "flood", "zh": "…", "en": "…", "from_ms": 0, "until_ms": 1,
                  "districts": ["xicheng"], "venues": ["S01"]}]}

A text stands in for one of the product's where it can be filled; both languages belong together,
so that nobody reads a half. A notice without districts and venues is for all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from ledger.codes import Code
from ledger.errors import WordsInvalid
from ledger.rules import wording_en, wording_zh
from ledger.rules.terms import Venue

FORMAT: Final = "redcard-messages/v1"
FILE_BYTES_MAX: Final = 256 << 10
#: Longest lines: characters of Chinese, letters of English. The pages are drawn for these.
BIG_CHARACTERS_MAX: Final = 10
SMALL_CHARACTERS_MAX: Final = 18
BIG_LETTERS_MAX: Final = 32
SMALL_LETTERS_MAX: Final = 48
NOTICES_MAX: Final = 100
NOTICE_CHARACTERS_MAX: Final = 60
NOTICE_LETTERS_MAX: Final = 160
PLACES_MAX: Final = 500

Lang: TypeAlias = Literal["zh", "en"]
Audience: TypeAlias = Literal["member", "operator"]
LANGUAGES: Final[tuple[Lang, ...]] = ("zh", "en")
AUDIENCES: Final[tuple[Audience, ...]] = ("member", "operator")

_HAN: Final = re.compile(r"[\u4e00-\u9fff]")
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}\Z")
_INSTANT_MAX: Final = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Notice:
    """What the federation tells the people at counters.

    Attributes:
        id: names it.
        zh: text in Chinese.
        en: text in English.
        from_ms: first instant at which it is shown.
        until_ms: first instant at which it no longer is.
        districts: where; with ``venues`` empty as well, everywhere.
        venues: which venues.
    """

    id: str
    zh: str
    en: str
    from_ms: int
    until_ms: int
    districts: frozenset[str] = frozenset()
    venues: frozenset[str] = frozenset()

    def holds(self, venue: Venue, now_ms: int) -> bool:
        """Whether it is shown at a venue now."""
        everywhere = not self.districts and not self.venues
        here = everywhere or venue.id in self.venues or venue.district in self.districts
        return here and self.from_ms <= now_ms < self.until_ms


@dataclass(frozen=True, slots=True)
class PublishedWords:
    """What is in force.

    Attributes:
        texts: large and small line by code, audience and language.
        notices: in the order of their beginning.
    """

    texts: Mapping[tuple[Code, Audience, Lang], tuple[str, str]] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()

    def line(self, code: Code, audience: Audience, lang: Lang, *, small: bool) -> str:
        """A published line, empty if there is none."""
        return self.texts.get((code, audience, lang), ("", ""))[small]


NO_WORDS: Final = PublishedWords()


def load_words(data: bytes, *, lenient: bool = False) -> PublishedWords:
    """Reads a file of published words and checks every line of it.

    Args:
        data: the file.
        lenient: a code of a newer version is passed over; for a signed snapshot, which must not
            be refused for a text that this version never shows.

    Raises:
        WordsInvalid: names the code or notice, what is wrong with it and what belongs there.
    """
    if len(data) > FILE_BYTES_MAX:
        raise WordsInvalid(f"a file of messages has at most {FILE_BYTES_MAX} bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise WordsInvalid(f"the messages are not JSON: {error}") from None
    fields = _fields(document, "the file", {"format", "texts", "notices"})
    if fields.get("format") != FORMAT:
        raise WordsInvalid(f"format: {FORMAT}")
    texts: dict[tuple[Code, Audience, Lang], tuple[str, str]] = {}
    for name, said in _object(fields.get("texts", {}), "texts").items():
        if name not in {code.value for code in Code}:
            if lenient:
                continue
            raise WordsInvalid(
                f"{name} is no code; `ledger/codes.py` and docs/decision.md list all"
            )
        texts |= _texts_of(Code(name), said)
    notices = fields.get("notices", [])
    if not isinstance(notices, list) or len(notices) > NOTICES_MAX:
        raise WordsInvalid(f"notices: a list of at most {NOTICES_MAX}")
    told = sorted(map(_notice, notices), key=lambda one: (one.from_ms, one.id))
    if len({one.id for one in told}) != len(told):
        raise WordsInvalid("two notices have the same id")
    return PublishedWords(texts, tuple(told))


def _texts_of(code: Code, said: object) -> dict[tuple[Code, Audience, Lang], tuple[str, str]]:
    found: dict[tuple[Code, Audience, Lang], tuple[str, str]] = {}
    by_audience = _fields(said, code.value, set(AUDIENCES))
    if not by_audience:
        raise WordsInvalid(f"{code.value}: member, operator or both")
    for audience in AUDIENCES:
        if audience not in by_audience:
            continue
        where = f"{code.value} {audience}"
        both = _fields(by_audience[audience], where, set(LANGUAGES))
        for lang in LANGUAGES:
            lines = both.get(lang)
            if not isinstance(lines, list) or len(lines) != 2:
                raise WordsInvalid(f"{where} {lang}: a large and a small line, in both languages")
            big, small = (_line(code, audience, lang, lines[place], place) for place in (0, 1))
            found[code, audience, lang] = (big, small)
    return found


def _line(code: Code, audience: Audience, lang: Lang, text: object, place: int) -> str:
    where = f"{code.value} {audience} {lang} {('large', 'small')[place]}"
    if lang == "zh":
        most = (BIG_CHARACTERS_MAX, SMALL_CHARACTERS_MAX)[place]
    else:
        most = (BIG_LETTERS_MAX, SMALL_LETTERS_MAX)[place]
    line = _text(text, where, lang, most)
    words = wording_zh if lang == "zh" else wording_en
    ours = words.WORDS[code][(0 if audience == "member" else 2) + place]
    choices = (ours,) if isinstance(ours, str) else ours
    patterns = [set(_PLACEHOLDER.findall(choice)) for choice in choices]
    used = set(_PLACEHOLDER.findall(line))
    if unknown := used - set().union(*patterns):
        raise WordsInvalid(f"{where}: {{{min(unknown)}}} is not known there")
    if missing := set.intersection(*patterns) - used:
        raise WordsInvalid(f"{where}: {{{min(missing)}}} must stay, it says what was decided")
    return line


def _notice(value: object) -> Notice:
    names = {"id", "zh", "en", "from_ms", "until_ms", "districts", "venues"}
    fields = _fields(value, "a notice", names)
    name = fields.get("id")
    if not isinstance(name, str) or not _ID.match(name):
        raise WordsInvalid("id of a notice: 1 to 32 of a-z, 0-9 and -")
    where = f"notice {name}"
    since, until = _instant(fields.get("from_ms")), _instant(fields.get("until_ms"))
    if not 0 <= since < until:
        raise WordsInvalid(f"{where}: from_ms before until_ms, milliseconds since 1970")
    return Notice(
        name,
        _text(fields.get("zh"), f"{where} zh", "zh", NOTICE_CHARACTERS_MAX, patterns=False),
        _text(fields.get("en"), f"{where} en", "en", NOTICE_LETTERS_MAX, patterns=False),
        since,
        until,
        _places(fields.get("districts", []), f"{where} districts"),
        _places(fields.get("venues", []), f"{where} venues"),
    )


def _text(text: object, where: str, lang: Lang, most: int, *, patterns: bool = True) -> str:
    if not isinstance(text, str) or not text.strip() or not text.isprintable():
        raise WordsInvalid(f"{where}: words on one line, in Chinese and in English")
    bare = _PLACEHOLDER.sub("", text) if patterns else text
    if "{" in bare or "}" in bare:
        raise WordsInvalid(f"{where}: a brace belongs to a place holder such as {{offer}}")
    if len(bare) > most:
        raise WordsInvalid(f"{where}: {len(bare)} characters, at most {most} can be shown")
    if lang == "zh" and not _HAN.search(text) and not _PLACEHOLDER.search(text):
        raise WordsInvalid(f"{where}: this is not Chinese")
    if lang == "en" and _HAN.search(text):
        raise WordsInvalid(f"{where}: this is not English")
    return text


def _places(value: object, where: str) -> frozenset[str]:
    listed = value if isinstance(value, list) else [None]
    if len(listed) > PLACES_MAX or not all(isinstance(one, str) and one for one in listed):
        raise WordsInvalid(f"{where}: a list of at most {PLACES_MAX} names")
    return frozenset(listed)


def _instant(value: object) -> int:
    return value if type(value) is int and value <= _INSTANT_MAX else -1


def _object(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise WordsInvalid(f"{where}: an object")
    return value


def _fields(value: object, where: str, known: Iterable[str]) -> Mapping[str, Any]:
    fields = _object(value, where)
    names = sorted(known)
    for name in fields:
        if name not in names:
            raise WordsInvalid(f"{where}: {name} is unknown; known are {', '.join(names)}")
    return fields
