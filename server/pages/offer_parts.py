"""The parts of an offer's document, each with how it stands in a form and how it is read there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from server.pages.filled import UNITS, Filled, instant, moment_of

Document = dict[str, Any]
Fields = dict[str, str]
TEXTS: Final = (
    "id title title_en category brand programme campaign level owner kind phone basis"
).split()
LINES: Final = "opening_text venues_text eligibility_text bring_text note_text".split()
NUMBERS: Final = ("cap", "proxy_cards", "booking_days")
FLAGS: Final = ("home_venue", "identified", "identity_check", "proxy_collect")
CHOICES: Final = ("offline", "holidays", "booking")
DURATIONS: Final = ("interval", "re_entry", "tolerance")
BOUNDS: Final = ("count", "days", "within_m", "within_h", "within_d")
_PLACES: Final = ("district", "street", "level")
_WHO: Final = ("district", "street", "tags_all", "tags_any", "tags_none")
#: A row as it is added: field to what stands in it.
FRESH: Final[Mapping[str, Fields]] = {
    "limits": {"bound": "count", "n": "", "per": "day", "scope": "member"},
    "hours": {"start": "", "end": ""},
    "sessions": {"date": "", "start": "", "end": ""},
    "evidence": {"name": "", "title": "", "title_en": "", "required": "1"},
}


@dataclass(frozen=True, slots=True)
class Part:
    """Keys of a document that stand together in a form.

    Attributes:
        keys: of the document.
        write: the part as fields.
        read: fields as the part.
    """

    keys: frozenset[str]
    write: Callable[[Document], Fields]
    read: Callable[[Filled], Document]


def normal(document: Mapping[str, Any]) -> Document:
    """A document in the longer of two ways that the format allows, times in the city's zone."""
    made = dict(document)
    for name in DURATIONS:
        if type(made.get(f"{name}_minutes")) is int and name not in made:
            made[name] = f"{made.pop(f'{name}_minutes')}m"
    if type(made.get("discount_percent")) is int:
        made["discount_per_mille"] = made.pop("discount_percent") * 10
    if type(made.get("companions")) is int:
        made["companions"] = {"max": made["companions"]}
    for name in ("from", "until"):
        made |= _placed(made, name)
    for name in ("weekdays", "keywords", "venues"):
        if isinstance(made.get(name), str):
            made[name] = [made[name]]
    for name in LINES:
        if isinstance(made.get(name), list) and len(made[name]) == 1:
            made[name] = made[name][0]
    if isinstance(made.get("limits"), list):
        made["limits"] = [_normal_limit(one) for one in made["limits"]]
    if isinstance(made.get("evidence"), list):
        made["evidence"] = [_with(one, required=True) for one in made["evidence"]]
    for name in ("eligibility", "scope"):
        if isinstance(made.get(name), dict):
            made[name] = {
                key: [value] if isinstance(value, str) else value
                for key, value in made[name].items()
            }
    if isinstance(made.get("stock"), dict):
        made["stock"] = _normal_stock(made["stock"])
    if made.get("holidays") == "ordinary":
        del made["holidays"]
    if made.get("booking") == "none":
        del made["booking"]
    return _filled(made.items())


def _with(value: Any, **defaults: Any) -> Any:
    return {**defaults, **value} if isinstance(value, dict) else value


def _placed(source: Mapping[str, Any], *names: str) -> Document:
    moments = {name: moment_of(source.get(name)) for name in names}
    return {name: instant(moment) for name, moment in moments.items() if moment is not None}


def _normal_limit(limit: Any) -> Any:
    made = _with(limit, per="offer", scope="member")
    return made | _placed(made, "since", "before") if isinstance(made, dict) else made


def _normal_stock(stock: Mapping[str, Any]) -> Document:
    modes = ("pool", "per_venue", "per_day", "per_session")
    made = dict(stock)
    for mode in modes:
        if mode in made and "mode" not in made:
            made |= {"mode": mode, "quantity": made.pop(mode)}
    if made.get("mode") in ("none", None):
        made.pop("mode", None)
    return {name: value for name, value in made.items() if value not in ("", {}, None)}


def _filled(pairs: Iterable[tuple[str, Any]]) -> Document:
    """What is there: nothing, false and an empty list say what their absence says."""
    return {
        name: value
        for name, value in pairs
        if value is not None and value is not False and value not in ("", [], {})
    }


def _write_plain(part: Document) -> Fields:
    fields = {name: part.get(name, "") for name in (*TEXTS, *CHOICES)}
    fields |= {name: str(part[name]) if name in part else "" for name in NUMBERS}
    fields |= {name: "1" if part.get(name) is True else "" for name in FLAGS}
    fields |= {name: " ".join(part.get(name, ())) for name in ("keywords", "venues", "weekdays")}
    return {name: str(value) for name, value in fields.items()}


