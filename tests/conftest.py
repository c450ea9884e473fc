"""What all tests share: nothing may be skipped in CI, and the real stacks must have been used."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"} or "REDCARD_TESTS" in os.environ

# A loaded machine is no failed property: time is measured by the bench, never by a test. A check of
# a change draws the same examples every time, so that it fails for the change alone; a developer's
# own run and the campaigns draw new ones.
settings.register_profile("redcard", deadline=None, derandomize=IN_CI)
settings.load_profile("redcard")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turns a skip into a failure in CI: what is missing must be installed."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}; script/bootstrap test must install it"
    return report
