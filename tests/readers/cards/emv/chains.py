"""Published chains of other card schemes, read for the tests. Sources stand in the file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from readers.cards.emv import IccKey, IssuerKey, Pan, RsaKey, recover_icc_key, recover_issuer_key

_FILE = Path(__file__).parents[3] / "vectors" / "emv_chains.json"


@dataclass(frozen=True)
class Chain:
    """One published chain; ``raw`` gives any field as bytes."""

    fields: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.fields["name"])

    def has(self, *names: str) -> bool:
        return all(name in self.fields for name in names)

    def raw(self, name: str) -> bytes:
        value = self.fields[name]
        return bytes.fromhex("".join(value) if isinstance(value, list) else value)

    @property
    def pan(self) -> Pan:
        return Pan(self.fields["pan"].encode())

    @property
    def today(self) -> date:
        return date.fromisoformat(self.fields["today"])

    @property
    def ca(self) -> RsaKey:
        return RsaKey(self.raw("ca_modulus"), int.from_bytes(self.raw("ca_exponent")))

    def issuer(self, **changes: Any) -> IssuerKey:
        given: dict[str, Any] = {
            "ca_key": self.ca,
            "certificate": self.raw("issuer_certificate"),
            "remainder": self.raw("issuer_remainder"),
            "exponent": self.raw("issuer_exponent"),
            "pan": self.pan,
            "today": self.today,
        }
        return recover_issuer_key(**{**given, **changes})

    def icc(self, **changes: Any) -> IccKey:
        given: dict[str, Any] = {
            "issuer": self.issuer(),
            "certificate": self.raw("icc_certificate"),
            "remainder": self.raw("icc_remainder"),
            "exponent": self.raw("icc_exponent"),
            "static_data": self.raw("static_data") if self.has("static_data") else b"",
            "pan": self.pan,
            "today": self.today,
        }
        return recover_icc_key(**{**given, **changes})


CHAINS = [Chain(fields) for fields in json.loads(_FILE.read_text())]


def chains(*fields: str) -> list[Chain]:
    """The chains that have all these fields."""
    return [chain for chain in CHAINS if chain.has(*fields)]
