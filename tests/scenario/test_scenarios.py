"""All scenario files play as they say, and the runner itself tells what differed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ledger.rules.fields import KEYS
from redcard.scenario.document import STEPS, read_scenarios
from redcard.scenario.errors import DocumentInvalid
from redcard.scenario.runner import Report, run_files

FOLDER = Path(__file__).parent.parent / "scenarios"
FILES = sorted(FOLDER.glob("*.yaml"))

HEAD = """\
scenario: a test
start: 2026-05-02T09:00:00+08:00
members: {zhang: {}}
cards: {c1: {member: zhang}}
terminals: {t1: {venue: somewhere}}
offers:
  free: {kind: discount, from: 2026-05-01T00:00:00+08:00, until: 2026-11-01T00:00:00+08:00}
steps:
"""


def played(tmp_path: Path, text: str) -> Report:
    path = tmp_path / "one.yaml"
    path.write_text(text, encoding="utf-8")
    return run_files([path])


def differences(report: Report) -> list[tuple[str, str, str]]:
    return [(one.step, one.expected, one.got) for one in report.scenarios[0].differences]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenario(path: Path) -> None:
    report = run_files([path])
    assert report.ok, "\n".join(report.lines())


def test_every_step_is_used_by_some_file() -> None:
    used = {
        step.kind
        for path in FILES
        for scenario in read_scenarios(path.read_text(encoding="utf-8"))
        for step in scenario.steps
    }
    assert set(STEPS) - used == set()


def test_a_difference_names_step_line_and_values(tmp_path: Path) -> None:
    report = played(
        tmp_path,
        HEAD
        + "  - tap: {terminal: t1, card: c1, offer: free, nonce: n1}\n"
        + "    expect: {outcome: decline, code: A00, usage: 2}\n",
    )
    assert not report.ok
    assert differences(report) == [
        ("1 tap (line 9)", "outcome: decline", "outcome: approve"),
        ("1 tap (line 9)", "usage: 2", "usage: 1"),
    ]
    document = json.loads(json.dumps(report.as_json()))
    assert document == {
        "scenarios": [
            {
                "scenario": "a test",
                "ok": False,
                "differences": [
                    {
                        "step": "1 tap (line 9)",
                        "expected": "outcome: decline",
                        "got": "outcome: approve",
                    },
                    {"step": "1 tap (line 9)", "expected": "usage: 2", "got": "usage: 1"},
                ],
            }
        ]
    }


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        (HEAD + "  - tap: {terminal: t1, card: c1, offer: free, nonse: n1}\n", 9, "nonse"),
        (HEAD + "  - sync: t1\n    expects: {status: ok}\n", 10, "expects"),
        (HEAD.replace("cards:", "card:") + "  - sync: t1\n", 4, "card"),
        (HEAD.replace("venue: somewhere", "place: x") + "  - sync: t1\n", 5, "place"),
        (HEAD.replace("kind: discount", "sort: x") + "  - sync: t1\n", 7, "sort"),
        (HEAD.replace("member: zhang", "owner: zhang") + "  - sync: t1\n", 4, "owner"),
        (HEAD.replace("zhang: {}", "zhang: {age: 3}") + "  - sync: t1\n", 3, "age"),
        (
            HEAD.replace("kind: discount", "limits: [{counts: 1, per: day}]") + "  - sync: t1\n",
            7,
            "counts",
        ),
        (HEAD.replace("kind: discount", "stock: {pol: 1}") + "  - sync: t1\n", 7, "pol"),
        (HEAD + "  - sync: t1\n    sync: t1\n", 10, "twice"),
    ],
)
def test_an_unknown_key_is_an_error_with_its_line(
    tmp_path: Path, text: str, line: int, key: str
) -> None:
    report = played(tmp_path, text)
    assert not report.ok
    got = differences(report)[0][2]
    assert got.startswith(f"line {line}:")
    assert key in got


@pytest.mark.parametrize(
    "step",
    [
        "  - tap: {terminal: nobody, card: c1, offer: free, nonce: n1}\n",
        "  - sync: nobody\n",
        "  - restore: {terminal: t1, size: 99}\n",
        "  - tamper: {terminal: t1, nonce: never, field: code, value: A00}\n",
        "  - import: {at: server, file: never}\n",
        "  - set: {card: never, status: blocked}\n",
        "  - clone: {terminal: t1, as: t1}\n",
        "  - state: {offer: never}\n",
        "  - pull: t1\n    at: 2020-01-01T00:00:00+08:00\n",
    ],
)
def test_an_impossible_step_fails_the_scenario_and_says_why(tmp_path: Path, step: str) -> None:
    report = played(tmp_path, HEAD + step)
    assert not report.ok
    assert differences(report)[0][0].startswith("1 ")


def test_comparison_is_a_subset_also_inside_lists_and_by_instant(tmp_path: Path) -> None:
    report = played(
        tmp_path,
        HEAD.replace("kind: discount", "kind: discount, limits: [{count: 1, per: day}]")
        + """\
  - tap: {terminal: t1, card: c1, offer: free, nonce: n1}
  - tap: {terminal: t1, card: c1, offer: free, nonce: n2}
    expect: {until: 2026-05-02T16:00:00Z}
  - state: {terminal: t1}
    expect: {entries: {redeem: 1, fault: 0}}
    expect_min: {pending: 2}
    expect_max: {pending: 2}
  - state: {cases: all}
    expect: []
  - state: {cases: all}
    expect: {cases: []}
