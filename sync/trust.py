"""Which downlink metadata a terminal trusts: the client workflow of TUF as a state machine.

Section numbers are those of The Update Framework specification 1.0. Two differences, both on
purpose: nothing is refused because of the terminal's own clock, which may be wrong for weeks.
Expiry is judged at the server-signed time in the timestamp (field ``redcard_signed_ms``), and how
old the whole is decides what may still be done (``grade``).

Everything is pure: bytes in, a new ``Trusted`` out; an error leaves the old one as it was.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum, unique
from typing import Final

from sync.errors import MetadataInvalid, MetadataMismatch, MetadataRolledBack
from sync.metadata import (
    ROLE,
    FileFacts,
    Metadata,
    RoleKeys,
    array,
    check_file,
    check_signatures,
    file_facts,
    integer,
    mapping,
    parse,
    role_keys,
    text,
)

#: Field of the signed timestamp: server time in milliseconds at which it was signed.
SIGNED_MS_FIELD: Final = "redcard_signed_ms"

ROOT_BYTES_MAX: Final = 512_000
TIMESTAMP_BYTES_MAX: Final = 16_384
SNAPSHOT_BYTES_MAX: Final = 2_000_000
TARGETS_BYTES_MAX: Final = 5_000_000
ROOT_ROTATIONS_MAX: Final = 256
DELEGATIONS_MAX: Final = 32
_TOP_LEVEL: Final = frozenset({"root", "timestamp", "snapshot", "targets"})


@unique
class Grade(StrEnum):
    """How much of a terminal's work its snapshot still carries."""

    FRESH = "fresh"
    DEGRADED = "degraded"
    LOCKED = "locked"


def grade(signed_ms: int, now_ms: int, max_age_ms: int | None) -> Grade:
    """Grade of a snapshot by its age from signed time to now.

    Args:
        signed_ms: when the server signed it.
        now_ms: the terminal's time, never below the highest signed time it has seen.
        max_age_ms: age at which it locks; fresh is below half of it. ``None`` is never too old.
    """
    age_ms = now_ms - signed_ms
    if max_age_ms is None or 2 * age_ms < max_age_ms:
        return Grade.FRESH
    return Grade.DEGRADED if age_ms < max_age_ms else Grade.LOCKED


@dataclass(frozen=True, slots=True)
class Wanted:
    """The next metadata file that the workflow needs.

    Attributes:
        role: ``snapshot``, ``targets`` or the name of a delegation.
        version: version that its parent names.
        bytes_max: longest file to fetch.
    """

    role: str
    version: int
    bytes_max: int


@dataclass(frozen=True, slots=True)
class TargetFile:
    """One target of the trusted set.

    Attributes:
        path: target path, such as ``offers/offers.json``.
        length: bytes.
        hashes: hexadecimal digests by algorithm.
        custom: the publisher's further facts.
    """

    path: str
    length: int
    hashes: Mapping[str, str]
    custom: Mapping[str, object]

    @property
    def facts(self) -> FileFacts:
        """Length and hashes for ``check_file``."""
        return FileFacts(0, self.length, self.hashes)


@dataclass(frozen=True, slots=True)
class Trusted:
    """All metadata trusted so far; complete when ``wanted`` is ``None``."""

    root: Metadata
    timestamp: Metadata | None = None
    snapshot: Metadata | None = None
    targets: Metadata | None = None
    delegated: Mapping[str, Metadata] = field(default_factory=dict)

    @property
    def signed_ms(self) -> int:
        """Server time of the trusted timestamp; 0 without one."""
        return _signed_ms(self.timestamp) if self.timestamp else 0

    @property
    def consistent(self) -> bool:
        """Whether files are published under versioned and hashed names (section 6.2)."""
        return self.root.signed.get("consistent_snapshot") is True


def begin(data: bytes) -> Trusted:
    """Trusts the first root, which came by a way of its own such as enrolment (5.2).

    Raises:
        MetadataInvalid: not a root that its own threshold of keys has signed.
    """
    root = parse(data, "root", bytes_max=ROOT_BYTES_MAX)
    check_signatures(root, _root_role(root, "root"), "root")
    return Trusted(root)


