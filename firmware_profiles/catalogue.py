"""Loads the profile files, checks them, and refuses two that claim one reader."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from importlib.resources import files
from itertools import combinations
from pathlib import Path

import msgspec

from firmware_profiles.errors import ProfileInvalid, ProfileTie
from firmware_profiles.levels import ExchangeLevels, parse_levels
from firmware_profiles.match import Match, best, rank
from firmware_profiles.model import (
    Exchange,
    Firmware,
    MatchRule,
    ReaderProfile,
    Sighting,
    version_number,
)

_HEX4 = re.compile(r"[0-9A-F]{4}")
_LEVELS_FILE = "exchange-levels.json"
_COMMAND = re.compile(r"([0-9A-F]{2}){4,64}")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All profiles by id, and the exchange levels of readers that have none.

    Attributes:
        profiles: by id.
        levels: of readers without a profile.
        published: ids of those that the federation published; they go before all others.
    """

    profiles: Mapping[str, ReaderProfile]
    levels: ExchangeLevels = field(default_factory=ExchangeLevels)
    published: frozenset[str] = frozenset()

    def match(self, sighting: Sighting) -> Match:
        """The best profile for a reader, with score and reasons; there always is one."""
        for first in rank((self.profiles[one] for one in self.published), sighting):
            return replace(first, why=(*first.why, "published by the federation"))
        found = best(self.profiles.values(), sighting)
        if not found.profile.generic or sighting.exchange is Exchange.SHORT:
            return found
        # a driver that says extended may mean TPDUs, and many say nothing
        listed = self.levels.of(sighting)
        if listed is None:
            return found
        told = msgspec.structs.replace(sighting, exchange=listed.exchange)
        return replace(best(self.profiles.values(), told), why=(listed.why,))

    def match_name(self, name: str) -> str:
        """Id of the best profile for a reader of which only its name is known."""
        return self.match(Sighting(name=name)).profile.id

    def draft(self, sighting: Sighting) -> str:
        """A profile file for an unknown reader, to be completed and sent back."""
        usb = sighting.vid is not None and sighting.pid is not None
        exchange = sighting.exchange or self.match(sighting).profile.apdu.exchange
        lines = [
            'id = "draft"',
            f"title = {_quoted(sighting.name or 'unknown reader')}",
            "[match]",
            *([f'vid = "{sighting.vid:04X}"', f'pid = "{sighting.pid:04X}"'] if usb else []),
            *([] if usb else [f"name = {_quoted('^' + re.escape(sighting.name))}"]),
            f"examples = [{_quoted(sighting.name)}]",
            "[slots]",
            'roles = ["picc"]',
            "[apdu]",
            f'exchange = "{exchange.value}"',
            "[[evidence]]",
            'source = "seen by a driver, facts not checked"',
            'date = "1970-01-01"',
        ]
        return "\n".join(lines) + "\n"


def load(directory: Path | None = None) -> Catalogue:
    """Loads all ``*.toml`` of a directory, by default the ones that come with the product.

    Raises:
        ProfileInvalid: a file is wrong; the message names file, field and remedy.
        ProfileTie: two profiles claim the same reader with the same score.
    """
    root = files("firmware_profiles") / "data" if directory is None else directory
    profiles: dict[str, ReaderProfile] = {}
    levels = ExchangeLevels()
    for file in sorted(root.iterdir(), key=lambda one: one.name):
        if file.name.endswith(".toml"):
            profile = parse(file.read_text("utf-8"), file.name)
            profiles[profile.id] = profile
        elif file.name == _LEVELS_FILE:
            levels = parse_levels(file.read_bytes(), file.name)
    for level in Exchange:
        if not any(one.match.exchange is level for one in profiles.values()):
            raise ProfileInvalid(f"no generic profile for exchange level {level.value}; add one")
    refuse_ties(profiles)
    return Catalogue(profiles, levels)


def parse(text: str, file_name: str) -> ReaderProfile:
    """Reads and checks one profile file.

    Raises:
        ProfileInvalid: the message names file, field and remedy.
    """
    try:
        profile = msgspec.convert(tomllib.loads(text), ReaderProfile)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ProfileInvalid(f"{file_name}: {error}") from error
    for fault in _faults(profile, file_name):
        raise ProfileInvalid(f"{file_name}: {fault}")
    return profile


