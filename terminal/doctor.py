"""What may be wrong with a terminal and around it: one finding a check, one remedy a fault.

Nothing here writes, takes the ledger's lock, or disturbs a running service. A check that cannot be
made because an earlier one failed is left out: the first fault is the one to mend.
"""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from keys.errors import KeyStoreError
from ledger.errors import LedgerError
from ledger.log.checkpoint import open_checkpoint
from ledger.log.note import Ed25519Verifier
from ledger.log.reading import LogReader
from ledger.rules.offer import BrokenOffer
from sync.errors import SyncError
from sync.protocol import TIME_HEADER, TUF_PATH
from sync.snapshot import SnapshotStore
from sync.state import SyncState
from sync.transport import HttpTransport, Request, Transport
from terminal.clock import CLOCK_BEHIND_MAX_MS, Clock, moment
from terminal.doctor_readers import Surroundings, examine_readers
from terminal.errors import TerminalError
from terminal.findings import Finding
from terminal.findings import bad as _bad
from terminal.findings import good as _good
from terminal.home import Enrolment, Home
from terminal.install import CA_KEYS, catalogue_of, named
from terminal.journal import Journal
from terminal.machine import ledger_key, open_keys
from terminal.receipts.checkup import examine_printer
from terminal.state import snapshot_age

FREE_BYTES_MIN: Final = 200 << 20
SKEW_MS_MAX: Final = 60_000
FONTS_TIMEOUT_S: Final = 10
#: Top-level packages of this program; another distribution that brings one of them breaks it.
OWN_PACKAGES: Final = frozenset(
    "redcard terminal server sync readers ledger keys screens firmware_profiles".split()
)


def examine(
    path: Path,
    clock: Clock,
    *,
    transport: Transport | None = None,
    reader_names: Callable[[], Sequence[str]] | None = None,
    surroundings: Surroundings | None = None,
) -> list[Finding]:
    """Checks a terminal.

    Args:
        path: its home.
        clock: the machine's clock, or the demo's.
        transport: the way to the server instead of the one in ``terminal.toml``.
        reader_names: lists the readers instead of pcscd, which is then asked nothing at all.
        surroundings: the card service, the readers and the kernel instead of this machine's.
    """
    if surroundings is None:
        surroundings = Surroundings() if reader_names is None else Surroundings(reader_names, None)
    findings = [_packages(), _fonts()]
    try:
        home = Home.open(path)
        enrolment = home.enrolment()
    except TerminalError as error:
        remedy = f"redcard init --home {path}"
        found = re.search(r"run `([^`]+)`", str(error))
        return [
            *findings,
            _bad("home", "终端目录不可用", str(error), found[1] if found else remedy),
            *examine_readers((), surroundings, path),
        ]
    findings.append(_good("home", f"终端目录 {path}", f"home {path}"))
    findings += _keys_and_ledger(home, enrolment)
    findings.append(_disk(home))
    findings += _clock(home, clock)
    findings += _snapshot(home, clock)
    findings += _server(home, clock, transport)
    findings += examine_readers(home.config.positions, surroundings, path)
    findings += examine_printer(home)
    return findings


def _packages() -> Finding:
    owners = importlib.metadata.packages_distributions()
    others = sorted(
        f"{name} ({', '.join(sorted(set(owners[name]) - {'redcard'}))})"
        for name in OWN_PACKAGES
        if set(owners.get(name, ())) - {"redcard"}
    )
    if others:
        return _bad(
            "packages",
            "程序包被其他软件占用",
            f"other software in this environment brings {', '.join(others)}",
            "install redcard into a virtual environment of its own: script/bootstrap",
        )
    return _good("packages", "程序环境独立", "the environment is ours alone")


def _fonts() -> Finding:
    program = shutil.which("fc-list")
    listed = ""
    if program:
        done = subprocess.run(
            [program, ":lang=zh", "family"],
            capture_output=True,
            text=True,
            timeout=FONTS_TIMEOUT_S,
            check=False,
        )
        listed = done.stdout.strip()
    if not listed:
        return _bad(
            "fonts",
            "没有中文字体",
            "no Chinese font is installed; pages and receipts would show boxes",
            "sudo apt-get install fonts-noto-cjk",
        )
    return _good("fonts", "中文字体已安装", "a Chinese font is installed")


def _keys_and_ledger(home: Home, enrolment: Enrolment) -> Iterator[Finding]:
    try:
        keys = open_keys(home)
        public_key = keys.public_key(ledger_key(keys, home.ledger_path))
    except (KeyStoreError, LedgerError, TerminalError) as error:
        yield _bad("keys", "密钥库打不开", str(error), "restore `keys` and `passphrase` together")
        return
    yield _good("keys", "密钥库正常", "the key store opens")
    try:
        with LogReader.open(home.ledger_path) as reader:
            size, note = reader.checkpoint()
            open_checkpoint(note, [Ed25519Verifier(enrolment.origin, public_key)])
    except LedgerError as error:
        yield _bad("ledger", "账本异常", str(error), "redcard ledger verify")
        return
    yield _good(
        "ledger",
        f"账本 {size} 笔，最新检查点签名有效",
        f"ledger of {size} entries, its newest checkpoint is signed by this terminal",
    )
    yield from _pending(home, enrolment, size)
    try:
        if home.state_path.exists():
            Journal(home.state_path).close()
    except TerminalError as error:
        yield _bad("state", "state.db 不可用", str(error), f"mv {home.state_path} /var/tmp/")


