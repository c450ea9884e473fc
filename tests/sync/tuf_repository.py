"""A TUF repository built with ``tuf.api``, as the server publishes it, that can also misbehave."""

from __future__ import annotations

import copy
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from securesystemslib.signer._crypto_signer import CryptoSigner
from securesystemslib.signer._key import Key
from tuf.api._payload import (
    DelegatedRole,
    Delegations,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.metadata import Metadata
from tuf.api.serialization.json import JSONSerializer

from sync.transport import Request, Response

NOW_MS = 1_777_000_000_000
NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)
COMPACT = JSONSerializer(compact=True)


def _days(count: float) -> datetime:
    return (NOW + timedelta(days=count)).replace(microsecond=0)


class Repository:
    """Keys, metadata and files; ``publish`` signs all that changed and raises the versions."""

    def __init__(self, *, consistent: bool = True) -> None:
        self.keys = {
            name: CryptoSigner.generate_ed25519()
            for name in ("r1", "r2", "r3", "t1", "t2", "t3", "online", "offers", "status", "thief")
        }
        self.files: dict[str, bytes] = {}
        self.contents: dict[str, bytes] = {}
        self.signed_ms = NOW_MS
        self.log: list[Request] = []
        root = Root(version=1, expires=_days(365), consistent_snapshot=consistent)
        for name in ("r1", "r2", "r3"):
            root.add_key(self.keys[name].public_key, "root")
        for name in ("t1", "t2", "t3"):
            root.add_key(self.keys[name].public_key, "targets")
        root.roles["root"].threshold = root.roles["targets"].threshold = 2
        for role in ("timestamp", "snapshot"):
            root.add_key(self.keys["online"].public_key, role)
        self.root = root
        self.roots: dict[int, bytes] = {}
        self.targets = Targets(version=1, expires=_days(300))
        self.delegated = {
            name: Targets(version=1, expires=_days(60)) for name in ("offers", "status")
        }
        keys: dict[str, Key] = {}
        roles: dict[str, DelegatedRole] = {}
        for name, paths in (
            ("offers", ["offers/*"]),
            ("status", ["status/*", "status/deltas/*"]),
        ):
            key = self.keys[name].public_key
            keys[key.keyid] = key
            roles[name] = DelegatedRole(name, [key.keyid], 1, terminating=True, paths=paths)
        self.targets.delegations = Delegations(keys, roles)
        self.snapshot = Snapshot(version=1, expires=_days(30))
        self.timestamp = Timestamp(version=1, expires=_days(7))
        # ``publish`` raises every version before it signs.
        for signed in (self.targets, *self.delegated.values(), self.snapshot, self.timestamp):
            signed.version = 0
        self.sign_root("r1", "r2")

    def sign_root(self, *names: str) -> bytes:
        metadata = Metadata(self.root)
        for name in names:
            metadata.sign(self.keys[name], append=True)
        data = metadata.to_bytes(COMPACT)
        self.roots[self.root.version] = data
        self.files[f"metadata/{self.root.version}.root.json"] = data
        return data

    def rotate(self, old: str, new: str, role: str, *signers: str) -> None:
        self.root = copy.deepcopy(self.root)
        self.root.version += 1
        self.keys[new] = CryptoSigner.generate_ed25519()
        self.root.revoke_key(self.keys[old].public_key.keyid, role)
        self.root.add_key(self.keys[new].public_key, role)
        self.sign_root(*signers)

    def put(self, path: str, data: bytes, custom: dict[str, object] | None = None) -> None:
        target = TargetFile.from_data(path, data, ["sha256"])
        if custom is not None:
            target.unrecognized_fields["custom"] = custom
        role = path.split("/", maxsplit=1)[0]
        self.delegated.get(role, self.targets).targets[path] = target
        folder, _, name = path.rpartition("/")
        hashed = f"{hashlib.sha256(data).hexdigest()}.{name}"
        if not self.root.consistent_snapshot:
            hashed = name
        self.files["targets/" + (f"{folder}/{hashed}" if folder else hashed)] = data
        self.contents[path] = data

    def publish(self, *, online: str = "online") -> None:
        self.snapshot.version += 1
        self._role("targets", self.targets, "t1", "t3")
        for name, metadata in self.delegated.items():
            self._role(name, metadata, name)
        snapshot = self._write("snapshot", self.snapshot, online)
        self.stamp(snapshot, online=online)

    def stamp(self, snapshot: bytes | None = None, *, online: str = "online") -> None:
        self.timestamp.version += 1
        self.timestamp.unrecognized_fields["redcard_signed_ms"] = self.signed_ms
        if snapshot is not None:
            self.timestamp.snapshot_meta = MetaFile.from_data(
                self.snapshot.version, snapshot, ["sha256"]
            )
        self._write("timestamp", self.timestamp, online)

    def _role(self, name: str, metadata: Targets, *signers: str) -> None:
        metadata.version += 1
        data = self._write(name, metadata, *signers)
        self.snapshot.meta[f"{name}.json"] = MetaFile.from_data(metadata.version, data, ["sha256"])

    def _write(self, name: str, signed: Targets | Snapshot | Timestamp, *signers: str) -> bytes:
        metadata: Metadata[Any] = Metadata(signed)
        for signer in signers:
            metadata.sign(self.keys[signer], append=True)
        data = metadata.to_bytes(COMPACT)
        prefix = ""
        if name != "timestamp" and self.root.consistent_snapshot:
            prefix = f"{signed.version}."
        self.files[f"metadata/{prefix}{name}.json"] = data
        return data

    def save(self, folder: Path) -> None:
        for name, data in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def __call__(self, request: Request) -> Response:
        self.log.append(request)
        data = self.files.get(unquote(request.target.removeprefix("/v1/tuf/")))
        if data is None:
            return Response(404, {}, b"")
        span = request.headers.get("Range")
        if span is None:
            return Response(200, {}, data)
        start, stop = span.removeprefix("bytes=").split("-")
        piece = data[int(start) : int(stop) + 1]
        if not piece:
            return Response(416, {}, b"")
        return Response(206, {"content-range": f"bytes {start}-{stop}/{len(data)}"}, piece)
