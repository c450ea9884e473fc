"""Publishes what all terminals share, as a TUF repository; the one importer of ``tuf``.

Root and targets are signed by custodians, two of three, whose keys are offline. The server itself
holds the keys of timestamp, snapshot and of two delegations: ``offers`` (offers and venues) and
``status`` (roster). Versions only rise. Files are static and consistent: a version once named never
changes, the timestamp is put in place last. The timestamp carries the server's time in
``redcard_signed_ms``, by which terminals judge ages and expiry.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from securesystemslib.signer import Key, Signer
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Role,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import CanonicalJSONSerializer, JSONSerializer

from keys.keystore import KeyStore
from server.errors import HomeInvalid, PublicationRefused
from server.files import replace_file
from server.metadata_signer import StoreSigner, public_key_of
from sync.trust import SIGNED_MS_FIELD

#: Offline roles: how many custodians there are, and how many must agree.
CUSTODIANS: Final = 3
CUSTODIANS_THRESHOLD: Final = 2
#: Online roles and delegations with the paths they may speak for.
DELEGATIONS: Final = {"offers": ["offers/*"], "status": ["status/*", "status/deltas/*"]}
ONLINE_ROLES: Final = ("timestamp", "snapshot", *DELEGATIONS)

ROOT_LIFE_DAYS: Final = 730
TARGETS_LIFE_DAYS: Final = 365
ONLINE_LIFE_DAYS: Final = 90
TIMESTAMP_LIFE_DAYS: Final = 7
#: A timestamp older than this is signed anew when somebody asks for it.
TIMESTAMP_AGE_MS_MAX: Final = 5_000
#: Versions of a target that stay on the disk, so that a slow download can end.
TARGET_VERSIONS_KEPT: Final = 3
#: The same for targets to which deltas lead: from as many older versions.
VERSIONS_KEPT: Final = {"status/roster.bin": 8}
_DAY_MS: Final = 86_400_000


def key_name(role: str) -> str:
    """Name in the server's key store of an online role's key."""
    return f"tuf-{role}"


class Repository:
    """The folder that is served below ``/v1/tuf/``."""

    def __init__(self, folder: Path, keys: KeyStore, now_ms: Callable[[], int]) -> None:
        """Opens nothing yet.

        Args:
            folder: holds ``metadata`` and ``targets``.
            keys: the server's key store with the online keys.
            now_ms: server time.
        """
        self.folder = folder
        self._keys = keys
        self._now_ms = now_ms

    @property
    def exists(self) -> bool:
        """Whether there is a first publication."""
        return (self.folder / "metadata" / "timestamp.json").exists()

    def create(self, custodians: Sequence[KeyStore]) -> None:
        """Makes the first version of everything, without targets.

        Args:
            custodians: three key stores, each with the keys ``root`` and ``targets``.

        Raises:
            PublicationRefused: there is one already, or not three custodians.
        """
        if self.exists:
            raise PublicationRefused(f"{self.folder} is a repository already; it was left as it is")
        if len(custodians) != CUSTODIANS:
            raise PublicationRefused(f"a repository begins with {CUSTODIANS} custodians")
        (self.folder / "metadata").mkdir(parents=True, exist_ok=True)
        (self.folder / "targets").mkdir(exist_ok=True)
        root = Root(expires=self._expiry(ROOT_LIFE_DAYS), consistent_snapshot=True)
        for role in ("root", "targets"):
            root.roles[role] = Role([], CUSTODIANS_THRESHOLD)
            for custodian in custodians:
                root.add_key(public_key_of(custodian.public_key(role)), role)
        for role in ("timestamp", "snapshot"):
            root.roles[role] = Role([], 1)
            root.add_key(public_key_of(self._keys.public_key(key_name(role))), role)
        self._write("root", Metadata(root), _signers(custodians, "root"))
        targets = Targets(expires=self._expiry(TARGETS_LIFE_DAYS), delegations=self._delegations())
        self._write("targets", Metadata(targets), _signers(custodians, "targets"))
        for name in DELEGATIONS:
            self._write(name, Metadata(Targets(expires=self._expiry(ONLINE_LIFE_DAYS))))
        self._write_snapshot(Snapshot(expires=self._expiry(ONLINE_LIFE_DAYS)))

    def _delegations(self) -> Delegations:
        roles: dict[str, DelegatedRole] = {}
        keys: dict[str, Key] = {}
        for name, paths in DELEGATIONS.items():
            key = public_key_of(self._keys.public_key(key_name(name)))
            keys[key.keyid] = key
            roles[name] = DelegatedRole(name, [key.keyid], 1, terminating=True, paths=paths)
        return Delegations(keys, roles)

    def publish(
        self,
        role: str,
        files: Mapping[str, bytes],
        *,
        custom: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        without: Sequence[str] = (),
    ) -> int:
        """Puts targets of an online delegation in force; what is unchanged costs no version.

        Args:
            role: ``offers`` or ``status``.
            files: whole content by target path; other targets of the role stay.
            custom: what the metadata says of a target beside its bytes, by target path.
            without: targets that are no longer in force, unless they are among ``files``.

        Returns:
            The version of the role that names them.

        Raises:
            PublicationRefused: a path that the role may not speak for.
        """
        metadata = self._read(role)
        signed = metadata.signed
        changed = self._set_targets(role, signed, files, DELEGATIONS[role])
        for path, facts in custom.items():
            fields = signed.targets[path].unrecognized_fields
            changed |= fields.get("custom") != facts
            fields["custom"] = dict(facts)
        for path in set(without) & signed.targets.keys() - files.keys():
            del signed.targets[path]
            changed = True
        if not changed:
            return int(signed.version)
        signed.version += 1
        metadata.signed.expires = self._expiry(ONLINE_LIFE_DAYS)
        self._write(role, metadata)
        self._next_snapshot()
        return int(metadata.signed.version)

    def publish_offline(self, files: Mapping[str, bytes], custodians: Sequence[KeyStore]) -> int:
        """Puts targets in force that only custodians may sign, such as ``ca_keys.json``.

        Raises:
            PublicationRefused: fewer custodians than must agree; nothing was changed.
        """
        if len(custodians) < CUSTODIANS_THRESHOLD:
            raise PublicationRefused(
                f"{CUSTODIANS_THRESHOLD} of {CUSTODIANS} custodians must sign; nothing was changed"
            )
        metadata = self._read("targets")
        if not self._set_targets("targets", metadata.signed, files, ["*"]):
            return int(metadata.signed.version)
        metadata.signed.version += 1
        metadata.signed.expires = self._expiry(TARGETS_LIFE_DAYS)
        self._write("targets", metadata, _signers(custodians, "targets"))
        self._next_snapshot()
        return int(metadata.signed.version)

    def refresh(self) -> None:
        """Signs a new timestamp if the last one is old, and what would expire before long."""
        metadata = self._read("timestamp")
        signed_ms = int(metadata.signed.unrecognized_fields[SIGNED_MS_FIELD])
        if self._now_ms() - signed_ms < TIMESTAMP_AGE_MS_MAX:
            return
        soon = self._now() + timedelta(days=ONLINE_LIFE_DAYS // 2)
        stale = [name for name in DELEGATIONS if self._read(name).signed.expires < soon]
        for name in stale:
            role = self._read(name)
            role.signed.version += 1
            role.signed.expires = self._expiry(ONLINE_LIFE_DAYS)
            self._write(name, role)
        if stale or self._read("snapshot").signed.expires < soon:
            self._next_snapshot()
        else:
            self._write_timestamp(metadata.signed.snapshot_meta)

    def current(self, timestamp: bytes) -> bool:
        """Whether a timestamp is young enough to be given out as it is."""
        signed_ms = int(json.loads(timestamp)["signed"][SIGNED_MS_FIELD])
        return self._now_ms() - signed_ms < TIMESTAMP_AGE_MS_MAX

    def jump(self, ahead: Callable[[int], int]) -> None:
        """Signs all that is signed here anew, with versions beyond those that terminals have seen.

        For a server restored from a backup. What custodians signed since they must sign again.
        """
        for name in DELEGATIONS:
            role = self._read(name)
            role.signed.version = ahead(int(role.signed.version))
            role.signed.expires = self._expiry(ONLINE_LIFE_DAYS)
            self._write(name, role)
        timestamp = self._read("timestamp")
        snapshot = self._read("snapshot").signed
        snapshot.version = ahead(int(snapshot.version))
        self._write_snapshot(snapshot, version=ahead(int(timestamp.signed.version)))

    def root(self) -> bytes:
        """The newest root, with which a new terminal begins.

        Raises:
            HomeInvalid: nothing was published yet.
        """
        return self._path("root", self._newest("root")).read_bytes()

    def target(self, path: str) -> bytes | None:
        """Content of a target now in force, ``None`` if there is none of this name."""
        for role in ("targets", *DELEGATIONS):
            found = self._read(role).signed.targets.get(path)
            if found is not None:
                return self._target_path(path, found.hashes["sha256"]).read_bytes()
        return None

    def targets(self, role: str) -> dict[str, str]:
        """SHA-256 in hexadecimal of the targets of a role, by path."""
        named = self._read(role).signed.targets
        return {path: str(entry.hashes["sha256"]) for path, entry in named.items()}

    def in_force(self) -> list[Path]:
        """Files that whoever follows the newest timestamp needs, every root included; it is last.

        Raises:
            HomeInvalid: nothing was published yet.
        """
        versions = self.versions()
        metadata = self.folder / "metadata"
        found = sorted(metadata.glob("*.root.json"))
        for role in ("targets", *DELEGATIONS):
            found += [
                self._target_path(path, digest) for path, digest in self.targets(role).items()
            ]
            found.append(self._path(role, versions[role]))
        return [*found, self._path("snapshot", versions["snapshot"]), self._path("timestamp", 0)]

    def held(self, path: str) -> dict[str, Path]:
        """Files of the versions of a target that are still on the disk, by SHA-256, newest last."""
        name = path.rpartition("/")[2]
        folder = self._target_path(path, "x").parent
        found = [one for one in folder.glob(f"*.{name}") if len(one.name) == 65 + len(name)]
        found.sort(key=lambda one: one.stat().st_mtime_ns)
        return {one.name[:64]: one for one in found}

    def versions(self) -> dict[str, int]:
        """Version in force of each role."""
        roles = ("root", "targets", "snapshot", "timestamp", *DELEGATIONS)
        return {role: int(self._read(role).signed.version) for role in roles}

    # Files.

    def _set_targets(
        self, role: str, signed: Any, files: Mapping[str, bytes], allowed: Sequence[str]
    ) -> bool:
        changed = False
        for path, data in files.items():
            self._check_path(role, path, allowed)
            entry = TargetFile.from_data(path, data, ["sha256"])
            before = signed.targets.get(path)
            if before is not None and before.hashes == entry.hashes:
                continue
            place = self._target_path(path, entry.hashes["sha256"])
            place.parent.mkdir(parents=True, exist_ok=True)
            replace_file(place, data)
            signed.targets[path] = entry
            changed = True
            self._prune_targets(path, place)
        return changed

    def _check_path(self, role: str, path: str, allowed: Sequence[str]) -> None:
        parts = path.split("/")
        plain = all(part and part not in {".", ".."} and "\\" not in part for part in parts)
        depth = {len(pattern.split("/")) for pattern in allowed}
        prefixes = {pattern.rpartition("/")[0] for pattern in allowed}
        if not plain or len(parts) not in depth or path.rpartition("/")[0] not in prefixes:
            raise PublicationRefused(f"{role} may not publish {path}")

    def _target_path(self, path: str, digest: str) -> Path:
        folder, _, name = path.rpartition("/")
        return self.folder / "targets" / folder / f"{digest}.{name}"

    def _prune_targets(self, path: str, newest: Path) -> None:
        older = [one for one in self.held(path).values() if one != newest]
        kept = VERSIONS_KEPT.get(path, TARGET_VERSIONS_KEPT)
        for old in older[: max(0, len(older) - kept + 1)]:
            old.unlink()

    def _path(self, role: str, version: int) -> Path:
        name = "timestamp.json" if role == "timestamp" else f"{version}.{role}.json"
        return self.folder / "metadata" / name

    def _newest(self, role: str) -> int:
        versions = [
            int(path.name.split(".", 1)[0])
            for path in (self.folder / "metadata").glob(f"*.{role}.json")
        ]
        if not versions and role != "timestamp":
            raise HomeInvalid(f"{self.folder} holds no {role}; run: redcard server init")
        return max(versions, default=0)

    def _read(self, role: str) -> Any:
        """Metadata in force: what the timestamp leads to, not what a crash left behind."""
        if role == "timestamp":
            path = self._path(role, 0)
            if not path.exists():
                raise HomeInvalid(f"{self.folder} holds no timestamp; run: redcard server init")
            return Metadata.from_file(str(path))
        if role == "root":
            return Metadata.from_file(str(self._path(role, self._newest(role))))
        version = int(self._read("timestamp").signed.snapshot_meta.version)
        snapshot: Any = Metadata.from_file(str(self._path("snapshot", version)))
        if role == "snapshot":
            return snapshot
        named: Any = snapshot.signed
        version = int(named.meta[f"{role}.json"].version)
        return Metadata.from_file(str(self._path(role, version)))

    def _write(self, role: str, metadata: Any, signers: Sequence[Signer] | None = None) -> None:
        metadata.signatures.clear()
        for signer in signers or [StoreSigner(self._keys, key_name(role))]:
            metadata.sign(signer, append=True, signed_serializer=CanonicalJSONSerializer())
        data = metadata.to_bytes(JSONSerializer(compact=False))
        replace_file(self._path(role, metadata.signed.version), data)

    def _next_snapshot(self) -> None:
        snapshot = self._read("snapshot").signed
        snapshot.version += 1
        self._write_snapshot(snapshot)

    def _write_snapshot(self, snapshot: Any, *, version: int = 0) -> None:
        for role in ("targets", *DELEGATIONS):
            snapshot.meta[f"{role}.json"] = MetaFile(self._newest(role))
        snapshot.expires = self._expiry(ONLINE_LIFE_DAYS)
        self._write("snapshot", Metadata(snapshot))
        self._write_timestamp(MetaFile(snapshot.version), version=version)

    def _write_timestamp(self, snapshot: MetaFile, *, version: int = 0) -> None:
        version = version or (self._read("timestamp").signed.version + 1 if self.exists else 1)
        timestamp = Timestamp(
            version=version, expires=self._expiry(TIMESTAMP_LIFE_DAYS), snapshot_meta=snapshot
        )
        timestamp.unrecognized_fields[SIGNED_MS_FIELD] = self._now_ms()
        self._write("timestamp", Metadata(timestamp))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._now_ms() // 1000, UTC)

    def _expiry(self, days: int) -> datetime:
        return self._now() + timedelta(days=days)


def _signers(custodians: Sequence[KeyStore], role: str) -> list[Signer]:
    return [StoreSigner(custodian, role) for custodian in custodians]
