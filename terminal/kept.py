"""The last snapshot that made sense, kept beside the downlink's own folders.

``sync`` verifies who signed a snapshot, not whether it makes sense. When a signed one is refused
here, the one in force stays, also over a restart: its files are linked, not copied, so that the
downlink may sweep its own names away.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, Self

from sync.errors import TargetInvalid

_FACTS: Final = "kept.json"
_READ_BYTES: Final = 1 << 20


class SnapshotFiles(Protocol):
    """A verified snapshot as files: a generation of the downlink, or the one kept."""

    @property
    def files(self) -> Iterable[str]:
        """Paths of its targets."""

    @property
    def version(self) -> int:
        """Version of the snapshot metadata."""

    @property
    def signed_ms(self) -> int:
        """When the server signed that it is current."""

    def path(self, target: str) -> Path:
        """Where a target lies."""

    def read(self, target: str) -> bytes:
        """A small target, its bytes verified again."""


@dataclass(frozen=True, slots=True)
class KeptSnapshot:
    """The kept files; satisfies ``SnapshotFiles``."""

    folder: Path
    files: Mapping[str, str]
    version: int
    signed_ms: int

    def path(self, target: str) -> Path:
        """Where a target lies."""
        return self.folder / target.replace("/", "_")

    def read(self, target: str) -> bytes:
        """A small target.

        Raises:
            TargetInvalid: the disk has altered it since it was kept.
        """
        data = self.path(target).read_bytes()
        if hashlib.sha256(data).hexdigest() != self.files[target]:
            raise TargetInvalid(f"{target} is damaged on this disk; pull again")
        return data

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """What was kept, ``None`` if nothing whole was."""
        try:
            facts = json.loads((folder / _FACTS).read_bytes())
            kept = cls(folder, dict(facts["files"]), int(facts["version"]), int(facts["signed_ms"]))
            whole = all(_digest(kept.path(name)) == digest for name, digest in kept.files.items())
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return kept if whole else None


def keep(folder: Path, snapshot: SnapshotFiles, targets: Iterable[str]) -> None:
    """Keeps some targets of a snapshot in place of what was kept before, whole or not at all.

    Raises:
        OSError: the disk refuses; what was kept before stays.
    """
    draft, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700, parents=True)
    files = {}
    for target in targets:
        place = draft / target.replace("/", "_")
        os.link(snapshot.path(target), place)
        files[target] = _digest(place)
    facts = {"version": snapshot.version, "signed_ms": snapshot.signed_ms, "files": files}
    (draft / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    draft.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_READ_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
