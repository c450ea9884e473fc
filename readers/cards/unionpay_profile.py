"""What UnionPay's public documents leave open, as data with its source.

Nothing in this module has been checked on issued cards: whoever has some runs
``redcard readers certify`` and corrects the profile, not the code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from readers.cards.emv.dol import AMOUNT_TAGS

RID: Final = bytes.fromhex("A000000333")

UNPREDICTABLE_NUMBER: Final = 0x9F37
AMOUNT: Final = 0x9F02
CURRENCY: Final = 0x5F2A
QUALIFIERS: Final = 0x9F66
AUTHENTICATION_RELATED_DATA: Final = 0x9F69


@dataclass(frozen=True, slots=True)
class OpenPoint:
    """One point that the public documents leave open.

    Attributes:
        question: what is open.
        answer: what this profile assumes.
        source: where the assumption comes from.
        verified: whether issued cards have confirmed it.
    """

    question: str
    answer: str
    source: str
    verified: bool = False


@dataclass(frozen=True, slots=True)
class UnionPayProfile:
    """Assumptions about UnionPay cards; the scheme's code reads them from here.

    Attributes:
        terminal_data: values for PDOL and DDOL by tag. Amounts, the date and the unpredictable
            number are not among them: they are zero, today's and fresh.
        fdda_inputs: what the terminal's part of an fDDA signature is made of, by the version
            in the first byte of tag 9F69; a version that is not listed fails.
        default_ddol: used when a contact card has no tag 9F49.
        key_bits_min: shortest issuer or card key that authenticates.
        open_points: what all this rests on.
    """

    terminal_data: Mapping[int, bytes]
    fdda_inputs: Mapping[int, tuple[int, ...]]
    default_ddol: bytes
    key_bits_min: int
    open_points: tuple[OpenPoint, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        """Refuses a profile that could put an amount on the wire or drop the challenge.

        Raises:
            ValueError: it could.
        """
        if AMOUNT_TAGS & set(self.terminal_data):
            raise ValueError("a profile sets no amounts: they are always zero")
        if any(UNPREDICTABLE_NUMBER not in inputs for inputs in self.fdda_inputs.values()):
            raise ValueError("an fDDA signature without the unpredictable number proves nothing")


_KERNEL_7: Final = "EMVCo Book C-7 2.11 as described by payprobe.io/learn/kernel7"

UNIONPAY: Final = UnionPayProfile(
    terminal_data=MappingProxyType(
        {
            # qPBOC (bit 6), terminal offline only (bit 4): no cryptogram for an issuer host.
            QUALIFIERS: bytes.fromhex("28000000"),
            CURRENCY: bytes.fromhex("0156"),
            0x9F1A: bytes.fromhex("0156"),  # China
            0x9F33: bytes.fromhex("0008C0"),  # no cardholder verification; SDA, DDA
            0x9F35: b"\x23",  # attended, offline only
            0x9C: b"\x00",  # goods and services
        }
    ),
    fdda_inputs=MappingProxyType(
        {0x01: (UNPREDICTABLE_NUMBER, AMOUNT, CURRENCY, AUTHENTICATION_RELATED_DATA)}
    ),
    default_ddol=bytes.fromhex("9F3704"),
    key_bits_min=768,
    open_points=(
        OpenPoint(
            "What does a card hash for fDDA besides its own dynamic data?",
            "9F37, 9F02, 5F2A, then 9F69 as the card returned it, when 9F69 begins with 01; "
            "any other version fails",
            _KERNEL_7 + "; the same order in public readers of Kernel 3 cards (9F69 of 7 bytes)",
        ),
        OpenPoint(
            "When does a card return tag 9F4B without GENERATE AC?",
            "when it supports fDDA and decides offline, in the answer to GET PROCESSING OPTIONS "
            "or in the last record; a card that returns none is identified and sent to the "
            "contact slot",
            _KERNEL_7 + "; JR/T 0025.12",
        ),
        OpenPoint(
            "Which terminal transaction qualifiers make a card sign at amount zero?",
            "9F66 = 28000000: qPBOC, offline only",
            "JR/T 0025.12, table of tag 9F66, as quoted by public transcripts",
        ),
        OpenPoint(
            "Does partial selection by RID find the same application as the directory?",
            "yes where a card has one UnionPay account; the contact directory (PSE) is asked "
            "only when the partial name is refused",
            "EMV Book 1, 12.3.3; ISO/IEC 7816-4, 11.2.2",
        ),
        OpenPoint(
            "How short may keys of issued cards be?",
            "768 bits; shorter ones were factored by individuals",
            "published transcripts show 1024 and 1152 bits",
        ),
    ),
)
