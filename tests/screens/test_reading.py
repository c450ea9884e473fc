"""The catalogue's own reader agrees with Babel's, which the other tests check it by."""

from __future__ import annotations

import pytest
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st

from screens.catalogue import joined, read_catalogue
from screens.errors import CatalogueBroken
from tests.screens.test_catalogue import FILES, first, forms


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_both_readers_say_the_same(file: object) -> None:
    path = FILES[[str(one) for one in FILES].index(str(file))]
    with path.open("rb") as source:
        theirs = {
            first(message): forms(message)[0]
            for message in read_po(source, locale="zh_CN")
            if message.id
        }
    assert read_catalogue(path.read_text("utf-8"), path.name) == theirs


def test_continued_lines_escapes_and_plurals() -> None:
    text = (
        'msgid ""\nmsgstr "Language: zh"\n\n# a comment\nmsgid "one "\n"line\\n\\"x\\""\n'
        'msgstr "一"\n"行"\n\nmsgid "%(n)s card"\nmsgid_plural "%(n)s cards"\nmsgstr[0] "%(n)s 张"'
    )
    found = read_catalogue(text, "x.po")
    assert found == {'one line\n"x"': "一行", "%(n)s card": "%(n)s 张"}
    catalogue = joined([found, {"%(n)s card": "no", "other": "另"}])
    assert catalogue.ngettext("%(n)s card", "%(n)s cards", 2) == "%(n)s 张"
    assert catalogue.gettext("other") == "另"
    assert catalogue.gettext("unknown") == "unknown"
    assert catalogue.ngettext("a", "b", 2) == "b"


@pytest.mark.parametrize("text", ['msgid "a"', "nonsense", '"a"', 'msgstr "a"', 'msgid "a" b'])
def test_a_damaged_catalogue_says_where(text: str) -> None:
    with pytest.raises(CatalogueBroken, match=r"x\.po, line"):
        read_catalogue(text, "x.po")


@given(st.text(max_size=200) | st.text(alphabet='msgidtr"\\n[0]_plura \n#', max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_catalogue(text, "x.po")
    except CatalogueBroken as error:
        assert "x.po" in str(error)
