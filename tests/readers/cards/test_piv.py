"""PIV cards as a terminal meets them: what it sends, whom it believes, whom it names."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA224
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from readers.cards.detect import identify
from readers.cards.errors import AuthenticationFailed, Failure
from readers.cards.piv import Piv
from readers.cards.piv_path import AUTHORITIES_MAX, CARD_AUTHENTICATION
from readers.cards.piv_roots import PivRoots, key_hash
from readers.cards.scheme import CardAssurance, SchemeContext
from readers.cards.uid import Uid
from readers.connection import Interface
from readers.errors import CardNotSupported, CardUnreadable, ProtocolViolation
from readers.virtual.piv import Manners, TestPivAuthority, VirtualPivCard
from readers.virtual.piv_authority import FOREIGN, ISSUING, ROOT, authority, certify
from tests.readers.cards.bench import BOTH, TODAY, Numbers, Wire, context, named
from tests.readers.cards.piv_bench import KINDS, content, piv_card, piv_tap, roots

SUBJECT = "REDCARD TEST PIV card"


def name_of(virtual: VirtualPivCard) -> str:
    key = virtual.certificate.public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return named("piv", hashlib.sha256(spki).digest())


@pytest.mark.parametrize("interface", BOTH)
@pytest.mark.parametrize("kind", KINDS)
def test_a_genuine_card(piv_world: TestPivAuthority, kind: str, interface: Interface) -> None:
    virtual = piv_card(piv_world, kind=kind, interface=interface)
    answer = piv_tap(virtual, piv_world)
    assert answer.card == name_of(virtual)
    assert (answer.scheme, answer.method) == ("piv", "pki_cak")
    assert answer.assurance is CardAssurance.AUTHENTICATED
    assert answer.expires == date(2039, 12, 31)


def test_every_byte_that_goes_to_a_p256_card(piv_world: TestPivAuthority) -> None:
    virtual, numbers = piv_card(piv_world), Numbers()
    piv_tap(virtual, piv_world, numbers=numbers)
    digest = hashlib.sha256(numbers.given[0]).hexdigest()
    rest = [one for one in virtual.commands if one[1] == 0xC0]
    assert [one.hex() for one in virtual.commands if one not in rest] == [
        "00a4040009a0000003080000100000",
        "00cb3fff055c035fc10100",
        f"0087119e267c2482008120{digest}00",
    ]
    assert len(virtual.commands) - len(rest) == 3  # recognising cost nothing
    assert len(numbers.given) == 1


def test_a_long_challenge_goes_in_two_parts(piv_world: TestPivAuthority) -> None:
    virtual, numbers = piv_card(piv_world, kind="rsa2048"), Numbers()
    piv_tap(virtual, piv_world, numbers=numbers)
    first, second = (one for one in virtual.commands if one[1] == 0x87)
    assert first[:5].hex() == "1087079eff"
    assert second[:5].hex() == "0087079e0b"
    block = (first[5:] + second[5:-1])[10:]
    assert first[5:15].hex() == "7c820106820081820100"
    info = "003031300d060960864801650304020105000420"
    digest = hashlib.sha256(numbers.given[0]).hexdigest()
    assert block.hex() == "0001" + "ff" * 202 + info + digest


def test_no_pin_is_ever_sent(piv_world: TestPivAuthority) -> None:
    for kind in KINDS:
        virtual = piv_card(piv_world, kind=kind)
        piv_tap(virtual, piv_world)
        assert {one[1] for one in virtual.commands} <= {0xA4, 0xCB, 0x87, 0xC0}


def test_every_tap_has_a_number_of_its_own(piv_world: TestPivAuthority) -> None:
    virtual, numbers = piv_card(piv_world), Numbers()
    for _ in range(3):
        piv_tap(virtual, piv_world, numbers=numbers)
    assert len({one for one in virtual.commands if one[1] == 0x87}) == 3


def test_a_short_random_source_is_no_challenge(piv_world: TestPivAuthority) -> None:
    short = SchemeContext(TODAY, lambda count: bytes(count - 1), named)
    with pytest.raises(ValueError, match="31 bytes"):
        Piv(roots(piv_world)).authenticate(Wire(piv_card(piv_world)), short)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_packed_certificates(piv_world: TestPivAuthority, kind: str, packed: bool) -> None:
    virtual = piv_card(piv_world, kind=kind, packed=packed)
    assert piv_tap(virtual, piv_world).card == name_of(virtual)


def test_a_card_known_by_its_providers_name_alone(piv_world: TestPivAuthority) -> None:
    class Older:
        """Answers A000000308 and no longer name."""

        interface = Interface.CONTACT

        def __init__(self) -> None:
            self.inner = piv_card(piv_world)

        def process(self, command: bytes) -> bytes:
            if command[1] == 0xA4 and command[4] != 5:
                return b"\x6a\x82"
            return self.inner.process(command)

    older = Older()
    assert piv_tap(older, piv_world).card == name_of(older.inner)


def test_a_card_without_the_application(piv_world: TestPivAuthority) -> None:
    class Other:
        interface = Interface.CONTACT

        def process(self, command: bytes) -> bytes:
            return b"\x6a\x82"

    scheme = Piv(roots(piv_world))
    assert not scheme.recognises(Wire(Other()))
    with pytest.raises(CardNotSupported, match="no PIV application"):
        scheme.authenticate(Wire(Other()), context())


@pytest.mark.parametrize("sw", ["6A82", "6A88"])
def test_a_card_without_a_certificate(piv_world: TestPivAuthority, sw: str) -> None:
    with pytest.raises(CardNotSupported, match="9E"):
        piv_tap(_answering(piv_world, 0xCB, bytes.fromhex(sw)), piv_world)


def test_an_unknown_issuer_is_no_forger(piv_world: TestPivAuthority) -> None:
    virtual = _issued_by(piv_world, FOREIGN, "foreign")
    with pytest.raises(CardNotSupported, match="does not know"):
        piv_tap(virtual, piv_world)
    assert not [one for one in virtual.commands if one[1] == 0x87]


def test_no_roots_no_cards(piv_world: TestPivAuthority) -> None:
    virtual = piv_card(piv_world)
    with pytest.raises(CardNotSupported, match="switched off"):
        identify(Wire(virtual), [Piv(None), Uid()], context())
    trusted = roots(piv_world)
    with pytest.raises(CardNotSupported, match="switched off"):
        piv_tap(virtual, piv_world, trusted=trusted, today=trusted.expires + timedelta(1))


def _refused(virtual: Any, world: TestPivAuthority, failure: Failure, **options: Any) -> None:
    """The tap fails for that reason, and the failure names the card that it claims to be."""
    inner = getattr(virtual, "inner", virtual)
    with pytest.raises(AuthenticationFailed) as raised:
        piv_tap(virtual, world, **options)
    assert raised.value.failure is failure, raised.value
    assert (raised.value.card, raised.value.scheme) == (name_of(inner), "piv")


@pytest.mark.parametrize("kind", KINDS)
def test_a_copied_certificate(piv_world: TestPivAuthority, kind: str) -> None:
    forger = piv_world.keys[f"forger_{kind}"]
    virtual = piv_card(piv_world, kind=kind, signer=forger)
    _refused(virtual, piv_world, Failure.DYNAMIC_SIGNATURE)


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_to_another_challenge(piv_world: TestPivAuthority, kind: str) -> None:
    stale = bytes(32) if kind == "p256" else b"\x00\x01" + bytes(254)
    virtual = piv_card(piv_world, kind=kind, stale_number=stale)
    _refused(virtual, piv_world, Failure.DYNAMIC_SIGNATURE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_of_another_key(piv_world: TestPivAuthority, kind: str) -> None:
    """The certificate says one algorithm, the key in the card is of the other."""
    other = KINDS[1 - KINDS.index(kind)]
    virtual = piv_card(piv_world, kind=kind, signer=piv_world.keys[other])
    _refused(virtual, piv_world, Failure.NO_SIGNATURE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("signature", [b"", b"\x00" * 64, b"\x30\x06\x02\x01\x01\x02\x01\x01"])
def test_signatures_of_the_wrong_shape(
    piv_world: TestPivAuthority, kind: str, signature: bytes
) -> None:
    body = b"\x82" + bytes((len(signature),)) + signature
    answer = b"\x7c" + bytes((len(body),)) + body + b"\x90\x00"
    virtual = _answering(piv_world, 0x87, answer, kind=kind)
    _refused(virtual, piv_world, Failure.DYNAMIC_SIGNATURE)


@pytest.mark.parametrize("sw", ["6982", "6985", "6A80", "6A81", "6A86", "6A88", "6D00"])
def test_a_card_that_does_not_sign(piv_world: TestPivAuthority, sw: str) -> None:
    virtual = _answering(piv_world, 0x87, bytes.fromhex(sw))
    _refused(virtual, piv_world, Failure.NO_SIGNATURE)


@pytest.mark.parametrize("ins", [0xCB, 0x87])
@pytest.mark.parametrize("sw", ["6F00", "6581", "6300"])
def test_a_card_that_fails(piv_world: TestPivAuthority, ins: int, sw: str) -> None:
    with pytest.raises(ProtocolViolation, match=sw):
        piv_tap(_answering(piv_world, ins, bytes.fromhex(sw)), piv_world)


@pytest.mark.parametrize(
    "answer", ["9000", "7C009000", "7C0281009000", "820101009000", "7C05829000"]
)
def test_an_answer_without_a_signature(piv_world: TestPivAuthority, answer: str) -> None:
    with pytest.raises(CardUnreadable):
        piv_tap(_answering(piv_world, 0x87, bytes.fromhex(answer)), piv_world)


def test_an_expired_card_is_named_and_challenged(piv_world: TestPivAuthority) -> None:
    virtual = piv_card(piv_world, ends=TODAY)
    assert piv_tap(virtual, piv_world).expires == TODAY
    answer = piv_tap(virtual, piv_world, today=TODAY + timedelta(1))
    assert answer.card == name_of(virtual)
    assert answer.expires == TODAY
    forged = piv_card(piv_world, ends=TODAY, signer=piv_world.keys["forger_p256"])
    _refused(forged, piv_world, Failure.DYNAMIC_SIGNATURE, today=TODAY + timedelta(1))


def test_a_card_of_tomorrow(piv_world: TestPivAuthority) -> None:
    virtual = piv_card(piv_world, content=content(begins=TODAY))
    assert piv_tap(virtual, piv_world).card == name_of(virtual)
    early = TODAY - timedelta(1)
    _refused(virtual, piv_world, Failure.CERTIFICATE_DATES, today=early)


@pytest.mark.parametrize(
    "changes",
    [
        {"usages": ()},
        {"usages": ("key_encipherment",)},
        {"purposes": ()},
        {"purposes": (ExtendedKeyUsageOID.CLIENT_AUTH,)},
        {"purposes": (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)},
        {"authority": True},
    ],
)
def test_certificates_for_something_else(
    piv_world: TestPivAuthority, changes: dict[str, Any]
) -> None:
    virtual = piv_card(piv_world, content=content(**changes))
    _refused(virtual, piv_world, Failure.CERTIFICATE_USAGE)


def test_demands_that_nobody_here_understands(piv_world: TestPivAuthority) -> None:
    virtual = piv_card(piv_world, content=content(critical=True))
    _refused(virtual, piv_world, Failure.CERTIFICATE_EXTENSION)
    virtual, trusted = _below(piv_world, authority(0, serial=9, critical=True))
    _refused(virtual, piv_world, Failure.CERTIFICATE_EXTENSION, trusted=trusted)


def test_a_certificate_in_the_issuers_name(piv_world: TestPivAuthority) -> None:
    virtual = _issued_by(piv_world, ISSUING, "forger_rsa2048")
    _refused(virtual, piv_world, Failure.CERTIFICATE_SIGNATURE)
    virtual = _issued_by(piv_world, ROOT, "forger_p256")
    _refused(virtual, piv_world, Failure.CERTIFICATE_SIGNATURE)


def test_a_hash_that_is_too_short(piv_world: TestPivAuthority) -> None:
    virtual = piv_card(piv_world, content=content(hash_algorithm=SHA224()))
    _refused(virtual, piv_world, Failure.CERTIFICATE_SIGNATURE)


def test_withdrawn_certificates(piv_world: TestPivAuthority) -> None:
    issuing, root = key_hash(piv_world.issuing), key_hash(piv_world.root)
    virtual = piv_card(piv_world)
    for entry in ((issuing, 1001), (root, 2)):
        trusted = roots(piv_world, revoked=(entry,))
        _refused(virtual, piv_world, Failure.CERTIFICATE_REVOKED, trusted=trusted)
    trusted = roots(piv_world, revoked=((root, 1001), (issuing, 2)))
    assert piv_tap(virtual, piv_world, trusted=trusted).card == name_of(virtual)


@pytest.mark.parametrize(
    ("middle", "failure"),
    [
        (authority(0, serial=9, ends=TODAY - timedelta(1)), Failure.CERTIFICATE_DATES),
        (authority(0, serial=9, begins=TODAY + timedelta(1)), Failure.CERTIFICATE_DATES),
        (authority(None, serial=9, authority=False), Failure.CERTIFICATE_USAGE),
        (authority(0, serial=9, usages=("crl_sign",)), Failure.CERTIFICATE_USAGE),
        (authority(0, serial=9, usages=()), Failure.CERTIFICATE_USAGE),
        (
            authority(0, serial=9, purposes=(ExtendedKeyUsageOID.SERVER_AUTH,)),
            Failure.CERTIFICATE_USAGE,
        ),
    ],
)
def test_authorities_that_may_not(
    piv_world: TestPivAuthority, middle: Any, failure: Failure
) -> None:
    virtual, trusted = _below(piv_world, middle)
    _refused(virtual, piv_world, failure, trusted=trusted)


def test_an_authority_for_cards_alone(piv_world: TestPivAuthority) -> None:
    virtual, trusted = _below(piv_world, authority(0, serial=9, purposes=(CARD_AUTHENTICATION,)))
    assert piv_tap(virtual, piv_world, trusted=trusted).card == name_of(virtual)


def test_a_card_cannot_appoint_cards(piv_world: TestPivAuthority) -> None:
    """A genuine card's key signs another certificate; its own stands among the intermediates."""
    genuine = piv_card(piv_world, kind="rsa2048")
    virtual = _issued_by(piv_world, SUBJECT, "rsa2048")
    trusted = _trusting(piv_world, piv_world.issuing, genuine.certificate)
    _refused(virtual, piv_world, Failure.CERTIFICATE_USAGE, trusted=trusted)


