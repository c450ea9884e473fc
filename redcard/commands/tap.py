"""``redcard tap``, ``void`` and ``shift``: what a clerk can do without a page."""

from __future__ import annotations

from typing import Any, TextIO

import click

from redcard.at_terminal import at_terminal, units_of
from redcard.cli import pass_session, shared_options
from redcard.console import EXIT_LEDGER, EXIT_NO, EXIT_SURROUNDINGS, Session, emit
from redcard.errors import UsageInvalid

WAIT_S_DEFAULT = 30
WAIT_S_MAX = 300
TOKEN_CHARACTERS_MAX = 2_048


@click.command()
@click.option("--offer", default="", help="Offer; absent, the position's own.")
@click.option("--nonce", default="", help="Identity of this tap; made here if absent.")
@click.option("--position", default="", help="Position of terminal.toml; absent, the first.")
@click.option("--quantity", type=click.IntRange(1), default=1)
@click.option("--companions", type=click.IntRange(0), default=0)
@click.option("--evidence", multiple=True, help="NAME=TEXT; may repeat.")
@click.option("--supervisor", default="", help="Who overrides; the PIN is asked for.")
@click.option("--reason", default="", help="Reason code of an override.")
@click.option(
    "--reservation",
    type=click.File("r", encoding="utf-8"),
    help="File with the token that the member brought; those of the feed are known without it.",
)
@click.option("--simulate", is_flag=True, help="Decide only; nothing is written.")
@click.option("--wait", type=click.IntRange(0, WAIT_S_MAX), default=WAIT_S_DEFAULT, metavar="S")
@shared_options
@pass_session
def tap(
    session: Session,
    offer: str,
    nonce: str,
    position: str,
    quantity: int,
    companions: int,
    evidence: tuple[str, ...],
    supervisor: str,
    reason: str,
    reservation: TextIO | None,
    simulate: bool,
    wait: int,
) -> int:
    """One redemption: waits for a card on the reader, decides, records, answers.

    After an interruption give the same --nonce again: the answer is the first one, and nothing is
    recorded twice.
    """
    from terminal.web.ulid import new_ulid

    with at_terminal(session, readers=True) as (desk, now_ms):
        answer = desk.act(
            "tap",
            position=position or None,
            offer=offer,
            nonce=nonce or new_ulid(now_ms),
            quantity=quantity,
            companions=companions,
            evidence=_pairs(evidence),
            supervisor=supervisor,
            supervisor_pin=_pin(session, supervisor),
            reason=reason,
            reservation=reservation.read(TOKEN_CHARACTERS_MAX) if reservation else None,
            simulate=simulate,
            wait_ms=wait * 1000,
        )
    return _answered(session, answer)


@click.command()
@click.argument("nonce")
@click.option("--reason", default="other", help="wrong_offer, gave_up, print_failed or other.")
@click.option("--position", default="", help="Position of terminal.toml; absent, the first.")
@click.option("--void-nonce", default="", help="Identity of this void; made here if absent.")
@click.option("--supervisor", default="", help="Who allows a late void; the PIN is asked for.")
@shared_options
@pass_session
def void(
    session: Session, nonce: str, reason: str, position: str, void_nonce: str, supervisor: str
) -> int:
    """Reverse the redemption with this NONCE by a new entry; the old one stays.

    Same counter, same shift, within 15 minutes; later a supervisor. For a tap whose outcome is
    unknown, do not void: send its nonce again.
    """
    with at_terminal(session, readers=False) as (desk, _now_ms):
        answer = desk.act(
            "void",
            position=position or None,
            nonce=nonce,
            reason=reason,
            void_nonce=void_nonce or None,
            supervisor=supervisor,
            supervisor_pin=_pin(session, supervisor),
        )
    return _answered(session, answer)


@click.group()
def shift() -> None:
    """Open or close a shift at a position."""


