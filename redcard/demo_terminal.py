"""The demo's terminal as a process of its own, so that its power can really be cut.

Started by the demo as ``python -m redcard.demo_terminal HOME``; what it needs comes as one line of
JSON on standard input, for it holds the secret of this start. It is the terminal that
``redcard counter`` runs; only where pcscd cannot be had does it listen for virtual cards itself.
It ends when its parent closes standard input.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from readers.supervision import CardReader
from redcard.errors import UsageInvalid


def main(home_path: str) -> None:
    """Serves until standard input closes or a signal comes."""
    from redcard.demo_clock import clock_of, is_demo
    from redcard.serving import serve_terminal, stop_on_signal
    from terminal.home import Home

    order = json.loads(sys.stdin.readline())
    home = Home.open(Path(home_path))
    if not (home.config.demo and is_demo(home.path)):
        raise UsageInvalid("virtual cards and test keys are for the demo alone")
    threading.Thread(target=_follow_parent, daemon=True).start()
    stop_on_signal()
    serve_terminal(
        home,
        clock_of(home.path),
        _readers(order.get("virtual") or {}),
        port=int(order["port"]),
        token=str(order["token"]),
        framed_by=[str(order["framed_by"])] if order.get("framed_by") else [],
        ready=lambda serving: _say(str(serving.port)),
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _readers(virtual: Mapping[str, int]) -> list[CardReader]:
    """The PC/SC service's readers, or one of our own for each named port."""
    if not virtual:
        from readers.pcsc import PcscReaders

        return [PcscReaders()]
    from readers.virtual.socket_reader import SocketReader

    return [SocketReader(name, port) for name, port in virtual.items()]


def _follow_parent() -> None:
    """The demo has ended, however it ended: so do we, in order."""
    while sys.stdin.readline():
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        sys.exit(0)
