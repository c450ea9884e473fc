"""A whole terminal for tests: real ledger on disk, real rules, virtual red cards, a hand clock."""

from __future__ import annotations

import hmac
import json
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from keys.derivation import card_hash
from keys.keystore import KeyKind, KeyStore, MemoryKeyStore
from ledger.log import canonical
from ledger.log.note import COSIGNATURE, vkey
from ledger.log.reading import LogReader
from ledger.log.store import LogStore
from ledger.rules.catalogue import load_offers, load_venues
from ledger.rules.request import MemberView
from ledger.rules.terms import CardStatus, MemberStatus
from readers.cards.emv.ca_keys import load_ca_keys
from readers.cards.scheme import CardScheme
from readers.cards.unionpay import UnionPay
from readers.connection import Interface
from readers.virtual.authority import TestCa
from readers.virtual.box import InProcessReader, VirtualCard
from readers.virtual.personalisation import Recipe
from readers.virtual.unionpay import VirtualUnionPayCard, make_pan
from terminal.answers import Phase, TapAnswer
from terminal.clock import Clock
from terminal.composition import open_terminal
from terminal.flow import Probe, no_probe
from terminal.home import Enrolment, Home
from terminal.machine import boot_facts, ledger_signer
from terminal.service import TerminalService
from terminal.state import Installed, Listed
from tests.terminal.clocks import HandClock

TODAY: Final = date(2014, 5, 30)
CARD_KEY: Final = b"k" * 32
DOMAIN: Final = "test.redcard.example"
CONFIG: Final = """\
[terminal]
name = "T-1"
demo = true
{extra}
[[position]]
id = "kiosk"
profile = "kiosk"
venue = "M01"
offer = "museum"
reader = "kiosk"

[[position]]
id = "counter"
profile = "counter"
venue = "S01"
reader = "counter"
"""
VENUES: Final = [
    {"id": "M01", "name": "孔庙", "name_en": "Confucius", "kind": "museum", "level": "city"},
    {"id": "S01", "name": "德胜", "name_en": "Desheng", "kind": "station", "district": "xicheng"},
]
WINDOW: Final = {"from": "2014-05-01T00:00:00+08:00", "until": "2014-11-01T00:00:00+08:00"}
OFFERS: Final[list[dict[str, Any]]] = [
    {
        "id": "museum",
        "title": "免费入馆",
        "title_en": "Free entry",
        "kind": "entry",
        **WINDOW,
        "limits": [{"count": 1, "per": "day", "scope": "member"}],
        "offline": "open",
    },
    {
        "id": "film",
        "title": "十元看电影",
        "title_en": "Cinema",
        "kind": "coupon",
        **WINDOW,
        "venues": ["S01"],
        "limits": [{"count": 1, "per": "offer", "scope": "member"}],
        "offline": "capped",
        "cap": 3,
    },
    {
        "id": "pack",
        "title": "优惠券套包",
        "title_en": "Coupon pack",
        "kind": "coupon",
        **WINDOW,
        "limits": [{"count": 1, "per": "offer", "scope": "member"}],
        "stock": {"mode": "pool", "quantity": 100},
        "offline": "leased",
    },
    {
        "id": "clinic",
        "title": "挂号",
        "title_en": "Clinic",
        "kind": "service",
        **WINDOW,
        "offline": "online",
    },
    {
        "id": "proof",
        "title": "凭证",
        "title_en": "Evidence",
        "kind": "service",
        **WINDOW,
        "evidence": [{"name": "ticket", "required": True, "title": "票号"}],
        "offline": "open",
    },
]


def hash_of(pan: str) -> str:
    return card_hash(
        lambda data: hmac.digest(CARD_KEY, data, "sha256"), "unionpay", pan.encode("ascii")
    )


class DictDirectory:
    """A roster in memory; the same shape as the mapped file."""

    card_key_id = ""

    def __init__(self) -> None:
        self.cards: dict[str, Listed] = {}

    def find(self, card: str) -> Listed | None:
        return self.cards.get(card)

    def __len__(self) -> int:
        return len(self.cards)


def make_home(path: Path, keys: KeyStore, clock: Clock, extra: str = "") -> Home:
    """An enrolled home with an empty ledger, as enrolment leaves it."""
    home = Home.create(path, CONFIG.format(extra=extra))
    if (path / "enrolment.json").exists():
        return home
    server = MemoryKeyStore()
    for name in ("witness", "judgements", "feed"):
        server.generate(name, KeyKind.ED25519)
    enrolment = Enrolment(
        ledger="".join(secrets.choice("abcdefghijklmnopqrstuvwxyz234567") for _ in range(26)),
        domain=DOMAIN,
        epoch=1,
        vkeys={
            "witness": vkey("witness", server.public_key("witness"), COSIGNATURE),
            "judgements": vkey("judgements", server.public_key("judgements")),
            "feed": vkey("feed", server.public_key("feed")),
        },
    )
    LogStore.create(
        home.ledger_path,
        origin=enrolment.origin,
        signer=ledger_signer(keys, enrolment.origin),
        genesis={"epoch": 1},
        boot=boot_facts(clock, clock.wall_ms(), 1),
    ).close()
    home.write_enrolment(enrolment)
    return home


