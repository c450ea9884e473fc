"""Exceptions of readers and cards.

ReaderError
├── ServiceMissing          pcscd or another system service does not run; retry may help
│   └── ServiceRefuses      it runs, and polkit or its owner refuses this user
├── ReaderMissing           no reader matches
├── ReaderBusy              another program holds the reader
├── EscapeOff               the driver lets no commands through to the reader itself
├── ReaderFault             the reader answers, but wrongly
└── CardError               about one card; a tap becomes the code in brackets
    ├── CardRemoved         the card left the field during an exchange (C01)
    ├── CardMute            the card did not answer in time (C01)
    ├── CardUnreadable      answers that no parser accepts (C01)
    ├── SeveralCards        more than one card in the field (C07)
    ├── CardNotGenuine      authentication failed (C02)
    ├── CardNotSupported    no scheme knows this card (C03)
    └── ProtocolViolation   malformed TLV, APDU or endless chaining (C01)
"""

from __future__ import annotations


class ReaderError(Exception):
    """Root of all errors raised by ``readers``."""


class ServiceMissing(ReaderError):
    """A system service that the driver needs does not run."""


class ServiceRefuses(ServiceMissing):
    """The service runs and refuses this user."""


class ReaderMissing(ReaderError):
    """No reader matches."""


class ReaderBusy(ReaderError):
    """Another program holds the reader."""


class EscapeOff(ReaderError):
    """The driver lets no commands through to the reader itself; its option is off."""


class ReaderFault(ReaderError):
    """The reader answers, but wrongly."""


class CardError(ReaderError):
    """Something about one card; the reader stays usable."""


class CardRemoved(CardError):
    """The card left the field during an exchange; its outcome is unknown."""


class CardMute(CardError):
    """The card did not answer in time."""


class CardUnreadable(CardError):
    """The card's answers make no sense."""


class SeveralCards(CardError):
    """More than one card is in the field."""


class CardNotGenuine(CardError):
    """The card failed authentication."""


class CardNotSupported(CardError):
    """No card scheme knows this card."""


class ProtocolViolation(CardUnreadable):
    """Malformed TLV or APDU, or chaining without end."""
