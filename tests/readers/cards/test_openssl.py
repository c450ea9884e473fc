"""The virtual card's chain recomputed by openssl on the command line.

Card and terminal share this repository's understanding of EMV. Here every recovery is a raw RSA
operation of Debian's openssl, every hash is its ``dgst``, and every offset is counted again from
the tables of EMV Book 2, so that the two cannot share one mistake.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from readers import tlv
from readers.apdu import CommandApdu
from readers.cards.emv.rsa import RsaKey
from readers.cards.unionpay import UnionPay
from readers.connection import Interface
from readers.virtual.authority import TestCa
from readers.virtual.unionpay import Manners
from tests.readers.cards.bench import BOTH, PAN, TODAY, Numbers, Wire, ca_keys, card, context
from tests.readers.cards.emv.chains import Chain, chains
from tests.readers.cards.openssl import Openssl


class Listener(Wire):
    """Keeps every data object of every answer, as it came over the wire."""

    def __init__(self, virtual: object) -> None:
        super().__init__(virtual)
        self.heard: dict[int, bytes] = {}
        self.records: dict[tuple[int, int], bytes] = {}

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        data, sw = super().transmit(command)
        apdu = CommandApdu.parse(command)
        if apdu.ins == 0xB2:
            self.records[apdu.p2 >> 3, apdu.p1] = data
        for outer in tlv.parse(data) if sw == 0x9000 else []:
            for item in tlv.parse(outer.value) if outer.constructed else []:
                self.heard[item.tag] = item.value
        return data, sw

    def static_data(self) -> bytes:
        """EMV Book 3, 10.3, counted again: file 2 without its template's head, file 11 with it."""
        in_file_2, in_file_11 = self.records[2, 1], self.records[11, 1]
        head = 2 if in_file_2[1] < 0x80 else 2 + (in_file_2[1] & 0x7F)
        return in_file_2[head:] + in_file_11 + self.heard[0x82]


@pytest.mark.parametrize("interface", BOTH)
@pytest.mark.parametrize("padding", [0, 90])
def test_the_whole_chain(world: TestCa, tool: Openssl, interface: Interface, padding: int) -> None:
    wire = Listener(card(world, interface, padding_bytes=padding))
    numbers = Numbers()
    UnionPay(ca_keys(world)).authenticate(wire, context(numbers=numbers))
    heard = wire.heard
    assert heard[0x8F] == b"\xf1"

    # Table 6: issuer certificate under the CA's key.
    ca = world.ca.public
    block = tool.recover(ca.modulus, b"\x03", heard[0x90])
    assert (block[0], block[1], block[-1]) == (0x6A, 0x02, 0xBC)
    assert block[2:6].hex() == "629999ff"
    assert block[6:8].hex() == "0519"
    assert (block[11], block[12]) == (1, 1)
    size = block[13]
    assert (size, block[14]) == (144, 1)
    in_certificate = len(block) - 36
    issuer_modulus = block[15 : 15 + in_certificate] + heard[0x92]
    assert len(issuer_modulus) == size
    signed = block[1:15] + issuer_modulus + heard[0x9F32]
    assert tool.sha1(signed) == block[-21:-1]

    # Table 14: the chip's certificate under the issuer's key, over the static data.
    block = tool.recover(issuer_modulus, heard[0x9F32], heard[0x9F46])
    assert (block[0], block[1], block[-1]) == (0x6A, 0x04, 0xBC)
    assert block[2:12].hex() == PAN + "ffff"
    assert block[12:14].hex() == "0519"
    assert (block[17], block[18]) == (1, 1)
    size = block[19]
    assert (size, block[20]) == (128, 3)
    icc_modulus = block[21 : 21 + len(block) - 42] + heard[0x9F48]
    assert len(icc_modulus) == size
    signed = block[1:21] + icc_modulus + heard[0x9F47] + wire.static_data()
    assert tool.sha1(signed) == block[-21:-1]

    # Table 15: the dynamic signature under the chip's key, over this terminal's number.
    signature = heard[0x9F4B]
    block = tool.recover(icc_modulus, heard[0x9F47], signature)
    assert (block[0], block[1], block[2], block[-1]) == (0x6A, 0x05, 0x01, 0xBC)
    length = block[3]
    assert length == 9
    assert block[4] == 8
    assert set(block[4 + length : -21]) == {0xBB}
    (number,) = numbers.given
    terminal = number
    if interface is Interface.CONTACTLESS:
        terminal += bytes(6) + bytes.fromhex("0156") + heard[0x9F69]
        assert (heard[0x9F69][0], len(heard[0x9F69])) == (1, 7)
    assert tool.sha1(block[1:-21] + terminal) == block[-21:-1]
    assert TODAY.year == 2014


def test_a_card_whose_keys_fit_into_their_certificates(world: TestCa, tool: Openssl) -> None:
    """Padding BB instead of a remainder: a chip of 1024 bits under a bank of 1408."""
    wide = replace(world, issuer=world.foreign)
    wire = Listener(card(wide, Interface.CONTACT, Manners(get_response=False)))
    answer = UnionPay(ca_keys(world)).authenticate(wire, context())
    assert answer.method == "dda"
    issuer = wide.issuer.public
    assert len(wire.heard[0x92]) == 36
    assert 0x9F48 not in wire.heard
    block = tool.recover(issuer.modulus, wide.issuer.exponent, wire.heard[0x9F46])
    assert block[21 : 21 + 128] == wide.icc.public.modulus
    assert set(block[21 + 128 : -21]) == {0xBB}
    signed = block[1:-21] + wire.heard[0x9F47] + wire.static_data()
    assert tool.sha1(signed) == block[-21:-1]


def test_static_signature(world: TestCa, tool: Openssl) -> None:
    wire = Listener(card(world, Interface.CONTACT, aip=b"\x40\x00"))
    UnionPay(ca_keys(world)).authenticate(wire, context())
    issuer = world.issuer
    block = tool.recover(issuer.public.modulus, issuer.exponent, wire.heard[0x93])
    assert (block[0], block[1], block[2], block[-1]) == (0x6A, 0x03, 0x01, 0xBC)
    assert tool.sha1(block[1:-21] + wire.static_data()) == block[-21:-1]


@pytest.mark.parametrize("chain", chains("issuer_certificate"), ids=lambda c: c.name)
def test_published_issuer_certificates(chain: Chain, tool: Openssl) -> None:
    """The same tool on chains of others: it judges them as we do."""
    ca: RsaKey = chain.ca
    block = tool.recover(ca.modulus, b"\x03", chain.raw("issuer_certificate"))
    assert (block[0], block[1], block[-1]) == (0x6A, 0x02, 0xBC)
    room = len(block) - 36
    modulus = block[15 : 15 + min(room, block[13])] + chain.raw("issuer_remainder")
    assert modulus == chain.issuer().key.modulus
    hashed = block[1:-21] + chain.raw("issuer_remainder") + chain.raw("issuer_exponent")
    assert tool.sha1(hashed) == block[-21:-1]
