"""Every batch exactly once, whatever is sent again, out of order, at once or altered."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import Table, func, select

from ledger.log.checkpoint import verify_cosignature
from ledger.log.note import Ed25519Verifier
from server.core import ServerCore
from server.errors import Overloaded
from server.ingest import REQUESTS_INSIDE_MAX, REQUESTS_PER_LEDGER_MAX
from server.schema import entries, evidence, ledgers, receipts
from sync.protocol import Batch, decode_problem, decode_size, encode_batch
from tests.server.world import Terminal, Time, enrol, play, push


async def held(core: ServerCore, terminal: Terminal) -> list[bytes]:
    async with core.database.reading() as connection:
        log = select(ledgers.c.log).where(ledgers.c.ledger == terminal.ledger).scalar_subquery()
        rows = await connection.scalars(
            select(entries.c.body).where(entries.c.log == log).order_by(entries.c.seq)
        )
        return [bytes(body) for body in rows]


async def count(core: ServerCore, table: Table) -> int:
    """Rows of a table that are not of the server's own ledger."""
    own = select(ledgers.c.log).where(ledgers.c.terminal == "")
    statement = select(func.count()).select_from(table).where(table.c.log.not_in(own))
    async with core.database.reading() as connection:
        return int(await connection.scalar(statement) or 0)


