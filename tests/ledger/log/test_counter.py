"""The hardware counter, and each attack on a ledger's past: which of them what finds."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.entry import Entry
from ledger.errors import LogFault, LogPoisoned, LogRolledBack
from ledger.log.audit import verify_database
from ledger.log.checkpoint import cosign
from ledger.log.counter import COMMAND_TIMEOUT_S, CommandCounter, FileCounter, MonotonicCounter
from ledger.log.reading import LogReader
from ledger.log.shards import succession
from ledger.log.store import LogStore
from tests.ledger.log.ledgers import BOOT, ORIGIN, REBOOT, SERVER, SIGNER, create, reopen, tap


def opening(number: int) -> Entry:
    clocks = {"ts_ms": BOOT.ts_ms, "mono_ms": 9_000}
    return {"kind": "open", "shift": f"s{number}", "operator": "o", **clocks}


@pytest.fixture
def counter(tmp_path: Path) -> FileCounter:
    return FileCounter(tmp_path / "elsewhere", "card 7")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk" / "ledger.db"


def image(path: Path) -> Path:
    """What somebody copies off the disk."""
    return shutil.copytree(path.parent, path.parent.with_name("image"), dirs_exist_ok=True)


def restore(path: Path) -> None:
    shutil.rmtree(path.parent)
    shutil.copytree(path.parent.with_name("image"), path.parent)


def test_anchors_carry_the_counter_and_taps_do_not(path: Path, counter: FileCounter) -> None:
    with create(path, counter=counter) as store:
        store.append([tap(1), opening(1), tap(2), opening(2)])
        assert counter.read() == 3
        store.append([tap(3)])
    with reopen(path, REBOOT, counter=counter):
        assert counter.read() == 4
    with reopen(path, REBOOT, counter=counter):
        assert counter.read() == 4, "only a start of the system makes a boot entry"
    with LogReader.open(path) as reader:
        found = {
            seq: entry.get("counter")
            for seq in range(reader.size)
            if (entry := reader.entry(seq)) is not None and "counter" in entry
        }
        assert found == {1: 1, 3: 2, 5: 3, 7: 4}
        assert (reader.entry(1) or {})["counter_name"] == "card 7"
    assert verify_database(path).ok


def test_a_restored_disk_is_older_than_its_counter(path: Path, counter: FileCounter) -> None:
    with create(path, counter=counter) as store:
        store.append([tap(1)])
    image(path)
    with reopen(path, counter=counter) as store:
        store.append([opening(1), tap(2)])
    restore(path)
    with pytest.raises(LogRolledBack, match="restored or copied"):
        reopen(path, counter=counter)


def test_a_copied_disk_is_not_the_machine_of_its_counter(path: Path, counter: FileCounter) -> None:
    with create(path, counter=counter) as store:
        store.append([opening(1)])
    new, same, far = (FileCounter(path.with_name(name), "card 7") for name in "012")
    far.advance()
    same.name, new.name = "card 8", "card 9"
    for _ in range(2):
        same.advance()
    for other, value in ((new, 0), (same, 2), (FileCounter(path.with_name("3"), "card 7"), 0)):
        with pytest.raises(LogRolledBack, match="not the machine"):
            reopen(path, counter=other)
        assert other.read() == value
    reopen(path, counter=far).close()
    assert far.read() == 2, "one below was interrupted and is advanced"


def test_what_came_after_the_newest_anchor_only_a_receipt_betrays(
    path: Path, counter: FileCounter
) -> None:
    """The limit that remains, as the documentation states it."""
    with create(path, counter=counter) as store:
        store.append([opening(1), tap(1)])
    image(path)
    with reopen(path, counter=counter) as store:
        store.append([tap(2)])
        receipt = cosign(store.checkpoint()[1], SERVER, 1)
    restore(path)
    reopen(path, counter=counter).close()
    with pytest.raises(LogRolledBack, match="restored or replaced"):
        reopen(path, counter=counter, cosigned=[receipt])


def test_a_rollback_to_the_last_receipt_is_found_by_the_counter(
    path: Path, counter: FileCounter
) -> None:
    """The one attack that the server cannot see: exactly the acknowledged size."""
    with create(path, counter=counter) as store:
        store.append([tap(1)])
        receipt = cosign(store.checkpoint()[1], SERVER, 1)
    image(path)
    with reopen(path, counter=counter) as store:
        store.append([tap(2)])
        store.append([{**opening(1), "kind": "close", "offers": [], "counts": [], "voids": []}])
    restore(path)
    reopen(path, cosigned=[receipt]).close()
    restore(path)
    with pytest.raises(LogRolledBack, match="restored or copied"):
        reopen(path, counter=counter, cosigned=[receipt])


def test_two_machines_that_write_one_ledger_fork_at_their_boot_entries(path: Path) -> None:
    create(path).close()
    image(path)
    with reopen(path, REBOOT) as store:
        receipt = cosign(store.checkpoint()[1], SERVER, 1)
    restore(path)
    clone = replace(REBOOT, boot="1234567890abcdef")
    with reopen(path, clone) as store:
        assert store.size == 3
    with pytest.raises(LogRolledBack, match="two machines"):
        reopen(path, clone, cosigned=[receipt])


def test_a_new_image_is_a_new_ledger_that_names_the_old_one(path: Path) -> None:
    with create(path) as store:
        store.append([tap(1)])
        follows = succession(store)
    other = path.with_name("new.db")
    with LogStore.create(
        other, origin=ORIGIN, signer=SIGNER, genesis=follows, boot=replace(REBOOT, epoch=2)
    ) as store:
        genesis = store.entry(0) or {}
        assert (genesis["epoch"], genesis["previous_size"]) == (2, 3)
        assert (store.entry(1) or {})["epoch"] == 2


class Faulty:
    """A counter that stops answering."""

    name = "card 7"

    def __init__(self, counter: FileCounter) -> None:
        self._counter = counter
        self.fails = ""

    def read(self) -> int:
        if self.fails == "read":
            raise LogFault("the counter card 7 is gone")
        return self._counter.read()

    def advance(self) -> None:
        if self.fails == "advance":
            raise LogFault("the counter card 7 is gone")
        self._counter.advance()


def test_a_counter_that_stops_in_between_is_advanced_at_the_next_opening(
    path: Path, counter: FileCounter
) -> None:
    faulty = Faulty(counter)
    with create(path, counter=faulty) as store:
        faulty.fails = "read"
        with pytest.raises(LogFault, match="is gone"):
            store.append([opening(1)])
        assert store.append([tap(1)]).size == 3, "a tap needs no counter"
        faulty.fails = "advance"
        assert store.append([opening(2)]).size == 4, "what is durable is acknowledged"
        with pytest.raises(LogPoisoned, match="is gone"):
            store.append([tap(2)])
    assert counter.read() == 1
    with reopen(path, counter=counter) as store:
        assert counter.read() == 2
        assert store.append([opening(3)]).size == 5
    assert verify_database(path).ok


def test_a_ledger_may_get_its_counter_later(path: Path, counter: FileCounter) -> None:
    create(path).close()
    for _ in range(5):
        counter.advance()
    with reopen(path, counter=counter) as store:
        store.append([opening(1)])
    assert counter.read() == 6
    reopen(path, counter=counter).close()


SCRIPT = """#!{python}
import pathlib, sys
place = pathlib.Path({place!r})
value = int(place.read_text())
if sys.argv[2] not in ("read", "advance"):
    sys.exit("what?")
