"""Staff and supervisor cards: PIV card authentication with key 9E (SP 800-73 revision 5).

The card signs a fresh number with the one key that asks for no PIN, and shows a certificate for
it that leads to a root of this terminal: the mechanism PKI-CAK of FIPS 201-3, 6.2.3.2. Works over
the air and in the slot alike.

The card's identifier is the SHA-256 of its SubjectPublicKeyInfo. The GUID and FASC-N of the CHUID
object are not used: nothing ties that object to the key that signed, and cards of one's own
making carry none. A card that gets a new key is a new card; a new certificate for the same key
changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from readers import tlv
from readers.apdu import CommandApdu, StatusWord, sw_name
from readers.cards.errors import AuthenticationFailed, Failure
from readers.cards.scheme import AuthenticatedCard, CardAssurance, SchemeContext
from readers.chaining import CommandChaining, ResponseChaining
from readers.connection import CardConnection
from readers.errors import CardNotSupported, CardUnreadable, ProtocolViolation, ReaderError

if TYPE_CHECKING:
    from readers.cards.piv_certificate import CardCertificate
    from readers.cards.piv_roots import PivRoots

NAME: Final = "piv"
METHOD: Final = "pki_cak"
RID: Final = bytes.fromhex("A000000308")
#: The application's name without its version (part 1, 2.2), by which every PIV card answers.
AID: Final = RID + bytes.fromhex("00001000")
#: X.509 Certificate for Card Authentication (part 1, table 3).
CERTIFICATE_OBJECT: Final = bytes.fromhex("5FC101")
KEY: Final = 0x9E
NUMBER_BYTES: Final = 32
_ABSENT: Final = frozenset({StatusWord.FILE_NOT_FOUND, StatusWord.REFERENCE_NOT_FOUND})
#: Answers of a card that has no such key, or not of this algorithm, or will not use it.
_DOES_NOT_SIGN: Final = frozenset(
    {
        StatusWord.SECURITY_NOT_SATISFIED,
        StatusWord.CONDITIONS_NOT_SATISFIED,
        StatusWord.WRONG_DATA,
        StatusWord.FUNCTION_NOT_SUPPORTED,
        StatusWord.INCORRECT_P1_P2,
        StatusWord.REFERENCE_NOT_FOUND,
        StatusWord.INS_NOT_SUPPORTED,
    }
)


class Piv:
    """Scheme ``piv``; off without roots."""

    def __init__(self, roots: PivRoots | None) -> None:
        """Takes verified roots.

        Args:
            roots: the certificates of a verified bundle, or ``None``: then every card is
                refused with CardNotSupported.
        """
        self._roots = roots

    @property
    def name(self) -> str:
        """Name in entries."""
        return NAME

    @property
    def strength(self) -> str:
        """See CardScheme.strength."""
        return (
            "P-256 or RSA-2048 signature of the card over a fresh number, certified up to a root "
            "of this terminal; proves the card, not its holder, since no PIN is asked; "
            "a stolen terminal reveals no key that could clone a card"
        )

    @property
    def stolen_terminal(self) -> str:
        """See CardScheme.stolen_terminal."""
        return (
            "public certificates only, no key that could clone a card; the key of the card hash, "
            "which every terminal holds, names no card that its finder has not seen"
        )

    @property
    def vectors(self) -> tuple[str, ...]:
        """See CardScheme.vectors."""
        return (
            "OpenSC, yubico-piv-tool and yubikit judge the virtual card",
            "certificates and signatures made by openssl",
        )

    def recognises(self, connection: CardConnection) -> bool:
        """Whether the card has a PIV application; sends one or two SELECT."""
        return _select(connection)

    def authenticate(self, connection: CardConnection, context: SchemeContext) -> AuthenticatedCard:
        """Reads the certificate, verifies its path, and challenges the card.

        Returns:
            The card, authenticated by ``pki_cak``. ``expires`` may lie in the past: an expired
            card is judged on its own last day, so that it can be named, and it is the caller
            who declines it.

        Raises:
            AuthenticationFailed: a certificate or the signature is wrong; names the card by its
                hash as soon as it has one.
            CardUnreadable: the card's data cannot be parsed.
            CardNotSupported: no PIV application, no certificate for key 9E, an unknown
                authority, a key of another kind, or the scheme is off.
            CardRemoved, CardMute, ReaderFault: as the connection raises them.
        """
        try:
            return self._authenticate(connection, context)
        except ReaderError as error:
            # The frames below hold the certificate, which may name its holder.
            error.__cause__ = error.__context__ = None
            failure = error.with_traceback(None)
        raise failure

    def _authenticate(
        self, connection: CardConnection, context: SchemeContext
    ) -> AuthenticatedCard:
        # Parsing certificates costs a program's start what only cards should pay.
        from readers.cards import piv_certificate, piv_path

        roots = self._roots
        if roots is None or context.today > roots.expires:
            raise CardNotSupported(
                "PIV cards are switched off: this terminal has no valid bundle of roots; "
                "nothing was recorded. Pull one (redcard sync pull)"
            )
        if not _select(connection):
            raise CardNotSupported("the card has no PIV application; nothing was recorded")
        shown = piv_certificate.read(piv_certificate.unwrap(_certificate(connection)))
        card = context.card_hash(NAME, shown.identifier)
        try:
            # An expired card is judged on its own last day: it is expired, not forged.
            piv_path.check(shown, roots, min(context.today, shown.ends))
            _challenge(connection, shown, context)
        except AuthenticationFailed as failed:
            failed.card, failed.scheme = card, NAME
            raise
        return AuthenticatedCard(card, NAME, CardAssurance.AUTHENTICATED, METHOD, shown.ends)


def _select(connection: CardConnection) -> bool:
    """SELECT (part 2, 3.1.1), by the name that all cards know, then by the provider's alone."""
    return any(
        _send(connection, CommandApdu(0x00, 0xA4, 0x04, 0x00, name, le=256))[1]
        == StatusWord.SUCCESS
        for name in (AID, RID)
    )


