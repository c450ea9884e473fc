#!/usr/bin/env python3
"""The auditor's file: checks a Redcard ledger with Python's standard library and `cryptography`.

A second opinion to carry away: it shares no line with the program that wrote the ledger. ``python3
verify.py FOLDER`` checks an export, ``verify.py FILE`` a database; all faults are listed.

    canonical        an entry is not the one canonical JSON form of what it says (RFC 8785 subset)
    missing          an entry is not there
    leaf             an entry does not hash to the leaf hash stored beside it: one of them changed
    order            wrong first entry, boot without its boot entry, or boot-time clock running back
    duplicate_nonce  two taps or voids with one nonce
    totals           a shift's closing differs from the entries of that shift
    card_counter     a card's own counter runs back; counter: the machine's does not follow
    root             entries do not add up to the Merkle root (RFC 6962) of a signed head
    signature        a head is not signed by a given key, or not well formed (C2SP checkpoint)
    cosigned         a head that the server confirmed (C2SP cosignature/v1) does not hold
    tile             the database's stored hash of 256 entries differs from theirs
    file             a file is torn, or SQLite's own integrity check names a fault
Exit status: 0 no fault, 1 faults, 2 wrong usage, 3 nothing there to read.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sqlite3
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ENTRY_BYTES_MAX, INTEGER_MAX, TILE_ENTRIES = 4096, 2**53 - 1, 256
COUNTED, TAPS = ("seq", "ts_ms", "mono_ms"), {"redeem", "reentry", "decline", "void", "manual"}
KEY = re.compile(r"[a-z0-9_]+\Z", re.ASCII)
KNOWN = set[str]()
SIZE = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z", re.ASCII)
ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
Tick = Callable[[int], object]


@dataclass(frozen=True)
class Fault:
    """One fault: the entry it belongs to (None if to no single one), its kind, and details."""

    seq: int | None
    kind: str
    detail: str


@dataclass
class Report:
    """The outcome: entries read, their Merkle root in base64, and every fault."""

    ok: bool = True
    size: int = 0
    root: str = ""
    faults: list[Fault] = field(default_factory=list)

    def add(self, seq: int | None, kind: str, detail: str) -> None:
        """Notes a fault."""
        self.ok = False
        self.faults.append(Fault(seq, kind, detail))


@dataclass(frozen=True)
class Key:
    """A verifier key: ``name+id+base64(type ‖ public key)``; type 1 signs, type 4 cosigns."""

    name: str
    identifier: bytes
    kind: int
    public: Ed25519PublicKey

    def holds(self, text: bytes, signature: bytes) -> bool:
        """Whether a signature line's bytes (without key id) hold for a note's text."""
        if self.kind == 4:
            moment = int.from_bytes(signature[:8], "big")
            text, signature = b"cosignature/v1\ntime %d\n%s" % (moment, text), signature[8:]
        with suppress(InvalidSignature):
            self.public.verify(signature, text)
            return True
        return False


def parse_keys(lines: Iterable[str], report: Report) -> list[Key]:
    """Parses verifier keys; empty lines and those that begin with ``#`` are skipped."""
    keys = []
    for line in (line.strip() for line in lines if line.strip() and not line.startswith("#")):
        name, _, rest = line.partition("+")
        try:
            blob = strict_base64(rest[9:])
            identifier = hashlib.sha256(name.encode() + b"\n" + blob).digest()[:4]
            public = Ed25519PublicKey.from_public_bytes(blob[1:])
            keys.append(Key(name, identifier, blob[0], public))
            if rest[:9] != f"{identifier.hex()}+" or blob[0] not in (1, 4):
                report.add(None, "signature", f"verifier key {keys.pop()}: wrong id or type")
        except ValueError as error:
            report.add(None, "signature", f"verifier key {line[:40]}…: {error}")
    return keys


@dataclass(frozen=True)
class Head:
    """A signed head: what it claims, and the kind under which its faults are reported."""

    origin: str
    size: int
    root: bytes
    kind: str


def parse_head(note: bytes, kind: str) -> tuple[Head, bytes, list[tuple[str, bytes]]]:
    """Head, signed text and signatures (name, key id and signature) of a note, or ValueError."""
    text, separator, block = note.decode().rpartition("\n\n")
    lines, signatures = text.split("\n"), []
    if not separator or len(lines) < 3 or not SIZE.match(lines[1]) or block[-1:] != "\n":
        raise ValueError("a line is missing or malformed")
    for line in block[:-1].split("\n"):
        dash, name, encoded = [*line.split(" ", 2), "", ""][:3]
        signatures.append((name, strict_base64(encoded)))
        if dash != "—":
            raise ValueError("a signature line is malformed")
    root, text = strict_base64(lines[2]), text + "\n"
    return Head(lines[0], int(lines[1]), root, kind), text.encode(), signatures


