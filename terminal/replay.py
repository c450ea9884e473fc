"""What the ledger already holds under a nonce: read before any rule is asked."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.codes import Code, Outcome
from ledger.entry import Kind, Value
from ledger.rules.request import Prior
from terminal.writer import LedgerWriter


def prior_of(writer: LedgerWriter, nonce: str) -> Prior | None:
    """What this nonce was answered with before, ``None`` if it is free.

    Raises:
        LogFault: the log cannot be read.
    """
    found = writer.by_nonce(nonce)
    return None if found is None else prior_from(writer, *found)


def prior_from(writer: LedgerWriter, seq: int, entry: Mapping[str, Value]) -> Prior:
    """The first answer as its entry tells it.

    Raises:
        LogFault: the log cannot be read.
    """
    kind = str(entry["kind"])
    until = entry.get("until_ms")
    return Prior(
        outcome=Outcome.DECLINE if kind == Kind.DECLINE else Outcome.APPROVE,
        code=Code(str(entry["code"])),
        seq=seq,
        card=text(entry, "card"),
        offer_id=text(entry, "offer"),
        quantity=number(entry, "quantity", 1),
        companions=number(entry, "companions"),
        agent=text(entry, "agent"),
        until_ms=until if isinstance(until, int) else None,
        reversed=kind == Kind.REDEEM and writer.is_reversed(seq),
        # A refused void is a decline, but its nonce is no tap's either.
        is_void=kind == Kind.VOID or "orig_nonce" in entry,
    )


def text(entry: Mapping[str, Value], name: str) -> str:
    """A text field, empty if absent."""
    value = entry.get(name, "")
    return value if isinstance(value, str) else ""


def number(entry: Mapping[str, Value], name: str, default: int = 0) -> int:
    """An integer field, ``default`` if absent."""
    value = entry.get(name, default)
    return value if isinstance(value, int) else default