def test_receipt_covers_what_is_stored(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        for n in range(3):
            terminal.redeem(n, f"n{n}")
        answer = await push(core, terminal)
        assert answer.status == 200
        witness = Ed25519Verifier.from_vkey(terminal.enrolled.vkeys["witness"])
        receipt = verify_cosignature(answer.body, witness)
        assert receipt.checkpoint.size == 3
        assert receipt.time_s == time() // 1000
        assert await held(core, terminal) == terminal.stored

    play(run, home, database_url)


def test_replay_returns_the_same_receipt_byte_for_byte(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        for n in range(6):
            terminal.redeem(n, f"n{n}")
        first = await core.ingest.take(terminal.ledger, terminal.body(0, 4))
        second = await core.ingest.take(terminal.ledger, terminal.body(2, 6))
        assert (first.status, second.status) == (200, 200)
        time.pass_(3_600_000)
        assert (await core.ingest.take(terminal.ledger, terminal.body(0, 4))).body == first.body
        assert (await core.ingest.take(terminal.ledger, terminal.body(2, 6))).body == second.body
        # A range inside what is held is answered by the receipt that covers it.
        assert (await core.ingest.take(terminal.ledger, terminal.body(1, 3))).body == first.body
        assert await held(core, terminal) == terminal.stored
        assert await count(core, receipts) == 2

    play(run, home, database_url)


def test_gap_stores_nothing_and_says_from_where(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        for n in range(5):
            terminal.redeem(n, f"n{n}")
        await core.ingest.take(terminal.ledger, terminal.body(0, 2))
        answer = await core.ingest.take(terminal.ledger, terminal.body(3, 5))
        assert answer.status == 409
        assert decode_size(answer.body) == 2
        assert len(await held(core, terminal)) == 2

    play(run, home, database_url)


def test_concurrent_sends_store_once(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminals = [await enrol(core, f"t{n}", time) for n in range(5)]
        for terminal in terminals:
            for n in range(12):
                terminal.redeem(n, f"{terminal.ledger[:4]}{n}")

        async def send(terminal: Terminal, start: int, stop: int) -> int:
            for _ in range(50):
                answer = await core.ingest.take(terminal.ledger, terminal.body(start, stop))
                if answer.status != 409:
                    return answer.status
                await asyncio.sleep(0)
            return 409

        sends = [
            send(terminal, start, stop)
            for terminal in terminals
            for start, stop in ((0, 5), (3, 9), (0, 12), (9, 12), (0, 5), (5, 9))
        ]
        statuses = await asyncio.gather(*sends)
        assert set(statuses) == {200}
        for terminal in terminals:
            assert await held(core, terminal) == terminal.stored
            bodies = {
                (await core.ingest.take(terminal.ledger, terminal.body(0, 12))).body
                for _ in range(3)
            }
            assert len(bodies) == 1

    play(run, home, database_url)


def test_fork_quarantines_and_keeps_both_heads(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        clone = Terminal(terminal.keys, terminal.enrolled, time)
        terminal.redeem(1, "n1")
        clone.redeem(2, "n2")
        assert (await push(core, terminal)).status == 200
        answer = await push(core, clone)
        assert answer.status == 422
        assert decode_problem(answer.body, status=422).status_word == "quarantined"
        async with core.database.reading() as connection:
            proof = (await connection.execute(select(evidence))).one()
            note = await connection.scalar(
                select(receipts.c.note).where(receipts.c.log == proof.log)
            )
        assert bytes(proof.checkpoint) == clone.notes[1]
        assert bytes(note or b"").startswith(terminal.notes[1])
        terminal.redeem(3, "n3")
        later = await core.ingest.take(terminal.ledger, terminal.body(1))
        assert later.status == 403
        # What was receipted before stays receipted.
        assert (await core.ingest.take(terminal.ledger, terminal.body(0, 1))).status == 200
        assert await held(core, terminal) == terminal.stored[:1]

    play(run, home, database_url)


def test_altered_entries_are_kept_as_evidence_and_harm_nobody(
    home: Path, database_url: str
) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        terminal.redeem(1, "n1")
        good = terminal.batch(0)
        bad = Batch(good.ledger, 0, (good.entries[0].replace(b"n1", b"n9"),), good.checkpoint)
        answer = await core.ingest.take(terminal.ledger, encode_batch(bad))
        assert answer.status == 422
        assert decode_problem(answer.body, status=422).status_word == "inconsistent"
        assert await count(core, evidence) == 1
        assert (await push(core, terminal)).status == 200

    play(run, home, database_url)


def test_evidence_is_bounded(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        terminal.redeem(1, "n1")
        good = terminal.batch(0)
        for n in range(40):
            body = b'{"n":%d}' % n
            bad = encode_batch(Batch(good.ledger, 0, (body,), good.checkpoint))
            assert (await core.ingest.take(terminal.ledger, bad)).status == 422
        assert await count(core, evidence) == 32

    play(run, home)


def test_unsigned_unknown_and_malformed_are_refused(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        other = await enrol(core, "other", time)
        terminal.redeem(1, "n1")
        other.redeem(1, "n1")
        stolen = Batch(terminal.ledger, 0, terminal.batch(0).entries, other.notes[1])
        assert (await core.ingest.take(terminal.ledger, encode_batch(stolen))).status == 403
        unknown = await core.ingest.take("a" * 26, terminal.body(0))
        assert unknown.status == 404
        assert (await core.ingest.take(terminal.ledger, b"nonsense")).status == 400
        assert await count(core, entries) == 0
        assert await count(core, evidence) == 0

    play(run, home, database_url)


@pytest.mark.parametrize(
    ("reason", "status"), [("lost", 200), ("retired", 200), ("compromised", 403)]
)
def test_revoked_ledgers(home: Path, reason: str, status: int) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        terminal.redeem(1, "n1")
        await push(core, terminal)
        await core.revoke("kiosk", reason)
        terminal.redeem(2, "n2")
        answer = await core.ingest.take(terminal.ledger, terminal.body(1))
        assert answer.status == status
        assert await count(core, evidence) == (1 if reason == "compromised" else 0)
        if status == 200:
            assert answer.headers["Redcard-Ledger-State"] == "revoked"

    play(run, home)


def test_too_many_at_once_are_told_to_come_back(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        with ExitStack() as inside:
            with pytest.raises(Overloaded) as told:
                for _ in range(REQUESTS_PER_LEDGER_MAX + 1):
                    inside.enter_context(core.ingest.place("a" * 26))
            assert told.value.by_sender
            with pytest.raises(Overloaded) as busy:
                for n in range(REQUESTS_INSIDE_MAX + 1):
                    inside.enter_context(core.ingest.place(f"{n}"))
            assert busy.value.retry_after_s > 0
        with core.ingest.place("a" * 26):
            pass

    play(run, home)
