"""The report as one HTML page: no script, nothing fetched, made to be printed and filed. Pure.

Chinese first, English beside it. What came from a reader or a card is escaped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from html import escape
from typing import Any, Final

from readers.certify_report import Distribution, Overall, Report, Result, Verdict, dynamic_of
from readers.certify_text import FIGURES, OVERALL, REMARKS, STEPS, TITLE, VERDICTS, Text

_BEIJING: Final = timezone(timedelta(hours=8))
_MARKS: Final = {
    Verdict.PASSED: "✔",
    Verdict.FAILED: "✘",
    Verdict.SKIPPED: "—",
    Verdict.NOTED: "●",
    Verdict.NOT_APPLICABLE: "∅",
}
_STYLE: Final = """
@page { size: A4; margin: 16mm 14mm }
* { box-sizing: border-box }
body { font: 10.5pt/1.5 "Noto Sans CJK SC", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC",
  sans-serif; color: #1b1613; background: #fff; max-width: 190mm; margin: 0 auto; padding: 8mm }
h1 { font-size: 18pt; margin: 0; border-bottom: 2pt solid #b01e23; padding-bottom: 2mm }
h2 { font-size: 12pt; margin: 7mm 0 2mm }
small, .en { color: #5e544d; font-size: 9pt }
table { border-collapse: collapse; width: 100%; page-break-inside: auto }
tr { page-break-inside: avoid }
th, td { border: 0.5pt solid #8c7f75; padding: 1.2mm 2mm; text-align: left; vertical-align: top }
th { background: #f2eae3; font-weight: 600 }
.verdict { font-size: 14pt; font-weight: 700; margin: 4mm 0; padding: 3mm; border: 1.5pt solid }
.passed { color: #0b6b45 } .failed { color: #14110f; background: #ffd45c }
.passed_with_gaps { color: #4a3f00 }
td.v { white-space: nowrap; font-weight: 600 }
.sign td { height: 14mm; width: 33% }
.digest { font: 8pt/1.4 monospace; word-break: break-all }
svg { width: 100%; height: auto }
@media print { body { padding: 0; max-width: none } }
"""


def json_text(report: Report) -> str:
    """The JSON document as it is filed beside the page."""
    return json.dumps(report.document(), ensure_ascii=False, indent=2) + "\n"


def page(report: Report) -> str:
    """The whole page."""
    digest = hashlib.sha256(json_text(report).encode()).hexdigest()
    overall = report.overall
    parts = [
        "<!doctype html>",
        '<html lang="zh-CN"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(TITLE.zh)} · {escape(report.reader.model)}</title>",
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{_both(TITLE)}</h1>",
        f'<p class="verdict {overall.value}">{_mark(overall)} {_both(OVERALL[overall])}</p>',
        _facts(report),
        f"<h2>{_both(Text('项目', 'Steps'))}</h2>",
        _steps(report.results),
        _times(Text("单次刷卡耗时", "Time of one tap"), report.taps),
        _times(Text("单条指令耗时", "Time of one exchange"), report.exchanges),
        _cards(report),
        _signatures(),
        f'<p class="digest">report.json SHA-256 {digest}</p>',
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _both(text: Text) -> str:
    return f'{escape(text.zh)} <span class="en" lang="en">{escape(text.en)}</span>'


def _mark(overall: Overall) -> str:
    return "✘" if overall is Overall.FAILED else "✔"


def _facts(report: Report) -> str:
    reader = report.reader
    started = datetime.fromtimestamp(report.started_ms / 1000, UTC).astimezone(_BEIJING)
    minutes, seconds = divmod(round(report.duration_ms / 1000), 60)
    rows = (
        (Text("读卡器", "Reader"), reader.name),
        (Text("型号档案", "Profile"), f"{reader.model} ({reader.profile})"),
        (Text("驱动", "Driver"), reader.driver),
        (Text("USB 编号", "USB id"), reader.usb),
        (Text("设备版本", "Device version"), reader.device_version),
        (Text("固件", "Firmware"), reader.firmware),
        (Text("已知故障", "Known fault"), reader.known_bad),
        (Text("开始时间", "Started"), f"{started:%Y-%m-%d %H:%M:%S} UTC+8"),
        (Text("用时", "Duration"), f"{minutes} min {seconds} s"),
        (Text("软件", "Software"), f"redcard {report.software}"),
        (Text("系统", "System"), report.system),
    )
    return _table("", [(_both(name), escape(value or "—")) for name, value in rows])


def _table(head: str, rows: Sequence[tuple[str, ...]]) -> str:
    body = "".join(
        "<tr>" + f"<th>{row[0]}</th>" + "".join(f"<td>{cell}</td>" for cell in row[1:]) + "</tr>"
        for row in rows
    )
    return f"<table>{head}{body}</table>"


def _steps(results: tuple[Result, ...]) -> str:
    rows = []
    for one in results:
        title, demand = STEPS[one.step]
        verdict = VERDICTS[one.verdict]
        figures = "<br>".join(
            f"{_both(FIGURES.get(name, Text(name, '')))}: {escape(str(value))}"
            for name, value in one.figures.items()
        )
        remark = REMARKS.get(one.remark)
        said = "<br>".join(part for part in (_both(remark) if remark else "", figures) if part)
        rows.append(
            f"<tr><td>{_both(title)}</td><td>{_both(demand)}</td>"
            f'<td class="v {one.verdict.value}">{_MARKS[one.verdict]} {_both(verdict)}</td>'
            f"<td>{said}</td></tr>"
        )
    names = (
        Text("项目", "Step"),
        Text("要求", "Requirement"),
        Text("结论", "Verdict"),
        Text("说明与数据", "Remark and figures"),
    )
    head = "<tr>" + "".join(f"<th>{_both(name)}</th>" for name in names) + "</tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def _times(title: Text, times: Distribution) -> str:
    if not times.count:
        return ""
    named: tuple[tuple[str, Any], ...] = (
        ("n", times.count),
        ("p50", _ms(times.p50_us)),
        ("p95", _ms(times.p95_us)),
        ("p99", _ms(times.p99_us)),
        ("max", _ms(times.max_us)),
    )
    line = " · ".join(f"{name} {value}" for name, value in named)
    return f"<h2>{_both(title)}</h2><p>{escape(line)}</p>{_bars(times)}"


def _bars(times: Distribution) -> str:
    """A histogram as a drawing; every bar also says its number."""
    most = max(count for _, count in times.bins)
    height, width, step = 120, 640, 640 / max(len(times.bins), 6)
    drawn = []
    for at, (edge, count) in enumerate(times.bins):
        tall = round(80 * count / most, 1)
        x = round(at * step, 1)
        middle = round(x + step / 2, 1)
        drawn.append(
            f'<rect x="{x + 3}" y="{100 - tall}" width="{round(step - 6, 1)}" height="{tall}" '
            f'fill="#b01e23"/><text x="{middle}" y="{96 - tall}">{count}</text>'
            f'<text x="{middle}" y="114">≤{escape(_ms(edge))}</text>'
        )
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" font-size="9" text-anchor="middle">'
        + "".join(drawn)
        + "</svg>"
    )


def _cards(report: Report) -> str:
    laid = sum(report.methods.values())
    if not laid:
        return ""
    dynamic = dynamic_of(report.methods)
    title = Text("实发卡", "Issued cards")
    share = Text(
        f"共 {laid} 张，{dynamic} 张以动态签名应答（{100 * dynamic / laid:.1f}%）",
        f"{laid} laid, {dynamic} answered with a dynamic signature ({100 * dynamic / laid:.1f} %)",
    )
    rows = [(escape(method), str(count)) for method, count in sorted(report.methods.items())]
    return f"<h2>{_both(title)}</h2><p>{_both(share)}</p>{_table('', rows)}"


def _signatures() -> str:
    names = (
        Text("操作员", "Operator"),
        Text("验收单位", "Accepted by"),
        Text("日期", "Date"),
    )
    cells = "".join(f"<td>{_both(name)}</td>" for name in names)
    return (
        f'<h2>{_both(Text("签字", "Signatures"))}</h2><table class="sign"><tr>{cells}</tr></table>'
    )


def _ms(time_us: int) -> str:
    return f"{time_us / 1000:.3g} ms" if time_us < 1_000_000 else f"{time_us / 1000:.0f} ms"
