"""Enrolment: a one-time code and the terminal's own new key buy a ledger of its own.

In this order, so that an interruption at any step can be begun again: keys, request, card key and
trust root, ledger, and last the file that says that the home is enrolled.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from keys.errors import KeyStoreError, KeyUnknown
from keys.keystore import KeyKind, KeyStore
from ledger.errors import LogFault
from ledger.log.reading import LogReader
from ledger.log.store import LogStore
from sync.enrolment import Enrolled, decode_enrolled, encode_request, enrol_request
from sync.errors import Malformed, Refused
from sync.protocol import ENROL_PATH
from sync.transport import Request, Transport
from sync.trust import begin
from sync.uplink import check_answer
from terminal.clock import Clock
from terminal.errors import EnrolmentRefused, NotEnrolled
from terminal.home import Enrolment, Home, write_private
from terminal.machine import (
    LEDGER_KEY,
    TRANSPORT_KEY,
    boot_facts,
    ledger_signer,
    open_keys,
    software_version,
)
from terminal.wiping import CARD_KEY

#: Genesis and boot: what an interrupted enrolment may leave behind.
UNUSED_ENTRIES_MAX: Final = 2


def enrol(
    home: Home,
    code: str,
    transport: Transport,
    clock: Clock,
    *,
    keys: KeyStore | None = None,
) -> Enrolment:
    """Enrols a home, or finishes an enrolment that was interrupted.

    Args:
        home: the folder, with its configuration.
        code: one-time activation code from ``redcard server enrol``.
        transport: the way to the server.
        clock: the machine's clock, or the demo's.
        keys: a key store instead of the home's.

    Raises:
        EnrolmentRefused: the server said no, or the home is enrolled already.
        Unreachable: no answer; the same code may be tried again.
    """
    if _is_enrolled(home):
        raise EnrolmentRefused(
            f"{home.path} is enrolled already as {home.enrolment().ledger}; nothing was changed. "
            "A new ledger needs a new home"
        )
    _check_unused(home)
    store = keys if keys is not None else open_keys(home)
    for name, kind in ((LEDGER_KEY, KeyKind.ED25519), (TRANSPORT_KEY, KeyKind.X25519)):
        if name not in store.names():
            store.generate(name, kind)
    answer = _ask(home, code, transport, store)
    _keep_card_key(store, answer)
    write_private(home.root_path, answer.tuf_root, replace=True)
    enrolment = Enrolment(
        ledger=answer.ledger,
        domain=answer.domain,
        epoch=1,
        vkeys=answer.vkeys,
        recipient=answer.recipient,
        card_key_id=answer.card_key_id,
    )
    _make_ledger(home, enrolment, store, clock, answer.time_ms)
    home.write_enrolment(enrolment)
    return enrolment


def _check_unused(home: Home) -> None:
    """A ledger with anything in it is never replaced, whatever became of the other files."""
    if not home.ledger_path.exists():
        return
    try:
        with LogReader.open(home.ledger_path) as reader:
            unused = reader.size <= UNUSED_ENTRIES_MAX
    except LogFault as fault:
        raise EnrolmentRefused(f"{fault}; enrol in a new home, nothing was changed") from fault
    if not unused:
        raise EnrolmentRefused(
            f"{home.ledger_path} holds redemptions, but enrolment.json is missing; restore that "
            "file from a copy, or enrol in a new home. Nothing was changed"
        )


def _is_enrolled(home: Home) -> bool:
    try:
        home.enrolment()
    except NotEnrolled:
        return False
    return True


def _ask(home: Home, code: str, transport: Transport, store: KeyStore) -> Enrolled:
    try:
        request = enrol_request(
            code=code,
            public_key=store.public_key(LEDGER_KEY),
            recipient=store.recipient(TRANSPORT_KEY),
            name=home.config.name,
            version=software_version(),
            sign=lambda message: store.sign(LEDGER_KEY, message),
        )
        headers = {"Content-Type": "application/json"}
        response = transport.exchange(Request("POST", ENROL_PATH, headers, encode_request(request)))
        check_answer(response)
        answer = decode_enrolled(response.body)
        begin(answer.tuf_root)
    except Refused as refusal:
        raise EnrolmentRefused(
            f"the server refused the code: {refusal.problem.detail}. Nothing was enrolled; "
            "ask the federation for a new code"
        ) from refusal
    except Malformed as error:
        raise EnrolmentRefused(f"{error}. Nothing was enrolled") from error
    missing = {"witness", "judgements", "feed"} - set(answer.vkeys)
    if missing:
        raise EnrolmentRefused(f"the server's answer lacks its keys {', '.join(sorted(missing))}")
    return answer


def _keep_card_key(store: KeyStore, answer: Enrolled) -> None:
    """The federation's card key goes from the server's envelope straight into the key store."""
    try:
        secret = store.decrypt(TRANSPORT_KEY, answer.card_key)
        with suppress(KeyUnknown):
            store.erase(CARD_KEY)
        store.import_secret(CARD_KEY, KeyKind.HMAC, secret)
    except KeyStoreError as error:
        raise EnrolmentRefused(
            f"the card key in the server's answer cannot be used ({error}); nothing was enrolled"
        ) from error


def _make_ledger(
    home: Home, enrolment: Enrolment, store: KeyStore, clock: Clock, server_ms: int
) -> None:
    """The ledger with its genesis entry; one left by an interrupted enrolment is made anew."""
    now_ms = max(clock.wall_ms(), server_ms)
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.reserve"):
        (home.path / name).unlink(missing_ok=True)
    LogStore.create(
        home.ledger_path,
        origin=enrolment.origin,
        signer=ledger_signer(store, enrolment.origin),
        genesis={"epoch": enrolment.epoch},
        boot=boot_facts(clock, now_ms, enrolment.epoch),
    ).close()
