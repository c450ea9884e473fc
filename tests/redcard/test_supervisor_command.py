"""``redcard server supervisor``: the PIN is typed, and only its verifier is kept."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from redcard.commands.server import server
from server.core import ServerCore
from tests.server.world import Time, card, open_core


@pytest.fixture
def home(tmp_path: Path) -> Path:
    async def make() -> None:
        async with await open_core(tmp_path / "server", Time(), persons=1) as core:
            await core.activation("t-1", ["M01"])

    asyncio.run(make())
    return tmp_path / "server"


def run(home: Path, *words: str, typed: str = "") -> Result:
    arguments = ["supervisor", *words, "--home", str(home), "--json"]
    return CliRunner().invoke(server, arguments, input=typed)


def told(home: Path) -> list[dict[str, Any]]:
    async def read() -> list[dict[str, Any]]:
        async with await ServerCore.open(home, Time()) as core:
            return await core.supervisors()

    return asyncio.run(read())


def test_the_pin_is_typed_twice_and_shown_nowhere(home: Path) -> None:
    done = run(home, "t-1", "chief", typed="864213\n864213\n")
    assert done.exit_code == 0, done.output
    assert "864213" not in done.output
    (one,) = told(home)
    assert (one["terminal"], one["supervisor"], one["active"], one["pin"]) == (
        "t-1",
        "chief",
        True,
        True,
    )
    for path in home.rglob("*"):
        assert not path.is_file() or b"864213" not in path.read_bytes()
    listed = run(home)
    assert json.loads(listed.stdout)["supervisors"][0]["supervisor"] == "chief"
    assert "argon2" not in listed.output
    assert run(home, "t-1", "chief", "--withdraw").exit_code == 0
    assert told(home)[0]["active"] is False


def test_a_card_alone_needs_no_pin(home: Path) -> None:
    assert run(home, "t-1", "chief", "--no-pin", "--card", card(1)).exit_code == 0
    assert (told(home)[0]["pin"], told(home)[0]["card"]) == (False, True)


@pytest.mark.parametrize(
    ("words", "typed"),
    [
        (("t-1",), ""),
        (("t-1", "chief"), "12\n12\n"),
        (("t-1", "chief", "--no-pin"), ""),
        (("t-2", "chief"), "2468\n2468\n"),
        (("t-1", "a b"), "2468\n2468\n"),
    ],
)
def test_what_cannot_be_a_supervisor_is_refused(
    home: Path, words: tuple[str, ...], typed: str
) -> None:
    assert run(home, *words, typed=typed).exit_code != 0
    assert told(home) == []
