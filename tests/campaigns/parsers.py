"""Every parser of bytes that come from outside, with good inputs and its declared errors."""

from __future__ import annotations

import json
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from ledger.errors import NotCanonical, NoteInvalid, OfferInvalid, ProofInvalid
from ledger.log import canonical, checkpoint, note, proof
from ledger.rules.catalogue import load_offers, load_venues
from redcard.scenario.document import read_scenarios
from redcard.scenario.errors import DocumentInvalid
from sync import enrolment, envelope, feed, metadata, protocol, trust
from sync.errors import EnvelopeInvalid, Malformed, RosterInvalid, TrustError
from sync.roster import Roster, RosterEntry
from sync.roster_delta import apply_delta, make_delta
from tests.campaigns.card_parsers import CARD_PARSERS
from tests.campaigns.parser import Parser, text
from tests.ledger.log import ledgers
from tests.readers.cards import bench
from tests.sync import signed_log, test_feed_and_enrolment, test_roster
from tests.sync.tuf_repository import Repository

ROOT = Path(__file__).parents[2]
TODAY = date(2014, 5, 30)
PAN = bench.PAN
_KINDS = ("root", "timestamp", "snapshot", "targets")


def _note() -> bytes:
    return note.sign_note("a text\nof two lines\n", [ledgers.SIGNER])


def _open_note(data: bytes) -> None:
    note.split_note(data)
    note.open_note(data, [note.Ed25519Verifier.of(ledgers.SIGNER)])


def _checkpoints() -> list[bytes]:
    made = checkpoint.Checkpoint(ledgers.ORIGIN, 123_456, bytes(32))
    signed = made.sign([ledgers.SIGNER])
    return [made.text().encode(), signed, checkpoint.cosign(signed, ledgers.SERVER, 1_777_000_000)]


def _checkpoint(data: bytes) -> None:
    try:
        checkpoint.parse(data.decode("utf-8", "surrogateescape"))
    except NoteInvalid:
        checkpoint.open_checkpoint(data, [note.Ed25519Verifier.of(ledgers.SIGNER)])


def _vkeys() -> list[bytes]:
    return [
        note.vkey(one.name, one.public_key, one.note_type).encode()
        for one in (ledgers.SIGNER, ledgers.SERVER)
    ]


def _proofs() -> list[bytes]:
    with ledgers.create() as store:
        store.append([ledgers.tap(number) for number in range(12)])
        receipt = proof.tap_receipt(ledgers.SIGNER, 3, bytes(32))
        return [proof.prove(store, 5), proof.prove(store, 0), receipt.encode()]


def _proof(data: bytes) -> None:
    try:
        proof.parse_proof(data)
    except ProofInvalid:
        proof.open_tap_receipt(data.decode("latin-1"), [note.Ed25519Verifier.of(ledgers.SIGNER)])


def _entries() -> list[bytes]:
    more = canonical.encode({**ledgers.tap(2), "tags": ["中", "a\n"], "ids": [1, 2, 3]})
    return [canonical.encode(ledgers.tap(1)), more]


@cache
def _log() -> signed_log.SignedLog:
    log = signed_log.SignedLog(signed_log.ledger_name(3), "fuzz")
    log.grow(5, per_commit=5)
    return log


def _batch() -> protocol.Batch:
    log = _log()
    return protocol.Batch(log.ledger, 0, tuple(log.stored), log.notes[5])


def _read_batch(data: bytes) -> None:
    protocol.decode_problem(data, status=400)
    protocol.decode_batch(data, ledger=_log().ledger)


def _envelopes() -> list[bytes]:
    batch = _batch()
    part = envelope.Part(
        batch.ledger, 0, len(batch.entries), batch.checkpoint, "a" * 16, b"sealed bytes"
    )
    receipts = envelope.ReceiptFile(batch.ledger, "ok", 5, (batch.checkpoint,))
    return [envelope.encode_parts([part, part]), envelope.encode_receipts(receipts)]


def _envelope(data: bytes) -> None:
    if envelope.is_receipt_file(data):
        envelope.decode_receipts(data)
    else:
        envelope.decode_parts(data)


def _pages() -> list[bytes]:
    lines: tuple[feed.Record, ...] = (
        {"number": 1, "kind": "lease", "units": 4},
        {"number": 2, "kind": "recall"},
    )
    judged = feed.judgement_record(feed.Judgement(3, 1, "accepted_flagged", ("oversold",)))
    pages = (
        feed.Page("feed", _log().origin, 0, 2, 2, 1_777_000_000_000, lines),
        feed.Page("judgements", _log().origin, 0, 1, 9, 1_777_000_000_000, (judged,)),
    )
    return [feed.encode_page(page).encode() for page in pages]


def _page(data: bytes) -> None:
    page = feed.decode_page(data.decode("utf-8", "surrogateescape"))
    for record in page.records if page.kind == "judgements" else ():
        feed.read_judgement(record)


@cache
def _place() -> TemporaryDirectory[str]:
    fast = Path("/dev/shm")
    return TemporaryDirectory(prefix="fuzz", dir=fast if fast.is_dir() else None)


