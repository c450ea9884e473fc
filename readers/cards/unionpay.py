"""The red card: UnionPay debit cards by EMV/PBOC offline data authentication.

Contact cards answer a challenge (DDA), contactless cards sign one in passing (fDDA). Both prove
the chip by public keys alone. No amount but zero is ever named and no cryptogram is ever asked
for, so that no tap can touch the member's money. ``docs/cards.md`` has the flows and the limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from readers.cards import exchange as ex
from readers.cards.emv import chain, dates, dol, records
from readers.cards.emv.ca_keys import CaBundleKeys
from readers.cards.emv.certificates import IccKey
from readers.cards.emv.pan import Pan, agreed
from readers.cards.emv.sm_certificates import SmIccKey
from readers.cards.errors import AuthenticationFailed, Failure
from readers.cards.scheme import AuthenticatedCard, CardAssurance, SchemeContext
from readers.cards.unionpay_profile import (
    AMOUNT,
    AUTHENTICATION_RELATED_DATA,
    RID,
    UNIONPAY,
    UNPREDICTABLE_NUMBER,
    UnionPayProfile,
)
from readers.connection import CardConnection, Interface
from readers.errors import CardNotSupported, CardUnreadable, ReaderError

NAME: Final = "unionpay"
#: Advice: the same card proves itself in the contact slot.
USE_CONTACT: Final = "use_contact"
_NUMBER_BYTES: Final = 4
_PAN: Final = 0x5A
_TRACK2: Final = 0x57
_EXPIRY: Final = 0x5F24
_SIGNED_DYNAMIC_DATA: Final = 0x9F4B
_DDOL: Final = 0x9F49


@dataclass(slots=True)
class _Reading:
    """One card as read, for as long as one attempt takes; ``clear`` empties it."""

    application: ex.Application
    options: records.Options
    terminal: Mapping[int, bytes]
    records: list[bytes] = field(repr=False)
    data: dict[int, bytes] = field(repr=False)

    def expires(self) -> date | None:
        """The application's last day, tag 5F24."""
        value = self.data.get(_EXPIRY)
        return None if value is None else dates.day(value)

    def clear(self) -> None:
        """Drops every byte that came from the card."""
        self.records.clear()
        self.data.clear()


