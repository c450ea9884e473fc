"""Runs tests on mutants: a process with all of them collected, and a fork of it for every mutant.

``python -m tests.campaigns.mutant_child OUTPUT PACKAGE TEST...`` answers one JSON line first: the
tests, how long each takes, and which lines of the package's modules each of them runs. Then it
reads one JSON job a line and answers one JSON line each: whether the tests named by the job pass.

A fault inside a function is put into the loaded function itself, so that a fork needs neither to
import nor to collect anything. A fault in what runs when its module is loaded is met by a fork of
a second process, in which nothing of the product is loaded yet.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

import coverage
import hypothesis
import pytest
from _pytest.config import _prepareconfig

#: How a fork says that all tests passed, and that the fault could not be put in.
PASSED, FAILED, MISFIT = 0, 1, 71
#: A test may take so many times what it took on the code as it is, and so much more.
PATIENCE, PATIENCE_S = 10, 5
#: Address space of a fork: a fault that never stops allocating must not take the machine with it.
MEMORY_BYTES: Final = 4 << 30
#: What runs before the first test: modules that are loaded.
LOADING: Final = "loading"
#: Loaded before the product: libraries alone, nothing that could be mutated.
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
#: The alarm that ends a test is ours: see ``_patient``.
OPTIONS: Final = (
    *("-x", "-q", "-s", "--tb", "line", "--assert", "plain", "--timeout", "0"),
    *("-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-profile", "mutants"),
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


class Tests:
    """Collected tests, to be run in a fork."""

    def __init__(self, paths: Sequence[str]) -> None:
        config = _prepareconfig([*OPTIONS, *paths])
        self._session = pytest.Session.from_config(config)
        config._do_configure()
        config.hook.pytest_sessionstart(session=self._session)
        config.hook.pytest_collection(session=self._session)
        self.by_id = {item.nodeid: item for item in self._session.items}

        self._beside: dict[str, list[str]] = {}
        for items in self._sharing().values():
            self._beside.setdefault(items[0], []).extend(items[1:])

    def _sharing(self) -> dict[int, list[str]]:
        """Tests by the fixtures that are made once for several of them."""
        found: dict[int, list[str]] = {}
        for name, item in self.by_id.items():
            for made in getattr(item, "_fixtureinfo").name2fixturedefs.values():  # noqa: B009
                if made[-1].scope != "function" and made[-1].baseid.startswith("tests"):
                    found.setdefault(id(made[-1]), []).append(name)
        return found

    def beside(self, name: str) -> Sequence[str]:
        """Tests that live on what the preparation of this one has made."""
        return self._beside.get(name, ())

    def run(self, names: Sequence[str], before: Callable[[str], None]) -> int:
        """Runs tests in this order until one fails."""
        self._session.items = [self.by_id[name] for name in names]
        self._session.testscollected = len(names)
        self._session.config.pluginmanager.register(_Each(before))
        try:
            self._session.config.hook.pytest_runtestloop(session=self._session)
        except (pytest.Session.Failed, pytest.Session.Interrupted):
            return FAILED
        return FAILED if self._session.testsfailed else PASSED


class _Each:
    def __init__(self, before: Callable[[str], None]) -> None:
        self._before = before

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._before(nodeid)


def survey(paths: Sequence[str], package: str, answer: int) -> int:
    """Runs every test once and writes who runs which lines; in a fork of its own."""
    watch = coverage.Coverage(data_file=None, include=[f"{package}/*"], config_file=False)
    watch.start()
    watch.switch_context(LOADING)
    started: list[tuple[str, float]] = []

    def before(name: str) -> None:
        started.append((name, time.monotonic()))
        watch.switch_context(name)

    tests = Tests(paths)
    code = tests.run(list(tests.by_id), before)
    started.append(("", time.monotonic()))
    watch.stop()
    took_s = {name: after - at for (name, at), (_, after) in itertools.pairwise(started)}
    data, lines = watch.get_data(), {}
    for file in data.measured_files():
        module = Path(file).relative_to(Path.cwd()).with_suffix("").as_posix().replace("/", ".")
        lines[module] = {
            line: sorted({one for name in names for one in (name, *tests.beside(name))})
            for line, names in data.contexts_by_lineno(file).items()
        }
    found = {"passed": code == PASSED, "failed": started[-2][0], "took_s": took_s, "lines": lines}
    with os.fdopen(answer, "w") as written:
        json.dump(found, written)
    return code


def put_in(module: str, name: str, source: str) -> bool:
    """Whether the function of that name now does what the source says."""
    loaded = sys.modules[module]
    assert loaded.__file__ is not None
    now = _codes(compile(Path(loaded.__file__).read_text("utf-8"), loaded.__file__, "exec"), name)
    then = _codes(compile(source, loaded.__file__, "exec", dont_inherit=True), name)
    if len(now) != len(then):
        return False
    done = 0
    for function in _functions(loaded, name):
        for old, new in zip(now, then, strict=True):
            if function.__code__ == old:
                if old.co_freevars != new.co_freevars:
                    return False
                function.__code__ = new
                done += 1
                break
    return done > 0 and done >= len(now)


def _codes(code: CodeType, name: str) -> list[CodeType]:
    """Functions of that qualified name in a module's code, in their order."""
    inner = [const for const in code.co_consts if isinstance(const, CodeType)]
    found = [one for one in inner if one.co_qualname == name]
    for one in inner:
        if name.startswith(f"{one.co_qualname}."):
            found += _codes(one, name)
    return found


