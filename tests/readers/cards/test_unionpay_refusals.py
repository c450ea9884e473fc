"""Cards that are not what they say, card by card; and what an attacker or a fault can do."""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass, field, replace
from datetime import date
from types import TracebackType
from typing import Any

import pytest

from readers.cards.errors import AuthenticationFailed, Failure
from readers.cards.scheme import CardAssurance
from readers.cards.uid import Uid
from readers.cards.unionpay import UnionPay
from readers.cards.unionpay_profile import UNIONPAY
from readers.connection import Interface
from readers.errors import (
    CardError,
    CardNotSupported,
    CardRemoved,
    CardUnreadable,
    ProtocolViolation,
    ReaderError,
    ReaderFault,
)
from readers.virtual.authority import Odd, TestCa
from readers.virtual.box import Faults, FaultyCard
from readers.virtual.unionpay import Manners, VirtualUnionPayCard, make_pan
from tests.readers.cards.bench import (
    BOTH,
    PAN,
    TODAY,
    VALID,
    Wire,
    ca_keys,
    card,
    context,
    named,
    tap,
)

OTHER_PAN = make_pan(987_654_321)


def padded(pan: str) -> bytes:
    return bytes.fromhex(pan + "F" * (len(pan) % 2))


@dataclass(frozen=True)
class Bad:
    """One thing wrong, and what the terminal calls it."""

    name: str
    failure: Failure
    changes: dict[str, Any] = field(default_factory=dict)
    interfaces: tuple[Interface, ...] = BOTH


