"""Publishes the roster, and from each of its last versions the few bytes that lead to this one.

A terminal that was here yesterday fetches what changed since, not seventy megabytes. A delta gives
exactly the bytes of the new roster, whose hash is signed: there is nothing to believe in it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from server.publish import VERSIONS_KEPT, Repository
from sync.errors import RosterInvalid
from sync.roster import Roster, RosterEntry, Tables
from sync.roster_build import build_roster
from sync.roster_delta import apply_delta, make_delta
from sync.roster_edit import edit, lead

ROSTER_TARGET: Final = "status/roster.bin"
DELTAS_PATH: Final = "status/deltas/"
#: Custom field of the roster: SHA-256 of an older one to the path of the delta that leads from it.
DELTAS_FIELD: Final = "redcard_deltas"
#: Single changes from before each of which one delta leads to the roster in force.
JOURNAL_STEPS_MAX: Final = 200
#: Files of deltas that stay on the disk, so that a slow download can end.
DELTA_FILES_KEPT: Final = 3 * VERSIONS_KEPT[ROSTER_TARGET]


class Step(NamedTuple):
    """One publication of a few changes.

    Attributes:
        digest: SHA-256 of the roster before it.
        version: of that roster.
        touched: places that it touched, and whether more than the card's status.
    """

    digest: str
    version: int
    touched: Mapping[int, bool]


#: The last ones, the newest last.
Journal: TypeAlias = Sequence[Step]


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
        _put(repository, path, *_deltas(held, path, version))


def publish_changes(
    repository: Repository,
    records: Iterable[tuple[str, RosterEntry]],
    past: Journal,
    *,
    version: int,
    as_of_ms: int,
) -> Journal | None:
    """Puts the next roster in force, which differs from the last one in a few listed cards.

    One delta leads to it from every roster in the journal, whose files need not be here.

    Args:
        repository: where it is published.
        records: the cards as they are now.
        past: what was done to the roster in force since it was last built anew.
        version: rises with every roster.
        as_of_ms: server time of what it says.

    Returns:
        The journal from now on, ``None`` if the roster has to be built anew; then nothing was done.

    Raises:
        RosterInvalid: a record cannot be held; what was in force stays.
        OSError: the disk is full or failing; what was in force stays.
    """
    digest = repository.targets("status").get(ROSTER_TARGET, "")
    held = repository.held(ROSTER_TARGET)
    if digest not in held:
        return None
    with tempfile.TemporaryDirectory(dir=repository.folder) as folder:
        path, step = Path(folder) / "roster.bin", Path(folder) / "step.bin"
        try:
            with Roster.open(held[digest]) as older:
                edited = edit(older, records, version=version, as_of_ms=as_of_ms)
                before = older.version
            if edited is None:
                return None
            step.write_bytes(edited[0])
            apply_delta(held[digest], step, path)
            step.unlink()
        except RosterInvalid:
            return None  # damaged on this disk: it is built anew, and is fetched whole
        journal = [*past, Step(digest, before, edited[1])][-JOURNAL_STEPS_MAX:]
        known = {one.digest for one in journal}
        others = {name: place for name, place in held.items() if name not in known}
        files, leads = _deltas(others, path, version)
        data = _since(path, journal)
        if data is not None:
            name = f"{DELTAS_PATH}{journal[0].version}-{version}.bin"
            files[name] = data
            leads |= dict.fromkeys(known, name)
        _put(repository, path, files, leads)
    return tuple(journal)


def _since(path: Path, journal: Journal) -> bytes | None:
    """The one delta that leads to a roster from every one before a step of the journal."""
    touched: dict[int, bool] = {}
    for one in journal:
        for place, whole in one.touched.items():
            touched[place] = whole or touched.get(place, False)
    with Roster.open(path) as newer:
        return lead(newer, journal[0].version, touched)


def _put(
    repository: Repository, path: Path, files: dict[str, bytes], leads: dict[str, Any]
) -> None:
    repository.publish(
        "status",
        {**files, ROSTER_TARGET: path.read_bytes()},
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
