"""A strict virtual PIV card with key 9E, contact or contactless (SP 800-73 revision 5).

It refuses what a real card refuses: unknown names, objects it does not have, keys and algorithms
it does not have, parts of a chain that do not belong together. Its keys are those of the test
authority, so no terminal outside a demo believes it.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding

from readers import tlv
from readers.apdu import SHORT_LE_MAX, CommandApdu, StatusWord
from readers.cards.piv import AID, CERTIFICATE_OBJECT, KEY, RID
from readers.connection import Interface
from readers.errors import ProtocolViolation
from readers.virtual.piv_authority import (
    ISSUING,
    Content,
    PrivateKey,
    TestPivAuthority,
    certify,
)

__all__ = ["Manners", "Recipe", "TestPivAuthority", "VirtualPivCard"]

FULL_AID: Final = AID + b"\x01\x00"
CHUID_OBJECT: Final = bytes.fromhex("5FC102")
DISCOVERY_OBJECT: Final = b"\x7e"
P256: Final = 0x11
RSA_2048: Final = 0x07
_DIGEST_BYTES: Final = 32
_RSA_BYTES: Final = 256
_CHAINED: Final = 0x10
_CHAIN_BYTES_MAX: Final = 4_096
#: FASC-N of a card outside the federal government (part 1, 3.1.2): agency, system and credential
#: all nines, in packed form with separators and parity.
_FASC_N: Final = bytes.fromhex("D4E739DA739CED39CE739D836858210842108421C84210C3EB")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is on the card, and what is wrong with it; by default nothing.

    Attributes:
        kind: ``p256`` or ``rsa2048``.
        serial: makes the card one of its own: number of its certificate and source of its GUID.
        ends: last day of the certificate.
        content: all that the certificate says, in place of ``serial`` and ``ends``.
        certificate: another certificate than the test authority's for this key.
        container: the answer to GET DATA as it stands, whatever is in it.
        packed: the certificate lies there packed by gzip.
        info: another CertInfo byte.
        signer: another key than the certificate's.
        stale_number: signs this digest instead of the one it is asked to sign.
        key: the pair of the certificate, where it is not the test world's.
    """

    kind: str = "p256"
    serial: int = 1001
    ends: date = date(2039, 12, 31)
    content: Content | None = None
    certificate: x509.Certificate | None = None
    container: bytes | None = None
    packed: bool = False
    info: bytes | None = None
    signer: PrivateKey | None = field(default=None, repr=False)
    stale_number: bytes = b""
    key: PrivateKey | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Manners:
    """How the card speaks, whatever it says.

    Attributes:
        partial: whether names may be cut short on the right.
        whole: answers come whole; else by 61xx and GET RESPONSE, as with T=0.
        endless: GET RESPONSE never ends.
        version: answers Yubico's GET VERSION with this; a plain PIV card has no such command.
    """

    partial: bool = True
    whole: bool = False
    endless: bool = False
    version: tuple[int, int, int] | None = None