def advance_root(trusted: Trusted, data: bytes) -> Trusted:
    """Takes the next root (5.3): signed by the old and by the new threshold, version + 1.

    Raises:
        MetadataInvalid: not signed by enough keys of both.
        MetadataRolledBack: not the next version.
    """
    root = parse(data, "root", bytes_max=ROOT_BYTES_MAX)
    check_signatures(root, _root_role(trusted.root, "root"), "root")
    check_signatures(root, _root_role(root, "root"), "root")
    if root.version != trusted.root.version + 1:
        raise MetadataRolledBack(
            f"root version {root.version} does not follow {trusted.root.version}"
        )
    for role in sorted(_TOP_LEVEL):
        _root_role(root, role)
    moved = replace(trusted, root=root)
    rotated = any(
        _root_role(root, role).keys != _root_role(trusted.root, role).keys
        for role in ("timestamp", "snapshot")
    )
    # 5.3.11: with new online keys the old versions bind no longer (recovery from fast-forward).
    return replace(moved, timestamp=None, snapshot=None) if rotated else moved


def advance_timestamp(trusted: Trusted, data: bytes) -> Trusted:
    """Takes a timestamp (5.4); the version already held changes nothing.

    Raises:
        MetadataInvalid: not signed, without signed time, or expired when it was signed.
        MetadataRolledBack: older than the trusted one, or naming an older snapshot.
    """
    new = parse(data, "timestamp", bytes_max=TIMESTAMP_BYTES_MAX)
    check_signatures(new, _root_role(trusted.root, "timestamp"), "timestamp")
    facts = _meta(new, "snapshot")
    old = trusted.timestamp
    if old is not None:
        if new.version < old.version:
            raise MetadataRolledBack(f"timestamp {new.version} is older than {old.version}")
        if new.version == old.version:
            return trusted
        if facts.version < _meta(old, "snapshot").version:
            raise MetadataRolledBack("the timestamp names an older snapshot")
        if _signed_ms(new) < _signed_ms(old):
            raise MetadataRolledBack("the timestamp was signed before the one held")
    _check_expiry(new, _signed_ms(new), "timestamp")
    _check_expiry(trusted.root, _signed_ms(new), "root")
    return replace(trusted, timestamp=new)


def wanted(trusted: Trusted) -> Wanted | None:
    """The next file to fetch and ``accept``; ``None`` when the set is complete.

    Raises:
        MetadataMismatch: the timestamp is missing, or a delegation is not in the snapshot.
    """
    for role, facts, held in _chain(trusted):
        if held is None or not _is(held, facts):
            limit = SNAPSHOT_BYTES_MAX if role == "snapshot" else TARGETS_BYTES_MAX
            bytes_max = limit if facts.length is None else min(limit, facts.length)
            return Wanted(role, facts.version, bytes_max)
    return None


def accept(trusted: Trusted, role: str, data: bytes) -> Trusted:
    """Takes the file that ``wanted`` named (5.5, 5.6).

    Raises:
        MetadataMismatch: not the length, hash or version that the parent names.
        MetadataInvalid: not signed by the role's keys, or expired at the signed time.
        MetadataRolledBack: a snapshot that forgets or lowers a version.
    """
    facts = next(facts for name, facts, _held in _chain(trusted) if name == role)
    check_file([data], facts, f"{role} metadata")
    kind = "snapshot" if role == "snapshot" else "targets"
    limit = SNAPSHOT_BYTES_MAX if kind == "snapshot" else TARGETS_BYTES_MAX
    new = parse(data, kind, bytes_max=limit)
    check_signatures(new, _keys_of(trusted, role), role)
    if new.version != facts.version:
        raise MetadataMismatch(f"{role} has version {new.version} instead of {facts.version}")
    _check_expiry(new, trusted.signed_ms, role)
    if role == "snapshot":
        if trusted.snapshot is not None:
            _check_snapshot(trusted.snapshot, new)
        return replace(trusted, snapshot=new)
    if role == "targets":
        return replace(trusted, targets=new)
    return replace(trusted, delegated={**trusted.delegated, role: new})


def target_files(trusted: Trusted) -> dict[str, TargetFile]:
    """All targets of a complete set: top level first, then delegations in their order (5.6.7).

    A delegation speaks only for paths that its parent allows it.
    """
    if trusted.targets is None or wanted(trusted) is not None:
        raise MetadataMismatch("the set of metadata is not complete")
    found = _targets(trusted.targets)
    closed: list[list[str]] = []
    for name, role in _delegations(trusted.targets):
        patterns = [text(item, "a path") for item in array(role.get("paths"), "paths")]
        for path, file in _targets(trusted.delegated[name]).items():
            # An earlier terminating delegation keeps its paths to itself (5.6.7.2.1).
            if _matches(path, patterns) and not any(_matches(path, other) for other in closed):
                found.setdefault(path, file)
        if role.get("terminating") is True:
            closed.append(patterns)
    return found