ON_AIR = (Interface.CONTACTLESS,)
IN_SLOT = (Interface.CONTACT,)
BAD = [
    Bad("wrong unpredictable number", Failure.DYNAMIC_SIGNATURE_HASH, {"stale_number": b"old!"}),
    Bad("wrong format byte", Failure.DYNAMIC_SIGNATURE, {"odd_signature": Odd(form=0x06)}),
    Bad("format byte of online fDDA", Failure.DYNAMIC_SIGNATURE, {"odd_signature": Odd(form=0x95)}),
    Bad("wrong hash algorithm", Failure.DYNAMIC_SIGNATURE, {"odd_signature": Odd(None, 0x07)}),
    Bad("issuer format byte", Failure.ISSUER_CERTIFICATE, {"odd_issuer": Odd(form=0x12)}),
    Bad("issuer hash algorithm", Failure.ISSUER_CERTIFICATE, {"odd_issuer": Odd(None, 0x07)}),
    Bad("issuer key algorithm", Failure.ISSUER_CERTIFICATE, {"odd_issuer": Odd(None, 1, 0x04)}),
    Bad("card format byte", Failure.ICC_CERTIFICATE, {"odd_icc": Odd(form=0x14)}),
    Bad("card hash algorithm", Failure.ICC_CERTIFICATE, {"odd_icc": Odd(None, 0x02)}),
    Bad("card key algorithm", Failure.ICC_CERTIFICATE, {"odd_icc": Odd(None, 1, 0x04)}),
    Bad("altered expiry", Failure.ICC_CERTIFICATE_HASH, {"replace": {0x5F24: b"\x30\x12\x31"}}),
    Bad("altered usage", Failure.ICC_CERTIFICATE_HASH, {"replace": {0x9F07: b"\xff\xff"}}),
    Bad("altered file 11", Failure.ICC_CERTIFICATE_HASH, {"replace": {0x5F28: b"\x08\x40"}}),
    Bad("altered account number", Failure.PAN_MISMATCH, {"replace": {0x5A: padded(OTHER_PAN)}}),
    Bad("another card's certificate", Failure.PAN_MISMATCH, {"certified_pan": OTHER_PAN}),
    Bad(
        "track 2 of another card",
        Failure.PAN_MISMATCH,
        {"replace": {0x57: bytes.fromhex(OTHER_PAN + "D1905220")}},
    ),
    Bad("expired issuer", Failure.ISSUER_EXPIRED, {"issuer_expires": date(2014, 4, 1)}),
    Bad("expired certificate", Failure.ICC_EXPIRED, {"icc_expires": date(2014, 4, 1)}),
    Bad("another bank's certificate", Failure.ISSUER_IDENTIFIER, {"identifier": "629998"}),
    Bad("identifier too short", Failure.ISSUER_IDENTIFIER, {"identifier": "62"}),
    Bad("identifier not digits", Failure.ISSUER_IDENTIFIER, {"identifier": "62F999"}),
    Bad("tag list names more", Failure.STATIC_DATA_TAG_LIST, {"tag_list": b"\x82\x9f\x36"}),
    Bad("tag list names another", Failure.STATIC_DATA_TAG_LIST, {"tag_list": b"\x5a"}),
    Bad("other CA's signature", Failure.ISSUER_CERTIFICATE, {"replace": {0x90: bytes(176)}}),
    Bad("issuer certificate cut", Failure.ISSUER_CERTIFICATE, {"replace": {0x90: bytes(100)}}),
    Bad("issuer exponent", Failure.ISSUER_CERTIFICATE, {"replace": {0x9F32: b"\x05"}}),
    Bad("issuer exponent length", Failure.ISSUER_CERTIFICATE, {"replace": {0x9F32: b"\x00\x03"}}),
    Bad("issuer remainder", Failure.ISSUER_CERTIFICATE_HASH, {"replace": {0x92: b"\xff" * 4}}),
    Bad("issuer remainder length", Failure.ISSUER_CERTIFICATE, {"replace": {0x92: bytes(5)}}),
    Bad("card certificate", Failure.ICC_CERTIFICATE, {"replace": {0x9F46: bytes(144)}}),
    Bad("card exponent", Failure.ICC_CERTIFICATE, {"replace": {0x9F47: b"\x03"}}),
    Bad("card remainder", Failure.ICC_CERTIFICATE_HASH, {"replace": {0x9F48: b"\xff" * 26}}),
    *(
        Bad(f"missing tag {tag:X}", Failure.MISSING_DATA, {"omit": frozenset({tag})})
        for tag in (0x8F, 0x90, 0x9F32, 0x9F46, 0x9F47)
    ),
    Bad("missing remainder", Failure.ISSUER_CERTIFICATE, {"omit": frozenset({0x92})}),
    Bad("missing card remainder", Failure.ICC_CERTIFICATE, {"omit": frozenset({0x9F48})}),
    Bad("missing 9F69", Failure.MISSING_DATA, {"omit": frozenset({0x9F69})}, ON_AIR),
    Bad("fDDA version 00", Failure.DYNAMIC_SIGNATURE_VERSION, {"related_version": 0}, ON_AIR),
    Bad("fDDA version 02", Failure.DYNAMIC_SIGNATURE_VERSION, {"related_version": 2}, ON_AIR),
    Bad("asks for no number", Failure.NOT_FRESH, {"pdol": bytes.fromhex("9F66049F0206")}, ON_AIR),
    Bad("short number", Failure.NOT_FRESH, {"pdol": bytes.fromhex("9F66049F3702")}, ON_AIR),
    Bad("DDOL without number", Failure.NOT_FRESH, {"ddol": bytes.fromhex("9F0206")}, IN_SLOT),
    Bad("DDOL with half a number", Failure.NOT_FRESH, {"ddol": bytes.fromhex("9F3702")}, IN_SLOT),
]
CASES = [
    pytest.param(bad, interface, id=f"{bad.name} {interface}")
    for bad in BAD
    for interface in bad.interfaces
]


@pytest.mark.parametrize(("bad", "interface"), CASES)
def test_not_genuine(world: TestCa, bad: Bad, interface: Interface) -> None:
    virtual = card(world, interface, **bad.changes)
    with pytest.raises(AuthenticationFailed) as raised:
        tap(virtual, world)
    assert raised.value.failure is bad.failure
    assert raised.value.scheme == "unionpay"
    claimed = "" if "replace" in bad.changes and bad.failure is Failure.PAN_MISMATCH else PAN
    assert raised.value.card == (named("unionpay", claimed.encode()) if claimed else "")
    # What cannot be genuine is not asked to sign.
    if bad.failure.startswith(("issuer", "icc", "pan", "static")) and interface in IN_SLOT:
        assert all(command[1] != 0x88 for command in virtual.commands)


