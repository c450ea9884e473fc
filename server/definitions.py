"""What each figure of a report counts (口径), as it is printed below the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Per figure: Chinese, English.
DEFINITIONS: Final[Mapping[str, tuple[str, str]]] = {
    "person_times": (
        (
            "人次：本月发生的核销笔数，已撤销、重复上传、重复入馆和被拒的不计；家属与加领份数不计；按核销"
            "发生日（北京时间）归月，补传计入发生月"
        ),
        (
            "Person-times: redemptions that happened in the month, net of voids; repeated "
            "uploads, re-entries and declines not counted; companions and extra units not counted; "
            "by event date in Asia/Shanghai, late uploads count in the month they happened"
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
        "在线项目：本月内至少一天在有效期的不同服务项目数",
        "Offers running: distinct offers whose life has at least one day in the month",
    ),
    "offers_new": (
        "新增项目：有效期自本月开始的服务项目数",
        "New offers: offers whose life begins in the month",
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
