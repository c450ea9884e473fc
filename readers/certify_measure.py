"""What is measured with one card on the reader: serial number, sizes, answers in parts, taps.

Nothing here writes to a card or asks it for more than any terminal does. Identifiers are compared
as digests under a key that is thrown away; no report holds one.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from readers.apdu import CommandApdu, StatusWord
from readers.cards.detect import identify
from readers.cards.scheme import CardScheme, SchemeContext
from readers.certify_report import Result, Step, Verdict
from readers.chaining import ResponseChaining
from readers.connection import CardConnection, Interface, ResettableConnection
from readers.errors import CardError, CardNotSupported, CardRemoved, ReaderError

SHORT_SIZES: Final = (1, 16, 32, 64, 128, 200, 255)
EXTENDED_SIZES: Final = (256, 512, 1_024, 2_048, 4_096)
UID_READS: Final = 5
#: Of a thousand taps, so many may fail: a card that lies badly fails for good, a reader at random.
FAILED_PER_MILLE_MAX: Final = 2
_GET_UID: Final = CommandApdu(0xFF, 0xCA, 0x00, 0x00, le=256).to_bytes()
#: EMV book 1, 11.3: the directories of payment applications; every card may be asked for them.
_DIRECTORIES: Final = {
    Interface.CONTACT: b"1PAY.SYS.DDF01",
    Interface.CONTACTLESS: b"2PAY.SYS.DDF01",
}
_RANDOM_UID: Final = 0x08

Progress = Callable[[int, int], None]


@dataclass
class Measured:
    """What has been gathered from one or more layings of one card.

    Attributes:
        uids: digests of the serial numbers seen.
        random_uid: the card makes up its number anew at every tap.
        uid_reads: how often one was read.
        exchanges_us: time of each exchange during the taps.
        taps_us: time of each tap.
        outcomes: what the taps ended in.
        unread: taps at which the card did not answer as a card should.
        answer_bytes_longest: longest answer, status word included.
    """

    uids: set[bytes] = field(default_factory=set)
    random_uid: bool = False
    uid_reads: int = 0
    exchanges_us: list[int] = field(default_factory=list)
    taps_us: list[int] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    unread: int = 0
    answer_bytes_longest: int = 0
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(16), repr=False)

    def uid_result(self) -> Result:
        """Whether the serial number was the same at every look."""
        figures = {"reads": self.uid_reads, "different": len(self.uids)}
        if not self.uid_reads:
            return Result(Step.UID, Verdict.NOT_APPLICABLE, "no_uid")
        if self.random_uid:
            return Result(Step.UID, Verdict.NOTED, "random_uid", figures)
        verdict = Verdict.PASSED if len(self.uids) == 1 else Verdict.FAILED
        return Result(
            Step.UID, verdict, "" if verdict is Verdict.PASSED else "uid_changed", figures
        )

    def note_uid(self, connection: CardConnection) -> None:
        """Reads the serial number once, where the reader has one to give."""
        if connection.interface is not Interface.CONTACTLESS:
            return
        uid, sw = connection.transmit(_GET_UID)
        if sw != StatusWord.SUCCESS or not uid:
            return
        self.uid_reads += 1
        self.random_uid = self.random_uid or (len(uid) == 4 and uid[0] == _RANDOM_UID)
        self.uids.add(hashlib.blake2b(uid, key=self.secret, digest_size=16).digest())


def apdu_sizes(connection: ResettableConnection, *, extended: bool) -> Result:
    """Which commands the reader carries to the card, by their length.

    SELECT with a name that no application has: whatever status word comes, it came from the card.

    Args:
        connection: the card.
        extended: the reader is said to carry extended APDUs; those are noted, not demanded, for
            a card may refuse them by silence.
    """
    short = _largest(connection, SHORT_SIZES)
    figures: dict[str, int | str] = {"short_bytes": short}
    if short < SHORT_SIZES[-1]:
        return Result(Step.APDU_SIZES, Verdict.FAILED, "short_not_carried", figures)
    if not extended:
        return Result(Step.APDU_SIZES, Verdict.PASSED, "short_only", figures)
    figures["extended_bytes"] = _largest(connection, EXTENDED_SIZES)
    if not figures["extended_bytes"]:
        return Result(Step.APDU_SIZES, Verdict.NOTED, "extended_not_carried", figures)
    return Result(Step.APDU_SIZES, Verdict.PASSED, "", figures)


def _largest(connection: ResettableConnection, sizes: Sequence[int]) -> int:
    """The largest of the sizes up to which all were answered."""
    largest = 0
    for size in sizes:
        # T=0 carries no length of the answer beside data (ISO/IEC 7816-3, 12.2)
        longest = 256 if size < 256 else 65_536
        le = None if connection.interface is Interface.CONTACT else longest
        command = CommandApdu(0x00, 0xA4, 0x04, 0x00, bytes(size), le).to_bytes()
        try:
            connection.transmit(command)
        except CardRemoved:
            raise
        except ReaderError:
            connection.reset()
            return largest
        largest = size
    return largest


def chaining(connection: CardConnection) -> Result:
    """Whether answers in parts come together (ISO/IEC 7816-4, 5.3.4)."""
    counted = _Counted(connection)
    select = CommandApdu(0x00, 0xA4, 0x04, 0x00, _DIRECTORIES[connection.interface], 256)
    try:
        _, sw = ResponseChaining(counted).transmit(select.to_bytes())
    except CardRemoved:
        raise
    except CardError as error:
        figures = {"fault": type(error).__name__}
        return Result(Step.CHAINING, Verdict.FAILED, "chain_broken", figures)
    figures_seen: dict[str, int | str] = {"exchanges": counted.exchanges, "in_parts": counted.parts}
    figures_seen["status"] = f"{sw:04X}"
    if not counted.parts:
        return Result(Step.CHAINING, Verdict.NOTED, "nothing_to_chain", figures_seen)
    return Result(Step.CHAINING, Verdict.PASSED, "", figures_seen)


class _Counted:
    """Counts exchanges, those that said there is more, and how long each took."""

    def __init__(self, connection: CardConnection, measured: Measured | None = None) -> None:
        self._connection = connection
        self._measured = measured
        self.exchanges = 0
        self.parts = 0

    @property
    def interface(self) -> Interface:
        return self._connection.interface

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        begun_ns = time.perf_counter_ns()
        answer, sw = self._connection.transmit(command)
        self.exchanges += 1
        self.parts += sw >> 8 in (0x61, 0x6C)
        if self._measured is not None:
            self._measured.exchanges_us.append((time.perf_counter_ns() - begun_ns) // 1_000)
            longest = max(self._measured.answer_bytes_longest, len(answer) + 2)
            self._measured.answer_bytes_longest = longest
        return answer, sw


def tap(
    connection: ResettableConnection,
    schemes: Sequence[CardScheme],
    context: SchemeContext,
    measured: Measured,
) -> str:
    """One tap: the card is powered anew, read and proved. Returns what it ended in.

    Raises:
        CardRemoved: it was taken off.
        ReaderFault: the reader failed, which no card excuses.
    """
    begun_ns = time.perf_counter_ns()
    counted = _Counted(connection, measured)
    try:
        connection.reset()
        outcome = method_of(counted, schemes, context)
    except CardRemoved:
        raise
    except CardError as error:
        outcome = type(error).__name__
        measured.unread += 1
    measured.taps_us.append((time.perf_counter_ns() - begun_ns) // 1_000)
    measured.outcomes[outcome] += 1
    return outcome


def method_of(
    connection: CardConnection, schemes: Sequence[CardScheme], context: SchemeContext
) -> str:
    """How a card proves itself: the scheme's method, ``not_supported``, or what failed.

    Raises:
        ReaderError: the card or the reader did not answer as it should.
    """
    from readers.cards.errors import AuthenticationFailed

    try:
        return identify(connection, schemes, context).method
    except AuthenticationFailed as error:
        return error.failure.value
    except CardNotSupported:
        if not schemes:
            select = CommandApdu(0x00, 0xA4, 0x04, 0x00, _DIRECTORIES[connection.interface], 256)
            ResponseChaining(connection).transmit(select.to_bytes())
        return "not_supported"


def taps_result(measured: Measured, wanted: int) -> Result:
    """Whether all taps were made and ended alike."""
    made = sum(measured.outcomes.values())
    usual, count = next(iter(measured.outcomes.most_common(1)), ("", 0))
    figures: dict[str, int | str] = {
        "taps": made,
        "outcome": usual,
        "otherwise": made - count,
        "unread": measured.unread,
    }
    if made < wanted:
        return Result(Step.TAPS, Verdict.FAILED, "taps_broken_off", figures | {"wanted": wanted})
    verdict, remark = Verdict.PASSED, ""
    if max(made - count, measured.unread) * 1_000 > made * FAILED_PER_MILLE_MAX:
        verdict, remark = Verdict.FAILED, "taps_differ"
    return Result(Step.TAPS, verdict, remark, figures)
