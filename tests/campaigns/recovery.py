"""The campaign ``recovery``: readers recover by themselves, and soon, from every fault.

Each fault is played on the real stack (pcscd with vpcd, nfcpy with a PN532 on a pseudo terminal),
in a process of its own. The median counts: a machine under load is slow now and then.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from typing import Final

from readers.virtual.vpcd import pcscd_available
from tests.campaigns.report import Budget, Report

#: From the moment that the cause is gone to the reader's recovery.
RECOVERY_S_MAX: Final = 2.0
ROUND_TIMEOUT_S: Final = 120


def run(budget: Budget) -> Report:
    """Plays all faults ``budget.rounds`` times."""
    report = Report()
    report.controls["a fault that takes longer is told"] = bool(_late({"slow": [0.1, 2.1, 3.0]}))
    if (reason := pcscd_available()) is not None:
        report.notes.append(f"NOT PLAYED: {reason}")
        return report
    found: dict[str, list[float]] = {}
    done = 0
    while budget.more(done):
        for name, times in _round().items():
            found.setdefault(name, []).extend(times)
        done += 1
    for name, times in found.items():
        report.figures[name] = (
            f"median {statistics.median(times):.2f} s, longest {max(times):.2f} s of {len(times)}"
        )
    if not budget.small:  # the least is about whether they recover at all
        report.failures += _late(found)
    return report


def _late(found: dict[str, list[float]]) -> list[str]:
    return [
        f"{name}: back after {statistics.median(times):.2f} s"
        for name, times in found.items()
        if statistics.median(times) > RECOVERY_S_MAX
    ]


def _round() -> dict[str, list[float]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.campaigns.recovery_child", "1"],
        capture_output=True,
        check=True,
        timeout=ROUND_TIMEOUT_S,
    )
    read: dict[str, list[float]] = json.loads(done.stdout)
    return read
