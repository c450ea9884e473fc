"""Plays scenarios and compares each step's answer with what its file expects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from ledger.errors import LedgerError
from redcard.scenario.document import Scenario, StepSpec, read_scenarios
from redcard.scenario.errors import DocumentInvalid, ScenarioError
from redcard.scenario.steps import perform
from redcard.scenario.world import World, opened
from sync.errors import SyncError


@dataclass(frozen=True, slots=True)
class Difference:
    """One answer that is not as expected.

    Attributes:
        step: number of the step from 1, its kind and line, as in ``3 tap (line 41)``.
        expected: what the file says, one value by its dotted path.
        got: what was answered.
    """

    step: str
    expected: str
    got: str


@dataclass(frozen=True, slots=True)
class Played:
    """One scenario after it was played."""

    scenario: str
    ok: bool
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """All scenarios of all files."""

    scenarios: tuple[Played, ...] = field(default_factory=tuple)

    @property
    def ok(self) -> bool:
        """Whether everything went as expected."""
        return all(one.ok for one in self.scenarios)

    def as_json(self) -> dict[str, object]:
        """The document of ``redcard scenario run --json``."""
        return {
            "scenarios": [
                {
                    "scenario": one.scenario,
                    "ok": one.ok,
                    "differences": [asdict(difference) for difference in one.differences],
                }
                for one in self.scenarios
            ]
        }

    def lines(self) -> Iterator[str]:
        """What a person reads: a line a scenario, and one for each difference."""
        for one in self.scenarios:
            yield f"{'ok  ' if one.ok else 'FAIL'}  {one.scenario}"
            for difference in one.differences:
                yield f"      {difference.step}: expected {difference.expected}"
                yield f"      {' ' * len(difference.step)}  got      {difference.got}"


def run_files(paths: Sequence[Path | str]) -> Report:
    """Plays all scenarios of some files.

    Args:
        paths: YAML files; each may hold several documents.

    Returns:
        The report; a file that cannot be read is a failed scenario that says why.
    """
    played: list[Played] = []
    for path in paths:
        place = Path(path)
        try:
            scenarios = list(read_scenarios(place.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, DocumentInvalid) as fault:
            played.append(_unread(str(place), str(fault)))
            continue
        if not scenarios:
            played.append(_unread(str(place), "the file holds no scenario"))
        played.extend(play(scenario, default=place.stem) for scenario in scenarios)
    return Report(tuple(played))


def play(scenario: Scenario, *, default: str = "") -> Played:
    """Plays one scenario from its start; a step that fails ends it."""
    differences: list[Difference] = []
    with opened(scenario) as world:
        for number, step in enumerate(scenario.steps, 1):
            label = f"{number} {step.kind} (line {step.line})"
            try:
                _advance(world, step)
                answer = perform(world, step)
            except (ScenarioError, LedgerError, SyncError) as fault:
                differences.append(Difference(label, "the step is done", str(fault)))
                break
            differences.extend(_compare(label, step, answer, scenario.zone))
    title = scenario.title or default
    return Played(title, not differences, tuple(differences))


def _unread(name: str, why: str) -> Played:
    return Played(name, ok=False, differences=(Difference("0", "a scenario file", why),))


def _advance(world: World, step: StepSpec) -> None:
    """Moves the true time; it never runs back."""
    now_ms = world.true_ms()
    wanted = now_ms + step.after_ms if step.at_ms is None else step.at_ms + step.after_ms
    if wanted < now_ms:
        raise DocumentInvalid("the time of a step lies before the step before it", line=step.line)
    world.time.now_ms = wanted


def _compare(
    label: str, step: StepSpec, answer: Mapping[str, object], zone: str
) -> Iterator[Difference]:
    expect: object = step.expect
    if isinstance(expect, list):
        # A bare list is what ``cases: all`` answers.
        expect = {"cases": expect}
    for path, wanted, got in subset(expect, answer, zone):
        yield Difference(label, f"{path}: {_shown(wanted)}", f"{path}: {_shown(got)}")
    for bound, sign in ((step.expect_min, ">="), (step.expect_max, "<=")):
        for path, wanted, got in _bounds(bound, answer, at_least=sign == ">="):
            yield Difference(label, f"{path} {sign} {_shown(wanted)}", f"{path}: {_shown(got)}")


def subset(
    expected: object, got: object, zone: str, path: str = ""
) -> Iterator[tuple[str, object, object]]:
    """Yields each place where an answer is not what was expected.

    Mappings are compared by the keys that are named, also inside lists; lists in length and order;
    instants as instants, however they are written.
    """
    if expected is None and path == "":
        return
    if isinstance(expected, Mapping):
        if not isinstance(got, Mapping):
            yield path, dict(expected), got
            return
        for key, wanted in expected.items():
            inner = f"{path}.{key}" if path else str(key)
            if key not in got and wanted is not None:
                yield inner, wanted, "nothing of this name"
            else:
                yield from subset(wanted, got.get(key), zone, inner or "value")
    elif isinstance(expected, list):
        if not isinstance(got, Sequence) or isinstance(got, str) or len(expected) != len(got):
            yield path, expected, got
            return
        for index, wanted in enumerate(expected):
            yield from subset(wanted, got[index], zone, f"{path}[{index}]")
    elif not _same(expected, got, zone):
        yield path, expected, got


def _same(expected: object, got: object, zone: str) -> bool:
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    if isinstance(expected, str) and isinstance(got, str) and expected != got:
        first, second = _instant(expected, zone), _instant(got, zone)
        return first is not None and first == second
    return expected == got


def _instant(text: str, zone: str) -> datetime | None:
    from zoneinfo import ZoneInfo

    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=ZoneInfo(zone))


def _bounds(
    bounds: object, got: object, *, at_least: bool, path: str = ""
) -> Iterator[tuple[str, object, object]]:
    if bounds is None:
        return
    if isinstance(bounds, Mapping):
        for key, bound in bounds.items():
            inner = f"{path}.{key}" if path else str(key)
            value = got.get(key) if isinstance(got, Mapping) else None
            yield from _bounds(bound, value, at_least=at_least, path=inner)
        return
    numbers = isinstance(bounds, int | float) and isinstance(got, int | float)
    if not numbers or not _within(bounds, got, at_least=at_least):
        yield path, bounds, got


def _within(bound: object, value: object, *, at_least: bool) -> bool:
    assert isinstance(bound, int | float)
    assert isinstance(value, int | float)
    return value >= bound if at_least else value <= bound


def _shown(value: object) -> str:
    if value is None:
        return "null"
    return str(value) if not isinstance(value, bool) else str(value).lower()
