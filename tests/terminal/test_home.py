from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from terminal.configuration import PrinterConfig, parse
from terminal.errors import ConfigInvalid, HomeUnsafe, NotEnrolled
from terminal.home import ApiAddress, Enrolment, Home

GOOD = """\
[terminal]
name = "XC-DS-01"
server = "http://127.0.0.1:8400/"
snapshot_max_age = "72h"
offline_cap = 50

[[position]]
id = "kiosk"
profile = "kiosk"
venue = "M01"
offer = "BJ-T-005"
reader = "Virtual.*00"

[[position]]
id = "counter"
profile = "counter"
venue = "S0201"
"""
ENROLMENT = Enrolment("a" * 26, "demo.redcard.example", 1, {"receipts": "x"})


def test_configuration_is_read_with_units() -> None:
    config = parse(GOOD)
    assert config.server == "http://127.0.0.1:8400"
    assert config.snapshot_max_age_ms == 72 * 3_600_000
    assert [position.id for position in config.positions] == ["kiosk", "counter"]


def test_the_printer_of_a_terminal_is_read() -> None:
    assert parse(GOOD).printer is None
    text = '[printer]\nport = "tcp://192.0.2.9"\npaper_mm = 80\ncuts = false\nauto = true\n'
    printer = parse(text + GOOD).printer
    assert printer == PrinterConfig("tcp://192.0.2.9", 80, cuts=False, auto=True)


@pytest.mark.parametrize(
    ("old", "new", "line", "field"),
    [
        ("offline_cap = 50", "offline_capp = 50", 5, "terminal[0].offline_capp"),
        ("offline_cap = 50", "offline_cap = true", 5, "offline_cap"),
        ("offline_cap = 50", "offline_cap = -1", 5, "offline_cap"),
        ('"72h"', '"72 hours"', 4, "snapshot_max_age"),
        ('venue = "S0201"', 'venu = "S0201"', 17, "position[1].venu"),
        ('venue = "S0201"', "", 14, "position[1].venue"),
        ('id = "counter"', 'id = "kiosk"', 15, "position[1].id"),
        ('id = "counter"', 'id = "../x"', 15, "position[1].id"),
        ('offer = "BJ-T-005"\n', "", 7, "position[0].offer"),
        ('"Virtual.*00"', '"(["', 12, "position[0].reader"),
        ("[terminal]", "[terminal", 1, ""),
        ('"http://127.0.0.1:8400/"', '"ftp://x"', 3, "terminal.server"),
        ("[terminal]", "[terminals]", 1, "terminals"),
        ("", '[[scanner]]\nname = "s"\nport = "loop://"\n', 3, "scanner[0].port"),
        ("", '[[scanner]]\nname = "s"\n', 1, "scanner[0].port"),
        ("", '[[scanner]]\nname = "s"\nport = "/dev/a"\nbaud = 1\n', 4, "scanner[0].baud"),
        ("", '[printer]\nport = "lp0"\n', 2, "printer.port"),
        ("", '[printer]\nport = "/dev/usb/lp0"\npaper_mm = 57\n', 3, "printer.paper_mm"),
        ("", '[printer]\nport = "/dev/usb/lp0"\nglyphs = "big5"\n', 3, "printer.glyphs"),
        ("", "[printer]\ncuts = true\n", 1, "printer.port"),
    ],
)
def test_bad_configuration_names_line_and_field(old: str, new: str, line: int, field: str) -> None:
    text = GOOD.replace(old, new) if old else new + GOOD
    assert text != GOOD
    with pytest.raises(ConfigInvalid) as caught:
        parse(text, "terminal.toml")
    assert caught.value.line == line
    assert caught.value.field.replace("[0]", "") == field.replace("[0]", "") or (
        caught.value.field.endswith(field)
    )
    assert f"terminal.toml, line {line}" in str(caught.value)


def test_a_terminal_without_positions_is_refused() -> None:
    with pytest.raises(ConfigInvalid, match="position"):
        parse("[terminal]\n")


def test_home_is_private_and_complete(tmp_path: Path) -> None:
    home = Home.create(tmp_path / "t", GOOD)
    for path in (home.path, *home.path.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert len(home.passphrase()) >= 32
    assert Home.open(home.path).passphrase() == home.passphrase()


def test_a_malformed_configuration_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid):
        Home.create(tmp_path / "t", "nonsense")
    assert not (tmp_path / "t").exists()


def test_creating_again_keeps_configuration_and_passphrase(tmp_path: Path) -> None:
    home = Home.create(tmp_path / "t", GOOD)
    again = Home.create(home.path, GOOD.replace("XC-DS-01", "OTHER"))
    assert again.config.name == "XC-DS-01"
    assert again.passphrase() == home.passphrase()


@pytest.mark.parametrize("name", ["", "passphrase", "run"])
def test_open_permissions_are_refused_with_the_remedy(tmp_path: Path, name: str) -> None:
    home = Home.create(tmp_path / "t", GOOD)
    victim = home.path / name
    victim.chmod(0o755 if victim.is_dir() else 0o644)
    with pytest.raises(HomeUnsafe, match=r"chmod (700|600)"):
        Home.open(home.path)


def test_passphrase_from_an_inherited_descriptor(tmp_path: Path) -> None:
    home = Home.create(tmp_path / "t", GOOD)
    reading, writing = os.pipe()
    os.write(writing, b"spoken\n")
    os.close(writing)
    assert home.passphrase({"REDCARD_PASSPHRASE_FD": str(reading)}) == b"spoken"
    with pytest.raises(HomeUnsafe, match="number"):
        home.passphrase({"REDCARD_PASSPHRASE_FD": "x"})
    (home.path / "passphrase").write_bytes(b"\n")
    with pytest.raises(HomeUnsafe, match="1 to"):
        home.passphrase({})
    (home.path / "passphrase").unlink()
    with pytest.raises(HomeUnsafe, match="missing"):
        home.passphrase({})


def test_enrolment_is_written_whole_and_read_strictly(tmp_path: Path) -> None:
    home = Home.create(tmp_path / "t", GOOD)
    with pytest.raises(NotEnrolled):
        home.enrolment()
    home.write_enrolment(ENROLMENT)
    assert home.enrolment() == ENROLMENT
    assert ENROLMENT.origin == "demo.redcard.example/redcard/" + "a" * 26
    for text in ("{", "[]", '{"ledger": "x"}', '{"ledger":"X","domain":"d","epoch":1,"vkeys":{}}'):
        (home.path / "enrolment.json").write_text(text)
        with pytest.raises(ConfigInvalid, match=r"enrolment\.json"):
            home.enrolment()


def test_api_address_is_private_and_forgotten(tmp_path: Path) -> None:
    home = Home.create(tmp_path / "t", GOOD)
    assert home.read_api() is None
    home.write_api(ApiAddress(8401, "token", 7))
    assert home.read_api() == ApiAddress(8401, "token", 7)
    assert stat.S_IMODE((home.path / "run" / "api.json").stat().st_mode) == 0o600
    (home.path / "run" / "api.json").write_text("{")
    assert home.read_api() is None
    home.forget_api()
    home.forget_api()
