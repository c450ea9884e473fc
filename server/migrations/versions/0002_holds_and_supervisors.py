"""Holds that keep what was asked and answered, and supervisors provided to terminals.

No release before this one wrote a hold, so that the table is made anew.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("holds")
    op.create_table(
        "holds",
        sa.Column("log", sa.Integer(), nullable=False),
        sa.Column("nonce", sa.String(length=256), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("offer", sa.String(length=64), nullable=False),
        sa.Column("member", sa.String(length=16), nullable=False),
        sa.Column("venue", sa.String(length=64), nullable=False),
        sa.Column("bucket", sa.String(length=64), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("log", "nonce", name=op.f("pk_holds")),
    )
    op.create_index(op.f("ix_holds_member"), "holds", ["member"], unique=False)
    op.create_index("ix_holds_offer_bucket", "holds", ["offer", "bucket", "state"], unique=False)
    op.create_table(
        "supervisors",
        sa.Column("terminal", sa.String(length=64), nullable=False),
        sa.Column("supervisor", sa.String(length=32), nullable=False),
        sa.Column("pin", sa.Text(), nullable=False),
        sa.Column("card", sa.String(length=26), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("set_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("terminal", "supervisor", name=op.f("pk_supervisors")),
    )