def _cards() -> dict[str, RosterEntry]:
    return {
        test_roster.hashed(number): RosterEntry("active", f"{number + 1:016x}")
        for number in range(8)
    }


def _rosters() -> list[bytes]:
    path = Path(_place().name) / "good"
    test_roster.build(path, _cards())
    return [path.read_bytes()]


def _roster(data: bytes) -> None:
    path = Path(_place().name) / "damaged"
    path.write_bytes(data)
    with Roster.open(path) as roster:
        roster.lookup(test_roster.hashed(3))
        for index in range(min(len(roster), 20)):
            roster.entry(index)


def _deltas() -> list[bytes]:
    place = Path(_place().name)
    cards = _cards()
    built = test_roster.build(place / "older", cards)
    cards[test_roster.hashed(3)] = RosterEntry("blocked", f"{9:016x}")
    del cards[test_roster.hashed(5)]
    test_roster.build(place / "newer", cards, version=2, older=built)
    with Roster.open(place / "older") as older, Roster.open(place / "newer") as newer:
        made = make_delta(older, newer)
    assert made is not None
    return [made]


def _delta(data: bytes) -> None:
    place = Path(_place().name)
    (place / "delta").write_bytes(data)
    apply_delta(place / "older", place / "delta", place / "applied")


def _tuf() -> list[bytes]:
    repository = Repository()
    repository.put("offers/offers.json", b"[]", {"x": 1})
    repository.put("ca_keys.json", b"{}")
    repository.publish()
    return [data for name, data in repository.files.items() if name.startswith("metadata/")]


def _metadata(data: bytes) -> None:
    """What is read past the signatures, as the thief of a key would have it."""
    kinds = [kind for kind in _KINDS if b'"_type":"' + kind.encode() in data] or ["timestamp"]
    read = metadata.parse(data, kinds[0], bytes_max=1 << 20)
    if read.kind == "root":
        for name in _KINDS:
            trust._root_role(read, name)
    elif read.kind == "targets":
        trust._targets(read)
        for _name, role in trust._delegations(read):
            delegations = metadata.mapping(read.signed.get("delegations"), "delegations")
            metadata.role_keys(delegations.get("keys"), role)
    elif read.kind == "snapshot":
        trust._meta(read, "targets")
    else:
        trust._signed_ms(read)
        trust._meta(read, "snapshot")


def _offers() -> list[bytes]:
    rows = json.loads((ROOT / "redcard" / "demo_data" / "offers.json").read_text("utf-8"))
    return [
        json.dumps(rows[at : at + 3], ensure_ascii=False, indent=1).encode()
        for at in range(0, len(rows), 3)
    ]


def _load_offers(data: bytes) -> None:
    load_offers(data, lenient=True)
    load_offers(data)


def _scenarios() -> list[bytes]:
    names = ("quick_start", "reentry", "case_20_to_22_several_offers", "case_55_reservations")
    return [(ROOT / "tests" / "scenarios" / f"{name}.yaml").read_bytes() for name in names]


def _scenario(data: bytes) -> None:
    list(read_scenarios(data.decode("utf-8", "surrogateescape")))


def _enrolment(data: bytes) -> None:
    try:
        enrolment.decode_request(data)
    except Malformed:
        enrolment.decode_enrolled(data)


def _enrolments() -> list[bytes]:
    asked = enrolment.encode_request(test_feed_and_enrolment.request())
    return [asked, enrolment.encode_enrolled(test_feed_and_enrolment.ENROLLED)]


PARSERS: dict[str, Parser] = {
    **CARD_PARSERS,
    "canonical": Parser(canonical.decode, (NotCanonical,), _entries),
    "note": Parser(_open_note, (NoteInvalid,), lambda: [_note()]),
    "vkey": Parser(text(note.Ed25519Verifier.from_vkey), (NoteInvalid,), _vkeys),
    "checkpoint": Parser(_checkpoint, (NoteInvalid,), _checkpoints),
    "proof": Parser(_proof, (ProofInvalid, NoteInvalid), _proofs),
    "batch": Parser(_read_batch, (Malformed,), lambda: [protocol.encode_batch(_batch())]),
    "envelope": Parser(_envelope, (EnvelopeInvalid,), _envelopes),
    "feed": Parser(_page, (Malformed,), _pages),
    "enrolment": Parser(_enrolment, (Malformed,), _enrolments),
    "roster": Parser(_roster, (RosterInvalid,), _rosters),
    "roster-delta": Parser(_delta, (RosterInvalid,), _deltas),
    "tuf": Parser(_metadata, (TrustError,), _tuf),
    "tuf-root": Parser(trust.begin, (TrustError,), lambda: _tuf()[:1]),
    "offers": Parser(_load_offers, (OfferInvalid,), _offers),
    "venues": Parser(
        load_venues, (OfferInvalid,), lambda: [b'[{"id": "M01", "name": "x", "district": "d"}]']
    ),
    # a whole file of an author at a desk, not an answer of a card
    "scenario": Parser(_scenario, (DocumentInvalid,), _scenarios, limit_ms=500.0),
}