""",
    )
    assert report.ok, "\n".join(report.lines())


def test_bounds_are_checked(tmp_path: Path) -> None:
    report = played(
        tmp_path,
        HEAD
        + "  - state: {terminal: t1}\n    expect_min: {pending: 1}\n    expect_max: {size: 1}\n",
    )
    assert differences(report) == [
        ("1 state (line 9)", "pending >= 1", "pending: 0"),
        ("1 state (line 9)", "size <= 1", "size: 2"),
    ]


def test_several_documents_and_files_that_cannot_be_read(tmp_path: Path) -> None:
    good = tmp_path / "good.yaml"
    good.write_text(f"{HEAD}  - sync: t1\n---\n{HEAD}  - pull: t1\n", encoding="utf-8")
    bad = tmp_path / "bad.yaml"
    bad.write_text("steps: [\n", encoding="utf-8")
    empty = tmp_path / "empty.yaml"
    empty.write_text("", encoding="utf-8")
    report = run_files([good, bad, empty, tmp_path / "missing.yaml"])
    assert [one.ok for one in report.scenarios] == [True, True, False, False, False]


def test_other_spellings_of_offer_fields_mean_the_same(tmp_path: Path) -> None:
    for field in (
        "interval: 180m",
        "minimum_interval: 180m",
        "min_interval: 3h",
        "interval_minutes: 180",
    ):
        report = played(
            tmp_path,
            HEAD.replace("kind: discount", f"kind: discount, {field}")
            + """\
  - tap: {terminal: t1, card: c1, offer: free, nonce: n1}
  - tap: {terminal: t1, card: c1, offer: free, nonce: n2}
    expect: {code: L04, until: 2026-05-02T12:00:00+08:00}
""",
        )
        assert report.ok, "\n".join(report.lines())
    for field in ("re_entry: 30m", "re_entry_minutes: 30", "reentry_minutes: 30"):
        report = played(
            tmp_path,
            HEAD.replace("kind: discount", f"kind: discount, {field}")
            + """\
  - tap: {terminal: t1, card: c1, offer: free, nonce: n1}
  - tap: {terminal: t1, card: c1, offer: free, nonce: n2}
    expect: {code: A03}
""",
        )
        assert report.ok, "\n".join(report.lines())


def test_times_without_offset_are_local_and_texts_stay_texts() -> None:
    text = HEAD.replace("2026-05-02T09:00:00+08:00", "2026-05-02T09:00:00") + "  - sync: t1\n"
    (one,) = read_scenarios(text)
    (other,) = read_scenarios(HEAD + "  - sync: t1\n")
    assert one.start_ms == other.start_ms
    (hours,) = read_scenarios(
        HEAD.replace("kind: discount", "hours: [09:00-16:30]") + "  - sync: t1\n"
    )
    assert hours.offers["free"]["hours"] == ["09:00-16:30"]


def test_a_document_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(DocumentInvalid, match="must be a mapping"):
        list(read_scenarios("- one\n- two\n"))
    with pytest.raises(DocumentInvalid, match="steps must be a list"):
        list(read_scenarios("scenario: x\n"))


def test_the_page_names_every_step_and_the_offer_page_every_key() -> None:
    docs = Path(__file__).parent.parent.parent / "docs"
    steps = (docs / "scenarios.md").read_text(encoding="utf-8")
    assert [name for name in STEPS if f"`{name}`" not in steps] == []
    offers = (docs / "offers.md").read_text(encoding="utf-8")
    missing = [key for key in KEYS if key not in offers and not key.endswith("_text")]
    assert missing == []