if sys.argv[2] == "advance":
    place.write_text(str(value := value + 1))
print(value, sys.argv[1])
"""


def program(tmp_path: Path, text: str = SCRIPT) -> Path:
    place, made = tmp_path / "value", tmp_path / "program"
    place.write_text("0")
    made.write_text(text.format(python=sys.executable, place=str(place)))
    made.chmod(made.stat().st_mode | stat.S_IXUSR)
    return made


def test_a_counter_behind_a_program(tmp_path: Path, path: Path) -> None:
    script = program(tmp_path, SCRIPT.replace(", sys.argv[1])", ")"))
    counter: MonotonicCounter = CommandCounter([str(script), "nv1"], "tpm 1")
    with create(path, counter=counter) as store:
        store.append([opening(1)])
    assert counter.read() == 2
    assert verify_database(path).ok


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda place: CommandCounter([str(place / "none")], "c"), "does not answer"),
        (lambda place: CommandCounter([str(program(place)), "x"], "c"), "no number"),
        (lambda place: CommandCounter(["/bin/false"], "c"), "does not answer"),
        (lambda place: CommandCounter(["/bin/echo"], "c"), "no number"),
        (lambda place: FileCounter(place, "c"), "cannot be read"),
        (lambda place: _holding(place, "-1"), "no number"),
        (lambda place: _holding(place, "9" * 16), "no number"),
        (lambda place: _holding(place, "x\u00e9"), "cannot be read"),
    ],
)
def test_counters_that_do_not_answer(
    tmp_path: Path, make: Callable[[Path], MonotonicCounter], why: str
) -> None:
    with pytest.raises(LogFault, match=why):
        make(tmp_path).read()


def _holding(place: Path, text: str) -> FileCounter:
    (place / "value").write_text(text, encoding="utf-8")
    return FileCounter(place / "value", "c")


def test_numbers_have_fifteen_digits_at_most(tmp_path: Path) -> None:
    assert _holding(tmp_path, "9" * 15 + "\n").read() == 10**15 - 1
    with pytest.raises(LogFault, match="no number"):
        _holding(tmp_path, "1" * 16).read()
    with pytest.raises(LogFault, match="no number"):
        CommandCounter(["/usr/bin/printf", "\u00b2%.0s"], "c").read()


def test_an_advanced_file_is_on_its_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    original = os.fsync

    def noted(descriptor: int) -> None:
        flushed.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        original(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    counter = FileCounter(tmp_path / "value", "c")
    counter.advance()
    assert flushed == [str(tmp_path / "value.new"), str(tmp_path)]
    assert counter.read() == 1
    assert [one.name for one in tmp_path.iterdir()] == ["value"]


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(LogFault):
        FileCounter(tmp_path / "missing" / "value", "c").advance()
    assert COMMAND_TIMEOUT_S > 0
