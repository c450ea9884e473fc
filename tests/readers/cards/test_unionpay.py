"""Genuine cards: what the terminal says of them, and with how few words."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from readers import tlv
from readers.apdu import CommandApdu
from readers.cards.emv.dol import AMOUNT_TAGS
from readers.cards.errors import AuthenticationFailed, Failure
from readers.cards.exchange import Exchange
from readers.cards.scheme import AuthenticatedCard, CardAssurance
from readers.cards.unionpay import UnionPay
from readers.cards.unionpay_profile import UNIONPAY, UnionPayProfile
from readers.connection import Interface
from readers.errors import CardNotSupported
from readers.virtual.authority import TestCa
from readers.virtual.personalisation import DEBIT_AID
from readers.virtual.unionpay import Manners, VirtualUnionPayCard
from tests.readers.cards.bench import (
    BOTH,
    PAN,
    TODAY,
    VALID,
    Numbers,
    Wire,
    ca_keys,
    card,
    context,
    named,
    tap,
)

CREDIT_AID = bytes.fromhex("A000000333010102")
VISA_AID = bytes.fromhex("A0000000031010")
METHOD = {Interface.CONTACT: "dda", Interface.CONTACTLESS: "fdda"}
#: The AFL of the virtual card: files 2, 3, 4 and 11, with 1 in the slot and 12 over the air.
RECORDS = {Interface.CONTACT: 8, Interface.CONTACTLESS: 7}


def expected(interface: Interface) -> AuthenticatedCard:
    return AuthenticatedCard(
        named("unionpay", PAN.encode()),
        "unionpay",
        CardAssurance.AUTHENTICATED,
        METHOD[interface],
        VALID,
    )


@pytest.mark.parametrize("interface", BOTH)
def test_a_good_card(world: TestCa, interface: Interface) -> None:
    assert tap(card(world, interface), world) == expected(interface)


def test_the_same_member_on_both_interfaces(world: TestCa) -> None:
    assert len({tap(card(world, interface), world).card for interface in BOTH}) == 1


@pytest.mark.parametrize(
    ("interface", "changes", "manners"),
    [
        (Interface.CONTACTLESS, {"signature_in": "options"}, Manners()),
        (Interface.CONTACTLESS, {"signature_in": "record"}, Manners(get_response=True)),
        (Interface.CONTACTLESS, {"signature_in": "options"}, Manners(get_response=True)),
        (Interface.CONTACT, {"format_1": True}, Manners()),
        (Interface.CONTACT, {"format_1": True}, Manners(get_response=True)),
        (Interface.CONTACT, {"padding_bytes": 300}, Manners(get_response=True)),
        (Interface.CONTACTLESS, {"padding_bytes": 900}, Manners()),
        (Interface.CONTACT, {"tag_list": b""}, Manners()),
        (Interface.CONTACT, {"pdol": b""}, Manners()),
        (Interface.CONTACT, {"ddol": bytes.fromhex("9F37049A039F02065F2A02")}, Manners()),
        (Interface.CONTACT, {"omit": frozenset({0x9F49})}, Manners()),
        (Interface.CONTACT, {"aip": b"\x3d\x00"}, Manners()),
        (Interface.CONTACT, {"omit": frozenset({0x5A})}, Manners()),
        (
            Interface.CONTACTLESS,
            {"pdol": bytes.fromhex("9F37049F66049F02065F2A02DF6001")},
            Manners(),
        ),
    ],
)
def test_many_ways_to_say_the_same(
    world: TestCa, interface: Interface, changes: dict[str, object], manners: Manners
) -> None:
    assert tap(card(world, interface, manners, **changes), world) == expected(interface)


@pytest.mark.parametrize("pan", ["6299991234567890003", "629999123456789000", "6299991234560"])
@pytest.mark.parametrize("interface", BOTH)
def test_account_numbers_of_other_lengths(world: TestCa, interface: Interface, pan: str) -> None:
    assert tap(card(world, interface, pan=pan), world).card == named("unionpay", pan.encode())


@pytest.mark.parametrize("interface", BOTH)
@pytest.mark.parametrize("get_response", [False, True])
def test_exchanges_none_repeated_and_none_unneeded(
    world: TestCa, interface: Interface, get_response: bool
) -> None:
    virtual = card(world, interface, Manners(get_response=get_response))
    tap(virtual, world)
    asked = [command for command in virtual.commands if command[1] != 0xC0]
    if get_response:  # a 6Cxx is followed by the same command with the right Le
        asked = list({(c[:4] if c[1] == 0xB2 else c): c for c in asked}.values())
    assert len(set(asked)) == len(asked)
    names = [f"{command[1]:02X}" for command in asked]
    reads = ["B2"] * RECORDS[interface]
    if interface is Interface.CONTACTLESS:
        assert names == ["A4", "A4", "A8", *reads]
    else:
        assert names == ["A4", "A8", *reads, "88"]


@pytest.mark.parametrize("interface", BOTH)
def test_no_amount_and_no_cryptogram_goes_over_the_wire(
    world: TestCa, interface: Interface
) -> None:
    """Even for a card that asks for every amount there is, in PDOL and DDOL."""
    money = bytes.fromhex("81049F02069F03069F04049F3A04") + bytes.fromhex("9F37049F6604")
    virtual = card(world, interface, pdol=money, ddol=money)
    if interface is Interface.CONTACT:
        tap(virtual, world)
    else:  # the currency is missing from what this card signs
        with pytest.raises(AuthenticationFailed):
            tap(virtual, world)
    seen = 0
    for command in virtual.commands:
        apdu = CommandApdu.parse(command)
        assert apdu.ins != 0xAE
        if apdu.ins not in (0xA8, 0x88):
            continue
        filled = apdu.data if apdu.ins == 0x88 else tlv.find(apdu.data, 0x83) or b""
        for tag, length in tlv.parse_dol(money):
            value, filled = filled[:length], filled[length:]
            assert len(value) == length
            assert value == bytes(length) or tag not in AMOUNT_TAGS
            seen += tag in AMOUNT_TAGS
    assert seen == (10 if interface is Interface.CONTACT else 5)


def test_a_cryptogram_cannot_be_asked_for(world: TestCa) -> None:
    wire = Wire(card(world, Interface.CONTACT))
    with pytest.raises(ValueError, match="never sent"):
        Exchange(wire).send(CommandApdu(0x80, 0xAE, 0x40, 0x00, bytes(4), le=256))
    assert wire.sent == []


def test_a_profile_cannot_name_amounts_or_drop_the_challenge() -> None:
    for data in ({0x9F02: b"\x01"}, {0x81: b"\x01"}):
        with pytest.raises(ValueError, match="amounts"):
            UnionPayProfile(data, UNIONPAY.fdda_inputs, UNIONPAY.default_ddol, 768)
    with pytest.raises(ValueError, match="unpredictable"):
        UnionPayProfile({}, {0x01: (0x9F02,)}, UNIONPAY.default_ddol, 768)


def test_open_points_say_their_source_and_that_no_real_card_confirmed_them() -> None:
    assert len(UNIONPAY.open_points) >= 3
    for point in UNIONPAY.open_points:
        assert point.question
        assert point.answer
        assert point.source
        assert not point.verified


@pytest.mark.parametrize("interface", BOTH)
def test_every_attempt_has_a_fresh_challenge(world: TestCa, interface: Interface) -> None:
    virtual, numbers = card(world, interface), Numbers()
    for _ in range(3):
        tap(virtual, world, numbers=numbers)
        virtual.power_off()
    assert len(set(numbers.given)) == 3
    wire = b"".join(virtual.commands)
    assert all(number in wire for number in numbers.given)


def test_the_terminal_refuses_a_short_challenge(world: TestCa) -> None:
    with pytest.raises(ValueError, match="random source"):
        tap(card(world, Interface.CONTACT), world, numbers=lambda _: b"abc")


@pytest.mark.parametrize("interface", BOTH)
def test_the_best_application_by_priority(world: TestCa, interface: Interface) -> None:
    offered = (
        (VISA_AID, 1),
        (CREDIT_AID, 0),
        (bytes.fromhex("A000000333010106"), 3),
        (DEBIT_AID, 2),
    )
    virtual = card(world, interface, Manners(applications=offered, partial=False))
    assert tap(virtual, world) == expected(interface)
    selected = [CommandApdu.parse(c).data for c in virtual.commands if c[1] == 0xA4]
    assert selected[-1] == DEBIT_AID
    assert VISA_AID not in selected


def test_a_blocked_application_gives_way_to_the_next(world: TestCa) -> None:
    manners = Manners(
        applications=((DEBIT_AID, 1), (CREDIT_AID, 2)), blocked=frozenset({DEBIT_AID})
    )
    virtual = card(world, Interface.CONTACTLESS, manners)
    assert tap(virtual, world) == expected(Interface.CONTACTLESS)
    selected = [CommandApdu.parse(c).data for c in virtual.commands if c[1] == 0xA4]
    assert selected == [b"2PAY.SYS.DDF01", DEBIT_AID, CREDIT_AID]


def test_the_contact_directory_is_asked_only_when_the_name_alone_does_not_select(
    world: TestCa,
) -> None:
    virtual = card(world, Interface.CONTACT, Manners(partial=False))
    assert tap(virtual, world) == expected(Interface.CONTACT)
    selected = [CommandApdu.parse(c).data for c in virtual.commands if c[1] == 0xA4]
    assert selected == [bytes.fromhex("A000000333"), b"1PAY.SYS.DDF01", DEBIT_AID]


@pytest.mark.parametrize("interface", BOTH)
@pytest.mark.parametrize("applications", [(), ((VISA_AID, 1),)])
def test_cards_without_a_unionpay_application(
    world: TestCa, interface: Interface, applications: tuple[tuple[bytes, int], ...]
) -> None:
    virtual = card(world, interface, Manners(applications=applications))
    scheme = UnionPay(ca_keys(world))
    assert not scheme.recognises(Wire(virtual))
    with pytest.raises(CardNotSupported, match="no UnionPay application"):
        scheme.authenticate(Wire(virtual), context())
    with pytest.raises(CardNotSupported, match="no card scheme"):
        tap(virtual, world)
    # Names are asked for, never guessed: no command names an application the card did not offer.
    for command in virtual.commands:
        assert DEBIT_AID not in command


def test_every_application_blocked(world: TestCa) -> None:
    virtual = card(world, Interface.CONTACTLESS, Manners(blocked=frozenset({DEBIT_AID})))
    with pytest.raises(CardNotSupported, match="selected"):
        tap(virtual, world)


def test_no_dynamic_signature_over_the_air_means_identified(world: TestCa) -> None:
    answer = tap(card(world, Interface.CONTACTLESS, signature_in="nowhere"), world)
    assert answer.assurance is CardAssurance.IDENTIFIED
    assert (answer.method, answer.advice) == ("chip", "use_contact")
    assert answer.card == expected(Interface.CONTACTLESS).card


def test_the_signature_left_out_of_the_last_record(world: TestCa) -> None:
    answer = tap(card(world, Interface.CONTACTLESS, omit=frozenset({0x9F4B})), world)
    assert answer.assurance is CardAssurance.IDENTIFIED


def test_static_data_alone_is_no_authentication(world: TestCa) -> None:
    answer = tap(card(world, Interface.CONTACT, aip=b"\x40\x00"), world)
    assert answer.assurance is CardAssurance.IDENTIFIED
    assert answer.method == "sda"
    with pytest.raises(AuthenticationFailed) as raised:
        tap(card(world, Interface.CONTACT, aip=b"\x40\x00", replace={0x93: bytes(144)}), world)
    assert raised.value.failure is Failure.STATIC_SIGNATURE


@pytest.mark.parametrize(("aip", "method"), [(b"\x01\x00", "cda"), (b"\x18\x00", "chip")])
def test_what_would_need_a_cryptogram_is_identified(world: TestCa, aip: bytes, method: str) -> None:
    virtual = card(world, Interface.CONTACT, aip=aip)
    answer = tap(virtual, world)
    assert (answer.assurance, answer.method) == (CardAssurance.IDENTIFIED, method)
    assert all(command[1] not in (0xAE, 0x88) for command in virtual.commands)


@pytest.mark.parametrize("interface", BOTH)
def test_an_expired_card_is_named_with_its_last_day(world: TestCa, interface: Interface) -> None:
    """It is expired, not forged: certificates are judged on the card's own last day."""
    past = TODAY - timedelta(days=1)
    answer = tap(card(world, interface, expires=past), world)
    assert answer.assurance is CardAssurance.AUTHENTICATED
    assert answer.expires == past
    years_ago = tap(card(world, interface, expires=date(2010, 2, 28)), world)
    assert years_ago.expires == date(2010, 2, 28)


