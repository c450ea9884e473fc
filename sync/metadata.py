"""TUF metadata as bytes: strict parsing, canonical form, signatures by threshold. Pure.

Formats of The Update Framework specification 1.0, section 4; the canonical form is that of OLPC
(securesystemslib). Only Ed25519 keys. Fields unknown to this version are signed like all others and
otherwise ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256, sha512
from typing import Final

from sync.errors import MetadataInvalid, MetadataMismatch

DEPTH_MAX: Final = 16
SIGNATURES_MAX: Final = 64
ROLE: Final = re.compile(r"[a-z0-9_-]{1,64}\Z")
_KEY: Final = re.compile(r"[0-9a-f]{64}\Z")
_SIGNATURE: Final = re.compile(r"[0-9a-f]{128}\Z")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")
_HASHES: Final = {"sha256": sha256, "sha512": sha512}


@dataclass(frozen=True, slots=True)
class Metadata:
    """One metadata file, parsed but not yet trusted.

    Attributes:
        kind: ``root``, ``timestamp``, ``snapshot`` or ``targets``.
        version: at least 1.
        expires_ms: when it expires, milliseconds since the epoch.
        signed: the signed part.
        message: its canonical bytes, over which signatures are made.
        signatures: key id and signature bytes; empty signatures are left out.
        raw: the file as it came.
    """

    kind: str
    version: int
    expires_ms: int
    signed: Mapping[str, object]
    message: bytes
    signatures: tuple[tuple[str, bytes], ...]
    raw: bytes


@dataclass(frozen=True, slots=True)
class RoleKeys:
    """Who may sign for a role: public keys by key id, and how many must."""

    keys: Mapping[str, bytes]
    threshold: int


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a parent says of a file; absent facts are not checked.

    Attributes:
        version: version of a metadata file, 0 for a target.
        length: bytes.
        hashes: hexadecimal digests by algorithm.
    """

    version: int
    length: int | None
    hashes: Mapping[str, str]


def canonical(value: object) -> bytes:
    """OLPC canonical JSON as UTF-8 (securesystemslib ``encode_canonical``).

    Raises:
        MetadataInvalid: a float, or nested too deep.
    """
    pieces: list[str] = []
    _canonical(value, pieces, 0)
    try:
        return "".join(pieces).encode("utf-8")
    except UnicodeEncodeError:
        raise MetadataInvalid("a text holds a lone surrogate") from None


