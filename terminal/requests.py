"""What may be asked of a terminal, checked at its edge before anything is done."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from terminal.errors import RequestInvalid

NONCE_CHARACTERS_MAX: Final = 64
QUANTITY_MAX: Final = 100
COMPANIONS_MAX: Final = 20
EVIDENCE_ITEMS_MAX: Final = 16
EVIDENCE_CHARACTERS_MAX: Final = 200
WAIT_MS_MAX: Final = 300_000
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_REASON: Final = re.compile(r"[a-z0-9_]{0,32}\Z")
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{0,64}\Z")


def check_nonce(nonce: str, field: str = "nonce") -> str:
    """A nonce: 1 to 64 characters, no control characters; a ULID as a rule.

    Raises:
        RequestInvalid: absent (``nonce_required``) or malformed.
    """
    if not nonce:
        raise RequestInvalid(
            "is required; make one ULID per tap and send it again on a retry",
            field=field,
            word="nonce_required",
        )
    if len(nonce) > NONCE_CHARACTERS_MAX or _CONTROL.search(nonce) or not nonce.isprintable():
        raise RequestInvalid(
            f"1 to {NONCE_CHARACTERS_MAX} characters, no control characters", field=field
        )
    return nonce


def check_number(value: object, field: str, low: int, high: int) -> int:
    """A whole number within bounds; ``true`` is none.

    Raises:
        RequestInvalid: anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise RequestInvalid(f"a whole number from {low} to {high}", field=field)
    return value


def check_name(value: str, field: str) -> str:
    """An identifier such as an offer or a supervisor, at most 64 characters.

    Raises:
        RequestInvalid: of another form.
    """
    if not _NAME.match(value):
        raise RequestInvalid("at most 64 letters, digits, - _ and .", field=field)
    return value


def check_reason(value: str) -> str:
    """A reason is a code, since it stands in the ledger for ever: no free text.

    Raises:
        RequestInvalid: of another form.
    """
    if not _REASON.match(value):
        raise RequestInvalid("a code of at most 32 of a-z, 0-9 and _", field="reason")
    return value


def check_evidence(evidence: Mapping[str, str] | None) -> Mapping[str, str]:
    """What the clerk noted, by the names that the offer asks for.

    Raises:
        RequestInvalid: too much, or not texts.
    """
    if evidence is None:
        return {}
    if len(evidence) > EVIDENCE_ITEMS_MAX:
        raise RequestInvalid(f"at most {EVIDENCE_ITEMS_MAX} items", field="evidence")
    for name, text in evidence.items():
        if not isinstance(text, str) or len(text) > EVIDENCE_CHARACTERS_MAX or not name:
            raise RequestInvalid(
                f"texts of at most {EVIDENCE_CHARACTERS_MAX} characters", field=f"evidence.{name}"
            )
        check_name(name, f"evidence.{name}"[:64])
    return dict(evidence)
