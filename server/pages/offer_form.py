"""A draft as a form: the fields that every offer has, and the rest of the document as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from server.errors import ImportRefused

#: Plain texts of the form, by the document's own names.
TEXTS: Final = ("id", "title", "title_en", "category", "brand", "level", "owner", "kind", "phone")
_DAYS: Final = ("from", "until")
_MIDNIGHT: Final = "T00:00:00+08:00"
#: What the form itself holds of a document.
HELD: Final = frozenset({*TEXTS, *_DAYS, "venues", "offline"})


def fields_of(document: Mapping[str, Any]) -> dict[str, str]:
    """A document as the form shows it."""
    fields = {name: str(document.get(name, "")) for name in (*TEXTS, "offline")}
    fields |= {name: str(document.get(name, ""))[:10] for name in _DAYS}
    venues = document.get("venues")
    fields["venues"] = " ".join(venues) if isinstance(venues, list) else ""
    rest = {name: value for name, value in document.items() if name not in HELD}
    fields["rest"] = json.dumps(rest, ensure_ascii=False, indent=2)
    return fields


def document_of_form(form: Mapping[str, str]) -> dict[str, Any]:
    """The document that a form describes.

    Raises:
        ImportRefused: the rest is no JSON object.
    """
    try:
        rest = json.loads(form.get("rest") or "{}")
    except ValueError as fault:
        raise ImportRefused(f"further rules: not JSON: {fault}") from None
    if not isinstance(rest, dict):
        raise ImportRefused("further rules: a JSON object with the names of docs/offers.md")
    document: dict[str, Any] = {name: form[name] for name in (*TEXTS, "offline") if form.get(name)}
    document |= {name: form[name] + _MIDNIGHT for name in _DAYS if form.get(name)}
    if form.get("venues"):
        document["venues"] = form["venues"].split()
    return document | {name: value for name, value in rest.items() if name not in HELD}


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
