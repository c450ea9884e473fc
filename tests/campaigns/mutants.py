"""The campaign ``mutants``: do the tests notice when the code is wrong?

Each mutant of ``mutation`` is put in place of its code, in a fork of a process that has the tests
collected, and the tests that run its lines go until one fails, the quickest first. Answers are
kept, so that a stopped run goes on where it was: a killed mutant stays killed while its source is
the same, a survivor is tried again when any test has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from tests.campaigns.mutant_child import LOADING, PASSED
from tests.campaigns.mutation import Mutant, mutants
from tests.campaigns.report import Budget, Report
from tests.campaigns.spared import SPARED

ROOT: Final = Path(__file__).parents[2]
STATE: Final = ROOT / "build" / "mutants.jsonl"
Stages = tuple[tuple[str, ...], ...]
#: Modules without anything that could be wrong: words, and records that other modules fill.
WITHOUT_RULES: Final = frozenset({"offer", "wording_zh", "wording_en", "__init__"})
#: Share of mutants that the tests must kill; those proved equivalent do not count.
SCORE_MIN: Final = 0.90

#: Time of tests, on the code as it is, that one mutant may take; the quickest tests come first.
TESTS_S: Final = 8.0
_SCENARIOS: Final = (
    "tests/scenario/test_scenarios.py",
    "--deselect",
    "tests/scenario/test_scenarios.py::test_scenario[rush_full]",
)
_VOIDS: Final = "ledger.rules.voids"
_VOID_TESTS: Final = ("tests/ledger/rules/test_voids.py",)


def _modules(folder: str) -> list[str]:
    files = sorted((ROOT / folder).glob("*.py"))
    return [f"{folder.replace('/', '.')}.{f.stem}" for f in files if f.stem not in WITHOUT_RULES]


#: Stages of tests by module; a mutant that survives one meets the next.
TARGETS: Final[dict[str, Stages]] = {
    **dict.fromkeys(_modules("ledger/rules"), (("tests/ledger/rules",), _SCENARIOS)),
    **dict.fromkeys(_modules("ledger/log"), (("tests/ledger/log",), ("tests/ledger",))),
    **dict.fromkeys(_modules("ledger"), (("tests/ledger",), _SCENARIOS)),
    "sync.admission": (
        ("tests/sync/test_admission.py",),
        ("tests/sync/test_client.py", "tests/sync/test_schedules.py"),
    ),
}


@dataclass(frozen=True)
class Task:
    """A mutant to try."""

    module: str
    mutant: Mutant
    key: str


class Answers:
    """What is known from this and earlier runs, in a file of one JSON line an answer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, dict[str, Any]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        for line in path.read_text("utf-8").splitlines() if path.exists() else ():
            answer = json.loads(line)
            self._known[answer["key"]] = answer

    def get(self, key: str, tests: str) -> str | None:
        """``killed`` or ``survived``, if it still holds."""
        answer = self._known.get(key)
        if answer is None or (answer["fate"] == "survived" and answer["tests"] != tests):
            return None
        return str(answer["fate"])

    def put(self, key: str, fate: str, tests: str, name: str) -> None:
        """Keeps an answer."""
        answer = {"key": key, "fate": fate, "tests": tests, "name": name}
        self._known[key] = answer
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(answer) + "\n")


def run(budget: Budget) -> Report:
    """Tries mutants of the asked modules, all without a choice."""
    if budget.small:
        with tempfile.TemporaryDirectory(prefix="mutants") as place:
            answers = Answers(Path(place) / "answers")
            return try_modules({_VOIDS: (_VOID_TESTS,)}, budget, answers)
    asked = {name: one for name, one in TARGETS.items() if not budget.only or name in budget.only}
    return try_modules(asked, budget, Answers(STATE))


def parts() -> tuple[str, ...]:
    """Names of the modules."""
    return tuple(TARGETS)


def try_modules(modules: dict[str, Stages], budget: Budget, answers: Answers) -> Report:
    """Tries ``budget.rounds`` mutants, spread evenly over the modules."""
    report = Report()
    tasks = list(_spread([task for module in modules for task in _tasks(module)], budget.rounds))
    fates: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="mutants") as place:
        _control(report, Path(place))
        with Field(Path(place)) as field:
            _work(tasks, modules, fates, answers, budget, field)
            report.failures += field.failures
    for module in modules:
        _count(report, module, [task for task in tasks if task.module == module], fates)
    everything = Counter(fates.values())
    tried = everything["killed"] + everything["survived"]
    report.figures["mutants"] = tried
    report.figures["killed"] = everything["killed"]
    report.figures["equivalent"] = everything["equivalent"]
    if tried:
        score = everything["killed"] / tried
        report.figures["score"] = f"{score:.1%}"
        report.need(
            budget.small or score >= SCORE_MIN, f"{score:.1%} killed, {SCORE_MIN:.0%} must be"
        )
    return report


def _tasks(module: str) -> Iterator[Task]:
    for mutant in mutants(_source(module)):
        key = hashlib.sha256(f"{module}\0{mutant.source}".encode()).hexdigest()
        yield Task(module, mutant, key)


