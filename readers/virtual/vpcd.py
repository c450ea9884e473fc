"""Virtual cards behind the real PC/SC service: the card's side of vpcd, and a pcscd of our own.

The pcscd runs in a mount namespace where its fixed directory is ours, so it stands beside the
system's own and beside others like it. It is for demonstrations and tests on this machine: vpcd
listens on every network address, and whoever connects is a card.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from readers.errors import CardRemoved, ReaderMissing, ServiceMissing
from readers.virtual import wire
from readers.virtual.box import VirtualCard

DRIVER: Final = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
SOCKET_VARIABLE: Final = "PCSCLITE_CSOCK_NAME"
#: sun_path holds 108 bytes with its end (unix(7)).
SOCKET_PATH_BYTES_MAX: Final = 107
CONNECT_TIMEOUT_MS: Final = 2_000
RETURN_POLL_MS: Final = 50
START_TIMEOUT_MS: Final = 10_000
STOP_TIMEOUT_MS: Final = 5_000
START_ATTEMPTS_MAX: Final = 4
_SBIN: Final = "/usr/sbin:/sbin:/usr/local/sbin"

#: Run in the namespace. /run is covered, so that neither its owner nor its content matter; the
#: service ends when standard input says so, or ends because this process did, however that
#: ended; then it also tidies up.
_SCRIPT: Final = """
set -e
mount -t tmpfs none /run
mkdir /run/pcscd
mount --bind "$1" /run/pcscd
# where pcscd asks polkit, whose bus is covered too, it must be told not to
polkit=$(pcscd --help 2>&1 | grep -o -- --disable-polkit || true)
PCSCLITE_HP_DROPDIR="$2/none" pcscd --foreground --error $polkit --config "$2" </dev/null &
echo "$!"
read -r _ && orderly=yes || orderly=
kill "$!" 2>/dev/null || true
wait || true
[ -n "$orderly" ] || rm -rf "$3"
"""


def pcscd_available() -> str | None:
    """Why an isolated pcscd with virtual readers cannot run here, or ``None`` if it can."""
    if _which("pcscd") is None:
        return "pcscd is not installed: apt-get install pcscd"
    if not DRIVER.exists():
        return "the virtual reader driver is not installed: apt-get install vsmartcard-vpcd"
    if importlib.util.find_spec("smartcard") is None:
        return "pyscard is not installed: pip install pyscard"
    if _which("unshare") is None:
        return "unshare is not installed: apt-get install util-linux"
    return _namespace()[1]


class VpcdSlot:
    """A place on a virtual reader: puts one card there at a time.

    A card that lies on the reader comes back by itself when the reader does, as a real card
    does after the service was started anew.

    Args:
        port: the reader's TCP port on this machine.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self._visit: _Visit | None = None

    def insert(self, card: VirtualCard) -> None:
        """Puts a card on the reader, in place of the one that lies there.

        Hold it there until the reader has announced it: readers look a few times a second.

        Raises:
            ReaderMissing: nothing listens on the port.
        """
        self.remove()
        self._visit = _Visit(self.port, card)

    def remove(self) -> None:
        """Takes the card away; nothing happens if there is none."""
        visit, self._visit = self._visit, None
        if visit is not None:
            visit.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()


