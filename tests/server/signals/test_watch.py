"""Signals from the shell, and while the server runs."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path

import pytest

from redcard.cli import main
from server.core import ServerCore
from server.signals.watch import watch_forever
from tests.server.signals.test_scan import SATURDAY, night
from tests.server.world import Time, open_core, play


def test_a_running_server_looks_by_itself(tmp_path: Path) -> None:
    async def scenario(core: ServerCore, time: Time) -> None:
        await night(core, time)
        watching = asyncio.create_task(watch_forever(core, pause_s=0.01))
        while not await core.cases():  # noqa: ASYNC110 - what a person would do
            await asyncio.sleep(0.01)
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching

    play(scenario, tmp_path)


def test_signals_and_their_words_from_the_shell(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def prepare() -> None:
        time = Time()
        async with await open_core(home, time) as core:
            await night(core, time)

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["--home", str(home), "server", *arguments])
        assert not ended.value.code
        return capsys.readouterr().out

    asyncio.run(prepare())
    answer = json.loads(run("signals", "--json", "--since", "2014-05-30", "--until", "2014-05-31"))
    assert (answer["days"], answer["opened"]) == ([20140530, SATURDAY], 1)
    assert "looked at 1 days, 3 redemptions" in run(
        "signals", "--lang", "en", "--since", "2014-05-31"
    )
    found = json.loads(run("cases", "--json"))["cases"]
    (case,) = [one for one in found if one["reason"] == "closed_hours"]
    assert "德胜" in case["explained"]["zh"]
    assert "检查终端时钟" in run("cases", "--lang", "zh")


@pytest.mark.parametrize(
    "days", [("--until", "2014-05-31"), ("--since", "2014-06-02", "--until", "2014-06-01")]
)
def test_days_that_are_no_span_are_refused(
    home: Path, days: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--home", str(home), "server", "signals", *days])
    assert ended.value.code == 2
    assert "nothing was looked at" in capsys.readouterr().err
