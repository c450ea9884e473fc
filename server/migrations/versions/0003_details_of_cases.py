"""What a case can say of itself: a signal explains the pattern that it saw."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cases", sa.Column("details", sa.Text(), nullable=False, server_default=""))