def test_long_paths(piv_world: TestPivAuthority) -> None:
    def path(authorities: int, length: int | None) -> tuple[VirtualPivCard, PivRoots]:
        keys = piv_world.keys
        names = [ROOT, *(f"TEST level {at}" for at in range(1, authorities))]
        signers = [keys["root"], *[keys["issuing"]] * (authorities - 1)]
        middle = [
            certify(below, keys["issuing"], above, signer, authority(length, serial=50))
            for above, below, signer in zip(names, names[1:], signers, strict=False)
        ]
        card = certify(SUBJECT, keys["p256"], names[-1], signers[-1], content())
        return piv_card(piv_world, certificate=card), _trusting(piv_world, *middle)

    virtual, trusted = path(AUTHORITIES_MAX, None)
    assert piv_tap(virtual, piv_world, trusted=trusted).card == name_of(virtual)
    virtual, trusted = path(AUTHORITIES_MAX + 1, None)
    _refused(virtual, piv_world, Failure.CERTIFICATE_USAGE, trusted=trusted)
    virtual, trusted = path(3, 0)  # the upper one may appoint none
    _refused(virtual, piv_world, Failure.CERTIFICATE_USAGE, trusted=trusted)


def test_authorities_that_vouch_for_each_other(piv_world: TestPivAuthority) -> None:
    keys = piv_world.keys
    left = certify("TEST left", keys["issuing"], "TEST right", keys["root"], authority())
    right = certify("TEST right", keys["root"], "TEST left", keys["issuing"], authority())
    card = certify(SUBJECT, keys["p256"], "TEST left", keys["issuing"], content())
    virtual = piv_card(piv_world, certificate=card)
    trusted = _trusting(piv_world, left, right)
    _refused(virtual, piv_world, Failure.CERTIFICATE_USAGE, trusted=trusted)


