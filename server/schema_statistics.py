"""Tables of the statistics: figures of months and years, folded from the judged events.

All but ``stated`` are *folded* (see ``server.schema``): they can be dropped and are counted again.
A period is ``yyyy-mm`` or ``yyyy`` of the venues' calendar.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint, String, Table, Text

from server.schema import metadata

_KEYED: Final[dict[str, Any]] = {"sqlite_with_rowid": False}

figures = Table(
    "figures",
    metadata,
    Column("period", String(7), nullable=False),
    Column("dimension", String(16), nullable=False),
    Column("key", String(64), nullable=False),
    Column("person_times", BigInteger, nullable=False),
    Column("persons", BigInteger, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("companions", BigInteger, nullable=False),
    Column("flagged", BigInteger, nullable=False),
    PrimaryKeyConstraint("period", "dimension", "key"),
    **_KEYED,
)

# Periods whose figures are good; one that something touched has no row until it is counted again.
periods = Table(
    "periods",
    metadata,
    Column("period", String(7), primary_key=True),
    Column("counted_ms", BigInteger, nullable=False),
    Column("groups_hash", String(64), nullable=False),  # of levels, categories, districts
)

# Up to which judgement each ledger has touched the periods.
tallied = Table(
    "tallied",
    metadata,
    Column("log", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
)

# What was told of a period, so that a later report can say by how much it differs. Kept.
stated = Table(
    "stated",
    metadata,
    Column("period", String(7), nullable=False),
    Column("stated_ms", BigInteger, nullable=False),
    Column("person", String(32), nullable=False),
    Column("totals", Text, nullable=False),  # JSON object of the whole's figures
    PrimaryKeyConstraint("period", "stated_ms"),
)

#: Tables that are emptied when everything is folded again.
STATISTICS: Final = (figures, periods, tallied)