def _functions(module: ModuleType, name: str) -> Iterator[FunctionType]:
    """Functions behind a qualified name, under whatever decorators they wear."""
    holder, _, last = name.rpartition(".")
    place: Any = module
    for part in holder.split(".") if holder else ():
        place = vars(place).get(part)
    todo, seen = [vars(place).get(last)] if place is not None else [], set[int]()
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, FunctionType):
            yield one
        for worn in ("fget", "fset", "fdel", "func", "__func__", "__wrapped__"):
            todo.append(getattr(one, worn, None))


def forked(run: Callable[[], int]) -> int | str:
    """Runs it in a fork; its exit code, or the signal that ended it."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.setpgrp()
            code = run()
        except BaseException:  # noqa: BLE001 - the fork must not go on in its parent's loop
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        try:
            os.killpg(child, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return signal.Signals(-code).name
    return code


def _patient(took_s: dict[str, float]) -> Callable[[str], None]:
    """The kernel ends a fork whose test does not end."""

    def before(name: str) -> None:
        signal.alarm(int(PATIENCE_S + PATIENCE * took_s.get(name, PATIENCE_S)))

    return before


def _warm(tests: Tests, job: dict[str, Any], took_s: dict[str, float]) -> int:
    if not put_in(job["module"], job["function"], Path(job["source"]).read_text("utf-8")):
        return MISFIT
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    return tests.run(job["tests"], _patient(took_s))


def _cold(job: dict[str, Any], took_s: dict[str, float]) -> int:
    sys.meta_path.insert(0, Swap(job["module"], Path(job["source"]).read_text("utf-8")))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.alarm(int(PATIENCE_S * PATIENCE))
    tests = Tests(list(dict.fromkeys(name.partition("::")[0] for name in job["tests"])))
    if tests.by_id.keys().isdisjoint(job["tests"]):
        return FAILED
    return tests.run([name for name in job["tests"] if name in tests.by_id], _patient(took_s))


def serve(paths: Sequence[str], took_s: dict[str, float], asked: int, answers: int) -> int:
    """Takes jobs for functions, with everything loaded."""
    tests = Tests(paths)
    with os.fdopen(asked) as jobs, os.fdopen(answers, "w") as said:
        for line in jobs:
            job = json.loads(line)
            said.write(f"{json.dumps(forked(lambda: _warm(tests, job, took_s)))}\n")  # noqa: B023
            said.flush()
    return 0


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
    output, package, paths = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    jobs, said = os.dup(0), os.dup(1)
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDWR), (2, os.O_RDWR)):
        target = os.devnull if number == 0 else output
        os.dup2(os.open(target, flags | os.O_CREAT | os.O_APPEND, 0o600), number)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        forked_code = 70
        try:
            forked_code = survey(paths, package, writing)
        except BaseException:  # noqa: BLE001 - as above
            traceback.print_exc()
        finally:
            os._exit(forked_code)
    os.close(writing)
    with os.fdopen(reading) as file:
        found = file.read()
    os.waitpid(child, 0)
    with os.fdopen(said, "w") as answers, os.fdopen(jobs) as lines:
        answers.write(f"{found or '{}'}\n")
        answers.flush()
        if found:
            _answer(paths, json.loads(found)["took_s"], lines, answers)


def _answer(paths: Sequence[str], took_s: dict[str, float], lines: Any, answers: Any) -> None:
    asked, warm_in = os.pipe()
    warm_out, replies = os.pipe()
    warm = os.fork()
    if warm == 0:
        os.close(warm_in)
        os.close(warm_out)
        try:
            serve(paths, took_s, asked, replies)
        finally:
            os._exit(0)
    os.close(asked)
    os.close(replies)
    with os.fdopen(warm_in, "w") as to_warm, os.fdopen(warm_out) as from_warm:
        for line in lines:
            job = json.loads(line)
            answer: int | str = MISFIT
            if job["function"]:
                to_warm.write(line)
                to_warm.flush()
                answer = json.loads(from_warm.readline())
            if answer == MISFIT or (answer == PASSED and job["loading"]):
                answer = forked(lambda: _cold(job, took_s))  # noqa: B023
            answers.write(f"{json.dumps(answer)}\n")
            answers.flush()
    os.waitpid(warm, 0)


if __name__ == "__main__":
    main()
