"""The steps of a scenario: one function each, from arguments to the answer that is compared."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from ledger.entry import Kind
from ledger.log import canonical
from ledger.rules import windows
from ledger.rules.voids import VoidRequest
from redcard.scenario import changes, till, views, wire
from redcard.scenario.books import card_hash, card_view
from redcard.scenario.document import StepSpec, names, table, word
from redcard.scenario.errors import DocumentInvalid, StepImpossible
from redcard.scenario.known import TapOrder
from redcard.scenario.machine import Machine
from redcard.scenario.rush import rush
from redcard.scenario.spelling import seconds
from redcard.scenario.world import World
from redcard.scenario.yaml_lines import Table
from sync.batch import next_batch
from sync.protocol import BATCH_MEDIA_TYPE, Batch, decode_batch, encode_batch, entries_path
from sync.transport import Request

Result = Mapping[str, object]
W = TypeVar("W", bound=StrEnum)


def perform(world: World, step: StepSpec) -> Result:
    """Does one step at the world's present time.

    Raises:
        StepImpossible, DocumentInvalid: with what is wrong.
    """
    return _STEPS[step.kind](world, step)


def tap(world: World, step: StepSpec) -> Result:
    """One tap of one card, or of several in the field."""
    source = _table(step)
    machine = world.machine(word(source, "terminal"))
    snapshot = machine.snapshot
    presented = names(source.get("cards", source.get("card")), "card", source.line_of("card"))
    agent = word(source, "agent")
    evidence = table(source.get("evidence"), "evidence", source.line_of("evidence"))
    supervisor = word(source, "supervisor")
    order = TapOrder(
        nonce=word(source, "nonce", f"step-{step.line}"),
        card=card_view(presented, snapshot.cards, snapshot.members),
        offer=word(source, "offer"),
        quantity=_number(source, "quantity", 1),
        companions=_number(source, "companions", 0),
        evidence={name: "" if text is None else str(text) for name, text in evidence.items()},
        agent=card_hash(agent) if agent else "",
        supervisor=supervisor,
        supervisor_ok=supervisor in world.scenario.supervisors,
        reason=word(source, "reason"),
        reservation=word(source, "reservation"),
        simulate=source.get("simulate") is True,
    )
    with _placing(world, machine):
        answer = till.tap(machine, world.venue_of(machine), order, world)
    return _told(answer, world.scenario.zone)


def void(world: World, step: StepSpec) -> Result:
    """A void of an earlier tap."""
    source = _table(step)
    machine = world.machine(word(source, "terminal"))
    world.voids += 1
    supervisor = word(source, "supervisor")
    request = VoidRequest(
        nonce=word(source, "void_nonce") or f"void-{world.voids}",
        original=word(source, "nonce"),
        reason=word(source, "reason"),
        supervisor=supervisor,
    )
    proven = supervisor in world.scenario.supervisors
    venue = world.venue_of(machine)
    with _placing(world, machine):
        answer = till.void(machine, venue, request, world, supervisor_ok=proven)
    return _told(answer, world.scenario.zone)


@contextmanager
def _placing(world: World, machine: Machine) -> Iterator[None]:
    """Notes where in the present instant a step wrote its entries."""
    size = 0 if machine.broken else machine.log.size
    yield
    for seq in range(size, size if machine.broken else machine.log.size):
        world.instants.wrote(machine.ledger, seq, world.true_ms())


def cut(world: World, step: StepSpec) -> Result:
    """Cuts terminals off, or joins them again."""
    argument = step.argument
    listed = argument.get("terminal") if isinstance(argument, Table) else argument
    for name in names(listed, step.kind, step.line):
        world.machine(name).online = step.kind == "online"
    return {}


def sync(world: World, step: StepSpec) -> Result:
    """Push, judgement, pull."""
    return asdict(wire.sync(_machine(world, step), world))


def pull(world: World, step: StepSpec) -> Result:
    """The downlink alone."""
    return asdict(wire.pull(_machine(world, step), world))


def resend(world: World, step: StepSpec) -> Result:
    """The last batch once more."""
    return asdict(wire.resend(_machine(world, step), world))


def lose_answer(world: World, step: StepSpec) -> Result:
    """The server's answer to the next sync is lost."""
    _machine(world, step).lose_answer = True
    return {}


def clock(world: World, step: StepSpec) -> Result:
    """Sets a terminal's wall clock against the truth."""
    source = _table(step)
    machine = world.machine(word(source, "terminal"))
    offset_s = seconds(source.get("offset"), source.line_of("offset"), bare_s=1)
    machine.clock.offset_ms = offset_s * 1000
    return {}


def crash(world: World, step: StepSpec) -> Result:
    """Power will be lost in the next tap."""
    source = _table(step)
    at = word(source, "at", "before_commit")
    if at not in {"before_commit", "after_commit"}:
        raise DocumentInvalid("at must be before_commit or after_commit", line=step.line)
    world.machine(word(source, "terminal")).crash_at = at
    return {}


def tamper(world: World, step: StepSpec) -> Result:
    """Alters a stored entry behind the log's back."""
    source = _table(step)
    machine = world.machine(word(source, "terminal"))
    found = machine.log.by_nonce(word(source, "nonce"))
    if found is None:
        raise StepImpossible(f"{machine.name} holds no entry with this nonce")
    seq, entry = found
    value = source.get("value")
    if isinstance(value, float) or value is None or isinstance(value, Table | list):
        raise DocumentInvalid("value must be a text, a number, true or false", line=step.line)
    forged = canonical.encode({**entry, word(source, "field"): value}).decode()
    database = sqlite3.connect(machine.disk / "ledger.db", isolation_level=None)
    try:
        guards = database.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'entry'"
        ).fetchall()
        for name, _ in guards:
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute("UPDATE entry SET entry = ? WHERE seq = ?", (forged, seq))
        for _, statement in guards:
            database.execute(statement)
    finally:
        database.close()
    return {}


