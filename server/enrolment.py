"""Enrols terminals by one-time codes, and revokes their ledgers.

A code is shown once, kept only as a hash, works once and until its time. The terminal makes its own
key and proves that it holds it. If the answer is lost, the same key may ask again with the same
code and gets the same ledger; another key may not.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.log.merkle import Frontier
from ledger.log.note import Ed25519Verifier, vkey
from ledger.rules.offer import Profile
from server.errors import EnrolmentRefused, ImportRefused, TerminalUnknown
from server.home import ServerHome
from server.leases import tell
from server.schema import activations, ledgers, terminals, venues
from sync.admission import LedgerState
from sync.enrolment import Enrolled, EnrolRequest, proved

CODE_LIFE_MS: Final = 7 * 24 * 3600 * 1000
#: Letters of a code: no I, L, O, U, which people confuse or misread.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_GROUPS: Final = 4
_GROUP_LETTERS: Final = 5
_TERMINAL: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z")

#: What each reason of a revocation makes of the ledger.
REVOCATIONS: Final = {
    "retired": LedgerState.REVOKED_RETIRED,
    "lost": LedgerState.REVOKED_LOST,
    "compromised": LedgerState.REVOKED_COMPROMISED,
}


@dataclass(frozen=True, slots=True)
class Activation:
    """A code to hand to whoever sets the terminal up; it is not kept in the clear anywhere.

    Attributes:
        terminal: which terminal it is for.
        code: the code, in groups.
        expires_ms: until when it works.
    """

    terminal: str
    code: str
    expires_ms: int


def new_code() -> str:
    """A code of 100 random bits in groups of five letters."""
    groups = (
        "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_LETTERS)) for _ in range(_GROUPS)
    )
    return "-".join(groups)


def code_hash(code: str) -> bytes:
    """What is kept of a code: case, hyphens and confusable letters do not matter."""
    plain = code.upper().replace("-", "").translate(str.maketrans("OIL", "011"))
    return sha256(b"redcard activation\n" + plain.encode("ascii", "replace")).digest()


async def create_activation(
    connection: AsyncConnection,
    *,
    terminal: str,
    name: str,
    places: Sequence[str],
    profile: str,
    now_ms: int,
    life_ms: int = CODE_LIFE_MS,
) -> Activation:
    """Makes a code for a terminal, which is recorded if it is new.

    Args:
        connection: inside a transaction that may write.
        terminal: short name, ``[a-z0-9-]``.
        name: what people call it.
        places: venues it may serve, the first is where it stands.
        profile: ``counter`` or ``kiosk``.
        now_ms: server time.
        life_ms: how long the code works.

    Raises:
        ImportRefused: a name, a venue or the profile is not sound; nothing was recorded.
    """
    if not _TERMINAL.match(terminal):
        raise ImportRefused(f"terminal {terminal!r}: 1 to 64 of a-z, 0-9 and hyphen")
    if profile not in set(Profile):
        raise ImportRefused(f"profile {profile!r}: {' or '.join(Profile)}")
    known = set(await connection.scalars(select(venues.c.venue).where(venues.c.venue.in_(places))))
    stray = [place for place in places if place not in known]
    if stray or not places:
        raise ImportRefused(f"no venue is called {stray[0]}" if stray else "name a venue")
    values = {"name": name or terminal, "venues": " ".join(places), "profile": profile}
    changed = await connection.execute(
        update(terminals).where(terminals.c.terminal == terminal).values(values)
    )
    if changed.rowcount == 0:
        row = {"terminal": terminal, "recipient": "", "version": "", "created_ms": now_ms}
        await connection.execute(insert(terminals), row | values)
    code = new_code()
    await connection.execute(
        insert(activations),
        {
            "code_hash": code_hash(code),
            "terminal": terminal,
            "created_ms": now_ms,
            "expires_ms": now_ms + life_ms,
            "used_ms": None,
            "ledger": "",
        },
    )
    return Activation(terminal, code, now_ms + life_ms)


async def enrol(
    connection: AsyncConnection, home: ServerHome, root: bytes, request: EnrolRequest, now_ms: int
) -> Enrolled:
    """Gives a ledger to the terminal that holds a code and a key.

    Args:
        connection: inside a transaction that may write.
        home: keys and domain.
        root: the TUF root with which the terminal begins.
        request: as sent.
        now_ms: server time.

    Raises:
        EnrolmentRefused: nothing was enrolled; the code stays as it was.
    """
    check_proof(request)
    digest = code_hash(request.code)
    held = (
        await connection.execute(select(activations).where(activations.c.code_hash == digest))
    ).one_or_none()
    if held is None:
        raise EnrolmentRefused("the activation code is not known; check every letter")
    if held.expires_ms <= now_ms:
        raise EnrolmentRefused("the activation code has expired; ask the operator for another")
    terminal = (
        await connection.execute(select(terminals).where(terminals.c.terminal == held.terminal))
    ).one()
    if held.used_ms is None:
        ledger = await _new_ledger(connection, home, digest, terminal, request, now_ms)
    else:
        ledger = await _same_ledger(connection, home, held.ledger, request)
    await connection.execute(
        update(terminals)
        .where(terminals.c.terminal == terminal.terminal)
        .values(recipient=request.recipient, version=request.version)
    )
    return _answer(home, root, request, ledger, terminal, now_ms)


async def terminal_of(connection: AsyncConnection, terminal: str) -> Any:
    """The row of a terminal.

    Raises:
        TerminalUnknown: no such terminal.
    """
    query = select(terminals).where(terminals.c.terminal == terminal)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise TerminalUnknown(f"no terminal is called {terminal}")
    return row


def check_proof(request: EnrolRequest) -> None:
    """Lets only a machine go on that proves to hold the key it names.

    Raises:
        EnrolmentRefused: it does not.
    """
    if not proved(request, _verify):
        raise EnrolmentRefused("the terminal did not prove that it holds its key; try again")


async def _new_ledger(
    connection: AsyncConnection,
    home: ServerHome,
    digest: bytes,
    terminal: Any,
    request: EnrolRequest,
    now_ms: int,
) -> str:
    ledger = base64.b32encode(secrets.token_bytes(16)).decode("ascii").lower().rstrip("=")
    claimed = await connection.execute(
        update(activations)
        .where(activations.c.code_hash == digest, activations.c.used_ms.is_(None))
        .values(used_ms=now_ms, ledger=ledger)
    )
    if claimed.rowcount != 1:
        raise EnrolmentRefused("the activation code was used a moment ago; ask for another")
    origin = f"{home.configuration.domain}/redcard/{ledger}"
    key = vkey(origin, request.public_key)
    row = empty_ledger(ledger, terminal.terminal, origin, key, now_ms)
    await connection.execute(insert(ledgers), row)
    return ledger


def empty_ledger(
    ledger: str, terminal: str, origin: str, key: str, created_ms: int
) -> dict[str, Any]:
    """The row of a ledger that holds nothing yet; ``key`` is its verifier key."""
    empty = Frontier()
    return {
        "ledger": ledger,
        "terminal": terminal,
        "origin": origin,
        "vkeys": key,
        "state": LedgerState.OK.value,
        "size": 0,
        "root": empty.root(),
        "frontier": empty.to_bytes(),
        "revoked_reason": "",
        "created_ms": created_ms,
        "revision": 0,
        "feed_number": 0,
    }


async def _same_ledger(
    connection: AsyncConnection, home: ServerHome, ledger: str, request: EnrolRequest
) -> str:
    """The ledger that this very key got by this code, if its answer was lost."""
    origin = f"{home.configuration.domain}/redcard/{ledger}"
    row = (
        await connection.execute(
            select(ledgers.c.vkeys, ledgers.c.size).where(ledgers.c.ledger == ledger)
        )
    ).one()
    if row.vkeys != vkey(origin, request.public_key) or row.size > 0:
        raise EnrolmentRefused("the activation code was used already; ask the operator for another")
    return ledger


def _answer(
    home: ServerHome,
    root: bytes,
    request: EnrolRequest,
    ledger: str,
    terminal: Any,
    now_ms: int,
) -> Enrolled:
    domain = home.configuration.domain
    return Enrolled(
        ledger=ledger,
        origin=f"{domain}/redcard/{ledger}",
        domain=domain,
        vkeys=home.vkeys(),
        recipient=home.recipient,
        tuf_root=root,
        card_key=home.card_key_for(request.recipient),
        card_key_id=home.configuration.card_key_id,
        time_ms=now_ms,
        settings={
            "terminal": terminal.terminal,
            "name": terminal.name,
            "venue": terminal.venues.split()[0],
            "venues": terminal.venues,
            "profile": terminal.profile,
        },
    )


def _verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    return Ed25519Verifier("enrolment", public_key).verify(message, signature)


async def revoke(
    connection: AsyncConnection, *, ledger: str, reason: str, now_ms: int
) -> LedgerState:
    """Revokes a ledger, by its id or by the name of its terminal.

    Entries up to the size receipted now stay as they are judged. Later ones of a retired or lost
    ledger are still taken and flagged; those of a compromised one are kept as evidence only. The
    terminal is told to wipe roster and card key; its ledger it keeps, and may still send.

    Raises:
        TerminalUnknown: no such ledger or terminal, or none that is not revoked already.
        ImportRefused: the reason is not one of ``REVOCATIONS``.
    """
    if reason not in REVOCATIONS:
        raise ImportRefused(f"reason {reason!r}: {', '.join(REVOCATIONS)}")
    state = REVOCATIONS[reason]
    named = (ledgers.c.ledger == ledger) | (ledgers.c.terminal == ledger)
    statement = select(ledgers.c.log).where(named, ledgers.c.revoked_ms.is_(None))
    logs = list(await connection.scalars(statement))
    changed = await connection.execute(
        update(ledgers)
        .where(ledgers.c.log.in_(logs), ledgers.c.revoked_ms.is_(None))
        .values(
            state=state.value,
            revoked_size=ledgers.c.size,
            revoked_ms=now_ms,
            revoked_reason=reason,
        )
    )
    if changed.rowcount == 0:
        raise TerminalUnknown(f"no ledger or terminal {ledger} that could be revoked")
    for log in logs:
        await tell(connection, log, {"kind": "wipe"}, now_ms)
    return state
