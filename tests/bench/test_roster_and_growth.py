"""The benches of roster and rules in small: every figure is there and computed from its samples."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from ledger.rules.catalogue import load_offers, load_venues
from redcard.bench.figures import NAMES
from redcard.bench.roster import bench_roster
from redcard.bench.rules import growth


def test_the_roster_in_small(tmp_path: Path) -> None:
    found = {one.name: one for one in bench_roster(tmp_path, cards=3_000, lookups=200)}
    assert list(found) == [
        "roster_lookup_p99",
        "roster_disk",
        "roster_resident",
        "roster_delta_400",
    ]
    assert found["roster_disk"].met
    assert found["roster_resident"].met
    assert found["roster_delta_400"].met
    assert all(one.value > 0 for one in found.values())
    assert list(tmp_path.iterdir()) == []
    assert "roster" in NAMES


def test_a_tap_after_a_long_ledger_in_small() -> None:
    data = files("redcard") / "demo_data"
    venues = load_venues((data / "venues.json").read_bytes())
    offers = [b"[", (data / "offers.json").read_bytes().strip()[1:]]
    catalogue = load_offers(b"".join(offers).replace(b'"DS-E-016"', b'"DS-E-016-1"'), venues=venues)
    figure = growth(catalogue, 200, 20)
    assert figure.value > 0
    assert figure.met is (figure.ratio <= figure.reach)
