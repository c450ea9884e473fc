"""A real PostgreSQL of one's own: a new cluster on a socket in a folder, for benches and tests."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from server.errors import DatabaseFault

#: Where Debian puts the newest first.
_ROOT: Final = Path("/usr/lib/postgresql")
USER: Final = "redcard"
CONNECTIONS_MAX: Final = 60


def binaries() -> Path | None:
    """Folder of PostgreSQL's programs, ``None`` if it is not installed."""
    folders = [one / "bin" for one in _ROOT.glob("*") if (one / "bin" / "initdb").exists()]
    return max(folders, key=lambda one: float(one.parent.name), default=None)


def _account() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: the first of these accounts there is runs it."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise DatabaseFault("there is no account that could run PostgreSQL")


class Cluster:
    """A running cluster; ``template`` is copied for every database."""

    def __init__(self, folder: Path, tools: Path) -> None:
        """Use ``cluster``."""
        self.folder = folder
        self._tools = tools
        self._number = 0
        self.template = ""

    def url(self, name: str) -> str:
        """URL of a database."""
        return f"postgresql://{USER}@/{name}?host={self.folder}"

    def _run(self, *arguments: str) -> str:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [str(self._tools / arguments[0]), *arguments[1:]],
            **_account(),
            cwd=self.folder,
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise DatabaseFault(f"{arguments[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    def sql(self, statement: str) -> str:
        """What one statement prints."""
        socket = str(self.folder)
        return self._run("psql", "-h", socket, "-U", USER, "-d", "postgres", "-Atqc", statement)

    def database(self) -> str:
        """A new database; returns its URL."""
        self._number += 1
        name = f"test_{self._number}"
        template = f' TEMPLATE "{self.template}"' if self.template else ""
        self.sql(f'CREATE DATABASE "{name}"{template}')
        return self.url(name)

    def processor_s(self) -> float:
        """Seconds of processor that all its processes living now have used."""
        return sum(processor_s(int(pid)) for pid in self._pids())

    def _pids(self) -> Iterator[str]:
        parent = (self.folder / "data" / "postmaster.pid").read_text().splitlines()[0]
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:  # it has ended meanwhile
                continue
            if parent in {stat.parent.name, fields[1]}:
                yield stat.parent.name

    def start(self) -> None:
        """Makes the cluster and starts it; data are flushed as in production."""
        self._run("initdb", "-D", "data", "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")
        self._run(
            "pg_ctl",
            "-D",
            "data",
            "-w",
            "-l",
            "log",
            "start",
            "-o",
            f"-c listen_addresses='' -c unix_socket_directories={self.folder} "
            f"-c fsync=on -c max_connections={CONNECTIONS_MAX}",
        )

    def stop(self) -> None:
        """Stops it at once; what was committed is on the disk."""
        self._run("pg_ctl", "-D", "data", "-w", "-m", "fast", "stop")


def processor_s(pid: int) -> float:
    """Seconds of processor that a process has used, 0 if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def cluster(place: Path | None = None) -> Iterator[Cluster]:
    """A cluster that is gone at the end.

    Args:
        place: a folder on the disk to use; absent, the temporary folder.

    Raises:
        DatabaseFault: PostgreSQL is not installed, or does not start.
    """
    tools = binaries()
    if tools is None:
        raise DatabaseFault("PostgreSQL is not installed here; install postgresql and try again")
    # A socket's path has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="redcard-pg-", dir=place))
    account = _account()
    if account:
        os.chown(folder, account["user"], account["group"])
    running = Cluster(folder, tools)
    try:
        running.start()
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
