"""Tables of the back office: people and what they did, drafts, statements, fleet, feeds.

All are *kept* (see ``server.schema``): a rebuild of what is folded never touches them. Personal
data stands in ``identities`` alone, sealed to the server's key, and is erased there; what sealed
columns hold is age ciphertext, so that a copy of the database tells no name and no second factor.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from server.schema import metadata

_KEYED: Final[dict[str, Any]] = {"sqlite_with_rowid": False}


def _ms(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


# People.

people = Table(
    "people",
    metadata,
    Column("person", String(32), primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("scope", Text, nullable=False),  # district, district/street, merchant, or empty
    Column("password", Text, nullable=False),  # Argon2id verifier
    Column("temporary", Boolean, nullable=False),  # given by somebody else; must be changed
    Column("totp", LargeBinary, nullable=False),  # sealed secret, or empty
    Column("totp_confirmed", Boolean, nullable=False),
    Column("totp_step", BigInteger, nullable=False),  # last time step used; none works twice
    Column("failures", Integer, nullable=False),
    _ms("locked_until_ms"),
    Column("active", Boolean, nullable=False),
    _ms("created_ms"),
    _ms("changed_ms"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("person", String(32), nullable=False, index=True),
    Column("complete", Boolean, nullable=False),  # both factors were given
    _ms("created_ms"),
    _ms("seen_ms"),
)

acts = Table(
    "acts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    _ms("at_ms"),
    Column("person", String(64), nullable=False, index=True),
    Column("role", String(16), nullable=False),
    Column("act", String(48), nullable=False, index=True),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),  # JSON object of codes and numbers
    Column("result", String(16), nullable=False),
    Index("ix_acts_at_ms", "at_ms"),
)

identities = Table(
    "identities",
    metadata,
    Column("member", String(16), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),  # empty once erased
    _ms("set_ms"),
    _ms("erased_ms", nullable=True),
)

# Offers and stock.

drafts = Table(
    "drafts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("offer", String(64), nullable=False, index=True),
    Column("document", Text, nullable=False),
    Column("state", String(16), nullable=False),  # draft, review, returned, published, withdrawn
    Column("author", String(64), nullable=False),
    Column("decided_by", String(64), nullable=False),
    Column("remark", Text, nullable=False),
    _ms("created_ms"),
    _ms("changed_ms"),
)

transfers = Table(
    "transfers",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("offer", String(64), nullable=False, index=True),
    Column("source", String(64), nullable=False),
    Column("target", String(64), nullable=False),
    Column("units", Integer, nullable=False),
    Column("state", String(16), nullable=False),  # requested, done, refused
    Column("requested_by", String(64), nullable=False),
    Column("decided_by", String(64), nullable=False),
    _ms("requested_ms"),
    _ms("decided_ms", nullable=True),
)

write_offs = Table(
    "write_offs",
    metadata,
    Column("lease", String(64), primary_key=True),
    Column("units", Integer, nullable=False),  # returned to the pool, and at risk
    Column("person", String(64), nullable=False),
    Column("reason", String(32), nullable=False),
    _ms("at_ms"),
)

# Members: how feeds arrive.

feed_keys = Table(
    "feed_keys",
    metadata,
    Column("source", String(64), primary_key=True),
    Column("vkey", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("number", BigInteger, nullable=False),  # last feed taken
    _ms("set_ms"),
)

member_feeds = Table(
    "member_feeds",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("source", String(64), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("faulty", BigInteger, nullable=False),
    Column("report", Text, nullable=False),  # JSON
    _ms("applied_ms"),
)

# Settlement.

tariffs = Table(
    "tariffs",
    metadata,
    Column("merchant", String(64), nullable=False),
    Column("offer", String(64), nullable=False),
    Column("fen", BigInteger, nullable=False),  # paid for each unit
    _ms("set_ms"),
    PrimaryKeyConstraint("merchant", "offer"),
)

statements = Table(
    "statements",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("merchant", String(64), nullable=False),
    Column("month", String(7), nullable=False),
    Column("state", String(16), nullable=False),  # stated, disputed, settled
    Column("units", BigInteger, nullable=False),
    Column("fen", BigInteger, nullable=False),
    Column("stated_by", String(64), nullable=False),
    _ms("stated_ms"),
    _ms("settled_ms", nullable=True),
    UniqueConstraint("merchant", "month"),
)

statement_entries = Table(
    "statement_entries",
    metadata,
    Column("log", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("side", String(8), nullable=False),  # use, or back: what a later void took off again
    Column("statement", Integer, nullable=False, index=True),
    Column("offer", String(64), nullable=False),
    Column("units", Integer, nullable=False),
    Column("fen", BigInteger, nullable=False),
    Column("late", Boolean, nullable=False),  # of an earlier month: an adjustment
    PrimaryKeyConstraint("log", "seq", "side"),
    **_KEYED,
)

disputes = Table(
    "disputes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("statement", Integer, nullable=False, index=True),
    Column("position", String(64), nullable=False),  # <ledger>/<seq>, or empty for the whole
    Column("reason", String(32), nullable=False),
    Column("state", String(16), nullable=False),  # open, upheld, rejected
    Column("opened_by", String(64), nullable=False),
    Column("decided_by", String(64), nullable=False),
    _ms("opened_ms"),
    _ms("decided_ms", nullable=True),
)

adjustments = Table(
    "adjustments",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("merchant", String(64), nullable=False, index=True),
    Column("month", String(7), nullable=False),  # of the statement that it corrects
    Column("dispute", Integer, nullable=False),  # which it settles, 0 for none
    Column("offer", String(64), nullable=False),
    Column("units", Integer, nullable=False),  # may be negative
    Column("fen", BigInteger, nullable=False),
    Column("reason", String(32), nullable=False),
    Column("person", String(64), nullable=False),
    _ms("at_ms"),
    Column("statement", Integer, nullable=False),  # that pays it, 0 until one does
)

# Cases: what somebody found or decided; the judge's own are in ``server.schema.cases``.

matters = Table(
    "matters",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("key", String(255), nullable=False),
    Column("kind", String(16), nullable=False),  # signal, dispute, problem, fork
    Column("reason", String(48), nullable=False),
    Column("member", String(16), nullable=False),
    Column("offer", String(64), nullable=False),
    Column("venue", String(64), nullable=False),
    Column("terminal", String(64), nullable=False),
    Column("facts", Text, nullable=False),  # JSON object: what it explains itself with
    _ms("first_ms"),
    _ms("opened_ms"),
    UniqueConstraint("key"),
)

case_acts = Table(
    "case_acts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("key", String(255), nullable=False, index=True),
    Column("act", String(16), nullable=False),  # assign, note, decide, reopen
    Column("value", Text, nullable=False),
    Column("remark", Text, nullable=False),
    Column("person", String(64), nullable=False),
    _ms("at_ms"),
)

# Fleet.

health = Table(
    "health",
    metadata,
    Column("log", Integer, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),  # JSON object, as the terminal signed it
    _ms("reported_ms"),
)

configurations = Table(
    "configurations",
    metadata,
    Column("terminal", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("document", Text, nullable=False),  # JSON object
    Column("rolled_back_to", Integer),
    Column("person", String(64), nullable=False),
    _ms("set_ms"),
    PrimaryKeyConstraint("terminal", "version"),
)
