"""Tables of the central server, for SQLite and PostgreSQL alike.

Three kinds stand apart. *Stored* tables hold what terminals sent and what was answered; nothing in
them is ever changed but a ledger's head and standing. *Kept* tables hold what the back office
decided: offers, members, terminals, leases. *Folded* tables (``events``, ``stock``, ``cases``,
``cursors``) are made from the first two and can be made again; judgements are what was signed about
events and are kept with every revision.

Times are integer milliseconds since the epoch; days are ``yyyymmdd`` integers of the venue's zone.
``log`` is the server's own short number of a ledger, so that the large tables stay small; it is the
key by which PostgreSQL spreads them.
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
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

#: Number of hash partitions of the large tables on PostgreSQL.
PARTITIONS: Final = 16
#: Tables spread by hash of ``log`` on PostgreSQL.
PARTITIONED: Final = ("entries", "receipts", "events", "judgements")

_BY_LOG: Final[dict[str, Any]] = {"postgresql_partition_by": "HASH (log)"}
#: SQLite gives a row number to every table; these are found by their key alone.
_KEYED: Final[dict[str, Any]] = {"sqlite_with_rowid": False}

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _ms(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


# Stored: what came, and what was answered.

ledgers = Table(
    "ledgers",
    metadata,
    Column("log", Integer, primary_key=True, autoincrement=True),
    Column("ledger", String(26), nullable=False, unique=True),
    Column("terminal", String(64), nullable=False, index=True),
    Column("origin", Text, nullable=False),
    Column("vkeys", Text, nullable=False),  # one a line
    Column("state", String(24), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    Column("revoked_size", BigInteger),  # receipted size when it was revoked
    Column("revoked_ms", BigInteger),
    Column("revoked_reason", Text, nullable=False, default=""),
    _ms("created_ms"),
    _ms("received_ms", nullable=True),  # last batch that brought something new
    Column("revision", BigInteger, nullable=False, default=0),  # last judgement
    Column("feed_number", BigInteger, nullable=False, default=0),  # last feed item
)

entries = Table(
    "entries",
    metadata,
    Column("log", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("log", "seq"),
    **_BY_LOG,
)

receipts = Table(
    "receipts",
    metadata,
    Column("log", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("old_size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", LargeBinary, nullable=False),
    _ms("received_ms"),
    Column("carrier", String(8), nullable=False),  # http or file
    # Whether the batch held all that the terminal had: then later entries were written after it.
    Column("drained", Boolean, nullable=False),
    PrimaryKeyConstraint("log", "size"),
    **_BY_LOG,
    **_KEYED,
)

evidence = Table(
    "evidence",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("log", Integer, nullable=False, index=True),
    Column("reason", String(16), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("checkpoint", LargeBinary, nullable=False),
    Column("bodies", LargeBinary, nullable=False),  # one a line
    Column("our_size", BigInteger, nullable=False),
    Column("our_root", LargeBinary, nullable=False),
    _ms("seen_ms"),
)

judgements = Table(
    "judgements",
    metadata,
    Column("log", Integer, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("verdict", String(20), nullable=False),
    Column("reasons", Text, nullable=False),  # sorted, joined by spaces
    Column("counterpart", String(64), nullable=False),  # <ledger>/<seq> or empty
    Column("nonce", Text, nullable=False),
    _ms("judged_ms"),
    PrimaryKeyConstraint("log", "revision"),
    Index("ix_judgements_log_seq", "log", "seq"),
    **_BY_LOG,
    **_KEYED,
)

# Kept: what the back office decided.

offers = Table(
    "offers",
    metadata,
    Column("offer", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("document", Text, nullable=False),
    _ms("published_ms"),
    PrimaryKeyConstraint("offer", "version"),
)

venues = Table(
    "venues",
    metadata,
    Column("venue", String(64), primary_key=True),
    Column("document", Text, nullable=False),
)

members = Table(
    "members",
    metadata,
    Column("member", String(16), nullable=False),
    _ms("from_ms"),
    Column("status", String(16), nullable=False),
    Column("district", Text, nullable=False),
    Column("street", Text, nullable=False),
    Column("tags", Text, nullable=False),  # sorted, joined by spaces
    Column("year", Integer, nullable=False, server_default="0"),  # of membership; 0: not told
    PrimaryKeyConstraint("member", "from_ms"),
    **_KEYED,
)

cards = Table(
    "cards",
    metadata,
    Column("card", String(26), nullable=False),
    _ms("from_ms"),
    Column("status", String(16), nullable=False),
    Column("member", String(16), nullable=False, index=True),
    Column("last4", String(4), nullable=False),
    Column("expires", String(7), nullable=False, server_default=""),  # yyyy-mm, its last month
    Column("issued", String(10), nullable=False, server_default=""),  # yyyy-mm-dd
    Column("replaced_by", String(26), nullable=False, server_default=""),
    PrimaryKeyConstraint("card", "from_ms"),
    Index("ix_cards_last4", "last4"),
    **_KEYED,
)

terminals = Table(
    "terminals",
    metadata,
    Column("terminal", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("venues", Text, nullable=False),  # joined by spaces
    Column("profile", String(16), nullable=False),
    Column("recipient", Text, nullable=False, default=""),
    Column("version", Text, nullable=False, default=""),
    _ms("created_ms"),
)

activations = Table(
    "activations",
    metadata,
    Column("code_hash", LargeBinary, primary_key=True),
    Column("terminal", String(64), nullable=False, index=True),
    _ms("created_ms"),
    _ms("expires_ms"),
    _ms("used_ms", nullable=True),
    Column("ledger", String(26), nullable=False, default=""),
    # Where a person must approve the key that asks: who asked, and when it was approved.
    Column("approval", Boolean, nullable=False, server_default="0"),
    Column("asked_key", LargeBinary),
    _ms("approved_ms", nullable=True),
)

leases = Table(
    "leases",
    metadata,
    Column("lease", String(64), primary_key=True),
    Column("log", Integer, nullable=False, index=True),
    Column("offer", String(64), nullable=False, index=True),
    Column("bucket", String(64), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("units", Integer, nullable=False),
    _ms("granted_ms"),
    _ms("expires_ms"),
    _ms("closed_ms", nullable=True),
)

feed = Table(
    "feed",
    metadata,
    Column("log", Integer, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("record", LargeBinary, nullable=False),
    _ms("created_ms"),
    PrimaryKeyConstraint("log", "number"),
)

holds = Table(
    "holds",
    metadata,
    Column("log", Integer, nullable=False),
    Column("nonce", String(256), nullable=False),
    Column("content", LargeBinary, nullable=False),  # SHA-256 of what the nonce is bound to
    Column("offer", String(64), nullable=False),
    Column("member", String(16), nullable=False, index=True),
    Column("venue", String(64), nullable=False),
    Column("bucket", String(64), nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("state", String(16), nullable=False),  # held, confirmed, released
    _ms("at_ms"),
    _ms("expires_ms"),
    PrimaryKeyConstraint("log", "nonce"),
    Index("ix_holds_offer_bucket", "offer", "bucket", "state"),
)

reservations = Table(
    "reservations",
    metadata,
    Column("reservation", String(26), primary_key=True),
    Column("log", Integer, nullable=False),  # the one ledger that can take it
    Column("member", String(16), nullable=False),
    Column("offer", String(64), nullable=False),
    Column("venue", String(64), nullable=False),
    Column("bucket", String(64), nullable=False),
    Column("units", Integer, nullable=False),
    _ms("from_ms"),
    _ms("until_ms"),
    Column("state", String(16), nullable=False),  # issued, used, cancelled
    _ms("issued_ms"),
    Column("used_seq", BigInteger),
    Index("ix_reservations_log", "log", "used_seq"),
    Index("ix_reservations_member", "member", "offer"),
    Index("ix_reservations_offer_bucket", "offer", "bucket", "state"),
)

supervisors = Table(
    "supervisors",
    metadata,
    Column("terminal", String(64), nullable=False),
    Column("supervisor", String(32), nullable=False),
    Column("pin", Text, nullable=False),  # Argon2id verifier, or empty
    Column("card", String(26), nullable=False),  # card hash, or empty
    Column("active", Boolean, nullable=False),
    _ms("set_ms"),
    PrimaryKeyConstraint("terminal", "supervisor"),
)

settings = Table(
    "settings",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

# Folded: made from the above, and can be made again.

cursors = Table(
    "cursors",
    metadata,
    Column("log", Integer, primary_key=True, autoincrement=False),
    Column("next_seq", BigInteger, nullable=False),
    _ms("bound_ms"),  # entries from next_seq on were written after this
)

events = Table(
    "events",
    metadata,
    Column("log", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("nonce", Text, nullable=False),
    Column("card", String(26), nullable=False),
    Column("member", String(16), nullable=False),
    Column("offer", String(64), nullable=False),
    Column("offer_version", Integer, nullable=False),
    Column("venue", String(64), nullable=False),
    Column("operator", Text, nullable=False),
    Column("code", String(8), nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("companions", Integer, nullable=False),
    Column("bucket", String(64), nullable=False),
    Column("lease", String(64), nullable=False),
    _ms("after_ms"),
    _ms("before_ms"),
    _ms("at_ms"),
    Column("day", Integer, nullable=False),
    Column("original", String(64), nullable=False),  # of a void: <ledger>/<seq>
    Column("counted", Boolean, nullable=False),  # a use that is neither void nor a duplicate
    Column("voided", Boolean, nullable=False),
    Column("verdict", String(20), nullable=False),
    Column("reasons", Text, nullable=False),
    Column("counterpart", String(64), nullable=False),
    PrimaryKeyConstraint("log", "seq"),
    Index("ix_events_offer_bucket", "offer", "bucket", "counted"),
    Index("ix_events_day", "day"),
    # Few events wait for their original or are of a lease; only those are in these indexes.
    Index(
        "ix_events_waiting",
        "original",
        sqlite_where=text("member = '' AND original <> ''"),
        postgresql_where=text("member = '' AND original <> ''"),
    ),
    Index(
        "ix_events_lease",
        "lease",
        sqlite_where=text("lease <> ''"),
        postgresql_where=text("lease <> ''"),
    ),
    **_BY_LOG,
    **_KEYED,
)

# Which events are a member's: one look, where the events themselves are spread by ledger.
histories = Table(
    "histories",
    metadata,
    Column("member", String(16), nullable=False),
    Column("log", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    PrimaryKeyConstraint("member", "log", "seq"),
    **_KEYED,
)

stock = Table(
    "stock",
    metadata,
    Column("offer", String(64), nullable=False),
    Column("bucket", String(64), nullable=False),
    Column("redeemed", BigInteger, nullable=False),
    Column("reversed", BigInteger, nullable=False),
    Column("oversold", BigInteger, nullable=False, server_default="0"),  # events flagged with it
    PrimaryKeyConstraint("offer", "bucket"),
)

cases = Table(
    "cases",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("key", String(255), nullable=False),
    Column("reason", String(24), nullable=False),
    Column("member", String(16), nullable=False, index=True),
    Column("offer", String(64), nullable=False),
    Column("nonces", Text, nullable=False),  # JSON array
    Column("positions", Text, nullable=False),  # JSON array of <ledger>/<seq>
    Column("state", String(16), nullable=False),  # open, resolved (no longer flagged)
    _ms("first_ms"),
    _ms("opened_ms"),
    # JSON object of what a signal saw; empty for a case that a judgement opened.
    Column("details", Text, nullable=False, server_default=""),
    UniqueConstraint("key"),
)

#: Tables that a rebuild empties before it folds again.
FOLDED: Final = (cursors, events, histories, stock, cases)
