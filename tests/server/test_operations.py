"""What Prometheus reads: figures of no person, with labels of our own words alone."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import httpx
import pytest

from server.app import create_app
from server.core import ServerCore
from tests.server.world import Time, card, enrol, member, play


def test_metrics_and_log_lines_name_no_person_and_no_ledger(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        terminal.redeem(1, "n1")
        terminal.redeem(1, "n2")
        transport = httpx.ASGITransport(app=create_app(core, judging=False))
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            path = f"/v1/logs/{terminal.ledger}/entries"
            answer = await client.post(path, content=terminal.body(0))
            assert answer.status_code == 200
            assert (await client.post(path, content=b"nothing")).status_code == 400
            assert (await client.get(f"/wp-admin/{card(1)}")).status_code == 404
            assert (await client.request("BREW", "/metrics")).status_code == 405
            text = (await client.get("/metrics")).text
            route = 'route="/v1/logs/{ledger}/entries"'
            assert f'redcard_requests_total{{method="POST",{route},status="200"}} 1.0' in text
            assert f'redcard_requests_total{{method="POST",{route},status="400"}} 1.0' in text
            assert 'method="other"' in text
            assert 'redcard_ledgers{state="ok"} 2.0' in text  # the server's own among them
            waiting = float(text.partition("\nredcard_entries_to_judge ")[2].split()[0])
            assert waiting >= 2
            await core.judge()
            text = (await client.get("/metrics")).text
            assert "redcard_entries_to_judge 0.0" in text
            assert 'redcard_cases_open{reason="over_member_limit"} 1.0' in text
            assert 'redcard_published_version{role="status"}' in text
            lines = [one.getMessage() for one in caplog.records if "requests" in one.name]
            assert json.loads(lines[0])["route"] == "/v1/logs/{ledger}/entries"
            for secret in (terminal.ledger, card(1), member(1), "n1"):
                assert secret not in text
                assert not any(secret in line for line in lines)

    with caplog.at_level(logging.INFO, "redcard.server.requests"):
        play(scenario, home)
