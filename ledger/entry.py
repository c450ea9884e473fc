"""Kinds and fields of ledger entries (``docs/entry.md`` is the contract).

An entry is a flat mapping that canonical JSON can carry. This module knows which fields each kind
must have and of which type; it knows nothing of bytes, files or time. Unknown keys are kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final, TypeAlias

from ledger.errors import EntryInvalid

Value: TypeAlias = str | bool | int | Sequence[str] | Sequence[int]
Entry: TypeAlias = Mapping[str, Value]

VERSION: Final = 1
ENTRY_BYTES_MAX: Final = 4096
INTEGER_MAX: Final = 2**53 - 1


@unique
class Kind(StrEnum):
    """What an entry records."""

    GENESIS = "genesis"
    BOOT = "boot"
    REDEEM = "redeem"
    REENTRY = "reentry"
    DECLINE = "decline"
    VOID = "void"
    INTENT = "intent"
    LEASE = "lease"
    LEASE_CLOSE = "lease_close"
    OPEN = "open"
    CLOSE = "close"
    GOODS = "goods"
    MANUAL = "manual"
    ADJUST = "adjust"
    CLOCK = "clock"
    KEYROT = "keyrot"
    FAULT = "fault"


@unique
class Assurance(StrEnum):
    """How well the card was proved: by its chip, by a readable identifier, or by a paper sheet."""

    AUTHENTICATED = "authenticated"
    IDENTIFIED = "identified"
    CLAIMED = "claimed"


#: Fields the log itself adds to every entry when it is appended.
STAMPED: Final = ("v", "seq", "boot")

_TAP: Final = ("nonce", "card", "offer", "venue", "operator", "code")

#: Fields that each kind must carry beyond ``v seq kind ts_ms mono_ms boot``.
REQUIRED: Final[Mapping[Kind, tuple[str, ...]]] = MappingProxyType(
    {
        Kind.GENESIS: ("origin", "vkey", "epoch"),
        Kind.BOOT: ("version", "epoch", "cosigned_size"),
        Kind.REDEEM: (
            *_TAP,
            "member",
            "scheme",
            "assurance",
            "offer_version",
            "quantity",
            "mode",
        ),
        Kind.REENTRY: (*_TAP, "member", "scheme", "assurance", "offer_version", "mode"),
        Kind.DECLINE: _TAP,
        Kind.VOID: (*_TAP, "orig_seq", "orig_nonce", "reason_code"),
        Kind.INTENT: ("nonce", "card", "offer"),
        Kind.LEASE: ("lease", "offer", "units", "lease_epoch", "expires_ms"),
        Kind.LEASE_CLOSE: ("lease", "offer", "lease_epoch", "spent"),
        Kind.OPEN: ("shift", "operator"),
        Kind.CLOSE: ("shift", "operator", "offers", "counts", "voids"),
        Kind.GOODS: ("offer", "venue", "operator", "quantity", "movement"),
        Kind.MANUAL: (*_TAP, "sheet", "reason_code", "supervisor", "quantity"),
        Kind.ADJUST: ("operator", "reason_code"),
        Kind.CLOCK: ("offset_ms", "reason_code"),
        Kind.KEYROT: ("vkey",),
        Kind.FAULT: ("component", "reason_code"),
    }
)

_INTEGERS: Final = frozenset(
    {
        "v",
        "seq",
        "ts_ms",
        "mono_ms",
        "offer_version",
        "quantity",
        "companions",
        "orig_seq",
        "cosigned_size",
        "epoch",
        "units",
        "lease_epoch",
        "expires_ms",
        "spent",
        "offset_ms",
        "card_counter",
        "counter",
    }
)
_ARRAYS: Final = MappingProxyType({"offers": str, "counts": int, "voids": int})
_KINDS: Final = {kind.value: kind for kind in Kind}
_NEEDED: Final = {
    kind: frozenset(("v", "seq", "ts_ms", "mono_ms", "boot", *names))
    for kind, names in REQUIRED.items()
}
_TYPED: Final = _INTEGERS | _ARRAYS.keys()
_BOOT: Final = re.compile(r"[0-9a-f]{16}\Z")
_HASH: Final = re.compile(r"[a-z2-7]{26}\Z")
_MEMBER: Final = re.compile(r"[0-9a-f]{16}\Z")
_SAFE: Final = re.compile(r"[^\x00-\x1f\x7f]{0,256}\Z")


def check(entry: Entry) -> Kind:
    """Checks a complete entry against its kind.

    Args:
        entry: a mapping as decoded from canonical JSON; unknown keys are ignored.

    Returns:
        The kind of the entry.

    Raises:
        EntryInvalid: a field is missing or of the wrong type; the message names it.
    """
    kind = _kind(entry)
    if not entry.keys() >= _NEEDED[kind]:
        missing = min(_NEEDED[kind] - entry.keys())
        raise EntryInvalid(f"a {kind} entry needs the field {missing}")
    for name, value in entry.items():
        # What nearly every value is comes first: this runs between a card and its green light.
        if type(value) is str and name not in _TYPED and len(value) <= 256 and value.isprintable():
            continue
        if type(value) is not int or name not in _INTEGERS:
            _check_value(name, value)
    if entry["v"] != VERSION:
        raise EntryInvalid(f"entry version {entry['v']} is not {VERSION}")
    if not _BOOT.match(str(entry["boot"])):
        raise EntryInvalid("boot must be 16 lower-case hexadecimal digits")
    member = entry.get("member")
    if member is not None and not _MEMBER.match(str(member)):
        raise EntryInvalid("member must be 16 lower-case hexadecimal digits")
    for name in ("card", "agent"):
        if entry.get(name) and not _HASH.match(str(entry[name])):
            raise EntryInvalid(f"{name} must be a card hash: 26 characters a-z2-7")
    return kind


def _kind(entry: Entry) -> Kind:
    kind = _KINDS.get(str(entry.get("kind")))
    if kind is None:
        raise EntryInvalid(f"unknown kind {entry.get('kind')!r}")
    return kind


def _check_value(name: str, value: Value) -> None:
    if name in _INTEGERS:
        if isinstance(value, bool) or not isinstance(value, int):
            raise EntryInvalid(f"{name} must be an integer")
    elif name in _ARRAYS:
        element = _ARRAYS[name]
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise EntryInvalid(f"{name} must be an array")
        if any(type(item) is not element for item in value):
            raise EntryInvalid(f"{name} must be an array of {element.__name__}")
    elif name in {"nonce", "offer", "venue", "operator", "code", "kind", "scheme", "mode"} and not (
        isinstance(value, str) and _SAFE.match(value)
    ):
        raise EntryInvalid(f"{name} must be a text of at most 256 characters, no control bytes")
