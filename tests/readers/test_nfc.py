"""The PN532 on a pseudo terminal and the driver on nfcpy, byte by byte and fault by fault."""

from __future__ import annotations

import contextlib
import logging
import os
import pty
import select
import shutil
import subprocess
import threading
import time
import tty
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers import nfc
from readers.cards.detect import identify
from readers.cards.scheme import CardAssurance, CardScheme
from readers.cards.uid import Uid
from readers.cards.unionpay import UnionPay
from readers.connection import CardConnection
from readers.errors import CardRemoved, ReaderFault, ReaderMissing
from readers.nfc import NfcReader
from readers.nfc_field import other_card, type_a_uids
from readers.supervision import ReaderState
from readers.virtual import pn532_frames as frames
from readers.virtual.box import Faults, FaultyCard
from readers.virtual.isodep import EXTENSIONS_MAX, IsoDepTarget
from readers.virtual.pn532 import ChipFaults, Pn532
from readers.virtual.pn532_frames import FrameReader, Kind
from readers.virtual.pn532_targets import TypeA, TypeF
from tests.readers.cards import bench
from tests.readers.stack import PATIENCE_S, SELECT, Recorder, TestCard, echo


@given(st.lists(st.binary(min_size=1, max_size=265), max_size=4), st.integers(1, 400))
def test_frames_are_found_in_a_stream(bodies: list[bytes], piece: int) -> None:
    stream = b"\x55\x55\x00\x00" + b"".join(map(frames.encode, bodies)) + frames.ACK + frames.NACK
    reader = FrameReader()
    found = []
    for at in range(0, len(stream), piece):
        found += reader.feed(stream[at : at + piece])
    assert found == [*((Kind.BODY, body) for body in bodies), (Kind.ACK, b""), (Kind.NACK, b"")]


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_finding_frames_is_total(chunks: list[bytes]) -> None:
    reader = FrameReader()
    for chunk in chunks:
        for kind, body in reader.feed(chunk):
            assert (kind is Kind.BODY) == bool(body)


def test_broken_frames_are_noticed_and_long_ones_refused() -> None:
    sound = frames.encode(b"\xd4\x02")
    assert sound.hex() == "0000ff02fed4022a00"
    for at in (4, 5):
        broken = bytearray(sound)
        broken[at] ^= 1
        assert FrameReader().feed(bytes(broken))[0][0] is Kind.BROKEN
    for size in (0, 266):
        with pytest.raises(ValueError, match=f"of {size} bytes"):
            frames.encode(bytes(size))


@given(st.lists(st.binary(max_size=20), max_size=6))
def test_a_card_survives_every_frame(sent: list[bytes]) -> None:
    target = IsoDepTarget(TestCard())
    for frame in sent:
        try:
            answer = target.answer(frame)
        except CardRemoved:
            return
        assert answer is None or answer


@pytest.mark.parametrize("frame_bytes", [16, 64, 256])
def test_long_commands_and_answers_go_in_blocks(frame_bytes: int) -> None:
    target = IsoDepTarget(TestCard(), frame_bytes)
    ats = target.answer(b"\xe0\x20")  # a reader of 32 bytes
    assert ats is not None
    assert len(ats) == ats[0]
    command, number, data = echo(bytes(range(200))), 0, b""
    block: bytes | None = None
    for at in range(0, len(command), 13):
        more = 0x10 if at + 13 < len(command) else 0
        block = target.answer(bytes((0x02 | more | number,)) + command[at : at + 13])
        assert block is not None
        if more:
            assert block == bytes((0xA2 | number,))
            # the reader has not heard it and asks again (rule 11)
            assert target.answer(bytes((0xB2 | number,))) == block
        number ^= 1
    while True:
        assert block is not None
        assert len(block) <= 32 - 2
        data += block[1:]
        if not block[0] & 0x10:
            break
        block = target.answer(bytes((0xA2 | number,)))
        assert block is not None
        assert target.answer(bytes((0xB2 | block[0] & 1,))) == block
        number ^= 1
    assert data == bytes(range(200)) + b"\x90\x00"
    assert target.answer(b"\xc2") == b"\xc2"
    assert target.answer(b"\xd0\x11\x00") == b"\xd0"


