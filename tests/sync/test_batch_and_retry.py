from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.batch import next_batch
from sync.errors import BatchTooLarge
from sync.protocol import BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, decode_batch, encode_batch
from sync.retry import Backoff
from tests.sync.signed_log import SignedLog, ledger_name

LEDGER = ledger_name(2)


class Bounded(SignedLog):
    """As the stored log: None where no checkpoint ends a batch."""

    def checkpoint_for_batch(self, start: int, limit: int) -> tuple[int, bytes] | None:  # type: ignore[override]
        sizes = [size for size in self.notes if start < size <= start + limit]
        return (max(sizes), self.notes[max(sizes)]) if sizes else None


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=20),
    st.integers(0, 30),
    st.integers(40, 90),
)
def test_batches_cover_the_log_in_order_within_the_limit(
    commits: list[int], start: int, entries_max: int
) -> None:
    log = Bounded(LEDGER, "t")
    for size in commits:
        log.grow(size, per_commit=size)
    at = min(start, log.size)
    seen: list[bytes] = []
    while (batch := next_batch(log, at, entries_max=entries_max)) is not None:
        assert 1 <= len(batch.entries) <= entries_max
        assert batch.checkpoint == log.notes[batch.end]
        assert decode_batch(encode_batch(batch), ledger=LEDGER) == batch
        seen += batch.entries
        at = batch.end
    assert seen == log.stored[min(start, log.size) :]


def test_large_entries_end_the_batch_at_an_earlier_checkpoint() -> None:
    log = Bounded(LEDGER, "t")
    for number in range(400):
        log.commit(b"%04d" % number + b"x" * 4_090)
    sizes, at = [], 0
    while (batch := next_batch(log, at)) is not None:
        assert len(encode_batch(batch)) <= BATCH_BYTES_MAX
        sizes.append(len(batch.entries))
        at = batch.end
    assert sum(sizes) == 400
    assert sizes[0] < BATCH_ENTRIES_MAX


def test_checkpoints_too_far_apart_are_said_and_not_looped_over() -> None:
    log = Bounded(LEDGER, "t")
    log.commit(*(b"x" * 4_000 for _ in range(400)))
    with pytest.raises(BatchTooLarge, match="nothing was sent"):
        next_batch(log, 0)
    far = Bounded(LEDGER, "t")
    far.commit(*(b"x" for _ in range(600)))
    with pytest.raises(BatchTooLarge):
        next_batch(far, 0)


@given(st.integers(1, 200), st.floats(0, 1, exclude_max=True), st.integers(-5, 10**9))
def test_delays_stay_within_the_window_and_never_undercut_the_server(
    failures: int, fraction: float, retry_after_s: int
) -> None:
    backoff = Backoff()
    window = backoff.window_ms(failures)
    assert window <= backoff.cap_ms
    assert backoff.window_ms(failures) <= backoff.window_ms(failures + 1)
    delay = backoff.delay_ms(failures, fraction, retry_after_s=retry_after_s)
    asked = 1_000 * min(max(retry_after_s, 0), 86_400)
    assert asked <= delay <= asked + window


def test_the_window_doubles_to_its_cap() -> None:
    windows = [Backoff().window_ms(failures) for failures in (0, 1, 2, 3, 10, 11, 99)]
    assert windows == [1_000, 1_000, 2_000, 4_000, 512_000, 900_000, 900_000]
