"""One scheme, every reader: the same red card is the same member wherever it is tapped."""

from __future__ import annotations

import pytest

from readers.cards.scheme import AuthenticatedCard, CardAssurance
from readers.cards.unionpay import UnionPay
from readers.connection import CardConnection, Interface
from readers.errors import CardNotGenuine, CardRemoved, ReaderFault
from readers.virtual.authority import TestCa
from readers.virtual.box import Faults, FaultyCard, VirtualCard
from readers.virtual.card_box import demo_box
from readers.virtual.unionpay import Manners
from tests.readers.cards.bench import PAN, TODAY, VALID, ca_keys, card, context, named
from tests.readers.stack import Recorder, Stack


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestCa:
    return TestCa.in_folder(tmp_path_factory.mktemp("authority"))


def _tap(stack: Stack, authority: TestCa, virtual: VirtualCard) -> object:
    scheme = UnionPay(ca_keys(authority))

    def script(connection: CardConnection) -> AuthenticatedCard:
        return scheme.authenticate(connection, context())

    with stack.watched(Recorder(script)) as seen:
        stack.lay(0, virtual, seen)
        # a driver that failed opens its reader again, and the card that lies there is served again
        seen.wait(lambda: any(not isinstance(one, ReaderFault) for one in seen.results))
        result: object = next(one for one in seen.results if not isinstance(one, ReaderFault))
        return result


@pytest.mark.parametrize("get_response", [False, True])
def test_a_good_card(stack: Stack, authority: TestCa, get_response: bool) -> None:
    virtual = card(authority, Interface.CONTACTLESS, Manners(get_response=get_response))
    assert _tap(stack, authority, virtual) == AuthenticatedCard(
        named("unionpay", PAN.encode()), "unionpay", CardAssurance.AUTHENTICATED, "fdda", VALID
    )


def test_a_copy_is_not_genuine(stack: Stack, authority: TestCa) -> None:
    box = {one.name: one for one in demo_box(authority, seed=1, today=TODAY)}
    assert isinstance(_tap(stack, authority, box["forged"].contactless), CardNotGenuine)


@pytest.mark.parametrize("exchange", [1, 3, 6])
def test_a_card_pulled_off_too_early(stack: Stack, authority: TestCa, exchange: int) -> None:
    virtual = FaultyCard(card(authority, Interface.CONTACTLESS), Faults(tear_at=exchange))
    assert isinstance(_tap(stack, authority, virtual), CardRemoved)
