"""The slip of one redemption, from what the terminal knows of it."""

from __future__ import annotations

from dataclasses import dataclass

from screens.language import Language, Wording
from terminal.answers import OfferShown, PositionView, RecentTap, TapAnswer
from terminal.receipts.layout import Line, ReceiptFacts, lay_out


@dataclass(frozen=True, slots=True)
class Receipt:
    """A slip before any printer or page is chosen: lines, and the text of the QR or nothing."""

    lines: tuple[Line, ...]
    qr: str


def receipt_of(
    answer: TapAnswer,
    tap: RecentTap | None,
    view: PositionView,
    words: Wording,
    *,
    offer: OfferShown | None = None,
    copy: bool = False,
) -> Receipt | None:
    """The slip of an answer; ``None`` when it gave nothing out.

    Args:
        answer: the answer, or its replay.
        tap: its line in the list of recent acts, if it is still there.
        view: the position.
        words: language of the slip.
        offer: the offer with its price, if it is known.
        copy: a slip was printed before.
    """
    if answer.entry is None or answer.outcome != "approve":
        return None
    if tap is not None and tap.kind != "redeem":
        return None
    chinese = words.language is Language.ZH
    title = answer.offer
    if offer is not None:
        title = offer.title if chinese else offer.title_en or offer.title
    elif tap is not None:
        title = tap.title if chinese else tap.title_en or tap.title
    facts = ReceiptFacts(
        venue=view.venue_name if chinese else view.venue_name_en or view.venue_name,
        offer=title,
        quantity=tap.quantity if tap else 1,
        price_fen=offer.member_price_fen if offer else None,
        entry=answer.entry,
        ts_ms=answer.ts_ms,
        offline=answer.code == "A01",
        proof=answer.receipt,
        void_until_ms=view.now_ms + tap.voidable_ms if tap and tap.voidable_ms else None,
        voided=answer.reversed,
        practice=view.practice,
        demo=view.demo,
        copy=copy or answer.replay,
    )
    return Receipt(lay_out(facts, words), answer.receipt)
