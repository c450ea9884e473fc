"""The campaign ``network``: the real server in a process of its own, behind a faulty network.

Every schedule is a terminal with a ledger of its own, its real client and its real HTTP; it grows
and pushes at random, forgets its receipts, pushes twice at once. Half of the schedules run while
the server is killed again and again. In the end every ledger stands on the server exactly once.
"""

from __future__ import annotations

import asyncio
import http.client
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import insert

from keys.passphrase import Argon2Cost
from ledger.log.note import Ed25519Verifier, vkey
from redcard.bench.ingest.worker import NOW_MS
from server.database import SQLITE_NAME, Database
from server.home import Configuration, ServerHome
from server.schema import ledgers
from sync.admission import LedgerState
from sync.client import Client, ServerKeys
from sync.state import SyncState
from sync.transport import HttpTransport
from sync.uplink import SyncStatus
from tests.campaigns.report import Budget, Report
from tests.faults.proxy import FaultProxy
from tests.sync.signed_log import DOMAIN, SignedLog, key, ledger_name

#: Schedules between two starts of the server, whose database takes new ledgers meanwhile.
CHUNK: Final = 250
TERMINALS_AT_ONCE: Final = 4
#: While the server is killed, most of a terminal's time is waiting for its next start.
TERMINALS_AT_ONCE_KILLED: Final = 32
ATTEMPTS_MAX: Final = 120
#: The server works so long between two kills, in seconds.
LIFE_S: Final = (0.02, 3.0)
START_S: Final = 60.0
_ENDS: Final = {SyncStatus.OK, SyncStatus.OFFLINE, SyncStatus.UNVERIFIED, SyncStatus.OVERLOADED}


class Server:
    """A server that can be killed and comes back at the same address."""

    def __init__(self, home: Path, *words: str) -> None:
        self.home = home
        self._words = words
        self._listening = socket.socket()
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(1024)
        self._process: subprocess.Popen[bytes] | None = None
        self.kills = 0

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", int(self._listening.getsockname()[1]))

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.campaigns.child_server", str(self.home)]
        handle = self._listening.fileno()
        self._process = subprocess.Popen(
            [*command, str(handle), *self._words],
            pass_fds=(handle,),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def wait(self) -> None:
        """Until it answers: what is sent before waits for it."""
        assert self._process is not None
        with closing(http.client.HTTPConnection(*self.address, timeout=START_S)) as asking:
            asking.request("GET", "/readyz")
            assert asking.getresponse().status == 200

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self.kills += 1

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=60)

    def close(self) -> None:
        self.stop()
        self._listening.close()


def make_home(path: Path) -> ServerHome:
    cost = Argon2Cost(memory_kib=64, iterations=1, lanes=1)
    return ServerHome.create(path, Configuration(DOMAIN), cost=cost)


def enrol(home: Path, logs: Sequence[SignedLog]) -> None:
    """Writes ledgers into the database of a server that is not running."""

    async def whole() -> None:
        database = await Database.open(home)
        try:
            async with database.writing() as connection:
                await connection.execute(insert(ledgers), [_row(log) for log in logs])
        finally:
            await database.close()

    asyncio.run(whole())


def _row(log: SignedLog) -> dict[str, Any]:
    return {
        "ledger": log.ledger,
        "terminal": log.ledger,
        "origin": log.origin,
        "vkeys": vkey(log.origin, log.signer.public_key),
        "state": LedgerState.OK.value,
        "size": 0,
        "root": SignedLog("", "").frontier.root(),
        "frontier": SignedLog("", "").frontier.to_bytes(),
        "revoked_reason": "",
        "created_ms": NOW_MS,
        "revision": 0,
        "feed_number": 0,
    }


class Terminal:
    """One schedule: its ledger, its courses, and what it holds of the server."""

    def __init__(self, log: SignedLog, keys: ServerKeys, port: int, seed: int) -> None:
        self.log = log
        self._keys = keys
        self._port = port
        self._random = random.Random(seed)
        self._state = SyncState.open(":memory:", origin=log.origin)

    def run(self) -> str:
        """Plays the schedule; says what went wrong, or nothing."""
        try:
            for _ in range(self._random.randrange(2, 6)):
                self.log.grow(self._random.randrange(1, 9), per_commit=self._random.randrange(1, 4))
                self._step()
            for _ in range(ATTEMPTS_MAX):
                if self._push(self._state) is SyncStatus.OK and self._pending() == 0:
                    return ""
        except AssertionError as fault:
            return f"{self.log.ledger}: {fault}"
        finally:
            self._state.close()
        return f"{self.log.ledger}: it never came through"

    def _step(self) -> None:
        what = self._random.randrange(6)
        if what == 0:  # its receipts are lost: it sends from the beginning
            self._state.close()
            self._state = SyncState.open(":memory:", origin=self.log.origin)
        elif what == 1:  # two pushes at once, by the courier and by hand
            with SyncState.open(":memory:", origin=self.log.origin) as other:
                with ThreadPoolExecutor(1) as beside:
                    pushing = beside.submit(self._push, other)
                    self._push(self._state)
                    pushing.result()
                return
        self._push(self._state)

    def _push(self, state: SyncState) -> SyncStatus:
        with HttpTransport(f"http://127.0.0.1:{self._port}") as transport:
            status = self._client(state, transport).push().status
        assert status in _ENDS, status
        return status

    def _pending(self) -> int:
        with HttpTransport(f"http://127.0.0.1:{self._port}") as transport:
            return self._client(self._state, transport).status().pending

    def _client(self, state: SyncState, transport: HttpTransport) -> Client:
        return Client(
            source=self.log,
            state=state,
            transport=transport,
            keys=self._keys,
            sign=key(self.log.seed).sign,
            now_ms=lambda: NOW_MS,
        )


