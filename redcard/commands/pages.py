"""``redcard counter`` and ``redcard kiosk``: the local pages of this terminal."""

from __future__ import annotations

import click

from redcard.cli import pass_session, shared_options
from redcard.console import Session, emit, note
from redcard.errors import UsageInvalid


def _serve(session: Session, page: str, reader: str, *, browser: bool) -> int:
    import webbrowser

    from readers.pcsc import PcscReaders
    from redcard.demo_clock import clock_of
    from redcard.serving import Serving, serve_terminal, stop_on_signal
    from terminal.home import Home
    from terminal.scanners import scanners_of

    if page == "kiosk" and not _first_start(session, reader, browser=browser):
        return 0
    home = Home.open(session.home_or("terminal"))
    mine = [position for position in home.config.positions if position.profile == page]
    if not mine:
        raise UsageInvalid(
            f"terminal.toml has no {page} position",
            next_step=f'add a [[position]] with profile = "{page}" to {home.path}/terminal.toml',
        )

    def ready(serving: Serving) -> None:
        for position in mine:
            note(serving.page(f"/{page}?position={position.id}"))
        note(session.say("按 Ctrl-C 结束", "Ctrl-C ends it"))
        if browser:
            webbrowser.open(serving.page(f"/{page}?position={mine[0].id}"))

    stop_on_signal()
    try:
        readers = [PcscReaders(reader or None), *scanners_of(home.config)]
        serve_terminal(home, clock_of(home.path), readers, ready=ready)
    except KeyboardInterrupt:
        return 0
    return 0


def _first_start(session: Session, reader: str, *, browser: bool) -> bool:
    """Activates a machine that is new, by its first page; whether it may go on as a kiosk."""
    import webbrowser
    from collections.abc import Sequence

    from readers.pcsc import PcscReaders
    from readers.supervision import CardReader
    from redcard.demo_clock import clock_of
    from redcard.first_start import FirstStartHost, is_new, serve_first_start
    from redcard.serving import KIOSK_PORT, Serving, stop_on_signal
    from terminal.home import Home
    from terminal.scanners import scanners_of

    path = session.home_or("terminal")
    if not is_new(path):
        return True

    def readers_of(home: Home) -> Sequence[CardReader]:
        return [PcscReaders(reader or None), *scanners_of(home.config)]

    def ready(serving: Serving) -> None:
        note(serving.page("/setup"))
        note(session.say("首次开机：用浏览器打开上面的地址", "First start: open the address above"))
        if browser:
            webbrowser.open(serving.page("/setup"))

    stop_on_signal()
    clock = clock_of(path)
    host = FirstStartHost(path, clock, readers_of)
    known = (path / "terminal.toml").exists()
    port = (Home.open(path).config.port if known else 0) or KIOSK_PORT
    try:
        return serve_first_start(host, path, clock, port=port, ready=ready)
    except KeyboardInterrupt:
        return False


@click.command("staff-pin")
@shared_options
@pass_session
def staff_pin(session: Session) -> int:
    """Set the PIN of this machine's staff corner; it is asked for, 4 to 12 digits."""
    from keys.errors import SecretInvalid
    from terminal.home import Home
    from terminal.staff import StaffPin

    home = Home.open(session.home_or("terminal"))
    prompt = session.say("工作人员入口的新口令（4–12 位数字）", "new PIN of the staff corner")
    again = session.say("再输一次", "once more")
    pin = str(click.prompt(prompt, hide_input=True, err=True, confirmation_prompt=again))
    try:
        StaffPin(home.path / "staff.json").set(pin)
    except SecretInvalid as error:
        raise UsageInvalid(str(error), next_step="redcard staff-pin") from None
    emit(session, {"set": True}, session.say("口令已设置", "The PIN is set"))
    return 0


@click.command()
@click.option("--reader", default="", help="Only readers whose name matches this expression.")
@click.option("--open", "browser", is_flag=True, help="Open the page in the browser.")
@shared_options
@pass_session
def counter(session: Session, reader: str, browser: bool) -> int:
    """Serve the counter page on this machine until Ctrl-C; prints its address."""
    return _serve(session, "counter", reader, browser=browser)


@click.command()
@click.option("--reader", default="", help="Only readers whose name matches this expression.")
@click.option("--open", "browser", is_flag=True, help="Open the page in the browser.")
@shared_options
@pass_session
def kiosk(session: Session, reader: str, browser: bool) -> int:
    """Serve the kiosk page on this machine until Ctrl-C; prints its address.

    A machine that is not enrolled yet shows its first page instead: a code or QR activates it.
    """
    return _serve(session, "kiosk", reader, browser=browser)