class UnionPay:
    """Scheme ``unionpay``; off without CA keys."""

    def __init__(self, ca_keys: CaBundleKeys | None, profile: UnionPayProfile = UNIONPAY) -> None:
        """Takes verified keys.

        Args:
            ca_keys: the keys of a verified bundle, or ``None``: then every card is refused with
                CardNotSupported.
            profile: what public documents leave open.
        """
        self._ca_keys = ca_keys
        self._profile = profile

    @property
    def name(self) -> str:
        """Name in entries."""
        return NAME

    @property
    def strength(self) -> str:
        """See CardScheme.strength."""
        return (
            "RSA signature of the chip over a fresh number, certified by the bank and UnionPay; "
            "a stolen terminal reveals no key that could clone a card"
        )

    @property
    def stolen_terminal(self) -> str:
        """See CardScheme.stolen_terminal."""
        return (
            "public keys only, none that could clone a card; the key of the card hash, which every "
            "terminal holds, lets its finder try account numbers against a roster"
        )

    @property
    def vectors(self) -> tuple[str, ...]:
        """See CardScheme.vectors."""
        return (
            "tests/vectors/emv_chains.json: published SDA, DDA and CDA chains",
            "tests/vectors/sm2.json: GM/T 0003.5 and a published issuer certificate",
            "chains signed by openssl",
        )

    def recognises(self, connection: CardConnection) -> bool:
        """Whether the card offers a UnionPay application; sends SELECT of directories only."""
        exchange = ex.Exchange(connection)
        if exchange.interface is Interface.CONTACTLESS:
            return bool(ex.contactless_candidates(exchange, RID))
        return exchange.select(RID) is not None or bool(ex.contact_candidates(exchange, RID))

    def authenticate(self, connection: CardConnection, context: SchemeContext) -> AuthenticatedCard:
        """Reads and authenticates one card.

        Returns:
            The card, authenticated by ``dda`` or ``fdda``, or identified. ``expires`` may lie in
            the past: an expired card is read to the end, so that it can be named, and it is the
            caller who declines it.

        Raises:
            AuthenticationFailed: a certificate, hash or signature is wrong; names the card by
                its hash as soon as it has one.
            CardUnreadable: the card's data cannot be parsed.
            CardNotSupported: no UnionPay application, an unknown CA key, or the scheme is off.
            CardRemoved, CardMute, ReaderFault: as the connection raises them.
        """
        try:
            return self._authenticate(ex.Exchange(connection), context)
        except ReaderError as error:
            # The frames below hold the card's data; whoever prints a traceback with its
            # variables must not find an account number there.
            error.__cause__ = error.__context__ = None
            failure = error.with_traceback(None)
        raise failure

    def _authenticate(self, exchange: ex.Exchange, context: SchemeContext) -> AuthenticatedCard:
        keys = self._ca_keys
        if keys is None or context.today > keys.expires:
            raise CardNotSupported(
                "UnionPay cards are switched off: this terminal has no valid bundle of CA keys; "
                "nothing was recorded. Pull one (redcard sync pull)"
            )
        reading = self._read(exchange, context)
        pan = None
        card = ""
        try:
            pan = _account_number(reading.data)
            card = context.card_hash(NAME, pan.take())
            return self._judge(exchange, reading, pan, keys, context.today, card)
        except AuthenticationFailed as failed:
            failed.card, failed.scheme = card, NAME
            raise
        finally:
            reading.clear()
            if pan is not None:
                pan.wipe()

    def _read(self, exchange: ex.Exchange, context: SchemeContext) -> _Reading:
        """Selection, processing options and the records of the file locator, each once."""
        application = _select(exchange)
        number = context.unpredictable(_NUMBER_BYTES)
        if len(number) != _NUMBER_BYTES:
            raise ValueError(f"the random source gave {len(number)} bytes instead of 4")
        terminal = {
            **self._profile.terminal_data,
            UNPREDICTABLE_NUMBER: number,
            AMOUNT: bytes(6),
            0x9A: dates.day_bytes(context.today),
        }
        answer = exchange.options(dol.fill(application.pdol, terminal))
        options = records.parse_options(answer)
        reading = _Reading(application, options, terminal, [], dict(options.data))
        for address in options.records:
            record = exchange.record(address.sfi, address.number)
            if record is None:
                raise CardUnreadable("a record that the file locator names does not exist")
            records.merge(reading.data, records.parse_record(record))
            reading.records.append(record)
        return reading

    def _judge(
        self,
        exchange: ex.Exchange,
        reading: _Reading,
        pan: Pan,
        keys: CaBundleKeys,
        today: date,
        card: str,
    ) -> AuthenticatedCard:
        """Chooses what this card can prove and checks it."""
        expires = reading.expires()
        contactless = exchange.interface is Interface.CONTACTLESS
        if contactless and _SIGNED_DYNAMIC_DATA not in reading.data:
            return _identified(card, "chip", expires, USE_CONTACT)
        options = reading.options
        if not contactless and not (options.static or options.dynamic):
            return _identified(card, "cda" if options.combined else "chip", expires, "")
        claim = chain.Claim(
            reading.application.aid[: len(RID)],
            reading.data,
            records.static_data(options, reading.records, reading.data),
            pan,
            # An expired card's certificates are judged on its own last day: it is expired,
            # not forged.
            today if expires is None else min(today, expires),
            self._profile.key_bits_min,
        )
        if not contactless and not options.dynamic:
            chain.check_static(keys, claim)
            return _identified(card, "sda", expires, "")
        icc = chain.card_key(keys, claim)
        if contactless:
            self._check_passing_signature(reading, claim, icc)
        else:
            self._challenge(exchange, reading, icc)
        method = "fdda" if contactless else "dda"
        last_day = icc.expires if expires is None else min(expires, icc.expires)
        return AuthenticatedCard(card, NAME, CardAssurance.AUTHENTICATED, method, last_day)

    def _check_passing_signature(
        self, reading: _Reading, claim: chain.Claim, icc: IccKey | SmIccKey
    ) -> None:
        """FDDA: the signature came with the processing options or the last record."""
        if not dol.asks_for(reading.application.pdol, UNPREDICTABLE_NUMBER, _NUMBER_BYTES):
            raise AuthenticationFailed(
                Failure.NOT_FRESH, "the card signs without asking for an unpredictable number"
            )
        related = claim.need(AUTHENTICATION_RELATED_DATA)
        inputs = self._profile.fdda_inputs.get(related[0])
        if inputs is None:
            raise AuthenticationFailed(
                Failure.DYNAMIC_SIGNATURE_VERSION, f"fDDA version {related[0]:02X} is not accepted"
            )
        known = {**reading.terminal, AUTHENTICATION_RELATED_DATA: related}
        signed = b"".join(known[tag] for tag in inputs)
        chain.check_dynamic(icc, claim.need(_SIGNED_DYNAMIC_DATA), signed)

    def _challenge(self, exchange: ex.Exchange, reading: _Reading, icc: IccKey | SmIccKey) -> None:
        """DDA: INTERNAL AUTHENTICATE with what the DDOL asks for (EMV Book 2, 6.5)."""
        ddol = reading.data.get(_DDOL, self._profile.default_ddol)
        if not dol.asks_for(ddol, UNPREDICTABLE_NUMBER, _NUMBER_BYTES):
            raise AuthenticationFailed(
                Failure.NOT_FRESH, "the card signs without asking for an unpredictable number"
            )
        terminal_data = dol.fill(ddol, reading.terminal)
        signature = exchange.internal_authenticate(terminal_data)
        chain.check_dynamic(icc, signature, terminal_data)


def _select(exchange: ex.Exchange) -> ex.Application:
    """The card's best UnionPay application, with as few commands as the interface allows."""
    if exchange.interface is Interface.CONTACTLESS:
        candidates = ex.contactless_candidates(exchange, RID)
    else:
        # Partial selection (EMV Book 1, 12.3.3): the provider's name alone, one command.
        answer = exchange.select(RID)
        if answer is not None:
            return ex.read_application(answer, RID)
        candidates = ex.contact_candidates(exchange, RID)
    application = ex.select_application(exchange, candidates, RID)
    if application is None:
        raise CardNotSupported("the card has no UnionPay application that can be selected")
    return application


def _account_number(data: Mapping[int, bytes]) -> Pan:
    plain, track2 = data.get(_PAN), data.get(_TRACK2)
    pan = agreed(
        None if plain is None else Pan.from_padded(plain),
        None if track2 is None else Pan.from_track2(track2),
    )
    if pan is None:
        raise CardUnreadable("the card names no account number")
    return pan


def _identified(card: str, method: str, expires: date | None, advice: str) -> AuthenticatedCard:
    return AuthenticatedCard(card, NAME, CardAssurance.IDENTIFIED, method, expires, advice)
