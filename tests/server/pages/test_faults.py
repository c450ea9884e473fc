"""Every refusal of a service that pages use can be said in Chinese."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from screens.language import Language
from server.pages.faults import said

SERVER = Path(__file__).parents[3] / "server"
#: Services behind the pages; those of terminals and files answer programs.
SERVICES = (
    "people sign_in passwords enrolling identity_map drafts offer_life stock_desk stock_view "
    "case_desk settlement statements disputes evidence hotline configuring trying reports "
    "statistics year_report pages/offers pages/offer_form pages/settlement pages/stock "
    "pages/members"
).split()
REFUSALS = {"ImportRefused", "NotAllowed", "PublicationRefused", "TerminalUnknown", "PersonUnknown"}
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def refusals() -> Iterator[tuple[str, str]]:
    """Where a refusal is raised, and what it says with made-up names."""
    for service in SERVICES:
        tree = ast.parse((SERVER / f"{service}.py").read_text("utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call):
                continue
            if getattr(node.exc.func, "id", "") not in REFUSALS or not node.exc.args:
                continue
            told = node.exc.args[0]
            if isinstance(told, ast.Constant):
                yield service, str(told.value)
            elif isinstance(told, ast.JoinedStr):
                parts = [
                    str(part.value) if isinstance(part, ast.Constant) else f"x{at}"
                    for at, part in enumerate(told.values)
                ]
                yield service, "".join(parts)


def test_every_refusal_has_its_chinese() -> None:
    found = list(refusals())
    assert len(found) > 60
    bare = [one for one in found if said(one[1], Language.ZH)[1] != "zh-CN"]
    assert not bare


@pytest.mark.parametrize(
    ("message", "chinese"),
    [
        ("no venue is called S9; nothing was asked", "没有编号为 S9 的点位，未提交申请"),
        ("no venue is called S9", "没有编号为 S9 的点位"),
        (
            "month '2014-5': write yyyy-mm, for example 2014-05",
            "月份 '2014-5' 格式不对，例：2014-05",
        ),
        (
            "draft 3 is published; nothing was changed",
            "第 3 号草稿现为 published 状态，未作任何更改",
        ),
    ],
)
def test_names_and_numbers_stay(message: str, chinese: str) -> None:
    assert said(message, Language.ZH) == (chinese, "zh-CN")
    assert said(message, Language.EN) == (message, "en")


def test_what_is_not_listed_is_shown_as_it_is_and_marked() -> None:
    assert said("line 3, field until: not a date", Language.ZH)[1] == "en"
    assert not CHINESE.search(said("100% of it %(a)s", Language.ZH)[0])
