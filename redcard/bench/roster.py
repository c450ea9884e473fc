"""The roster of the whole city on one terminal: look-up, size, memory, and a day's changes."""

from __future__ import annotations

import random
import re
import shutil
import tempfile
from base64 import b32encode
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from redcard.bench.paths import Figure
from redcard.bench.raw import ROUNDS, Samples, Step
from sync.roster import Roster, RosterEntry
from sync.roster_build import build_roster
from sync.roster_delta import make_delta

CARDS: Final = 3_555_000
LOOKUPS: Final = 5_000
CHANGES: Final = 400
LOOKUP_US: Final = 50.0
DISK_BYTES: Final = 100 * 1_000_000
RESIDENT_BYTES: Final = 16 * 1024 * 1024
DELTA_BYTES: Final = 64 * 1024
_RSS: Final = re.compile(r"^Rss: +(\d+) kB$", re.MULTILINE)


def bench_roster(
    directory: Path,
    cards: int = CARDS,
    lookups: int = LOOKUPS,
    progress: Callable[[int, int], None] | None = None,
) -> list[Figure]:
    """p99 of a look-up, bytes on disk and resident, bytes of a day's delta; ``raw`` is the limit.

    Args:
        directory: a folder on the disk to measure; what is made there is removed again.
        cards: cards in the roster, at random places.
        lookups: a round; half of them of cards that are not listed.
        progress: called with rounds done and rounds in all.
    """
    place = Path(tempfile.mkdtemp(prefix="bench-", dir=directory))
    chance = random.Random(1)  # noqa: S311 - a bench must be repeatable
    hashes = sorted({chance.randbytes(16) for _ in range(cards)})
    changed = frozenset(chance.sample(range(len(hashes)), min(CHANGES, len(hashes))))
    try:
        first = build_roster(
            place / "one", _records(hashes), version=1, as_of_ms=1, card_key_id="bench"
        )
        build_roster(
            place / "two",
            _records(hashes, changed),
            version=2,
            as_of_ms=2,
            card_key_id="bench",
            older=first.tables,
        )
        with Roster.open(place / "one") as one, Roster.open(place / "two") as two:
            delta = make_delta(one, two)
        taken, resident = [], []
        for number in range(ROUNDS):
            with Roster.open(place / "one") as roster:
                taken.append(_lookups(roster, hashes, chance, lookups))
                resident.append(float(_resident(place / "one")))
            if progress is not None:
                progress(number + 1, ROUNDS)
        size = float((place / "one").stat().st_size)
    finally:
        shutil.rmtree(place)
    return [
        _figure("roster_lookup_p99", "us", taken, LOOKUP_US, min),
        _figure("roster_disk", "bytes", [size], DISK_BYTES, max),
        _figure("roster_resident", "bytes", resident, RESIDENT_BYTES, max),
        _figure("roster_delta_400", "bytes", [float(len(delta or b""))], DELTA_BYTES, max),
    ]


def _records(
    hashes: Sequence[bytes], changed: frozenset[int] = frozenset()
) -> Iterator[tuple[str, RosterEntry]]:
    for index, data in enumerate(hashes):
        status = "blocked" if index % 100 == 0 or index in changed else "active"
        yield _card(data), RosterEntry(status, f"{index + 1:016x}", district=f"d{index % 16}")


def _card(data: bytes) -> str:
    return b32encode(data).decode("ascii").rstrip("=").lower()


def _lookups(roster: Roster, hashes: Sequence[bytes], chance: random.Random, lookups: int) -> float:
    asked = [
        _card(chance.randbytes(16) if number % 2 else chance.choice(hashes))
        for number in range(lookups)
    ]
    found = iter(asked)
    samples = Samples.of(Step(lambda: roster.lookup(next(found))), count=lookups)[0]
    return samples.quantile(0.99)


def _resident(path: Path) -> int:
    """Bytes of a mapped file in this process's memory."""
    maps = Path("/proc/self/smaps").read_text("utf-8")
    mine = maps.partition(f"{path}\n")[2]
    found = _RSS.search(mine)
    return int(found[1]) * 1024 if found is not None else 0


def _figure(
    name: str,
    unit: str,
    taken: list[float],
    allowed: float,
    pick: Callable[[list[float]], float],
) -> Figure:
    value = pick(taken)
    ratio = value / allowed
    samples = {"ours": [round(one, 3) for one in taken], "raw": [allowed]}
    met = 0 < ratio <= 1
    return Figure(name, round(value, 3), unit, allowed, round(ratio, 3), 1.0, met, samples)
