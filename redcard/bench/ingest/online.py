"""Decisions at the server: signed questions for holds, one after the other on each connection."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

from redcard.bench.ingest.client import Connection
from redcard.bench.ingest.lab import ONLINE_OFFER
from redcard.bench.ingest.load import Fleet, Post
from redcard.bench.ingest.worker import NOW_MS
from sync.asking import QUESTION_MEDIA_TYPE, HoldQuestion, encode_hold, holds_path
from sync.protocol import authorize


async def hold_rate(port: int, fleet: Fleet, people: Sequence[Post]) -> float:
    """Holds a second, each asked for by a terminal for the member of one entry.

    Raises:
        AssertionError: one was not held.
    """
    lanes: dict[str, list[tuple[bytes, str]]] = {ledger: [] for ledger in fleet.ledgers}
    for post in people:
        lanes[post.ledger].append(_question(fleet, post.ledger, json.loads(post.entries[0])))
    opened = {ledger: await Connection.open(port) for ledger in lanes}

    async def drive(ledger: str) -> None:
        for body, authorization in lanes[ledger]:
            status, answer = await opened[ledger].post(
                holds_path(ledger), body, QUESTION_MEDIA_TYPE, authorization
            )
            if status != 200 or b'"held"' not in answer:
                raise AssertionError(f"the server answered {status}: {answer[:300]!r}")

    began = time.perf_counter()
    try:
        await asyncio.gather(*map(drive, lanes))
        return len(people) / (time.perf_counter() - began)
    finally:
        for connection in opened.values():
            await connection.close()


def _question(fleet: Fleet, ledger: str, tap: dict[str, Any]) -> tuple[bytes, str]:
    """The body and the ``Authorization`` of one question."""
    body = encode_hold(
        HoldQuestion(
            nonce=tap["nonce"],
            card=tap["card"],
            offer=ONLINE_OFFER,
            offer_version=1,
            quantity=1,
            companions=0,
            venue="M01",
            ts_ms=NOW_MS,
        )
    )
    signed = authorize(
        ledger, holds_path(ledger), NOW_MS, lambda message: fleet.sign(ledger, message), body
    )
    return body, signed
