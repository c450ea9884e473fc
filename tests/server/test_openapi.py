"""Every operation of the OpenAPI document, probed by schemathesis over real HTTP: never a 5xx."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.server.running import child
from tests.server.world import Time, enrol, open_core, push

EXAMPLES = 15
#: A process that is asked for more than it takes in says so; that is no fault.
BUSY = {429, 503}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Address of a server with a ledger in it, and the ledger's id."""
    home = tmp_path_factory.mktemp("openapi") / "server"

    async def furnish() -> str:
        time = Time()
        async with await open_core(home, time) as core:
            terminal = await enrol(core, "kiosk", time)
            terminal.redeem(1, "n1")
            await push(core, terminal)
            return terminal.ledger

    ledger = asyncio.run(furnish())
    with child(home) as (url, _process):
        yield url, ledger


def operations(url: str) -> list[Any]:
    import schemathesis

    schema: Any = schemathesis.openapi.from_url(f"{url}/openapi.json")
    return [one.ok() for one in schema.get_all_operations()]


def probe(operation: Any, url: str, ledger: str) -> set[int]:
    """Statuses that generated requests were answered with."""
    seen: set[int] = set()

    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def send(case: Any) -> None:
        for path in ({}, {"ledger": ledger}) if "ledger" in (case.path_parameters or {}) else ({},):
            case.path_parameters = {**(case.path_parameters or {}), **path}
            answer = case.call(base_url=url)
            seen.add(answer.status_code)
            if answer.status_code >= 400 and answer.status_code != 409:
                assert answer.headers["content-type"] == ["application/problem+json"], answer.text
                assert answer.json()["detail"]

    send()
    return seen


def test_no_operation_answers_with_a_fault(running: tuple[str, str]) -> None:
    url, ledger = running
    found = {f"{one.method} {one.path}": probe(one, url, ledger) for one in operations(url)}
    faults = {name: seen for name, seen in found.items() if any(s >= 500 for s in seen - BUSY)}
    assert faults == {}
    assert {"post /v1/logs/{ledger}/entries", "post /v1/enrol", "get /metrics"} <= found.keys()
    assert all(found.values())
