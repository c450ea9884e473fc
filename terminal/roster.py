"""The roster file of the snapshot as a decision sees it: card hash in, status and member out."""

from __future__ import annotations

from pathlib import Path

from ledger.rules.request import MemberView
from ledger.rules.terms import CardStatus, MemberStatus
from sync.roster import Roster
from terminal.state import Directory, Listed


class MappedRoster:
    """A mapped roster; the file lives on for as long as it is mapped."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    def find(self, card: str) -> Listed | None:
        """What the roster says of a card; a status of a newer version reads as blocked."""
        found = self._roster.lookup(card)
        if found is None:
            return None
        member = None
        if found.member:
            status = MemberStatus.SUSPENDED if found.suspended else MemberStatus.ACTIVE
            member = MemberView(
                ref=found.member,
                status=status,
                district=found.district,
                street=found.street,
                tags=frozenset(found.tags),
            )
        return Listed(CardStatus(found.status), member, found.expires)

    @property
    def card_key_id(self) -> str:
        """Which card key its hashes were made with."""
        return self._roster.card_key_id

    def __len__(self) -> int:
        return len(self._roster)


def open_roster(path: Path) -> Directory:
    """Maps the roster of a verified snapshot.

    Raises:
        RosterInvalid: it is not whole or of no version that we know.
        OSError: it cannot be read.
    """
    return MappedRoster(Roster.open(path))
