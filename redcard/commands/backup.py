"""``redcard server backup`` and ``restore``: a moment of the server as one file, and back."""

from __future__ import annotations

from pathlib import Path

import click

from redcard.cli import pass_session, shared_options
from redcard.commands.at_server import ask_server, clock_at
from redcard.console import Session, emit


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@shared_options
@pass_session
def backup(session: Session, file: Path) -> int:
    """Write the server's configuration, keys, database and publications to FILE.

    The passphrase of the keys is not in it. The server may be running meanwhile.
    """
    from server.backup import back_up
    from server.home import read_configuration

    home = session.home_or("server")
    if read_configuration(home).database:
        ask_server(session, "up_to_date")  # another process may have published last
    document = back_up(home, file, clock_at(home)())
    text = session.say(
        f"已备份到 {file}（{document['bytes']} 字节）。密钥口令不在其中，"
        f"请另行保管 {home}/passphrase",
        f"{file} holds the backup, {document['bytes']} bytes. The passphrase is not in it: "
        f"keep {home}/passphrase elsewhere",
    )
    emit(session, document, text)
    return 0


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The passphrase of the keys; absent, it is in the folder already or in the environment.",
)
@shared_options
@pass_session
def restore(session: Session, file: Path, passphrase_file: Path | None) -> int:
    """Make a server from FILE in an empty folder.

    At its first start it goes on with numbers beyond all that it had given, and asks terminals for
    what they have sent since: nothing that a terminal holds is lost.
    """
    from server.backup import restore as put_back
    from server.home import write_private

    home = session.home_or("server")
    document = put_back(home, file)
    if passphrase_file is not None:
        write_private(home / "passphrase", passphrase_file.read_bytes())
    text = session.say(
        f"已恢复到 {home}。启动：redcard server run。各终端会自动补传备份之后的账本；"
        "备份后的会员名单、服务项目变更和保管人签署的文件需重新导入；备份后启用的终端需重新启用",
        f"{home} is restored. Start it: redcard server run. Terminals refill what came after the "
        "backup by themselves; import again what was changed since of members and offers and what "
        "custodians signed, and enrol again what was enrolled since",
    )
    emit(session, {"home": str(home), **document}, text)
    return 0
