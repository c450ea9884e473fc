"""A plain reading of offers and ledgers, to hold the rules against: loops, and nothing shared.

It reads the offer as the scenario's file says it and the entries as the ledger holds them. What a
terminal wrote must be allowed by what that terminal could see; a decline must be warranted by what
happened anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from redcard.scenario.books import member_ref
from redcard.scenario.machine import Machine
from redcard.scenario.world import World

ZONE: Final = timezone(timedelta(hours=8))
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
UNITS: Final = {"m": 60_000, "h": 3_600_000}
Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tap:
    """Which card asks for what."""

    card: str
    offer: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Before:
    """What a terminal had seen when it was asked."""

    tap: Tap
    size: int
    online: bool
    own: tuple[Entry, ...]
    world: tuple[Entry, ...]
    unreceipted: tuple[Entry, ...]


class Model:
    """The plain reading of one life."""

    def __init__(self, document: Mapping[str, Any], world: World) -> None:
        self._document = document
        self._world = world
        self._at_risk = 0
        self._cloned_at = 0

    def before(self, machine: Machine, tap: Tap) -> Before:
        """Looks at the ledgers before a tap."""
        entries = machine.entries()
        held = machine.acknowledged()
        own = tuple(live(entries))
        return Before(
            tap,
            len(entries),
            machine.online,
            own,
            tuple(one for other in self._world.machines.values() for one in live(other.entries())),
            tuple(one for one in own if one["seq"] >= held),
        )

    def after(self, machine: Machine, before: Before, nonce: str) -> list[str]:
        """What the entry of a tap says that the plain reading does not; empty if they agree."""
        entries = machine.entries()
        found = [one for one in entries[before.size :] if one.get("nonce") == nonce]
        if sum(one.get("nonce") == nonce for one in entries) > 1:
            return [f"two entries of the nonce {nonce}"]
        if not found:
            return []
        (entry,) = found
        where = f"{nonce} of {before.tap} at {machine.name}"
        if entry["kind"] == "redeem":
            return [f"{where}: {why}" for why in self._forbidden(machine, before, entry)]
        code = str(entry["code"])
        if entry["kind"] == "reentry" or self._warranted(machine, before, entry, code):
            return []
        return [f"{where}: {code} without a reason in any ledger"]

    def cloned(self, machine: Machine) -> None:
        """From here on a second machine may spend what this one holds of its lease."""
        self._cloned_at = machine.log.size
        self._at_risk = sum(
            _number(one, "units")
            for one in machine.entries()
            if one["kind"] == "lease" and one["offer"] == "scarce-lease"
        )

    def stock_faults(self) -> list[str]:
        """Stock given out or still to be given beyond what there is."""
        faults = []
        given = {"scarce-lease": 0, "scarce-online": 0}
        for name, machine in self._world.machines.items():
            first = self._cloned_at if name == "clone" else 0
            for entry in live(machine.entries()):
                if entry["offer"] in given and entry["seq"] >= first:
                    given[entry["offer"]] += entry["quantity"]
        for offer, units in given.items():
            risk = self._at_risk if offer == "scarce-lease" else 0
            pool = self._document["offers"][offer]["stock"]["pool"]
            if units > pool + risk:
                faults.append(f"{units} of {pool} units of {offer} were given out")
        return faults

    def _forbidden(self, machine: Machine, before: Before, entry: Entry) -> Iterator[str]:
        """Why an approval must not be, by what the terminal itself could see."""
        offer = self._document["offers"][before.tap.offer]
        if self._card_status(before.tap.card) != "active":
            yield "the card is not in force"
        for code in self._closed(machine, before, entry):
            yield f"approved although {code}"
        for code in self._used(before.own, before.tap, offer, entry):
            yield f"approved beyond {code}"
        if not before.online and self._capped(machine, before, offer):
            yield "approved beyond its cap"
        lease = entry.get("lease")
        if lease and self._lease_overdrawn(machine, str(lease)):
            yield f"more than its units were taken from lease {lease}"

    def _warranted(self, machine: Machine, before: Before, entry: Entry, code: str) -> bool:
        """Whether something in the world is the reason of a decline."""
        offer = self._document["offers"][before.tap.offer]
        if code in {"C04", "C05", "C06", "C08"}:
            return self._card_status(before.tap.card) != "active"
        if code in {"O02", "O03", "O05", "O06", "M02"}:
            return code in set(self._closed(machine, before, entry))
        if code in {"L01", "L02", "L03", "L04"}:
            return any(self._used(before.world, before.tap, offer, entry))
        if code == "L08":
            return not before.online and self._capped(machine, before, offer)
        return True

    def _card_status(self, card: str) -> str:
        spec = self._document["cards"][card]
        replaced = any(one.get("replaces") == card for one in self._document["cards"].values())
        return str(spec.get("status", "replaced" if replaced else "active"))

    def _closed(self, machine: Machine, before: Before, entry: Entry) -> Iterator[str]:
        """Codes of place, time and person that stand against a tap."""
        offer = self._document["offers"][before.tap.offer]
        moment = datetime.fromtimestamp(entry["ts_ms"] / 1000, ZONE)
        if moment < datetime.fromisoformat(offer["from"]):
            yield "O02"
        if moment >= datetime.fromisoformat(offer["until"]):
            yield "O03"
        if "weekdays" in offer and DAYS[moment.weekday()] not in offer["weekdays"]:
            yield "O06"
        clock = f"{moment:%H:%M}"
        spans = [span.split("-") for span in offer.get("hours", ["00:00-24:00"])]
        if not any(start <= clock < end for start, end in spans):
            yield "O06"
        venue = machine.spec.venue
        if venue not in offer.get("venues", [venue]):
            yield "O05"
        place = self._document["venues"][venue]
        if any(place.get(name) != value for name, value in offer.get("scope", {}).items()):
            yield "O05"
        if not self._belongs(before.tap.card, offer.get("eligibility", {})):
            yield "M02"

    def _belongs(self, card: str, rule: Mapping[str, Sequence[str]]) -> bool:
        member = self._document["members"][self._document["cards"][card]["member"]]
        tags = set(member["tags"])
        return (
            member["district"] in rule.get("district", [member["district"]])
            and set(rule.get("tags_all", ())) <= tags
            and ("tags_any" not in rule or bool(set(rule["tags_any"]) & tags))
            and not set(rule.get("tags_none", ())) & tags
        )

    def _used(
        self, uses: Sequence[Entry], tap: Tap, offer: Mapping[str, Any], entry: Entry
    ) -> Iterator[str]:
        """Limits that a tap goes beyond, by some uses."""
        member = member_ref(self._document["cards"][tap.card]["member"])
        mine = [one for one in uses if one["member"] == member]
        own = [one for one in mine if one["offer"] == tap.offer]
        for limit in offer.get("limits", ()):
            group = limit.get("group")
            counted = own if group is None else [one for one in mine if self._in(one, group)]
            if _beyond(limit, counted, entry, tap.quantity):
                yield str(limit)
        interval_ms = _length(offer.get("interval", "0m"))
        if any(abs(entry["ts_ms"] - one["ts_ms"]) < interval_ms for one in own):
            yield "the interval"
        re_entry_ms = offer.get("re_entry_minutes", 0) * UNITS["m"]
        if any(0 <= entry["ts_ms"] - one["ts_ms"] < re_entry_ms for one in own):
            yield "re-entry"

    def _in(self, entry: Entry, group: str) -> bool:
        offer = self._document["offers"].get(entry["offer"], {})
        return any(limit.get("group") == group for limit in offer.get("limits", ()))

    def _capped(self, machine: Machine, before: Before, offer: Mapping[str, Any]) -> bool:
        """Whether a cut-off terminal goes beyond the offer's cap or its own."""
        tap, spec = before.tap, self._document["terminals"].get(machine.name, {})
        alone = [one for one in before.unreceipted if one["offer"] == tap.offer]
        beyond = offer.get("offline") == "capped" and _units(alone) + tap.quantity > offer["cap"]
        own = machine.spec.offline_cap if machine.name == "clone" else spec.get("offline_cap")
        return beyond or (own is not None and _units(before.unreceipted) + tap.quantity > own)

    def _lease_overdrawn(self, machine: Machine, lease: str) -> bool:
        entries = machine.entries()
        grants = [one for one in entries if one["kind"] == "lease" and one["lease"] == lease]
        taken = [one for one in live(entries) if one.get("lease") == lease]
        return _units(taken) > max((_number(one, "units") for one in grants), default=0)