def _certificate(connection: CardConnection) -> bytes:
    """GET DATA (part 2, 3.1.2) for the certificate of key 9E."""
    wanted = tlv.encode(0x5C, CERTIFICATE_OBJECT)
    answer, sw = _send(connection, CommandApdu(0x00, 0xCB, 0x3F, 0xFF, wanted, le=256))
    if sw in _ABSENT:
        raise CardNotSupported(
            "the card has no certificate for card authentication; nothing was recorded. "
            "Ask its issuer for one (key 9E)"
        )
    if sw != StatusWord.SUCCESS:
        raise ProtocolViolation(f"GET DATA: {sw_name(sw)}")
    return answer


def _challenge(connection: CardConnection, shown: CardCertificate, context: SchemeContext) -> None:
    """GENERAL AUTHENTICATE (part 2, 3.2.4) as internal authentication."""
    number = context.unpredictable(NUMBER_BYTES)
    if len(number) != NUMBER_BYTES:
        raise ValueError(f"the random source gave {len(number)} bytes instead of {NUMBER_BYTES}")
    template = tlv.encode(0x82, b"") + tlv.encode(0x81, shown.key.challenge(number))
    data = tlv.encode(0x7C, template)
    command = CommandApdu(0x00, 0x87, shown.key.algorithm, KEY, data, le=256)
    answer, sw = _send(connection, command)
    if sw in _DOES_NOT_SIGN:
        raise AuthenticationFailed(
            Failure.NO_SIGNATURE,
            f"the card does not sign with the key of its certificate ({sw_name(sw)})",
        )
    if sw != StatusWord.SUCCESS:
        raise ProtocolViolation(f"GENERAL AUTHENTICATE: {sw_name(sw)}")
    signature = tlv.find(answer, 0x7C, 0x82)
    if signature is None:
        raise CardUnreadable("the card's answer holds no signature")
    shown.key.check(signature, number)


def _send(connection: CardConnection, command: CommandApdu) -> tuple[bytes, int]:
    """Sends a command, in parts where it is long, and collects the whole answer.

    PIV cards chain (part 2, 2.4.1); extended length is theirs to offer and is not relied on.
    """
    return CommandChaining(ResponseChaining(connection)).transmit(command.to_bytes())
