"""The signed list of terminal keys: by it anyone checks a receipt or an export offline.

A signed note of the server's key for this use. Its text is a header, the federation's domain, the
time in seconds, and a line for each ledger: its id, its key (base64 of type ‖ public key), its
state, and for a revoked one the number of entries that the server held then.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.errors import NoteInvalid
from ledger.log.note import Ed25519Verifier, Signer, Verifier, open_note, sign_note, vkey

HEADER: Final = "redcard-terminals/v1"
#: State of a ledger whose terminal is in service; every other one is the reason of its revocation.
IN_SERVICE: Final = "ok"
_NUMBER: Final = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z", re.ASCII)
_LEDGER: Final = re.compile(r"[a-z2-7]{26}\Z", re.ASCII)
_STATE: Final = re.compile(r"[a-z_]{1,32}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class ListedKey:
    """One key of one ledger.

    Attributes:
        ledger: the ledger's id, 26 characters a-z2-7.
        vkey: its verifier key.
        state: `IN_SERVICE`, or why it was revoked: retired, lost, compromised.
        size: entries that the server held when it was revoked, 0 for one in service.
    """

    ledger: str
    vkey: str
    state: str = IN_SERVICE
    size: int = 0


@dataclass(frozen=True, slots=True)
class KeyList:
    """All keys of a federation's ledgers at one time.

    Attributes:
        domain: the federation's domain; a ledger's origin is ``<domain>/redcard/<ledger id>``.
        time_s: when it was signed, seconds since the Unix epoch.
        keys: sorted by ledger id; a ledger whose key was replaced has several.
    """

    domain: str
    time_s: int
    keys: tuple[ListedKey, ...]

    def text(self) -> str:
        """The signed text."""
        lines = [HEADER, self.domain, str(self.time_s)]
        for key in self.keys:
            material = key.vkey.split("+", 2)[2]  # base64 has plus signs of its own
            size = f" {key.size}" if key.state != IN_SERVICE else ""
            lines.append(f"{key.ledger} {material} {key.state}{size}")
        return "".join(f"{line}\n" for line in lines)

    def sign(self, signer: Signer) -> bytes:
        """The list as a signed note."""
        return sign_note(self.text(), [signer])

    def of(self, origin: str) -> tuple[ListedKey, ...]:
        """The keys of one ledger; empty if it is not of this federation."""
        return tuple(key for key in self.keys if key.vkey.partition("+")[0] == origin)


def open_key_list(data: bytes, verifiers: Sequence[Verifier]) -> KeyList:
    """Opens a signed list.

    Args:
        data: the note.
        verifiers: trusted keys of the server, one of which must have signed it.

    Raises:
        NoteInvalid: not a list, or no trusted key has signed it.
    """
    opened = open_note(data, verifiers)
    lines = opened.text[:-1].split("\n")
    if len(lines) < 3 or lines[0] != HEADER or not _NUMBER.match(lines[2]):
        raise NoteInvalid(f"a list of terminal keys begins with the line {HEADER}")
    domain = lines[1]
    if not any(name.startswith(f"{domain}/") for name in opened.verified):
        raise NoteInvalid(f"the list is of {domain}, but the key of another domain signed it")
    found = KeyList(domain, int(lines[2]), tuple(_parse(line, domain) for line in lines[3:]))
    if found.text() != opened.text:
        raise NoteInvalid("a line of the list of terminal keys is malformed")
    return found


def _parse(line: str, domain: str) -> ListedKey:
    ledger, material, state, size = [*line.split(" "), "", "", "", ""][:4]
    if not _LEDGER.match(ledger) or not _STATE.match(state) or not _NUMBER.match(size or "0"):
        raise NoteInvalid("a line of the list of terminal keys is malformed")
    try:
        blob = base64.b64decode(material, validate=True)
    except (binascii.Error, ValueError):
        raise NoteInvalid("a key in the list of terminal keys is not base64") from None
    if not blob:
        raise NoteInvalid("a key in the list of terminal keys is empty")
    key = vkey(f"{domain}/redcard/{ledger}", blob[1:], blob[0])
    Ed25519Verifier.from_vkey(key)
    return ListedKey(ledger, key, state, int(size or "0"))
