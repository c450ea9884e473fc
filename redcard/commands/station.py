"""``redcard collect``, ``goods``, ``holds`` and ``manual``: a station's day without a page."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from redcard.at_terminal import at_terminal, local_text, named
from redcard.cli import pass_session, shared_options
from redcard.console import EXIT_NO, Session, emit, note, table
from redcard.errors import AnswerIsNo, SurroundingsMissing

if TYPE_CHECKING:
    from terminal.remote import TerminalDesk

_POSITION = click.option(
    "--position", default="", help="Position of terminal.toml; absent, the first."
)
CARD_WAIT_S_DEFAULT = 30
_POLL_S = 0.1


@click.command()
@click.option("--offer", required=True, help="What is collected.")
@click.option("--quantity", type=click.IntRange(1), default=1, help="Units for each card.")
@click.option("--hold", default="", help="Telephone hold that the units come from.")
@click.option("--cards", type=click.IntRange(1, 200), help="Confirm by itself after so many cards.")
@click.option("--wait", type=click.IntRange(1, 300), default=CARD_WAIT_S_DEFAULT, metavar="S")
@_POSITION
@shared_options
@pass_session
def collect(
    session: Session,
    offer: str,
    quantity: int,
    hold: str,
    cards: int | None,
    wait: int,
    position: str,
) -> int:
    """Proxy collection: the representative's card first, then the colleagues', one commit.

    Without --cards the list is confirmed when no further card comes within the waiting time.
    """
    with at_terminal(session, readers=True) as (desk, _now_ms):
        place = position or desk.ask("positions")["positions"][0]
        note(session.say("请代领人先刷本人卡", "The representative's own card first"))
        _until(lambda: _has_card(desk, place), wait)
        shown = desk.act(
            "collection/begin", position=place, offer=offer, quantity=quantity, hold=hold
        )
        note(session.say("请依次刷职工的卡", "Now the colleagues' cards, one after the other"))
        shown = _gather(session, desk, place, cards, wait)
        if not shown["cards"]:
            desk.act("collection/cancel", position=place)
            raise AnswerIsNo("no card came: nothing was recorded")
        done = desk.act("collection/confirm", position=place, batch=shown["batch"])
    emit(session, done, _list_text(session, done))
    return 0 if done["takable"] else EXIT_NO


def _gather(
    session: Session, desk: TerminalDesk, place: str, cards: int | None, wait: int
) -> dict[str, Any]:
    """The list once it is complete: so many cards, or none within the waiting time."""
    seen, fault = 0, ""
    while True:

        def changed(seen: int = seen, fault: str = fault) -> dict[str, Any] | None:
            found: dict[str, Any] = desk.ask("collection", position=place)["collection"]
            return found if (len(found["cards"]), found["last_fault"]) != (seen, fault) else None

        try:
            shown: dict[str, Any] = _until(changed, wait)
        except SurroundingsMissing:
            found: dict[str, Any] = desk.ask("collection", position=place)["collection"]
            return found
        seen, fault = len(shown["cards"]), shown["last_fault"]
        if shown["cards"]:
            note(_line(session, shown["cards"][-1]))
        if cards is not None and seen >= cards:
            return shown


def _has_card(desk: TerminalDesk, place: str) -> bool:
    return desk.ask("view", position=place)["card"] is not None


def _until(look: Any, wait: int) -> Any:
    """Looks until there is something, at most so many seconds."""
    import time

    end = time.monotonic() + wait
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(_POLL_S)
    raise SurroundingsMissing(
        f"no card came within {wait} s; nothing was recorded", next_step="tap, then try again"
    )


def _line(session: Session, card: dict[str, Any]) -> str:
    words = card["message"]["operator_zh" if session.language() == "zh" else "operator_en"]
    mark = "✓" if card["outcome"] == "approve" else "✕"
    return f"  {card['number']:>3} {mark} {card['code']} {words['big']} {words['small']}"


def _list_text(session: Session, done: dict[str, Any]) -> str:
    head = session.say(
        f"{done['title']}：{done['takable']} 张已发 {done['units']}，{done['refused']} 张未发",
        f"{done['title_en']}: {done['units']} given to {done['takable']} cards, "
        f"{done['refused']} cards refused",
    )
    refused = [_line(session, one) for one in done["cards"] if one["outcome"] != "approve"]
    sheet = session.say(
        f"签收单 /sheet/collection?batch={done['batch']}",
        f"sign-off sheet /sheet/collection?batch={done['batch']}",
    )
    return "\n".join([head, *refused, sheet])


@click.group()
def goods() -> None:
    """Parcels signed for, transfers signed by both, what lies on the shelf."""


@goods.command("list")
@_POSITION
@shared_options
@pass_session
def list_goods(session: Session, position: str) -> int:
    """What lies on the shelf, by offer."""
    with at_terminal(session, readers=False) as (desk, _now_ms):
        found = desk.ask("goods", **named(position))
    headers = ["offer", "received", "sent", "given", "on_hand", "leased", "held"]
    rows = [[line[name] for name in headers] for line in found["goods"]]
    emit(session, found, table("", headers, rows))
    return 0


@goods.command()
@click.argument("offer")
@click.argument("quantity", type=click.IntRange(0))
@click.option("--expected", type=click.IntRange(1), help="What the papers say, if it differs.")
@click.option("--numbers", multiple=True, help="Number range A00001-A00100; may repeat.")
@click.option("--reason", default="", help="Why it differs: short, over, damaged, …")
@click.option("--parcel", default="", help="Number of the parcel.")
@click.option("--transfer", default="", help="Number of another station's transfer.")
@click.option("--from", "from_venue", default="", help="The station that sent it.")
@click.option("--nonce", default="", help="The same again signs nothing twice.")
@_POSITION
@shared_options
@pass_session
def receive(session: Session, /, position: str, expected: int | None, **given: Any) -> int:
    """Sign for QUANTITY units of OFFER that have arrived."""
    with at_terminal(session, readers=False) as (desk, _now_ms):
        done = desk.act(
            "goods/receive",
            position=position or None,
            expected=expected,
            **{**given, "numbers": list(given["numbers"])},
        )
    emit(session, done, _moved(session, done, session.say("已签收", "Signed for")))
    return 0


@goods.command()
@click.argument("offer")
@click.argument("quantity", type=click.IntRange(1))
@click.option("--to", "to_venue", required=True, help="The station that receives it.")
@click.option("--numbers", multiple=True, help="Number range A00001-A00100; may repeat.")
@click.option("--nonce", default="", help="The same again signs nothing twice.")
@_POSITION
@shared_options
@pass_session
def send(session: Session, /, position: str, **given: Any) -> int:
    """Sign that QUANTITY units of OFFER leave for another station."""
    with at_terminal(session, readers=False) as (desk, _now_ms):
        done = desk.act(
            "goods/send",
            position=position or None,
            **{**given, "numbers": list(given["numbers"])},
        )
    emit(session, done, _moved(session, done, session.say("已调出", "Sent")))
    return 0


def _moved(session: Session, done: dict[str, Any], word: str) -> str:
    title = session.say(done["title"], done["title_en"])
    parts = [f"{word} {title} × {done['quantity']}", " ".join(done["numbers"])]
    if done["transfer"]:
        parts.append(session.say(f"调拨号 {done['transfer']}", f"transfer {done['transfer']}"))
    parts.append(session.say(f"账目 {done['seq']}", f"entry {done['seq']}"))
    return " · ".join(part for part in parts if part)


@click.group()
def holds() -> None:
    """Units held for a unit that telephones (电话预留); released by themselves."""


@holds.command("list")
@_POSITION
@shared_options
@pass_session
def list_holds(session: Session, position: str) -> int:
    """Holds that still hold something."""
    with at_terminal(session, readers=False) as (desk, _now_ms):
        found = desk.ask("holds", **named(position))
    headers = ["code", "offer", "units", "left", "until", "label", "hold"]
    rows = [
        [
            *(one[name] for name in headers[:4]),
            local_text(one["until_ms"]),
            one["label"],
            one["hold"],
        ]
        for one in found["holds"]
    ]
    emit(session, found, table("", headers, rows))
    return 0


@holds.command()
@click.argument("offer")
@click.argument("units", type=click.IntRange(1, 40))
@click.option("--minutes", type=click.IntRange(1, 24 * 60), default=120)
@click.option("--label", default="", help="Who called; kept on this machine only.")
@_POSITION
@shared_options
@pass_session
def place(session: Session, /, position: str, **given: Any) -> int:
    """Hold UNITS of OFFER, at most 40 and never beyond this terminal's lease."""
    with at_terminal(session, readers=False) as (desk, _now_ms):
        held = desk.act("holds/place", position=position or None, **given)
    text = session.say(
        f"已预留 {held['title']} × {held['units']}，取货码 {held['code']}，"
        f"{local_text(held['until_ms'])} 前有效",
        f"{held['units']} held of {held['title_en']}, code {held['code']}, "
        f"until {local_text(held['until_ms'])}",
    )
    emit(session, held, text)
    return 0