class _Visit:
    """One card from its insertion to its removal."""

    def __init__(self, port: int, card: VirtualCard) -> None:
        self._port = port
        self._card = card
        self._over = threading.Event()
        self._connection = self._connect()
        self._thread = threading.Thread(target=self._run, name=f"card at {port}", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._card.power_off()
        _hang_up(self._connection)
        if self._thread is not threading.current_thread():
            self._thread.join(STOP_TIMEOUT_MS / 1000)

    def _connect(self) -> socket.socket:
        try:
            connection = socket.create_connection(
                (wire.LOOPBACK, self._port), CONNECT_TIMEOUT_MS / 1000
            )
        except OSError as error:
            raise ReaderMissing(f"no virtual reader listens on port {self._port}") from error
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _run(self) -> None:
        with contextlib.suppress(CardRemoved):  # the card's own way to leave
            while not self._over.is_set():
                with contextlib.suppress(OSError):
                    self._answer()
                _hang_up(self._connection)
                while not self._over.wait(RETURN_POLL_MS / 1000):
                    with contextlib.suppress(ReaderMissing):
                        self._connection = self._connect()
                        break
        self._card.power_off()
        _hang_up(self._connection)

    def _answer(self) -> None:
        """Serves one connection until the reader hangs up."""
        while (frame := wire.receive(self._connection)) is not None:
            if len(frame) > 1:
                wire.send(self._connection, self._card.process(frame))
            elif frame == bytes((wire.GET_ATR,)):
                wire.send(self._connection, self._card.atr)
            elif frame in (bytes((wire.POWER_OFF,)), bytes((wire.RESET,))):
                self._card.power_off()


class Pcscd:
    """A pcscd of our own with one virtual reader of two slots.

    ``with Pcscd() as service:`` starts and stops it. Clients find it by the environment variable
    in ``environment``, which must be set before a process first talks to PC/SC; pcsc-lite
    remembers it, so the path stays the same over restarts.

    Args:
        reader_name: the reader's name; its slots appear as ``NAME 00 00`` and ``NAME 00 01``.

    Attributes:
        socket: path of the service's socket.
    """

    def __init__(self, reader_name: str = "Redcard Virtual Reader") -> None:
        self.reader_name = reader_name
        self._base = Path(tempfile.mkdtemp(prefix="rc-", dir=_short_directory()))
        self._run = self._base / "run"
        self._configuration = self._base / "conf"
        for directory in (self._run, self._configuration / "none"):
            directory.mkdir(parents=True)
        self.socket = self._run / "pcscd.comm"
        if len(os.fsencode(self.socket)) > SOCKET_PATH_BYTES_MAX:
            self._discard()
            raise ServiceMissing(f"{self.socket} is too long for a socket's path; set TMPDIR")
        self._port = 0
        self._unshare: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0

    @property
    def ports(self) -> tuple[int, int]:
        """The TCP ports of the two slots, for ``VpcdSlot``."""
        return self._port, self._port + 1

    @property
    def reader_names(self) -> tuple[str, str]:
        """The names under which PC/SC shows the slots."""
        return f"{self.reader_name} 00 00", f"{self.reader_name} 00 01"

    @property
    def environment(self) -> dict[str, str]:
        """What a client's environment needs."""
        return {SOCKET_VARIABLE: str(self.socket)}

    @property
    def pid(self) -> int:
        """The service's process, 0 before the first start."""
        return self._pid

    @property
    def running(self) -> bool:
        """Whether the service runs."""
        return self._process is not None and Path(f"/proc/{self._pid}").exists()

    def start(self) -> None:
        """Starts the service and waits until it listens.

        Raises:
            ServiceMissing: it does not start; the message says why.
        """
        missing = pcscd_available()
        if missing is not None:
            raise ServiceMissing(f"no virtual PC/SC reader here: {missing}")
        self._unshare = _namespace()[0]
        reason = "no free ports"
        for _ in range(START_ATTEMPTS_MAX):  # another process may take the ports before pcscd
            if self._port == 0:
                self._port = _free_pair()
            reason = self._try_start()
            if not reason:
                return
            self.stop()
            self._port = 0
        raise ServiceMissing(f"pcscd does not start: {reason}")

    def stop(self) -> None:
        """Stops the service, as an administrator does."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it has ended by itself
                process.stdin.write(b"stop\n")
                process.stdin.close()
        try:
            process.wait(STOP_TIMEOUT_MS / 1000)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            process.wait(STOP_TIMEOUT_MS / 1000)
        if process.stdout is not None:
            process.stdout.close()

    def kill(self) -> None:
        """Kills the service without warning; its files stay behind, as after a crash."""
        self._signal(signal.SIGKILL)
        self.stop()

    def restart(self) -> None:
        """Stops the service if it runs, and starts it again under the same path and ports."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._discard()

    def _try_start(self) -> str:
        """Starts once; returns why it did not work, or nothing."""
        for stale in ("pcscd.comm", "pcscd.pid"):
            (self._run / stale).unlink(missing_ok=True)
        (self._configuration / "vpcd").write_text(
            f'FRIENDLYNAME "{self.reader_name}"\nDEVICENAME /dev/null:{self._port:#x}\n'
            f"LIBPATH {DRIVER}\nCHANNELID {self._port:#x}\n"
        )
        self._process = process = subprocess.Popen(
            [
                *self._unshare,
                "sh",
                "-c",
                _SCRIPT,
                "pcscd",
                self._run,
                self._configuration,
                self._base,
            ],
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        said = process.stdout.readline().strip() if process.stdout is not None else b""
        if not said.isdigit():
            return "its mount namespace could not be made"
        self._pid = int(said)
        end = time.monotonic() + START_TIMEOUT_MS / 1000
        while time.monotonic() < end:
            if not Path(f"/proc/{self._pid}").exists():
                return "it ended at once"
            if self.socket.exists() and all(_listens(port) for port in self.ports):
                return ""
            time.sleep(0.005)
        return f"it does not listen after {START_TIMEOUT_MS} ms"

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, number)

    def _discard(self) -> None:
        shutil.rmtree(self._base, ignore_errors=True)


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{os.environ.get('PATH', '/usr/bin:/bin')}:{_SBIN}"}


def _which(program: str) -> str | None:
    return shutil.which(program, path=_environment()["PATH"])


def _namespace() -> tuple[list[str], str | None]:
    """The command that makes a mount namespace here, or why none does.

    Root in a container often may not, where any user may inside a namespace of users.
    """
    said = "refused"
    for command in (["unshare", "--mount"], ["unshare", "-Urm"]):
        trial = subprocess.run(
            [*command, "sh", "-c", "mount -t tmpfs none /run"],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if trial.returncode == 0:
            return command, None
        said = (trial.stderr.decode(errors="replace").strip().splitlines() or [said])[-1]
    return [], f"this system does not let us make a mount namespace: {said}"


def _short_directory() -> str | None:
    return "/tmp" if os.access("/tmp", os.W_OK) else None  # noqa: S108 - mkdtemp makes it safe


def _free_pair() -> int:
    """A port that is free together with the next one, which vpcd takes for its second slot."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("", port + 1))
            except (OSError, OverflowError):
                continue
            return port


def _listens(port: int) -> bool:
    """Whether a socket listens; asked of the kernel, since connecting would insert a card."""
    wanted = f":{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(fields[1].endswith(wanted) and fields[3] == "0A" for fields in map(str.split, lines))


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