def test_an_authority_that_changes_its_key(piv_world: TestPivAuthority) -> None:
    """Two certificates of one name stand in the bundle; either may be the card's issuer."""
    newer = certify(
        ISSUING,
        piv_world.keys["forger_rsa2048"],
        ROOT,
        piv_world.keys["root"],
        authority(0, serial=3),
    )
    trusted = _trusting(piv_world, newer, piv_world.issuing)
    for virtual in (piv_card(piv_world), _issued_by(piv_world, ISSUING, "forger_rsa2048")):
        assert piv_tap(virtual, piv_world, trusted=trusted).card == name_of(virtual)


def test_an_intermediate_alone_is_no_root(piv_world: TestPivAuthority) -> None:
    trusted = _trusting(piv_world, piv_world.issuing)
    rootless = PivRoots((), trusted.intermediates, frozenset(), trusted.expires, test=True)
    with pytest.raises(CardNotSupported):
        piv_tap(piv_card(piv_world), piv_world, trusted=rootless)


def test_a_weak_authority(piv_world: TestPivAuthority) -> None:
    weak = rsa.generate_private_key(65_537, 1024)
    middle = certify("TEST weak", weak, ROOT, piv_world.keys["root"], authority(0, serial=9))
    card = certify(SUBJECT, piv_world.keys["p256"], "TEST weak", weak, content())
    virtual = piv_card(piv_world, certificate=card)
    trusted = _trusting(piv_world, middle)
    _refused(virtual, piv_world, Failure.KEY_TOO_SHORT, trusted=trusted)


