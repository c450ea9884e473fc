"""Runs tests on mutants: one process that has loaded pytest, and a fork of it for every mutant.

``python -m tests.campaigns.mutant_child`` reads one JSON job a line from its input and answers one
JSON line each. A job names the module, the file with its mutated source and the tests; nothing of
the product may be loaded before the fork.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import hypothesis
import pytest

#: How a child of a fork says that all tests passed.
PASSED = 0
TIMED_OUT = "timeout"
#: Loaded once and not for every mutant: libraries alone, nothing that could be mutated.
PRELOADED = (
    "asyncio",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "fastapi",
    "httpx",
    "hypothesis.stateful",
    "hypothesis.strategies",
    "msgspec",
    "sqlite3",
    "sqlite_utils",
    "yaml",
    "zoneinfo",
)


class Swap(importlib.abc.MetaPathFinder):
    """Serves one module from another source."""

    def __init__(self, module: str, source: str) -> None:
        self._module, self._source = module, source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._module:
            return None
        found = importlib.machinery.PathFinder.find_spec(fullname, path)
        assert found is not None
        assert found.origin is not None
        return importlib.util.spec_from_file_location(
            fullname, found.origin, loader=_Loader(fullname, found.origin, self._source)
        )


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> object:  # type: ignore[override]
        return compile(self._source, self.get_filename(fullname), "exec", dont_inherit=True)


def try_tests(module: str, source: str, tests: list[str], output: Path) -> int:
    """In the fork: runs the tests on the changed module; never returns to the caller's loop."""
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.meta_path.insert(0, Swap(module, source))
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:randomly"]
    options += ["--hypothesis-profile", "mutants", "--tb", "line", "--assert", "plain"]
    return int(pytest.main([*options, *tests]))


def run(job: dict[str, str], tests: list[str], timeout_s: float, output: Path) -> str | int:
    """Exit code of the tests, ``timeout``, or the negative number of the signal that ended them."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.setpgrp()
            code = try_tests(job["module"], Path(job["source"]).read_text("utf-8"), tests, output)
        except BaseException:  # noqa: BLE001 - the fork must not go on in its parent's loop
            traceback.print_exc()
        finally:
            os._exit(code)
    deadline = time.monotonic() + timeout_s
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return TIMED_OUT
        time.sleep(0.01)


def main() -> None:
    # No shrinking: that it fails is enough. No chance: the same survivors in every run.
    hypothesis.settings.register_profile(
        "mutants",
        deadline=None,
        derandomize=True,
        database=None,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    for library in PRELOADED:
        importlib.import_module(library)
    output = Path(sys.argv[1])
    for line in sys.stdin:
        job = json.loads(line)
        started, answer = time.monotonic(), None
        for tests in job["tests"]:
            answer = run(job, tests, job["timeout_s"], output)
            if answer != PASSED:
                break
        took_s = round(time.monotonic() - started, 2)
        sys.stdout.write(json.dumps({"answer": answer, "took_s": took_s}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
