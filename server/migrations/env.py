"""Runs migrations on the connection that ``server.database`` hands over; there is no other way in.

Migrations only go forward. Who needs to go back restores the copy that was put aside.
"""

from __future__ import annotations

from alembic import context

from server import (  # noqa: F401 - their tables belong to it
    schema_office,
    schema_publications,
    schema_statistics,
)
from server.schema import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    transactional_ddl=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
