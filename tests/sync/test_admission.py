from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.log.merkle import Frontier
from sync.admission import (
    Admission,
    Admitted,
    Fork,
    Gap,
    Inconsistent,
    LedgerState,
    LogState,
    Malformed,
    Refused,
    Replay,
    admit,
)
from sync.protocol import Batch, StatusWord
from tests.sync.signed_log import SignedLog, ledger_name

LEDGER = ledger_name(3)


def log(size: int, *, word: str = "e", seed: str = "t") -> SignedLog:
    made = SignedLog(LEDGER, seed)
    made.grow(size, word=word)
    return made


def batch(source: SignedLog, start: int, stop: int) -> Batch:
    return Batch(source.ledger, start, tuple(source.stored[start:stop]), source.notes[stop])


def state(held: SignedLog, standing: LedgerState = LedgerState.OK) -> LogState:
    return LogState(
        ledger=held.ledger,
        origin=held.origin,
        vkeys=(),
        size=held.size,
        root=held.frontier.root(),
        frontier=held.frontier,
        state=standing,
    )


def run(held: SignedLog, came: Batch, standing: LedgerState = LedgerState.OK) -> Admission:
    leaves = held.leaves()
    return admit(state(held, standing), came, lambda a, b: leaves[a:b], [held.verifier])


@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20))
def test_every_honest_batch_is_replayed_continued_or_asked_for(
    held_size: int, start: int, count: int
) -> None:
    source = log(40)
    held = source.copy_at(held_size)
    got = run(held, batch(source, start, start + count))
    if start + count <= held_size:
        assert got == Replay(start + count)
    elif start > held_size:
        assert got == Gap(held_size)
    else:
        assert isinstance(got, Admitted)
        assert got.old_size == held_size
        assert list(got.entries) == source.stored[held_size : start + count]
        assert got.frontier == source.copy_at(start + count).frontier
        assert got.root == got.frontier.root()
        assert got.checkpoint == source.notes[start + count]


def test_another_key_cannot_harm_a_ledger() -> None:
    held = log(5)
    for came in (batch(log(7, seed="thief", word="x"), 2, 7), Batch(LEDGER, 0, (b"e",), b"junk")):
        got = run(held, came)
        assert isinstance(got, Refused)
        assert got.word is StatusWord.UNSIGNED
        assert got.evidence is None


def test_a_different_history_is_a_fork_whatever_its_length() -> None:
    common = log(5)
    ours, theirs = common.copy_at(5), common.copy_at(5)
    ours.grow(3, word="ours")
    theirs.grow(9, word="theirs")
    for start, stop in ((5, 14), (5, 8), (5, 6), (2, 7), (0, 14)):
        got = run(ours, batch(theirs, start, stop))
        assert isinstance(got, Fork), (start, stop)
        assert got.evidence.checkpoint == theirs.notes[stop]
        assert got.evidence.our_root == ours.copy_at(got.evidence.our_size).frontier.root()


def test_a_fork_below_the_batch_shows_as_inconsistent_until_sent_from_below() -> None:
    common = log(5)
    ours, theirs = common.copy_at(5), common.copy_at(5)
    ours.grow(3, word="ours")
    theirs.grow(9, word="theirs")
    assert isinstance(run(ours, batch(theirs, 8, 14)), Inconsistent)
    assert isinstance(run(ours, batch(theirs, 5, 14)), Fork)


@pytest.mark.parametrize("start", [0, 3, 5])
@pytest.mark.parametrize("changed", [0, -1])
def test_entries_altered_on_the_way_never_quarantine(start: int, changed: int) -> None:
    source = log(9)
    held = source.copy_at(5)
    good = batch(source, start, 9)
    entries = list(good.entries)
    entries[changed] = b"altered"
    got = run(held, Batch(LEDGER, start, tuple(entries), good.checkpoint))
    assert isinstance(got, Inconsistent)
    assert got.evidence.entries == tuple(entries)
    assert isinstance(run(held, good), Admitted)


def test_a_held_range_with_altered_entries_is_inconsistent() -> None:
    source = log(9)
    good = batch(source, 3, 6)
    entries = (b"altered", *good.entries[1:])
    assert isinstance(run(source, Batch(LEDGER, 3, entries, good.checkpoint)), Inconsistent)


