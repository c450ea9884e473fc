"""The downlink on disk: verified targets brought into force whole or not at all, resumable.

Layout of the directory::

    <n>.root.json              trusted roots; they advance ahead of the rest
    incoming/<sha256>          downloads, kept to resume
    generations/<n>/metadata/  root, timestamp, snapshot, targets and delegations as verified
    generations/<n>/targets/   every target under its path
    current                    symbolic link to the generation in force; replacing it is the switch

A target is known by its SHA-256, so an unchanged one is linked, not fetched. A reader keeps the
files that it has mapped; they live on until it lets go.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ledger.log.disk import sync_directory
from sync.client import Snapshot
from sync.download import chunks, download, fetch, holds
from sync.errors import MetadataMismatch, Refused, SyncError, TargetInvalid, Unreachable
from sync.metadata import check_file
from sync.transport import Transport
from sync.trust import (
    ROOT_BYTES_MAX,
    ROOT_ROTATIONS_MAX,
    TIMESTAMP_BYTES_MAX,
    TargetFile,
    Trusted,
    accept,
    advance_root,
    advance_timestamp,
    begin,
    target_files,
    wanted,
)

TARGET_BYTES_MAX: Final = 512 << 20
#: Targets under this path are fetched only to build another target from the one in force.
DELTAS_PATH: Final = "status/deltas/"
#: Custom field of a target: SHA-256 of the older file to path of the delta that leads from it.
DELTAS_FIELD: Final = "redcard_deltas"

#: Builds a new target from the old file and a delta: ``(old, delta, new)``; raises ``SyncError``.
Patch = Callable[[Path, Path, Path], None]


@dataclass(frozen=True, slots=True)
class Generation:
    """The snapshot in force.

    Attributes:
        number: rises with every change.
        folder: its directory.
        trusted: its metadata.
        files: its targets by path.
    """

    number: int
    folder: Path
    trusted: Trusted
    files: Mapping[str, TargetFile]

    @property
    def version(self) -> int:
        """Version of the snapshot metadata."""
        return self.trusted.snapshot.version if self.trusted.snapshot else 0

    @property
    def signed_ms(self) -> int:
        """When the server signed it, milliseconds since the epoch."""
        return self.trusted.signed_ms

    def path(self, target: str) -> Path:
        """Where a target lies; its bytes were verified when it came into force.

        Raises:
            KeyError: the snapshot has no such target.
        """
        return self.folder / "targets" / self.files[target].path

    def read(self, target: str) -> bytes:
        """Reads a small target and verifies its bytes again.

        Raises:
            KeyError: the snapshot has no such target.
            TargetInvalid: the disk has altered it since; pull again.
        """
        try:
            data = self.path(target).read_bytes()
            check_file([data], self.files[target].facts, target)
        except (OSError, MetadataMismatch) as error:
            raise TargetInvalid(
                f"{target} is damaged on this disk ({error}); pull again"
            ) from error
        return data

    def faults(self) -> list[str]:
        """Verifies every target's bytes; what is wrong, empty if all is well."""
        found: list[str] = []
        for name, file in self.files.items():
            if name.startswith(DELTAS_PATH):
                continue
            try:
                check_file(chunks(self.path(name)), file.facts, name)
            except (OSError, MetadataMismatch) as error:
                found.append(str(error))
        return found


