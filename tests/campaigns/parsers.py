"""Every parser of bytes that come from outside, with good inputs and its declared errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from ledger.errors import NotCanonical, NoteInvalid, OfferInvalid, ProofInvalid
from ledger.log import canonical, checkpoint, note, proof
from ledger.rules.catalogue import load_offers, load_venues
from readers import identity, tlv
from readers.apdu import CommandApdu, split_response
from readers.cards.emv import ca_keys, certificates, dates, dol, records
from readers.cards.emv.pan import Pan
from readers.cards.errors import AuthenticationFailed, CaKeysRefused
from readers.cards.track2 import identify_track2
from readers.errors import CardError, ProtocolViolation
from readers.virtual.pn532_frames import FrameReader, encode
from redcard.scenario.document import read_scenarios
from redcard.scenario.errors import DocumentInvalid
from sync import enrolment, envelope, feed, metadata, protocol, trust
from sync.errors import EnvelopeInvalid, Malformed, RosterInvalid, TrustError
from sync.roster import Roster, RosterEntry
from sync.roster_delta import apply_delta, make_delta
from tests.campaigns.small_rsa import SmallRsa
from tests.ledger.log import ledgers
from tests.readers.cards import bench
from tests.sync import signed_log, test_feed_and_enrolment, test_roster
from tests.sync.tuf_repository import Repository

ROOT = Path(__file__).parents[2]
TODAY = date(2014, 5, 30)
PAN = bench.PAN
_KINDS = ("root", "timestamp", "snapshot", "targets")


@dataclass(frozen=True)
class Parser:
    """One reader of outside bytes.

    Attributes:
        read: takes an input; what it returns does not matter.
        declared: errors that it may raise.
        seeds: good inputs; each must be read without an error.
    """

    read: Callable[[bytes], object]
    declared: tuple[type[Exception], ...]
    seeds: Callable[[], Sequence[bytes]]


def text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    """A reader of text, fed with any bytes as a file or a keyboard would."""
    return lambda data: read(data.decode("utf-8", "surrogateescape"))


def _atrs() -> list[bytes]:
    return [
        bytes.fromhex("3B6500002063CB6800"),
        bytes.fromhex("3B8F8001804F0CA000000306030001000000006A"),
        bytes.fromhex("3B8A80010031C173C8400000900090"),
        bytes.fromhex("3F6500002063CB6800"),
    ]


def _fci() -> list[bytes]:
    application = tlv.encode(0x4F, bytes.fromhex("A000000333010101")) + tlv.encode(0x87, b"\x01")
    directory = tlv.encode(0xBF0C, tlv.encode(0x61, application))
    body = tlv.encode(0x84, b"2PAY.SYS.DDF01") + tlv.encode(0xA5, directory)
    return [tlv.encode(0x6F, body), tlv.encode(0x77, tlv.encode(0x9F4B, bytes(128)))]


def _walk(data: bytes) -> None:
    for one in tlv.parse(data):
        if one.constructed:
            one.children()
    tlv.find(data, 0x6F, 0xA5, 0xBF0C, 0x61, 0x87)


def _apdu(data: bytes) -> None:
    CommandApdu.parse(data).to_bytes()


def _emv_records(data: bytes) -> None:
    """Each reader of a card's data has its turn, whatever the one before it said."""
    readers: tuple[Callable[[bytes], object], ...] = (
        records.parse_options,
        records.parse_locator,
        records.parse_record,
        lambda value: records.merge({}, records.parse_record(value)),
        lambda value: dol.fill(value, {0x9F37: bytes(4), 0x9A: bytes(3)}),
        dates.month_end,
        dates.day,
        Pan.from_padded,
        Pan.from_track2,
        split_response,
    )
    for read in readers:
        try:
            read(data)
        except CardError:
            continue


