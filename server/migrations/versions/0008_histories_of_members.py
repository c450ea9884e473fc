"""Events found by their member in one table, and units beyond a stock counted as they change."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_WAITING = sa.text("member = '' AND original <> ''")
_LEASED = sa.text("lease <> ''")


def upgrade() -> None:
    op.create_table(
        "histories",
        sa.Column("member", sa.String(length=16), nullable=False),
        sa.Column("log", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("member", "log", "seq", name=op.f("pk_histories")),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO histories (member, log, seq) "
        "SELECT member, log, seq FROM events WHERE member <> ''"
    )
    for name in ("ix_events_member", "ix_events_original", "ix_events_lease"):
        op.drop_index(name, "events")
    op.create_index(
        "ix_events_waiting",
        "events",
        ["original"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
    op.create_index(
        "ix_events_lease", "events", ["lease"], sqlite_where=_LEASED, postgresql_where=_LEASED
    )
    op.add_column(
        "stock", sa.Column("oversold", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.execute(
        "UPDATE stock SET oversold = (SELECT count(*) FROM events WHERE events.offer = stock.offer "
        "AND events.bucket = stock.bucket AND events.reasons LIKE '%oversold%')"
    )