class SnapshotStore:
    """Keeps the snapshot in force and brings newer ones into force; satisfies ``Downlink``.

    Args:
        folder: directory of its own.
        root: the first trusted ``root.json``, from enrolment.
        patches: how to build a target from its delta, by target path.
    """

    def __init__(
        self, folder: Path, root: bytes, patches: Mapping[str, Patch] | None = None
    ) -> None:
        """Reads what is in force.

        Raises:
            TrustError: the root is not one; a damaged generation is passed over instead.
        """
        self._folder = folder
        self._patches = dict(patches or {})
        for name in ("generations", "incoming"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._roots = self._stored_roots(begin(root))
        self.current: Generation | None = self._load()

    def reread(self) -> bool:
        """Takes what another process has brought into force; whether there was anything."""
        held = self.current.trusted.timestamp if self.current is not None else None
        try:
            raw = (self._folder / "current" / "metadata" / "timestamp.json").read_bytes()
        except OSError:
            return False
        if held is not None and held.raw == raw:
            return False
        self._roots = self._stored_roots(self._roots[0])
        found = self._load()
        newer = found is not None and found.trusted.timestamp
        if found is None or not newer or (held is not None and newer.version <= held.version):
            return False
        self.current = found
        return True

    def refresh(self, transport: Transport) -> Snapshot:
        """Brings the newest snapshot into force, whole or not at all; see ``Downlink``.

        Raises:
            Unreachable: the network failed; what came is kept and resumed.
            Refused: a file is not there.
            TrustError: what came is not to be trusted; the current one stays.
            OSError: the disk is full or failing; the current one stays.
        """
        before = self.current
        trusted = self._advance_root(transport)
        trusted = advance_timestamp(
            trusted, fetch(transport, "metadata/timestamp.json", TIMESTAMP_BYTES_MAX)
        )
        while (need := wanted(trusted)) is not None:
            prefix = f"{need.version}." if trusted.consistent else ""
            name = f"metadata/{prefix}{need.role}.json"
            trusted = accept(trusted, need.role, fetch(transport, name, need.bytes_max))
        files = target_files(trusted)
        if before is not None and before.trusted == trusted:
            return Snapshot(before.version, changed=False, signed_ms=before.signed_ms)
        if before is not None and replace(before.trusted, timestamp=trusted.timestamp) == trusted:
            self.current = self._restamp(before, trusted)
            return Snapshot(before.version, changed=False, signed_ms=trusted.signed_ms)
        sources = {
            path: self._obtain(transport, trusted, files, file)
            for path, file in files.items()
            if not path.startswith(DELTAS_PATH)
        }
        self.current = self._switch(trusted, files, sources)
        self._sweep()
        changed = before is None or before.files != files
        return Snapshot(self.current.version, changed=changed, signed_ms=trusted.signed_ms)

    def _stored_roots(self, first: Trusted) -> list[Trusted]:
        """The first root and those stored since, each following from the one before (5.3)."""
        roots = [first]
        for version in range(first.root.version + 1, first.root.version + ROOT_ROTATIONS_MAX):
            path = self._folder / f"{version}.root.json"
            if not path.exists():
                break
            roots.append(advance_root(roots[-1], path.read_bytes()))
        return roots

    def _advance_root(self, transport: Transport) -> Trusted:
        trusted = self._roots[-1] if self.current is None else self.current.trusted
        for newer in self._roots:
            if newer.root.version > trusted.root.version:
                trusted = advance_root(trusted, newer.root.raw)
        for _ in range(ROOT_ROTATIONS_MAX):
            version = trusted.root.version + 1
            try:
                data = fetch(transport, f"metadata/{version}.root.json", ROOT_BYTES_MAX)
            except Refused as refusal:
                if refusal.problem.status in {403, 404}:
                    break
                raise
            trusted = advance_root(trusted, data)
            # 5.3.8: a new root binds at once, whatever becomes of the rest.
            _write(self._folder / f"{version}.root.json", data)
            self._roots.append(Trusted(trusted.root))
        return trusted

    def _obtain(
        self,
        transport: Transport,
        trusted: Trusted,
        files: Mapping[str, TargetFile],
        file: TargetFile,
    ) -> Path:
        """A file with exactly the target's bytes: the one in force, a patched or a fetched one."""
        if file.length > TARGET_BYTES_MAX:
            raise TargetInvalid(f"{file.path} is longer than {TARGET_BYTES_MAX} bytes")
        held = self._held(file)
        if held is not None:
            return held
        incoming = self._folder / "incoming" / file.hashes.get("sha256", "none")
        if holds(incoming, file):
            return incoming
        if self._patched(transport, trusted, files, file, incoming):
            return incoming
        download(transport, file, incoming, consistent=trusted.consistent)
        return incoming

    def _held(self, file: TargetFile) -> Path | None:
        if self.current is None:
            return None
        held = self.current.files.get(file.path)
        path = self.current.folder / "targets" / file.path
        return path if held and held.hashes == file.hashes and holds(path, file) else None

    def _patched(
        self,
        transport: Transport,
        trusted: Trusted,
        files: Mapping[str, TargetFile],
        file: TargetFile,
        incoming: Path,
    ) -> bool:
        """Tries the delta that leads from the file in force; any failure means a full download."""
        patch, deltas = self._patches.get(file.path), file.custom.get(DELTAS_FIELD)
        held = self.current.files.get(file.path) if self.current else None
        if patch is None or held is None or self.current is None or not isinstance(deltas, dict):
            return False
        delta = files.get(str(deltas.get(held.hashes.get("sha256"))))
        if delta is None or not delta.path.startswith(DELTAS_PATH):
            return False
        part = self._folder / "incoming" / delta.hashes.get("sha256", "none")
        try:
            if not holds(part, delta):
                download(transport, delta, part, consistent=trusted.consistent)
            patch(self.current.path(file.path), part, incoming)
        except Unreachable:
            raise
        except SyncError:
            incoming.unlink(missing_ok=True)
            return False
        if not holds(incoming, file):
            incoming.unlink(missing_ok=True)
            return False
        return True

    def _switch(
        self, trusted: Trusted, files: Mapping[str, TargetFile], sources: Mapping[str, Path]
    ) -> Generation:
        number = 1 + max(self._numbers(), default=0)
        folder = self._folder / "generations" / str(number)
        for path, source in sources.items():
            place = folder / "targets" / path
            place.parent.mkdir(parents=True, exist_ok=True)
            os.link(source, place)
        (folder / "metadata").mkdir(parents=True, exist_ok=True)
        for name, raw in _raw(trusted).items():
            _write(folder / "metadata" / f"{name}.json", raw)
        for directory in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
            sync_directory(directory)
        sync_directory(folder.parent)
        link = self._folder / "current.new"
        link.unlink(missing_ok=True)
        link.symlink_to(f"generations/{number}")
        link.replace(self._folder / "current")
        sync_directory(self._folder)
        return Generation(number, folder, trusted, files)

    def _restamp(self, held: Generation, trusted: Trusted) -> Generation:
        """Nothing but the time is new: one file is replaced, atomically."""
        assert trusted.timestamp is not None
        _write(held.folder / "metadata" / "timestamp.json", trusted.timestamp.raw)
        return replace(held, trusted=trusted)

    def _load(self) -> Generation | None:
        link = self._folder / "current"
        try:
            folder = link.parent / link.readlink()
            trusted = self._reverify(folder / "metadata")
            files = target_files(trusted)
            for path, file in files.items():
                place = folder / "targets" / path
                if not path.startswith(DELTAS_PATH) and place.stat().st_size != file.length:
                    return None
            return Generation(int(folder.name), folder, trusted, files)
        except (OSError, ValueError, SyncError):
            # Missing or damaged: there is nothing in force, and the next pull brings it anew.
            return None

    def _reverify(self, metadata: Path) -> Trusted:
        """Walks the workflow again from the root under which this generation came into force."""
        raw = (metadata / "root.json").read_bytes()
        trusted = next((one for one in self._roots if one.root.raw == raw), None)
        if trusted is None:
            raise MetadataMismatch("the generation's root is not one of the trusted roots")
        trusted = advance_timestamp(trusted, (metadata / "timestamp.json").read_bytes())
        while (need := wanted(trusted)) is not None:
            data = (metadata / f"{need.role}.json").read_bytes()
            trusted = accept(trusted, need.role, data)
        return trusted

    def _numbers(self) -> list[int]:
        names = (path.name for path in (self._folder / "generations").iterdir())
        return [int(name) for name in names if name.isdecimal()]

    def _sweep(self) -> None:
        """Removes what is neither in force nor the one before, and finished downloads."""
        assert self.current is not None
        keep = sorted(self._numbers())[-2:]
        for number in self._numbers():
            if number not in keep and number != self.current.number:
                shutil.rmtree(self._folder / "generations" / str(number), ignore_errors=True)
        for path in (self._folder / "incoming").iterdir():
            path.unlink(missing_ok=True)


def _raw(trusted: Trusted) -> dict[str, bytes]:
    assert trusted.timestamp is not None
    assert trusted.snapshot is not None
    assert trusted.targets is not None
    return {
        "root": trusted.root.raw,
        "timestamp": trusted.timestamp.raw,
        "snapshot": trusted.snapshot.raw,
        "targets": trusted.targets.raw,
        **{name: metadata.raw for name, metadata in trusted.delegated.items()},
    }


def _write(path: Path, data: bytes) -> None:
    partial = path.with_name(path.name + ".new")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_directory(path.parent)
