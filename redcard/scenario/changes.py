"""The step ``set``: something changes at the server; terminals hear of it when they pull."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import TypeVar

from ledger.rules.offer import CardStatus, MemberStatus
from redcard.scenario.document import StepSpec, names, only, table, word
from redcard.scenario.errors import DocumentInvalid, StepImpossible
from redcard.scenario.spelling import offer_fields
from redcard.scenario.world import World
from redcard.scenario.yaml_lines import Table

W = TypeVar("W", bound=StrEnum)
T = TypeVar("T")


def change(world: World, step: StepSpec) -> Mapping[str, object]:
    """Something changes at the server; terminals hear of it when they pull."""
    source = table(step.argument, step.kind, step.line)
    books = world.books
    if "recall" in source:
        world.recall(word(source, "recall"), word(source, "offer"))
    elif "card" in source:
        name = word(source, "card")
        card = _known(books.cards, name, "card")
        only(source, {"card", "status", "member"}, "set")
        status = _status(CardStatus, source, card.status)
        member = word(source, "member", card.member)
        books.set_card(name, replace(card, status=status, member=member), _moment(world))
    elif "member" in source:
        name = word(source, "member")
        member_spec = _known(books.members, name, "member")
        only(source, {"member", "status", "district", "street", "tags"}, "set")
        tags = names(source.get("tags"), "tags", source.line_of("tags"))
        books.set_member(
            name,
            replace(
                member_spec,
                status=_status(MemberStatus, source, member_spec.status),
                district=word(source, "district", member_spec.district),
                street=word(source, "street", member_spec.street),
                tags=frozenset(tags) if "tags" in source else member_spec.tags,
            ),
            _moment(world),
        )
    elif "terminal" in source:
        _revoke(world, source)
    elif "offer" in source:
        _set_offer(world, source)
    else:
        raise DocumentInvalid("set needs card, member, offer, terminal or recall", line=step.line)
    world.centre.changed()
    return {}


def _moment(world: World) -> int:
    return world.instants.change(world.true_ms())


def _revoke(world: World, source: Table) -> None:
    only(source, {"terminal", "revoked", "reason"}, "set")
    revoked = source.get("revoked", True)
    machine = world.machine(word(source, "terminal"))
    reason = word(source, "reason") or (revoked if isinstance(revoked, str) else "lost")
    if reason not in {"retired", "lost", "compromised"}:
        raise DocumentInvalid("revoked is true, retired, lost or compromised", line=source.line)
    if revoked is not False:
        world.centre.revoke(machine.ledger, reason)


def _set_offer(world: World, source: Table) -> None:
    name = word(source, "offer")
    _known(world.books.offers, name, "offer")
    changes = Table(source.line)
    for key, value in source.items():
        if key != "offer":
            changes[key] = value
            changes.lines[key] = source.line_of(key)
    fields = offer_fields(name, changes, world.scenario.zone)
    if "title" not in changes:
        del fields["title"]
    world.books.set_offer(name, fields, _moment(world))


def _status(kind: type[W], source: Table, default: W) -> W:
    try:
        return kind(word(source, "status", default))
    except ValueError:
        known = ", ".join(str(one) for one in kind)
        line = source.line_of("status")
        raise DocumentInvalid(f"status must be one of {known}", line=line) from None


def _known(table_: Mapping[str, T], name: str, what: str) -> T:
    if name not in table_:
        raise StepImpossible(f"there is no {what} {name!r}")
    return table_[name]
