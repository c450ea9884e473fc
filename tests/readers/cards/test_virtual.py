"""The virtual card itself: strict, repeatable, and unusable outside a demo."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from readers import tlv
from readers.cards.emv import load_ca_keys
from readers.cards.errors import AuthenticationFailed, CaKeysRefused
from readers.cards.scheme import CardAssurance
from readers.connection import Interface
from readers.virtual.authority import MARK, TestCa
from readers.virtual.card_box import Kind, demo_box
from readers.virtual.personalisation import DEBIT_AID
from readers.virtual.unionpay import VirtualUnionPayCard, make_pan, years_later
from tests.readers.cards.bench import BOTH, TODAY, card, named, tap

SELECT = bytes.fromhex("00A4040008A00000033301010100")


def gpo(length: int = 0x21) -> bytes:
    body = tlv.encode(0x83, bytes.fromhex("28000000") + bytes(length - 4))
    return bytes((0x80, 0xA8, 0, 0, len(body))) + body + b"\x00"


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("00A4040007A0000000031010", "6A82"),
        ("00A4040008A00000033301010200", "6A82"),
        ("00A4040004A000000300", "6A82"),
        ("00A4000002 3F00", "6A86"),
        ("00A4040208A00000033301010100", "6A86"),
        ("00B2010C00", "6985"),
        ("00C0000010", "6985"),
        ("80AE400000", "6D00"),
        ("0084000008", "6D00"),
        ("FFCA000000", "6E00"),
        ("00", "6700"),
        ("00A40400FF00", "6700"),
        ("80A800000283 0000", "6985"),
        ("0088000004 01020304 00", "6985"),
    ],
)
def test_it_refuses_what_a_card_refuses(world: TestCa, command: str, answer: str) -> None:
    virtual = card(world, Interface.CONTACT)
    assert virtual.process(bytes.fromhex(command)).hex().upper() == answer


@pytest.mark.parametrize("interface", BOTH)
def test_it_keeps_the_order_of_commands(world: TestCa, interface: Interface) -> None:
    virtual = card(world, interface)
    assert virtual.process(SELECT)[-2:] == b"\x90\x00"
    assert virtual.process(bytes.fromhex("00B2011400")) == b"\x69\x85"
    assert virtual.process(gpo(0x20)) == b"\x67\x00"
    assert virtual.process(bytes.fromhex("80A8000002810000")) == b"\x6a\x80"
    assert virtual.process(gpo())[-2:] == b"\x90\x00"
    assert virtual.process(gpo()) == b"\x69\x85"
    assert virtual.process(bytes.fromhex("00B2017C00")) == b"\x6a\x83"
    assert virtual.process(bytes.fromhex("00B2011300")) == b"\x6a\x86"
    assert virtual.process(bytes.fromhex("00B2011400"))[-2:] == b"\x90\x00"
    if interface is Interface.CONTACT:
        assert virtual.process(bytes.fromhex("00880000020102")) == b"\x67\x00"
    virtual.power_off()
    assert virtual.process(bytes.fromhex("00B2011400")) == b"\x69\x85"


def test_a_terminal_that_is_not_qpboc_is_refused_over_the_air(world: TestCa) -> None:
    virtual = card(world, Interface.CONTACTLESS)
    virtual.process(SELECT)
    body = tlv.encode(0x83, bytes(0x21))
    assert virtual.process(bytes((0x80, 0xA8, 0, 0, len(body))) + body + b"\x00") == b"\x69\x85"
    assert virtual.process(bytes.fromhex("008800000401020304")) == b"\x6d\x00"


@pytest.mark.parametrize("interface", BOTH)
def test_answer_to_reset(world: TestCa, interface: Interface) -> None:
    atr = card(world, interface).atr
    assert atr[0] == 0x3B
    assert len(atr) <= 33
    check = 0
    for byte in atr[1:]:
        check ^= byte
    assert check == 0


def test_the_authority_is_made_once_and_marked(tmp_path: Path) -> None:
    world = TestCa.in_folder(tmp_path / "keys")
    assert TestCa.in_folder(tmp_path / "keys") == world
    (file,) = (tmp_path / "keys").iterdir()
    assert "TEST" in json.loads(file.read_text())["mark"]
    file.write_text(file.read_text().replace(MARK, "production"))
    with pytest.raises(ValueError, match="delete"):
        TestCa.in_folder(tmp_path / "keys")
    with pytest.raises(CaKeysRefused):
        bundle = world.bundle(expires=datetime(2049, 1, 1, tzinfo=UTC))
        load_ca_keys(bundle, TODAY, allow_test=False)
    assert f"{world.icc.private_exponent}" not in repr(world)


def test_the_box_is_the_same_from_the_same_seed(world: TestCa) -> None:
    first, again = (demo_box(world, seed=7, today=TODAY, good=3) for _ in range(2))
    assert [(c.name, c.identifier) for c in first] == [(c.name, c.identifier) for c in again]
    other = demo_box(world, seed=8, today=TODAY, good=3)
    assert {c.identifier for c in first}.isdisjoint({c.identifier for c in other})
    assert [c.name for c in first] == [
        "good-1",
        "good-2",
        "good-3",
        "blocked",
        "replaced",
        "unknown",
        "expired",
        "forged",
    ]
    assert first[0].identifier.decode() not in repr(first)


def test_what_the_terminal_says_of_each_card_in_the_box(world: TestCa) -> None:
    box = demo_box(world, seed=7, today=TODAY, good=2)
    for item in box:
        for virtual in (item.contactless, item.contact):
            if item.kind is Kind.FORGED:
                with pytest.raises(AuthenticationFailed) as raised:
                    tap(virtual, world)
                assert raised.value.card == named("unionpay", box[0].identifier)
                continue
            answer = tap(virtual, world)
            assert answer.card == named("unionpay", item.identifier)
            assert answer.assurance is CardAssurance.AUTHENTICATED
            assert answer.expires is not None
            assert (answer.expires < TODAY) == (item.kind is Kind.EXPIRED)
    assert {c.name for c in box if not c.enrolled} == {"unknown", "forged"}


def test_a_box_without_good_cards(world: TestCa) -> None:
    box = demo_box(world, seed=1, today=date(2016, 2, 29), good=0)
    assert [c.kind for c in box][-1] is Kind.FORGED


def test_made_up_account_numbers_have_their_check_digit() -> None:
    assert make_pan(0) == "6299990000000009"
    for serial in (1, 123_456_789, 999_999_999):
        number = make_pan(serial)
        total = sum(
            int(d) if at % 2 == 0 else sum(map(int, str(2 * int(d))))
            for at, d in enumerate(reversed(number))
        )
        assert total % 10 == 0
    assert years_later(date(2016, 2, 29), 1) == date(2017, 2, 28)


def test_its_numbers_differ_from_tap_to_tap(world: TestCa) -> None:
    virtual: VirtualUnionPayCard = card(world, Interface.CONTACTLESS, signature_in="options")
    answers = set()
    for _ in range(3):
        virtual.process(SELECT)
        answers.add(tlv.find(virtual.process(gpo())[:-2], 0x77, 0x9F69))
    assert len(answers) == 3
    assert DEBIT_AID in SELECT