@pytest.mark.parametrize("interface", BOTH)
def test_a_copy_with_another_key(world: TestCa, interface: Interface) -> None:
    """All that can be read off a genuine card, and no private key."""
    with pytest.raises(AuthenticationFailed) as raised:
        tap(card(world, interface, signer=world.forger), world)
    assert raised.value.failure is Failure.DYNAMIC_SIGNATURE
    assert raised.value.card == named("unionpay", PAN.encode())


@pytest.mark.parametrize("interface", BOTH)
def test_a_bank_of_ones_own(world: TestCa, interface: Interface) -> None:
    with pytest.raises(AuthenticationFailed) as raised:
        tap(card(world, interface, authority=world.foreign), world)
    assert raised.value.failure is Failure.ISSUER_CERTIFICATE


@pytest.mark.parametrize("interface", BOTH)
def test_a_withdrawn_bank_certificate(world: TestCa, interface: Interface) -> None:
    serial = b"\x00\x0b\xad"
    assert tap(card(world, interface), world, revoked_issuers=(serial,))
    with pytest.raises(AuthenticationFailed) as raised:
        tap(card(world, interface, issuer_serial=serial), world, revoked_issuers=(serial,))
    assert raised.value.failure is Failure.ISSUER_REVOKED


@pytest.mark.parametrize("interface", BOTH)
@pytest.mark.parametrize(
    ("field_name", "value", "failure"),
    [("revoked", True, Failure.CA_KEY_REVOKED), ("expires", "2014-05-29", Failure.CA_KEY_EXPIRED)],
)
def test_a_withdrawn_or_ended_ca_key(
    world: TestCa, interface: Interface, field_name: str, value: object, failure: Failure
) -> None:
    def change(document: dict[str, Any]) -> None:
        document["keys"][0][field_name] = value

    with pytest.raises(AuthenticationFailed) as raised:
        tap(card(world, interface), world, change=change)
    assert raised.value.failure is failure


@pytest.mark.parametrize("interface", BOTH)
def test_a_ca_key_this_terminal_does_not_have(world: TestCa, interface: Interface) -> None:
    """Nothing can be said of the card, so nobody is called a forger; and nothing is approved."""
    with pytest.raises(CardNotSupported, match=r"CA key 0B of A000000333.*sync pull"):
        tap(card(world, interface, replace={0x8F: b"\x0b"}), world)


@pytest.mark.parametrize("interface", BOTH)
def test_a_key_index_of_two_bytes(world: TestCa, interface: Interface) -> None:
    with pytest.raises(CardUnreadable):
        tap(card(world, interface, replace={0x8F: b"\xf1\xf1"}), world)


@pytest.mark.parametrize(("least", "said"), [(1025, "1024 bits"), (1153, "1152 bits")])
def test_keys_that_can_be_factored(world: TestCa, least: int, said: str) -> None:
    scheme = UnionPay(ca_keys(world), replace(UNIONPAY, key_bits_min=least))
    with pytest.raises(AuthenticationFailed, match=said) as raised:
        tap(card(world, Interface.CONTACT), world, schemes=[scheme])
    assert raised.value.failure is Failure.KEY_TOO_SHORT


@pytest.mark.parametrize("interface", BOTH)
def test_a_recorded_conversation_played_again(world: TestCa, interface: Interface) -> None:
    """Whoever has listened to one tap cannot make another."""
    genuine = card(world, interface)
    heard: dict[bytes, bytes] = {}

    class Recorder:
        atr = genuine.atr
        interface = genuine.interface

        def process(self, command: bytes) -> bytes:
            answer = genuine.process(command)
            heard[command[:4]] = answer
            return answer

    class Player(Recorder):
        def process(self, command: bytes) -> bytes:
            if command[1] == 0xA4:
                return genuine.process(command)
            return heard[command[:4]]

    tap(Recorder(), world)
    with pytest.raises(AuthenticationFailed) as raised:
        tap(Player(), world, numbers=lambda count: b"\x01" * count)
    assert raised.value.failure is Failure.DYNAMIC_SIGNATURE_HASH


