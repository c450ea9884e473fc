"""Tables of what is published, where several server processes share one database.

With SQLite there is one process, and the folder ``tuf`` in its home is all there is; on PostgreSQL
the rows here are what counts, and each process's folder is a copy of them.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, PrimaryKeyConstraint, String, Table

from server.schema import metadata

_KEYED: Final[dict[str, Any]] = {"sqlite_with_rowid": False}

publications = Table(
    "publications",
    metadata,
    Column("name", String(255), primary_key=True),  # path below the folder
    Column("sha256", String(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("put_ms", BigInteger, nullable=False),
    **_KEYED,
)

publication_pieces = Table(
    "publication_pieces",
    metadata,
    Column("name", String(255), nullable=False),
    Column("piece", Integer, nullable=False),  # from 0
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("name", "piece"),
)
