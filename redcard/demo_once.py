"""``redcard demo --once``: ten taps without a browser, a sync, the month's report.

The taps and their codes are fixed; each answer is the terminal's own, and any other than expected
ends with exit code 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from redcard import demo_world as world
from redcard.demo import Demo

MONTH: Final = "2014-05"


@dataclass(frozen=True, slots=True)
class Act:
    """One of the ten taps.

    Attributes:
        card: name of the card in the box.
        slot: where it is laid.
        offer: what is asked for.
        code: the code that must come.
        zh: what happens, for people.
        en: the same in English.
        network: state of the cable.
        again: number of the tap whose nonce is sent again, 0 for none.
    """

    card: str
    slot: str
    offer: str
    code: str
    zh: str
    en: str
    network: bool = True
    again: int = 0


_MUSEUM: Final = ("kiosk", world.MUSEUM_OFFER)
_PACK: Final = ("counter", world.PACK_OFFER)
ACTS: Final = (
    Act(world.VISITOR, *_MUSEUM, "A00", "好卡刷自助机", "a good card at the kiosk"),
    Act(world.VISITOR, *_MUSEUM, "A03", "同一张卡再刷", "the same card again"),
    Act("forged", *_MUSEUM, "C02", "复制的卡", "a forged copy"),
    Act("blocked", *_MUSEUM, "C04", "已挂失的卡", "a blocked card"),
    Act("unknown", *_MUSEUM, "C03", "未登记的卡", "an unknown card"),
    Act(world.VISITOR, *_PACK, "A00", "柜台领套包", "a coupon pack at the counter"),
    Act(world.VISITOR, *_PACK, "L01", "再领套包", "the pack once more"),
    Act(
        world.OTHER, *_MUSEUM, "A01", "断网，另一会员入馆", "offline, another member", network=False
    ),
    Act(
        world.OTHER,
        "counter",
        world.ONLINE_OFFER,
        "T04",
        "断网，须联网的项目",
        "offline, an online-only offer",
        network=False,
    ),
    Act(
        world.OTHER,
        *_MUSEUM,
        "A01",
        "重发第 8 次的编号",
        "the nonce of tap 8 again",
        network=False,
        again=8,
    ),
)


@dataclass(frozen=True, slots=True)
class Done:
    """One tap as it went."""

    number: int
    act: Act
    answer: dict[str, Any]

    @property
    def ok(self) -> bool:
        """Whether the code is the fixed one, and a second send was a replay."""
        return bool(
            self.answer["code"] == self.act.code and self.answer["replay"] == bool(self.act.again)
        )


def play(demo: Demo, told: Callable[[Done], None]) -> list[Done]:
    """Plays the ten taps and puts the network back.

    Args:
        demo: opened, on a fresh folder.
        told: called after each tap.
    """
    nonces: dict[int, str] = {}
    played: list[Done] = []
    connected = True
    for number, act in enumerate(ACTS, 1):
        if act.network != connected:
            demo.network(on=act.network)
            connected = act.network
        nonces[number] = nonces[act.again] if act.again else demo.new_nonce()
        answer = demo.redeem(act.card, act.slot, act.offer, nonces[number])
        played.append(Done(number, act, answer))
        told(played[-1])
    demo.network(on=True)
    return played


def settle(demo: Demo) -> dict[str, Any]:
    """Syncs to the end and returns the terminal's answer."""
    answer: dict[str, Any] = demo.desk.act("sync")
    if answer["pending"]:
        answer = demo.desk.act("sync")
    return answer