def _matches(path: str, patterns: list[str]) -> bool:
    """A pattern matches part by part: ``*`` does not cross a slash (4.5)."""
    parts = path.split("/")
    return any(
        len(parts) == len(pattern.split("/"))
        and all(fnmatch.fnmatchcase(*pair) for pair in zip(parts, pattern.split("/"), strict=True))
        for pattern in patterns
    )


def _chain(trusted: Trusted) -> Iterator[tuple[str, FileFacts, Metadata | None]]:
    """Every file below the timestamp, as far as its parent is already there, in order."""
    if trusted.timestamp is None:
        raise MetadataMismatch("there is no trusted timestamp yet")
    facts = _meta(trusted.timestamp, "snapshot")
    yield "snapshot", facts, trusted.snapshot
    if trusted.snapshot is None or not _is(trusted.snapshot, facts):
        return
    facts = _meta(trusted.snapshot, "targets")
    yield "targets", facts, trusted.targets
    if trusted.targets is None or not _is(trusted.targets, facts):
        return
    for name, _role in _delegations(trusted.targets):
        yield name, _meta(trusted.snapshot, name), trusted.delegated.get(name)


def _is(held: Metadata, facts: FileFacts) -> bool:
    if held.version != facts.version:
        return False
    try:
        check_file([held.raw], facts, "held")
    except MetadataMismatch:
        return False
    return True


def _check_snapshot(old: Metadata, new: Metadata) -> None:
    """5.5.5: no file of the trusted snapshot disappears or gets an older version."""
    for name in mapping(old.signed.get("meta"), "meta"):
        before, role = _meta(old, name.removesuffix(".json")), name.removesuffix(".json")
        if name not in mapping(new.signed.get("meta"), "meta"):
            raise MetadataRolledBack(f"the snapshot no longer names {name}")
        if _meta(new, role).version < before.version:
            raise MetadataRolledBack(f"the snapshot names an older {name}")


def _keys_of(trusted: Trusted, role: str) -> RoleKeys:
    if role in {"snapshot", "targets"}:
        return _root_role(trusted.root, role)
    assert trusted.targets is not None
    delegations = mapping(trusted.targets.signed.get("delegations"), "delegations")
    return role_keys(delegations.get("keys"), dict(_delegations(trusted.targets))[role])


def _root_role(root: Metadata, role: str) -> RoleKeys:
    roles = mapping(root.signed.get("roles"), "roles")
    return role_keys(root.signed.get("keys"), mapping(roles.get(role), f"role {role}"))


def _meta(metadata: Metadata, role: str) -> FileFacts:
    name = f"{role}.json"
    meta = mapping(metadata.signed.get("meta"), "meta")
    if name not in meta:
        raise MetadataMismatch(f"the signed parent does not name {name}")
    return file_facts(meta[name], name)


def _delegations(targets: Metadata) -> list[tuple[str, Mapping[str, object]]]:
    value = targets.signed.get("delegations")
    if value is None:
        return []
    roles = [
        mapping(role, "a delegated role")
        for role in array(mapping(value, "delegations").get("roles", []), "delegated roles")
    ]
    named: list[tuple[str, Mapping[str, object]]] = [
        (text(role.get("name"), "name"), role) for role in roles
    ]
    names = {name for name, _role in named}
    if len(names) != len(named) or len(named) > DELEGATIONS_MAX:
        raise MetadataInvalid(f"delegations must have different names, at most {DELEGATIONS_MAX}")
    if any(not ROLE.match(name) for name in names) or names & _TOP_LEVEL:
        raise MetadataInvalid("a delegation's name is a-z, 0-9, _ and -, and not a top-level role")
    return named


def _targets(metadata: Metadata) -> dict[str, TargetFile]:
    files: dict[str, TargetFile] = {}
    for path, value in mapping(metadata.signed.get("targets"), "targets").items():
        parts = path.split("/")
        if not path.isprintable() or "\\" in path or any(part in {"", ".", ".."} for part in parts):
            raise MetadataInvalid(f"{path!r} is not a target path")
        facts = file_facts(value, f"target {path}", target=True)
        custom = mapping(mapping(value, path).get("custom", {}), "custom")
        files[path] = TargetFile(path, facts.length or 0, facts.hashes, custom)
    return files


def _signed_ms(timestamp: Metadata) -> int:
    return integer(timestamp.signed.get(SIGNED_MS_FIELD), SIGNED_MS_FIELD, at_least=1)


def _check_expiry(metadata: Metadata, signed_ms: int, role: str) -> None:
    if metadata.expires_ms <= signed_ms:
        raise MetadataInvalid(f"{role} metadata had expired when the server signed the timestamp")
