"""Runs the demo with its page until Ctrl-C, or for as long as a caller needs it."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import uvicorn

from redcard.card_box import card_box_app
from redcard.console import Session, emit, note
from redcard.demo import Demo
from redcard.demo_stage import Stage
from redcard.demo_world import Folders
from redcard.errors import SurroundingsMissing
from redcard.serving import HOST, AnnouncingServer, stop_on_signal
from terminal.home import write_private

#: Where `redcard cards virtual` finds the running demo.
ADDRESS_FILE: Final = "card-box.json"
MARK_FILE: Final = ".redcard-demo"


@contextmanager
def opened(
    session: Session, directory: Path, *, with_pcscd: bool, fresh: bool, framed_by: str = ""
) -> Iterator[Demo]:
    """A running demo, taken down in order at the end.

    Args:
        session: language, and whether to be quiet.
        directory: where the homes are.
        with_pcscd: whether to try the system's PC/SC service.
        fresh: forget an earlier demo there.
        framed_by: origin of the page that shows the terminal's pages in frames.

    Raises:
        SurroundingsMissing: the folder holds something that is no demo; it was left as it is.
    """

    def say(what: str) -> None:
        if not session.as_json:
            note(f"  {what}")

    _claim(directory, fresh=fresh)
    stage = Stage(Folders(directory), say, with_pcscd=with_pcscd)
    stage.framed_by = framed_by
    demo = Demo(stage)
    try:
        demo.open(_free_port(), say)
        if stage.why_in_process and not session.as_json:
            note(
                session.say(
                    f"  未使用 pcscd（{stage.why_in_process}），改用内置虚拟读卡器",
                    f"  without pcscd ({stage.why_in_process}): using the in-process reader",
                )
            )
        yield demo
    finally:
        stage.stop()


def run_demo(session: Session, directory: Path, *, port: int, with_pcscd: bool, fresh: bool) -> int:
    """Serves the demo's page until Ctrl-C."""
    stop_on_signal()
    listener = _listen(port)
    port = listener.getsockname()[1]
    origin = f"http://{HOST}:{port}"
    token = secrets.token_urlsafe(24)
    note(session.say("正在搭建演示…", "Setting the demo up…"))
    try:
        with (
            listener,
            opened(
                session, directory, with_pcscd=with_pcscd, fresh=fresh, framed_by=origin
            ) as demo,
        ):
            _serve(session, demo, listener, origin, token)
    except KeyboardInterrupt:
        note("")
    note(session.say("演示已结束；再次运行会接着上次", "The demo has ended; it goes on next time."))
    return 0


def _serve(session: Session, demo: Demo, listener: socket.socket, origin: str, token: str) -> None:
    stage = demo.stage
    terminal = f"http://{HOST}:{stage.terminal_port}"
    frames = {
        slot: f"{terminal}/{slot}?position={slot}&key={stage.terminal_token}"
        for slot in stage.slots
    }
    port = listener.getsockname()[1]
    office = stage.office_address()
    app = card_box_app(demo, frames=frames, token=token, port=port, office=office)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=2, ws="none"
    )
    address = f"{origin}/?key={token}"
    file = stage.folders.root / ADDRESS_FILE
    write_private(file, json.dumps({"url": origin, "token": token}).encode(), replace=True)

    def ready() -> None:
        _announce(session, demo, address, frames, office)

    try:
        AnnouncingServer(config, ready).run(sockets=[listener])
    finally:
        file.unlink(missing_ok=True)


def _announce(
    session: Session, demo: Demo, address: str, frames: dict[str, str], office: str
) -> None:
    home = demo.folders.terminal
    document = {"page": address, "frames": frames, "home": str(home), "reader": demo.stage.reader}
    document["office"] = office
    lines = [
        "",
        session.say(f"演示页：  {address}", f"Demo page:  {address}"),
        session.say(f"自助机：  {frames['kiosk']}", f"Kiosk:      {frames['kiosk']}"),
        session.say(f"柜台：    {frames['counter']}", f"Counter:    {frames['counter']}"),
        session.say(f"管理后台：  {office}", f"Back office: {office}"),
        session.say("命令行刷卡：", "Tap cards from another shell:"),
        f"  .venv/bin/redcard cards virtual insert good-1 --slot kiosk --home {demo.folders.root}",
        f"  .venv/bin/redcard tap --position counter --offer XC-L-009 --home {home}",
        session.say("按 Ctrl-C 结束", "Ctrl-C ends it"),
    ]
    emit(session, document, "\n".join(lines))


def _claim(directory: Path, *, fresh: bool) -> None:
    """Makes sure that the folder is ours before anything in it is replaced."""
    mark = directory / MARK_FILE
    if directory.exists() and any(directory.iterdir()) and not mark.exists():
        raise SurroundingsMissing(
            f"{directory} is not empty and holds no demo; it was left as it is",
            next_step="name a new folder with --dir",
        )
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if fresh:
        for item in directory.iterdir():
            if item.name in {"server", "terminal"}:
                shutil.rmtree(item)
            elif item.suffix == ".log":
                item.unlink()
    with contextlib.suppress(FileExistsError):
        mark.touch(mode=0o600, exist_ok=False)


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError:
        if port == 0:
            raise
        return socket.create_server((HOST, 0))


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])
