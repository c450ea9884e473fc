"""A test authority for PIV cards: a root, one below it, and card keys that anyone may know.

Every certificate says TEST in its names, the file of keys is marked, and the bundle says
``"test": true``; terminals outside a demo refuse it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from readers.cards.piv_path import CARD_AUTHENTICATION
from readers.cards.piv_roots import FORMAT
from readers.virtual.authority import MARK

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
ROOT: Final = "REDCARD TEST PIV root"
ISSUING: Final = "REDCARD TEST PIV issuing"
FOREIGN: Final = "REDCARD TEST PIV foreign root"
#: All authorities of the test world are valid in this span.
BEGINS: Final = date(2010, 1, 1)
ENDS: Final = date(2049, 12, 31)
#: Both kinds of key are met on every path: root P-256, issuing RSA.
_KEYS: Final = {
    "root": "p256",
    "issuing": "rsa2048",
    "foreign": "p256",
    "p256": "p256",
    "rsa2048": "rsa2048",
    "forger_p256": "p256",
    "forger_rsa2048": "rsa2048",
}
_DIGITAL_SIGNATURE: Final = "digital_signature"
_AUTHORITY_USAGES: Final = ("key_cert_sign", "crl_sign")


@dataclass(frozen=True, slots=True)
class Content:
    """What a certificate says, apart from its names and key; by default a good card's.

    Attributes:
        begins: first day.
        ends: last day.
        serial: its number.
        usages: names of key usages as ``x509.KeyUsage`` has them; empty for no extension.
        purposes: extended key usages; empty for no extension.
        authority: whether it may issue.
        path_length: how many authorities may stand below it.
        critical: an extension that is demanded and that nobody knows.
        hash_algorithm: for the issuer's signature.
    """

    begins: date = BEGINS
    ends: date = ENDS
    serial: int = 1
    usages: tuple[str, ...] = (_DIGITAL_SIGNATURE,)
    purposes: tuple[x509.ObjectIdentifier, ...] = (CARD_AUTHENTICATION,)
    authority: bool = False
    path_length: int | None = None
    critical: bool = False
    hash_algorithm: hashes.SHA224 | hashes.SHA256 = field(default_factory=hashes.SHA256)


def authority(path_length: int | None = None, **changes: Any) -> Content:
    """What an authority's certificate says."""
    given: dict[str, Any] = {"usages": _AUTHORITY_USAGES, "purposes": (), "authority": True}
    return Content(path_length=path_length, **{**given, **changes})


def certify(
    subject: str, key: PrivateKey, issuer: str, signer: PrivateKey, content: Content
) -> x509.Certificate:
    """Issues a certificate of the test world.

    Args:
        subject: common name of whose it is.
        key: the pair whose public half it names.
        issuer: common name of who says so.
        signer: the issuer's key.
        content: what it says.
    """
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(content.serial)
        .not_valid_before(datetime.combine(content.begins, time(), UTC))
        .not_valid_after(datetime.combine(content.ends, time(23, 59, 59), UTC))
    )
    names = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = builder.add_extension(names, critical=False).add_extension(above, critical=False)
    basic = x509.BasicConstraints(ca=content.authority, path_length=content.path_length)
    builder = builder.add_extension(basic, critical=True)
    if content.usages:
        builder = builder.add_extension(_usage(content.usages), critical=True)
    if content.purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(content.purposes), critical=True)
    if content.critical:
        unknown = x509.UnrecognizedExtension(
            x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00"
        )
        builder = builder.add_extension(unknown, critical=True)
    return builder.sign(signer, content.hash_algorithm)


@dataclass(frozen=True, slots=True)
class TestPivAuthority:
    """The keys and authorities of the test world.

    Attributes:
        keys: by name: root, issuing, foreign; p256 and rsa2048 in every card; forger_p256 and
            forger_rsa2048, which nobody has certified.
        root: the certificate that test terminals trust.
        issuing: the authority below it that issues cards.
        foreign: a root that no terminal trusts.
    """

    __test__ = False  # no test case, whatever pytest thinks of the name

    keys: dict[str, PrivateKey] = field(repr=False)
    root: x509.Certificate
    issuing: x509.Certificate
    foreign: x509.Certificate

    @classmethod
    def in_folder(cls, folder: Path) -> TestPivAuthority:
        """Reads the keys of a folder, or makes them there once (about a second).

        Args:
            folder: is made if missing; holds one file that may be deleted at any time.
        """
        file = folder / "test-piv.json"
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            fresh = {name: _pem(_generate(kind)) for name, kind in _KEYS.items()}
            temporary = file.with_suffix(f".{os.getpid()}")
            document = json.dumps({"mark": MARK, "keys": fresh}, indent=1)
            temporary.write_text(document + "\n", encoding="ascii")
            temporary.replace(file)
        stored = json.loads(file.read_text(encoding="ascii"))
        if stored["mark"] != MARK:
            raise ValueError(f"{file} is no file of test keys; delete it")
        keys = {name: _load(stored["keys"][name]) for name in _KEYS}
        root, issuing, foreign = keys["root"], keys["issuing"], keys["foreign"]
        return cls(
            keys,
            certify(ROOT, root, ROOT, root, authority()),
            certify(ISSUING, issuing, ROOT, root, authority(0, serial=2)),
            certify(FOREIGN, foreign, FOREIGN, foreign, authority()),
        )

    def bundle(
        self,
        *,
        expires: datetime,
        revoked: tuple[tuple[bytes, int], ...] = (),
        test: bool = True,
        change: Callable[[dict[str, Any]], None] | None = None,
    ) -> bytes:
        """The bundle of roots of the test world, as ``load_piv_roots`` reads it.

        Args:
            expires: when the bundle ends.
            revoked: hash of the issuer's key, and serial number, of withdrawn certificates.
            test: the mark; tests unset it to see it matter.
            change: edits the document before it is written.
        """
        document: dict[str, Any] = {
            "format": FORMAT,
            "test": test,
            "expires_ms": int(expires.astimezone(UTC).timestamp() * 1000),
            "roots": [self.root.public_bytes(Encoding.PEM).decode("ascii")],
            "intermediates": [self.issuing.public_bytes(Encoding.PEM).decode("ascii")],
            "revoked": [
                {"issuer": issuer.hex(), "serial": f"{serial:040x}"} for issuer, serial in revoked
            ],
        }
        if change is not None:
            change(document)
        return json.dumps(document, indent=1).encode("ascii") + b"\n"


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(named: tuple[str, ...]) -> x509.KeyUsage:
    every = (
        _DIGITAL_SIGNATURE,
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        *_AUTHORITY_USAGES,
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{usage: usage in named for usage in every})


def _generate(kind: str) -> PrivateKey:
    if kind == "p256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65_537, 2048)


def _pem(key: PrivateKey) -> str:
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key.private_bytes(*form).decode("ascii")


def _load(text: str) -> PrivateKey:
    key = load_pem_private_key(text.encode("ascii"), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise TypeError("the file of test keys holds a key of another kind; delete it")
    return key