def restore(world: World, step: StepSpec) -> Result:
    """Puts an older image of a terminal's disk back."""
    source = _table(step)
    machine = world.machine(word(source, "terminal"))
    size = _number(source, "size", -1)
    images = machine.images or {}
    # Entries of one commit appear together: the disk never had a size between two of them.
    held = max((one for one in images if one <= size), default=None)
    if held is None or size > machine.log.size:
        kept = ", ".join(str(one) for one in sorted(images))
        raise StepImpossible(f"{machine.name} never had {size} entries; it had {kept}")
    machine.put_back(images[held])
    return {}


def clone(world: World, step: StepSpec) -> Result:
    """A second machine from a terminal's disk."""
    source = _table(step)
    world.clone(word(source, "terminal"), word(source, "as"))
    return {}


def export(world: World, step: StepSpec) -> Result:
    """Writes all entries without a receipt to a file."""
    source = _table(step)
    machine = world.machine(word(source, "terminal"))
    batches: list[bytes] = []
    at = machine.acknowledged()
    while (batch := next_batch(machine.log, at)) is not None:
        batches.append(encode_batch(batch))
        at = batch.end
    world.files[word(source, "file")] = (machine.name, tuple(batches))
    return asdict(wire.answer(machine, wire.SyncStatus.OK))


def import_(world: World, step: StepSpec) -> Result:
    """Brings a file to the server, by hand or through a connected terminal."""
    source = _table(step)
    name = word(source, "file")
    if name not in world.files:
        raise StepImpossible(f"there is no file {name!r}")
    owner, batches = world.files[name]
    machine = world.machine(owner)
    carrier = word(source, "at") or word(source, "terminal", "server")
    if carrier != "server" and not world.machine(carrier).online:
        return asdict(wire.answer(machine, wire.SyncStatus.OFFLINE))
    status, size = wire.SyncStatus.OK, world.centre.ledgers[machine.ledger].state.size
    for body in batches:
        batch: Batch = decode_batch(body, ledger=machine.ledger)
        headers = {"Content-Type": BATCH_MEDIA_TYPE}
        request = Request("POST", entries_path(batch.ledger), headers, body)
        response = world.take(request)
        status, held = wire.outcome_of(response, world.witness, machine.signer.name)
        size = size if held is None else held
        if status is not wire.SyncStatus.OK:
            break
    if status is wire.SyncStatus.OK:
        status = world.standing_of(machine.ledger)
    verdicts, flags = world.centre.told(machine.ledger)
    return {"status": status.value, "size": size, "verdicts": verdicts, "flags": flags}


def drop(world: World, step: StepSpec) -> Result:
    """A rush for one offer."""
    source = _table(step)
    share = source.get("offline_share", 0)
    if isinstance(share, bool) or not isinstance(share, int | float):
        raise DocumentInvalid("offline_share must be a number", line=step.line)
    return asdict(
        rush(
            world,
            world.offer(word(source, "offer")),
            members=_number(source, "members", 0),
            terminals=_number(source, "terminals", 0),
            offline_share=float(share),
            seed=_number(source, "seed", 0),
        )
    )


def settle(world: World, step: StepSpec) -> Result:
    """Puts what was admitted of an offer into a settlement statement."""
    offer = word(_table(step), "offer")
    for held in world.centre.ledgers.values():
        for event in held.events:
            if event.kind == Kind.REDEEM and event.text("offer") == offer:
                world.settled.add(event.text("nonce"))
    return {}


def _told(answer: till.Answer, zone: str) -> Result:
    found = asdict(answer)
    until_ms = found.pop("until_ms")
    found["until"] = None if until_ms is None else written(until_ms, zone)
    return found


def written(ms: int, zone: str) -> str:
    """An instant as RFC 3339 in the scenario's time zone."""
    moment: datetime = windows.local(ms, zone).astimezone(ZoneInfo(zone))
    return moment.isoformat()


def _table(step: StepSpec) -> Table:
    return table(step.argument, step.kind, step.line)


def _machine(world: World, step: StepSpec) -> Machine:
    argument = step.argument
    name = word(argument, "terminal") if isinstance(argument, Table) else argument
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise DocumentInvalid(f"{step.kind} needs a terminal", line=step.line)
    machine = world.machine(str(name))
    if machine.broken:
        raise StepImpossible(f"the ledger of {machine.name} cannot be opened: it is damaged")
    return machine


def _number(source: Table, key: str, default: int) -> int:
    value = source.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise DocumentInvalid(f"{key} must be a whole number", line=source.line_of(key))
    return value


_STEPS: Final[Mapping[str, Callable[[World, StepSpec], Result]]] = {
    "tap": tap,
    "void": void,
    "offline": cut,
    "online": cut,
    "sync": sync,
    "pull": pull,
    "set": changes.change,
    "clock": clock,
    "crash": crash,
    "lose_answer": lose_answer,
    "resend": resend,
    "tamper": tamper,
    "restore": restore,
    "clone": clone,
    "export": export,
    "import": import_,
    "drop": drop,
    "state": views.state,
    "settle": settle,
}
