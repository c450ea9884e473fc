"""The port that every card scheme implements, and what a scheme says of a card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum, unique
from typing import Protocol, TypeAlias

from readers.connection import CardConnection

#: Keyed hash of a card identifier: (scheme name, identifier bytes) -> 26 characters a-z2-7.
CardHash: TypeAlias = Callable[[str, bytes], str]
#: Source of unpredictable bytes: (count) -> bytes; a fresh value for every attempt.
Unpredictable: TypeAlias = Callable[[int], bytes]


@unique
class CardAssurance(StrEnum):
    """Authenticated by the chip's own key, or merely identified."""

    AUTHENTICATED = "authenticated"
    IDENTIFIED = "identified"


@dataclass(frozen=True, slots=True)
class AuthenticatedCard:
    """What leaves a scheme: never a PAN, a UID or track data.

    Attributes:
        card: the keyed card hash, 26 characters a-z2-7.
        scheme: name of the scheme, for example ``unionpay``.
        assurance: whether the chip proved itself.
        method: how, for example ``fdda`` or ``dda``; for diagnosis, not for decisions.
        expires: last day on which the chip says it is valid, or ``None``.
        advice: code of what would make it stronger, for example ``use_contact``, or empty.
    """

    card: str
    scheme: str
    assurance: CardAssurance
    method: str
    expires: date | None
    advice: str = ""


@dataclass(frozen=True, slots=True)
class SchemeContext:
    """What a scheme is handed for one attempt.

    Attributes:
        today: the terminal's date at the venue, for expiry checks.
        unpredictable: source of the random challenge.
        card_hash: turns an identifier into the card hash; the identifier goes no further.
    """

    today: date
    unpredictable: Unpredictable
    card_hash: CardHash


class CardScheme(Protocol):
    """One family of cards. Stateless between cards; keys are given at construction."""

    @property
    def name(self) -> str:
        """Short name as it stands in entries, ``[a-z0-9_]+``."""

    @property
    def strength(self) -> str:
        """What authentication proves and what a stolen terminal reveals, one sentence."""

    @property
    def stolen_terminal(self) -> str:
        """What this scheme leaves on a terminal for whoever takes it, one sentence."""

    @property
    def vectors(self) -> tuple[str, ...]:
        """What it was judged by that is not ours: published vectors, other programs."""

    def recognises(self, connection: CardConnection) -> bool:
        """Whether this scheme can read the card; may send SELECT commands."""

    def authenticate(self, connection: CardConnection, context: SchemeContext) -> AuthenticatedCard:
        """Reads and authenticates one card.

        Raises:
            CardNotGenuine: a certificate, hash or signature is wrong.
            CardUnreadable: the card's data cannot be parsed.
            CardRemoved: the card left before the end.
            CardNotSupported: the card has no usable application.
        """
