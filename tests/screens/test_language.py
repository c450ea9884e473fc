from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screens.errors import CatalogueBroken
from screens.language import Language, Wording, local, minutes_seconds, negotiate, wording

TEN_O_CLOCK_MS = 1_401_415_200_000
ZH, EN = wording(Language.ZH), wording(Language.EN)


@pytest.mark.parametrize(
    ("chosen", "header", "expected"),
    [
        (None, None, Language.ZH),
        (None, "", Language.ZH),
        (None, "de-DE,de;q=0.9", Language.ZH),
        (None, "en-US,en;q=0.9", Language.EN),
        (None, "en;q=0.5,zh-CN;q=0.8", Language.ZH),
        (None, "zh-TW,zh;q=0.9,en;q=0.8", Language.ZH),
        (None, "fr, en;q=0.2", Language.EN),
        (None, "en, zh", Language.EN),
        ("en", "zh-CN", Language.EN),
        ("zh", "en", Language.ZH),
        ("tlh", "en", Language.EN),
        (None, "en;q=broken, zh;q=0.1", Language.ZH),
    ],
)
def test_language_is_the_chosen_one_then_the_browsers_then_chinese(
    chosen: str | None, header: str | None, expected: Language
) -> None:
    assert negotiate(chosen, header) is expected


@given(st.text())
def test_any_header_gives_a_language(header: str) -> None:
    assert negotiate(None, header) in Language


def test_dates_and_times_are_those_of_the_venue() -> None:
    assert local(TEN_O_CLOCK_MS).isoformat() == "2014-05-30T10:00:00+08:00"
    assert ZH.full_date(TEN_O_CLOCK_MS) == "2014-05-30 周五"
    assert EN.full_date(TEN_O_CLOCK_MS) == "Fri 30 May 2014"
    assert (ZH.date(TEN_O_CLOCK_MS), EN.date(TEN_O_CLOCK_MS)) == ("5月30日", "30 May")
    assert (ZH.month(2014, 5), EN.month(2014, 5)) == ("2014年5月", "May 2014")
    assert ZH.clock(TEN_O_CLOCK_MS) == EN.clock(TEN_O_CLOCK_MS) == "10:00"


def test_a_day_ends_at_midnight_of_the_venue_not_of_utc() -> None:
    last_ms = 1_401_465_599_999  # 2014-05-30T23:59:59.999+08:00
    assert ZH.full_date(last_ms).startswith("2014-05-30")
    assert ZH.full_date(last_ms + 1).startswith("2014-05-31")


@pytest.mark.parametrize(
    ("fen", "zh", "en"),
    [
        (0, "0 元", "¥0"),
        (1000, "10 元", "¥10"),
        (1050, "10.50 元", "¥10.50"),
        (5, "0.05 元", "¥0.05"),
        (123_456_700, "1,234,567 元", "¥1,234,567"),
        (-1000, "-10 元", "¥-10"),
    ],
)
def test_money_is_given_in_fen(fen: int, zh: str, en: str) -> None:
    assert (ZH.money(fen), EN.money(fen)) == (zh, en)


def test_numbers_and_countdowns() -> None:
    assert ZH.number(1_900_000) == "1,900,000"
    assert minutes_seconds(521_999) == "8:41"
    assert minutes_seconds(-5) == "0:00"


def test_plurals_follow_the_language() -> None:
    one, many = "%(n)s record to upload", "%(n)s records to upload"
    assert EN.ngettext(one, many, 1) == one
    assert EN.ngettext(one, many, 2) == many
    assert ZH.ngettext(one, many, 1) == ZH.ngettext(one, many, 2) == "待上传 %(n)s 笔"


def test_each_language_offers_the_other() -> None:
    assert Language.ZH.other is Language.EN
    assert Language.EN.other.own_name == "中文"
    assert (Language.ZH.tag, Language.EN.tag) == ("zh-CN", "en")


def test_a_broken_catalogue_names_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "locale" / "zh_CN" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "redcard.po").write_text("no catalogue at all\n", "utf-8")
    monkeypatch.setattr("screens.language.files", lambda package: tmp_path)
    with pytest.raises(CatalogueBroken, match=r"redcard\.po"):
        Wording(Language.ZH)
    (folder / "redcard.po").unlink()
    with pytest.raises(CatalogueBroken, match="reinstall"):
        Wording(Language.ZH)
