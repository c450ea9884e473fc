"""What each figure of a report counts (口径), as it is printed below the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Per figure: Chinese, English.
DEFINITIONS: Final[Mapping[str, tuple[str, str]]] = {
    "person_times": (
        (
            "人次：本期发生的核销笔数，已撤销、重复上传、重复入馆和被拒的不计；家属与加领份数不计；按核销"
            "发生日（北京时间）归期，补传计入发生当期"
        ),
        (
            "Person-times: redemptions that happened in the period, net of voids; repeated "
            "uploads, re-entries and declines not counted; companions and extra units not counted; "
            "by event date in Asia/Shanghai, late uploads count in the period they happened"
        ),
    ),
    "persons": (
        "人：上述核销中不同会员的人数；合计按会员去重，不等于各行之和",
        "Persons: distinct members among these; the total counts each once, so it is no sum",
    ),
    "quantity": ("份数：核销的张、套、份，另计", "Units: what was handed out, counted apart"),
    "companions": ("同行：随会员同行的家属人数，另计", "Companions: counted apart"),
    "manual": (
        "手工补录：断电断网时按编号纸质表补录的笔数，另计，不含在人次内",
        "Manual: late entries from numbered paper sheets, counted apart and not among person-times",
    ),
    "flagged": (
        "待核：人次中被标记、待人工核对的笔数",
        "Flagged: of the person-times, those flagged for somebody to look at",
    ),
    "offers_running": (
        "在线项目：本期内至少一天在有效期的不同服务项目数，同一项目只计一次",
        "Offers running: distinct offers whose life has at least one day in the period",
    ),
    "offers_new": (
        "新增项目：有效期自本期开始的服务项目数",
        "New offers: offers whose life begins in the period",
    ),
    "recorded": (
        "已登记：服务器收到的核销笔数（含已撤销）",
        "Recorded: redemptions that the server holds, voided ones included",
    ),
    "confirmed": ("已确认：其中已判定有效的笔数", "Confirmed: of these, judged and accepted"),
    "lost": (
        "丢失：已出具回执而库中缺失的条目数，应为 0",
        "Lost: entries that were receipted and are missing, must be 0",
    ),
    "twice": (
        "重复：同一次刷卡（同一随机号、同卡、同项目）被计入两次的笔数，应为 0",
        "Twice: taps (same nonce, card, offer) counted more than once, must be 0",
    ),
}

#: The same for what only reports of a year, or of a period beside another, have.
FURTHER: Final[Mapping[str, tuple[str, str]]] = {
    "offer_months": (
        "项目月数：各月在线项目数之和，一个项目跨几个月计几次",
        "Offer-months: the offers of each month in sum; an offer counts in every month it ran",
    ),
    "mean_offers": (
        "月均搭载：项目月数除以 12，保留两位小数",
        "Offers a month: offer-months divided by 12, to two decimals",
    ),
    "mean_person_times": (
        "月均人次：全年人次除以 12，四舍五入",
        "Person-times a month: the year's divided by 12, rounded half up",
    ),
    "peak_offers": (
        "项目高峰月：在线项目最多的两个月，并列的一并列出",
        "Peak months by offers: the two with most offers, and their equals",
    ),
    "peak_person_times": (
        "人次高峰月：人次最多的两个月，并列的一并列出",
        "Peak months by person-times: the two with most, and their equals",
    ),
    "last_year": (
        "同比：与上年同期相比的增长，取整百分数；上年同期为零的不计算",
        "Year on year: growth over the same period of the year before, in whole percent",
    ),
    "last_month": (
        "环比：与上月相比的增长，取整百分数；上月为零的不计算",
        "Month on month: growth over the month before, in whole percent",
    ),
    "stated": (
        "发布后更正：本期数字发布之后，因补传、撤销或复核发生的变化",
        "Restated since: what late ledgers, voids and reviews have changed since it was stated",
    ),
    "as_of": (
        "数据截至：生成时服务器已收到并判定的条目；之后补传的计入其发生当期",
        "As of: what the server held and had judged then; what comes later counts when it happened",
    ),
}


def definition(name: str, lang: str) -> str:
    """What a figure counts; empty for one that needs no words.

    Args:
        name: of the figure, as in the report's document.
        lang: ``zh`` or ``en``.
    """
    zh, en = DEFINITIONS.get(name) or FURTHER.get(name) or ("", "")
    return zh if lang == "zh" else en