@pytest.mark.parametrize("interface", BOTH)
@pytest.mark.parametrize("manners", [Manners(endless=True), Manners(oversized=True)])
def test_endless_get_response_and_oversized_tlv(
    world: TestCa, interface: Interface, manners: Manners
) -> None:
    virtual = card(world, interface, manners)
    with pytest.raises(ProtocolViolation):
        tap(virtual, world)
    assert len(virtual.commands) < 100


@pytest.mark.parametrize(
    "changes",
    [
        {"omit": frozenset({0x5A, 0x57})},
        {"omit": frozenset({0x94})},
        {"omit": frozenset({0x82})},
        {"replace": {0x5A: b"\x62\x99"}},
        {"replace": {0x5A: bytes.fromhex("62AA991234567893")}},
        {"replace": {0x57: bytes.fromhex("629999123456789312345678")}},
        {"replace": {0x5F24: b"\x19\x13\x01"}},
        {"replace": {0x5F24: b"\x19\x02\x30"}},
        {"replace": {0x5F24: b"\x19\x02"}},
        {"pdol": bytes.fromhex("9F66") + b"\xfc" + bytes.fromhex("9F3704")},
        {"pdol": bytes.fromhex("9F66")},
    ],
    ids=str,
)
def test_cards_that_make_no_sense(world: TestCa, changes: dict[str, Any]) -> None:
    with pytest.raises(CardUnreadable):
        tap(card(world, Interface.CONTACT, **changes), world)


@pytest.mark.parametrize("interface", BOTH)
@pytest.mark.parametrize("at", range(1, 14))
def test_torn_at_every_exchange(world: TestCa, interface: Interface, at: int) -> None:
    virtual = FaultyCard(card(world, interface), Faults(tear_at=at))
    if at > (11 if interface is Interface.CONTACT else 10):
        assert tap(virtual, world)
        return
    with pytest.raises(CardRemoved):
        tap(virtual, world)
    virtual.power_off()


@pytest.mark.parametrize("interface", BOTH)
def test_a_refused_card_does_not_fall_back_to_its_uid(world: TestCa, interface: Interface) -> None:
    virtual = card(world, interface, signer=world.forger)
    with pytest.raises(AuthenticationFailed):
        tap(virtual, world, schemes=[UnionPay(ca_keys(world)), Uid()])
    with pytest.raises(CardNotSupported, match="switched off"):
        tap(virtual, world, schemes=[UnionPay(None), Uid()])
    assert all(command[0] != 0xFF for command in virtual.commands)


class Hostile:
    """A card that answers one command with bytes of the test's choice."""

    def __init__(self, inner: VirtualUnionPayCard, instruction: int, answer: bytes) -> None:
        self._inner, self._instruction, self._answer = inner, instruction, answer
        self.interface = inner.interface

    def process(self, command: bytes) -> bytes:
        answer = self._inner.process(command)
        return self._answer if command[1] == self._instruction else answer


@pytest.mark.parametrize("interface", BOTH)
@pytest.mark.parametrize("sw", ["6985", "6984", "6986"])
def test_an_interface_that_is_switched_off(world: TestCa, interface: Interface, sw: str) -> None:
    with pytest.raises(CardNotSupported, match="other interface"):
        tap(Hostile(card(world, interface), 0xA8, bytes.fromhex(sw)), world)


@pytest.mark.parametrize(
    ("instruction", "answer"),
    [
        (0xA4, "6F00"),
        (0xA4, "6F098407A00000000310109000"),
        (0xA8, "9000"),
        (0xA8, "70009000"),
        (0xA8, "80017C9000"),
        (0xA8, "80057C00080101009000"),
        (0xA8, "8006 7C00 00010100 9000"),
        (0xA8, "8006 7C00 F8010100 9000"),
        (0xA8, "8006 7C00 09010100 9000"),
        (0xA8, "8006 7C00 08000100 9000"),
        (0xA8, "8006 7C00 08020100 9000"),
        (0xA8, "8006 7C00 08010102 9000"),
        (0xA8, "8006 7C00 0801FF00 9000"),
        (0xA8, "800A 7C00 08010100 08010100 9000"),
        (0xA8, "6F00"),
        (0xB2, "6A83"),
        (0xB2, "6982"),
        (0xB2, "77009000"),
        (0xB2, "700070009000"),
        (0xB2, "70035A01629000"),
        (0x88, "6985"),
        (0x88, "9000"),
        (0x88, "70009000"),
        (0x88, "77029F369000"),
    ],
)
def test_answers_that_no_card_may_give(world: TestCa, instruction: int, answer: str) -> None:
    virtual = Hostile(card(world, Interface.CONTACT), instruction, bytes.fromhex(answer))
    with pytest.raises(CardUnreadable):
        tap(virtual, world)


