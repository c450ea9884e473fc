"""The server's bench at its smallest: every figure is there, of both sides."""

from __future__ import annotations

from pathlib import Path

import pytest

from redcard.bench.ingest import rounds
from redcard.bench.postgres import binaries


@pytest.mark.skipif(binaries() is None, reason="PostgreSQL is not installed")
def test_every_figure_has_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "ROUNDS", 1)
    monkeypatch.setattr(rounds, "TERMINALS", 2)
    tiny = rounds.Scale(batches=1, stored=0, grown=0, cards=4_000)
    steps: list[tuple[int, int]] = []
    found = rounds.bench_ingest(
        tmp_path,
        tiny,
        lambda done, all_: steps.append((done, all_)),
        ("small", "online", "status"),
    )
    names = [one.name for one in found]
    assert names == [
        "ingest_of_one",
        "judging",
        "online_rate",
        "online_processor",
        "status_of_all_cards",
        "status_400_changes",
    ]
    assert steps[-1][0] == steps[-1][1]
    for one in found:
        assert one.raw > 0
        assert one.samples["ours"]
        assert one.samples["raw"]