@shift.command("open")
@click.option("--operator", required=True, help="Who works, for example a staff number.")
@click.option("--position", default="", help="Position of terminal.toml; absent, the first.")
@click.option("--take-over", is_flag=True, help="Close a shift that was left open, then open.")
@shared_options
@pass_session
def open_(session: Session, operator: str, position: str, take_over: bool) -> int:
    """Open a shift; says what the self-test found."""
    with at_terminal(session, readers=True) as (desk, _now_ms):
        opened = desk.act(
            "shift/open", position=position or None, operator=operator, take_over=take_over
        )
    lines = [session.say(f"已接班：{operator}", f"Shift open: {operator}")]
    if opened["taken_over"]:
        left = opened["taken_over"]
        lines.append(session.say(f"{left} 未交的班已代为交班", f"The shift of {left} was closed"))
    words = "zh" if session.language() == "zh" else "en"
    lines += [
        f"  {'✓' if lamp['ok'] else '✕'} {lamp[words]['big']} {lamp[words]['small']}"
        for lamp in opened["selftest"]
    ]
    emit(session, opened, "\n".join(lines))
    return 0


@shift.command()
@click.option("--position", default="", help="Position of terminal.toml; absent, the first.")
@click.option("--counted", multiple=True, help="OFFER=UNITS counted on the shelf; may repeat.")
@click.option("--reason", default="", help="Why counted goods differ, for example damaged.")
@shared_options
@pass_session
def close(session: Session, position: str, counted: tuple[str, ...], reason: str) -> int:
    """Close the shift with its totals; what is not uploaded yet is no hindrance."""
    with at_terminal(session, readers=False) as (desk, _now_ms):
        closed = desk.act(
            "shift/close", position=position or None, counted=units_of(counted), reason=reason
        )
    emit(session, closed, _closing_text(session, closed))
    return 0


def _closing_text(session: Session, closed: dict[str, Any]) -> str:
    counts = [
        f"  {session.say(line['title'], line['title_en'] or line['title'])}: {line['count']}"
        + (
            session.say(f"（撤销 {line['voids']}）", f" ({line['voids']} void)")
            if line["voids"]
            else ""
        )
        for line in closed["lines"]
    ]
    goods = [
        session.say(
            f"  {line['title']}：应有 {line['expected']}，清点 {line['counted']}，"
            f"差 {line['difference']}",
            f"  {line['title_en']}: {line['expected']} expected, {line['counted']} counted, "
            f"difference {line['difference']}",
        )
        for line in closed["goods"]
        if line["counted"] is not None
    ]
    head = session.say(
        f"已交班：核销 {closed['redeemed']}，撤销 {closed['voided']}，未通过 {closed['declined']}",
        f"Shift closed: {closed['redeemed']} redeemed, {closed['voided']} void, "
        f"{closed['declined']} declined",
    )
    pending = session.say(
        f"待上传 {closed['pending']} 笔，已在本机签名保存，不影响交班",
        f"{closed['pending']} entries go up later; they are signed and kept here",
    )
    return "\n".join([head, *counts, *goods, pending])


def _pairs(evidence: tuple[str, ...]) -> dict[str, str]:
    pairs = [item.partition("=") for item in evidence]
    for name, equals, _ in pairs:
        if not (name and equals):
            raise UsageInvalid(f"evidence {name!r} is not NAME=TEXT")
    return {name: text for name, _, text in pairs}


def _pin(session: Session, supervisor: str) -> str:
    """A PIN is typed, never an argument: arguments are seen by every process."""
    if not supervisor:
        return ""
    prompt = session.say(f"{supervisor} 的 PIN", f"PIN of {supervisor}")
    return str(click.prompt(prompt, hide_input=True, err=True))


def _answered(session: Session, answer: dict[str, Any]) -> int:
    zh = session.language() == "zh"
    line = answer["message"]["operator_zh" if zh else "operator_en"]
    parts = [answer["code"] or "?", line["big"], line["small"]]
    if answer["entry"] is not None:
        parts.append(session.say(f"账目 {answer['entry']}", f"entry {answer['entry']}"))
    if answer["replay"]:
        parts.append(session.say("已答复过，未再登记", "answered before, nothing new recorded"))
    if answer["reversed"]:
        parts.append(session.say("已撤销", "voided since"))
    parts.append(f"nonce {answer['nonce']}")
    emit(session, answer, " · ".join(part for part in parts if part))
    if answer["code"] == "T06":
        return EXIT_LEDGER
    if answer["outcome"] == "approve":
        return 0
    return EXIT_SURROUNDINGS if answer["outcome"] == "error" else EXIT_NO
