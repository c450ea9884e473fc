"""The back office from the shell: every command, its document and its exit code."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from keys import pin
from ledger import verify
from redcard.cli import main
from server.core import ServerCore
from tests.firmware_profiles.test_published import ACME
from tests.ledger.rules.test_published_words import GONE, words
from tests.server.world import OFFERS, Time, card, enrol, member, open_core, people, push


@pytest.fixture
def redcard(home: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs ``redcard server …`` on a home with venues and offers: exit code and document."""

    def run(*arguments: str) -> tuple[int, Any]:
        with pytest.raises(SystemExit) as ended:
            main(["--json", "--home", str(home), "server", *arguments])
        out = capsys.readouterr().out
        return int(ended.value.code or 0), json.loads(out) if out else None

    async def found() -> None:
        await (await open_core(home, Time(), persons=0)).close()

    asyncio.run(found())
    return run


async def _used(home: Path, offer: str = "museum") -> str:
    """Redemptions of last month on this home; returns the ledger."""
    time = Time()
    async with await ServerCore.open(home, time) as core:
        await core.take_members(people(3))
        museum = await enrol(core, "kiosk", time)
        for n in range(3):
            museum.redeem(n, f"n{n}", offer)
        await push(core, museum)
        return museum.ledger


def test_offers_and_stock(redcard: Any, tmp_path: Path) -> None:
    offer = OFFERS[1] | {"id": "drop", "stock": {"per_venue": {"S0201": 5, "M01": 1}}}  # type: ignore[operator]
    (tmp_path / "drop.json").write_text(json.dumps(offer), encoding="utf-8")
    code, made = redcard("draft", "write", str(tmp_path / "drop.json"))
    assert (code, made["state"]) == (0, "draft")
    assert redcard("draft", "submit", "1")[1]["state"] == "review"
    assert redcard("draft", "return", "1", "写明时间")[1]["remark"] == "写明时间"
    redcard("draft", "submit", "1")
    assert redcard("draft", "pass", "1")[1]["state"] == "published"
    assert redcard("draft", "withdraw", "1")[0] == 1
    assert [one["offer"] for one in redcard("draft", "list")[1]["drafts"]] == ["drop"]
    assert redcard("split", "drop", "S0201=3", "M01=3") == (0, {"offer": "drop", "version": 2})
    assert redcard("split", "drop", "S0201")[0] == 2
    assert redcard("transfer", "request", "drop", "M01", "S0201", "1") == (0, {"transfer": 1})
    assert redcard("transfer", "decide", "1", "--do")[1]["state"] == "done"
    assert redcard("transfer", "list")[1]["transfers"][0]["units"] == 1
    assert redcard("write-off", "nothing", "--reason", "other")[0] == 1
    assert redcard("offers", "suspend", "drop")[1]["version"] == 4
    assert redcard("offers", "suspend", "drop", "--resume")[1]["version"] == 5
    assert redcard("end-offer", "museum")[0] == 1, "it ended years ago"


def test_people_and_what_is_kept_of_members(
    redcard: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pin, "MEMORY_KIB", 64)
    code, made = redcard("people", "add", "wang", "--name", "王", "--role", "hotline")
    assert (code, len(made["password"])) == (0, 19)
    assert redcard("people", "add", "wang", "--name", "王", "--role", "hotline")[0] == 1
    assert redcard("people", "change", "wang", "--role", "auditor")[1]["role"] == "auditor"
    assert redcard("people", "reset", "wang", "--second-factor")[1]["person"] == "wang"
    assert [one["person"] for one in redcard("people", "list")[1]["people"]] == ["wang"]
    (tmp_path / "who.csv").write_text(f"member,name\n{member(1)},张敏\n", encoding="utf-8")
    assert redcard("identities", str(tmp_path / "who.csv"))[1]["kept"] == 1
    assert redcard("access-copy", member(1))[1]["name"] == "张敏"
    assert redcard("erase", member(1))[1]["erased"] is True
    acts = [one["act"] for one in redcard("audit", "--act", "identity")[1]["records"]]
    assert acts == ["identity.erase", "identity.access_copy", "identity.take"]


