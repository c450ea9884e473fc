"""What leaves the ledger on paper: a day's closing, a table, and the check of a receipt."""

from __future__ import annotations

import base64
import sys
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from redcard.cli import pass_session, shared_options
from redcard.commands.at_ledger import (
    PLACE,
    Filter,
    check_day,
    entries_of,
    ledger_path,
    local_day,
    local_time,
    open_ledger,
    receipts_of,
)
from redcard.console import EXIT_NO, Session, emit, note, table
from redcard.errors import UsageInvalid

if TYPE_CHECKING:
    from ledger.log.day import Day
    from ledger.log.receipt_check import Checked
    from terminal.home import Home


@click.command("day")
@click.argument("day", default="")
@shared_options
@pass_session
def day_command(session: Session, day: str) -> int:
    """A DAY's closing to print and sign (YYYY-MM-DD); without one, the newest day."""
    from ledger.log.day import day_of
    from terminal.titles import titles_of

    if day:
        check_day(day)
    home, reader = open_ledger(session)
    with reader:
        if not day:
            day = local_day(_ts_ms(reader.entry(reader.size - 1)))
        made = day_of(
            day,
            (
                (seq, entry)
                for seq, entry in enumerate(entries_of(reader))
                if local_day(entry["ts_ms"]) == day
            ),
        )
        root = base64.b64encode(reader.root_at(made.size)).decode() if made.size else ""
    confirmed = max((receipt.size for receipt in receipts_of(home)), default=0) >= made.size
    titles = titles_of(home, english=session.language() == "en")
    document = {
        "day": made.day,
        "ledger": home.enrolment().origin,
        "first_seq": made.first_seq,
        "size": made.size,
        "root": root,
        "confirmed": confirmed and made.size > 0,
        "offers": {
            offer: {**asdict(count), "net": count.net, "title": titles.get(offer, offer)}
            for offer, count in sorted(made.offers.items())
        },
        "declines": dict(sorted(made.declines.items())),
        "overridden": made.overridden,
        "shifts": [
            {"shift": shift, "operator": facts[0], "opened_ms": facts[1], "closed_ms": facts[2]}
            for shift, facts in made.shifts.items()
        ],
    }
    emit(session, document, _sheet(session, made, document, titles))
    return 0


def _ts_ms(entry: Any) -> int:
    return int(entry["ts_ms"])


def _counts(session: Session, made: Day, titles: dict[str, str]) -> str:
    say = session.say
    rows: list[list[object]] = [
        [
            titles.get(offer, offer),
            count.taps,
            count.units,
            count.companions,
            count.manual,
            count.voids,
            count.net,
            count.reentries,
        ]
        for offer, count in sorted(made.offers.items())
    ]
    total = (sum(int(str(row[at])) for row in rows) for at in range(1, 8))
    rows.append([say("合计", "total"), *total])
    headers = [
        say("项目", "offer"),
        say("刷卡", "taps"),
        say("发放", "given"),
        say("随行", "companions"),
        say("补录", "late"),
        say("冲正", "voided"),
        say("实发", "net"),
        say("重入", "re-entries"),
    ]
    return table("", headers, rows)


def _sheet(session: Session, made: Day, document: dict[str, Any], titles: dict[str, str]) -> str:
    say = session.say
    shifts = [
        say("班次 ", "shift ")
        + f"{one['shift']} {one['operator']} {_clock(one['opened_ms'])}–{_clock(one['closed_ms'])}"
        for one in document["shifts"]
    ]
    declines = "  ".join(f"{code} {count}" for code, count in document["declines"].items())
    confirmed = say("已由服务器确认", "confirmed by the server")
    pending = say(
        "服务器尚未确认：签字前先同步", "not confirmed by the server: sync before signing"
    )
    return "\n".join(
        [
            say(f"日结单 {made.day}", f"Closing of {made.day}"),
            f"{say('账本', 'ledger')}: {document['ledger']}",
            "",
            _counts(session, made, titles),
            "",
            *shifts,
            f"{say('拒绝', 'declined')}: {declines or '0'}",
            f"{say('主管放行', 'forced by a supervisor')}: {made.overridden}",
            f"{say('账目', 'entries')}: {made.first_seq}–{made.size - 1}",
            f"{say('根', 'root')}: {document['root']}",
            confirmed if document["confirmed"] else pending,
            "",
            say(
                "经办人：______________   复核人：______________   日期：______________",
                "clerk: ______________   checked by: ______________   date: ______________",
            ),
        ]
    )


def _clock(ts_ms: Any) -> str:
    return local_time(int(ts_ms))[11:16] if ts_ms else "…"


