"""Inputs that once raised what a parser does not declare."""

from __future__ import annotations

import pytest

from ledger.errors import NoteInvalid, OfferInvalid
from ledger.log.note import Ed25519Verifier, vkey
from ledger.rules.catalogue import load_offers, load_venues
from tests.ledger.log.ledgers import SIGNER


def test_a_number_of_thousands_of_digits() -> None:
    for load in (load_offers, load_venues):
        with pytest.raises(OfferInvalid, match="digits"):
            load(b'[{"id": ' + b"9" * 5_000 + b"}]")


def test_a_key_name_that_is_no_utf_8() -> None:
    good = vkey(SIGNER.name, SIGNER.public_key)
    with pytest.raises(NoteInvalid, match="not a key name"):
        Ed25519Verifier.from_vkey(good.replace("a", "\udc8f", 1))