def _spread(tasks: Sequence[Task], most: int) -> Iterator[Task]:
    if most >= len(tasks):
        yield from tasks
    else:
        yield from (tasks[len(tasks) * number // most] for number in range(most))


def _work(
    tasks: Sequence[Task],
    modules: dict[str, Stages],
    fates: dict[str, str],
    answers: Answers,
    budget: Budget,
    field: Field,
) -> None:
    tests = _tests_as_they_are()
    for task in tasks:
        if field.failures or not budget.more(len(fates)):
            return
        if _reason(task):
            fate = "equivalent"
        elif (known := answers.get(task.key, tests)) is not None:
            fate = known
        else:
            fate = "survived" if field.survives(task, modules[task.module]) else "killed"
            if not field.failures:
                answers.put(task.key, fate, tests, f"{task.module}:{task.mutant.name}")
        fates[task.key] = fate


class Field:
    """The processes that try mutants, one for each set of tests, begun when it is needed."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._children: dict[tuple[str, tuple[str, ...]], Child] = {}
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children.values():
            child.close()

    def survives(self, task: Task, stages: Stages) -> bool:
        """Whether all tests pass with the mutant in place."""
        for paths in stages:
            where = task.module.partition(".")[0], paths
            if where not in self._children:
                number = len(self._children)
                self._children[where] = Child(self._place / str(number), *where)
            child = self._children[where]
            if child.fault:
                self.failures.append(f"the tests fail on the code as it is: {child.fault}")
                return True
            if not child.passes(task):
                return False
        return True


class Child:
    """One process of ``mutant_child`` and what it knows of its tests."""

    def __init__(self, place: Path, package: str, paths: tuple[str, ...]) -> None:
        self._source, output = place.with_suffix(".source"), place.with_suffix(".output")
        # What the tests demand of a whole installation is demanded by the tests, not here.
        environment = {k: v for k, v in os.environ.items() if k not in {"CI", "REDCARD_TESTS"}}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.campaigns.mutant_child", output, package, *paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        self._took_s: dict[str, float] = found.get("took_s", {})
        self._lines: dict[str, dict[str, list[str]]] = found.get("lines", {})
        #: The test that fails on the code as it is; empty if none does.
        self.fault = ""
        if not found.get("passed"):
            self.fault = found.get("failed") or output.read_text("utf-8")[-2_000:]

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def passes(self, task: Task) -> bool:
        """Whether all tests that run the mutant's lines pass with it in place."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        seen = self._who_runs(task)
        names = sorted(seen - {LOADING}, key=lambda name: self._took_s[name])
        loading = LOADING in seen
        if loading and not names:
            names = sorted(self._took_s, key=lambda name: self._took_s[name])
        names = list(self._affordable(names))
        if not names:
            return True
        self._source.write_text(task.mutant.source, "utf-8")
        job = {
            "module": task.module,
            "function": task.mutant.function,
            "source": str(self._source),
            "tests": names,
            "loading": loading,
        }
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return bool(json.loads(self._process.stdout.readline()) == PASSED)

    def _affordable(self, names: Sequence[str]) -> Iterator[str]:
        left_s = TESTS_S
        for name in names:
            left_s -= self._took_s[name]
            if left_s < 0:
                return
            yield name

    def _who_runs(self, task: Task) -> set[str]:
        lines = self._lines.get(task.module, {})
        if not task.mutant.function:
            return {LOADING, *(one for names in lines.values() for one in names)} - {""}
        first, last = task.mutant.lines
        return {one for line in range(first, last + 1) for one in lines.get(str(line), ())} - {""}


def _control(report: Report, place: Path) -> None:
    """A broken module must not pass, whichever way the fault is put in."""
    source = _source(_VOIDS)
    broken = source.replace("original.age_ms < VOID_WINDOW_MS", "True")
    report.need(broken != source, "the control no longer fits ledger/rules/voids.py")
    last = len(source.splitlines())
    child = Child(place / "control", "ledger", _VOID_TESTS)
    try:
        report.need(not child.fault, f"the tests fail on the code as it is: {child.fault}")
        for name, function in (("in its function", "decide_void"), ("when loaded", "")):
            mutant = Mutant("no window", "", "", "", broken, function, (1, last))
            caught = not child.passes(Task(_VOIDS, mutant, ""))
            report.controls[f"a void without its window, put in {name}"] = caught
        whole = Mutant("as it is", "", "", "", source, "", (1, last))
        report.need(child.passes(Task(_VOIDS, whole, "")), "the code as it is looks broken")
    finally:
        child.close()


def _source(module: str) -> str:
    return (ROOT / (module.replace(".", "/") + ".py")).read_text("utf-8")


def _count(report: Report, module: str, tasks: Sequence[Task], fates: dict[str, str]) -> None:
    found = Counter(fates[task.key] for task in tasks if task.key in fates)
    tried = found["killed"] + found["survived"]
    if tried:
        score = found["killed"] / tried
        report.figures[module] = f"{found['killed']} of {tried} killed, {score:.1%}"
    for task in tasks:
        if fates.get(task.key) == "survived":
            before, after = (" ".join(t.split()) for t in (task.mutant.before, task.mutant.after))
            report.notes.append(
                f"survivor {module}:{task.mutant.name}  {before[:90]}  ->  {after[:90]}"
            )


def _reason(task: Task) -> str:
    """Why a mutant cannot be told from the original; empty if it can."""
    mutant = task.mutant
    return SPARED.get((task.module, mutant.text, mutant.before, mutant.after), "")


def _tests_as_they_are() -> str:
    """Changes when any test does."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "tests").rglob("*")):
        if path.suffix in {".py", ".yaml", ".json"} and "campaign" not in path.as_posix():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
