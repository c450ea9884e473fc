"""``redcard server hash-cards``: the tool inside the federation that turns numbers into hashes."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import click

from redcard.cli import pass_session, shared_options
from redcard.console import EXIT_DONE, Session, emit
from redcard.errors import UsageInvalid


@click.command("hash-cards")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path))
@shared_options
@pass_session
def hash_cards(session: Session, file: Path, output: Path) -> int:
    """Turn the card numbers of FILE into card hashes, for `redcard server members`.

    FILE is a CSV with the column `number`; OUTPUT gets `card` and `last4` instead and the other
    columns as they are. Run it where the numbers already are, and delete FILE afterwards.
    """
    from server.card_list import hash_numbers, lines_of
    from server.home import ServerHome

    if output.exists():
        raise UsageInvalid(f"{output} is there already; it was left as it is")
    mac = ServerHome.open(session.home_or("server")).card_mac()
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    count = -1
    try:
        with (
            os.fdopen(handle, "w", encoding="utf-8", newline="") as out,
            file.open("rb") as stream,
        ):
            writer = csv.writer(out)
            for row in hash_numbers(lines_of(stream), mac):
                writer.writerow(row)
                count += 1
    except BaseException:
        output.unlink(missing_ok=True)  # half a list is none
        raise
    said = session.say(
        f"{count} 张卡已写入 {output}。请删除 {file}",
        f"{count} cards are in {output}. Delete {file}",
    )
    emit(session, {"cards": count, "written": str(output)}, said)
    return EXIT_DONE
