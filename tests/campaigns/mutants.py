"""The campaign ``mutants``: do the tests notice when the code is wrong?

Each mutant of ``mutation`` is loaded in place of its module, in a fork of a process that has pytest
loaded, and the module's fast tests run until one fails. Answers are kept, so that a stopped run
goes on where it was: a killed mutant stays killed while its source is the same, a survivor is
tried again when any of its tests has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from tests.campaigns.mutation import Mutant, mutants
from tests.campaigns.report import Budget, Report
from tests.campaigns.spared import SPARED

ROOT: Final = Path(__file__).parents[2]
STATE: Final = ROOT / "build" / "mutants.jsonl"
Targets = dict[str, tuple[tuple[str, ...], ...]]
PROCESSES: Final = 2
#: Modules of the rules without a decision in them: words, and records that other modules fill.
WITHOUT_RULES: Final = frozenset({"offer", "wording_zh", "wording_en", "__init__"})
TIMEOUT_S: Final = 60.0
#: Share of mutants that the tests must kill; those proved equivalent do not count.
SCORE_MIN: Final = 0.90

_SCENARIOS: Final = (
    "tests/scenario/test_scenarios.py",
    "--deselect",
    "tests/scenario/test_scenarios.py::test_scenario[rush_full]",
)


def _staged(package: str, folder: str, names: str, *last: tuple[str, ...]) -> Targets:
    """Own test first, then the folder, then what is slower: most mutants die early."""
    found: Targets = {}
    for line in names.split():
        name, _, own = line.partition("<")
        first = ((f"{folder}/{own}.py",),) if own else ()
        found[f"{package}.{name}"] = (*first, (folder,), *last)
    return found


#: Stages of tests by module; a mutant that survives one meets the next.
TARGETS: Final[Targets] = {
    **_staged(
        "ledger.rules",
        "tests/ledger/rules",
        """decide<test_decide limits<test_limits_and_usage windows<test_windows leases<test_leases
        usage<test_limits_and_usage voids<test_voids stock<test_leases choice
        reservations<test_reservations request
        catalogue<test_catalogue fields<test_catalogue terms<test_catalogue
        values<test_catalogue lines<test_catalogue holidays<test_windows messages<test_messages
        agents goods numbers dry_run""",
        _SCENARIOS,
    ),
    **_staged(
        "ledger.log",
        "tests/ledger/log",
        """canonical<test_canonical merkle<test_merkle note<test_note checkpoint<test_note
        proof<test_proof reading<test_store recovery<test_store stamping<test_stamping
        store<test_store commit<test_store export<test_store schema<test_store
        counter<test_counter keylist<test_papers receipt_check<test_papers day<test_papers
        table<test_papers disk<test_damage sealed<test_sealed shards<test_shards
        rotation<test_shards tiles<test_tiles tiles_export<test_tiles audit<test_audit
        audit_chunk<test_audit audit_course<test_audit audit_walk<test_audit
        audit_report<test_audit""",
    ),
    "ledger.entry": (("tests/ledger/log",), _SCENARIOS),
    "ledger.codes": (("tests/ledger/rules",), _SCENARIOS),
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
    stages: tuple[tuple[str, ...], ...]


class Answers:
    """What is known from this and earlier runs, in a file of one JSON line an answer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, dict[str, Any]] = {}
        self._guard = threading.Lock()
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
        with self._guard:
            self._known[key] = answer
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(answer) + "\n")


def run(budget: Budget) -> Report:
    """Tries mutants of the asked modules, all without a choice."""
    if budget.small:
        with tempfile.TemporaryDirectory(prefix="mutants") as place:
            return try_modules(["ledger.rules.voids"], budget, Answers(Path(place) / "answers"))
    modules = [name for name in TARGETS if not budget.only or name in budget.only]
    return try_modules(modules, budget, Answers(STATE))


def parts() -> tuple[str, ...]:
    """Names of the modules."""
    return tuple(TARGETS)


def try_modules(modules: Sequence[str], budget: Budget, answers: Answers) -> Report:
    """Tries ``budget.rounds`` mutants, spread evenly over the modules."""
    report = Report()
    tasks = list(_spread([task for module in modules for task in _tasks(module)], budget.rounds))
    fates: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="mutants") as place:
        _control(report, Path(place), modules, budget)
        if report.failures:
            return report
        _work(iter(tasks), fates, answers, budget, Path(place))
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
        yield Task(module, mutant, key, TARGETS[module])


def _spread(tasks: Sequence[Task], most: int) -> Iterator[Task]:
    if most >= len(tasks):
        yield from tasks
    else:
        yield from (tasks[len(tasks) * number // most] for number in range(most))


def _work(
    tasks: Iterator[Task], fates: dict[str, str], answers: Answers, budget: Budget, place: Path
) -> None:
    """Two processes, each fed by a thread of its own."""
    guard = threading.Lock()
    tests = _tests_as_they_are()

    def feed(number: int) -> None:
        with Child(place, number) as child:
            while True:
                with guard:
                    if not budget.more(len(fates)) or (task := next(tasks, None)) is None:
                        return
                if _reason(task):
                    fate = "equivalent"
                elif (known := answers.get(task.key, tests)) is not None:
                    fate = known
                else:
                    fate = "survived" if child.passes(task) else "killed"
                    answers.put(task.key, fate, tests, f"{task.module}:{task.mutant.name}")
                with guard:
                    fates[task.key] = fate

    feeders = [threading.Thread(target=feed, args=(number,)) for number in range(PROCESSES)]
    for feeder in feeders:
        feeder.start()
    for feeder in feeders:
        feeder.join()


class Child:
    """One process of ``mutant_child`` and the files between it and us."""

    def __init__(self, place: Path, number: int) -> None:
        self._source, self._output = place / f"{number}.source", place / f"{number}.output"

    def __enter__(self) -> Self:
        # What the tests demand of a whole installation is demanded by the tests, not here.
        environment = {k: v for k, v in os.environ.items() if k not in {"CI", "REDCARD_TESTS"}}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.campaigns.mutant_child", self._output],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def passes(self, task: Task) -> bool:
        """Whether all tests pass with the mutant in place."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._source.write_text(task.mutant.source, "utf-8")
        job = {
            "module": task.module,
            "source": str(self._source),
            "tests": task.stages,
            "timeout_s": TIMEOUT_S,
        }
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return bool(json.loads(self._process.stdout.readline())["answer"] == 0)


def _control(report: Report, place: Path, modules: Sequence[str], budget: Budget) -> None:
    """The code as it is must pass, or every mutant would look killed; a broken one must not."""
    module = "ledger.rules.voids"
    source = _source(module)
    broken = source.replace("original.age_ms < VOID_WINDOW_MS", "True")
    report.need(broken != source, "the control no longer fits ledger/rules/voids.py")
    with Child(place, PROCESSES) as child:
        for stages in {TARGETS[one][: 1 if budget.small else None] for one in modules}:
            whole = Mutant("as it is", "", "", "", source)
            passes = child.passes(Task(module, whole, "", stages))
            report.need(passes, f"the tests fail on the code as it is: {stages}")
        wrong = Task(module, Mutant("no window", "", "", "", broken), "", TARGETS[module][:1])
        report.controls["a void without its window"] = not child.passes(wrong)


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
