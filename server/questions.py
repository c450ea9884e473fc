"""Questions of a terminal while a card lies on its reader: who asks, the answer, its signature."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from ledger.codes import Code
from ledger.log.note import sign_note
from ledger.rules.offer import Decision
from server.core import ServerCore
from server.errors import DatabaseFault, RequestUnauthentic
from server.holding import refuses
from server.holds import lagging
from server.home import FEED
from server.online import HOLD_MS, Question
from server.refills import refill
from server.schema import ledgers, terminals
from sync.admission import LedgerState
from sync.asking import (
    Answer,
    Word,
    decode_hold,
    decode_lease,
    digest,
    encode_answer,
)
from sync.protocol import StatusWord, check_authorization

#: Longest that a refusal waits for stored entries to be judged that may yet give something back.
JUDGE_WAIT_S: Final = 0.5
_ATTEMPTS: Final = 3


async def origin_of_asker(
    core: ServerCore, ledger: str, *, header: str, target: str, body: bytes
) -> str:
    """The origin of the ledger whose terminal signed a question and may still ask.

    Args:
        core: the server.
        ledger: ledger id of the path.
        header: value of ``Authorization``.
        target: path as received.
        body: the question as received.

    Raises:
        TerminalUnknown: no such ledger.
        RequestUnauthentic: not signed by it, long ago, or its ledger is revoked or quarantined.
    """
    stored = await core.ingest.head(ledger)
    problem = check_authorization(
        header,
        ledger=ledger,
        target=target,
        now_ms=core.now_ms(),
        verify=lambda message, signature: any(
            one.verify(message, signature) for one in stored.verifiers
        ),
        body=body,
    )
    if problem is not None:
        raise RequestUnauthentic(problem.detail, word=problem.status_word)
    if stored.state.state is LedgerState.QUARANTINED:
        raise RequestUnauthentic(_BARRED, word=StatusWord.QUARANTINED)
    if stored.state.state is not LedgerState.OK:
        raise RequestUnauthentic(_BARRED, word=StatusWord.REVOKED)
    return stored.state.origin


async def answer_hold(core: ServerCore, ledger: str, origin: str, body: bytes) -> bytes:
    """Answers a question for a hold; what is held is durable before the note is signed.

    Raises:
        Malformed: not a question.
        PublicationRefused: the offer is not one that is decided here.
        RequestUnauthentic: the terminal has no right to the venue; nothing was looked up.
        DatabaseFault: nothing was held, as far as is known; ask again.
    """
    question = Question.of(ledger, decode_hold(body))
    await need_place(core, ledger, question.venue)
    try:
        decision = await _hold(core, question)
        if _may_change(decision) and await _behind(core):
            # A void that came up a moment ago may give back what is missing.
            with suppress(TimeoutError):
                async with asyncio.timeout(JUDGE_WAIT_S):
                    await core.judge()
            decision = await _hold(core, question)
    except (SQLAlchemyError, OSError) as error:
        raise DatabaseFault("nothing is held as far as is known; ask again") from error
    now_ms = core.now_ms()
    if refuses(decision) or decision.code is Code.T07:
        answer = Answer(
            word=Word.REFUSED,
            origin=origin,
            question=digest(body),
            signed_ms=now_ms,
            code=decision.code.value,
            until_ms=decision.until_ms,
        )
    else:
        answer = Answer(
            word=Word.HELD,
            origin=origin,
            question=digest(body),
            signed_ms=now_ms,
            until_ms=now_ms + HOLD_MS,
        )
    return _signed(core, answer)


async def answer_lease(core: ServerCore, ledger: str, origin: str, body: bytes) -> bytes:
    """Answers a question for more units; what is granted is in the feed before the note is signed.

    Raises:
        Malformed: not a question.
        PublicationRefused: the offer is not one that is leased.
        RequestUnauthentic: the terminal has no right to the venue; nothing was looked up.
        DatabaseFault: nothing was granted, as far as is known; ask again.
    """
    question = decode_lease(body)
    await need_place(core, ledger, question.venue)
    try:
        async with core.database.writing() as connection:
            published = await core.book.read(connection)
            word = await refill(
                connection, core.database, published, ledger, question, core.now_ms()
            )
    except (SQLAlchemyError, OSError) as error:
        raise DatabaseFault("nothing was granted as far as is known; ask again") from error
    answer = Answer(word=word, origin=origin, question=digest(body), signed_ms=core.now_ms())
    return _signed(core, answer)


async def need_place(core: ServerCore, ledger: str, venue: str) -> None:
    """A terminal asks for the venues that it was activated for, and learns nothing of others."""
    statement = (
        select(terminals.c.venues)
        .join(ledgers, ledgers.c.terminal == terminals.c.terminal)
        .where(ledgers.c.ledger == ledger)
    )
    async with core.database.reading() as connection:
        places = await connection.scalar(statement)
    if venue not in (places or "").split():
        raise RequestUnauthentic(_ELSEWHERE, word=StatusWord.ACTIVATION)


async def _hold(core: ServerCore, question: Question) -> Decision:
    """Asks again when the same nonce was written by somebody else at the same moment."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(IntegrityError):
            return await core.hold(question)
    return await core.hold(question)


def _may_change(decision: Decision) -> bool:
    """Whether what is refused may be free again: a limit or a stock that is used up."""
    return refuses(decision) and decision.code.value.startswith("L")


async def _behind(core: ServerCore) -> bool:
    async with core.database.reading() as connection:
        return await lagging(connection)


def _signed(core: ServerCore, answer: Answer) -> bytes:
    return sign_note(encode_answer(answer), [core.home.signer(FEED)])


_ELSEWHERE: Final = (
    "this terminal was not activated for that venue; nothing was held or granted. Ask the operator "
    "for an activation that names it"
)
_BARRED: Final = (
    "this terminal may not redeem any more; nothing was held or granted. Send its ledger by sync "
    "and call the operator"
)
