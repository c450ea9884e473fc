"""Disks that fail, fill up, or cannot be written; and processes that are killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.faults.shim import FAST, ROOT, build, environment
from tests.ledger.log.ledgers import reopen

#: Few here; the campaign raises it.
KILLS = 20


def test_every_write_and_flush_may_fail(tmp_path: Path) -> None:
    library = build(tmp_path)
    folder = Path(tempfile.mkdtemp(prefix="sweep", dir=FAST))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.sweep", str(library), str(folder)],
            env=environment(library, folder / "life"),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        shutil.rmtree(folder)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["hit"] > 200
    assert counts["lost"] == 0, "acknowledged, but not there after a restart"
    assert counts["unready"] == 0, "an append was accepted after one whose outcome is unknown"
    assert counts["appeared"] > 0, "a failed flush leaves what was written; it must be found"
    assert counts["full"] > 0


def test_kill_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    path, acks = tmp_path / "ledger.db", tmp_path / "acks"
    acks.touch()
    found = 0
    for number in range(KILLS):
        worker = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.worker", "FULL", path, acks, "0"], cwd=ROOT
        )
        before, deadline = acks.stat().st_size, time.monotonic() + 30
        while acks.stat().st_size < before + 40 * (1 + number) and time.monotonic() < deadline:
            time.sleep(0.001)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        last = acks.read_bytes()[-40:]
        size, root = int.from_bytes(last[:8], "big"), last[8:]
        with reopen(path) as store:
            assert store.size >= size > found
            assert store.root_at(size) == root
            found = store.size
    assert found > KILLS * 10


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
