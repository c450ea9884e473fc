"""Reservations of a scenario: real tokens, signed by its server and opened at its terminals."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.log.note import KeySigner, sign_note
from redcard.scenario.books import card_hash, member_ref
from redcard.scenario.document import Scenario
from sync.reservation import ReservationClaims, encode_claims

#: Stands for the terminal of a venue that has none.
_NOBODY = "a" * 26


def issue(scenario: Scenario, signer: KeySigner, ledgers: Mapping[str, str]) -> dict[str, bytes]:
    """The signed token of each reservation, by its name in the file.

    Args:
        scenario: whose reservations.
        signer: the server's key for them.
        ledgers: ledger id by terminal; the first terminal of a venue takes its tokens.
    """
    takers: dict[str, str] = {}
    for name, terminal in scenario.terminals.items():
        takers.setdefault(terminal.venue, ledgers.get(name, _NOBODY))
    tokens: dict[str, bytes] = {}
    for name, one in scenario.reservations.items():
        claims = ReservationClaims(
            card_hash(f"reservation {name}"),
            member_ref(one.member),
            one.offer,
            one.venue,
            ledgers[one.terminal] if one.terminal else takers.get(one.venue, _NOBODY),
            one.units,
            one.from_ms,
            one.until_ms,
        )
        tokens[name] = sign_note(encode_claims(claims), [signer])
    return tokens
