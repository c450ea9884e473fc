"""The benches: both sides are measured in one run, and the verdict follows from the numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from redcard.bench import large, paths
from redcard.bench.paths import bench_append, bench_verify, figure
from redcard.bench.raw import ROUNDS, RawAppend, Samples, Step, hash_leaves

NAMES = {"name", "value", "unit", "raw", "ratio", "reach", "met", "samples"}


@pytest.mark.parametrize(
    ("ours", "raw", "met"), [([3.0, 2.9], [2.0, 5.0], True), ([3.1], [2.0], False)]
)
def test_met_is_computed_from_the_best_rounds(
    ours: list[float], raw: list[float], met: bool
) -> None:
    made = figure("x", "us", ours, raw, 1.5)
    assert (made.value, made.raw, made.met) == (min(ours), min(raw), met)
    assert made.ratio == round(min(ours) / min(raw), 3)


def test_rates_are_better_when_larger() -> None:
    made = figure("x", "entries/s", [10.0, 40.0], [1.0, 2.0], 20.0, aim="at least")
    assert (made.value, made.raw, made.ratio, made.met) == (40.0, 2.0, 20.0, True)
    assert not figure("x", "entries/s", [39.0], [2.0], 20.0, aim="at least").met


def test_append_measures_both_sides_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "WARMING_COMMITS", 5)
    rounds: list[int] = []
    made = bench_append(tmp_path, commits=10, progress=lambda done, _: rounds.append(done))
    assert rounds == list(range(1, ROUNDS + 1))
    assert [one.name for one in made] == [
        "append_p50",
        "append_p99",
        "append_bare_p50",
        "group_commit_100",
        "file_bytes",
    ]
    for one in made:
        document = one.document()
        assert set(document) == NAMES
        assert one.value > 0
        assert one.raw > 0
    assert made[0].samples["raw"] == made[2].samples["raw"], "one run for all three"
    assert len(made[0].samples["raw"]) == len(made[0].samples["ours"]) == ROUNDS
    assert list(tmp_path.iterdir()) == []


def test_verify_measures_both_auditors(tmp_path: Path) -> None:
    made = bench_verify(tmp_path, entries=300, few=200)
    assert [(one.name, one.unit, one.reach) for one in made] == [
        ("verify_tree", "us/entry", 3.5),
        ("verify_tree_2", "us/entry", 1.6),
        ("verify_full", "us/entry", 8.0),
        ("verify_auditor", "us/entry", 30.0),
    ]
    assert all(len(one.samples["raw"]) == len(one.samples["ours"]) == ROUNDS for one in made)
    assert list(tmp_path.iterdir()) == []


def test_a_large_ledger_beside_a_small_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "WARMING_COMMITS", 3)
    made = large.bench_growth(tmp_path, small=300, large=2_000, commits=5)
    assert [(one.name, one.unit, one.reach) for one in made] == [
        ("append_1m_to_10k", "us", 1.1),
        ("open_after_crash_1m", "ms", 1.0),
    ]
    made += large.bench_proof(tmp_path, large=2_000, proofs=3)
    assert (made[-1].name, made[-1].raw) == ("proof_1m", 5.0)
    for one in made:
        assert set(one.document()) == NAMES
        assert one.met == (one.ratio <= one.reach)
        assert len(one.samples["raw"]) == len(one.samples["ours"]) == ROUNDS
        assert min(*one.samples["raw"], *one.samples["ours"]) > 0
    assert list(tmp_path.iterdir()) == []


def test_raw_appends_reach_the_file(tmp_path: Path) -> None:
    raw = RawAppend(tmp_path, b"record", 4)
    before = (tmp_path / "raw-append").stat().st_size
    (samples,) = Samples.of(Step(raw.append), count=3)
    data = (tmp_path / "raw-append").read_bytes()
    assert data[:19] == b"record" * 3 + b"\xff"
    assert len(data) == before, "the file is preallocated, it must not grow"
    raw.close()
    assert samples.quantile(0) <= samples.quantile(0.5) <= samples.quantile(1)
    assert samples.rate() > 0
    assert hash_leaves([b"a", b"b"]) > 0
