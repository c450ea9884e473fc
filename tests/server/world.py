"""A server with an operator's wits about it, and terminals that sign real ledgers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keys.keystore import KeyKind, MemoryKeyStore
from keys.passphrase import Argon2Cost
from ledger.log import canonical
from ledger.log.checkpoint import Checkpoint
from ledger.log.merkle import Frontier, leaf_hash
from ledger.log.note import KeySigner
from server.card_list import Membership
from server.core import ServerCore
from server.home import Configuration, ServerHome
from sync.enrolment import Enrolled, enrol_request
from sync.protocol import Batch, encode_batch

DOMAIN = "test.redcard.example"
CHEAP = Argon2Cost(memory_kib=64, iterations=1, lanes=1)
#: Friday 30 May 2014, 10:00 in Shanghai.
START_MS = 1_401_415_200_000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

VENUES = [
    {"id": "M01", "name": "孔庙和国子监博物馆", "district": "东城区", "level": "city"},
    {"id": "S0201", "name": "德胜", "district": "西城区", "street": "德胜街道"},
]
OFFERS = [
    {
        "id": "museum",
        "title": "孔庙和国子监博物馆免费参观",
        "title_en": "Confucian Temple",
        "kind": "entry",
        "level": "city",
        "from": "2014-05-01T00:00:00+08:00",
        "until": "2014-11-01T00:00:00+08:00",
        "limits": [{"count": 1, "per": "day"}],
        "offline": "open",
    },
    {
        "id": "pack",
        "title": "优惠券套包",
        "title_en": "Coupon pack",
        "kind": "coupon",
        "level": "street",
        "from": "2014-05-20T00:00:00+08:00",
        "until": "2014-07-01T00:00:00+08:00",
        "limits": [{"count": 1, "per": "offer"}],
        "stock": {"pool": 10, "leases": {"desheng": 4}},
        "offline": "leased",
    },
]


class Time:
    """A clock that stands until it is moved."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms

    def pass_(self, span_ms: int) -> None:
        self.now_ms += span_ms


def member(number: int) -> str:
    return f"{number + 1:016x}"


def card(number: int) -> str:
    """A card hash: 16 bytes in base32, so the last letter carries three bits."""
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    head = "".join(letters[(number >> (5 * place)) & 31] for place in range(25))
    return head + "a"


def people(count: int, *, district: str = "东城区") -> list[Membership]:
    return [Membership(card(n), member(n), district=district) for n in range(count)]


def make_home(path: Path, database: str = "") -> ServerHome:
    return ServerHome.create(path, Configuration(DOMAIN, database), cost=CHEAP)


async def open_core(path: Path, time: Time, database: str = "", *, persons: int = 20) -> ServerCore:
    """A server with venues, offers and members published."""
    home = make_home(path, database)
    core = await ServerCore.open(home, time)
    try:
        await core.publications.create(home.custodians())
        await core.import_venues(json.dumps(VENUES).encode())
        await core.publish_offers(json.dumps(OFFERS).encode())
        await core.take_members(people(persons))
    except BaseException:
        await core.close()
        raise
    return core


def play(
    scenario: Callable[[ServerCore, Time], Awaitable[None]], home: Path, database: str = ""
) -> None:
    """Opens a server, lets the scenario run and closes it whatever came of it."""

    async def whole() -> None:
        time = Time()
        async with await open_core(home, time, database) as core:
            await scenario(core, time)

    asyncio.run(whole())