def _canonical(value: object, pieces: list[str], depth: int) -> None:
    if depth > DEPTH_MAX:
        raise MetadataInvalid(f"metadata is nested deeper than {DEPTH_MAX}")
    if isinstance(value, str):
        pieces.append(_quote(value))
    elif value is None or isinstance(value, bool):
        pieces.append({None: "null", True: "true", False: "false"}[value])
    elif isinstance(value, int):
        pieces.append(str(value))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            pieces.append("," if index else "[")
            _canonical(item, pieces, depth + 1)
        pieces.append("]" if value else "[]")
    elif isinstance(value, dict):
        for index, (key, item) in enumerate(sorted(value.items())):
            pieces.append("," if index else "{")
            pieces.append(_quote(key) + ":")
            _canonical(item, pieces, depth + 1)
        pieces.append("}" if value else "{}")
    else:
        raise MetadataInvalid("metadata holds a number that is not an integer")


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parse(data: bytes, kind: str, *, bytes_max: int) -> Metadata:
    """Parses one metadata file; nothing is trusted yet.

    Args:
        data: the file.
        kind: the ``_type`` that it must have.
        bytes_max: longest file to look at.

    Raises:
        MetadataInvalid: names what is wrong.
    """
    if len(data) > bytes_max:
        raise MetadataInvalid(f"{kind} metadata is longer than {bytes_max} bytes")
    try:
        document = json.loads(data, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise MetadataInvalid(f"{kind} metadata is not JSON: {error}") from None
    fields = mapping(document, "metadata")
    signed = mapping(fields.get("signed"), "signed")
    if signed.get("_type") != kind:
        raise MetadataInvalid(f"metadata of type {signed.get('_type')!r} is not {kind}")
    if not str(signed.get("spec_version", "")).startswith("1."):
        raise MetadataInvalid("spec_version must be 1.x")
    return Metadata(
        kind=kind,
        version=integer(signed.get("version"), "version", at_least=1),
        expires_ms=_date(signed.get("expires")),
        signed=signed,
        message=canonical(signed),
        signatures=_signatures(fields.get("signatures")),
        raw=data,
    )


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise MetadataInvalid("a key stands twice in one object")
    return fields


def _no_constant(word: str) -> object:
    raise MetadataInvalid(f"{word} is not a number of JSON")


def mapping(value: object, what: str) -> dict[str, object]:
    """``value`` as a JSON object, or MetadataInvalid."""
    if not isinstance(value, dict):
        raise MetadataInvalid(f"{what} must be an object")
    return value


def array(value: object, what: str) -> list[object]:
    """``value`` as a JSON array, or MetadataInvalid."""
    if not isinstance(value, list):
        raise MetadataInvalid(f"{what} must be an array")
    return value


def text(value: object, what: str) -> str:
    """``value`` as a text, or MetadataInvalid."""
    if not isinstance(value, str):
        raise MetadataInvalid(f"{what} must be a text")
    return value


def integer(value: object, what: str, *, at_least: int = 0) -> int:
    """``value`` as an integer of at least ``at_least`` and below 2^53, or MetadataInvalid."""
    if type(value) is not int or not at_least <= value < 2**53:
        raise MetadataInvalid(f"{what} must be an integer of at least {at_least}")
    return value


def _date(value: object) -> int:
    moment = text(value, "expires")
    if not _DATE.match(moment):
        raise MetadataInvalid("expires must be YYYY-MM-DDTHH:MM:SSZ")
    try:
        return int(datetime.fromisoformat(moment).timestamp()) * 1_000
    except ValueError:
        raise MetadataInvalid(f"expires {moment} is not a date") from None


def _signatures(value: object) -> tuple[tuple[str, bytes], ...]:
    entries = array(value, "signatures")
    if len(entries) > SIGNATURES_MAX:
        raise MetadataInvalid(f"more than {SIGNATURES_MAX} signatures")
    found: dict[str, bytes] = {}
    for entry in entries:
        fields = mapping(entry, "a signature")
        keyid, signature = text(fields.get("keyid"), "keyid"), text(fields.get("sig"), "sig")
        if keyid in found:
            raise MetadataInvalid(f"the key {keyid} signs twice")
        # Another kind of key, or one that has not signed yet, counts as no signature.
        found[keyid] = bytes.fromhex(signature) if _SIGNATURE.match(signature) else b""
    return tuple((keyid, signature) for keyid, signature in found.items() if signature)


def role_keys(keys: object, role: Mapping[str, object]) -> RoleKeys:
    """Keys and threshold of a role, from a ``keys`` object and the role's own object.

    Raises:
        MetadataInvalid: malformed; keys that are not Ed25519 are left out.
    """
    table = mapping(keys, "keys")
    chosen: dict[str, bytes] = {}
    for keyid in array(role.get("keyids"), "keyids"):
        key = table.get(text(keyid, "a key id"))
        if key is None:
            continue
        fields = mapping(key, "a key")
        public = mapping(fields.get("keyval"), "keyval").get("public")
        if fields.get("scheme") == "ed25519" and isinstance(public, str) and _KEY.match(public):
            chosen[text(keyid, "a key id")] = bytes.fromhex(public)
    return RoleKeys(chosen, integer(role.get("threshold"), "threshold", at_least=1))


def check_signatures(metadata: Metadata, role: RoleKeys, name: str) -> None:
    """Demands good signatures by at least ``threshold`` different keys of the role.

    Raises:
        MetadataInvalid: too few; the same key under two ids counts once.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    good: set[bytes] = set()
    for keyid, signature in metadata.signatures:
        public = role.keys.get(keyid)
        if public is None:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, metadata.message)
        except (InvalidSignature, ValueError):
            continue
        good.add(public)
    if len(good) < role.threshold:
        raise MetadataInvalid(
            f"{name} metadata has {len(good)} good signatures, {role.threshold} are needed"
        )


def file_facts(value: object, what: str, *, target: bool = False) -> FileFacts:
    """Reads what a parent says of a metadata file or target.

    Raises:
        MetadataInvalid: malformed, or a target without length or hashes.
    """
    fields = mapping(value, what)
    hashes = mapping(fields.get("hashes", {}), f"hashes of {what}")
    known = {name: text(digest, what).lower() for name, digest in hashes.items() if name in _HASHES}
    length = fields.get("length")
    size = None if length is None else integer(length, f"length of {what}")
    version = 0 if target else integer(fields.get("version"), f"version of {what}", at_least=1)
    if (hashes or target) and not known:
        raise MetadataInvalid(f"{what} has no hash of a known kind")
    if target and size is None:
        raise MetadataInvalid(f"{what} has no length")
    return FileFacts(version, size, known)


def check_file(chunks: Iterable[bytes], facts: FileFacts, what: str) -> None:
    """Demands that bytes have the length and all the hashes that the parent says.

    Raises:
        MetadataMismatch: they have not.
    """
    digests = {name: _HASHES[name]() for name in facts.hashes}
    length = 0
    for chunk in chunks:
        length += len(chunk)
        for digest in digests.values():
            digest.update(chunk)
    if facts.length is not None and length != facts.length:
        raise MetadataMismatch(f"{what} has {length} bytes instead of {facts.length}")
    for name, digest in digests.items():
        if digest.hexdigest() != facts.hashes[name]:
            raise MetadataMismatch(f"{what} does not have the {name} that the signed parent says")
