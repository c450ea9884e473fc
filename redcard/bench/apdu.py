"""One exchange with a card through our driver beside the bare library, over a real card service.

A pcscd of our own with a virtual reader; both sides talk to the same powered card, in turn, with
commands of 16 and of 240 bytes. What the driver adds is its time limit, its errors and the layers
that every scheme talks through.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

from readers.apdu import CommandApdu
from readers.chaining import ResponseChaining
from readers.connection import Interface
from readers.pcsc_slot import PcscCard
from redcard.bench.paths import Figure
from redcard.bench.raw import ROUNDS, Samples, Step
from redcard.errors import SurroundingsMissing

EXCHANGES: Final = 400
RATIO_REACH: Final = 1.3
SIZES: Final = (16, 240)
APDU_TIMEOUT_MS: Final = 5_000
_CARD_WAIT_MS: Final = 15_000


class _Echo:
    """A card that sends back what it was sent."""

    atr: Final = bytes.fromhex("3B8180018080")
    interface: Final = Interface.CONTACTLESS

    def process(self, command: bytes) -> bytes:
        """The command's data."""
        return CommandApdu.parse(command).data + b"\x90\x00"

    def power_off(self) -> None:
        """Nothing to forget."""


def bench_apdu(
    exchanges: int = EXCHANGES, progress: Callable[[int, int], None] | None = None
) -> list[Figure]:
    """p50 of one exchange, ours and the library's, for each size.

    Args:
        exchanges: exchanges a round of each side, of ``ROUNDS`` rounds.
        progress: called with rounds done and rounds in all.

    Raises:
        SurroundingsMissing: no card service can be started here.
    """
    from readers.virtual.vpcd import Pcscd, VpcdSlot, pcscd_available

    if (reason := pcscd_available()) is not None:
        raise SurroundingsMissing(
            f"no card service to measure over: {reason}",
            next_step="sudo apt-get install pcscd vsmartcard-vpcd",
        )
    kept = dict(os.environ)
    try:
        with Pcscd("Bench") as service:
            os.environ.update(service.environment)
            place = VpcdSlot(service.ports[0])
            place.insert(_Echo())
            try:
                return _measured(service.reader_names[0], exchanges, progress)
            finally:
                place.remove()
    finally:
        os.environ.clear()
        os.environ.update(kept)


def _measured(
    reader: str, exchanges: int, progress: Callable[[int, int], None] | None
) -> list[Figure]:
    from readers.pcsc import open_slot

    slot = open_slot(reader, APDU_TIMEOUT_MS)
    try:
        slot.open()
        seen = None
        while seen is None or seen.presence.value != "card":
            seen = slot.wait(seen, _CARD_WAIT_MS)
        card = slot.connect()
        try:
            return [
                _figure(card, size, exchanges, number, progress)
                for number, size in enumerate(SIZES)
            ]
        finally:
            card.close()
    finally:
        slot.close()


def _figure(
    card: PcscCard,
    size: int,
    exchanges: int,
    number: int,
    progress: Callable[[int, int], None] | None,
) -> Figure:
    command = CommandApdu(0x80, 0xEE, 0, 0, bytes(size), 256).to_bytes()
    chained = ResponseChaining(card)
    bare: Callable[[], Any] = card.bare(command)
    steps = (Step(bare), Step(lambda: chained.transmit(command)))
    Samples.of(*steps, count=exchanges // 4)
    raws, ours = [], []
    for done in range(1, ROUNDS + 1):
        raw, mine = Samples.of(*steps, count=exchanges)
        raws.append(round(raw.quantile(0.5), 2))
        ours.append(round(mine.quantile(0.5), 2))
        if progress is not None:
            progress(number * ROUNDS + done, len(SIZES) * ROUNDS)
    value, limit = min(ours), min(raws)
    return Figure(
        name=f"apdu_{size}_p50",
        value=value,
        unit="us",
        raw=limit,
        ratio=round(value / limit, 3),
        reach=RATIO_REACH,
        met=value <= limit * RATIO_REACH,
        samples={"ours": ours, "raw": raws},
    )
