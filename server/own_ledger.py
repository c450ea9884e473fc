"""The server's own ledger: what the back office does is an entry of it, like a terminal's tap.

An act and its entry are one transaction, so that neither is there without the other. The ledger is
stored among those of the terminals, in the same tables and formats: anybody's tools verify it, and
voids of the back office are folded and judged from it. Like every ledger it holds codes and
references, never a name, a number of a card or a free text.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.entry import VERSION, Entry, check
from ledger.errors import EntryInvalid
from ledger.log import canonical
from ledger.log.checkpoint import Checkpoint, cosign
from ledger.log.merkle import Frontier, leaf_hash
from ledger.log.note import vkey
from server.database import Database
from server.enrolment import empty_ledger
from server.errors import TerminalUnknown
from server.home import WITNESS, ServerHome
from server.schema import entries, ledgers, receipts, settings

#: Where the id of the ledger now written to stands among the settings.
SETTING: Final = "own_ledger"
#: Who acts by the commands on the server's machine.
CONSOLE: Final = "console"
#: Acts of one transaction at most.
ACTS_MAX: Final = 500
#: In the place of a terminal's name, which never is empty.
_NO_TERMINAL: Final = ""
_CARRIER: Final = "own"


def act_of(reason_code: str, *, operator: str = CONSOLE, **codes: str | int) -> Entry:
    """One ``adjust`` entry, for acts that are recorded many at a time; see ``OwnLedger.record``."""
    return {"kind": "adjust", "operator": operator, "reason_code": reason_code, **codes}


class OwnLedger:
    """Appends the acts of the back office."""

    def __init__(self, home: ServerHome, database: Database, now_ms: Callable[[], int]) -> None:
        """Joins keys, database and clock."""
        self._home = home
        self._database = database
        self._now_ms = now_ms

    async def append(self, connection: AsyncConnection, acts: Sequence[Entry]) -> int:
        """Adds acts inside the caller's transaction, as the last thing done in it.

        The head stays locked until the transaction ends; whoever locks something else after it may
        wait for somebody who waits for the head.

        Args:
            connection: inside a transaction that may write.
            acts: 1 to 500 entries: ``kind`` and the fields of the kind, most often ``adjust`` with
                ``operator``, ``reason_code`` and what was done to what. ``v``, ``seq``, ``boot``,
                ``ts_ms`` and ``mono_ms`` are stamped here.

        Returns:
            Position of the first of them.

        Raises:
            EntryInvalid: a field is missing or of a wrong type; nothing was written.
            NotCanonical: a value that an entry cannot hold; nothing was written.
        """
        if not 0 < len(acts) <= ACTS_MAX:
            raise EntryInvalid(f"one transaction records 1 to {ACTS_MAX} acts: split it")
        row = await self._head(connection)
        if row is None:
            await self._begin(connection)
            row = await self._head(connection)
            assert row is not None, "a ledger that was begun has a head"
        await self._extend(connection, row, acts)
        return int(row.size)

    async def record(
        self,
        connection: AsyncConnection,
        reason_code: str,
        *,
        operator: str = CONSOLE,
        **codes: str | int,
    ) -> int:
        """Adds one ``adjust``: what was done, by whom, to what; see ``append``.

        Args:
            connection: inside the transaction of the act, as its last step.
            reason_code: name of the act, such as ``card`` or ``offer``.
            operator: who did it, as the server knows people; never a name.
            codes: references of what it was done to, and what it is now.
        """
        return await self.append(connection, [act_of(reason_code, operator=operator, **codes)])

    async def _head(self, connection: AsyncConnection) -> Any:
        """The row of the ledger now written to, locked against other servers."""
        name = select(settings.c.value).where(settings.c.name == SETTING).scalar_subquery()
        statement = select(ledgers).where(ledgers.c.ledger == name).with_for_update()
        return (await connection.execute(statement)).one_or_none()

    async def _begin(self, connection: AsyncConnection) -> None:
        """A new ledger: at the first act, and after a backup was restored."""
        epochs = await connection.scalars(
            select(ledgers.c.ledger).where(ledgers.c.terminal == _NO_TERMINAL)
        )
        epoch = len(epochs.all()) + 1
        ledger = base64.b32encode(secrets.token_bytes(16)).decode("ascii").lower().rstrip("=")
        # Of two servers that begin at once, one is told by the key of this table, and tries again.
        await connection.execute(insert(settings), {"name": SETTING, "value": ledger})
        origin = self._home.origin(ledger)
        signer = self._home.own_signer(origin)
        key = vkey(origin, signer.public_key)
        now_ms = self._now_ms()
        founded = empty_ledger(ledger, _NO_TERMINAL, origin, key, now_ms)
        await connection.execute(insert(ledgers), founded)
        row = await self._head(connection)
        first: Entry = {"kind": "genesis", "origin": origin, "vkey": key, "epoch": epoch}
        boot: Entry = {"kind": "boot", "version": "server", "epoch": epoch, "cosigned_size": 0}
        await self._extend(connection, row, [first, boot])

    async def _extend(self, connection: AsyncConnection, row: Any, acts: Sequence[Entry]) -> None:
        now_ms = self._now_ms()
        mono_ms = max(now_ms - row.created_ms, await _last_mono(connection, row))
        boot = sha256(row.origin.encode("ascii")).hexdigest()[:16]
        bodies: list[bytes] = []
        for seq, act in enumerate(acts, row.size):
            stamped: Entry = {
                **act, "v": VERSION, "seq": seq, "boot": boot, "ts_ms": now_ms, "mono_ms": mono_ms,
            }  # fmt: skip
            check(stamped)
            bodies.append(canonical.encode(stamped))
        frontier = Frontier.from_bytes(bytes(row.frontier)).extend(map(leaf_hash, bodies))
        head = Checkpoint(row.origin, frontier.size, frontier.root())
        note = head.sign([self._home.own_signer(row.origin)])
        receipt = cosign(note, self._home.signer(WITNESS), now_ms // 1000)
        await connection.execute(
            update(ledgers)
            .where(ledgers.c.log == row.log)
            .values(
                size=frontier.size,
                root=head.root,
                frontier=frontier.to_bytes(),
                received_ms=now_ms,
            )
        )
        rows = [(row.log, seq, body) for seq, body in enumerate(bodies, row.size)]
        await self._database.append(connection, entries, rows)
        kept = (
            row.log, frontier.size, row.size, head.root, receipt, now_ms, _CARRIER, True,
        )  # fmt: skip
        await self._database.append(connection, receipts, [kept])


async def _last_mono(connection: AsyncConnection, row: Any) -> int:
    """Where the ledger's own clock stands, which never runs back."""
    statement = select(entries.c.body).where(
        entries.c.log == row.log, entries.c.seq == row.size - 1
    )
    body = await connection.scalar(statement)
    return 0 if body is None else int(str(canonical.decode(bytes(body))["mono_ms"]))


