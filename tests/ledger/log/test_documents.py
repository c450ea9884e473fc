"""The contract of entries says the same in words, to programs, and in the code."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ledger.entry import REQUIRED, Assurance, Entry, Kind, check
from ledger.errors import EntryInvalid
from ledger.log.schema import MEMORY, migrate
from tests.ledger.log.ledgers import BOOT, create, tap

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "entry.md").read_text()
SCHEMA: dict[str, Any] = json.loads((DOCS / "entry.schema.json").read_text())
STAMPS = {"v", "seq", "kind", "ts_ms", "mono_ms", "boot"}


def test_the_table_of_kinds_is_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", TEXT, re.MULTILINE)
    told = {kind: tuple(re.findall(r"`(\w+)`", keys)) for kind, keys in rows if kind in list(Kind)}
    assert told == {kind.value: keys for kind, keys in REQUIRED.items()}


def test_every_key_is_explained() -> None:
    explained = set(re.findall(r"`(\w+)`", TEXT))
    assert {key for keys in REQUIRED.values() for key in keys} <= explained


def test_the_schema_is_the_code() -> None:
    assert set(SCHEMA["required"]) == STAMPS
    assert SCHEMA["properties"]["kind"]["enum"] == [kind.value for kind in Kind]
    assert SCHEMA["properties"]["assurance"]["enum"] == [one.value for one in Assurance]
    told = {
        case["if"]["properties"]["kind"]["const"]: tuple(case["then"]["required"])
        for case in SCHEMA["allOf"]
    }
    assert told == {kind.value: keys for kind, keys in REQUIRED.items()}


def fits(entry: Entry) -> bool:
    """The part of JSON Schema that `entry.schema.json` uses."""
    needed = {*SCHEMA["required"]}
    for case in SCHEMA["allOf"]:
        if case["if"]["properties"]["kind"]["const"] == entry.get("kind"):
            needed.update(case["then"]["required"])
    return needed <= entry.keys() and all(
        _is(SCHEMA["properties"].get(key, SCHEMA["additionalProperties"]), value)
        for key, value in entry.items()
    )


def _is(schema: dict[str, Any], value: object) -> bool:
    if "anyOf" in schema:
        return any(_is(one, value) for one in schema["anyOf"])
    if "const" in schema:
        return bool(schema["const"] == value)
    if "enum" in schema:
        return value in schema["enum"]
    if schema["type"] == "array":
        return isinstance(value, list) and all(_is(schema["items"], one) for one in value)
    if schema["type"] == "integer":
        return type(value) is int and schema.get("minimum", 0) <= value <= schema["maximum"]
    if schema["type"] == "boolean":
        return isinstance(value, bool)
    # In JSON Schema `$` is the end, not also the place before a last newline.
    pattern = schema.get("pattern", "").replace("$", r"\Z")
    return isinstance(value, str) and re.search(pattern, value) is not None


WHOLE: Entry = {**tap(1), "v": 1, "seq": 2, "boot": BOOT.boot}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"later": [1, 2], "flag": True},
        {"card": ""},
        {"boot": "X" * 16},
        {"member": "1"},
        {"card": "short"},
        {"quantity": True},
        {"quantity": "1"},
        {"v": 2},
        {"kind": "other"},
        {"kind": "void"},
        {"nonce": "line\n"},
        {"nonce": 5},
        {"counts": ["1"]},
        {"offers": "BJ"},
        {"agent": "someone"},
    ],
)
def test_schema_and_code_agree_on_entries(change: dict[str, Any]) -> None:
    entry = {**WHOLE, **change}
    try:
        check(entry)
    except EntryInvalid:
        assert not fits(entry)
    else:
        assert fits(entry)


def test_what_the_log_writes_itself_fits() -> None:
    with create() as store:
        for seq in (0, 1):
            entry = store.entry(seq)
            assert entry is not None
            assert fits(entry)


def test_the_tables_are_documented() -> None:
    text = (DOCS / "ledger.md").read_text()
    connection = sqlite3.connect(MEMORY, isolation_level=None)
    connection.text_factory = bytes
    migrate(connection, MEMORY)
    tables = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')"
    ).fetchall()
    for (table,) in tables:
        assert f"`{table.decode()}`" in text
        for row in connection.execute(f"PRAGMA table_info({table.decode()})"):
            assert row[1].decode() in text
    connection.close()
