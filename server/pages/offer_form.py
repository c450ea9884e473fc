"""A draft as a form: every rule of the format has fields; what a form cannot show stays as JSON.

The document is cut into parts. Each part is written into fields and read back; one that does not
come back as it was (another program wrote more than the fields can hold) is left whole among the
further rules, so that no rule is ever lost by looking at it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from server.pages import offer_parts
from server.pages.filled import Filled
from server.pages.offer_parts import PARTS, Document
from server.pages.words import N_

NOT_JSON: Final = N_("not a JSON object; remove what stands here, or correct it")
_DAYS: Final = ("from", "until")
#: Form fields that another name of the format stands for.
_SHOWN_AS: Final = {
    "count": "n",
    "days": "n",
    "within": "n",
    "member_price_fen": "member_price",
    "list_price_fen": "list_price",
    "discount_per_mille": "discount",
    "discount_percent": "discount",
    "interval_minutes": "interval",
    "re_entry_minutes": "re_entry",
    "tolerance_minutes": "tolerance",
}
#: Where a fault of a whole table or row is shown.
_FIRST: Final = {
    "limits": "n",
    "hours": "start",
    "sessions": "start",
    "evidence": "name",
    "stock": "quantity",
    "companions": "max",
    "eligibility": "district",
    "scope": "district",
}


def fields_of(document: Mapping[str, Any]) -> dict[str, str]:
    """A document as the form shows it."""
    normal = offer_parts.normal(document)
    fields: dict[str, str] = {}
    held: set[str] = set()
    for part in PARTS:
        mine = {name: normal[name] for name in part.keys if name in normal}
        try:
            written = part.write(mine)
            filled = Filled(written)
            same = part.read(filled) == mine and not filled.faults
        except (TypeError, ValueError, AttributeError, KeyError):
            continue  # of another shape than the format's; it stays among the further rules
        if same:
            fields |= written
            held |= part.keys
    rest = {name: document.get(name, value) for name, value in normal.items() if name not in held}
    fields["rest"] = json.dumps(rest, ensure_ascii=False, indent=2) if rest else ""
    return fields


def document_of_form(filled: Filled) -> Document:
    """The document that a form describes; what cannot be read is noted in ``filled.faults``."""
    document: Document = {}
    for part in PARTS:
        document |= part.read(filled)
    rest = filled.text("rest")
    try:
        more = json.loads(rest) if rest else {}
    except (ValueError, RecursionError):
        more = None
    if isinstance(more, dict):
        return document | more
    filled.faults["rest"] = NOT_JSON
    return document


def field_of(path: str, filled: Filled, rest: Mapping[str, Any]) -> str:
    """The form's field for a path of the format, ``limits[0].per``; empty if there is none."""
    head, _, tail = path.replace("[", ".").replace("]", "").partition(".")
    if head in rest:
        return "rest"
    parts = [head, *(tail.split(".") if tail else ())]
    if head in filled.places and len(parts) > 1 and parts[1].isdecimal():
        places = filled.places[head]
        place = int(parts[1])
        if place >= len(places):
            return ""
        last = parts[2] if len(parts) > 2 and head != "hours" else _FIRST[head]
        if head == "sessions":
            last = _FIRST[head]
        return f"{head}.{places[place]}.{_SHOWN_AS.get(last, last)}"
    if len(parts) == 1:
        return f"{head}.{_FIRST[head]}" if head in _FIRST else _SHOWN_AS.get(head, head)
    return ".".join(parts[:2])


def next_year(document: Mapping[str, Any]) -> dict[str, Any]:
    """This year's edition of last year's offer: a new name, a year later, nothing given out."""
    copy = {name: value for name, value in document.items() if name not in {"version", "status"}}
    copy["id"] = f"{document['id']}-next"[:64]
    for name in _DAYS:
        text = str(document.get(name, ""))
        if text[:4].isdecimal():
            day = text[4:10]
            copy[name] = f"{int(text[:4]) + 1}{'-02-28' if day == '-02-29' else day}{text[10:]}"
    if isinstance(copy.get("stock"), dict):
        copy["stock"] = {k: v for k, v in copy["stock"].items() if k != "leases"}
    return copy
