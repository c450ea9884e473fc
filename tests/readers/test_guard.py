"""In continuous integration the real PC/SC stack must have been used, not merely tolerated."""

from __future__ import annotations

import pytest

from readers.virtual.vpcd import pcscd_available
from tests.conftest import IN_CI
from tests.readers.stack import demand_pcscd


def missing_from(items: list[pytest.Item]) -> list[str]:
    """Modules of which the run holds no test against pcscd."""
    held = {item.path.name for item in items if item.get_closest_marker("pcscd")}
    return sorted({"test_readers.py", "test_pcscd.py", "test_vpcd.py"} - held)


def test_continuous_integration_runs_the_pcscd_suite(request: pytest.FixtureRequest) -> None:
    """``demand_pcscd`` fails in CI where it skips elsewhere, so tests held are tests run."""
    narrowed = any(".py" in argument for argument in request.config.args)
    if IN_CI and not narrowed:
        assert pcscd_available() is None
        assert missing_from(request.session.items) == []


def test_a_run_without_the_suite_is_noticed(request: pytest.FixtureRequest) -> None:
    others = [item for item in request.session.items if not item.get_closest_marker("pcscd")]
    assert missing_from(others) == ["test_pcscd.py", "test_readers.py", "test_vpcd.py"]


def test_a_missing_pcscd_fails_in_ci_and_is_named_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.readers.stack.pcscd_available", lambda: "pcscd is not installed")
    monkeypatch.setattr("tests.readers.stack.IN_CI", True)
    with pytest.raises(pytest.fail.Exception, match="CI must run"):
        demand_pcscd()
    monkeypatch.setattr("tests.readers.stack.IN_CI", False)
    with pytest.raises(pytest.skip.Exception, match="NOT TESTED"):
        demand_pcscd()