def _read_plain(filled: Filled) -> Document:
    made = _filled((name, filled.text(name)) for name in (*TEXTS, *CHOICES))
    made |= _filled((name, filled.chosen(name)) for name in FLAGS)
    made |= _filled((name, filled.names(name)) for name in ("keywords", "venues", "weekdays"))
    numbers = {name: filled.number(name) for name in NUMBERS}
    return made | {name: value for name, value in numbers.items() if value is not None}


def _write_lines(part: Document) -> Fields:
    return {
        name: "\n".join(value) if isinstance(value := part.get(name, ""), list) else value
        for name in LINES
    }


def _read_lines(filled: Filled) -> Document:
    return _filled((name, filled.lines(name)) for name in LINES)


def _write_window(part: Document) -> Fields:
    fields = dict.fromkeys(("from", "from_time", "until", "until_time"), "")
    for name, back in (("from", 0), ("until", 1)):
        moment = moment_of(part.get(name))
        if moment is None:
            continue
        whole = not (moment.hour or moment.minute)
        fields[name] = f"{moment - timedelta(days=back if whole else 0):%Y-%m-%d}"
        fields[f"{name}_time"] = "" if whole else f"{moment:%H:%M}"
    return fields


def _read_window(filled: Filled) -> Document:
    return _filled((("from", filled.day("from")), ("until", filled.day("until", end=True))))


def _write_hours(part: Document) -> Fields:
    fields: Fields = {}
    for number, window in enumerate(part.get("hours", ())):
        fields |= _clocks(f"hours.{number}", window)
    return fields


def _clocks(row: str, window: str) -> Fields:
    start, _, end = window.partition("-")
    return {f"{row}.start": start, f"{row}.end": "00:00" if end == "24:00" else end}


def _read_hours(filled: Filled) -> Document:
    found = [filled.hours(row) for row in filled.rows("hours", ("start", "end"))]
    return _filled([("hours", ["-".join(one) for one in found if one])])


def _write_sessions(part: Document) -> Fields:
    fields: Fields = {}
    for number, one in enumerate(part.get("sessions", ())):
        row = f"sessions.{number}"
        if isinstance(one, str):
            fields |= {f"{row}.date": "", **_clocks(row, one)}
            continue
        start, end = moment_of(one["from"]), moment_of(one["until"])
        if start is None or end is None:
            raise ValueError
        fields[f"{row}.date"] = f"{start:%Y-%m-%d}"
        fields |= {f"{row}.start": f"{start:%H:%M}", f"{row}.end": f"{end:%H:%M}"}
    return fields


def _read_sessions(filled: Filled) -> Document:
    found: list[Any] = []
    for row in filled.rows("sessions", ("date", "start", "end")):
        clocks = filled.hours(row)
        if clocks is None or not filled.text(f"{row}.date"):
            found.append("-".join(clocks) if clocks else filled.text(f"{row}.date"))
            continue
        day = filled.day(f"{row}.date")
        moment = moment_of(day)
        if moment is not None:
            ends = [int(part) for one in clocks for part in one.split(":")]
            found.append(
                {
                    "from": instant(moment + timedelta(hours=ends[0], minutes=ends[1])),
                    "until": instant(moment + timedelta(hours=ends[2], minutes=ends[3])),
                }
            )
    return _filled([("sessions", found)])


def _write_limits(part: Document) -> Fields:
    fields: Fields = {}
    for number, limit in enumerate(part.get("limits", ())):
        row = f"limits.{number}"
        bound = next((name for name in ("count", "days", "within") if name in limit), "count")
        value = str(limit.get(bound, ""))
        if bound == "within":
            bound, value = f"within_{value[-1]}", value[:-1]
        fields |= {f"{row}.bound": bound, f"{row}.n": value}
        fields |= {f"{row}.{name}": limit[name] for name in ("per", "scope")}
        fields[f"{row}.group"] = limit.get("group", "")
        for name in ("since", "before"):
            moment = moment_of(limit.get(name))
            fields[f"{row}.{name}"] = f"{moment:%Y-%m-%dT%H:%M}" if moment else ""
    return fields


def _read_limits(filled: Filled) -> Document:
    found = []
    for row in filled.rows("limits", ("n", "group", "since", "before")):
        bound, units = filled.text(f"{row}.bound"), filled.number(f"{row}.n")
        limit: Document = {name: filled.text(f"{row}.{name}") for name in ("per", "scope")}
        if units is not None and bound.startswith("within_"):
            limit["within"] = f"{units}{bound[-1]}"
        elif units is not None:
            limit[bound if bound == "days" else "count"] = units
        limit["group"] = filled.text(f"{row}.group")
        limit |= {name: filled.moment(f"{row}.{name}") for name in ("since", "before")}
        found.append({name: value for name, value in limit.items() if value not in (None, "")})
    return _filled([("limits", found)])


def _write_length(value: Any, name: str) -> Fields:
    if value is None:
        return {name: "", f"{name}_unit": UNITS[0]}
    return {name: value[:-1], f"{name}_unit": value[-1]}


