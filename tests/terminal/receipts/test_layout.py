from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screens.language import Language, wording
from terminal.receipts.layout import (
    COLUMNS_58_MM,
    COLUMNS_80_MM,
    QR_BYTES_MAX,
    ReceiptFacts,
    Style,
    as_text,
    columns_of,
    lay_out,
    qr_svg,
    wrap,
)

FACTS = ReceiptFacts(
    venue="德胜街道工会服务站",
    offer="端午优惠券套包（名优企业）",
    quantity=2,
    price_fen=1050,
    entry=48213,
    ts_ms=1_401_415_200_000,
    offline=False,
    proof="redcard-receipt/v1 demo.redcard.example/redcard/abc 48213 x y",
    void_until_ms=1_401_416_100_000,
)
ZH, EN = wording(Language.ZH), wording(Language.EN)

GOLDEN_58_MM = """\
         小红卡服务凭条
       德胜街道工会服务站
--------------------------------
端午优惠券套包（名优企业）
数量                           2
需付                       21 元
--------------------------------
时间       2014-05-30 周五 10:00
账目号                     48213
可撤销至                   10:15
--------------------------------
  服务热线 12351 · 24 小时
        扫码核对签名账目
"""


def test_a_slip_on_58_mm_paper() -> None:
    golden = [line.strip() for line in GOLDEN_58_MM.splitlines()]
    assert [line.strip() for line in as_text(lay_out(FACTS, ZH)).splitlines()] == golden


@pytest.mark.parametrize("columns", [COLUMNS_58_MM, COLUMNS_80_MM])
@pytest.mark.parametrize("words", [ZH, EN], ids=["zh", "en"])
@pytest.mark.parametrize("voided", [False, True])
def test_no_line_is_wider_than_the_paper(columns: int, words: object, voided: bool) -> None:
    facts = replace(FACTS, voided=voided, practice=True, demo=True, copy=True, offline=True)
    chosen = ZH if words is ZH else EN
    for row in as_text(lay_out(facts, chosen), columns).splitlines():
        assert columns_of(row) <= columns


def test_what_the_slip_must_not_hide() -> None:
    texts = [line.text for line in lay_out(replace(FACTS, practice=True, demo=True), ZH)]
    assert "练习 · 不计入核销" in texts
    assert "演示 · 非正式凭条" in texts
    voided = lay_out(replace(FACTS, voided=True), ZH)
    assert "已撤销" in [line.text for line in voided if line.style is Style.NOTICE]
    assert "可撤销至" not in [line.text for line in voided]


def test_a_slip_without_proof_does_not_ask_to_be_scanned() -> None:
    texts = [line.text for line in lay_out(replace(FACTS, proof=""), EN)]
    assert "Scan to check the signed record" not in texts
    assert qr_svg("") == ""


@pytest.mark.parametrize(
    ("text", "columns"),
    [("abc", 3), ("小红卡", 6), ("至6月", 5), ("（）", 4), ("é", 1), ("e\u0301", 1)],
)
def test_widths_follow_east_asian_width(text: str, columns: int) -> None:
    assert columns_of(text) == columns


@given(
    st.text(st.characters(exclude_categories=["C", "Z", "M"]) | st.just(" ")), st.integers(2, 48)
)
def test_wrapping_keeps_every_character_and_the_width(text: str, columns: int) -> None:
    lines = wrap(text, columns)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(columns_of(line) <= columns for line in lines)


def test_latin_words_stay_whole_where_they_can() -> None:
    assert wrap("Dragon Boat coupon pack", 12) == ["Dragon Boat", "coupon pack"]
    assert wrap("supercalifragilistic", 8) == ["supercal", "ifragili", "stic"]


def test_the_qr_is_inline_and_has_no_colour_of_its_own() -> None:
    svg = qr_svg(FACTS.proof)
    assert svg.startswith("<svg")
    assert "http" not in svg
    assert "style=" not in svg


def test_a_proof_that_is_too_long_is_refused() -> None:
    assert qr_svg("x" * QR_BYTES_MAX)
    with pytest.raises(ValueError, match="300 bytes"):
        qr_svg("x" * (QR_BYTES_MAX + 1))