def test_keys_of_other_kinds(piv_world: TestPivAuthority) -> None:
    others = ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65_537, 1024)
    for key in others:
        issuing = piv_world.keys["issuing"]
        virtual = piv_card(
            piv_world, certificate=certify(SUBJECT, key, ISSUING, issuing, content())
        )
        with pytest.raises(CardNotSupported, match="P-256"):
            piv_tap(virtual, piv_world)


def test_a_new_certificate_is_the_same_card_and_a_new_key_is_not(
    piv_world: TestPivAuthority,
) -> None:
    first, renewed = piv_card(piv_world, serial=1), piv_card(piv_world, serial=2)
    other = piv_card(piv_world, serial=1, key=ec.generate_private_key(ec.SECP256R1()))
    names = [piv_tap(one, piv_world).card for one in (first, renewed, other)]
    assert names[0] == names[1] != names[2]


def test_an_endless_answer(piv_world: TestPivAuthority) -> None:
    with pytest.raises(ProtocolViolation):
        piv_tap(piv_card(piv_world, manners=Manners(endless=True)), piv_world)


def test_a_failure_shows_no_certificate(piv_world: TestPivAuthority) -> None:
    virtual = _issued_by(piv_world, ISSUING, "forger_rsa2048")
    with pytest.raises(AuthenticationFailed) as raised:
        Piv(roots(piv_world)).authenticate(Wire(virtual), context())
    trace, frames = raised.value.__traceback__, []
    while trace is not None:
        frames.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert frames[1:] == ["authenticate"]
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert "TEST" not in str(raised.value)


