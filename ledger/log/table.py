"""Entries as a table for spreadsheets (CSV), read by sqlite-utils from the ledger itself."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

from ledger.log.schema import connect_reader

#: Columns of the table, in order; other fields of an entry are in the export.
COLUMNS: Final = (
    "seq",
    "kind",
    "ts_ms",
    "code",
    "offer",
    "offer_version",
    "venue",
    "position",
    "operator",
    "shift",
    "member",
    "card",
    "scheme",
    "assurance",
    "mode",
    "quantity",
    "companions",
    "agent",
    "supervisor",
    "reason_code",
    "orig_seq",
    "orig_nonce",
    "nonce",
    "boot",
)
#: What a spreadsheet would take for a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def rows(path: str | Path) -> Iterator[dict[str, Any]]:
    """Every entry's columns, empty where an entry has no such field.

    Raises:
        LogFault: there is no ledger, or it cannot be read.
    """
    from sqlite_utils import Database

    fields = ", ".join(f"json_extract(entry, '$.{name}') AS {name}" for name in COLUMNS[1:])
    connection = connect_reader(Path(path))
    try:
        connection.text_factory = str
        database = Database(connection, execute_plugins=False)
        for row in database.table("entry").rows_where(select=f"seq, {fields}", order_by="seq"):
            yield {name: "" if value is None else value for name, value in row.items()}
    finally:
        connection.close()


def write_csv(
    path: str | Path,
    file: IO[str],
    wanted: Callable[[dict[str, Any]], bool],
    time: Callable[[int], str],
) -> int:
    """Writes entries as CSV; a cell that a spreadsheet would run gets an apostrophe before it.

    Args:
        path: the ledger.
        file: where to write; opened with ``newline=""``.
        wanted: which entries.
        time: local time of milliseconds since the epoch, for the column ``time``.

    Returns:
        Rows written.
    """
    writer = csv.writer(file)
    writer.writerow([*COLUMNS[:2], "time", *COLUMNS[2:]])
    count = 0
    for row in rows(path):
        if wanted(row):
            cells = [_safe(row[name]) for name in COLUMNS]
            writer.writerow([*cells[:2], time(row["ts_ms"]), *cells[2:]])
            count += 1
    return count


def _safe(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
