"""A test certification authority: CA, banks and chips whose keys anyone may know.

Every key carries TEST in its file and its bundle says ``"test": true``; terminals outside the
demo refuse it. Private operations here are plain and leak timing: never sign anything real.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from readers.cards.emv.ca_keys import FORMAT, checksum
from readers.cards.emv.rsa import RsaKey
from readers.cards.unionpay_profile import RID

MARK: Final = "REDCARD TEST KEY, KNOWN TO EVERYONE"
#: Index of the test CA's key; UnionPay's own are 02 to 0B.
CA_INDEX: Final = 0xF1
FOREIGN_INDEX: Final = 0xF2
SHA1: Final = 0x01
RSA: Final = 0x01
_HEADER: Final = b"\x6a"
_TRAILER: Final = b"\xbc"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private RSA key of the test world.

    Attributes:
        public: its public half.
        private_exponent: never secret: it stands in a file marked TEST.
    """

    public: RsaKey
    private_exponent: int = field(repr=False)

    def sign(self, content: bytes, *hashed_with: bytes) -> bytes:
        """Makes header, content, hash and trailer and applies the private key (Book 2, A2.1).

        Args:
            content: everything between header and hash; must fill the modulus.
            hashed_with: what the hash covers besides the content.
        """
        digest = hashlib.sha1(content + b"".join(hashed_with)).digest()  # noqa: S324
        return self.apply(_HEADER + content + digest + _TRAILER)

    def apply(self, block: bytes) -> bytes:
        """The bare private operation on a block as long as the modulus."""
        if len(block) != self.public.size:
            raise ValueError(f"a block of {len(block)} bytes under a key of {self.public.size}")
        modulus = int.from_bytes(self.public.modulus)
        return pow(int.from_bytes(block), self.private_exponent, modulus).to_bytes(len(block))

    @property
    def exponent(self) -> bytes:
        """The public exponent in as few bytes as it needs."""
        return self.public.exponent.to_bytes((self.public.exponent.bit_length() + 7) // 8)


@dataclass(frozen=True, slots=True)
class Certified:
    """A certificate as a card carries it.

    Attributes:
        certificate: tag 90 or 9F46.
        remainder: tag 92 or 9F48; empty if the certificate has room for the whole key.
        exponent: tag 9F32 or 9F47.
    """

    certificate: bytes
    remainder: bytes
    exponent: bytes


@dataclass(frozen=True, slots=True)
class Odd:
    """What a certificate or signature gets wrong on purpose; by default nothing.

    Attributes:
        form: another format byte.
        hash_algorithm: another hash algorithm indicator.
        key_algorithm: another key algorithm indicator.
    """

    form: int | None = None
    hash_algorithm: int = SHA1
    key_algorithm: int = RSA


FAULTLESS: Final = Odd()


@lru_cache(maxsize=64)  # one bank certifies every card of a box
def issuer_certificate(
    ca: SigningKey,
    issuer: RsaKey,
    *,
    identifier: str,
    expires: date,
    serial: bytes = b"\x00\x00\x01",
    odd: Odd = FAULTLESS,
) -> Certified:
    """Certifies a bank's key (EMV Book 2, table 6).

    Args:
        ca: the authority's key.
        issuer: the bank's public key.
        identifier: 3 to 8 leftmost digits of its PANs.
        expires: a day of the last month.
        serial: 3 bytes.
        odd: what to get wrong.
    """
    head = bytes((0x02 if odd.form is None else odd.form,))
    head += bytes.fromhex(identifier.ljust(8, "F"))
    return _certify(ca, issuer, head, expires, serial, odd, b"")


def icc_certificate(
    issuer: SigningKey,
    icc: RsaKey,
    *,
    pan: str,
    expires: date,
    static_data: bytes,
    serial: bytes = b"\x00\x00\x01",
    odd: Odd = FAULTLESS,
) -> Certified:
    """Certifies a chip's key and its static data (EMV Book 2, table 14).

    Args:
        issuer: the bank's key.
        icc: the chip's public key.
        pan: digits.
        expires: a day of the last month.
        static_data: the static data to be authenticated.
        serial: 3 bytes.
        odd: what to get wrong.
    """
    head = bytes((0x04 if odd.form is None else odd.form,)) + bytes.fromhex(pan.ljust(20, "F"))
    return _certify(issuer, icc, head, expires, serial, odd, static_data)


def static_signature(issuer: SigningKey, static_data: bytes, odd: Odd = FAULTLESS) -> bytes:
    """Signs static data (EMV Book 2, table 7)."""
    head = bytes((0x03 if odd.form is None else odd.form, odd.hash_algorithm)) + b"\xda\xc0"
    return issuer.sign(head.ljust(issuer.public.size - 22, b"\xbb"), static_data)


def dynamic_signature(
    icc: SigningKey, terminal_data: bytes, number: bytes, odd: Odd = FAULTLESS
) -> bytes:
    """Signs the terminal's data with a dynamic number of the chip (EMV Book 2, table 15)."""
    data = bytes((len(number),)) + number
    head = bytes((0x05 if odd.form is None else odd.form, odd.hash_algorithm, len(data))) + data
    return icc.sign(head.ljust(icc.public.size - 22, b"\xbb"), terminal_data)


def _certify(
    signer: SigningKey,
    subject: RsaKey,
    head: bytes,
    expires: date,
    serial: bytes,
    odd: Odd,
    hashed_with: bytes,
) -> Certified:
    exponent = subject.exponent.to_bytes((subject.exponent.bit_length() + 7) // 8)
    head += bytes.fromhex(f"{expires.month:02d}{expires.year % 100:02d}") + serial
    head += bytes((odd.hash_algorithm, odd.key_algorithm, subject.size, len(exponent)))
    room = signer.public.size - 22 - len(head)
    content = head + subject.modulus[:room].ljust(room, b"\xbb")
    remainder = subject.modulus[room:]
    certificate = signer.sign(content, remainder, exponent, hashed_with)
    return Certified(certificate, remainder, exponent)


@dataclass(frozen=True, slots=True)
class TestCa:
    """The keys of the test world.

    Attributes:
        ca: the authority, 1408 bits.
        issuer: a bank, 1152 bits: longer than its certificate has room for.
        icc: a chip, 1024 bits; all virtual cards share it.
        foreign: an authority that no terminal knows.
        forger: a key as long as a chip's that no bank has certified.
    """

    __test__ = False  # no test case, whatever pytest thinks of the name

    ca: SigningKey
    issuer: SigningKey
    icc: SigningKey
    foreign: SigningKey
    forger: SigningKey

    @classmethod
    def in_folder(cls, folder: Path) -> TestCa:
        """Reads the keys of a folder, or makes them there once (about a second).

        Args:
            folder: is made if missing; holds one file that may be deleted at any time.
        """
        file = folder / "test-ca.json"
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            fresh = {name: _generate(bits, e) for name, (bits, e) in _SIZES.items()}
            text = json.dumps({"mark": MARK, "keys": fresh}, indent=1)
            temporary = file.with_suffix(f".{os.getpid()}")
            temporary.write_text(text + "\n", encoding="ascii")
            temporary.replace(file)
        stored = json.loads(file.read_text(encoding="ascii"))
        if stored["mark"] != MARK:
            raise ValueError(f"{file} is no file of test keys; delete it")
        return cls(**{name: _load(stored["keys"][name]) for name in _SIZES})

    def bundle(
        self,
        *,
        expires: datetime,
        revoked_issuers: tuple[bytes, ...] = (),
        test: bool = True,
        change: Callable[[dict[str, object]], None] | None = None,
    ) -> bytes:
        """The CA key bundle of the test world, as ``ca_keys.json``.

        Args:
            expires: when the bundle ends.
            revoked_issuers: serials of withdrawn bank certificates.
            test: the mark; tests unset it to see it matter.
            change: edits the document before it is written.
        """
        key = self.ca.public
        document: dict[str, object] = {
            "format": FORMAT,
            "test": test,
            "expires_ms": int(expires.astimezone(UTC).timestamp() * 1000),
            "keys": [
                {
                    "rid": RID.hex().upper(),
                    "index": f"{CA_INDEX:02X}",
                    "modulus": key.modulus.hex(),
                    "exponent": self.ca.exponent.hex(),
                    "expires": "2049-12-31",
                    "revoked": False,
                    "checksum": checksum(RID, CA_INDEX, key).hex(),
                }
            ],
            "revoked_issuers": [
                {"rid": RID.hex().upper(), "index": f"{CA_INDEX:02X}", "serial": serial.hex()}
                for serial in revoked_issuers
            ],
        }
        if change is not None:
            change(document)
        return json.dumps(document, indent=1).encode("ascii") + b"\n"


_SIZES: Final = {
    "ca": (1408, 3),
    "issuer": (1152, 3),
    "icc": (1024, 65_537),
    "foreign": (1408, 3),
    "forger": (1024, 65_537),
}


def _generate(bits: int, exponent: int) -> dict[str, str]:
    from cryptography.hazmat.primitives.asymmetric import rsa

    numbers = rsa.generate_private_key(exponent, bits).private_numbers()
    modulus = numbers.public_numbers.n.to_bytes(bits // 8)
    return {"modulus": modulus.hex(), "exponent": f"{exponent:x}", "private": f"{numbers.d:x}"}


def _load(stored: dict[str, str]) -> SigningKey:
    public = RsaKey(bytes.fromhex(stored["modulus"]), int(stored["exponent"], 16))
    return SigningKey(public, int(stored["private"], 16))
