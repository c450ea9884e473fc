from pathlib import Path

from terminal.home import Home
from terminal.receipts.checkup import examine_printer

CONFIG = '[[position]]\nid = "c"\nprofile = "counter"\nvenue = "S01"\n'


def home(path: Path, port: str) -> Home:
    return Home.create(path / "home", CONFIG + (f'[printer]\nport = "{port}"\n' if port else ""))


def test_a_missing_printer_is_a_fault_with_one_remedy(tmp_path: Path) -> None:
    (finding,) = examine_printer(home(tmp_path, "/dev/usb/lp-none"))
    assert not finding.ok
    assert finding.remedy.endswith("ls -l /dev/usb/lp-none")


def test_a_network_printer_is_named_and_none_is_not(tmp_path: Path) -> None:
    (finding,) = examine_printer(home(tmp_path, "tcp://192.0.2.9"))
    assert finding.ok
    assert not examine_printer(home(tmp_path / "b", ""))