def live(entries: Sequence[Entry]) -> Iterator[Entry]:
    """Redemptions that no void of the same ledger took back."""
    voided = {one["orig_seq"] for one in entries if one["kind"] == "void"}
    return (one for one in entries if one["kind"] == "redeem" and one["seq"] not in voided)


def _units(entries: Sequence[Entry]) -> int:
    return sum(_number(one, "quantity") for one in entries)


def _number(entry: Entry, name: str) -> int:
    value = entry[name]
    assert type(value) is int
    return value


def _length(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]


def _beyond(limit: Mapping[str, Any], uses: Sequence[Entry], entry: Entry, quantity: int) -> bool:
    if limit.get("scope") == "member_venue":
        uses = [one for one in uses if one["venue"] == entry["venue"]]
    if "days" in limit:
        days = {_period("day", one["ts_ms"]) for one in uses}
        return len(days | {_period("day", entry["ts_ms"])}) > int(limit["days"])
    if "within" in limit:
        first = min((one["ts_ms"] for one in uses), default=entry["ts_ms"])
        return bool(entry["ts_ms"] - first > _length(limit["within"]))
    now = _period(limit["per"], entry["ts_ms"])
    same = [one for one in uses if _period(limit["per"], one["ts_ms"]) == now]
    return _units(same) + quantity > int(limit["count"])


def _period(per: str, ts_ms: int) -> object:
    """Names the calendar period that an instant falls in."""
    moment = datetime.fromtimestamp(ts_ms / 1000, ZONE)
    return {
        "day": moment.date(),
        "week": moment.isocalendar()[:2],
        "month": (moment.year, moment.month),
        "quarter": (moment.year, (moment.month - 1) // 3),
        "half_year": (moment.year, (moment.month - 1) // 6),
        "year": moment.year,
        "offer": None,
    }[per]
