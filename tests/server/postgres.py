"""A real PostgreSQL of one's own: a new cluster on a socket in a folder, a database per test."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BINARIES = (
    "/usr/lib/postgresql/17/bin",
    "/usr/lib/postgresql/16/bin",
    "/usr/lib/postgresql/15/bin",
)
USER = "redcard"


def binaries() -> Path | None:
    for folder in BINARIES:
        if (Path(folder) / "initdb").exists():
            return Path(folder)
    return None


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
    raise AssertionError("no account to run PostgreSQL")


class Cluster:
    """A running cluster; ``template`` is copied for every database."""

    def __init__(self, folder: Path, tools: Path) -> None:
        self.folder = folder
        self._tools = tools
        self._number = 0
        self.template = ""

    def url(self, name: str) -> str:
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
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def sql(self, statement: str) -> str:
        socket = str(self.folder)
        return self._run("psql", "-h", socket, "-U", USER, "-d", "postgres", "-Atqc", statement)

    def database(self) -> str:
        """A new database; returns its URL."""
        self._number += 1
        name = f"test_{self._number}"
        template = f' TEMPLATE "{self.template}"' if self.template else ""
        self.sql(f'CREATE DATABASE "{name}"{template}')
        return self.url(name)

    def start(self) -> None:
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
            "-c fsync=on -c max_connections=60",
        )

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-w", "-m", "fast", "stop")


@contextmanager
def cluster() -> Iterator[Cluster]:
    tools = binaries()
    assert tools is not None, "PostgreSQL is not installed"
    folder = Path(tempfile.mkdtemp(prefix="redcard-pg-", dir="/tmp"))
    account = _account()
    if account:
        os.chown(folder, account["user"], account["group"])
    running = Cluster(folder, tools)
    try:
        running.start()
        yield running
        running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