@contextmanager
def killing(server: Server, seed: int) -> Iterator[None]:
    """Kills the server and starts it again for as long as the context lasts."""
    over = threading.Event()
    drawn = random.Random(seed)

    def again() -> None:
        while True:
            ended = over.wait(drawn.uniform(*LIFE_S))
            server.kill()
            server.start()
            server.wait()
            if ended:
                return

    thread = threading.Thread(target=again)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def faults_of(home: Path, logs: Sequence[SignedLog]) -> list[str]:
    """What of some ledgers does not stand on the server exactly once."""
    found: list[str] = []
    with closing(sqlite3.connect(f"file:{home / SQLITE_NAME}?mode=ro", uri=True)) as database:
        for log in logs:
            number, state, size = database.execute(
                "SELECT log, state, size FROM ledgers WHERE ledger = ?", (log.ledger,)
            ).fetchone()
            rows = database.execute(
                "SELECT body FROM entries WHERE log = ? ORDER BY seq", (number,)
            )
            bodies = [bytes(row[0]) for row in rows]
            if bodies != log.stored or (state, size) != ("ok", log.size):
                found.append(f"{log.ledger}: {len(bodies)} of {log.size} entries, {state}")
        if kept := database.execute("SELECT count(*) FROM evidence").fetchone()[0]:
            found.append(f"{kept} pieces of evidence against honest terminals")
    return found


def play(
    home: ServerHome, server: Server, first: int, count: int, *, kills: bool, faults: dict[str, int]
) -> list[str]:
    """Some schedules; says what went wrong."""
    logs = [SignedLog(ledger_name(first + at), f"network/{first + at}") for at in range(count)]
    enrol(home.path, logs)
    witness = Ed25519Verifier.from_vkey(home.vkeys()["witness"])
    keys = ServerKeys(witness, witness, witness, home.recipient)
    server.start()
    server.wait()
    with FaultProxy(server.address, first, faults) as proxy:
        terminals = [Terminal(log, keys, proxy.port, first + at) for at, log in enumerate(logs)]
        with ThreadPoolExecutor(TERMINALS_AT_ONCE_KILLED if kills else TERMINALS_AT_ONCE) as pool:
            if kills:
                with killing(server, first):
                    told = list(pool.map(Terminal.run, terminals))
            else:
                told = list(pool.map(Terminal.run, terminals))
    server.stop()
    return [fault for fault in told if fault] + faults_of(home.path, logs)


#: As in the proxy, but for a server that may be away: nobody hears of that.
FAULTS: Final = {
    "ok": 60,
    "delay": 8,
    "reset": 8,
    "cut_request": 8,
    "cut_answer": 8,
    "lose_answer": 8,
}


def run(budget: Budget) -> Report:
    """``budget.rounds`` schedules, every second chunk with a server that is killed at random."""
    report = Report()
    done = kills = 0
    with tempfile.TemporaryDirectory(prefix="redcard-network-") as folder:
        home = make_home(Path(folder) / "server")
        with closing(Server(home.path)) as server:
            chunk = min(CHUNK, max(budget.rounds // 2, 1))
            while budget.more(done) and not report.failures:
                killed = (done // chunk) % 2 == 1
                for fault in play(home, server, done, chunk, kills=killed, faults=FAULTS)[:5]:
                    report.need(False, fault)
                done += chunk
            kills = server.kills
    report.figures["schedules over the real HTTP path"] = done
    report.figures["kills of the server"] = kills
    report.need(kills > 0 or done < chunk * 2, "the server was never killed")
    with tempfile.TemporaryDirectory(prefix="redcard-network-") as folder:
        home = make_home(Path(folder) / "server")
        with closing(Server(home.path, "lie")) as server:
            found = play(home, server, 0, 6, kills=False, faults={"ok": 1})
        report.controls["a server that answers before it stores"] = bool(found)
    return report