def test_terminals(redcard: Any, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("terminal,venue\nc1,S0201\nc2,nowhere\n", encoding="utf-8")
    sheets = tmp_path / "sheets.html"
    code, made = redcard("enrol-many", str(tmp_path / "list.csv"), str(sheets), "--approval")
    assert (code, made["made"], made["faulty"]) == (0, ["c1"], 1)
    assert sheets.stat().st_mode & 0o777 == 0o600
    assert "code" not in json.dumps(made), "a code is on its sheet alone"
    assert redcard("enrol-many", str(tmp_path / "list.csv"), str(sheets))[0] == 2
    assert redcard("waiting") == (0, {"waiting": []})
    assert redcard("approve", "c1", "0000")[0] == 1
    assert redcard("replace", "c1", "--reason", "lost")[0] == 1, "it never was in service"
    assert redcard("configure", "offline_cap=5")[1]["settings"] == {"offline_cap": 5}
    assert redcard("configure", "offline_cap=x")[0] == 2
    assert redcard("configure", "--roll-back", "1")[1]["version"] == 2
    assert len(redcard("configure")[1]["configurations"]) == 2
    assert redcard("fleet", "--worried") == (0, {"terminals": []})


def test_settlement_cases_and_the_hotline(redcard: Any, home: Path, tmp_path: Path) -> None:
    ledger = asyncio.run(_used(home))
    assert redcard("void", f"{ledger}/2", "--reason", "mistake")[1]["code"] == "A00"
    assert redcard("void", f"{ledger}/2", "--reason", "mistake")[0] == 1
    assert redcard("settle", "tariff", "M01", "museum", "500")[0] == 0
    code, made = redcard("settle", "state", "--month", "2014-05")
    assert (code, [one["fen"] for one in made["statements"]]) == (0, [1000])
    number = str(made["statements"][0]["id"])
    assert redcard("settle", "dispute", number, "--reason", "missing") == (0, {"dispute": 1})
    assert redcard("settle", "close", number)[0] == 1
    assert redcard("settle", "decide", "1", "--uphold")[0] == 0
    adjusted = redcard("settle", "adjust", number, "--fen", "500", "--reason", "sheet")
    assert adjusted[0] == 0
    assert redcard("settle", "close", number)[1]["state"] == "settled"
    shown = redcard("settle", "show", number)[1]
    assert [one["units"] for one in shown["entries"]] == [1, 1]
    for ending in ("xlsx", "csv"):
        file = tmp_path / f"statement.{ending}"
        assert redcard("settle", "show", number, "--out", str(file))[0] == 0
    assert "10.00" in file.read_text("utf-8-sig")
    (_, _, entries) = load_workbook(tmp_path / "statement.xlsx").worksheets
    assert [row[7] for row in entries.iter_rows(min_row=2, values_only=True)] == [5, 5]
    assert redcard("settle", "show", number, "--out", str(tmp_path / "x.pdf"))[0] == 2
    proof = tmp_path / "one.tlog-proof"
    assert redcard("settle", "prove", f"{ledger}/0", str(proof))[0] == 0
    assert proof.read_text().startswith("c2sp.org/tlog-proof@v1\n")
    assert redcard("void", f"{ledger}/0", "--reason", "mistake")[1]["code"] == "V05"
    none = {"cases": [], "total": 0, "reasons": {}, "start": 0}
    assert redcard("case", "list") == (0, none)
    assert redcard("case", "show", "nothing")[0] == 1
    assert redcard("hotline", "search", "套包")[1]["offers"][0]["offer"] == "pack"
    assert redcard("hotline", "search", "火星")[0] == 1
    assert redcard("hotline", "card", "8821")[0] == 1


def test_a_signed_list(redcard: Any, tmp_path: Path) -> None:
    keys, note, listed = (tmp_path / name for name in ("k", "n", "m.csv"))
    vkey = redcard("feed", "key", "bank", str(keys))[1]["vkey"]
    assert redcard("feed", "key", "bank", str(keys))[0] == 2
    assert redcard("feed", "trust", "bank", vkey)[0] == 0
    listed.write_text(f"card,member\n{card(1)},{member(1)}\n", encoding="utf-8")
    sign = ("--source", "bank", "--keys", str(keys), "--number", "1")
    assert redcard("feed", "sign", str(listed), str(note), *sign)[0] == 0
    code, taken = redcard("members", str(listed), "--note", str(note))
    assert (code, taken["cards"]) == (0, 1)
    assert redcard("feed", "list")[1]["sources"][0]["number"] == 1


def test_the_servers_own_ledger_is_exported_and_verified(
    redcard: Any, home: Path, tmp_path: Path
) -> None:
    ledger = asyncio.run(_used(home))
    status = redcard("ledger", "status")[1]
    (own,) = status["ledgers"]
    assert own["current"]
    kinds = [one["kind"] for one in redcard("ledger", "show", "--limit", "5000")[1]["entries"]]
    assert kinds[:2] == ["genesis", "boot"]
    assert len(kinds) == own["size"]
    assert len(redcard("ledger", "show", "--limit", "1")[1]["entries"]) == 1

    code, told = redcard("ledger", "export", str(tmp_path / "own"))
    assert (code, told["size"]) == (0, own["size"])
    keys = [own["vkey"], status["witness"]]
    report = verify.verify_directory(tmp_path / "own", keys)
    assert (report.ok, report.size, report.root) == (True, own["size"], own["root"])
    assert redcard("ledger", "export", str(tmp_path / "own"))[0] == 1, "the folder is not empty"
    for auditor in ([], ["--auditor"]):
        code, found = redcard("ledger", "verify", *auditor)
        assert (code, found["ok"], found["root"]) == (0, True, own["root"])
    of_terminal = redcard("ledger", "export", str(tmp_path / "lost"), "--ledger", ledger)[1]
    assert (of_terminal["size"], of_terminal["origin"].endswith(ledger)) == (3, True)
    assert redcard("ledger", "verify", "--ledger", "nobody")[0] == 1

    with sqlite3.connect(home / "server.db") as database:
        database.execute(
            "update entries set body = cast(replace(body, 'console', 'someone') as blob)"
            " where log ="
            " (select log from ledgers where terminal = '') and seq = 2"
        )
    for auditor in ([], ["--auditor"]):
        code, found = redcard("ledger", "verify", *auditor)
        assert (code, found["ok"]) == (1, False)


def test_what_the_federation_tells_terminals(redcard: Any, tmp_path: Path) -> None:
    profile = tmp_path / "acme-100.toml"
    profile.write_text(ACME, encoding="utf-8")
    assert redcard("profiles", "list") == (0, {"profiles": []})
    code, made = redcard("profiles", "add", str(profile))
    assert (code, made["profiles"], made["instead_of"]) == (0, ["acme-100"], {})
    wrong = tmp_path / "acme-200.toml"
    wrong.write_text(ACME, encoding="utf-8")
    assert redcard("profiles", "add", str(wrong))[0] == 1
    assert redcard("profiles", "list")[1]["profiles"] == [{"id": "acme-100", "title": "ACME 100"}]
    assert redcard("profiles", "remove", "acme-200")[0] == 1
    assert redcard("profiles", "remove", "acme-100")[1]["profiles"] == []
    texts = tmp_path / "texts.json"
    texts.write_text(words({"L05": {"member": GONE}}).decode(), encoding="utf-8")
    assert list(redcard("messages", "put", str(texts))[1]["texts"]) == ["L05"]
    texts.write_text(words({"L05": {"member": {"zh": ["一", "二"]}}}).decode(), encoding="utf-8")
    assert redcard("messages", "put", str(texts))[0] == 1
    until = ("--until", "2099-05-02T09:00:00+08:00")
    posted = redcard("notice", "post", "rain", "--zh", "汛期", "--en", "Flood", *until)
    assert [one["id"] for one in posted[1]["notices"]] == ["rain"]
    assert redcard("notice", "post", "x", "--zh", "雨", "--en", "雨", *until)[0] == 1
    assert redcard("notice", "post", "x", "--zh", "雨", "--en", "R", "--until", "soon")[0] == 2
    assert redcard("messages", "reset", "L05")[1]["texts"] == {}
    assert redcard("messages", "reset", "L05")[0] == 1
    assert redcard("notice", "withdraw", "rain")[1]["notices"] == []
    assert redcard("messages", "list")[1]["notices"] == []


def test_a_stick_and_the_used_set(redcard: Any, home: Path, tmp_path: Path) -> None:
    code, made = redcard("snapshot", str(tmp_path / "stick"))
    assert (code, made["files"]) == (
        0,
        len([p for p in tmp_path.glob("stick/**/*") if p.is_file()]),
    )
    asyncio.run(_used(home, "pack"))
    assert redcard("used") == (0, {"changed": True})
    assert redcard("used") == (0, {"changed": False})
    assert redcard("snapshot", str(tmp_path / "stick"))[1]["files"] == made["files"] + 1
    assert redcard("snapshot", "/proc/nowhere")[0] == 1
