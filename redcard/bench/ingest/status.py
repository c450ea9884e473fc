"""How much a terminal fetches to know the exact status of every card."""

from __future__ import annotations

import hashlib
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from redcard.bench.paths import Figure, figure
from sync.roster import Roster, RosterEntry
from sync.roster_build import build_roster
from sync.roster_delta import make_delta

#: For 3.555 million cards; a smaller roster is held to its share of them.
CARDS: Final = 3_555_000
STATUS_BYTES_MAX: Final = 64 << 10
CHANGES_BYTES_MAX: Final = 2 << 10
CHANGES: Final = 400
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"


def status_figures(directory: Path, cards: int) -> list[Figure]:
    """The status of all cards with one in a hundred blocked, and a day of 400 changes.

    Args:
        directory: a folder on the disk to use.
        cards: in the roster; their share of 3.555 million is what the bytes are held to.
    """
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        paths = [Path(folder) / name for name in ("all-active", "blocked", "next-day")]
        drawn = random.Random(1)  # noqa: S311 - the same draw on every run
        changed = frozenset(drawn.sample(range(cards), CHANGES))

        def next_day(at: int) -> bool:
            return _hundredth(at) or at in changed

        days: tuple[Callable[[int], bool], ...] = (_none, _hundredth, next_day)
        for path, blocked in zip(paths, days, strict=True):
            records = (
                (card, RosterEntry("blocked" if blocked(at) else "active", f"{at + 1:016x}"))
                for at, card in enumerate(_cards(cards))
            )
            build_roster(path, records, version=1 + paths.index(path), as_of_ms=0, card_key_id="k1")
        whole, day = _bytes(paths[0], paths[1]), _bytes(paths[1], paths[2])
    share = STATUS_BYTES_MAX * cards / CARDS
    return [
        figure("status_of_all_cards", "bytes", [whole], [share], 1.0),
        figure("status_400_changes", "bytes", [day], [float(CHANGES_BYTES_MAX)], 1.0),
    ]


def _none(_at: int) -> bool:
    return False


def _hundredth(at: int) -> bool:
    """One in a hundred, as if drawn."""
    drawn = int.from_bytes(hashlib.sha256(at.to_bytes(4, "big")).digest()[:4], "big")
    return drawn * 100 < 1 << 32


def _cards(count: int) -> Iterator[str]:
    """Card hashes in ascending order, spread like hashes."""
    step = (1 << 128) // count
    for at in range(count):
        number = (at * step) << 2
        yield "".join(_LETTERS[number >> 5 * place & 31] for place in range(25, -1, -1))


def _bytes(older: Path, newer: Path) -> float:
    with Roster.open(older) as one, Roster.open(newer) as two:
        delta = make_delta(one, two)
    assert delta is not None, "these rosters have a delta"
    return float(len(delta))
