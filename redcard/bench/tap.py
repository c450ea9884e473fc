"""From the card's last answer to green: our own code with its one flush, beside a raw flush.

The terminal is a whole one, with a roster of the city's 3.555 million cards mapped into memory;
the card is a virtual red card that signs as a real one does, but its own time is not counted.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ledger.rules.offer import Profile
from redcard.bench.paths import Figure
from redcard.bench.raw import ROUNDS, RawAppend, Samples, Step
from redcard.bench.terminal import OFFER, full_terminal
from terminal.entries import Place
from terminal.presenting import Presented
from terminal.service import TerminalService
from terminal.tap_order import TapOrder

ROSTER_CARDS: Final = 3_555_000
TAPS: Final = 200
#: What our own code may add to one flush, in microseconds.
ALLOWED_US: Final = 5_000.0


def bench_tap(
    directory: Path,
    cards: int = ROSTER_CARDS,
    taps: int = TAPS,
    progress: Callable[[int, int], None] | None = None,
) -> list[Figure]:
    """p50 and p99 of our own code from the card's last answer to the durable answer.

    Args:
        directory: a folder on the disk to measure; what is made there is removed again.
        cards: cards in the roster.
        taps: taps a round, of ``ROUNDS`` rounds.
        progress: called with rounds done and rounds in all.
    """
    place = Path(tempfile.mkdtemp(prefix="bench-", dir=directory))
    try:
        service, read = full_terminal(place, cards)
        try:
            ours, raws = _rounds(service, read, place, taps, progress)
        finally:
            service.close()
    finally:
        shutil.rmtree(place)
    return [_figure("tap_p50", 0.5, ours, raws), _figure("tap_p99", 0.99, ours, raws)]


def _rounds(
    service: TerminalService,
    read: Callable[[], Presented],
    place: Path,
    taps: int,
    progress: Callable[[int, int], None] | None,
) -> tuple[list[Samples], list[Samples]]:
    parts = service.parts
    raw = RawAppend(place, b"x" * 450, (ROUNDS + 1) * taps)
    ours, raws = [], []

    def tap() -> float:
        presented = read()
        order = TapOrder(
            place=Place("kiosk", "M01", "kiosk"),
            profile=Profile.KIOSK,
            offer=OFFER,
            nonce=parts.new_nonce(),
        )
        answer = parts.flow.run(order, presented)
        if not answer.green:
            raise AssertionError(f"the bench's own tap was answered with {answer.code}")
        return answer.own_ms / 1000

    for _ in range(taps // 4):
        tap()
    for number in range(ROUNDS):
        taken: list[float] = []
        limit: list[float] = []
        for _ in range(taps):
            limit += Samples.of(Step(raw.append), count=1)[0].seconds
            taken.append(tap())
        ours.append(Samples(tuple(sorted(taken))))
        raws.append(Samples(tuple(sorted(limit))))
        if progress is not None:
            progress(number + 1, ROUNDS)
    raw.close()
    return ours, raws


def _figure(name: str, part: float, ours: list[Samples], raws: list[Samples]) -> Figure:
    values = [round(one.quantile(part), 3) for one in ours]
    limits = [round(one.quantile(part), 3) for one in raws]
    value, limit = min(values), min(limits)
    reach = (limit + ALLOWED_US) / limit
    return Figure(
        name=name,
        value=value,
        unit="us",
        raw=limit,
        ratio=round(value / limit, 3),
        reach=round(reach, 3),
        met=value <= limit + ALLOWED_US,
        samples={"ours": values, "raw": limits},
    )