@dataclass
class Terminal:
    """A terminal's signed ledger in memory, with a checkpoint for every commit."""

    keys: MemoryKeyStore
    enrolled: Enrolled
    time: Time
    stored: list[bytes] = field(default_factory=list)
    notes: dict[int, bytes] = field(default_factory=dict)
    frontier: Frontier = field(default_factory=Frontier)
    venue: str = "M01"

    @property
    def ledger(self) -> str:
        return self.enrolled.ledger

    @property
    def signer(self) -> KeySigner:
        public = self.keys.public_key("ledger")
        return KeySigner(self.enrolled.origin, lambda m: self.keys.sign("ledger", m), public)

    def entry(self, kind: str, **fields: Any) -> dict[str, Any]:
        at_ms = fields.pop("at_ms", self.time())
        base = {
            "v": 1,
            "seq": len(self.stored),
            "kind": kind,
            "ts_ms": at_ms,
            "mono_ms": max(0, at_ms - START_MS),
            "boot": "0123456789abcdef",
        }
        return base | fields

    def commit(self, *bodies: bytes) -> None:
        self.stored += bodies
        self.frontier = self.frontier.extend(leaf_hash(body) for body in bodies)
        head = Checkpoint(self.enrolled.origin, len(self.stored), self.frontier.root())
        self.notes[len(self.stored)] = head.sign([self.signer])

    def append(self, kind: str, **fields: Any) -> int:
        entry = self.entry(kind, **fields)
        self.commit(canonical.encode(entry))
        return int(entry["seq"])

    def redeem(self, who: int, nonce: str, offer: str = "museum", **fields: Any) -> int:
        return self.append(
            "redeem",
            **{
                "nonce": nonce,
                "card": card(who),
                "member": member(who),
                "offer": offer,
                "venue": self.venue,
                "operator": "op1",
                "code": "A01",
                "scheme": "unionpay",
                "assurance": "authenticated",
                "offer_version": 1,
                "quantity": 1,
                "mode": "offline",
            }
            | fields,
        )

    def decline(self, who: int, nonce: str, code: str = "C04", **fields: Any) -> int:
        return self.append(
            "decline",
            **{
                "nonce": nonce,
                "card": card(who),
                "offer": "museum",
                "venue": self.venue,
                "operator": "op1",
                "code": code,
            }
            | fields,
        )

    def void(self, seq: int, nonce: str, **fields: Any) -> int:
        original = canonical.decode(self.stored[seq])
        return self.append(
            "void",
            **{
                "nonce": nonce,
                "card": original["card"],
                "offer": original["offer"],
                "venue": self.venue,
                "operator": "op1",
                "code": "A00",
                "orig_seq": seq,
                "orig_nonce": original["nonce"],
                "reason_code": "mistake",
            }
            | fields,
        )

    def batch(self, start: int, stop: int | None = None) -> Batch:
        end = len(self.stored) if stop is None else stop
        return Batch(self.ledger, start, tuple(self.stored[start:end]), self.notes[end])

    def body(self, start: int, stop: int | None = None) -> bytes:
        return encode_batch(self.batch(start, stop))

    def sign(self, message: bytes) -> bytes:
        return self.keys.sign("ledger", message)


async def enrol(
    core: ServerCore, name: str, time: Time, *, venues: Sequence[str] = ("M01",)
) -> Terminal:
    made = await core.activation(name, venues)
    keys = new_keys()
    answer = await core.enrol(request_for(made.code, keys, name))
    return Terminal(keys, answer, time, venue=venues[0])


def new_keys() -> MemoryKeyStore:
    keys = MemoryKeyStore()
    keys.generate("ledger", KeyKind.ED25519)
    keys.generate("age", KeyKind.X25519)
    return keys


def request_for(code: str, keys: MemoryKeyStore, name: str = "t") -> Any:
    return enrol_request(
        code=code,
        public_key=keys.public_key("ledger"),
        recipient=keys.recipient("age"),
        name=name,
        version="1",
        sign=lambda message: keys.sign("ledger", message),
    )


async def push(core: ServerCore, terminal: Terminal, start: int = 0) -> Any:
    """Sends all from ``start`` on in batches of 500; returns the last answer."""
    answer: Any = None
    end = len(terminal.stored)
    while start < end:
        stop = max(size for size in terminal.notes if start < size <= min(end, start + 500))
        answer = await core.ingest.take(terminal.ledger, terminal.body(start, stop))
        start = stop
    return answer


async def verdicts(core: ServerCore, terminal: Terminal) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Newest verdict and reasons of each nonce of a ledger, as its terminal pulls them."""
    from ledger.log.note import Ed25519Verifier, open_note
    from sync.feed import decode_page, read_judgement

    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    after, verifier = 0, Ed25519Verifier.from_vkey(terminal.enrolled.vkeys["judgements"])
    while True:
        note = await core.judgements(terminal.ledger, after)
        page = decode_page(open_note(note, [verifier]).text)
        for record in page.records:
            one = read_judgement(record)
            found[one.nonce] = (one.verdict, one.reasons)
        after = page.upto
        if after >= page.last:
            return found