def _pending(home: Home, enrolment: Enrolment, size: int) -> Iterator[Finding]:
    if not home.sync_path.exists():
        return
    try:
        with SyncState.open(home.sync_path, origin=enrolment.origin) as state:
            pending = size - state.acknowledged().size
            sync = (state.fact("state") or b"never").decode()
    except SyncError as error:
        yield _bad("sync", "同步状态不可用", str(error), f"mv {home.sync_path} /var/tmp/")
        return
    if sync in {"quarantined", "inconsistent", "revoked"}:
        yield _bad(
            "sync",
            "服务器不接受本账本",
            f"the server says {sync} of this ledger",
            "stop redeeming and call the federation; delete nothing",
        )
        return
    yield _good("sync", f"待上传 {pending} 笔", f"{pending} entries without a receipt")


def _disk(home: Home) -> Finding:
    free = shutil.disk_usage(home.path).free
    if free < FREE_BYTES_MIN:
        return _bad(
            "disk",
            "磁盘空间不足",
            f"{free >> 20} MB are free, {FREE_BYTES_MIN >> 20} are needed",
            "free some space; never by deleting anything in the home",
        )
    return _good("disk", f"磁盘可用 {free >> 30} GB", f"{free >> 30} GB of disk are free")


def _clock(home: Home, clock: Clock) -> Iterator[Finding]:
    if not home.state_path.exists():
        return
    try:
        journal = Journal(home.state_path)
        now = moment(clock, journal.floor())
        journal.close()
    except TerminalError:
        return  # said of state.db already
    if now.behind_ms > CLOCK_BEHIND_MAX_MS:
        yield _bad(
            "clock",
            "时钟慢了",
            f"the clock is {now.behind_ms // 1000} s behind a time that the server has signed",
            "sudo timedatectl set-ntp true",
        )
        return
    yield _good("clock", "时钟未倒退", "the clock is not behind the signed time")


def _snapshot(home: Home, clock: Clock) -> Iterator[Finding]:
    pull = "redcard sync pull"
    try:
        store = SnapshotStore(home.snapshot_path, home.root_path.read_bytes())
        if store.current is None:
            yield _bad("snapshot", "没有项目数据", "no offers have been pulled yet", pull)
            return
        catalogue = catalogue_of(store.current)
        has_keys = bool(named(store.current, CA_KEYS))
        signed_ms = store.current.signed_ms
    except (SyncError, LedgerError, OSError) as error:
        yield _bad("snapshot", "项目数据不可用", str(error), pull)
        return
    broken = [name for name, one in catalogue.offers.items() if isinstance(one, BrokenOffer)]
    if broken:
        yield _bad(
            "offers",
            "有项目设置有误",
            f"offers that fail validation: {', '.join(sorted(broken))}",
            "tell the federation; every tap for them is O10",
        )
    if not has_keys:
        yield _bad("ca_keys", "没有卡组织公钥", "no CA keys: no card can be read", pull)
    age = snapshot_age(signed_ms, clock.wall_ms(), home.config.snapshot_max_age_ms)
    if age.value != "fresh":
        yield _bad("snapshot", "项目数据过旧", f"the snapshot is {age.value}", pull)
        return
    count = len(catalogue.offers)
    yield _good("snapshot", f"项目 {count} 个", f"{count} offers in force")


def _server(home: Home, clock: Clock, transport: Transport | None) -> Iterator[Finding]:
    if transport is None and not home.config.server:
        return
    try:
        way = transport or HttpTransport(home.config.server)
        answer = way.exchange(Request("GET", f"{TUF_PATH}metadata/timestamp.json"))
        if transport is None:
            way.close()
    except SyncError as error:
        yield _bad(
            "server", "服务器连接不上", str(error), "check the network, then redcard sync push"
        )
        return
    server_ms = answer.integer(TIME_HEADER)
    if answer.status != 200 or server_ms is None:
        yield _bad(
            "server",
            "服务器应答异常",
            f"{home.config.server} answers {answer.status}, not as a redcard server does",
            "check `server` in terminal.toml",
        )
        return
    skew_ms = clock.wall_ms() - server_ms
    if abs(skew_ms) > SKEW_MS_MAX:
        yield _bad(
            "clock_skew",
            "时钟与服务器不一致",
            f"the clock differs from the server's by {skew_ms // 1000} s",
            "sudo timedatectl set-ntp true",
        )
    yield _good("server", "服务器可达", "the server answers")
