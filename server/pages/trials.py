"""Who could take an offer: the dry run of a published offer or a draft, and its words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from starlette.responses import Response

from ledger.codes import Code
from ledger.errors import OfferInvalid
from ledger.rules.messages import message
from screens.language import VENUE_ZONE, Language, wording
from server.errors import ImportRefused
from server.pages.offer_words import OfferWords
from server.pages.office import Visit
from server.trying import Trial, try_offer

_ZONE: Final = ZoneInfo(VENUE_ZONE)


async def draw_trial(visit: Visit, document: Mapping[str, Any], back: tuple[str, str]) -> Response:
    """The page of a dry run.

    Args:
        visit: whose question; the address may name a venue and a moment.
        document: the offer.
        back: where the offers stand, and the offer itself.
    """
    at_ms = instant_of(visit.query("at"))
    try:
        trial = await try_offer(
            visit.core, visit.actor, document, venue=visit.query("venue"), at_ms=at_ms
        )
    except OfferInvalid as fault:
        raise ImportRefused(str(fault)) from None
    return visit.draw(
        "trial.html",
        trial=trial,
        back=back,
        title=OfferWords(wording(visit.language)).title(trial.offer),
        at=moment_text(trial.at_ms),
        sayings=sayings(visit, trial),
    )


def moment_text(at_ms: int) -> str:
    """A moment as a field of day and time has it."""
    return f"{datetime.fromtimestamp(at_ms / 1000, _ZONE):%Y-%m-%dT%H:%M}"


def instant_of(text: str) -> int | None:
    """A field of day and time in milliseconds since the epoch, ``None`` for an empty one.

    Raises:
        ImportRefused: it holds something else.
    """
    if not text:
        return None
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=_ZONE).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise ImportRefused("the moment: day and time, for example 2014-05-30T10:00") from None


def sayings(visit: Visit, trial: Trial) -> list[tuple[str, str]]:
    """What the clerk would read for each card that was tried."""
    lang = "zh" if visit.language is Language.ZH else "en"
    said = []
    for one in trial.tried:
        words = message(Code(one.decision.code), lang, "operator", one.decision.details)  # type: ignore[arg-type]
        said.append((words.big.strip(), words.small.strip()))
    return said
