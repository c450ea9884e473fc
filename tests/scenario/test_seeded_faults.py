"""A fault put into rules, log, admission or judge is seen by a scenario: each file would notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import ledger.log.canonical
import ledger.rules.catalogue
import ledger.rules.decide
import ledger.rules.leases
import ledger.rules.limits
import ledger.rules.stock
import ledger.rules.usage
import ledger.rules.voids
import ledger.rules.windows
import server.judge
import sync.admission
from ledger.log.merkle import Frontier
from ledger.log.store import LogStore
from redcard.scenario.runner import run_files
from server.facts import Finding
from sync.admission import Replay
from sync.feed import Verdict

FOLDER = Path(__file__).parent.parent / "scenarios"


def nothing(*_: Any, **__: Any) -> None:
    return None


def true(*_: Any, **__: Any) -> bool:
    return True


def forgets_uses(self: Any, entry: Any, *, ledger: str = "") -> None:
    return None


def keeps_spent(self: Any, entry: Any) -> None:
    """A lease book that never counts what was taken."""
    if entry.get("kind") == "lease":
        self._grant(entry, str(entry["offer"]))


def admits_anything(log: Any, batch: Any, head: Any, leaves: Any, held: Any) -> Any:
    frontier = log.frontier.extend(leaves[log.size - batch.old_size :])
    return sync.admission.Admitted(
        old_size=log.size,
        entries=batch.entries[log.size - batch.old_size :],
        leaf_hashes=leaves[log.size - batch.old_size :],
        size=head.size,
        root=head.root,
        frontier=frontier,
        checkpoint=batch.checkpoint,
        after_revocation=False,
    )


def sees_no_fork(log: Any, batch: Any, head: Any, *_: Any) -> Any:
    return Replay(head.size)


def accepts_all(event: Any, *_: Any, **__: Any) -> Any:
    return Finding(event.position, Verdict.ACCEPTED)


def wrong_root(self: Frontier) -> bytes:
    return b"\0" * 32


def half_commit(self: LogStore, entries: Any) -> Any:
    """Says that all is durable and writes the first alone, voids not at all."""
    kept = [entry for entry in entries if entry["kind"] != "void"] or [
        {**entries[0], "kind": "decline"}
    ]
    return COMMIT(self, kept)


COMMIT = LogStore._commit

FAULTS: list[tuple[object, str, Callable[..., Any], str]] = [
    (ledger.rules.limits, "used_up", nothing, "case_02_second_tap"),
    (ledger.rules.limits, "re_entry", nothing, "reentry"),
    (ledger.rules.windows, "open_at", true, "case_36_weekdays_hours_holidays"),
    (ledger.rules.decide, "held_at", true, "case_31_32_venues_and_scope"),
    (ledger.rules.decide, "_lifts", true, "case_52_54_leases"),
    (ledger.rules.stock, "lease_holds", true, "case_52_54_leases"),
    (ledger.rules.usage.Usage, "apply", forgets_uses, "case_09_reversed"),
    (ledger.rules.leases.LeaseBook, "apply", keeps_spent, "case_52_54_leases"),
    (ledger.rules.catalogue, "_check_stock", nothing, "case_38_broken_rule"),
    (LogStore, "by_nonce", nothing, "case_03_same_nonce"),
    (LogStore, "voids_of", lambda self, seq: [], "case_61_to_65_voids"),
    (LogStore, "_commit", half_commit, "case_09_reversed"),
    (Frontier, "root", wrong_root, "case_02_second_tap"),
    (sync.admission, "_new_range", admits_anything, "case_71_tampered_batch"),
    (sync.admission, "_new_range", admits_anything, "case_81_restored_and_cloned_disks"),
    (sync.admission, "_held_range", sees_no_fork, "case_81_restored_and_cloned_disks"),
    (server.judge, "_judge_use", accepts_all, "case_68_two_offline_terminals"),
]


@pytest.mark.parametrize(
    ("place", "name", "fault", "scenario"),
    FAULTS,
    ids=[f"{name}-{scenario}" for _, name, _, scenario in FAULTS],
)
def test_a_seeded_fault_fails_a_scenario(
    monkeypatch: pytest.MonkeyPatch,
    place: object,
    name: str,
    fault: Callable[..., Any],
    scenario: str,
) -> None:
    path = FOLDER / f"{scenario}.yaml"
    assert run_files([path]).ok
    monkeypatch.setattr(place, name, fault)
    try:
        report = run_files([path])
    except Exception:  # noqa: BLE001 - a fault may also break the play itself
        return
    assert not report.ok


def test_a_window_off_by_one_second_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    original = ledger.rules.voids.decide_void

    def late(request: Any, found: Any, state: Any) -> Any:
        return original(request, replace(found, age_ms=max(0, found.age_ms - 1_000)), state)

    monkeypatch.setattr(ledger.rules.voids, "decide_void", late)
    assert not run_files([FOLDER / "case_61_to_65_voids.yaml"]).ok
