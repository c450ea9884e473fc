"""From what a reader shows of itself to the profile that fits best, and why.

What weighs more: USB id with interface and version, USB id, firmware name, reader name, exchange
level. A rule is out as soon as one thing it names can be seen and does not fit; what cannot be
seen neither helps nor hurts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from firmware_profiles.model import (
    Exchange,
    MatchRule,
    ReaderProfile,
    Sighting,
    version_number,
    version_text,
)

USB_ID: Final = 1_000
FIRMWARE: Final = 400
NAME: Final = 200
INTERFACE: Final = 100
DEVICE_VERSION: Final = 50
EXCHANGE: Final = 10


@dataclass(frozen=True, slots=True)
class Match:
    """A profile and how well it fits.

    Attributes:
        profile: the profile.
        score: the sum of what fitted; higher is surer.
        why: what fitted, one clause each.
    """

    profile: ReaderProfile
    score: int
    why: tuple[str, ...]


def rank(profiles: Iterable[ReaderProfile], sighting: Sighting) -> list[Match]:
    """All profiles that fit, the best first; equal scores in the order of their ids."""
    found = [match for profile in profiles if (match := _fit(profile, sighting)) is not None]
    return sorted(found, key=lambda match: (-match.score, match.profile.id))


def best(profiles: Iterable[ReaderProfile], sighting: Sighting) -> Match:
    """The best profile. A reader that shows no exchange level is taken for one of short APDUs.

    Raises:
        LookupError: no profile fits, not even a generic one.
    """
    choice = list(profiles)
    ranked = rank(choice, sighting)
    if ranked:
        return ranked[0]
    for profile in choice:
        if profile.match.exchange is Exchange.SHORT:
            return Match(profile, 0, ("nothing known of it: short APDUs always work",))
    raise LookupError("no generic profile for short APDUs")


def _fit(profile: ReaderProfile, sighting: Sighting) -> Match | None:
    rule = profile.match
    if rule.exchange is not None:
        if rule.exchange is not sighting.exchange:
            return None
        return Match(profile, EXCHANGE, (f"exchange level {rule.exchange.value}",))
    score = 0
    why: list[str] = []
    for wanted, seen, fits, weight, says in _criteria(rule, sighting):
        if not wanted or not seen:
            continue
        if not fits:
            return None
        score += weight
        why.append(says)
    if score < NAME:  # an interface or a version alone tells nothing
        return None
    if rule.specificity:
        score += rule.specificity
        why.append(f"specificity {rule.specificity}")
    return Match(profile, score, tuple(why))


def _criteria(rule: MatchRule, seen: Sighting) -> Iterable[tuple[bool, bool, bool, int, str]]:
    """For each criterion: named by the rule, visible, fits, weight, in words."""
    usb = seen.vid is not None and seen.pid is not None
    usb_id = f"{seen.vid or 0:04X}:{seen.pid or 0:04X}"
    yield bool(rule.vid), usb, usb_id == f"{rule.vid}:{rule.pid}", USB_ID, f"USB id {usb_id}"
    for wanted, text, weight, what in (
        (rule.firmware, seen.firmware, FIRMWARE, "firmware"),
        (rule.name, seen.name, NAME, "name"),
        (rule.interface, seen.interface, INTERFACE, "interface"),
    ):
        fits = re.search(wanted, text) is not None
        yield bool(wanted), bool(text), fits, weight, f"{what} {text}"
    version = seen.device_version
    fits = False
    if rule.device_version is not None and version is not None:
        low, high = map(version_number, rule.device_version)
        fits = low <= version <= high
    says = f"device version {version_text(version or 0)}"
    yield rule.device_version is not None, version is not None, fits, DEVICE_VERSION, says