def _write_durations(part: Document) -> Fields:
    fields: Fields = {}
    for name in DURATIONS:
        fields |= _write_length(part.get(name), name)
    return fields


def _read_durations(filled: Filled) -> Document:
    return _filled((name, filled.duration(name)) for name in DURATIONS)


def _lines_of(pairs: Mapping[str, int]) -> str:
    return "\n".join(f"{name} {units}" for name, units in pairs.items())


def _write_stock(part: Document) -> Fields:
    stock = part.get("stock", {})
    mode, quantity = stock.get("mode", "none"), stock.get("quantity", "")
    split = mode == "per_venue"
    fields = {
        "stock.mode": mode,
        "stock.quantity": "" if split else str(quantity),
        "stock.per_venue": _lines_of(quantity) if split and quantity else "",
        "stock.split_text": stock.get("split_text", ""),
        "stock.leases": _lines_of(stock.get("leases", {})),
    }
    return fields | _write_length(stock.get("lease_ttl"), "stock.lease_ttl")


def _read_stock(filled: Filled) -> Document:
    mode = filled.text("stock.mode")
    quantity = filled.number("stock.quantity")
    pairs = filled.pairs("stock.per_venue")
    stock = {
        "mode": "" if mode == "none" else mode,
        "quantity": pairs if mode == "per_venue" else quantity,
        "split_text": filled.text("stock.split_text"),
        "leases": filled.pairs("stock.leases"),
        "lease_ttl": filled.duration("stock.lease_ttl"),
    }
    made = {name: value for name, value in stock.items() if value not in (None, "", {})}
    if made and "mode" not in made:
        made["mode"] = "none"
    return {"stock": made} if made else {}


def _write_who(part: Document) -> Fields:
    fields: Fields = {}
    for head, names in (("eligibility", _WHO), ("scope", _PLACES)):
        held = dict(part.get(head, {}))
        fields |= {f"{head}.{name}": " ".join(held.pop(name, ())) for name in names}
        if held:
            raise ValueError
    return fields


def _read_who(filled: Filled) -> Document:
    return _filled(
        (head, _filled((name, filled.names(f"{head}.{name}")) for name in names))
        for head, names in (("eligibility", _WHO), ("scope", _PLACES))
    )


def _write_price(part: Document) -> Fields:
    fields: Fields = {}
    for name in ("member_price", "list_price"):
        fen = part.get(f"{name}_fen")
        fields[name] = "" if fen is None else f"{fen // 100}.{fen % 100:02}".removesuffix(".00")
    left = part.get("discount_per_mille")
    fields["discount"] = "" if left is None else f"{left // 10}.{left % 10}".removesuffix(".0")
    return fields


def _read_price(filled: Filled) -> Document:
    found = {
        "member_price_fen": filled.decimal("member_price", 2),
        "list_price_fen": filled.decimal("list_price", 2),
        "discount_per_mille": filled.decimal("discount", 1),
    }
    return {name: value for name, value in found.items() if value is not None}


def _write_brought(part: Document) -> Fields:
    companions = part.get("companions", {})
    fields = {
        "companions.max": str(companions.get("max", "")),
        "companions.rule": companions.get("rule", ""),
    }
    for number, one in enumerate(part.get("evidence", ())):
        row = f"evidence.{number}"
        fields |= {f"{row}.{name}": one.get(name, "") for name in ("name", "title", "title_en")}
        fields[f"{row}.required"] = "1" if one["required"] else "0"
    return fields


def _read_brought(filled: Filled) -> Document:
    most, rule = filled.number("companions.max"), filled.text("companions.rule")
    evidence = []
    for row in filled.rows("evidence", ("name", "title", "title_en")):
        texts = ((name, filled.text(f"{row}.{name}")) for name in ("name", "title", "title_en"))
        required = filled.text(f"{row}.required") != "0"
        evidence.append({"required": required, **_filled(texts)})
    companions: Document = {} if most is None else {"max": most}
    companions |= {"rule": rule} if rule else {}
    return _filled([("companions", companions), ("evidence", evidence)])


def _part(keys: Iterable[str], write: Callable[[Document], Fields], read: Any) -> Part:
    return Part(frozenset(keys), write, read)


PARTS: Final = (
    _part(
        (*TEXTS, *CHOICES, *NUMBERS, *FLAGS, "keywords", "venues", "weekdays"),
        _write_plain,
        _read_plain,
    ),
    _part(LINES, _write_lines, _read_lines),
    _part(("from", "until"), _write_window, _read_window),
    _part(("hours",), _write_hours, _read_hours),
    _part(("sessions",), _write_sessions, _read_sessions),
    _part(("limits",), _write_limits, _read_limits),
    _part(DURATIONS, _write_durations, _read_durations),
    _part(("stock",), _write_stock, _read_stock),
    _part(("eligibility", "scope"), _write_who, _read_who),
    _part(("member_price_fen", "list_price_fen", "discount_per_mille"), _write_price, _read_price),
    _part(("companions", "evidence"), _write_brought, _read_brought),
)
