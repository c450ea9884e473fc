"""Builds what pages draw of a position: offers, choices, card, link, recent acts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ledger.codes import Code, Outcome
from ledger.rules.offer import BrokenOffer, Offer
from ledger.rules.published_words import NO_WORDS, PublishedWords
from ledger.rules.request import CardView, Decision
from ledger.rules.terms import CardStatus, MemberStatus, Venue
from ledger.rules.voids import VOID_WINDOW_MS
from terminal.answers import CardShown, LinkShown, NoticeShown, OfferChoice, OfferShown, RecentTap
from terminal.clock import Moment
from terminal.daybook import Act
from terminal.entries import Place
from terminal.position import CardSession
from terminal.state import Installed, Link
from terminal.tap_order import answer_details
from terminal.wording import wording_of

#: Lines of the counter's list at most; what can be taken comes first.
CHOICES_MAX: Final = 60
KEYS: Final = "123456789"

_CARD_CODES: Final[Mapping[CardStatus, Code]] = {
    CardStatus.FAKE: Code.C02,
    CardStatus.UNREADABLE: Code.C01,
    CardStatus.SEVERAL: Code.C07,
    CardStatus.UNKNOWN: Code.C03,
    CardStatus.BLOCKED: Code.C04,
    CardStatus.REPLACED: Code.C05,
    CardStatus.EXPIRED: Code.C06,
    CardStatus.NOT_ACTIVE: Code.C08,
}


def offer_shown(name: str, installed: Installed, stock_left: int | None = None) -> OfferShown:
    """An offer as pages name it; one that is not in the snapshot shows its id."""
    offer = installed.offer(name)
    if not isinstance(offer, Offer):
        return OfferShown(id=name, title=name, title_en=name, kind="", level="")
    return OfferShown(
        id=offer.id,
        title=offer.title or offer.id,
        title_en=offer.title_en or offer.title or offer.id,
        kind=offer.kind.value,
        level=offer.level,
        until_ms=offer.until_ms,
        member_price_fen=offer.member_price_fen or 0,
        stock_left=stock_left,
        limits=tuple((one.count, one.per.value) for one in offer.limits if one.count is not None),
        proxy=offer.proxy_collect,
    )


def choices_shown(
    previews: Iterable[tuple[Offer, Decision]],
    installed: Installed,
    stock_left: Mapping[str, int | None],
) -> tuple[OfferChoice, ...]:
    """The counter's list: what can be taken first, soonest to end on top; ended ones left out."""
    shown = [(offer, one) for offer, one in previews if one.code is not Code.O03]
    shown.sort(key=lambda pair: (not _can_be_taken(pair[1]), pair[0].until_ms, pair[0].id))
    keys = iter(KEYS)
    lines = []
    for offer, decision in shown[:CHOICES_MAX]:
        details = answer_details(decision, installed, offer.id)
        lines.append(
            OfferChoice(
                key=next(keys, "") if _can_be_taken(decision) else "",
                offer=offer_shown(offer.id, installed, stock_left.get(offer.id)),
                outcome=decision.outcome.value,
                code=decision.code.value,
                until_ms=decision.until_ms,
                usage=decision.counted,
                message=wording_of(decision.code, details, installed.words),
            )
        )
    return tuple(lines)


def notices_shown(installed: Installed, venue: Venue, now_ms: int) -> tuple[NoticeShown, ...]:
    """What the federation tells the people at this venue now."""
    return tuple(
        NoticeShown(one.id, one.zh, one.en, one.until_ms)
        for one in installed.words.notices
        if one.holds(venue, now_ms)
    )


def _can_be_taken(decision: Decision) -> bool:
    return decision.outcome in {Outcome.APPROVE, Outcome.REFER}


def card_shown(session: CardSession, view: CardView, words: PublishedWords = NO_WORDS) -> CardShown:
    """What a counter page may know of the card at hand."""
    code = _CARD_CODES.get(view.status)
    if code is None and view.member is None:
        code = Code.C08
    elif code is None and view.member and view.member.status is MemberStatus.SUSPENDED:
        code = Code.M01
    card = session.presented.card
    return CardShown(
        code=code.value if code else "",
        present=session.present,
        scheme=view.scheme,
        assurance=view.assurance if card else "",
        advice=card.advice if card else "",
        expires_ms=session.until_boot_ms,
        message=wording_of(code, {}, words) if code else None,
    )


def link_shown(
    link: Link, size: int, snapshot: str, now: Moment, progress: tuple[bool, int, int]
) -> LinkShown:
    """The line to the server; ``progress`` is (busy, done, total) of the push under way."""
    busy, done, total = progress
    return LinkShown(
        connected=link.connected(now.boot_ms),
        pending=max(0, size - link.acknowledged),
        acknowledged=link.acknowledged,
        last_sync_ms=link.heard_ms,
        snapshot=snapshot,
        busy=busy,
        done=done,
        total=total,
        problem=link.problem,
    )


def recent_shown(
    acts: Sequence[Act],
    installed: Installed,
    place: Place,
    now: Moment,
    boot: str,
    acknowledged: int,
    verdicts: Mapping[int, str],
) -> list[RecentTap]:
    """Acts of a position, newest first as given, with the time left in which each may be voided."""
    shown = []
    for act in acts:
        offer = installed.offer(act.offer)
        title = offer.title if isinstance(offer, Offer) else act.offer
        title_en = offer.title_en if isinstance(offer, Offer) else act.offer
        shown.append(
            RecentTap(
                seq=act.seq,
                nonce=act.nonce,
                kind=act.kind,
                code=act.code,
                offer=act.offer,
                title=title or act.offer,
                title_en=title_en or title or act.offer,
                ts_ms=act.ts_ms,
                quantity=act.quantity,
                reversed=act.reversed,
                confirmed=act.seq < acknowledged,
                voidable_ms=_voidable_ms(act, place, now, boot),
                verdict=verdicts.get(act.seq, ""),
            )
        )
    return shown


def _voidable_ms(act: Act, place: Place, now: Moment, boot: str) -> int:
    if act.kind != "redeem" or act.reversed or (act.boot, act.shift) != (boot, place.shift):
        return 0
    return max(0, VOID_WINDOW_MS - (now.boot_ms - act.mono_ms))


def broken(installed: Installed) -> list[str]:
    """Ids of offers that failed validation after they were signed; every tap for one is O10."""
    offers = installed.catalogue.offers.values()
    return sorted(offer.id for offer in offers if isinstance(offer, BrokenOffer))
