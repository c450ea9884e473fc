"""Activation sheets for printing: one page a terminal, with the code and a QR that holds it all."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from datetime import datetime
from html import escape
from typing import Any, Final
from zoneinfo import ZoneInfo

from terminal.setup_text import SetupText

_ZONE: Final = "Asia/Shanghai"
_STYLE: Final = """
@page { size: A5; margin: 12mm }
body { font: 14pt/1.5 "Noto Sans CJK SC", sans-serif; color: #1B1613; margin: 0 }
section { break-after: page; padding: 6mm 0 }
h1 { font-size: 20pt; margin: 0 0 4mm; color: #B01E23 }
.code { font: 700 22pt/1.4 "Noto Sans Mono CJK SC", monospace; letter-spacing: .06em }
dl { display: grid; grid-template-columns: 9em 1fr; gap: 1mm 4mm; margin: 4mm 0 }
dt { color: #5E544D } dd { margin: 0 } svg { width: 52mm; height: 52mm }
.note { font-size: 11pt; color: #5E544D }
"""


def activation_sheets(sheets: Iterable[Mapping[str, Any]], server: str) -> str:
    """The pages as one HTML document that loads nothing from elsewhere.

    Args:
        sheets: as ``server.enrolling.Sheet`` says them.
        server: address of the server as terminals reach it.
    """
    pages = "".join(_page(sheet, server) for sheet in sheets)
    return (
        '<!doctype html><html lang="zh-CN"><meta charset="utf-8">'
        f"<title>终端激活单 Activation sheets</title><style>{_STYLE}</style>{pages}</html>"
    )


def _page(sheet: Mapping[str, Any], server: str) -> str:
    offers = tuple(sheet["offers"])
    profile = str(sheet["profile"])
    text = SetupText(server, sheet["venue"], profile, offers, sheet["code"]).text()
    until = datetime.fromtimestamp(sheet["expires_ms"] / 1000, ZoneInfo(_ZONE))
    rows: tuple[tuple[str, str], ...] = (
        ("终端 Terminal", f"{sheet['terminal']} · {sheet['name']}"),
        ("点位 Venue", f"{sheet['venue']} · {sheet['venue_name']}"),
        ("用途 Profile", "自助终端 kiosk" if profile == "kiosk" else "柜台 counter"),
        ("服务器 Server", server),
        ("有效至 Works until", f"{until:%Y-%m-%d %H:%M}"),
    )
    if offers:
        rows = (*rows, ("项目 Offers", " ".join(offers)))
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows)
    approval = (
        "<p>首次联网后须由管理员核对密钥指纹并批准。 "
        "After the first connection an operator compares the key's fingerprint and approves.</p>"
        if sheet["approval"]
        else ""
    )
    return (
        f"<section><h1>终端激活单 Activation sheet</h1>{_qr(text)}"
        f'<p class="code">{escape(sheet["code"])}</p><dl>{listed}</dl>'
        "<p>1. 接通电源和网络；2. 扫码或输入激活码；3. 测试读卡器和声音；4. 练习刷一次卡。</p>"
        "<p>1. Power and network. 2. Scan the QR or type the code. 3. Test reader and sound. "
        f"4. One practice tap.</p>{approval}"
        '<p class="note">激活码只能用一次，用后销毁此单。 '
        "The code works once; destroy this sheet afterwards.</p></section>"
    )


def _qr(text: str) -> str:
    import segno

    drawn = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        drawn, kind="svg", xmldecl=False, svgns=True, border=2, title="QR"
    )
    return drawn.getvalue().decode("utf-8")