def test_a_batch_must_end_at_its_checkpoint_and_be_of_this_ledger() -> None:
    source = log(9)
    held = source.copy_at(3)
    short = Batch(LEDGER, 3, tuple(source.stored[3:8]), source.notes[9])
    assert isinstance(run(held, short), Malformed)
    moved = Batch(LEDGER, 2, tuple(source.stored[3:9]), source.notes[9])
    assert isinstance(run(held, moved), Malformed)
    other = Batch(ledger_name(4), 3, tuple(source.stored[3:9]), source.notes[9])
    assert isinstance(run(held, other), Malformed)


def test_limits_hold_whatever_the_codec_let_through() -> None:
    held = log(1)
    source = held.copy_at(1)
    source.commit(*(b"e" for _ in range(501)))
    assert isinstance(run(held, batch(source, 1, 502)), Malformed)
    large = held.copy_at(1)
    large.commit(b"x" * (1 << 20), b"y")
    assert isinstance(run(held, batch(large, 1, 3)), Malformed)
    assert isinstance(run(held, Batch(LEDGER, 1, (), held.notes[1])), Malformed)


def test_a_note_that_only_others_signed_is_unsigned() -> None:
    held = log(3)
    came = batch(log(5), 3, 5)
    leaves = held.leaves()
    got = admit(state(held), came, lambda a, b: leaves[a:b], [])
    assert isinstance(got, Refused)
    assert got.word is StatusWord.UNSIGNED


def test_a_signed_note_that_is_no_checkpoint_is_malformed() -> None:
    from ledger.log.note import sign_note

    held = log(3)
    note = sign_note("hello\n", [held.signer])
    assert isinstance(run(held, Batch(LEDGER, 3, (b"e",), note)), Malformed)


def test_an_unknown_or_malformed_entry_under_a_signed_root_is_admitted_raw() -> None:
    held = log(3)
    source = held.copy_at(3)
    source.commit(b"\xff\x00 not json", b"", b'{"kind":"from_the_future"}')
    got = run(held, batch(source, 3, 6))
    assert isinstance(got, Admitted)
    assert got.entries[0] == b"\xff\x00 not json"


def test_retired_and_lost_ledgers_are_still_admitted() -> None:
    source = log(6)
    held = source.copy_at(4)
    for standing in (LedgerState.REVOKED_RETIRED, LedgerState.REVOKED_LOST):
        got = run(held, batch(source, 4, 6), standing)
        assert isinstance(got, Admitted)
        assert got.after_revocation
        assert run(held, batch(source, 1, 3), standing) == Replay(3)
    ok = run(held, batch(source, 4, 6))
    assert isinstance(ok, Admitted)
    assert not ok.after_revocation


def test_a_compromised_ledger_is_evidence_only() -> None:
    source = log(6)
    held = source.copy_at(4)
    got = run(held, batch(source, 4, 6), LedgerState.REVOKED_COMPROMISED)
    assert isinstance(got, Refused)
    assert (got.word, got.reason) == (StatusWord.REVOKED, "compromised")
    assert got.evidence is not None
    assert got.evidence.entries == tuple(source.stored[4:6])
    assert run(held, batch(source, 1, 3), LedgerState.REVOKED_COMPROMISED) == Replay(3)


def test_a_quarantined_ledger_takes_nothing_but_answers_with_what_it_receipted() -> None:
    source = log(6)
    held = source.copy_at(4)
    fork = source.copy_at(4)
    fork.grow(2, word="x")
    fork.grow(2, word="x")
    for came in (batch(source, 4, 6), batch(fork, 4, 8)):
        got = run(held, came, LedgerState.QUARANTINED)
        assert isinstance(got, Refused)
        assert got.word is StatusWord.QUARANTINED
    assert run(held, batch(source, 1, 3), LedgerState.QUARANTINED) == Replay(3)


def test_a_stored_receipt_spares_reading_the_ledger_from_its_beginning() -> None:
    source = log(30)
    leaves, reads = source.leaves(), []

    def held(start: int, stop: int) -> list[bytes]:
        reads.append((start, stop))
        return list(leaves[start:stop])

    roots = {size: source.copy_at(size).frontier.root() for size in (10, 20)}
    for size in (10, 20, 30):
        reads.clear()
        came = batch(source, size - 10, size)
        assert admit(state(source), came, held, [source.verifier], roots.get) == Replay(size)
        assert reads == [(size - 10, size)]


def test_an_empty_ledger_begins_at_nought() -> None:
    source = log(2)
    empty = SignedLog(LEDGER, "t")
    assert state(empty).frontier == Frontier()
    assert isinstance(run(empty, batch(source, 0, 2)), Admitted)
    assert run(empty, batch(source, 1, 2)) == Gap(0)
