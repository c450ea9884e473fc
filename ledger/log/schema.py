"""Tables of a ledger file, made and migrated by sqlite-utils (``docs/ledger.md`` explains them).

``PRAGMA user_version`` counts migrations and ``PRAGMA application_id`` tells a ledger from any
other SQLite file. Migrations only go forward; each is one transaction, so that a failed one leaves
the file as it was.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from ledger.errors import LogCorrupt, LogFault, SchemaNewer
from ledger.log import leaves
from ledger.log.disk import translate

if TYPE_CHECKING:
    from sqlite_utils import Database

#: "Redl" in ASCII.
APPLICATION_ID: Final = 0x5265646C
#: A complete subtree of 256 entries has its hash stored, so that proofs need not read all entries.
TILE_LEVEL: Final = leaves.TILE_LEVEL
TILE_ENTRIES: Final = leaves.TILE_ENTRIES
LEAF_PREFIX_BYTES: Final = 8
MEMORY: Final = ":memory:"
BUSY_TIMEOUT_MS: Final = 5_000

_APPEND_ONLY: Final = """
CREATE TRIGGER entry_is_never_{event}d BEFORE {operation} ON entry
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END
"""
#: Filled tile by tile, so that an append need not write a page of it.
_NONCES: Final = """
CREATE TABLE nonce (key INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (key, seq))
STRICT, WITHOUT ROWID
"""
_READABLE: Final = """
CREATE VIEW readable AS SELECT
    seq,
    json_extract(entry, '$.kind') AS kind,
    strftime('%Y-%m-%dT%H:%M:%SZ', json_extract(entry, '$.ts_ms') / 1000, 'unixepoch') AS time_utc,
    json_extract(entry, '$.code') AS code,
    json_extract(entry, '$.offer') AS offer,
    json_extract(entry, '$.member') AS member,
    json_extract(entry, '$.nonce') AS nonce,
    entry
FROM entry
"""


def _first(database: Database) -> None:
    table = database.table("entry")
    table.create(
        {"seq": int, "entry": str, "leaf": bytes, "refers": int},
        pk="seq",
        not_null={"entry", "leaf"},
        strict=True,
    )
    # Partial, so that all entries but voids cost nothing.
    database.execute("CREATE INDEX entry_by_original ON entry (refers) WHERE refers IS NOT NULL")
    for operation, event in (("UPDATE", "update"), ("DELETE", "delete")):
        database.execute(_APPEND_ONLY.format(operation=operation, event=event))
    database.table("checkpoint").create(
        {"size": int, "note": str}, pk="size", not_null={"note"}, strict=True
    )
    database.table("tile").create(
        {"tile": int, "hash": bytes}, pk="tile", not_null={"hash"}, strict=True
    )
    database.execute(_NONCES)
    database.table("log").create(
        {"origin": str, "vkey": str}, pk="origin", not_null={"vkey"}, strict=True
    )
    database.execute(_READABLE)


def _second(database: Database) -> None:
    # A ledger whose key was replaced under the first version made this table for itself.
    database.table("rotation").create(
        {"size": int, "note": str}, pk="size", not_null={"note"}, strict=True, if_not_exists=True
    )


#: Step ``i`` brings a file from version ``i`` to ``i + 1``.
MIGRATIONS: Final[tuple[Callable[[Database], None], ...]] = (_first, _second)
VERSION: Final = len(MIGRATIONS)


def connect_writer(path: str | Path) -> sqlite3.Connection:
    """Opens the file for the one writer, durable on commit.

    Raises:
        sqlite3.Error: the file cannot be opened or is not SQLite.
        SchemaNewer: a newer version wrote it.
        LogFault: it is some other SQLite database.
    """
    connection = sqlite3.connect(
        str(path),
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_TIMEOUT_MS / 1000,
    )
    try:
        connection.text_factory = bytes
        # Before anything is set: a file that is not ours must stay as it is.
        _version(connection, str(path))
        for pragma in (
            "trusted_schema = OFF",
            "page_size = 4096",
            "journal_mode = WAL",
            "synchronous = FULL",
            # On macOS only F_FULLFSYNC reaches the platter; elsewhere these two change nothing.
            "fullfsync = ON",
            "checkpoint_fullfsync = ON",
            # The store checkpoints itself, so that an I/O error there is seen and not ignored.
            "wal_autocheckpoint = 0",
            "cell_size_check = ON",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Opens the file read-only.

    Raises:
        LogFault: it does not exist or cannot be read.
    """
    if not path.is_file():
        raise LogFault(f"{path}: there is no ledger here; `redcard init` makes one")
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    try:
        return _open_reader(uri)
    except sqlite3.OperationalError as error:
        # On a read-only disk SQLite cannot make its shared-memory file. A log that was closed
        # cleanly needs none: everything is in the main file.
        log = path.with_name(path.name + "-wal")
        if log.exists() and log.stat().st_size:
            raise LogFault(
                f"{path}: cannot be read in place ({error}); copy the folder to a disk that can be"
                " written and read it there"
            ) from error
    except sqlite3.DatabaseError as error:
        raise translate(error, path) from error
    try:
        return _open_reader(uri + "&immutable=1")
    except sqlite3.Error as error:
        raise LogFault(f"{path}: cannot be read: {error}") from error


def _open_reader(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_MS / 1000
    )
    try:
        connection.text_factory = bytes
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA query_only = ON")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Makes or brings forward the tables; a file of this version is left alone.

    Raises:
        SchemaNewer: a newer version wrote the file.
        LogFault: the file is some other SQLite database.
    """
    at = _version(connection, path)
    if at == VERSION:
        return
    from sqlite_utils import Database

    connection.execute("BEGIN IMMEDIATE")
    try:
        # sqlite-utils reads the schema as text; the handle's own rows are bytes.
        connection.text_factory = str
        database = Database(connection, execute_plugins=False)
        for step in MIGRATIONS[at:]:
            step(database)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    finally:
        connection.text_factory = bytes


def check(connection: sqlite3.Connection, path: str) -> str:
    """Checks that an open file is a ledger of this version or an older one.

    Returns:
        The origin of its log.

    Raises:
        SchemaNewer: a newer version wrote the file.
        LogFault: it is not a ledger, or was never finished.
    """
    try:
        if _version(connection, path) == 0:
            raise LogFault(f"{path}: an empty file, not a ledger; `redcard init` makes one")
        rows = connection.execute("SELECT origin FROM log").fetchall()
    except sqlite3.Error as error:
        raise LogFault(f"{path}: cannot be read as a ledger: {error}") from error
    if len(rows) != 1:
        raise LogFault(f"{path}: the ledger was never finished; move it away and make a new one")
    return text_of(rows[0][0], path)


def text_of(value: object, path: str) -> str:
    """A text column; on a damaged page it may hold anything, whatever the table declares."""
    try:
        if isinstance(value, bytes):
            return value.decode()
    except UnicodeDecodeError:
        pass
    raise LogCorrupt(f"{path}: the name or key of the ledger is damaged")


def _version(connection: sqlite3.Connection, path: str) -> int:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise LogFault(f"{path}: this SQLite file is not a ledger; nothing was changed")
    if version > VERSION:
        raise SchemaNewer(
            f"{path}: written by a newer version (schema {version}, this one knows {VERSION});"
            " update the program; nothing was changed"
        )
    return int(version)
