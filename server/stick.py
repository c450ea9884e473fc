"""What terminals fetch, as a folder on a stick, for those that no network reaches."""

from __future__ import annotations

import asyncio
from pathlib import Path

from server.errors import PublicationRefused
from server.files import replace_file
from server.publications import Publications
from server.publish import Repository


async def write_stick(publications: Publications, folder: Path) -> tuple[int, int]:
    """Writes all that is in force into a folder, the timestamp last.

    A stick pulled out too early holds what it held before, or a part that no terminal takes.

    Returns:
        How many files it holds, and their bytes.

    Raises:
        PublicationRefused: the stick cannot be written; what terminals have stays good.
        HomeInvalid: nothing was published yet.
    """
    await publications.timestamp()
    async with publications.shelf.changing() as repository:
        try:
            return await asyncio.to_thread(_write, repository, folder)
        except OSError as error:
            raise PublicationRefused(f"{folder} cannot be written: {error.strerror}") from None


def _write(repository: Repository, folder: Path) -> tuple[int, int]:
    names = [path.relative_to(repository.folder) for path in repository.in_force()]
    total = 0
    for name in names:
        source, place = repository.folder / name, folder / name
        size = source.stat().st_size
        total += size
        # A file of one name never changes, but for the timestamp, which is small.
        if place.exists() and place.stat().st_size == size and size > 1 << 20:
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        replace_file(place, source.read_bytes())
    ours = (path for part in ("metadata", "targets") for path in (folder / part).rglob("*"))
    for path in ours:
        if path.is_file() and path.relative_to(folder) not in names:
            path.unlink()  # of an earlier publication
    return len(names), total
