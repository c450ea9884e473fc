"""The bench of one exchange: both sides over one service, in turn."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from redcard.bench.apdu import RATIO_REACH, SIZES, bench_apdu
from redcard.bench.raw import ROUNDS
from redcard.errors import SurroundingsMissing
from tests.readers.stack import demand_pcscd


@pytest.mark.pcscd
def test_both_sides_over_a_service_of_its_own() -> None:
    """In a process of its own: pcsc-lite remembers the first service that a process asked."""
    demand_pcscd()
    done = subprocess.run(
        [sys.executable, "-m", "redcard", "bench", "apdu", "--json"],
        capture_output=True,
        check=True,
    )
    made = json.loads(done.stdout)["figures"]
    assert [one["name"] for one in made] == [f"apdu_{size}_p50" for size in SIZES]
    for one in made:
        assert one["reach"] == RATIO_REACH
        assert one["met"] is (one["value"] <= one["raw"] * RATIO_REACH)
        assert len(one["samples"]["raw"]) == len(one["samples"]["ours"]) == ROUNDS


def test_without_a_service_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("readers.virtual.vpcd.pcscd_available", lambda: "pcscd is not installed")
    with pytest.raises(SurroundingsMissing, match="pcscd is not installed"):
        bench_apdu(8)
