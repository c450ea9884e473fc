"""Bundles of PIV roots: what a terminal takes, and what it refuses whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from readers.cards.errors import CaKeysRefused
from readers.cards.piv_roots import load_piv_roots
from readers.virtual.piv import TestPivAuthority
from tests.readers.cards.bench import TODAY

BUNDLES: dict[str, Any] = {
    "no json": lambda text: text[:-10],
    "no utf-8": lambda text: b"\xff" + text,
    "no object": lambda text: b"[]",
    "deep": lambda text: b"[" * 100_000,
    "large": lambda text: text + b" " * 4_194_304,
}


@pytest.mark.parametrize("damage", BUNDLES)
def test_bundles_that_are_none(piv_world: TestPivAuthority, damage: str) -> None:
    text = piv_world.bundle(expires=datetime(2049, 1, 1, tzinfo=UTC))
    with pytest.raises(CaKeysRefused, match="nothing was changed"):
        load_piv_roots(BUNDLES[damage](text), TODAY, allow_test=True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "redcard-piv-roots/v2"),
        ("test", 1),
        ("expires_ms", True),
        ("expires_ms", -1),
        ("expires_ms", 10**18),
        ("roots", ["no pem"]),
        ("roots", ["-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"]),
        ("roots", [""] * 65),
        ("roots", [7]),
        ("revoked", [{"issuer": "00" * 31, "serial": "01"}]),
        ("revoked", [{"issuer": "00" * 32, "serial": ""}]),
        ("revoked", [{"issuer": "00" * 32, "serial": "00" * 21}]),
        ("revoked", [{"issuer": "zz" * 32, "serial": "01"}]),
        ("revoked", [{"issuer": "00" * 32, "serial": "01"}] * 10_001),
        ("surprise", 1),
    ],
)
def test_bundles_with_a_field_wrong(piv_world: TestPivAuthority, field: str, value: Any) -> None:
    text = piv_world.bundle(
        expires=datetime(2049, 1, 1, tzinfo=UTC), change=lambda given: given.update({field: value})
    )
    with pytest.raises(CaKeysRefused, match=field):
        load_piv_roots(text, TODAY, allow_test=True)


def test_bundles_that_end_or_are_for_tests(piv_world: TestPivAuthority) -> None:
    text = piv_world.bundle(expires=datetime(2014, 5, 30, 12, tzinfo=UTC))
    assert load_piv_roots(text, TODAY, allow_test=True).expires == TODAY
    with pytest.raises(CaKeysRefused, match="ended"):
        load_piv_roots(text, TODAY + timedelta(1), allow_test=True)
    with pytest.raises(CaKeysRefused, match="test roots"):
        load_piv_roots(text, TODAY, allow_test=False)
    plain = piv_world.bundle(expires=datetime(2049, 1, 1, tzinfo=UTC), test=False)
    assert not load_piv_roots(plain, TODAY, allow_test=False).test