def _faults(profile: ReaderProfile, file_name: str) -> Iterator[str]:
    """What a type cannot say: each fault with its field and its remedy."""
    rule = profile.match
    if file_name != f"{profile.id}.toml":
        yield f"id is {profile.id!r}; name the file {profile.id}.toml"
    if not profile.evidence:
        yield "evidence is empty; say where the facts come from"
    for number, evidence in enumerate(profile.evidence, 1):
        if not evidence.source or not _is_day(evidence.date):
            yield f"evidence {number} needs a source and a date such as 2026-06-27"
    yield from _rule_faults(rule)
    for criterion in ("name", "interface", "firmware"):
        if not _compiles(getattr(rule, criterion)):
            yield f"match.{criterion} is no regular expression"
    if not _compiles(profile.firmware.parse):
        yield "firmware.parse is no regular expression"
    commands = {"firmware.query": profile.firmware.query}
    for signal in ("approve", "decline", "busy", "silence"):
        commands[f"feedback.{signal}"] = getattr(profile.feedback, signal)
    for what in ("start", "stop"):
        commands[f"polling.{what}"] = getattr(profile.polling, what)
    for what, command in commands.items():
        if command and not _COMMAND.fullmatch(command):
            yield f"{what} is no command of 4 to 64 bytes in capital hexadecimal digits"
    yield from _version_faults(profile.firmware)


def _version_faults(firmware: Firmware) -> Iterator[str]:
    for bad in firmware.known_bad:
        if (
            not _is_version(bad.below)
            or not bad.issue
            or (bad.since and not _is_version(bad.since))
        ):
            yield "firmware.known_bad needs a version such as 2.06 and the issue that tells why"
    if firmware.minimum and not _is_version(firmware.minimum):
        yield "firmware.minimum is no version such as 2.06"
    elif firmware.minimum and not firmware.known_bad:
        yield "firmware.known_bad is empty; say what is wrong below firmware.minimum"


def _rule_faults(rule: MatchRule) -> Iterator[str]:
    if rule.exchange is not None:
        if rule != MatchRule(exchange=rule.exchange):
            yield "match of a generic profile names the exchange level and nothing else"
        return
    if bool(rule.vid) != bool(rule.pid):
        yield "match needs both vid and pid, or neither"
    if rule.vid and not (_HEX4.fullmatch(rule.vid) and _HEX4.fullmatch(rule.pid)):
        yield "match.vid and match.pid are four capital hexadecimal digits each"
    if not (rule.vid or rule.name or rule.firmware):
        yield "match names neither a USB id nor a name nor a firmware"
    if rule.name and not rule.examples:
        yield "match.examples is empty; give the name of a real reader"
    if not 0 <= rule.specificity <= 9:
        yield "match.specificity is 0 to 9"
    if rule.device_version is not None:
        if not all(map(_is_version, rule.device_version)):
            yield "match.device_version holds two versions such as 2.00"
        elif version_number(rule.device_version[0]) > version_number(rule.device_version[1]):
            yield "match.device_version is lowest first"


def refuse_ties(profiles: Mapping[str, ReaderProfile]) -> None:
    """Every profile must win, alone, for each reader it says it is for."""
    for profile in profiles.values():
        for sighting in _own_sightings(profile):
            ranked = rank(profiles.values(), sighting)
            first = ranked[0] if ranked else None
            if first is None or first.profile is not profile:
                winner = first.profile.id if first else "no profile"
                raise ProfileTie(
                    f"{profile.id}: {sighting.name or 'its USB id'} goes to {winner}; "
                    "make match.name narrower or raise match.specificity"
                )
            if len(ranked) > 1 and ranked[1].score == first.score:
                raise ProfileTie(
                    f"{profile.id} and {ranked[1].profile.id} claim "
                    f"{sighting.name or 'one USB id'} alike; raise one's match.specificity"
                )
    rules = [(one.id, one.match) for one in profiles.values()]
    for (left_id, left), (right_id, right) in combinations(rules, 2):
        if _criteria_of(left) == _criteria_of(right):
            raise ProfileTie(f"{left_id} and {right_id} have the same match; merge them")


def _own_sightings(profile: ReaderProfile) -> Iterator[Sighting]:
    rule = profile.match
    if rule.exchange is not None:
        yield Sighting(exchange=rule.exchange)
    vid, pid = (int(rule.vid, 16), int(rule.pid, 16)) if rule.vid else (None, None)
    for name in rule.examples:
        yield Sighting(name=name)
        yield Sighting(name=name, vid=vid, pid=pid)
    example = rule.examples[0] if rule.examples else ""
    for version in rule.device_version or ():
        yield Sighting(name=example, vid=vid, pid=pid, device_version=version_number(version))


def _criteria_of(rule: MatchRule) -> MatchRule:
    return msgspec.structs.replace(rule, examples=())


def _is_version(text: str) -> bool:
    try:
        version_number(text)
    except ValueError:
        return False
    return True


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _quoted(text: str) -> str:
    """A basic string of TOML, whose escapes are JSON's."""
    sound = text.replace("\x7f", "?").encode("utf-8", "replace").decode()
    return json.dumps(sound, ensure_ascii=False)