@dataclass(frozen=True, slots=True)
class StoredLedger:
    """A whole ledger as read for export; satisfies what ``ledger.log.export`` asks of a log."""

    origin: str
    vkey: str
    bodies: Sequence[bytes]
    note: bytes
    own: bool = False

    def checkpoint(self) -> tuple[int, bytes]:
        """The newest head."""
        return len(self.bodies), self.note

    def entries(self, start: int, stop: int) -> Sequence[bytes]:
        """Stored bytes of a range."""
        return self.bodies[start:stop]


async def read_ledger(connection: AsyncConnection, ledger: str = "") -> StoredLedger:
    """Reads a ledger to be exported: the server's own, or the one named.

    Raises:
        TerminalUnknown: there is none of this name, or it holds nothing yet.
    """
    row = await _named(connection, ledger)
    note = await connection.scalar(
        select(receipts.c.note).where(receipts.c.log == row.log, receipts.c.size == row.size)
    )
    statement = (
        select(entries.c.body)
        .where(entries.c.log == row.log, entries.c.seq < row.size)
        .order_by(entries.c.seq)
    )
    bodies = [bytes(body) for body in await connection.scalars(statement)]
    assert note is not None, "entries are held without a receipt"
    own = row.terminal == _NO_TERMINAL
    return StoredLedger(row.origin, row.vkeys.splitlines()[0], bodies, bytes(note), own)


async def newest_of(connection: AsyncConnection, ledger: str, limit: int) -> list[bytes]:
    """The newest entries of a ledger, the oldest of them first; see ``read_ledger``."""
    row = await _named(connection, ledger)
    statement = (
        select(entries.c.body)
        .where(entries.c.log == row.log, entries.c.seq >= row.size - limit)
        .order_by(entries.c.seq)
    )
    return [bytes(body) for body in await connection.scalars(statement)]


async def _named(connection: AsyncConnection, ledger: str) -> Any:
    own = select(settings.c.value).where(settings.c.name == SETTING).scalar_subquery()
    wanted = ledgers.c.ledger == (ledger or own)
    row = (await connection.execute(select(ledgers).where(wanted))).one_or_none()
    if row is None and ledger:
        raise TerminalUnknown(f"no ledger {ledger} is held here; nothing was written")
    if row is None or not row.size:
        raise TerminalUnknown("no act was recorded yet; nothing was written")
    return row


def write_ledger(stored: StoredLedger, directory: Path, vkeys: Sequence[str]) -> int:
    """Writes a ledger as plain files that anybody's tools verify; see ``ledger.log.export``."""
    from ledger.log.export import export

    return export(stored, directory, [stored.note], vkeys)
