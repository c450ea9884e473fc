"""The words of a certification, in Chinese and English. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from readers.certify import Instruction
from readers.certify_report import Overall, Step, Verdict


@dataclass(frozen=True, slots=True)
class Text:
    """One thing in both languages."""

    zh: str
    en: str


TITLE: Final = Text("读卡器验收报告", "Card reader certification report")

STEPS: Final[dict[Step, tuple[Text, Text]]] = {
    Step.IDENTITY: (
        Text("型号与固件", "Model and firmware"),
        Text(
            "型号档案已知，且固件无已知故障", "The model is known, its firmware has no known fault"
        ),
    ),
    Step.DETECTION: (
        Text("卡片检测", "Detection"),
        Text("每次放卡都被发现", "Every card that is laid is seen"),
    ),
    Step.UID: (
        Text("卡序列号稳定", "Stable serial number"),
        Text("同一张卡每次读到同一序列号", "One card shows one serial number at every look"),
    ),
    Step.APDU_SIZES: (
        Text("指令长度", "Command sizes"),
        Text(
            "短指令 255 字节送达；扩展指令另记",
            "255 bytes of a short command arrive; extended ones are noted",
        ),
    ),
    Step.CHAINING: (
        Text("分段应答", "Answers in parts"),
        Text("61xx、6Cxx 应答完整拼合", "Answers with 61xx and 6Cxx come together whole"),
    ),
    Step.FEEDBACK: (
        Text("灯光与声音", "Light and sound"),
        Text("成功与拒绝信号可见或可闻", "Approve and decline are seen or heard"),
    ),
    Step.TAPS: (
        Text("连续刷卡", "Taps"),
        Text(
            "每次重新上电并验证，不一致不超过千分之二",
            "Powered and proved anew each time; at most 2 in 1,000 differ",
        ),
    ),
    Step.TIMING: (
        Text("耗时", "Timing"),
        Text("95% 的刷卡不超过 500 毫秒", "95 % of taps take 500 ms at most"),
    ),
    Step.REMOVAL: (
        Text("取卡检测", "Removal"),
        Text("每次取卡都被发现", "Every card that is lifted is missed"),
    ),
    Step.UNPLUG: (
        Text("拔插恢复", "Unplug and replug"),
        Text("拔下有提示，插回自动恢复", "Its absence is told, and it comes back by itself"),
    ),
    Step.CARDS: (
        Text("实发卡抽样", "Issued cards"),
        Text("以动态签名应答的卡所占比例", "The share that answers with a dynamic signature"),
    ),
}

VERDICTS: Final[dict[Verdict, Text]] = {
    Verdict.PASSED: Text("通过", "passed"),
    Verdict.FAILED: Text("未通过", "failed"),
    Verdict.SKIPPED: Text("未做", "not carried out"),
    Verdict.NOTED: Text("记录", "noted"),
    Verdict.NOT_APPLICABLE: Text("不适用", "not applicable"),
}

OVERALL: Final[dict[Overall, Text]] = {
    Overall.PASSED: Text("全部通过", "Passed"),
    Overall.PASSED_WITH_GAPS: Text(
        "已做项目通过，有未做项目", "Passed as far as carried out; steps are missing"
    ),
    Overall.FAILED: Text("未通过", "Failed"),
}

REMARKS: Final[dict[str, Text]] = {
    "broken_off": Text("前一步中断，本步未完成", "An earlier step broke off; not completed"),
    "chain_broken": Text("分段应答未能拼合", "The parts did not come together"),
    "extended_not_carried": Text(
        "扩展指令未送达：卡片或读卡器不支持",
        "No extended command arrived: card or reader does not take them",
    ),
    "feedback_refused": Text("读卡器拒绝了信号指令", "The reader refused a signal"),
    "feedback_unseen": Text("操作员未看到或听到信号", "The operator did not see or hear a signal"),
    "known_bad": Text(
        "此固件版本有已知故障，请升级", "This firmware version has a known fault; update it"
    ),
    "lay_missed": Text("有一次放卡未被发现", "A card that was laid was not seen"),
    "lift_missed": Text("有一次取卡未被发现", "A card that was lifted was not missed"),
    "no_ca_keys": Text(
        "本机没有 CA 公钥，无法验证签名",
        "This home has no CA keys, so no signature can be verified",
    ),
    "no_cards": Text("没有放卡", "No card was laid"),
    "no_feedback": Text(
        "型号档案没有灯光和声音指令，或卡在接触式卡槽",
        "The profile has no signals, or the card lies in a contact slot",
    ),
    "no_uid": Text(
        "读卡器不提供序列号，或卡在接触式卡槽",
        "The reader gives no serial number, or the card lies in a contact slot",
    ),
    "not_asked": Text("操作员未做此项", "The operator did not carry this out"),
    "not_back": Text("插回后没有恢复", "It did not come back after it was plugged in"),
    "not_looked": Text(
        "读卡器确认了信号，但无人观看", "The reader confirmed the signals; nobody looked"
    ),
    "nothing_timed": Text("没有完成一次刷卡", "Not one tap was completed"),
    "nothing_to_chain": Text(
        "此卡的应答没有分段，本项未能检验", "This card answered in one part; nothing was tried"
    ),
    "random_uid": Text(
        "此卡每次生成随机序列号，请换一张卡复测",
        "This card makes up a number at every tap; try another card",
    ),
    "short_not_carried": Text("短指令未能全部送达", "Not all short commands arrived"),
    "short_only": Text("型号档案：仅短指令", "Short commands only, as its profile says"),
    "taps_broken_off": Text(
        "未完成全部刷卡：卡片移动或读卡器中断",
        "Not all taps were made: the card moved or the reader broke off",
    ),
    "taps_differ": Text("结果不一致的刷卡过多", "Too many taps ended otherwise"),
    "too_slow": Text("超过 500 毫秒", "Longer than 500 ms"),
    "uid_changed": Text("同一张卡读到不同序列号", "One card showed several serial numbers"),
    "unknown_model": Text(
        "没有此型号的档案，按通用档案测试", "No profile of this model; tried by the generic one"
    ),
    "unplug_unseen": Text("拔下未被发现", "That it was unplugged went unseen"),
}

INSTRUCTIONS: Final[dict[Instruction, Text]] = {
    Instruction.LAY: Text("请放上测试卡", "Lay the test card on the reader"),
    Instruction.LAY_AND_LEAVE: Text(
        "请放上测试卡并保持不动，直到提示取卡",
        "Lay the test card and leave it until told to lift it",
    ),
    Instruction.LIFT: Text("请取下卡片", "Take the card off"),
    Instruction.UNPLUG: Text("请拔下读卡器", "Unplug the reader"),
    Instruction.PLUG: Text("请插回读卡器", "Plug the reader in again"),
    Instruction.LAY_NEXT: Text(
        "请放下一张实发卡；没有了就等待", "Lay the next issued card; wait if there is none"
    ),
}

#: What the operator is asked before a step that needs hands or eyes.
QUESTIONS: Final[dict[Step, Text]] = {
    Step.DETECTION: Text("做放卡取卡测试？（三次）", "Lay and lift the card three times?"),
    Step.FEEDBACK: Text("查看灯光和声音？", "Watch light and sound?"),
    Step.UNPLUG: Text("做拔插测试？", "Unplug the reader?"),
    Step.CARDS: Text("抽测实发卡？", "Lay issued cards?"),
}

#: What figures are called; a method or a fault is its own name.
FIGURES: Final[dict[str, Text]] = {
    "answer_bytes_longest": Text("最长应答字节", "longest answer, bytes"),
    "confirmed": Text("读卡器确认", "confirmed"),
    "different": Text("不同序列号", "different numbers"),
    "exchanges": Text("指令数", "exchanges"),
    "extended_bytes": Text("扩展指令字节", "extended command, bytes"),
    "fault": Text("故障", "fault"),
    "in_parts": Text("分段数", "in parts"),
    "issue": Text("故障出处", "issue"),
    "laid": Text("放卡数", "cards laid"),
    "lays": Text("放卡次数", "lays"),
    "otherwise": Text("结果不同", "ended otherwise"),
    "outcome": Text("结果", "outcome"),
    "profile": Text("档案", "profile"),
    "reads": Text("读取次数", "reads"),
    "seen": Text("操作员看到", "seen"),
    "short_bytes": Text("短指令字节", "short command, bytes"),
    "signals": Text("信号数", "signals"),
    "status": Text("状态字", "status word"),
    "tap_p50_us": Text("刷卡中位数（微秒）", "tap p50, µs"),
    "tap_p95_us": Text("刷卡 95 分位（微秒）", "tap p95, µs"),
    "taps": Text("刷卡次数", "taps"),
    "unread": Text("未读出", "unread"),
    "wanted": Text("应刷次数", "wanted"),
}
