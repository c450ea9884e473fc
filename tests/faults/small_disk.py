"""What happens on a disk that fills up, or that is mounted read-only; run on a tmpfs of 8 MiB."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ledger.entry import Entry
from ledger.errors import LogFault, LogFull
from ledger.log.reading import LogReader
from tests.ledger.log.ledgers import BOOT, ORIGIN, SIGNER, create, reopen, tap

CLOSING: Entry = {
    "kind": "close",
    "ts_ms": 1,
    "mono_ms": 99_999,
    "shift": "s",
    "operator": "o",
    "offers": [],
    "counts": [],
    "voids": [],
}


def fill(place: Path, leave_bytes: int) -> None:
    """Fills the disk but for some bytes, as another program would."""
    with (place / "filler").open("ab", buffering=0) as filler:
        piece = 1 << 16
        try:
            while piece >= 512:
                try:
                    filler.write(bytes(piece))
                except OSError:
                    piece //= 2
        finally:
            filler.truncate(max(0, filler.tell() - leave_bytes))


def full(place: Path) -> None:
    path = place / "ledger.db"
    store = create(path, reserve_bytes=1 << 20)
    store.append([tap(1)])
    assert (place / "ledger.db.reserve").stat().st_blocks * 512 >= 1 << 20
    fill(place, leave_bytes=1_600_000)
    number, refusal = 2, None
    while refusal is None:
        try:
            store.append([tap(number, note="x" * 3_000)])
            number += 1
        except LogFull as fault:
            refusal = fault
    assert "close the shift" in str(refusal), refusal
    assert store.size == number + 1
    assert number > 20
    fill(place, leave_bytes=0)
    assert store.append([CLOSING]).size == number + 2, "the reserve must let a shift close"
    assert not (place / "ledger.db.reserve").exists()
    (place / "sync.db").write_bytes(bytes(100_000))
    store.close()
    with reopen(path) as again:
        assert again.size == number + 2
        assert again.entry(again.size - 1)["kind"] == "close"  # type: ignore[index]
    (place / "filler").unlink()
    with reopen(path, reserve_bytes=1 << 20) as again:
        assert again.append([tap(number, mono_ms=99_999)]).size == number + 3
        assert (place / "ledger.db.reserve").exists(), "the reserve is taken again"


def readonly(place: Path) -> None:
    path = place / "ledger.db"
    with create(path) as store:
        store.append([tap(1)])
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    try:
        reopen(path)
    except LogFault as fault:
        assert "read-only" in str(fault), fault
        assert "nothing was recorded" in str(fault), fault
    else:
        raise AssertionError("a read-only disk was opened for writing")
    with LogReader.open(path) as reader:
        assert reader.size == 3
        assert len(list(reader.entries(0, 3))) == 3
    subprocess.run(["mount", "-o", "remount,rw", place], check=True)
    with reopen(path) as store:
        store.append([tap(2)])
        assert (store.origin, store.boot, SIGNER.name) == (ORIGIN, BOOT.boot, ORIGIN)


if __name__ == "__main__":
    {"full": full, "readonly": readonly}[sys.argv[1]](Path(sys.argv[2]))
    sys.stdout.write("as it should be\n")
