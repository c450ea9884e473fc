"""``redcard server settle``: what is owed to merchants for a month, down to the signed entries."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from redcard.cli import pass_session, shared_options
from redcard.commands.at_server import ask_server
from redcard.console import EXIT_DONE, Session, emit, table
from redcard.errors import UsageInvalid

_FILE = click.Path(dir_okay=False, path_type=Path)
_COLUMNS = ["id", "month", "merchant", "state", "units", "fen"]
_LINE_COLUMNS = ["kind", "offer", "redemptions", "units", "fen", "late_redemptions"]
_ENTRY_COLUMNS = ["position", "leaf", "at_ms", "venue", "offer", "units", "fen", "late", "side"]


@click.group()
def settle() -> None:
    """Settlement of merchants: state a month, show, dispute, adjust, close."""


@settle.command()
@click.option("--month", required=True, help="YYYY-MM, which must be over.")
@click.option("--merchant", default="", help="Only this one; absent, all with something to state.")
@shared_options
@pass_session
def state(session: Session, month: str, merchant: str) -> int:
    """State a month: good redemptions, late ones of earlier months, what was taken back since."""
    answer = ask_server(session, "settle_state", month=month, merchant=merchant)
    _list(session, answer)
    return EXIT_DONE


@settle.command("list")
@click.option("--month", default="")
@click.option("--merchant", default="")
@click.option("--state", type=click.Choice(["stated", "disputed", "settled"]), default=None)
@shared_options
@pass_session
def list_statements(session: Session, month: str, merchant: str, state: str | None) -> int:
    """Statements, the newest month first."""
    answer = ask_server(session, "settle_list", month=month, merchant=merchant, state=state)
    _list(session, answer)
    return EXIT_DONE


@settle.command()
@click.argument("statement", type=int)
@click.option("--csv", "as_csv", is_flag=True, help="Every signed entry, for a spreadsheet.")
@click.option("--out", type=_FILE, default=None, help="Write all tables to FILE.xlsx or FILE.csv.")
@shared_options
@pass_session
def show(session: Session, statement: int, as_csv: bool, out: Path | None) -> int:
    """One STATEMENT with its lines, its signed entries and its disputes."""
    if out is not None and out.suffix not in {".xlsx", ".csv"}:
        raise UsageInvalid(f"{out} ends neither in .xlsx nor in .csv; nothing was written")
    answer = ask_server(session, "settle_show", statement=statement)
    if out is not None:
        out.write_bytes(_tables(session, answer, out.suffix))
        text = session.say(f"已写入 {out}", f"written to {out}")
    elif as_csv:
        text = _sheet(answer)
    else:
        lines = [[one[name] for name in _LINE_COLUMNS] for one in answer["lines"]]
        text = "\n".join(
            [
                table("", _COLUMNS, [[answer[name] for name in _COLUMNS]]),
                table("", _LINE_COLUMNS, lines),
                session.say(
                    f"{len(answer['entries'])} 笔签名记录：--csv 列出，settle prove 出证明",
                    f"{len(answer['entries'])} signed entries: --csv lists, settle prove proves",
                ),
            ]
        )
    emit(session, answer, text)
    return EXIT_DONE


@settle.command()
@click.argument("statement", type=int)
@shared_options
@pass_session
def close(session: Session, statement: int) -> int:
    """Close STATEMENT: it is paid, and its entries can be voided no more."""
    answer = ask_server(session, "settle_close", statement=statement)
    emit(session, answer, f"{answer['merchant']} {answer['month']}: {answer['state']}")
    return EXIT_DONE


@settle.command()
@click.argument("merchant")
@click.argument("offer")
@click.argument("fen", type=click.IntRange(0))
@shared_options
@pass_session
def tariff(session: Session, merchant: str, offer: str, fen: int) -> int:
    """Pay MERCHANT so many FEN for a unit of OFFER, from the next statement on."""
    answer = ask_server(session, "settle_tariff", merchant=merchant, offer=offer, fen=fen)
    emit(session, answer, f"{merchant} {offer}: {fen}")
    return EXIT_DONE


@settle.command()
@click.argument("statement", type=int)
@click.option("--offer", default="")
@click.option("--units", type=int, default=0, help="May be negative.")
@click.option("--fen", type=int, default=0, help="May be negative.")
@click.option("--reason", required=True, help="A short code.")
@click.option("--dispute", type=int, default=0, help="The dispute that it answers.")
@shared_options
@pass_session
def adjust(
    session: Session,
    statement: int,
    offer: str,
    units: int,
    fen: int,
    reason: str,
    dispute: int,
) -> int:
    """Correct a month that was stated; it is paid, or taken off, with the next statement."""
    answer = ask_server(
        session,
        "settle_adjust",
        statement=statement,
        offer=offer,
        units=units,
        fen=fen,
        reason=reason,
        dispute=dispute,
    )
    emit(session, answer, session.say("下期生效", "comes with the next statement"))
    return EXIT_DONE


@settle.command()
@click.argument("statement", type=int)
@click.option(
    "--reason",
    type=click.Choice(["missing", "amount", "not_ours", "duplicate", "other"]),
    required=True,
)
@click.option("--entry", "position", default="", help="<ledger>/<seq>; absent, the whole.")
@shared_options
@pass_session
def dispute(session: Session, statement: int, reason: str, position: str) -> int:
    """Dispute STATEMENT; it cannot be closed until that is decided."""
    answer = ask_server(
        session, "settle_dispute", statement=statement, reason=reason, position=position
    )
    emit(session, answer, str(answer["dispute"]))
    return EXIT_DONE


@settle.command()
@click.argument("dispute", type=int)
@click.option("--uphold/--reject", "upheld", required=True)
@shared_options
@pass_session
def decide(session: Session, dispute: int, upheld: bool) -> int:
    """Decide DISPUTE; for one that is upheld make the adjustment with `settle adjust`."""
    answer = ask_server(session, "settle_decide", dispute=dispute, upheld=upheld)
    emit(session, answer, f"{dispute}: {'upheld' if upheld else 'rejected'}")
    return EXIT_DONE


@settle.command()
@click.argument("entry", metavar="LEDGER/SEQ")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@shared_options
@pass_session
def prove(session: Session, entry: str, file: Path) -> int:
    """Write a `.tlog-proof` FILE of one signed entry, which any tool of C2SP verifies."""
    from base64 import b64decode

    answer = ask_server(session, "evidence", position=entry)
    file.write_bytes(b64decode(answer["proof"]))
    answer["entry"] = b64decode(answer["entry"]).decode("ascii")
    answer["written"] = str(file)
    emit(session, answer, f"{answer['entry']}\n{answer['leaf']}\n{file}")
    return EXIT_DONE


def _tables(session: Session, answer: Mapping[str, Any], suffix: str) -> bytes:
    from screens.language import Language, wording
    from server.statement_tables import statement_tables
    from server.tables import as_csv, as_xlsx

    words, chinese = wording(Language(session.language())), session.language() == "zh"
    titles = {
        one["offer"]: one["title"] if chinese else one["title_en"] or one["title"]
        for one in ask_server(session, "offers")["offers"]
    }
    tables = statement_tables(
        answer, session.language(), lambda ms: f"{words.full_date(ms)} {words.clock(ms)}", titles
    )
    return as_xlsx(tables) if suffix == ".xlsx" else as_csv(tables)


def _list(session: Session, answer: Mapping[str, Any]) -> None:
    rows = [[one[name] for name in _COLUMNS] for one in answer["statements"]]
    emit(session, dict(answer), table("", _COLUMNS, rows))


def _sheet(answer: Mapping[str, Any]) -> str:
    sheet = io.StringIO()
    writer = csv.writer(sheet)
    writer.writerow(_ENTRY_COLUMNS)
    writer.writerows([one[name] for name in _ENTRY_COLUMNS] for one in answer["entries"])
    return sheet.getvalue()
