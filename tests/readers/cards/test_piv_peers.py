"""Programs that are not ours judge the virtual PIV card, and our reader reads what they make."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    load_pem_private_key,
)

from readers import tlv
from readers.apdu import CommandApdu, split_response
from readers.cards.piv import Piv
from readers.cards.piv_roots import PivRoots
from readers.connection import CardConnection
from readers.virtual.piv import Manners, Recipe, TestPivAuthority, VirtualPivCard
from readers.virtual.vpcd import Pcscd, VpcdSlot
from tests.readers.cards.bench import BOTH, context
from tests.readers.cards.openssl import program
from tests.readers.cards.piv_bench import KINDS, piv_card, piv_tap, roots
from tests.readers.cards.test_piv import name_of
from tests.readers.stack import PATIENCE_S, Recorder, Stack

MODULE = "opensc-pkcs11.so"
#: Yubico's programs refuse cards without a version; from 5.3 on they ask for more.
YUBICO = Manners(version=(4, 3, 5))


def _tool(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"NOT TESTED against {name}: apt-get install {package}")
    return found


@dataclass
class Desk:
    """A reader of the real pcscd with a card on it."""

    service: Pcscd
    card: VirtualPivCard
    folder: Path

    def run(self, tool: str, *arguments: str, package: str = "opensc") -> str:
        """Runs a program; what it said on both its outputs."""
        done = subprocess.run(
            [_tool(tool, package), *arguments],
            env={**os.environ, **self.service.environment, "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE_S,
            cwd=self.folder,
        )
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def wait(self, present: bool) -> None:
        """Until pcscd has seen the card come or go."""
        wanted, end = ("Yes", "No")[not present], time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            lines = self.run("opensc-tool", "--list-readers").splitlines()
            if any(line.split()[:2] == ["0", wanted] for line in lines):
                return
            time.sleep(0.02)
        raise AssertionError(f"pcscd never said {wanted}")


def _verify(certificate: x509.Certificate, signature: bytes, message: bytes) -> None:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    else:
        assert isinstance(key, rsa.RSAPublicKey)
        key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def packed() -> bool:
    """Whether the certificate is packed; yubico-piv-tool of Debian 12 reads none that is."""
    return False


@pytest.fixture
def desk(
    pcscd: Pcscd,
    piv_world: TestPivAuthority,
    tmp_path: Path,
    kind: str,
    packed: bool,
) -> Iterator[Desk]:
    _tool("opensc-tool", "opensc")
    interface = BOTH[KINDS.index(kind)]  # one kind in the slot, one over the air
    card = VirtualPivCard(
        piv_world, Recipe(kind=kind, packed=packed), interface=interface, manners=YUBICO
    )
    seat = Desk(pcscd, card, tmp_path)
    with VpcdSlot(pcscd.ports[0]) as slot:
        slot.insert(card)
        seat.wait(present=True)
        yield seat
    seat.wait(present=False)


@pytest.mark.pcscd
@pytest.mark.parametrize("packed", [False, True])
def test_opensc_reads_and_uses_the_card(desk: Desk) -> None:
    assert "Personal Identity Verification Card" in desk.run("opensc-tool", "--name")
    assert "Personal Identity Verification Card" in desk.run("piv-tool", "--name")
    module = ["--module", MODULE]
    listed = desk.run("pkcs11-tool", *module, "--list-objects")
    assert "CARD AUTH key" in listed
    assert "subject:    DN: CN=REDCARD TEST PIV card" in listed
    read = ["--read-object", "--type", "cert", "--id", "04", "--output-file", "cert.der"]
    desk.run("pkcs11-tool", *module, *read)
    certificate = x509.load_der_x509_certificate((desk.folder / "cert.der").read_bytes())
    assert certificate == desk.card.certificate
    digest = hashes.Hash(hashes.SHA256())
    digest.update(b"a message")
    (desk.folder / "digest").write_bytes(digest.finalize())
    how = ["--pkcs1", "--sha-256"]
    if isinstance(certificate.public_key(), ec.EllipticCurvePublicKey):
        how = ["--signature-format", "openssl"]
    files = ["--input", "digest", "--output", "signature"]
    desk.run("pkcs15-crypt", "--sign", "--key", "04", *how, *files)
    _verify(certificate, (desk.folder / "signature").read_bytes(), b"a message")


@pytest.mark.pcscd
def test_yubico_piv_tool_reads_and_challenges_the_card(desk: Desk) -> None:
    def ask(*arguments: str) -> str:
        tool, reader = "yubico-piv-tool", ("--reader", desk.service.reader_name)
        return desk.run(tool, *reader, *arguments, package="yubico-piv-tool")

    status = ask("--action", "status")
    assert "Slot 9e" in status
    assert "Issuer DN:\tCN=REDCARD TEST PIV issuing" in status
    assert "Not After:\tDec 31 23:59:59 2039 GMT" in status
    ask("--action", "read-certificate", "--slot", "9e", "--output", "cert.pem")
    shown = x509.load_pem_x509_certificate((desk.folder / "cert.pem").read_bytes())
    assert shown == desk.card.certificate
    said = ask("--action", "test-signature", "--slot", "9e", "--input", "cert.pem")
    assert "verification" in said
    assert "Successful" in said


@pytest.mark.pcscd
def test_they_would_notice_a_forgery(
    pcscd: Pcscd, piv_world: TestPivAuthority, tmp_path: Path, kind: str
) -> None:
    """The same judge refuses a card whose key is not the certificate's."""
    forger = piv_world.keys[f"forger_{kind}"]
    card = VirtualPivCard(piv_world, Recipe(kind=kind, signer=forger), manners=YUBICO)
    seat = Desk(pcscd, card, tmp_path)
    (tmp_path / "cert.pem").write_bytes(card.certificate.public_bytes(Encoding.PEM))
    tool = _tool("yubico-piv-tool", "yubico-piv-tool")
    with VpcdSlot(pcscd.ports[0]) as slot:
        slot.insert(card)
        seat.wait(present=True)
        test = ["--action", "test-signature", "--slot", "9e", "--input", "cert.pem"]
        done = subprocess.run(
            [tool, "--reader", pcscd.reader_name, *test],
            env={**os.environ, **pcscd.environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
    seat.wait(present=False)
    assert "Successful" not in done.stdout + done.stderr


def test_one_scheme_on_every_reader(stack: Stack, piv_world: TestPivAuthority, kind: str) -> None:
    scheme, virtual = Piv(roots(piv_world)), piv_card(piv_world, kind=kind)

    def script(connection: CardConnection) -> object:
        return scheme.authenticate(connection, context())

    with stack.watched(Recorder(script)) as seen:
        stack.places[0].insert(virtual)
        result = seen.wait_results()[0]
    assert getattr(result, "card", result) == name_of(virtual)


@pytest.fixture
def yubikit() -> Any:
    reason = "NOT TESTED against yubikit: pip install yubikey-manager"
    return pytest.importorskip("yubikit.piv", reason=reason)


@pytest.fixture(params=["short", "extended"])
def session(request: pytest.FixtureRequest, yubikit: Any) -> Any:
    """Opens Yubico's own session on a virtual card, over short and over extended APDUs."""
    core = pytest.importorskip("yubikit.core")
    smartcard = pytest.importorskip("yubikit.core.smartcard")
    how = core.TRANSPORT.NFC if request.param == "short" else core.TRANSPORT.USB

    base: Any = smartcard.SmartCardConnection

    class Connection(base):  # type: ignore[misc]
        def __init__(self, card: Any) -> None:
            self.card = card

        @property
        def transport(self) -> Any:
            return how

        def send_and_receive(self, apdu: bytes) -> tuple[bytes, int]:
            return split_response(self.card.process(apdu))

        def close(self) -> None:
            self.card.power_off()

    return lambda card: yubikit.PivSession(Connection(card))


def test_yubikit_reads_and_challenges_the_card(
    piv_world: TestPivAuthority, yubikit: Any, session: Any, kind: str
) -> None:
    virtual = piv_card(piv_world, kind=kind, manners=YUBICO)
    opened = session(virtual)
    slot = yubikit.SLOT.CARD_AUTH
    shown = opened.get_certificate(slot)
    assert shown == virtual.certificate
    key = yubikit.KEY_TYPE.from_public_key(shown.public_key())
    pad = None if kind == "p256" else padding.PKCS1v15()
    _verify(shown, opened.sign(slot, key, b"a message", hashes.SHA256(), pad), b"a message")
    holder = yubikit.Chuid.from_bytes(opened.get_object(yubikit.OBJECT_ID.CHUID))
    assert str(holder.fasc_n) == "[9999-9999-999999-0-1-0000000000300001]"
    assert f"{holder.expiration_date}" == "2039-12-31"
    found = tlv.parse(opened.get_object(yubikit.OBJECT_ID.DISCOVERY))
    assert [one.tag for one in found] == [0x4F, 0x5F2F]


def test_our_challenge_is_the_one_that_yubikit_sends(
    piv_world: TestPivAuthority, yubikit: Any, session: Any, kind: str
) -> None:
    """The same algorithm, key, template and padding, around another number."""
    ours, theirs = (piv_card(piv_world, kind=kind, manners=YUBICO) for _ in range(2))
    piv_tap(ours, piv_world)
    key = yubikit.KEY_TYPE.from_public_key(theirs.certificate.public_key())
    pad = None if kind == "p256" else padding.PKCS1v15()
    session(theirs).sign(yubikit.SLOT.CARD_AUTH, key, b"a message", hashes.SHA256(), pad)
    digests = 32
    assert _challenge(ours)[:-digests] == _challenge(theirs)[:-digests]


def _challenge(virtual: VirtualPivCard) -> bytes:
    """Header and whole data of GENERAL AUTHENTICATE, however it was cut up."""
    parts = [CommandApdu.parse(one) for one in virtual.commands if one[1] == 0x87]
    last = parts[-1]
    header = bytes((last.cla, last.ins, last.p1, last.p2))
    return header + b"".join(part.data for part in parts)


@pytest.mark.parametrize("packed", [False, True])
def test_our_reader_reads_what_yubikit_stores(
    piv_world: TestPivAuthority, yubikit: Any, session: Any, kind: str, packed: bool
) -> None:
    """What its PUT DATA would have put onto a card of theirs."""
    source = piv_card(piv_world, kind=kind, manners=YUBICO)
    stored: list[bytes] = []

    class Writable:
        """Takes everything that is written to it, without asking who writes."""

        def process(self, command: bytes) -> bytes:
            if command[1] == 0xDB:
                stored.append(CommandApdu.parse(command).data)
                return b"\x90\x00"
            return source.process(command)

    session(Writable()).put_certificate(yubikit.SLOT.CARD_AUTH, source.certificate, packed)
    name, container = tlv.parse(b"".join(stored))
    assert name.value == bytes.fromhex("5FC101")
    virtual = piv_card(piv_world, kind=kind, container=container.raw)
    assert piv_tap(virtual, piv_world).card == name_of(source)


CNF = """
[leaf]
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=critical,2.16.840.1.101.3.6.8
certificatePolicies=2.16.840.1.101.3.2.1.3.13
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
subjectAltName=URI:urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6
"""


def test_our_reader_believes_what_openssl_issues(
    piv_world: TestPivAuthority, tmp_path: Path, kind: str
) -> None:
    tool = program()

    def openssl(*arguments: str) -> None:
        done = subprocess.run([tool, *arguments], cwd=tmp_path, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()

    (tmp_path / "cnf").write_text(CNF)
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-keyout", "ca.key"]
    if kind == "rsa2048":
        new = ["-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key"]
    subject = ["-subj", "/C=CN/O=TEST/CN=openssl root", "-days", "3650"]
    usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    openssl("req", "-x509", *new, *subject, *usage, "-out", "ca.pem")
    card_key = ["rsa", "-pkeyopt", "rsa_keygen_bits:2048"]
    if kind == "p256":
        card_key = ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    openssl("genpkey", "-algorithm", *card_key, "-out", "card.key")
    openssl("req", "-new", "-key", "card.key", "-subj", "/O=TEST/CN=staff", "-out", "card.csr")
    issue = ["-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "77", "-days", "365"]
    extend = ["-extfile", "cnf", "-extensions", "leaf"]
    openssl("x509", "-req", "-in", "card.csr", *issue, *extend, "-out", "card.pem")
    key = load_pem_private_key((tmp_path / "card.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    certificate, root = (
        x509.load_pem_x509_certificate((tmp_path / name).read_bytes())
        for name in ("card.pem", "ca.pem")
    )
    ends = certificate.not_valid_after_utc.date()
    trusted = PivRoots((root,), (), frozenset(), ends, test=True)
    virtual = piv_card(piv_world, kind=kind, certificate=certificate, key=key)
    answer = piv_tap(virtual, piv_world, trusted=trusted, today=ends)
    assert (answer.card, answer.expires) == (name_of(virtual), ends)


def test_openssl_believes_the_test_authority(
    piv_world: TestPivAuthority, tmp_path: Path, kind: str
) -> None:
    names = ("root", "issuing")
    for name in names:
        pem = getattr(piv_world, name).public_bytes(Encoding.PEM)
        (tmp_path / f"{name}.pem").write_bytes(pem)
    pem = piv_card(piv_world, kind=kind).certificate.public_bytes(Encoding.PEM)
    (tmp_path / "card.pem").write_bytes(pem)
    chain = ["-CAfile", "root.pem", "-untrusted", "issuing.pem", "-x509_strict"]
    done = subprocess.run(
        [program(), "verify", "-purpose", "any", *chain, "card.pem"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "card.pem: OK", done.stderr
