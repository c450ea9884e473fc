"""Profiles that the federation publishes: one signed file, in front of those of the product.

A reader that came to the counters after this version was installed, or a fact that turned out
wrong, reaches every terminal with its next snapshot. The file is JSON::

    {"format": "redcard-firmware-profiles/v1", "profiles": {"acme-100.toml": "id = …", …}}

Each text is a profile file as those in ``data/``. A set of which one profile is wrong is refused
whole, so that nobody works with half of what was meant.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from firmware_profiles.catalogue import Catalogue, parse, refuse_ties
from firmware_profiles.errors import ProfileInvalid, ProfileTie

FORMAT: Final = "redcard-firmware-profiles/v1"
BYTES_MAX: Final = 1 << 20
PROFILES_MAX: Final = 500


def encode(files: Mapping[str, str]) -> bytes:
    """The file; the same profiles give the same bytes."""
    document = {"format": FORMAT, "profiles": dict(sorted(files.items()))}
    return json.dumps(document, ensure_ascii=False, indent=1).encode("utf-8")


def decode(data: bytes) -> dict[str, str]:
    """The texts of a published file by their file names; not yet checked as profiles.

    Raises:
        ProfileInvalid: not such a file, or larger than one may be.
    """
    if len(data) > BYTES_MAX:
        raise ProfileInvalid(f"published profiles have at most {BYTES_MAX} bytes")
    try:
        document = json.loads(data)
        known, files = document["format"], document["profiles"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ProfileInvalid(f"the published profiles cannot be read: {error}") from None
    if known != FORMAT or not isinstance(files, dict) or len(files) > PROFILES_MAX:
        raise ProfileInvalid(f"published profiles are {FORMAT}, at most {PROFILES_MAX}")
    if not all(isinstance(text, str) for text in files.values()):
        raise ProfileInvalid("published profiles are texts by their file names")
    return dict(files)


def in_front(catalogue: Catalogue, files: Mapping[str, str]) -> Catalogue:
    """The catalogue with published profiles before its own; those of the same id are replaced.

    Raises:
        ProfileInvalid: one of them is wrong; names file, field and remedy.
        ProfileTie: two of them claim the same reader alike.
    """
    fresh = {}
    for name, text in sorted(files.items()):
        profile = parse(text, name)
        if profile.generic:
            raise ProfileInvalid(f"{name}: a generic profile comes with the product alone")
        held = catalogue.profiles.get(profile.id)
        if held is not None and held.generic:
            raise ProfileInvalid(f"{name}: {profile.id} is a generic profile of the product")
        fresh[profile.id] = profile
    try:
        refuse_ties(fresh)
    except ProfileTie as tie:
        raise ProfileTie(f"among the published profiles, {tie}") from None
    return replace(catalogue, profiles={**catalogue.profiles, **fresh}, published=frozenset(fresh))


def taken_over(before: Catalogue, after: Catalogue) -> dict[str, tuple[str, ...]]:
    """Which profiles of the product lose a reader to each published one; for whoever publishes."""
    lost: dict[str, set[str]] = {}
    for profile in before.profiles.values():
        for name in profile.match.examples:
            winner = after.match_name(name)
            if winner in after.published and before.match_name(name) == profile.id:
                lost.setdefault(winner, set()).add(profile.id)
    return {winner: tuple(sorted(ids)) for winner, ids in sorted(lost.items())}