def test_a_card_that_needs_time_asks_for_it_and_gives_up_at_last() -> None:
    card = FaultyCard(TestCard(), Faults(mute_at=1))
    target = IsoDepTarget(card)
    assert target.answer(b"\xf2\x01") is None  # nothing is under way
    asked = 0
    frame = target.answer(b"\x02\x80\xee\x00\x00")
    while frame is not None:
        assert frame == b"\xf2\x01"
        asked += 1
        frame = target.answer(frame)
    assert asked == EXTENSIONS_MAX
    card.power_off()


@pytest.fixture
def chip() -> Iterator[Pn532]:
    chip = Pn532()
    yield chip
    chip.close()


def _ask(chip: Pn532, sent: bytes) -> list[tuple[Kind, bytes]]:
    end = os.open(chip.path, os.O_RDWR | os.O_NOCTTY)
    reader = FrameReader()
    found: list[tuple[Kind, bytes]] = []
    try:
        os.write(end, sent)
        while not any(kind is not Kind.ACK for kind, _ in found):
            assert select.select([end], [], [], PATIENCE_S)[0]
            found += reader.feed(os.read(end, 4096))
    finally:
        os.close(end)
    return found


def _exchange(chip: Pn532, sent: bytes, count: int) -> list[tuple[Kind, bytes]]:
    """What the chip says to bytes, up to so many frames; with none expected, after a while."""
    end = os.open(chip.path, os.O_RDWR | os.O_NOCTTY)
    reader = FrameReader()
    found: list[tuple[Kind, bytes]] = []
    try:
        os.write(end, sent)
        while select.select([end], [], [], PATIENCE_S if len(found) < count else 0.15)[0]:
            found += reader.feed(os.read(end, 4096))
    finally:
        os.close(end)
    return found


def test_the_chip_speaks_as_its_manual_says(chip: Pn532) -> None:
    def said(command: str) -> str:
        kinds = _ask(chip, frames.encode(bytes.fromhex(command)))
        assert [kind for kind, _ in kinds] == [Kind.ACK, Kind.BODY]
        return kinds[1][1].hex()

    assert said("D402") == "d50332010607"
    assert said("D4000011") == "d501" + "0011"  # line test
    assert said("D4066339") == "d50726"  # no card has answered
    assert said("D4086302A5") == "d509"
    assert said("D4066302") == "d507a5"
    assert said("D44A0100") == "d54b00"
    assert said("D442E080") == "d54301"  # nobody there
    chip.insert(TestCard())
    assert said("D44A0103") == "d54b00"  # type B finds nothing
    assert said("D41210") == "d513"
    listed = said("D44A0100")
    assert listed.startswith("d54b0101000420" + "04" + "04")
    assert listed.endswith("0678" + "80" + "b0" + "02" + "80")  # the ATS, with its history
    assert said("D4400100A4040004544553540000"[:-2]) == "d541009000"
    assert said("D4400100A4040001AA") == "d541006a82"
    assert said("D46001012311") == "d56100"
    assert said("D460010120").startswith("d56101200f01000420")
    assert said("D4086302A3") == "d509"  # now type B is on the air
    assert said("D442E080") == "d54301"
    assert said("D45201") == "d55300"
    assert said("D4FF") == "7f"
    assert _ask(chip, frames.encode(b"\xd5\x02")) == [(Kind.BODY, b"\x7f")]
    broken = bytearray(frames.encode(bytes.fromhex("D402")))
    broken[-2] ^= 1
    assert _ask(chip, bytes(broken)) == [(Kind.NACK, b"")]


