"""A scanner on a serial port taps: the whole way from the port to the entry, as identified."""

from __future__ import annotations

import json
import os
import pty
import tty
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from ledger.rules.catalogue import load_offers, load_venues
from ledger.rules.request import MemberView
from ledger.rules.terms import CardStatus, MemberStatus
from readers.virtual.authority import TestCa
from readers.virtual.unionpay import make_pan
from terminal.answers import Phase, TapAnswer
from terminal.composition import open_terminal
from terminal.configuration import parse
from terminal.install import red_card_schemes
from terminal.scanners import scanners_of
from terminal.state import Listed
from tests.terminal.rig import CONFIG, OFFERS, VENUES, Rig, hash_of

PAN = make_pan(7)
STRIPE = f";{PAN}=19052201234567890?\r".encode()


class Counter:
    """A kiosk whose only reader is a stripe reader on a pseudo terminal."""

    def __init__(self, path: Path, world: TestCa, *, identified: bool) -> None:
        self._scanner, self._port = pty.openpty()
        tty.setraw(self._port)
        text = CONFIG.format(extra="") + (
            f'[[scanner]]\nname = "kiosk stripe"\nport = "{os.ttyname(self._port)}"\n'
        )
        rig = self.rig = Rig(path, world, start=False)
        offers = [dict(offer, identified=identified) for offer in OFFERS]
        venues = load_venues(json.dumps(VENUES).encode())
        catalogue = load_offers(json.dumps(offers).encode(), venues=venues)
        member = MemberView(ref=f"{7:016x}", status=MemberStatus.ACTIVE, district="xicheng")
        rig.directory.cards[hash_of(PAN)] = Listed(CardStatus.ACTIVE, member)
        rig.service = open_terminal(
            rig.home,
            rig.clock,
            scanners_of(parse(text)),
            schemes=lambda bundle, today: red_card_schemes(allow_test=True)(
                None, date(2014, 5, 30)
            ),
            keys=rig.keys,
        )
        rig.service.parts.facts.install(replace(rig.installed, catalogue=catalogue))
        rig.service.start()
        rig.watch("kiosk", lambda view: view.reader.state == "ready")

    def swipe(self, line: bytes) -> TapAnswer:
        os.write(self._scanner, line)
        view = self.rig.watch("kiosk", lambda view: view.phase is Phase.ANSWER)
        answer: TapAnswer = view.answer
        return answer

    def close(self) -> None:
        self.rig.close()
        os.close(self._port)
        os.close(self._scanner)


@pytest.fixture
def counter(request: pytest.FixtureRequest, tmp_path: Path, world: TestCa) -> Iterator[Counter]:
    made = Counter(tmp_path / "terminal", world, identified=getattr(request, "param", True))
    yield made
    made.close()


def test_a_swiped_stripe_is_redeemed_as_identified(counter: Counter) -> None:
    answer = counter.swipe(STRIPE)
    assert (answer.outcome, answer.code) == ("approve", "A01")
    entry = counter.rig.entries()[-1]
    assert entry["kind"] == "redeem"
    assert (entry["assurance"], entry["scheme"]) == ("identified", "unionpay")
    assert (entry["card"], entry["member"]) == (hash_of(PAN), f"{7:016x}")
    assert PAN not in json.dumps(entry)


@pytest.mark.parametrize("counter", [False], indirect=True)
def test_an_offer_that_asks_for_a_chip_declines_a_stripe(counter: Counter) -> None:
    answer = counter.swipe(STRIPE)
    assert (answer.outcome, answer.code) == ("decline", "C02")
    assert counter.rig.kinds()[-1] == "decline"


def test_a_stripe_read_badly_leaves_no_entry(counter: Counter) -> None:
    before = counter.rig.kinds()
    answer = counter.swipe(STRIPE[:12] + b"?\r")
    assert (answer.outcome, answer.code) == ("error", "C01")
    assert counter.rig.kinds() == before