@pytest.mark.parametrize("interface", BOTH)
@pytest.mark.parametrize("tag", ["5A08" + OTHER_PAN, "5F3401" + "02", "5F2403" + "301231"])
def test_a_tag_with_two_values(world: TestCa, interface: Interface, tag: str) -> None:
    """A second account number or date in an unsigned record is not simply passed over."""
    virtual = card(world, interface)
    inner = bytes.fromhex(tag)
    conflicting = bytes((0x70, len(inner))) + inner

    class Meddled(Wire):
        def transmit(self, command: bytes) -> tuple[bytes, int]:
            answer, sw = super().transmit(command)
            return (conflicting if command[:4].hex() == "00b20224" else answer), sw

    with pytest.raises(CardUnreadable, match="comes with two values"):
        UnionPay(ca_keys(world)).authenticate(Meddled(virtual), context())


def frames(trace: TracebackType | None) -> list[str]:
    found = []
    while trace is not None:
        found += [f"{name}={value!r}" for name, value in trace.tb_frame.f_locals.items()]
        trace = trace.tb_next
    return found


@pytest.mark.parametrize(("bad", "interface"), CASES)
def test_no_error_carries_an_account_number(
    world: TestCa, bad: Bad, interface: Interface, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    virtual = card(world, interface, **bad.changes)
    scheme = UnionPay(ca_keys(world))
    with pytest.raises(CardError) as raised:
        scheme.authenticate(Wire(virtual), context())
    error: BaseException | None = raised.value
    assert error is not None
    shown = [repr(error), str(error), *map(repr, error.args), repr(vars(error)), caplog.text]
    shown += traceback.format_exception(error, chain=True)
    assert error.__context__ is None
    assert error.__cause__ is None
    assert error.__traceback__ is not None
    # The scheme's own frame only: this test's and the scheme's callers' hold nothing of the card.
    inside = error.__traceback__.tb_next
    assert inside is not None
    assert inside.tb_next is None
    shown += frames(inside)
    forms = [
        PAN,
        PAN.encode().hex(),
        padded(PAN).hex(),
        repr(padded(PAN))[2:-1],
        PAN[:8],
        PAN[6:14],
    ]
    for text in shown:
        for form in forms:
            assert form not in text


@pytest.mark.parametrize("interface", BOTH)
@pytest.mark.parametrize("fault", [CardRemoved("gone"), ReaderFault("broken")])
def test_faults_below_carry_no_account_number_either(
    world: TestCa, interface: Interface, fault: ReaderError
) -> None:
    virtual = card(world, interface)

    class Failing(Wire):
        def transmit(self, command: bytes) -> tuple[bytes, int]:
            if command[1] == 0xB2 and command[3] == 11 << 3 | 4:
                raise fault
            return super().transmit(command)

    with pytest.raises(type(fault)) as raised:
        UnionPay(ca_keys(world)).authenticate(Failing(virtual), context())
    inside = raised.value.__traceback__
    assert inside is not None
    assert inside.tb_next is not None
    assert inside.tb_next.tb_next is None


def test_what_is_shown_of_a_good_card(world: TestCa, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    virtual = card(world, Interface.CONTACTLESS)
    answer = tap(virtual, world)
    text = repr(answer) + repr(virtual) + caplog.text
    assert PAN not in text
    assert answer.assurance is CardAssurance.AUTHENTICATED
    assert VALID > TODAY