@pytest.mark.parametrize("program", ["nfc-list", "nfc-poll"])
def test_libnfc_reads_the_card_too(chip: Pn532, program: str) -> None:
    tool = shutil.which(program)
    if tool is None:
        pytest.skip(f"NOT TESTED against libnfc: {program} is not installed")
    environment = {**os.environ, "LIBNFC_DEVICE": f"pn532_uart:{chip.path}"}
    chip.insert(TestCard())
    said = ""
    with subprocess.Popen([tool], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while piece := process.stdout.read(1):
            said += piece
            if said.endswith("Waiting for card removing"):
                chip.remove()
    assert "ISO/IEC 14443A (106 kbps) target" in said
    assert "SAK (SEL_RES): 20" in said
    assert "ATS: 78  80  b0  02  80" in said


def test_several_cards_in_the_field(chip: Pn532) -> None:
    reader, seen = NfcReader(chip.path, "N"), Recorder()
    chip.insert(TestCard())
    chip.insert(TestCard())
    reader.start(seen)
    try:
        seen.wait_event("several")
        chip.remove()
        seen.wait_state("N", ReaderState.READY)
        chip.insert(TestCard())
        assert seen.wait_results() == [(b"", 0x9000)]
    finally:
        reader.stop()


NO_PATHS = ("usb:1:2", "usb:054c:06c3:1", "udp:h:1;x", "tty:S0")
GET_UID = bytes.fromhex("FFCA000000")
IDM = bytes.fromhex("012E4CD0A1B2C3D4")


def _number(connection: CardConnection) -> object:
    return connection.transmit(SELECT), connection.transmit(GET_UID)


@pytest.mark.parametrize("kind", ["storage", "F"])
def test_a_card_without_a_processor_has_its_number_and_nothing_else(chip: Pn532, kind: str) -> None:
    uid = bytes.fromhex("04A1B2C3D4E5F6") if kind == "storage" else IDM
    target = TypeF(uid) if kind == "F" else TypeA(TestCard(), processor=False, uid=uid)
    reader, seen = NfcReader(chip.path, "N"), Recorder(_number)
    reader.start(seen)
    try:
        chip.lay(target)
        assert seen.wait_results()[0] == ((b"", 0x6A81), (uid, 0x9000))
        chip.remove()
        seen.wait_state("N", ReaderState.READY)
        chip.insert(TestCard())
        (answer, (number, sw)) = seen.wait_results(2)[1]
        assert answer == (b"", 0x9000)
        assert (len(number), sw) == (4, 0x9000)
    finally:
        reader.stop()


def test_a_card_without_a_processor_is_identified_where_that_is_allowed(chip: Pn532) -> None:
    def identified(connection: CardConnection) -> object:
        schemes: list[CardScheme] = [UnionPay(None), Uid()]
        return identify(connection, schemes, bench.context())

    reader, seen = NfcReader(chip.path, "N"), Recorder(identified)
    reader.start(seen)
    try:
        chip.insert_f(IDM)
        card = seen.wait_results()[0]
        assert (card.scheme, card.assurance) == ("uid", CardAssurance.IDENTIFIED)
        assert card.card == bench.named("uid", IDM)
    finally:
        reader.stop()


def test_a_card_of_type_b_is_selected_and_answers(chip: Pn532) -> None:
    def script(connection: CardConnection) -> object:
        long = connection.transmit(echo(bytes(range(250))))
        return connection.transmit(SELECT), long[0], connection.transmit(GET_UID)[1]

    reader, seen = NfcReader(chip.path, "N"), Recorder(script)
    reader.start(seen)
    try:
        chip.insert_b(TestCard())
        # its number may be another one tomorrow, so it has none to give
        assert seen.wait_results()[0] == ((b"", 0x9000), bytes(range(250)), 0x6A81)
        chip.remove()
        seen.wait_event("removed")
    finally:
        reader.stop()


def test_libnfc_reads_cards_of_type_b_and_f(chip: Pn532) -> None:
    tool = shutil.which("nfc-list")
    if tool is None:
        pytest.skip("NOT TESTED against libnfc: nfc-list is not installed")
    environment = {**os.environ, "LIBNFC_DEVICE": f"pn532_uart:{chip.path}"}
    chip.insert_b(TestCard())
    chip.insert_f(IDM)
    said = subprocess.run(
        [tool], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert "ISO14443B passive target(s) found" in said or "ISO/IEC 14443-4B" in said
    assert "ID (NFCID2): 01  2e  4c  d0  a1  b2  c3  d4" in said


def test_the_chip_has_its_moods() -> None:
    for faults, expected in (
        (ChipFaults(no_ack_at=1), []),
        (ChipFaults(error_at=1), [(Kind.ACK, b""), (Kind.BODY, b"\x7f")]),
        (ChipFaults(broken_at=1), [(Kind.ACK, b""), (Kind.BROKEN, b"")]),
        (ChipFaults(silent_at=1), [(Kind.ACK, b"")]),
    ):
        with contextlib.closing(Pn532(faults, paced=True)) as chip:
            found = _exchange(chip, frames.encode(bytes.fromhex("D402")), len(expected))
            assert found == expected, faults
            again = _exchange(chip, frames.encode(bytes.fromhex("D402")), 2)
            assert again == [(Kind.ACK, b""), (Kind.BODY, bytes.fromhex("D50332010607"))]
            repeated = _exchange(chip, frames.NACK, 1)
            assert repeated == again[1:]


def test_a_chip_that_waits_for_a_card_is_given_one_or_told_to_stop(chip: Pn532) -> None:
    def listen(count: int, *sent: bytes) -> list[str]:
        return [body.hex() for _, body in _exchange(chip, b"".join(sent), count)]

    assert listen(2, frames.encode(bytes.fromhex("D43205FFFFFF")))[1] == "d533"
    passive = frames.encode(bytes.fromhex("D44A0100"))
    assert listen(1, passive) == [""]  # confirmed; nothing lies there
    chip.insert(TestCard())
    assert listen(1)[0].startswith("d54b0101")
    chip.remove()
    assert listen(1, passive) == [""]
    assert listen(2, frames.ACK, frames.encode(bytes.fromhex("D402")))[1] == "d50332010607"
    chip.insert(TestCard())
    assert listen(0) == []  # the aborted command gives no answer any more


def test_faults_of_the_chip_are_faults_of_the_reader_and_pass() -> None:
    for faults in (ChipFaults(no_ack_at=30), ChipFaults(broken_at=30), ChipFaults(error_at=30)):
        with contextlib.closing(Pn532(faults)) as chip:
            reader, seen = NfcReader(chip.path, "N"), Recorder()
            reader.start(seen)
            try:
                while chip.commands <= 30:
                    time.sleep(0.02)
                seen.wait_state("N", ReaderState.READY)
                chip.insert(TestCard())
                assert seen.wait_results()[-1] == (b"", 0x9000)
            finally:
                reader.stop()


def test_a_card_that_leaves_the_chip_while_it_exchanges(chip: Pn532) -> None:
    chip.insert(FaultyCard(TestCard(), Faults(tear_at=1)))
    asked = [_ask(chip, frames.encode(bytes.fromhex(one))) for one in ("D44A0100", "D44001B0")]
    assert [found[1][1][:3].hex() for found in asked] == ["d54b01", "d54101"]
    assert _ask(chip, frames.encode(bytes.fromhex("D44A0100")))[1][1].hex() == "d54b00"


def test_a_reader_that_is_unplugged_while_it_works() -> None:
    chip = Pn532()
    reader, seen = NfcReader(chip.path), Recorder()
    assert reader.name == chip.path
    reader.start(seen)
    try:
        seen.wait_state(chip.path, ReaderState.READY)
        chip.insert(TestCard())
        seen.wait_results()
        chip.close()
        seen.wait_event("removed")
        seen.wait_until(chip.path, {ReaderState.ABSENT, ReaderState.FAULT})
    finally:
        reader.stop()


@pytest.mark.parametrize("ask", [nfc._uids, nfc._activate, nfc._activate_anew])
def test_a_chip_that_goes_between_two_commands_is_a_fault(ask: Callable[[Any], object]) -> None:
    """Then the terminal device has an error of its own, in the flush before the next command."""
    chip = Pn532()
    frontend = nfc._open_chip(chip.path)
    try:
        chip.close()
        with pytest.raises(ReaderFault, match="the reader is gone: Input/output error"):
            ask(frontend)
    finally:
        nfc._close_chip(frontend)


def test_an_exchange_with_a_chip_that_has_gone_is_a_fault() -> None:
    chip = Pn532()
    frontend = nfc._open_chip(chip.path)
    try:
        chip.insert(TestCard())
        tag, _ = nfc._activate(frontend)
        chip.close()
        with pytest.raises(ReaderFault, match="the reader is gone"):
            nfc._exchange(tag, SELECT)
    finally:
        nfc._close_chip(frontend)


def test_a_port_without_a_chip_behind_it() -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    reader, seen = NfcReader(os.ttyname(slave), "N"), Recorder()
    reader.start(seen)
    try:
        assert "no PN532 answers" in seen.wait_state("N", ReaderState.FAULT).detail
    finally:
        reader.stop()
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize("babble", [b"\x00", b"\x00\x00\xff", b"\x00\x00\xff\x05", b"\xff" * 40])
def test_a_port_that_answers_with_half_a_frame_is_a_fault_and_no_end(babble: bytes) -> None:
    """The driver's thread goes on: an answer cut short by a loose plug is no reason to die."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    path, stopping = os.ttyname(slave), threading.Event()

    def answer() -> None:
        while not stopping.is_set():
            if select.select([master], [], [], 0.05)[0]:
                os.read(master, 1024)
                os.write(master, babble)

    peer = threading.Thread(target=answer)
    peer.start()
    driver, recorder = NfcReader(path), Recorder()
    driver.start(recorder)
    try:
        recorder.wait_until(driver.name, {ReaderState.FAULT})
        time.sleep(0.3)
        assert any(thread.name == f"reader {driver.name}" for thread in threading.enumerate())
    finally:
        driver.stop()
        stopping.set()
        peer.join()
        os.close(master)
        os.close(slave)


def test_a_path_that_is_not_there_and_one_that_is_no_path() -> None:
    reader, seen = NfcReader("/dev/serial/by-id/nothing", "N"), Recorder()
    reader.start(seen)
    try:
        assert "not plugged in" in seen.wait_state("N", ReaderState.ABSENT).detail
    finally:
        reader.stop()
    for path in (
        "usb:1:2",
        "usb:054c:06c3:1",
        "udp:h:1;x",
        "tty:S0",
        "/dev/pts/1; reboot",
        "/dev/$(x)",
        "/etc/passwd",
        "",
    ):
        with pytest.raises(ReaderMissing):
            NfcReader(path)


def test_no_card_data_reaches_the_log(chip: Pn532, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    seen = Recorder(lambda connection: connection.transmit(echo(b"6222020000000000")))
    reader = NfcReader(chip.path, "N")
    reader.start(seen)
    try:
        chip.insert(TestCard())
        seen.wait_results()
    finally:
        reader.stop()
    assert b"6222020000000000".hex() not in caplog.text.lower()


def test_random_identifiers_are_noother_card() -> None:
    assert other_card(b"", bytes.fromhex("04112233"))
    assert other_card(bytes.fromhex("04112233"), bytes.fromhex("04112234"))
    assert not other_card(bytes.fromhex("08112233"), bytes.fromhex("08998877"))
    assert other_card(bytes.fromhex("08112233"), b"")
    assert type_a_uids(bytes.fromhex("020100042004AABBCCDD0200042004")) == [
        bytes.fromhex("AABBCCDD"),
        b"?",
    ]