@holds.command()
@click.argument("hold")
@_POSITION
@shared_options
@pass_session
def release(session: Session, position: str, hold: str) -> int:
    """Give a hold back to everybody."""
    with at_terminal(session, readers=False) as (desk, _now_ms):
        desk.act("holds/release", position=position or None, hold=hold)
    emit(session, {"hold": hold, "left": 0}, session.say("已释放", "Released"))
    return 0


@click.group()
def manual() -> None:
    """Late entries (补录) from the numbered paper sheet that this terminal prints."""


@manual.command()
@_POSITION
@shared_options
@pass_session
def sheet(session: Session, position: str) -> int:
    """The number of the next paper sheet; print it at /sheet/manual on the counter page."""
    with at_terminal(session, readers=False) as (desk, _now_ms):
        issued = desk.act("manual/sheet", position=position or None)
    emit(session, issued, issued["sheet"])
    return 0


@manual.command("list")
@_POSITION
@shared_options
@pass_session
def list_manual(session: Session, position: str) -> int:
    """Late entries, newest first."""
    with at_terminal(session, readers=False) as (desk, _now_ms):
        found = desk.ask("manual", **named(position))
    headers = ["sheet", "offer", "day", "quantity", "reason", "supervisor", "seq"]
    rows = [[line[name] for name in headers] for line in found["lines"]]
    emit(session, found, table("", headers, rows))
    return 0


@manual.command()
@click.argument("sheet")
@click.argument("line", type=click.IntRange(1, 20))
@click.option("--offer", required=True)
@click.option("--day", required=True, help="Business date on the paper, such as 2014-05-29.")
@click.option("--quantity", type=click.IntRange(1), default=1)
@click.option("--reason", required=True, help="power_cut, machine_fault, reader_fault or other.")
@click.option("--supervisor", required=True, help="Who enters it; the PIN is asked for.")
@click.option("--with-card", is_flag=True, help="The member's card lies on the reader.")
@_POSITION
@shared_options
@pass_session
def add(session: Session, /, position: str, **given: Any) -> int:
    """Enter LINE of SHEET; each line can be entered once."""
    prompt = session.say(f"{given['supervisor']} 的 PIN", f"PIN of {given['supervisor']}")
    pin = (
        str(click.prompt(prompt, hide_input=True, err=True))
        if sys.stdin.isatty()
        else sys.stdin.readline().strip()
    )
    with at_terminal(session, readers=bool(given["with_card"])) as (desk, _now_ms):
        line = desk.act("manual/add", position=position or None, supervisor_pin=pin, **given)
    emit(session, line, f"{line['sheet']} {line['offer']} × {line['quantity']} {line['day']}")
    return 0
