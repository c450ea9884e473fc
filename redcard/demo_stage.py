"""The demo's machines: a reader, a server process, a cable, and a terminal whose power can be cut.

Server and terminal are processes of their own, started as an operator would start them; the cards
stay with the demo. Where pcscd cannot be had, the terminal listens for the same virtual cards
itself, and the demo says so.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final

from readers.errors import ServiceMissing
from readers.virtual.vpcd import Pcscd, VpcdSlot, pcscd_available
from redcard import demo_world
from redcard.demo_clock import LastTime, set_clock
from redcard.errors import SurroundingsMissing
from redcard.link_switch import LinkSwitch
from server.administration import RUN_FILE
from server.pages.door import demo_key
from terminal.clock import Clock

HOST: Final = "127.0.0.1"
START_TIMEOUT_S: Final = 60
STOP_TIMEOUT_S: Final = 10
READER_NAME: Final = "Redcard Demo"
SLOTS: Final = ("kiosk", "counter")


class Stage:
    """Everything that runs beside the demo's own process.

    Args:
        folders: where homes and keys are.
        say: told what is being done.
        with_pcscd: whether to try the system's PC/SC service.
    """

    def __init__(
        self,
        folders: demo_world.Folders,
        say: Callable[[str], None],
        *,
        with_pcscd: bool = True,
    ) -> None:
        self.folders = folders
        self._say = say
        self._undo = ExitStack()
        self._pcscd: Pcscd | None = None
        self._server: subprocess.Popen[str] | None = None
        self._terminal: subprocess.Popen[str] | None = None
        self._with_pcscd = with_pcscd
        self.link: LinkSwitch | None = None
        self.clock: Clock
        self.slots: dict[str, VpcdSlot] = {}
        self.why_in_process = ""
        self.server_port = 0
        self.terminal_port = _free_port()
        self.terminal_token = secrets.token_urlsafe(24)
        self.framed_by = ""

    @property
    def reader(self) -> str:
        """What the cards are laid on."""
        return "pcscd" if self._pcscd is not None else "in-process"

    @property
    def powered(self) -> bool:
        """Whether the terminal runs."""
        return self._terminal is not None and self._terminal.poll() is None

    def server_address(self) -> str:
        """Address of the server as the terminal reaches it: through the cable."""
        assert self.link is not None
        return f"http://{HOST}:{self.link.port}"

    def office_address(self) -> str:
        """Address that lets a visitor of the demo into the server's pages."""
        running = json.loads((self.folders.server / RUN_FILE).read_text("utf-8"))
        return f"http://{HOST}:{self.server_port}/sign-in/demo?key={demo_key(running['token'])}"

    def set_clock(self, last: LastTime) -> None:
        """Puts both homes on the demo clock."""
        self.clock = set_clock((self.folders.server, self.folders.terminal), last)

    def start_reader(self) -> None:
        """Starts an isolated pcscd with a virtual reader, or says why not."""
        self.why_in_process = "not asked for" if not self._with_pcscd else pcscd_available() or ""
        if not self.why_in_process:
            try:
                pcscd = Pcscd(READER_NAME)
                self._undo.enter_context(pcscd)
                self._pcscd = pcscd
            except ServiceMissing as error:
                self.why_in_process = str(error)
        ports = self._pcscd.ports if self._pcscd is not None else (_free_port(), _free_port())
        self.slots = {name: VpcdSlot(port) for name, port in zip(SLOTS, ports, strict=True)}

    def reader_patterns(self) -> tuple[str, str]:
        """Regular expressions of the kiosk's and the counter's reader."""
        if self._pcscd is not None:
            first, second = self._pcscd.reader_names
            return f"^{re.escape(first)}$", f"^{re.escape(second)}$"
        return f"^{READER_NAME} {SLOTS[0]}$", f"^{READER_NAME} {SLOTS[1]}$"

    def start_server(self, port: int) -> None:
        """Starts the central server and the cable to it."""
        self._say("central server")
        command = [sys.executable, "-m", "redcard", "server", "run"]
        command += ["--home", str(self.folders.server), "--listen", f"{HOST}:{port}"]
        self._server = self._spawn(command, self.folders.root / "server.log")
        self.server_port = port
        _wait_for_port(port, self._server, self.folders.root / "server.log")
        self.link = LinkSwitch(port)
        self.link.start()
        self._undo.callback(self.link.stop)

    def start_terminal(self) -> None:
        """Starts the terminal; its pages answer when this returns."""
        log = self.folders.root / "terminal.log"
        command = [sys.executable, "-m", "redcard.demo_terminal", str(self.folders.terminal)]
        self._terminal = self._spawn(command, log, pipe=True)
        virtual = {}
        if self._pcscd is None:
            virtual = {f"{READER_NAME} {name}": slot.port for name, slot in self.slots.items()}
        order = {
            "port": self.terminal_port,
            "token": self.terminal_token,
            "framed_by": self.framed_by,
            "virtual": virtual,
        }
        assert self._terminal.stdin is not None
        assert self._terminal.stdout is not None
        self._terminal.stdin.write(json.dumps(order) + "\n")
        self._terminal.stdin.flush()
        said = _read_line(self._terminal.stdout)
        if not said.strip().isdigit():
            raise SurroundingsMissing(
                f"the terminal did not start:\n{_tail(log)}", next_step=f"see {log}"
            )

    def cut_power(self) -> None:
        """Ends the terminal as a power cut does: at once, with nothing said."""
        if self._terminal is not None:
            self._terminal.send_signal(signal.SIGKILL)
            self._terminal.wait(STOP_TIMEOUT_S)
            _close(self._terminal)
            self._terminal = None

    def stop(self) -> None:
        """Ends everything in order: cards, terminal, cable, server, reader."""
        for slot in self.slots.values():
            slot.remove()
        for process in (self._terminal, self._server):
            if process is not None:
                _end(process)
        self._terminal = self._server = None
        self._undo.close()

    def _spawn(self, command: list[str], log: Path, *, pipe: bool = False) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        if self._pcscd is not None:
            environment |= self._pcscd.environment
        with log.open("ab") as sink:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE if pipe else subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipe else sink,
                stderr=sink,
                env=environment,
                text=True,
                # Ctrl-C goes to the demo alone, which then ends the others in order.
                start_new_session=True,
            )


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_for_port(port: int, process: subprocess.Popen[str], log: Path) -> None:
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SurroundingsMissing(f"the server did not start:\n{_tail(log)}", next_step=f"see {log}")


def _read_line(stream: IO[str]) -> str:
    """One line, or what came until the time is up."""
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(stream.readline()), daemon=True)
    reader.start()
    reader.join(START_TIMEOUT_S)
    return found[0] if found else ""


def _tail(log: Path, lines: int = 15) -> str:
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_TIMEOUT_S)
    _close(process)


def _close(process: subprocess.Popen[str]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