class VirtualPivCard:
    """One card; implements ``readers.virtual.box.VirtualCard``.

    Attributes:
        commands: every command it was sent since it was made.
    """

    def __init__(
        self,
        world: TestPivAuthority,
        recipe: Recipe | None = None,
        *,
        interface: Interface = Interface.CONTACTLESS,
        manners: Manners | None = None,
    ) -> None:
        self.commands: list[bytes] = []
        self._world = world
        self._recipe = recipe or Recipe()
        self._interface = interface
        self._manners = manners or Manners()
        self._key = self._recipe.key or world.keys[self._recipe.kind]
        self._signer = self._recipe.signer or self._key
        self._selected = False
        self._pending = b""
        self._chain: CommandApdu | None = None

    @property
    def atr(self) -> bytes:
        """Answer to reset: T=1 in the slot; PC/SC part 3, 3.1.3.2.3.1 over the air."""
        history = b"TEST PIV"
        head = b"\x80\x01" if self._interface is Interface.CONTACTLESS else b"\x01"
        body = bytes((0x80 | len(history),)) + head + history
        check = 0
        for byte in body:
            check ^= byte
        return b"\x3b" + body + bytes((check,))

    @property
    def interface(self) -> Interface:
        """How it is coupled."""
        return self._interface

    @cached_property
    def certificate(self) -> x509.Certificate:
        """The certificate of key 9E, issued when it is first asked for."""
        recipe = self._recipe
        if recipe.certificate is not None:
            return recipe.certificate
        content = recipe.content or Content(ends=recipe.ends, serial=recipe.serial)
        signer = self._world.keys["issuing"]
        return certify("REDCARD TEST PIV card", self._key, ISSUING, signer, content)

    def power_off(self) -> None:
        """Forgets selection, chains and what was left of an answer."""
        self._selected, self._pending, self._chain = False, b"", None

    def process(self, command: bytes) -> bytes:
        """Answers one command APDU."""
        self.commands.append(bytes(command))
        try:
            apdu = CommandApdu.parse(command)
        except ProtocolViolation:
            return StatusWord.WRONG_LENGTH.to_bytes(2)
        if (apdu.cla, apdu.ins) == (0x00, 0xC0):
            return self._rest(apdu.le or SHORT_LE_MAX)
        self._pending = b""
        if apdu.cla not in (0x00, _CHAINED):
            return StatusWord.CLA_NOT_SUPPORTED.to_bytes(2)
        whole = self._collect(apdu)
        if isinstance(whole, StatusWord):
            return whole.to_bytes(2)
        data, sw = self._answer(whole)
        return self._deliver(whole, data) if sw == StatusWord.SUCCESS else sw.to_bytes(2)

    def _collect(self, apdu: CommandApdu) -> CommandApdu | StatusWord:
        """Joins the parts of a chained command (part 2, 2.4.1); a status word until it is whole."""
        chain, self._chain = self._chain, None
        if chain is not None:
            if (apdu.ins, apdu.p1, apdu.p2) != (chain.ins, chain.p1, chain.p2):
                return StatusWord.LAST_COMMAND_EXPECTED
            if len(chain.data) + len(apdu.data) > _CHAIN_BYTES_MAX:
                return StatusWord.WRONG_LENGTH
            data = chain.data + apdu.data
            apdu = CommandApdu(apdu.cla, apdu.ins, apdu.p1, apdu.p2, data, apdu.le)
        if apdu.cla == _CHAINED:
            if apdu.ins == 0xA4:
                return StatusWord.CHAINING_NOT_SUPPORTED
            self._chain = apdu
            return StatusWord.SUCCESS
        return apdu

    def _answer(self, apdu: CommandApdu) -> tuple[bytes, StatusWord]:
        if apdu.ins == 0xA4:
            return self._select(apdu)
        if not self._selected:
            return b"", StatusWord.INS_NOT_SUPPORTED
        if apdu.ins == 0xFD and self._manners.version is not None:
            return bytes(self._manners.version), StatusWord.SUCCESS
        if apdu.ins == 0xCB:
            return self._data(apdu)
        if apdu.ins == 0x87:
            return self._authenticate(apdu)
        if apdu.ins == 0x20:  # no PIN is on this card, and key 9E asks for none
            return b"", StatusWord.REFERENCE_NOT_FOUND
        return b"", StatusWord.INS_NOT_SUPPORTED

    def _select(self, apdu: CommandApdu) -> tuple[bytes, StatusWord]:
        if (apdu.p1, apdu.p2) != (0x04, 0x00):
            return b"", StatusWord.INCORRECT_P1_P2
        name = apdu.data
        partial = self._manners.partial and len(name) >= len(RID) and FULL_AID.startswith(name)
        if name not in (AID, FULL_AID) and not partial:
            return b"", StatusWord.FILE_NOT_FOUND  # what was selected stays so (part 2, 3.1.1)
        self._selected = True
        authority = tlv.encode(0x79, tlv.encode(0x4F, RID))
        template = tlv.encode(0x4F, FULL_AID[len(RID) :]) + authority
        return tlv.encode(0x61, template), StatusWord.SUCCESS

    def _data(self, apdu: CommandApdu) -> tuple[bytes, StatusWord]:
        """GET DATA (part 2, 3.1.2)."""
        if (apdu.p1, apdu.p2) != (0x3F, 0xFF):
            return b"", StatusWord.INCORRECT_P1_P2
        try:
            objects = tlv.parse(apdu.data)
        except ProtocolViolation:
            return b"", StatusWord.WRONG_DATA
        if len(objects) != 1 or objects[0].tag != 0x5C:
            return b"", StatusWord.WRONG_DATA
        make = {
            CERTIFICATE_OBJECT: self._container,
            CHUID_OBJECT: self._chuid,
            DISCOVERY_OBJECT: _discovery,
        }.get(objects[0].value)
        return (make(), StatusWord.SUCCESS) if make else (b"", StatusWord.FILE_NOT_FOUND)

    def _container(self) -> bytes:
        recipe = self._recipe
        if recipe.container is not None:
            return recipe.container
        der = self.certificate.public_bytes(Encoding.DER)
        info = bytes((recipe.packed,)) if recipe.info is None else recipe.info
        content = tlv.encode(0x70, gzip.compress(der, mtime=0) if recipe.packed else der)
        return tlv.encode(0x53, content + tlv.encode(0x71, info) + tlv.encode(0xFE, b""))

    def _chuid(self) -> bytes:
        """The CHUID (part 1, table 9), unsigned as on cards that issue themselves."""
        guid = hashlib.sha256(b"TEST PIV %d" % self._recipe.serial).digest()[:16]
        day = f"{self._recipe.ends:%Y%m%d}".encode()
        fields = ((0x30, _FASC_N), (0x34, guid), (0x35, day), (0x3E, b""), (0xFE, b""))
        return tlv.encode(0x53, b"".join(tlv.encode(tag, value) for tag, value in fields))

    def _authenticate(self, apdu: CommandApdu) -> tuple[bytes, StatusWord]:
        """GENERAL AUTHENTICATE as internal authentication (part 2, 3.2.4 and A.4)."""
        elliptic = isinstance(self._signer, ec.EllipticCurvePrivateKey)
        if apdu.p2 != KEY:
            return b"", StatusWord.REFERENCE_NOT_FOUND
        if apdu.p1 != (P256 if elliptic else RSA_2048):
            return b"", StatusWord.INCORRECT_P1_P2
        try:
            template = tlv.parse(apdu.data)
            fields = {one.tag: one.value for one in template[0].children()} if template else {}
        except ProtocolViolation:
            return b"", StatusWord.WRONG_DATA
        if [one.tag for one in template] != [0x7C] or set(fields) != {0x82, 0x81} or fields[0x82]:
            return b"", StatusWord.WRONG_DATA
        block = self._recipe.stale_number or fields[0x81]
        if len(block) != (_DIGEST_BYTES if elliptic else _RSA_BYTES):
            return b"", StatusWord.WRONG_DATA
        return tlv.encode(0x7C, tlv.encode(0x82, self._sign(block))), StatusWord.SUCCESS

    def _sign(self, block: bytes) -> bytes:
        if isinstance(self._signer, ec.EllipticCurvePrivateKey):
            return self._signer.sign(block, ec.ECDSA(Prehashed(hashes.SHA256())))
        # The card applies its key to whatever it is given; the padding came from outside.
        numbers = self._signer.private_numbers()
        signed = pow(int.from_bytes(block), numbers.d, numbers.public_numbers.n)
        return signed.to_bytes(_RSA_BYTES)

    def _deliver(self, apdu: CommandApdu, data: bytes) -> bytes:
        if self._manners.endless and apdu.ins == 0xCB:
            self._pending = bytes(0xFFFF)
            return b"\x61\x00"
        room = SHORT_LE_MAX if apdu.le is None else apdu.le
        if len(data) <= room and (self._manners.whole or len(data) <= SHORT_LE_MAX):
            return data + StatusWord.SUCCESS.to_bytes(2)
        self._pending = data
        return self._rest(min(room, SHORT_LE_MAX))

    def _rest(self, le: int) -> bytes:
        if not self._pending:
            return StatusWord.CONDITIONS_NOT_SATISFIED.to_bytes(2)
        if self._manners.endless:
            return b"\x00\x61\x00"
        part, self._pending = self._pending[:le], self._pending[le:]
        left = len(self._pending)
        return part + (bytes((0x61, left if left <= 0xFF else 0)) if left else b"\x90\x00")


def _discovery() -> bytes:
    """The discovery object (part 1, 3.3.2): the application, and that its PIN is the policy."""
    return tlv.encode(0x7E, tlv.encode(0x4F, FULL_AID) + tlv.encode(0x5F2F, b"\x40\x00"))
