"""The slip of one redemption, from what the terminal knows of it."""

from __future__ import annotations

from dataclasses import dataclass

from screens.language import Language, Wording
from terminal.answers import OfferShown, PositionView, RecentTap, TapAnswer
from terminal.receipts.layout import Line, ReceiptFacts, Style, lay_out
from terminal.work_answers import CollectionShown


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


def sign_off_sheet(collection: CollectionShown, words: Wording) -> tuple[Line, ...]:
    """The sheet that a representative signs: each card given for, with room for a name."""
    _ = words.gettext
    chinese = words.language is Language.ZH
    title = collection.title if chinese else collection.title_en or collection.title
    at = f"{words.full_date(collection.ts_ms)} {words.clock(collection.ts_ms)}"
    given = [one for one in collection.cards if one.outcome == "approve"]
    others = [one for one in collection.cards if one.outcome != "approve"]
    lines = [
        Line(_("Sign-off sheet"), Style.TITLE),
        Line(title, Style.CENTRE),
        Line("", Style.RULE),
        Line(_("Time"), Style.PAIR, at),
        Line(_("Representative's card"), Style.PAIR, f"..{collection.agent}"),
        Line(_("Units given out"), Style.PAIR, words.number(collection.units)),
        Line("", Style.RULE),
    ]
    lines += [Line(f"{one.number:>3} ..{one.tail}", Style.PAIR, "______________") for one in given]
    if others:
        lines += [Line("", Style.RULE), Line(_("Not given"), Style.NOTICE)]
        for one in others:
            line = one.message.operator_zh if chinese else one.message.operator_en
            lines.append(Line(f"{one.number:>3} ..{one.tail}", Style.PAIR, line.big))
    return (
        *lines,
        Line("", Style.RULE),
        Line(_("Representative's signature"), Style.PAIR, "____________"),
        Line(collection.batch, Style.CENTRE),
    )
