"""``redcard readers certify`` as an operator starts it, on the real service and without one."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from readers.connection import Interface
from readers.virtual.authority import TestCa
from readers.virtual.pn532 import Pn532
from readers.virtual.vpcd import Pcscd, VpcdSlot
from tests.readers.cards.bench import card


def _run(*words: str, home: Path) -> tuple[int, dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-m", "redcard", "readers", "certify", *words, "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"REDCARD_HOME": str(home)},
        stdin=subprocess.DEVNULL,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.pcscd
def test_a_reader_with_a_card_on_it_in_a_workshop(pcscd: Pcscd, tmp_path: Path) -> None:
    place = VpcdSlot(pcscd.ports[0])
    place.insert(card(TestCa.in_folder(tmp_path / "ca"), Interface.CONTACTLESS))
    try:
        code, document = _run(
            "--reader", f"^{pcscd.reader_names[0]}$", "--taps", "5", "--unattended", "--wait", "20",
            "--output", str(tmp_path / "papers"), home=tmp_path,
        )  # fmt: skip
    finally:
        place.remove()
    assert (code, document["verdict"]) == (0, "passed_with_gaps"), document
    filed = (tmp_path / "papers" / "report.json").read_bytes()
    html = (tmp_path / "papers" / "report.html").read_text("utf-8")
    assert hashlib.sha256(filed).hexdigest() in html
    steps = {one["step"]: one["verdict"] for one in json.loads(filed)["steps"]}
    assert steps["taps"] == steps["timing"] == "passed"
    assert steps["unplug"] == steps["removal"] == steps["cards"] == "skipped"


@pytest.mark.pcscd
def test_several_readers_none_and_no_card(pcscd: Pcscd, tmp_path: Path) -> None:
    code, document = _run(home=tmp_path)
    assert code == 2
    assert "2 readers match" in str(document["error"])
    code, document = _run("--reader", "Nothing", home=tmp_path)
    assert code == 3
    code, document = _run(
        "--reader", f"^{pcscd.reader_names[0]}$", "--unattended", "--wait", "1", home=tmp_path
    )
    assert code == 3
    assert "nothing was certified" in str(document["error"])


def test_an_nfc_reader_with_a_card_on_it(tmp_path: Path) -> None:
    chip = Pn532()
    chip.insert(card(TestCa.in_folder(tmp_path / "ca"), Interface.CONTACTLESS))
    try:
        code, document = _run(
            "--nfc", chip.path, "--taps", "5", "--unattended", "--wait", "20",
            "--output", str(tmp_path / "papers"), home=tmp_path,
        )  # fmt: skip
    finally:
        chip.close()
    assert (code, document["verdict"]) == (0, "passed_with_gaps"), document
    filed = json.loads((tmp_path / "papers" / "report.json").read_bytes())
    reader = filed["reader"]
    assert (reader["driver"], reader["profile"]) == ("nfcpy", "nxp-pn532")
    steps = {one["step"]: one["verdict"] for one in filed["steps"]}
    assert steps["uid"] == steps["taps"] == steps["timing"] == "passed"
    assert steps["feedback"] == "not_applicable"


def test_nfc_readers_that_are_none(tmp_path: Path) -> None:
    for path in ("/dev/serial/by-id/nothing", "/etc/passwd"):
        code, document = _run("--nfc", path, home=tmp_path)
        assert code == 3, document