def make_keys() -> MemoryKeyStore:
    keys = MemoryKeyStore()
    keys.import_secret("ledger", KeyKind.ED25519, b"L" * 32)
    keys.import_secret("card", KeyKind.HMAC, CARD_KEY)
    return keys


class Rig:
    """One terminal with a kiosk and a counter, each with a virtual reader."""

    def __init__(self, path: Path, world: TestCa, *, extra: str = "", start: bool = True) -> None:
        self.world = world
        self.clock = HandClock()
        self.keys = make_keys()
        self.home = make_home(path, self.keys, self.clock, extra)
        self.directory = DictDirectory()
        self.installed = Installed(
            catalogue=load_offers(
                json.dumps(OFFERS).encode(), venues=load_venues(json.dumps(VENUES).encode())
            ),
            cards=self.directory,
            signed_ms=self.clock.wall,
            version=1,
        )
        self.readers: dict[str, InProcessReader] = {}
        self.service: TerminalService
        self.probe: Probe = no_probe
        if start:
            self.start()

    def start(self, **more: Any) -> None:
        bundle = self.world.bundle(expires=datetime(2049, 1, 1, tzinfo=UTC))
        scheme = UnionPay(load_ca_keys(bundle, TODAY, allow_test=True))

        def schemes(bundle: bytes | None, today: date) -> Sequence[CardScheme]:
            return (scheme,)

        self.readers = {name: InProcessReader(f"{name} reader") for name in ("kiosk", "counter")}
        self.service = open_terminal(
            self.home,
            self.clock,
            tuple(self.readers.values()),
            schemes=schemes,
            keys=self.keys,
            probe=lambda step: self.probe(step),  # noqa: PLW0108 - tests exchange it later
            **more,
        )
        self.service.parts.facts.install(self.installed)
        self.service.start()

    def close(self) -> None:
        self.service.close()

    def restart(self) -> None:
        self.close()
        self.start()

    def connect(self) -> None:
        """As if an authenticated exchange had just succeeded."""
        self.service.parts.facts.heard()

    def member(
        self, serial: int, status: CardStatus = CardStatus.ACTIVE, **more: Any
    ) -> VirtualCard:
        """A card in the roster, and the plastic for it."""
        member = MemberView(
            ref=f"{serial:016x}",
            status=more.pop("member_status", MemberStatus.ACTIVE),
            district="xicheng",
        )
        self.directory.cards[hash_of(make_pan(serial))] = Listed(status, member)
        plastic: VirtualCard = self.card(serial, **more)
        return plastic

    def card(self, serial: int, interface: Interface = Interface.CONTACTLESS, **more: Any) -> Any:
        recipe = replace(Recipe(pan=make_pan(serial), expires=date(2019, 5, 31)), **more)
        return VirtualUnionPayCard(self.world, recipe, interface=interface)

    def watch(self, position: str, done: Callable[[Any], bool], seconds: float = 5.0) -> Any:
        """Waits for a view of a position, by subscription as pages do."""
        changed = threading.Event()
        end = self.service.subscribe(lambda name: changed.set())
        try:
            for _ in range(200):
                changed.clear()
                view = self.service.snapshot_view(position)
                if done(view):
                    return view
                assert changed.wait(seconds), f"{position} stays {view.phase}: {view.answer}"
        finally:
            end()
        raise AssertionError("too many changes")

    def kiosk(self, card: VirtualCard) -> TapAnswer:
        """Lays a card on the kiosk's reader and returns the answer that it shows."""
        before = self.service.snapshot_view("kiosk").answer
        self.readers["kiosk"].insert(card)
        view = self.watch(
            "kiosk", lambda view: view.phase is Phase.ANSWER and view.answer is not before
        )
        self.readers["kiosk"].remove()
        self.watch("kiosk", lambda view: view.reader.state == "ready")
        answer: TapAnswer = view.answer
        return answer

    def lay(self, card: VirtualCard) -> None:
        """Lays a card on the counter's reader until it is at hand."""
        self.readers["counter"].insert(card)
        self.watch("counter", lambda view: view.phase is Phase.CARD and view.card.present)

    def lift(self) -> None:
        """Takes the card off the counter's reader."""
        self.readers["counter"].remove()
        self.watch("counter", lambda view: view.reader.state == "ready")

    def counter(self, card: VirtualCard, offer: str, nonce: str, **more: Any) -> TapAnswer:
        """Lays a card, takes one offer, lifts the card."""
        self.lay(card)
        try:
            return self.service.tap("counter", offer, nonce, **more)
        finally:
            self.lift()
            self.service.dismiss("counter")

    def entries(self) -> list[Mapping[str, Any]]:
        """Everything in the ledger, as a reader beside the writer sees it."""
        with LogReader.open(self.home.ledger_path) as reader:
            return [canonical.decode(data) for data in reader.entries(0, reader.size)]

    def kinds(self) -> list[str]:
        return [entry["kind"] for entry in self.entries()]
