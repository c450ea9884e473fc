"""The command as a user meets it: help everywhere, one JSON document, exit codes, quick start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.redcard.reference import everything, render

ROOT = Path(__file__).parent.parent.parent
HEAVY = ("sqlalchemy", "fastapi", "uvicorn", "httpx", "smartcard", "nfc", "tuf", "rich", "jinja2")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "redcard", *words], capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("entry", everything(), ids=lambda entry: " ".join(entry[0]))
def test_every_command_says_what_it_does(entry: tuple[tuple[str, ...], object, object]) -> None:
    _, command, _ = entry
    assert getattr(command, "help", None), "a command without help"


def test_the_reference_page_is_made_from_the_commands() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert page == render(), "run: python -m tests.redcard.reference > docs/cli.md"


def test_leaf_commands_take_the_shared_options() -> None:
    for path, command, _ in everything():
        if hasattr(command, "commands"):
            continue
        names = {name for param in command.params for name in param.opts}
        assert {"--home", "--json", "--lang"} <= names, f"{' '.join(path)} lacks a shared option"


@pytest.mark.parametrize("words", [["--help"], ["ledger", "--help"], ["status", "--help"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    probe = (
        "import sys\n"
        "from redcard.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as stop:\n    code = stop.code\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print(heavy, file=sys.stderr)\nsys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe, *words], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip().endswith("[]"), done.stderr


def test_unknown_words_end_with_two_and_say_so() -> None:
    done = run("--json", "ledger", "nonsense")
    assert done.returncode == 2
    assert json.loads(done.stdout)["exit_code"] == 2


def test_a_missing_home_names_the_remedy(tmp_path: Path) -> None:
    done = run("status", "--home", str(tmp_path / "nowhere"), "--json")
    assert done.returncode == 3
    document = json.loads(done.stdout)
    assert "redcard init" in document["error"] + document["next_step"]
    assert "Traceback" not in done.stderr


def test_the_shared_options_work_on_both_sides(tmp_path: Path) -> None:
    before = run("--json", "--home", str(tmp_path / "x"), "status")
    after = run("status", "--json", "--home", str(tmp_path / "x"))
    assert json.loads(before.stdout) == json.loads(after.stdout)
