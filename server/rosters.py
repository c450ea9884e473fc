"""Publishes the roster, and from each of its last versions the few bytes that lead to this one.

A terminal that was here yesterday fetches what changed since, not seventy megabytes. A delta gives
exactly the bytes of the new roster, whose hash is signed: there is nothing to believe in it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from server.publish import VERSIONS_KEPT, Repository
from sync.errors import RosterInvalid
from sync.roster import Roster, RosterEntry, Tables
from sync.roster_build import build_roster
from sync.roster_delta import make_delta

ROSTER_TARGET: Final = "status/roster.bin"
DELTAS_PATH: Final = "status/deltas/"
#: Custom field of the roster: SHA-256 of an older one to the path of the delta that leads from it.
DELTAS_FIELD: Final = "redcard_deltas"
#: Files of deltas that stay on the disk, so that a slow download can end.
DELTA_FILES_KEPT: Final = 3 * VERSIONS_KEPT[ROSTER_TARGET]


def publish_roster(
    repository: Repository,
    records: Iterable[tuple[str, RosterEntry]],
    *,
    version: int,
    as_of_ms: int,
    card_key_id: str,
) -> None:
    """Builds the next roster and puts it in force with its deltas.

    Args:
        repository: where it is published.
        records: as ``build_roster`` takes them.
        version: rises with every roster.
        as_of_ms: server time of what it says.
        card_key_id: which card key the hashes were made with.

    Raises:
        RosterInvalid: names the record that cannot be held; what was in force stays.
        OSError: the disk is full or failing; what was in force stays.
    """
    with tempfile.TemporaryDirectory(dir=repository.folder) as folder:
        path = Path(folder) / "roster.bin"
        held = repository.held(ROSTER_TARGET)
        build_roster(
            path,
            records,
            version=version,
            as_of_ms=as_of_ms,
            card_key_id=card_key_id,
            older=_tables(repository, held),
        )
        deltas, leads = _deltas(held, path, version)
        repository.publish(
            "status",
            {**deltas, ROSTER_TARGET: path.read_bytes()},
            custom={ROSTER_TARGET: {DELTAS_FIELD: leads}} if leads else {},
            without=[one for one in repository.targets("status") if one.startswith(DELTAS_PATH)],
        )
    _prune(repository.folder / "targets" / DELTAS_PATH)


def _tables(repository: Repository, held: dict[str, Path]) -> Tables | None:
    """Tables of the roster in force, whose numbers the next one keeps so that deltas are small."""
    digest = repository.targets("status").get(ROSTER_TARGET, "")
    if digest not in held:
        return None
    try:
        with Roster.open(held[digest]) as roster:
            return roster.tables
    except RosterInvalid:
        return None  # damaged on this disk: the next one begins anew, and is fetched whole


def _deltas(
    held: dict[str, Path], path: Path, version: int
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Deltas by target path, and what leads to each, from every version that is still here."""
    files: dict[str, bytes] = {}
    leads: dict[str, Any] = {}
    with Roster.open(path) as newer:
        for digest, place in held.items():
            try:
                with Roster.open(place) as older:
                    delta = make_delta(older, newer)
                    name = f"{DELTAS_PATH}{older.version}-{version}.bin"
            except RosterInvalid:
                continue  # damaged on this disk: whoever has it fetches the new one whole
            if delta is not None and len(delta) * 2 < path.stat().st_size:
                files[name] = delta
                leads[digest] = name
    return files, leads


def _prune(folder: Path) -> None:
    if folder.exists():
        for old in sorted(folder.iterdir(), key=_age)[:-DELTA_FILES_KEPT]:
            old.unlink(missing_ok=True)


def _age(path: Path) -> int:
    return path.stat().st_mtime_ns
