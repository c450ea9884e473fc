"""Chinese and English are complete: every message has both, and nothing is left over."""

import re
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from screens.language import DOMAINS

ROOT = Path(__file__).parents[2]
FILES = [
    ROOT / "screens" / "locale" / "zh_CN" / "LC_MESSAGES" / f"{domain}.po" for domain in DOMAINS
]
ROOMS = ("screens", "terminal", "redcard", "server")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
PLACEHOLDER = re.compile(r"%\(\w+\)s")
#: Keys, languages' own names, brands and units that stand in both languages.
SAME_IN_BOTH = {"12351"}


@cache
def extracted() -> Catalog:
    catalogue = Catalog()
    for room in ROOMS:
        found = extract_from_dir(
            ROOT / room,
            method_map=[("**.py", "python"), ("**.html", "jinja2")],
            options_map={"**.html": {"silent": "false", "newstyle_gettext": "true"}},
        )
        for file, line, message, _, context in found:
            catalogue.add(message, None, [(f"{room}/{file}", line)], context=context)
    return catalogue


@cache
def translated() -> dict[str, Message]:
    found: dict[str, Message] = {}
    for file in reversed(FILES):
        with file.open("rb") as source:
            catalogue = read_po(source, locale="zh_CN", abort_invalid=True)
        found |= {first(message): message for message in catalogue if message.id}
    return found


def first(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def forms(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string or ())


def test_extraction_sees_pages_and_code() -> None:
    known = {first(message) for message in extracted() if message.id}
    assert {"Please tap your card", "Void a redemption", "Red card receipt"} <= known


def test_every_message_has_chinese() -> None:
    missing = [
        f"{message.locations[0][0]}: {first(message)}"
        for message in extracted()
        if message.id and not all(forms(translated().get(first(message), Message("", ""))))
    ]
    assert not missing


def test_no_translation_is_left_over_or_fuzzy() -> None:
    known = {first(message) for message in extracted() if message.id}
    assert not sorted(set(translated()) - known)
    assert not [name for name, message in translated().items() if message.fuzzy]


def test_english_holds_no_chinese_and_chinese_is_chinese() -> None:
    for message in extracted():
        if message.id:
            assert not CHINESE.search(first(message))
    for name, message in translated().items():
        if name not in SAME_IN_BOTH:
            assert all(CHINESE.search(form) for form in forms(message)), name


def test_translations_keep_the_placeholders() -> None:
    for name, message in translated().items():
        for form in forms(message):
            assert set(PLACEHOLDER.findall(form)) == set(PLACEHOLDER.findall(name)), name


@pytest.mark.parametrize("word", ["伪卡", "每卡", "假卡"])
def test_words_that_are_never_said(word: str) -> None:
    assert not [file.name for file in FILES if word in file.read_text("utf-8")]