@click.command("csv")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--day", default="", help="Only this local day, YYYY-MM-DD.")
@click.option("--offer", default="", help="Only this offer.")
@click.option("--code", default="", help="Only this code, for example A00.")
@click.option("--member", default="", help="Only this member reference, 16 hexadecimal digits.")
@click.option("--kind", default="", help="Only this kind, for example redeem.")
@shared_options
@pass_session
def csv_command(
    session: Session, file: Path, day: str, offer: str, code: str, member: str, kind: str
) -> int:
    """Write entries to FILE as a table for spreadsheets."""
    from ledger.log.table import write_csv

    wanted = Filter.of(day, offer=offer, code=code, member=member, kind=kind)
    _, reader = open_ledger(session)
    reader.close()
    path = ledger_path(session)
    # With its mark, without which spreadsheets read Chinese titles as something else.
    with file.open("w", encoding="utf-8-sig", newline="") as made:
        count = write_csv(path, made, wanted.takes, local_time)
    text = session.say(f"{file}：{count} 行", f"{file}: {count} rows")
    emit(session, {"file": str(file), "rows": count}, text)
    return 0


@click.command("check-receipt")
@click.argument("paper", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True))
@click.option(
    "--entry",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The entry's bytes; a .tlog-proof says nothing without them.",
)
@click.option(
    "--keys",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The server's signed list of terminal keys: GET /v1/terminals.",
)
@click.option(
    "--vkeys",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The server's public keys, one a line; absent, those of this terminal's enrolment.",
)
@shared_options
@pass_session
def check_receipt(
    session: Session, paper: Path, entry: Path | None, keys: Path | None, vkeys: Path | None
) -> int:
    """Check a receipt offline: PAPER holds what its code says, or a tlog-proof; - reads it here."""
    from ledger.log.keylist import open_key_list
    from ledger.log.note import Ed25519Verifier
    from ledger.log.receipt_check import check_paper
    from terminal.home import Home

    data = sys.stdin.buffer.read() if str(paper) == "-" else paper.read_bytes()
    home = None
    if vkeys is None or keys is None:
        home = Home.open(session.home_or("terminal"))
    lines = vkeys.read_text(encoding="utf-8").splitlines() if vkeys is not None else []
    if home is not None:
        lines = lines or list(home.enrolment().vkeys.values())
    server = [Ed25519Verifier.from_vkey(line) for line in lines if line.strip() and line[0] != "#"]
    if keys is not None:
        checked = check_paper(
            data,
            open_key_list(keys.read_bytes(), server),
            server,
            _entry(entry, home, data),
        )
    elif home is not None:
        checked = _by_own_word(session, home, data, server, _entry(entry, home, data))
    else:
        raise UsageInvalid("no keys to check with", next_step="give --keys")
    emit(session, asdict(checked), _said(session, checked))
    return 0 if checked.ok else EXIT_NO


def _by_own_word(
    session: Session, home: Home, data: bytes, server: Any, entry: bytes | None
) -> Checked:
    """Without the list, the ledger of this home can be checked by its own key."""
    from ledger.log.receipt_check import check_paper
    from ledger.log.shards import keys_of

    note(
        session.say(
            "未给 --keys：仅用本机账本自己的公钥核对，他机收据无法核对",
            "no --keys: checked by the key of this terminal's own ledger alone",
        )
    )
    return check_paper(data, keys_of(home.ledger_path), server, entry)


def _entry(given: Path | None, home: Home | None, data: bytes) -> bytes | None:
    """The entry's bytes: as given, else from this home's ledger if the paper is of it."""
    from ledger.errors import LedgerError
    from ledger.log.proof import parse_proof, parse_tap_receipt
    from ledger.log.reading import LogReader

    if given is not None:
        return given.read_bytes().removesuffix(b"\n")
    if home is None or not home.ledger_path.exists():
        return None
    with suppress(LedgerError, UnicodeDecodeError), LogReader.open(home.ledger_path) as reader:
        try:
            receipt = parse_tap_receipt(data.decode("ascii").strip())
            seq, origin = receipt.seq, receipt.origin
        except (LedgerError, UnicodeDecodeError):
            proof = parse_proof(data)
            seq, origin = proof.index, proof.note.split(b"\n", 1)[0].decode()
        if origin == reader.origin and seq < reader.size:
            return next(iter(reader.entries(seq, seq + 1)))
    return None


def _said(session: Session, checked: Checked) -> str:
    say = session.say
    if not checked.ok:
        return say("不成立：", "does not hold: ") + checked.reason
    lines = [say("成立", "holds"), f"{checked.origin}  {say('第', 'entry')} {checked.seq}"]
    if checked.entry:
        lines.append(say("内容与账目一致", "the entry's contents are the recorded ones"))
    if checked.confirmed:
        when = datetime.fromtimestamp(checked.time_s, PLACE).strftime("%Y-%m-%d %H:%M:%S")
        lines.append(say(f"服务器于 {when} 确认", f"confirmed by the server on {when}"))
    if checked.state != "ok":
        lines.append(say(f"该终端已停用：{checked.state}", f"the terminal is {checked.state}"))
    return "\n".join(lines)
