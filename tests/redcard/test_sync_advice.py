from __future__ import annotations

import pytest

from redcard.commands.sync_advice import advice
from sync.uplink import SyncStatus


@pytest.mark.parametrize("state", ["never", *SyncStatus])
@pytest.mark.parametrize("pending", [0, 3])
def test_every_state_says_what_to_do_in_both_languages(state: str, pending: int) -> None:
    zh, en = advice(state, pending)
    assert zh
    assert en
    assert zh != en


def test_what_waits_is_told_and_what_is_well_asks_for_nothing() -> None:
    assert advice("ok", 0) != advice("ok", 2)
    assert "sync push" in advice("ok", 2)[1]
    assert "stop redeeming" in advice("quarantined", 2)[1]
    assert "停止核销" in advice("inconsistent", 0)[0]
    assert advice("a word of a later version", 1) == advice("refused", 1)