def test_the_strength_says_what_is_not_proved() -> None:
    assert "not its holder" in Piv(None).strength
    assert Piv(None).name == "piv"


def _answering(world: TestPivAuthority, ins: int, answer: bytes, **changes: Any) -> Any:
    """A genuine card that gives another answer to one instruction."""

    class Answering:
        interface = Interface.CONTACTLESS
        inner = piv_card(world, **changes)

        def process(self, command: bytes) -> bytes:
            if command[1] == ins and command[0] == 0:
                return answer
            return self.inner.process(command)

    return Answering()


def _issued_by(world: TestPivAuthority, issuer: str, signer: str) -> VirtualPivCard:
    certificate = certify(SUBJECT, world.keys["p256"], issuer, world.keys[signer], content())
    return piv_card(world, certificate=certificate)


def _trusting(world: TestPivAuthority, *intermediates: x509.Certificate) -> PivRoots:
    return PivRoots((world.root,), intermediates, frozenset(), date(2049, 1, 1), test=True)


def _below(world: TestPivAuthority, middle: Any) -> tuple[VirtualPivCard, PivRoots]:
    """A card of another authority under the root, whose certificate says what is given."""
    keys = world.keys
    appointed = certify("TEST middle", keys["issuing"], ROOT, keys["root"], middle)
    return _issued_by(world, "TEST middle", "issuing"), _trusting(world, appointed)
