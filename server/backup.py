"""A server's backup as one file, and a server that comes back from it.

A backup is a moment of the past. What was receipted since then is not lost: terminals keep their
ledgers, ask by 409 and refill. But numbers that only rise must not be given twice, so a restored
server jumps ahead with all of them at its first start: versions of what it publishes, revisions of
judgements, numbers of feeds, and a new ledger of its own. Leases that terminals still hold come
back with the entries that recorded them.

The file is a tar archive without the passphrase of the keys: keep the two apart.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Final

from sqlalchemy import delete, make_url, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from keys.keystore import MemoryKeyStore
from server.database import SQLITE_NAME
from server.errors import BackupInvalid, DatabaseFault, HomeInvalid
from server.home import read_configuration, write_private
from server.own_ledger import SETTING
from server.publish import Repository
from server.schema import ledgers, settings

MANIFEST: Final = "manifest.json"
FORMAT: Final = "redcard-backup/v1"
DUMP: Final = "database.dump"
#: Present in a home that was restored and not started since; holds when the backup was made.
MARKER: Final = "restored.json"
#: Smallest step of a number that jumps; more than is given in a year.
JUMP_MIN: Final = 1_000_000
FILES_MAX: Final = 100_000
MANIFEST_BYTES_MAX: Final = 64 << 20
_SINGLE: Final = ("server.toml", "keys", "card_key.age")
_ROSTER_VERSION: Final = "roster_version"


def back_up(home: Path, file: Path, now_ms: int) -> dict[str, Any]:
    """Writes a backup of a home and its database, whole or not at all; the server may be running.

    Args:
        home: the server's folder.
        file: a new file.
        now_ms: server time.

    Returns:
        Size in bytes, number of files, and what kind of database is in it.

    Raises:
        BackupInvalid: the file is there already, or cannot be written.
        DatabaseFault: the database cannot be copied.
        HomeInvalid: not a home.
    """
    if file.exists():
        raise BackupInvalid(f"{file} is there already; name a new file")
    configuration = read_configuration(home)
    partial = file.with_name(f".{file.name}.partial")
    digests: dict[str, str] = {}
    try:
        with tempfile.TemporaryDirectory(dir=home) as folder, tarfile.open(partial, "w") as tar:
            partial.chmod(0o600)
            # The database first: what is published may be newer than what it says, never older.
            for name, path in _contents(home, Path(folder), configuration.database):
                digests[name] = _add(tar, name, path)
            kind = "postgresql" if configuration.database else "sqlite"
            manifest = {
                "format": FORMAT,
                "made_ms": now_ms,
                "domain": configuration.domain,
                "database": kind,
                "files": digests,
            }
            written = Path(folder) / MANIFEST
            written.write_text(json.dumps(manifest, indent=1), "utf-8")
            _add(tar, MANIFEST, written)
        with partial.open("rb") as whole:
            os.fsync(whole.fileno())
        size = partial.stat().st_size
        partial.replace(file)
    except OSError as error:
        raise BackupInvalid(f"{file} cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
    return {"file": str(file), "bytes": size, "files": len(digests), "database": kind}


def _contents(home: Path, folder: Path, database: str) -> Iterator[tuple[str, Path]]:
    """What goes into a backup: names in it, and files with their content."""
    copy = folder / "database"
    if database:
        _dump(database, copy)
        yield DUMP, copy
    else:
        if not (home / SQLITE_NAME).exists():
            raise DatabaseFault(f"{home / SQLITE_NAME} is not there; nothing was backed up")
        with (
            closing(sqlite3.connect(f"file:{home / SQLITE_NAME}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
        yield SQLITE_NAME, copy
    for name in _SINGLE:
        if not (home / name).exists():
            raise HomeInvalid(f"{home / name} is not there; nothing was backed up")
        yield name, home / name
    # Older versions stay behind: whoever has one of them fetches the delta that is in force.
    repository = Repository(home / "tuf", MemoryKeyStore(), lambda: 0)
    for path in repository.in_force() if repository.exists else ():
        yield str(path.relative_to(home)), path


class _Hashed(io.RawIOBase):
    """A file that is hashed while it is read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.digest = sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.digest.update(data)
        return data


def _add(tar: tarfile.TarFile, name: str, path: Path) -> str:
    """Adds a file; returns the SHA-256 of what was added."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = path.stat().st_size, 0o600
    with path.open("rb") as stream:
        hashed = _Hashed(stream)
        tar.addfile(entry, hashed)
    return hashed.digest.hexdigest()


def _postgresql(program: str, database: str, *arguments: str) -> None:
    """Runs a program of PostgreSQL's; a password goes by its environment, never by arguments."""
    url = make_url(database)
    plain = url.set(drivername="postgresql", password=None).render_as_string()
    environment = dict(os.environ)
    if url.password:
        environment["PGPASSWORD"] = str(url.password)
    try:
        done = subprocess.run(
            [program, *arguments, f"--dbname={plain}"],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
        )
    except OSError:
        raise DatabaseFault(
            f"{program} is not installed here; install PostgreSQL's client"
        ) from None
    if done.returncode:
        raise DatabaseFault(f"{program}: {done.stderr.strip()[-500:]}")


def _dump(database: str, target: Path) -> None:
    # The files in force are packed beside it, and become rows again when the server starts.
    without = [f"--exclude-table-data={table}*" for table in ("publications", "publication_pieces")]
    _postgresql("pg_dump", database, "--format=custom", *without, f"--file={target}")


