"""Reservations: what was promised to whom, and the ledger that can take it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reservations",
        sa.Column("reservation", sa.String(length=26), nullable=False),
        sa.Column("log", sa.Integer(), nullable=False),
        sa.Column("member", sa.String(length=16), nullable=False),
        sa.Column("offer", sa.String(length=64), nullable=False),
        sa.Column("venue", sa.String(length=64), nullable=False),
        sa.Column("bucket", sa.String(length=64), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("issued_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_seq", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("reservation", name=op.f("pk_reservations")),
    )
    op.create_index("ix_reservations_log", "reservations", ["log", "used_seq"])
    op.create_index("ix_reservations_member", "reservations", ["member", "offer"])
    op.create_index("ix_reservations_offer_bucket", "reservations", ["offer", "bucket", "state"])
