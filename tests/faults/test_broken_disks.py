"""Disks that fail, fill up, or cannot be written; and processes that are killed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.kills import kill_loop
from tests.faults.shim import ROOT, build
from tests.faults.sweep import run_sweep

#: Few here; the campaign raises it.
KILLS = 20


def test_every_write_and_flush_may_fail(tmp_path: Path) -> None:
    counts = run_sweep(build(tmp_path))
    assert counts["hit"] > 200
    assert counts["lost"] == 0, "acknowledged, but not there after a restart"
    assert counts["unready"] == 0, "an append was accepted after one whose outcome is unknown"
    assert counts["appeared"] > 0, "a failed flush leaves what was written; it must be found"
    assert counts["full"] > 0


def test_kill_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    outcome = kill_loop(tmp_path, KILLS)
    assert outcome.kills == KILLS
    assert (outcome.lost, outcome.corrupt) == (0, 0), outcome
    assert outcome.entries > KILLS * 10


@pytest.mark.parametrize("scenario", ["full", "readonly"])
def test_disks_of_their_own(tmp_path: Path, scenario: str) -> None:
    mounted = tmp_path / "disk"
    mounted.mkdir()
    options = ["--mount"] if os.geteuid() == 0 else ["--mount", "--map-root-user"]
    inside = f'mount -t tmpfs -o size=8m none "{mounted}" && exec "$@"'
    command = ["unshare", *options, "sh", "-c", inside, "sh"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*command, "true"], check=False).returncode
    ):
        pytest.skip("no mount namespaces here: a small disk of its own cannot be made")
    script = [sys.executable, "-m", "tests.faults.small_disk", scenario, str(mounted)]
    done = subprocess.run(
        [*command, *script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "as it should be"
