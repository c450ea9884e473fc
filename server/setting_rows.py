"""Single values that the server keeps under a name."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from server.schema import settings


async def setting(connection: AsyncConnection, name: str) -> str | None:
    """The value of a name, ``None`` if there is none."""
    value: str | None = await connection.scalar(
        select(settings.c.value).where(settings.c.name == name)
    )
    return value


async def set_setting(connection: AsyncConnection, name: str, value: str) -> None:
    """Puts a value in the place of what was."""
    await connection.execute(settings.delete().where(settings.c.name == name))
    await connection.execute(settings.insert(), {"name": name, "value": value})