def _emv_record_seeds() -> list[bytes]:
    inner = tlv.encode(0x5A, bytes.fromhex(PAN.ljust(20, "F"))) + tlv.encode(
        0x57, bytes.fromhex((PAN + "D19052201").ljust((len(PAN) + 10) // 2 * 2, "F"))
    )
    record = tlv.encode(0x70, inner + tlv.encode(0x5F24, bytes.fromhex("190531")))
    options = tlv.encode(
        0x77, tlv.encode(0x82, b"\x79\x00") + tlv.encode(0x94, bytes(range(8, 16)))
    )
    short = "8006790008010100 9F37049A03 1219 190531 08010200100101011801030110020201"
    return [record, options, *(bytes.fromhex(value) for value in short.split())]


def _certificate(data: bytes) -> None:
    """The damaged content goes under a real small key, so that all after the block is reached."""
    rsa, pan = _rsa(), Pan(PAN.encode())
    static, content, remainder = data[:40], data[40:82], data[82:]
    if content[:1] != b"\x04":
        block = rsa.sign(content, (remainder, b"\x03"))
        certificates.recover_issuer_key(rsa.public, block, remainder, b"\x03", pan=pan, today=TODAY)
        return
    block = rsa.sign(content, (remainder, b"\x03", static))
    issuer = certificates.IssuerKey(rsa.public, PAN[:6], date(2019, 5, 31), b"123")
    certificates.recover_icc_key(issuer, block, remainder, b"\x03", static, pan=pan, today=TODAY)


@cache
def _rsa() -> SmallRsa:
    return SmallRsa(7)


def _certificate_seeds() -> list[bytes]:
    issuer = bytes.fromhex("02" + PAN[:6] + "FF" + "1219" + "000001" + "01014001")
    icc = bytes.fromhex("04" + PAN.ljust(20, "F") + "1219" + "000001" + "01014001")
    modulus = b"\xc1" + bytes(62) + b"\x01"
    return [bytes(40) + issuer + modulus, bytes(40) + icc + modulus]


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


def _bundle() -> list[bytes]:
    key = {
        "rid": "A000000333", "index": "0A", "modulus": "C1" + "00" * 126 + "01",
        "exponent": "03", "expires": "2049-12-31", "revoked": False,
    }  # fmt: skip
    document = {
        "format": "redcard-ca-keys/v1", "test": True, "expires_ms": 2_500_000_000_000,
        "keys": [key],
        "revoked_issuers": [{"rid": "A000000333", "index": "0A", "serial": "000001"}],
    }  # fmt: skip
    return [json.dumps(document).encode()]


def _enrolment(data: bytes) -> None:
    try:
        enrolment.decode_request(data)
    except Malformed:
        enrolment.decode_enrolled(data)


def _enrolments() -> list[bytes]:
    asked = enrolment.encode_request(test_feed_and_enrolment.request())
    return [asked, enrolment.encode_enrolled(test_feed_and_enrolment.ENROLLED)]


def _frames() -> list[bytes]:
    ack = b"\x00\x00\xff\x00\xff\x00"
    return [ack + encode(b"\xd5\x03\x32\x01\x06\x07"), encode(bytes(263))]


def _track2s() -> list[bytes]:
    return [f";{PAN}=19052201234567890?".encode(), f";{PAN}=1905220?\r\n".encode()]


PARSERS: dict[str, Parser] = {
    "atr": Parser(identity.parse_atr, (ProtocolViolation,), _atrs),
    "ats": Parser(
        identity.parse_ats, (ProtocolViolation,), lambda: [bytes.fromhex("0B788074020073C8401300")]
    ),
    "tlv": Parser(_walk, (ProtocolViolation,), _fci),
    "apdu": Parser(
        _apdu,
        (ProtocolViolation,),
        lambda: [bytes.fromhex("00A404000E325041592E5359532E444446303100")],
    ),
    "emv-records": Parser(_emv_records, (CardError,), _emv_record_seeds),
    "emv-certificates": Parser(_certificate, (AuthenticationFailed, CardError), _certificate_seeds),
    "ca-keys": Parser(
        lambda data: ca_keys.load_ca_keys(data, TODAY, allow_test=True), (CaKeysRefused,), _bundle
    ),
    "track2": Parser(text(lambda line: identify_track2(line, bench.named)), (CardError,), _track2s),
    "pn532": Parser(lambda data: FrameReader().feed(data), (), _frames),
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
    "scenario": Parser(_scenario, (DocumentInvalid,), _scenarios),
}
