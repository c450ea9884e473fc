"""A hardware counter named in ``terminal.toml`` is asked at every opening of the ledger."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ledger.errors import LogRolledBack
from ledger.log.reading import LogReader
from readers.virtual.authority import TestCa
from terminal.configuration import parse
from terminal.errors import ConfigInvalid
from tests.terminal.rig import CONFIG, Rig

EXTRA = 'counter_name = "token 7731"\ncounter_file = "{}"\n'


def test_a_restored_disk_is_refused_by_the_terminal(tmp_path: Path, world: TestCa) -> None:
    place = tmp_path / "token"
    rig = Rig(tmp_path / "terminal", world, extra=EXTRA.format(place))
    try:
        rig.service.open_shift("counter", "zhang")
        with LogReader.open(rig.home.ledger_path) as reader:
            anchor = reader.newest_anchor()
        assert anchor is not None
        assert anchor["counter_name"] == "token 7731"
        assert int(place.read_text()) == anchor["counter"]
        rig.service.close()
        shutil.copy(rig.home.ledger_path, tmp_path / "image")
        rig.start()
        rig.service.close_shift("counter")
        rig.service.close()
        shutil.copy(tmp_path / "image", rig.home.ledger_path)
        with pytest.raises(LogRolledBack, match="restored or copied"):
            rig.start()
    finally:
        rig.close()


@pytest.mark.parametrize(
    ("lines", "field"),
    [
        ('counter_file = "x"', "counter_name"),
        ('counter_name = "n"', "counter_name"),
        ('counter_name = "n"\ncounter_file = "x"\ncounter_command = ["y"]', "counter_name"),
        ('counter_name = "\\u00e9"\ncounter_file = "x"', "counter_name"),
        ('counter_command = "x"', "counter_command"),
    ],
)
def test_half_a_counter_is_an_error(lines: str, field: str) -> None:
    with pytest.raises(ConfigInvalid, match=field):
        parse(CONFIG.format(extra=lines))


def test_a_command_is_taken_as_it_stands() -> None:
    lines = 'counter_name = "n"\ncounter_command = ["a", "b c"]'
    counter = parse(CONFIG.format(extra=lines)).counter
    assert counter is not None
    assert counter.command == ("a", "b c")
