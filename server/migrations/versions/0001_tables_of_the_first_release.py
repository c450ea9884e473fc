"""Tables of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "activations",
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("terminal", sa.String(length=64), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.Column("ledger", sa.String(length=26), nullable=False),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_activations")),
    )
    op.create_index(op.f("ix_activations_terminal"), "activations", ["terminal"], unique=False)
    op.create_table(
        "cards",
        sa.Column("card", sa.String(length=26), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("member", sa.String(length=16), nullable=False),
        sa.Column("last4", sa.String(length=4), nullable=False),
        sa.PrimaryKeyConstraint("card", "from_ms", name=op.f("pk_cards")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_cards_member"), "cards", ["member"], unique=False)
    op.create_table(
        "cases",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.String(length=24), nullable=False),
        sa.Column("member", sa.String(length=16), nullable=False),
        sa.Column("offer", sa.String(length=64), nullable=False),
        sa.Column("nonces", sa.Text(), nullable=False),
        sa.Column("positions", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("opened_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cases")),
        sa.UniqueConstraint("key", name=op.f("uq_cases_key")),
    )
    op.create_index(op.f("ix_cases_member"), "cases", ["member"], unique=False)
    op.create_table(
        "cursors",
        sa.Column("log", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("next_seq", sa.BigInteger(), nullable=False),
        sa.Column("bound_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("log", name=op.f("pk_cursors")),
    )
    op.create_table(
        "entries",
        sa.Column("log", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log", "seq", name=op.f("pk_entries")),
        postgresql_partition_by="HASH (log)",
    )
    op.create_table(
        "events",
        sa.Column("log", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("card", sa.String(length=26), nullable=False),
        sa.Column("member", sa.String(length=16), nullable=False),
        sa.Column("offer", sa.String(length=64), nullable=False),
        sa.Column("offer_version", sa.Integer(), nullable=False),
        sa.Column("venue", sa.String(length=64), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("code", sa.String(length=8), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("companions", sa.Integer(), nullable=False),
        sa.Column("bucket", sa.String(length=64), nullable=False),
        sa.Column("lease", sa.String(length=64), nullable=False),
        sa.Column("after_ms", sa.BigInteger(), nullable=False),
        sa.Column("before_ms", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("original", sa.String(length=64), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.Column("voided", sa.Boolean(), nullable=False),
        sa.Column("verdict", sa.String(length=20), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("counterpart", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("log", "seq", name=op.f("pk_events")),
        postgresql_partition_by="HASH (log)",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_events_day", "events", ["day"], unique=False)
    op.create_index("ix_events_lease", "events", ["lease"], unique=False)
    op.create_index("ix_events_member", "events", ["member"], unique=False)
    op.create_index(
        "ix_events_offer_bucket", "events", ["offer", "bucket", "counted"], unique=False
    )
    op.create_index("ix_events_original", "events", ["original"], unique=False)
    op.create_table(
        "evidence",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("log", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("checkpoint", sa.LargeBinary(), nullable=False),
        sa.Column("bodies", sa.LargeBinary(), nullable=False),
        sa.Column("our_size", sa.BigInteger(), nullable=False),
        sa.Column("our_root", sa.LargeBinary(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence")),
    )
    op.create_index(op.f("ix_evidence_log"), "evidence", ["log"], unique=False)
    op.create_table(
        "feed",
        sa.Column("log", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("log", "number", name=op.f("pk_feed")),
    )
    op.create_table(
        "holds",
        sa.Column("log", sa.Integer(), nullable=False),
        sa.Column("nonce", sa.String(length=256), nullable=False),
        sa.Column("card", sa.String(length=26), nullable=False),
        sa.Column("offer", sa.String(length=64), nullable=False),
        sa.Column("member", sa.String(length=16), nullable=False),
        sa.Column("bucket", sa.String(length=64), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("log", "nonce", name=op.f("pk_holds")),
    )
    op.create_index(op.f("ix_holds_member"), "holds", ["member"], unique=False)
    op.create_index(op.f("ix_holds_offer"), "holds", ["offer"], unique=False)
    op.create_table(
        "judgements",
        sa.Column("log", sa.Integer(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.String(length=20), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("counterpart", sa.String(length=64), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("judged_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("log", "revision", name=op.f("pk_judgements")),
        postgresql_partition_by="HASH (log)",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_judgements_log_seq", "judgements", ["log", "seq"], unique=False)
    op.create_table(
        "leases",
        sa.Column("lease", sa.String(length=64), nullable=False),
        sa.Column("log", sa.Integer(), nullable=False),
        sa.Column("offer", sa.String(length=64), nullable=False),
        sa.Column("bucket", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.Column("granted_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("closed_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("lease", name=op.f("pk_leases")),
    )
    op.create_index(op.f("ix_leases_log"), "leases", ["log"], unique=False)
    op.create_index(op.f("ix_leases_offer"), "leases", ["offer"], unique=False)
    op.create_table(
        "ledgers",
        sa.Column("log", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("ledger", sa.String(length=26), nullable=False),
        sa.Column("terminal", sa.String(length=64), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("vkeys", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.Column("revoked_size", sa.BigInteger(), nullable=True),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.Column("revoked_reason", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("feed_number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("log", name=op.f("pk_ledgers")),
        sa.UniqueConstraint("ledger", name=op.f("uq_ledgers_ledger")),
    )
    op.create_index(op.f("ix_ledgers_terminal"), "ledgers", ["terminal"], unique=False)
    op.create_table(
        "members",
        sa.Column("member", sa.String(length=16), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("street", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("member", "from_ms", name=op.f("pk_members")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "offers",
        sa.Column("offer", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("published_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("offer", "version", name=op.f("pk_offers")),
    )
    op.create_table(
        "receipts",
        sa.Column("log", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("old_size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("carrier", sa.String(length=8), nullable=False),
        sa.Column("drained", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("log", "size", name=op.f("pk_receipts")),
        postgresql_partition_by="HASH (log)",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "settings",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_settings")),
    )
    op.create_table(
        "stock",
        sa.Column("offer", sa.String(length=64), nullable=False),
        sa.Column("bucket", sa.String(length=64), nullable=False),
        sa.Column("redeemed", sa.BigInteger(), nullable=False),
        sa.Column("reversed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("offer", "bucket", name=op.f("pk_stock")),
    )
    op.create_table(
        "terminals",
        sa.Column("terminal", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("venues", sa.Text(), nullable=False),
        sa.Column("profile", sa.String(length=16), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("terminal", name=op.f("pk_terminals")),
    )
    op.create_table(
        "venues",
        sa.Column("venue", sa.String(length=64), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("venue", name=op.f("pk_venues")),
    )
    if op.get_bind().dialect.name == "postgresql":
        for table in ("entries", "receipts", "events", "judgements"):
            for part in range(16):
                op.execute(
                    f"CREATE TABLE {table}_{part:02d} PARTITION OF {table} "
                    f"FOR VALUES WITH (MODULUS 16, REMAINDER {part})"
                )
