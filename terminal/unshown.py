"""After an interruption: what became of the tap that no page has shown.

A tap's nonce was noted before it could be recorded; a power cut may take the note, but not the
entry. So two traces are followed: notes without an answer shown, and the newest entry of the
position that is newer than the last one shown. The ledger decides.
"""

from __future__ import annotations

from ledger.errors import LogFault
from ledger.rules.windows import local
from terminal.answers import TapAnswer, Unshown
from terminal.errors import JournalFault
from terminal.journal import PENDING_AGE_MAX_MS, Pending
from terminal.parts import Parts
from terminal.wording import nothing_recorded, recorded_at, refused_at


def resolve(position: str, parts: Parts, venue: str) -> Unshown | None:
    """The newest tap of a position that its page has not shown, resolved by its nonce.

    Returns:
        What to show, or ``None`` when nothing was hidden, or the ledger cannot be read yet.
    """
    now_ms = parts.facts.time.now().now_ms
    parts.journal.forget_before(now_ms - PENDING_AGE_MAX_MS)
    try:
        candidates = [*parts.journal.pending(position), *_newer_entry(position, parts, now_ms)]
        if not candidates:
            return None
        newest = max(candidates, key=lambda tap: tap.ts_ms)
        for older in candidates:
            if older.nonce != newest.nonce:
                parts.journal.end(older.nonce)
        answer = parts.flow.recorded(newest.nonce)
    except (LogFault, JournalFault):
        return None
    return _shown(newest, answer, parts.facts.installed.venue(venue).zone)


def _newer_entry(position: str, parts: Parts, now_ms: int) -> list[Pending]:
    with parts.writer.turn:
        page = parts.writer.daybook.page(position)
        act = page.acts.get(page.last_tap)
    if act is None or act.seq <= parts.journal.shown(position) or not act.nonce:
        return []
    if act.ts_ms < now_ms - PENDING_AGE_MAX_MS:
        return []
    return [Pending(act.nonce, position, act.offer, act.ts_ms)]


def _shown(tap: Pending, answer: TapAnswer | None, zone: str) -> Unshown:
    if answer is None:
        return Unshown(tap.nonce, False, tap.offer, tap.ts_ms, nothing_recorded())
    clock_text = f"{local(answer.ts_ms, zone):%H:%M}"
    approved = answer.outcome == "approve"
    message = recorded_at(clock_text) if approved else refused_at(clock_text, answer.message)
    return Unshown(tap.nonce, True, answer.offer, answer.ts_ms, message, answer)
