"""``redcard server`` from the shell: a server set up, fed, asked and reported, in one home."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from redcard.cli import main
from server.core import ServerCore
from tests.server.world import DOMAIN, HOUR_MS, OFFERS, VENUES, Time, card, enrol, member, push

NUMBER = "6210981234567890121"


@pytest.fixture
def redcard(home: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs ``redcard server …`` on this home: exit code and the JSON document."""

    def run(*arguments: str) -> tuple[int, Any]:
        with pytest.raises(SystemExit) as ended:
            main(["--json", "--home", str(home), "server", *arguments])
        out = capsys.readouterr().out
        return int(ended.value.code or 0), json.loads(out) if out else None

    return run


def test_a_server_from_the_shell(redcard: Any, home: Path, tmp_path: Path) -> None:
    code, made = redcard("init", "--domain", DOMAIN)
    assert code == 0
    assert set(made["vkeys"]) >= {"witness", "judgements", "feed"}
    assert (home / "passphrase").stat().st_mode & 0o777 == 0o600
    files = {"venues.json": VENUES, "offers.json": OFFERS}
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    assert redcard("venues", str(tmp_path / "venues.json")) == (0, {"venues": 2})
    code, answer = redcard("offers", "publish", str(tmp_path / "offers.json"))
    assert sorted(answer["published"]) == ["museum", "pack"]
    (tmp_path / "numbers.csv").write_text(f"number,member\n{NUMBER},{member(1)}\n")
    code, answer = redcard("hash-cards", str(tmp_path / "numbers.csv"), str(tmp_path / "cards.csv"))
    assert (code, answer["cards"]) == (0, 1)
    assert NUMBER not in (tmp_path / "cards.csv").read_text()
    code, _ = redcard("hash-cards", str(tmp_path / "numbers.csv"), str(tmp_path / "cards.csv"))
    assert code == 2
    code, answer = redcard("members", str(tmp_path / "cards.csv"))
    assert (code, answer["cards"], answer["members"]) == (0, 1, 1)
    code, answer = redcard("enrol", "desheng", "--venue", "S0201")
    assert code == 0
    assert len(answer["code"]) == 23
    code, answer = redcard("stock", "--offer", "pack")
    assert answer["stock"][0]["stock_left"] == 10
    code, answer = redcard("report", "--month", "2014-05")
    assert (code, answer["total"]["offers_running"]) == (0, 2)
    assert redcard("cases") == (0, {"cases": []})
    assert redcard("rebuild")[0] == 0


def test_what_is_refused_says_so(redcard: Any, home: Path, tmp_path: Path) -> None:
    assert redcard("report", "--month", "2014-05")[0] != 0
    redcard("init", "--domain", DOMAIN)
    assert redcard("init", "--domain", DOMAIN)[0] != 0
    (tmp_path / "bad.json").write_text('[{"id": "x"}]')
    code, answer = redcard("offers", "publish", str(tmp_path / "bad.json"))
    assert code != 0
    assert "line" in answer["error"]
    (tmp_path / "pan.csv").write_text(f"card,member\n{NUMBER},{member(1)}\n")
    code, answer = redcard("members", str(tmp_path / "pan.csv"))
    assert code != 0
    assert NUMBER not in json.dumps(answer)
    assert "line 2" in answer["error"]
    code, answer = redcard("revoke", "nobody", "--reason", "lost")
    assert (code, "no ledger" in answer["error"]) == (1, True)


def test_a_stick_at_the_server(redcard: Any, home: Path, tmp_path: Path) -> None:
    from sync.envelope import decode_receipts, encode_parts, seal
    from tests.server.world import play

    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        terminal.redeem(1, "n1")
        part = seal(terminal.batch(0), terminal.enrolled.recipient)
        made.append(encode_parts([part]))

    made: list[bytes] = []
    play(run, home)
    (tmp_path / "stick.batch").write_bytes(made[0])
    for _ in range(2):
        code, answer = redcard("import", str(tmp_path / "stick.batch"))
        assert (code, answer["status"], answer["size"]) == (0, "ok", 1)
        assert len(decode_receipts(Path(answer["written"]).read_bytes()).receipts) == 1
    code, answer = redcard("report", "--month", "2014-05")
    assert answer["counts"]["recorded"] == 1


def test_cases_and_status_from_the_shell(redcard: Any, home: Path) -> None:
    from tests.server.world import open_core

    async def run() -> None:
        time = Time()
        async with await open_core(home, time) as core:
            first, second = await enrol(core, "first", time), await enrol(core, "second", time)
            first.redeem(1, "n1")
            second.redeem(1, "n2", at_ms=time() + 1)
            time.pass_(HOUR_MS)
            await push(core, first)
            await push(core, second)

    asyncio.run(run())
    _, answer = redcard("cases")
    assert [one["nonces"] for one in answer["cases"]] == [["n2"]]
    assert redcard("card", card(1), "blocked")[0] == 0
    assert redcard("member", member(1), "suspended")[0] == 0
    assert redcard("card", card(1), "melted")[0] != 0
    _code, answer = redcard("terminals")
    assert [one["to_judge"] for one in answer["ledgers"]] == [0, 0]