@pytest.mark.parametrize("interface", BOTH)
def test_the_last_day_is_the_earlier_of_card_and_certificate(
    world: TestCa, interface: Interface
) -> None:
    virtual = card(world, interface, icc_expires=date(2014, 6, 1))
    assert tap(virtual, world).expires == date(2014, 6, 30)
    assert tap(card(world, interface, expires=TODAY), world).expires == TODAY
    undated = card(world, interface, omit=frozenset({0x5F24}))
    assert tap(undated, world).expires == VALID


@pytest.mark.parametrize("keys", ["none", "expired"])
@pytest.mark.parametrize("interface", BOTH)
def test_the_scheme_is_off_without_keys(world: TestCa, interface: Interface, keys: str) -> None:
    virtual: VirtualUnionPayCard = card(world, interface)
    scheme = UnionPay(None if keys == "none" else ca_keys(world))
    today = TODAY if keys == "none" else date(2049, 1, 2)
    with pytest.raises(CardNotSupported, match="switched off"):
        scheme.authenticate(Wire(virtual), context(today))
    assert virtual.commands == []


def test_it_says_what_it_is(world: TestCa) -> None:
    scheme = UnionPay(ca_keys(world))
    assert scheme.name == "unionpay"
    assert "stolen terminal" in scheme.strength
