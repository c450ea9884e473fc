"""The campaign ``fuzz``: whatever bytes come, a parser raises only what it declares."""

from __future__ import annotations

import time
import traceback

from tests.campaigns.inputs import Damage
from tests.campaigns.parsers import PARSERS, Parser
from tests.campaigns.report import Budget, Report

#: A parser that needs longer for one input is slow enough to be named.
SLOW_MS = 100.0


def parts() -> tuple[str, ...]:
    """Names of the parsers."""
    return tuple(PARSERS)


def run(budget: Budget) -> Report:
    """``budget.rounds`` inputs for each parser."""
    report = Report()
    names = [name for name in PARSERS if not budget.only or name in budget.only]
    for number, name in enumerate(names):
        budget.say(name)
        # What one leaves of its time, the others have.
        fuzz(name, PARSERS[name], budget.share(len(names)), seed=number, report=report)
    report.controls["a parser that forgets to check a length"] = _control()
    return report


def fuzz(name: str, parser: Parser, budget: Budget, *, seed: int, report: Report) -> None:
    """Feeds one parser; the first undeclared error of each kind is reported with its input."""
    seeds = parser.seeds()
    for good in seeds:
        parser.read(good)
    damage = Damage(seeds, seed)
    done = refused = 0
    slowest = 0.0
    undeclared: dict[str, str] = {}
    while budget.more(done) and len(undeclared) < 5:
        data = damage.next()
        started = time.perf_counter()
        try:
            parser.read(data)
        except parser.declared:
            refused += 1
        except Exception as error:  # noqa: BLE001 - it is what is looked for
            place = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} at {place.filename.rpartition('/')[2]}:{place.lineno}"
            undeclared.setdefault(kind, f"{error} on {data.hex()[:400]}")
        slowest = max(slowest, time.perf_counter() - started)
        done += 1
    report.figures[name] = f"{done:,} inputs, {refused:,} refused, slowest {slowest * 1000:.1f} ms"
    for kind, what in undeclared.items():
        report.failures.append(f"{name}: {kind}: {what}")
    if slowest * 1000 > SLOW_MS:
        report.notes.append(f"{name}: one input took {slowest * 1000:.0f} ms")


def _control() -> bool:
    def careless(data: bytes) -> int:
        """Reads as many bytes as the second one says."""
        return data[1 + data[1]] if len(data) > 1 else 0

    found = Report()
    broken = Parser(careless, (), lambda: [b"\x70\x03abc"])
    fuzz("careless", broken, Budget(2_000), seed=1, report=found)
    return any("IndexError" in failure for failure in found.failures)
