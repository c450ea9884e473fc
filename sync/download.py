"""Fetching what TUF names: bounded metadata, and targets that resume where they broke off."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sync.errors import MetadataMismatch, Refused, TargetInvalid
from sync.metadata import check_file
from sync.protocol import TUF_PATH, decode_problem
from sync.transport import Request, Transport
from sync.trust import TargetFile
from sync.uplink import check_answer

CHUNK_BYTES: Final = 4 << 20
_READ_BYTES: Final = 1 << 20


def download(transport: Transport, file: TargetFile, path: Path, *, consistent: bool) -> None:
    """Fetches a target into ``path``; bytes that are there already are not fetched again.

    Args:
        transport: the way to the server.
        file: the target as signed.
        path: where it goes; what is there is taken for its beginning.
        consistent: whether names carry the hash (section 6.2).

    Raises:
        Unreachable: broken off; what came is kept.
        Refused: it is not there.
        TargetInvalid: other bytes than signed; they are removed.
    """
    name = file.path
    if consistent:
        folder, _, base = file.path.rpartition("/")
        digest = file.hashes.get("sha256") or next(iter(file.hashes.values()))
        name = f"{folder}/{digest}.{base}" if folder else f"{digest}.{base}"
    have = path.stat().st_size if path.exists() else 0
    if have >= file.length:
        path.unlink(missing_ok=True)
        have = 0
    with path.open("ab") as out:
        while have < file.length:
            piece = _piece(transport, f"targets/{name}", have, file.length)
            if not piece:
                break
            out.write(piece)
            have += len(piece)
        out.flush()
        os.fsync(out.fileno())
    if not holds(path, file):
        path.unlink()
        raise TargetInvalid(f"{file.path} is not what the signed metadata says; nothing changed")


def fetch(transport: Transport, name: str, bytes_max: int) -> bytes:
    """Fetches one metadata file of at most ``bytes_max`` bytes.

    Raises:
        Unreachable: no whole answer within the limit.
        Refused: it is not there.
    """
    request = Request("GET", TUF_PATH + quote(name))
    response = transport.exchange(request, bytes_max=bytes_max)
    check_answer(response)
    return response.body


def _piece(transport: Transport, name: str, have: int, length: int) -> bytes:
    """The next bytes of a target; a server that ignores ranges may send all of it at once."""
    stop = min(have + CHUNK_BYTES, length)
    headers = {"Range": f"bytes={have}-{stop - 1}"}
    response = transport.exchange(Request("GET", TUF_PATH + quote(name), headers), bytes_max=length)
    if response.status == 206:
        return response.body[: stop - have]
    if response.status == 416:
        return b""
    if response.status != 200:
        raise Refused(decode_problem(response.body, status=response.status))
    return response.body[have:]


def holds(path: Path, file: TargetFile) -> bool:
    """Whether a file on disk has exactly the bytes of a target."""
    try:
        check_file(chunks(path), file.facts, file.path)
    except (OSError, MetadataMismatch):
        return False
    return True


def chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a file, a bounded piece at a time."""
    with path.open("rb") as file:
        while chunk := file.read(_READ_BYTES):
            yield chunk
