"""``docs/protocol.md`` names everything that the code puts on the wire."""

from __future__ import annotations

from pathlib import Path

import pytest

from sync import asking, envelope, protocol, roster, roster_delta, snapshot, trust
from sync.feed import Reason, Verdict

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text("utf-8")

WORDS = [
    *(word.value for word in protocol.StatusWord),
    *(verdict.value for verdict in Verdict),
    *(reason.value for reason in Reason),
    *roster.STATUSES,
    protocol.BATCH_MEDIA_TYPE,
    protocol.PROBLEM_MEDIA_TYPE,
    protocol.SIZE_MEDIA_TYPE,
    protocol.TIME_HEADER,
    protocol.STATE_HEADER,
    protocol.SIZE_HEADER,
    protocol.ENROL_PATH,
    protocol.TUF_PATH,
    *(word.value for word in asking.Word),
    asking.HOLD_FORMAT,
    asking.LEASE_FORMAT,
    asking.ANSWER_FORMAT,
    asking.QUESTION_MEDIA_TYPE,
    f"{asking.QUESTION_BYTES_MAX:,} bytes",
    envelope.FILES_PATH,
    envelope.PART_MEDIA_TYPE,
    trust.SIGNED_MS_FIELD,
    snapshot.DELTAS_FIELD,
    snapshot.DELTAS_PATH,
    roster.MAGIC.decode(),
    roster_delta.MAGIC.decode(),
    f"{protocol.BATCH_ENTRIES_MAX} entries",
    f"{protocol.CHECKPOINT_BYTES_MAX:,} bytes",
    f"{protocol.RECORDS_PER_PAGE_MAX} records",
    f"{protocol.PAGE_BYTES_MAX:,} bytes",
    f"{envelope.PARTS_MAX:,} parts",
]


@pytest.mark.parametrize("word", WORDS)
def test_the_page_names(word: str) -> None:
    assert word in PAGE


def test_the_paths_are_those_of_the_page() -> None:
    ledger = "{ledger}"
    assert f"POST {protocol.entries_path(ledger)}" in PAGE
    assert protocol.judgements_path(ledger, 0).replace("=0", "=REVISION") in PAGE
    assert protocol.feed_path(ledger, 0).replace("=0", "=NUMBER") in PAGE
    assert f"POST {asking.holds_path(ledger)}" in PAGE
    assert f"POST {asking.leases_path(ledger)}" in PAGE