def restore(home: Path, file: Path) -> dict[str, Any]:
    """Makes a home from a backup; the server jumps ahead when it starts for the first time.

    Args:
        home: a folder that does not exist yet or is empty; only the ``passphrase`` may be there.
        file: as written by ``back_up``.

    Returns:
        When the backup was made, its domain and database.

    Raises:
        BackupInvalid: not a backup, or damaged; nothing was restored.
        HomeInvalid: there is a server in the folder already.
        DatabaseFault: the dump cannot be put back; the database must be there and be empty.
    """
    present = {path.name for path in home.iterdir()} - {"passphrase"} if home.exists() else set()
    if present:
        raise HomeInvalid(f"{home} holds {min(present)}; a backup goes into an empty folder")
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    fresh = home / ".restoring"
    fresh.mkdir()
    try:
        manifest = _unpack(file, fresh)
        database = read_configuration(fresh).database
        if (fresh / DUMP).exists():
            _postgresql("pg_restore", database, "--exit-on-error", "--no-owner", str(fresh / DUMP))
            (fresh / DUMP).unlink()
        for path in fresh.iterdir():
            path.replace(home / path.name)
    except BaseException:
        _remove(fresh)
        raise
    fresh.rmdir()
    (home / "run").mkdir(exist_ok=True)
    (home / "offline").mkdir(exist_ok=True)
    write_private(home / MARKER, json.dumps({"made_ms": manifest["made_ms"]}).encode("ascii"))
    return {name: manifest[name] for name in ("made_ms", "domain", "database")}


def _unpack(file: Path, folder: Path) -> dict[str, Any]:
    """Takes out what the manifest names, and nothing else; every byte is checked."""
    try:
        with tarfile.open(file, "r:") as tar:
            members = tar.getmembers()[: FILES_MAX + 1]
            by_name = {one.name: one for one in members if one.isreg()}
            manifest = json.loads(_open(tar, by_name, MANIFEST).read(MANIFEST_BYTES_MAX))
            if manifest["format"] != FORMAT or len(by_name) > FILES_MAX:
                raise BackupInvalid(f"{file} is not a backup of this program")
            for name, digest in manifest["files"].items():
                place = folder / _safe(name)
                place.parent.mkdir(parents=True, exist_ok=True)
                hashed = _Hashed(_open(tar, by_name, name))
                handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(handle, "wb") as stream:
                    shutil.copyfileobj(hashed, stream, 1 << 20)
                    os.fsync(stream.fileno())
                if hashed.digest.hexdigest() != digest:
                    raise BackupInvalid(f"{file}: {name} is damaged; take another backup")
    except (OSError, tarfile.TarError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupInvalid(f"{file} is not a whole backup: {error}") from error
    return dict(manifest)


def _open(tar: tarfile.TarFile, by_name: dict[str, tarfile.TarInfo], name: str) -> IO[bytes]:
    entry = by_name.get(name)
    stream = tar.extractfile(entry) if entry is not None else None
    if stream is None:
        raise BackupInvalid(f"{name} is missing in the backup")
    return stream


def _safe(name: str) -> str:
    """A name that a backup may hold: one of ours, and no way out of the folder."""
    parts = name.split("/")
    plain = all(part and part not in {".", ".."} and not part.startswith(".") for part in parts)
    if not plain or (len(parts) == 1 and name not in {*_SINGLE, SQLITE_NAME, DUMP}):
        raise BackupInvalid(f"a backup holds no {name}")
    if len(parts) > 1 and parts[0] != "tuf":
        raise BackupInvalid(f"a backup holds no {name}")
    return name


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
    folder.rmdir()


# The first start after a restore.


def ahead(number: int, now_ms: int) -> int:
    """Where a number goes on: beyond all that was given since the backup.

    It is at least the time in seconds, so that a second restore of one backup lands further on.
    """
    return max(number + JUMP_MIN, now_ms // 1000)


async def jump(connection: AsyncConnection, now_ms: int) -> None:
    """Moves revisions, feed numbers and the roster's version ahead; begins a ledger of its own."""
    rows = await connection.execute(
        select(ledgers.c.log, ledgers.c.revision, ledgers.c.feed_number)
    )
    for row in rows.all():
        await connection.execute(
            update(ledgers)
            .where(ledgers.c.log == row.log)
            .values(
                revision=ahead(row.revision, now_ms), feed_number=ahead(row.feed_number, now_ms)
            )
        )
    version = await connection.scalar(
        select(settings.c.value).where(settings.c.name == _ROSTER_VERSION)
    )
    await connection.execute(
        update(settings)
        .where(settings.c.name == _ROSTER_VERSION)
        .values(value=str(ahead(int(version or 0), now_ms)))
    )
    await connection.execute(delete(settings).where(settings.c.name == SETTING))


async def come_back(core: Any) -> bool:
    """Jumps ahead if this home was restored and not started since; says whether it did.

    Done again after a crash in the middle it lands further on, which harms nobody.
    """
    made_ms = _restored_from(core.home.path)
    if made_ms is None:
        return False
    now_ms: Callable[[], int] = core.now_ms
    async with core.database.writing() as connection:
        await jump(connection, now_ms())
    if core.repository.exists:
        async with core.publications.shelf.changing() as repository:
            await asyncio.to_thread(repository.jump, lambda version: ahead(version, now_ms()))
    async with core.database.writing() as connection:
        await core.own.record(connection, "restored", made_ms=made_ms)
    _started(core.home.path)
    return True


def _restored_from(home: Path) -> int | None:
    """When the backup was made from which a home was restored, if it has not started since."""
    marker = home / MARKER
    return int(json.loads(marker.read_bytes())["made_ms"]) if marker.exists() else None


def _started(home: Path) -> None:
    (home / MARKER).unlink()
