"""The decision on a void: pure, in the order of ``ledger.codes.VOID_PRECEDENCE``.

A void is a new entry that names the original; nothing is erased. The clerk of the same terminal
may void within 15 minutes of the same shift and the same run of the machine; later a supervisor or
the back office may, never after settlement.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

from ledger.codes import CODES, Code, Outcome
from ledger.rules.offer import MINUTE_MS, Decision, Prior, Profile

VOID_WINDOW_MS: Final = 15 * MINUTE_MS


@unique
class Found(StrEnum):
    """Where the original of a void is."""

    HERE = "here"
    ELSEWHERE = "elsewhere"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """The entry that a void names, as far as the terminal can see it.

    Attributes:
        found: in this terminal's ledger, at another terminal by the server's word, or nowhere;
            a decline or a void as original is ``nowhere``.
        seq: position in this ledger.
        terminal: where it stands, for the message.
        age_ms: time since it by the monotonic clock.
        same_boot: the machine has not been started anew since.
        same_shift: the shift that wrote it is still open.
        voided_ms: when it was voided, or ``None``.
        settled: paid out in a settlement statement.
    """

    found: Found = Found.NOWHERE
    seq: int = -1
    offer: str = ""
    terminal: str = ""
    age_ms: int = 0
    same_boot: bool = True
    same_shift: bool = True
    voided_ms: int | None = None
    settled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidRequest:
    """A clerk's wish to take a redemption back.

    Attributes:
        nonce: of the void itself.
        original: nonce of the entry to void.
        reason: code of the reason, kept in the entry.
        supervisor: who lifts the time limit, or empty.
    """

    nonce: str
    original: str
    reason: str = ""
    supervisor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidState:
    """What the terminal knows when a void is asked for.

    Attributes:
        connected: the last authenticated exchange with the server lies within 30 s.
        supervisor_ok: whether ``supervisor`` is a proven supervisor.
        prior: what the ledger holds under the void's own nonce.
        prior_original: the nonce that it named.
    """

    profile: Profile = Profile.COUNTER
    connected: bool = False
    ledger_ok: bool = True
    operator_ok: bool = True
    supervisor_ok: bool = False
    prior: Prior | None = None
    prior_original: str = ""


def decide_void(request: VoidRequest, original: Original, state: VoidState) -> Decision:
    """Decides on a void.

    Args:
        request: who wants what voided.
        original: the entry it names.
        state: the terminal.

    Returns:
        A00 connected, A01 not, both to be written as ``void``; a decline is to be written as
        ``decline``; T06 and T07 write nothing. A replay answers as the first time.
    """
    if state.prior is not None:
        return _known(request, state)
    if not state.ledger_ok:
        return _answer(Code.T06, original)
    return _answer(_code(request, original, state), original)


def _code(request: VoidRequest, original: Original, state: VoidState) -> Code:
    unproven = bool(request.supervisor) and not state.supervisor_ok
    if state.profile is Profile.KIOSK or not state.operator_ok or unproven:
        return Code.T05
    if original.found is Found.NOWHERE:
        return Code.V04
    if original.found is Found.ELSEWHERE:
        return Code.V02
    if original.voided_ms is not None:
        return Code.V03
    if original.settled:
        return Code.V05
    in_time = original.age_ms < VOID_WINDOW_MS and original.same_boot and original.same_shift
    if not in_time and not request.supervisor:
        return Code.V01
    return Code.A00 if state.connected else Code.A01


def _known(request: VoidRequest, state: VoidState) -> Decision:
    prior = state.prior
    assert prior is not None  # the caller looked
    if state.prior_original != request.original:
        return Decision(outcome=Outcome.ERROR, code=Code.T07)
    return Decision(
        outcome=prior.outcome, code=prior.code, offer=prior.offer_id, replay=True, seq=prior.seq
    )


def _answer(code: Code, original: Original) -> Decision:
    details: dict[str, str | int] = {"terminal": original.terminal}
    if original.voided_ms is not None:
        details["time_ms"] = original.voided_ms
    return Decision(outcome=CODES[code].outcome, code=code, offer=original.offer, details=details)
