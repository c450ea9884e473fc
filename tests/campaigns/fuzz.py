"""The campaign ``fuzz``: whatever bytes come, a parser raises only what it declares, and in time.

Parsers are fed in shares, by as many processes as there are processors; the same number of rounds
gives the same inputs, however many processes there are.
"""

from __future__ import annotations

import multiprocessing
import os
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Final

from tests.campaigns.inputs import Damage
from tests.campaigns.parser import Parser
from tests.campaigns.parsers import PARSERS
from tests.campaigns.report import UNBOUNDED, Budget, Report

#: Inputs in one share; fewer in all are not worth other processes.
SHARE: Final = 50_000
UNDECLARED_MAX: Final = 5
#: How often a slow input is tried again: what the machine was busy with does not come back.
SLOW_TRIES: Final = 5


@dataclass(slots=True)
class Fed:
    """What came of one share.

    Attributes:
        name: the parser.
        done: inputs.
        refused: of them, those with a declared error.
        slowest_ms: the slowest input by the clock.
        undeclared: undeclared errors by kind and place, each with its first input.
        late: an input that took too long again and again, and how long.
    """

    name: str
    done: int = 0
    refused: int = 0
    slowest_ms: float = 0.0
    undeclared: dict[str, str] = field(default_factory=dict)
    late: dict[str, float] = field(default_factory=dict)

    def add(self, other: Fed) -> None:
        """Takes in another share of the same parser."""
        self.done += other.done
        self.refused += other.refused
        self.slowest_ms = max(self.slowest_ms, other.slowest_ms)
        self.undeclared = {**other.undeclared, **self.undeclared}
        self.late |= other.late


def parts() -> tuple[str, ...]:
    """Names of the parsers."""
    return tuple(PARSERS)


def run(budget: Budget) -> Report:
    """``budget.rounds`` inputs for each parser."""
    names = [name for name in PARSERS if not budget.only or name in budget.only]
    every: dict[str, Fed] = {name: Fed(name) for name in names}
    shares = list(_shares(names, budget))
    for fed in _in_processes(shares, budget) if len(shares) > len(names) else _here(shares, budget):
        every[fed.name].add(fed)
    report = Report()
    for fed in every.values():
        tell(fed, report)
    report.controls["a parser that forgets to check a length"] = _control()
    report.controls["a parser that takes its time"] = _slow_control()
    return report


@dataclass(frozen=True, slots=True)
class _Share:
    name: str
    seed: str
    rounds: int
    minutes: float | None


def _shares(names: list[str], budget: Budget) -> Iterator[_Share]:
    """All parsers' first shares, then their second ones; with minutes alone, one share each."""
    minutes = budget.share(len(names)).minutes
    if budget.rounds >= UNBOUNDED:
        for name in names:
            yield _Share(name, f"{name} 0", UNBOUNDED, minutes)
        return
    for number, start in enumerate(range(0, budget.rounds, SHARE)):
        rounds = min(SHARE, budget.rounds - start)
        for name in names:
            yield _Share(name, f"{name} {number}", rounds, minutes)


def _here(shares: list[_Share], budget: Budget) -> Iterator[Fed]:
    for share in shares:
        budget.say(share.name)
        yield feed(share.name, PARSERS[share.name], _budget(share), seed=share.seed)


def _in_processes(shares: list[_Share], budget: Budget) -> Iterator[Fed]:
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=os.cpu_count(), mp_context=fresh) as pool:
        running = [pool.submit(_feed_share, share) for share in shares]
        done = 0
        for one in as_completed(running):
            if budget.over():
                for late in running:
                    late.cancel()
            if one.cancelled():
                continue
            fed = one.result()
            done += 1
            budget.say(f"{done} of {len(shares)} shares of {SHARE:,}, last {fed.name}")
            yield fed


def _feed_share(share: _Share) -> Fed:
    return feed(share.name, PARSERS[share.name], _budget(share), seed=share.seed)


def _budget(share: _Share) -> Budget:
    return Budget(share.rounds, share.minutes)


def feed(name: str, parser: Parser, budget: Budget, *, seed: str) -> Fed:
    """Feeds one parser; the first undeclared error of each kind is kept with its input."""
    seeds = parser.seeds()
    for good in seeds:
        parser.read(good)
    damage = Damage(seeds, seed)
    fed = Fed(name)
    limit_s = parser.limit_ms / 1000
    slowest = 0.0
    while budget.more(fed.done) and len(fed.undeclared) < UNDECLARED_MAX:
        data = damage.next()
        started = time.perf_counter()
        try:
            parser.read(data)
        except parser.declared:
            fed.refused += 1
        except Exception as error:  # noqa: BLE001 - it is what is looked for
            place = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} at {place.filename.rpartition('/')[2]}:{place.lineno}"
            fed.undeclared.setdefault(kind, f"{error} on {data.hex()[:400]}")
        took = time.perf_counter() - started
        if took > slowest:
            slowest = took
            if took > limit_s and (again := _again(parser, data)) > limit_s:
                fed.late[data.hex()[:400]] = again * 1000
        fed.done += 1
    fed.slowest_ms = slowest * 1000
    return fed


def _again(parser: Parser, data: bytes) -> float:
    """The least processor time that an input takes, in seconds."""
    least = float("inf")
    for _ in range(SLOW_TRIES):
        started = time.thread_time()
        try:
            parser.read(data)
        except Exception:  # noqa: BLE001 - judged before; here it is timed
            pass
        least = min(least, time.thread_time() - started)
    return least


def tell(fed: Fed, report: Report) -> None:
    """Writes down what came of one parser."""
    report.figures[fed.name] = (
        f"{fed.done:,} inputs, {fed.refused:,} refused, slowest {fed.slowest_ms:.1f} ms"
    )
    for kind, what in fed.undeclared.items():
        report.failures.append(f"{fed.name}: {kind}: {what}")
    for what, took_ms in fed.late.items():
        report.failures.append(f"{fed.name}: {took_ms:.1f} ms on {what}")


def _control() -> bool:
    def careless(data: bytes) -> int:
        """Reads as many bytes as the second one says."""
        return data[1 + data[1]] if len(data) > 1 else 0

    broken = Parser(careless, (), lambda: [b"\x70\x03abc"])
    return any("IndexError" in kind for kind in _control_run(broken).undeclared)


def _slow_control() -> bool:
    def slow(data: bytes) -> None:
        end = time.thread_time() + len(data) / 1000
        while time.thread_time() < end:
            pass

    return bool(_control_run(Parser(slow, (), lambda: [bytes(4)], limit_ms=2.0), 5).late)


def _control_run(parser: Parser, rounds: int = 2_000) -> Fed:
    return feed("control", parser, Budget(rounds), seed="control")