def open_head(note: bytes, keys: Sequence[Key], kind: str, report: Report) -> list[Head]:
    """Opens a checkpoint note, noting what does not hold; an empty list if it is none at all."""
    try:
        head, text, signatures = parse_head(note, kind)
    except ValueError as error:
        report.add(None, kind, f"a stored head is unreadable: {error}")
        return []
    # The ledger signs by a key of its own name; what the server confirms, it cosigns by type 4.
    signed, what = {"ledger": False, "server": kind == "signature"}, f"head of {head.size}"
    for name, blob in signatures:
        for key in (key for key in keys if (key.name, key.identifier) == (name, blob[:4])):
            signed["server"] |= key.kind == 4
            signed["ledger"] |= key.kind == 1 and name == head.origin
            if not key.holds(text, blob[4:]):
                report.add(None, kind, f"{what}: the signature by {name} does not hold")
    if not all(signed.values()):
        report.add(None, kind, f"{what}: the given keys did not sign it")
    return [head]


def strict_base64(text: str) -> bytes:
    """Decodes base64 that is written in its one canonical form; raises ValueError otherwise."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("its base64 is not in canonical form")
    return data


class Tree:
    """Merkle tree of RFC 6962, one leaf after the other."""

    def __init__(self) -> None:
        self.size, self.stack, self.tile = 0, list[bytes](), b""

    def append(self, leaf: bytes) -> None:
        """Adds a leaf hash; ``tile`` becomes the hash of each 256 leaves that are complete."""
        size = self.size = self.size + 1
        while not size & 1:
            leaf = hashlib.sha256(b"\x01" + self.stack.pop() + leaf).digest()
            size >>= 1
            if self.size == size * TILE_ENTRIES:
                self.tile = leaf
        self.stack.append(leaf)

    def root(self) -> bytes:
        """The root over all leaves so far."""
        root = self.stack[-1] if self.stack else hashlib.sha256(b"").digest()
        for node in reversed(self.stack[:-1]):
            root = hashlib.sha256(b"\x01" + node + root).digest()
        return root


def decode(data: bytes) -> dict[str, Any]:
    """Decodes an entry; raises ValueError unless the bytes are the canonical form of it."""
    if len(data) > ENTRY_BYTES_MAX:
        raise ValueError(f"{len(data)} bytes are more than {ENTRY_BYTES_MAX}")
    entry = json.loads(data.decode())
    if not isinstance(entry, dict) or {type(entry.get(name)) for name in COUNTED} != {int}:
        raise ValueError("not an object with integers seq, ts_ms and mono_ms")
    for key, value in entry.items():
        simple = type(value) is str or (type(value) is int and abs(value) <= INTEGER_MAX)
        if simple and key in KNOWN:
            continue
        items = value if isinstance(value, list) else [value]
        kinds = {type(item) for item in items}
        allowed = kinds <= {str} or kinds <= {int} or (items is not value and kinds == {bool})
        long = kinds == {int} and any(abs(item) > INTEGER_MAX for item in items)
        if not KEY.match(key) or not allowed or long:
            raise ValueError(f"{key}: not allowed in an entry, or beyond 53 bits")
        KNOWN.update([key] * (len(KNOWN) < 1000))
    if ENCODER.encode(entry).encode() != data:
        raise ValueError("not the canonical form")
    return entry


class Audit:
    """Reads entries in order and notes every fault."""

    def __init__(self, report: Report, heads: list[Head], origin: str, tick: Tick) -> None:
        self.report, self.origin, self.tick, self.tree = report, origin, tick, Tree()
        self.heads = sorted(heads, key=lambda head: head.size)
        self.expected = self.proved = self.mono_ms = 0
        self.boot, self.boots, self.torn = "", set[str](), False
        self.nonces, self.shifts = dict[bytes, int](), dict[str, dict[str, list[int]]]()
        self.cards, self.counter = dict[str, int](), cast("tuple[str, int] | None", None)

    def entry(self, data: bytes, leaf_at: Callable[[int], bytes | None]) -> None:
        """Takes the next entry; ``leaf_at`` gives the leaf hash stored for a seq, or its start."""
        digest, seq, entry = hashlib.sha256(b"\x00" + data).digest(), self.expected, None
        try:
            entry = decode(data)
            if digest.startswith(leaf_at(entry["seq"]) or b"none"):
                seq = entry["seq"]
            else:
                kind = "order" if digest.startswith(leaf_at(seq) or b"none") else "leaf"
                self.report.add(seq, kind, f"is not what is stored for entry {entry['seq']}")
        except (ValueError, RecursionError) as error:
            self.report.add(seq, "canonical", f"not an entry: {error}")
        if seq > self.expected:
            self.report.add(self.expected, "missing", f"not there; the next one is entry {seq}")
        elif seq < self.expected and not self.torn:
            self.report.add(seq, "order", f"stands where entry {self.expected} belongs")
        self.tree.append(digest)
        self.expected, self.torn = seq + 1, entry is None
        if entry is not None:
            for check in (self._order, self._shift, self._counters):
                check(seq, entry)
            short = hashlib.sha256(str(entry.get("nonce")).encode()).digest()[:16]
            first = self.nonces.setdefault(short, seq) if entry.get("kind") in TAPS else seq
            if first != seq:
                self.report.add(seq, "duplicate_nonce", f"entry {first} has the same nonce")
        self.compare()
        self.tick(self.tree.size)

    def _order(self, seq: int, entry: dict[str, Any]) -> None:
        kind, boot, mono_ms = entry.get("kind"), str(entry.get("boot")), entry["mono_ms"]
        if (seq == 0) != (kind == "genesis"):
            self.report.add(seq, "order", "the first entry, and only it, is the genesis")
        if seq == 0 and entry.get("origin") != self.origin:
            self.report.add(0, "order", f"the genesis is of another ledger, not of {self.origin}")
        if boot != self.boot and kind not in ("boot", "genesis"):
            self.report.add(seq, "order", "a new boot begins without its boot entry")
        if boot in self.boots and (boot != self.boot or kind == "boot"):
            self.report.add(seq, "order", "a boot that was over begins again")
        if boot == self.boot and mono_ms < self.mono_ms:
            self.report.add(seq, "order", f"boot time runs back from {self.mono_ms} to {mono_ms}")
        self.boot, self.mono_ms = boot, mono_ms
        self.boots.update([boot] * (kind != "genesis"))

    def _shift(self, seq: int, entry: dict[str, Any]) -> None:
        kind, shift, units = entry.get("kind"), entry.get("shift"), entry.get("quantity", 1)
        if isinstance(shift, str) and kind in ("redeem", "void") and type(units) is int:
            count = self.shifts.setdefault(shift, {}).setdefault(str(entry.get("offer")), [0, 0])
            count[kind == "void"] += units
        elif isinstance(shift, str) and kind == "close":
            arrays = [entry.get(name) for name in ("offers", "counts", "voids")]
            rows = zip(*(array for array in arrays if isinstance(array, list)), strict=False)
            stated, counted = {row[0]: [*row[1:]] for row in rows}, self.shifts.pop(shift, {})
            for offer in sorted(stated.keys() | counted.keys()):
                says, is_ = stated.get(offer, [0, 0]), counted.get(offer, [0, 0])
                if says != is_:
                    self.report.add(seq, "totals", f"{offer}: states {says}, entries say {is_}")

    def _counters(self, seq: int, entry: dict[str, Any]) -> None:
        card, value, own = entry.get("card"), entry.get("card_counter"), entry.get("counter")
        if isinstance(card, str) and card and type(value) is int:
            if value < self.cards.setdefault(card, value):
                self.report.add(seq, "card_counter", f"{value} after {self.cards[card]}")
            self.cards[card] = max(value, self.cards[card])
        if type(own) is int:
            now = (str(entry.get("counter_name")), own)
            if self.counter not in (None, now):
                self.report.add(seq, "counter", f"{now} where {self.counter} is next")
            self.counter = (now[0], own + 1)

    def compare(self, *, last: bool = False) -> None:
        """Compares the tree with the heads of its size; after the last entry, with all others."""
        while self.heads and (last or self.heads[0].size <= self.tree.size):
            head = self.heads.pop(0)
            kind, what = head.kind.replace("signature", "root"), f"head of {head.size}"
            if head.origin != self.origin:
                self.report.add(None, kind, f"{what}: of another ledger, {head.origin}")
            elif head.size > self.tree.size:
                self.report.add(None, kind, f"{what}: only {self.tree.size} entries are there")
            elif head.size == self.tree.size and head.root != self.tree.root():
                since = f"an entry from {self.proved} to {head.size - 1} was changed"
                self.report.add(None, kind, f"{what}: the entries have another root; {since}")
            else:
                self.proved = head.size
        if last:
            self.report.size = self.tree.size
            self.report.root = base64.b64encode(self.tree.root()).decode()


def verify_directory(path: str | Path, vkeys: Sequence[str] = (), tick: Tick = bool) -> Report:
    """Checks an export; ``vkeys`` replace the keys in the folder. Raises OSError if it is none."""
    place, report = Path(path), Report()
    keys = parse_keys(vkeys or (place / "vkeys").read_text().splitlines(), report)
    heads = open_head((place / "checkpoint").read_bytes(), keys, "signature", report)
    origin, size = (heads[0].origin, heads[0].size) if heads else ("", 0)
    parts = (place / "cosignatures").read_bytes().split(b"\n\n")
    for text, block in zip_longest(parts[::2], parts[1::2], fillvalue=b""):
        note = b"%s\n\n%s\n" % (text, block.strip(b"\n"))
        heads += open_head(note, keys, "cosigned", report) if text or block else []
    audit = Audit(report, heads, origin, tick)
    leaves = (place / "leaves").read_bytes()
    with (place / "entries.jsonl").open("rb") as entries:
        while line := entries.readline(2 * ENTRY_BYTES_MAX):
            if line[-1:] != b"\n":
                report.add(audit.expected, "file", "the line does not end with a newline")
            audit.entry(line.removesuffix(b"\n"), lambda seq: leaves[32 * seq : 32 * seq + 32])
    if len(leaves) != 32 * audit.tree.size:
        report.add(None, "file", f"{len(leaves)} bytes of leaf hashes are not 32 an entry")
    if size != audit.tree.size:
        report.add(None, "root", f"the checkpoint is of {size} entries, not {audit.tree.size}")
    audit.compare(last=True)
    return report


def verify_database(
    path: str | Path, vkeys: Sequence[str] = (), cosigned: Sequence[bytes] = (), tick: Tick = bool
) -> Report:
    """Checks a database and the server's notes. Raises OSError, ValueError, sqlite3.Error."""
    uri, report = f"file:{quote(str(Path(path).resolve(strict=True)))}?mode=ro", Report()
    with closing(sqlite3.connect(uri, uri=True)) as database:
        database.text_factory = bytes
        ((origin, vkey),) = database.execute("SELECT origin, vkey FROM log").fetchall()
        keys, heads, newest = parse_keys(vkeys or [(vkey or b"").decode()], report), list[Head](), 0
        for size, note in database.execute("SELECT size, note FROM checkpoint ORDER BY size"):
            newest, opened = size, open_head(note or b"", keys, "signature", report)
            if opened and opened[0].size != size:
                report.add(None, "signature", f"the head stored for {size} is of another size")
            heads += opened
        heads += [head for note in cosigned for head in open_head(note, keys, "cosigned", report)]
        audit, tiles = Audit(report, heads, (origin or b"").decode(), tick), dict[int, bytes]()
        try:
            tiles = dict(database.execute("SELECT tile, hash FROM tile"))
            rows = "SELECT seq, CAST(ifnull(entry, 0) AS BLOB), leaf FROM entry ORDER BY seq"
            for seq, data, stored in database.execute(rows):
                if seq > audit.expected:
                    report.add(audit.expected, "missing", f"not there; the next one is entry {seq}")
                audit.expected = seq
                audit.entry(data, {seq: stored}.get)
                tile, rest = divmod(audit.tree.size, TILE_ENTRIES)
                if not rest and tiles.pop(tile - 1, b"") != audit.tree.tile:
                    report.add(None, "tile", f"the 256 entries before {audit.tree.size}")
            for (line,) in database.execute("PRAGMA integrity_check"):
                if line != b"ok":
                    report.add(None, "file", line.decode(errors="replace"))
        except (sqlite3.DatabaseError, TypeError) as error:
            report.add(audit.expected, "file", f"SQLite cannot read on: {error}")
    if tiles:
        report.add(None, "tile", f"{len(tiles)} stored tiles have no entries")
    if newest != audit.tree.size:
        report.add(None, "root", f"the newest head is of {newest} entries, not {audit.tree.size}")
    audit.compare(last=True)
    return report


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Checks a Redcard ledger and lists all faults.")
    parser.add_argument("ledger", type=Path, help="an export folder, or a ledger database")
    parser.add_argument("--vkeys", type=Path, help="trusted keys, one a line, instead of its own")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of text")
    given = parser.parse_args()
    try:
        vkeys = given.vkeys.read_text().splitlines() if given.vkeys else ()
        verify = verify_directory if given.ledger.is_dir() else verify_database
        report = verify(given.ledger, vkeys)
    except (OSError, sqlite3.Error, ValueError) as error:
        sys.stderr.write(f"{given.ledger}: cannot be read as a ledger: {error}\n")
        return 3
    lines = [f"entry {fault.seq}: {fault.kind}: {fault.detail}" for fault in report.faults]
    lines.append(f"{report.size} entries, root {report.root}: {len(lines)} faults")
    lines += [] if vkeys else ["The keys were the ledger's own word; --vkeys gives better ones."]
    if given.json:
        lines = [json.dumps(asdict(report), ensure_ascii=False, indent=1)]
    sys.stdout.write("\n".join(lines).replace("entry None", "ledger") + "\n")
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
