"""Makes docs/catalogue.md: what each phrase of the demo catalogue became.

.venv/bin/python -m tests.redcard.catalogue > docs/catalogue.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

DATA: Final = Path(__file__).parents[2] / "redcard" / "demo_data"
OFFERS: Final[list[dict[str, Any]]] = json.loads((DATA / "offers.json").read_text("utf-8"))
VENUES: Final[list[dict[str, Any]]] = json.loads((DATA / "venues.json").read_text("utf-8"))
PHRASES: Final[dict[str, dict[str, Any]]] = json.loads((DATA / "phrases.json").read_text("utf-8"))
#: A time or a window of it is a phrase by itself and becomes sittings or hours.
CLOCK: Final = re.compile(r"[0-9]{2}:[0-9]{2}(–[0-9]{2}:[0-9]{2})?")
SEPARATORS: Final = re.compile(r"[，、 ]+")
SHOWN_MAX: Final = 5
HEAD: Final = """\
# The demo catalogue, phrase by phrase
The catalogue's texts were written for people; this table says what each phrase became. A test fails
on a phrase that is neither structured nor listed as “shown, not enforced” with its reason, and on a
time or weekday that differs from its field. Texts stay in the offer and are shown as they are.

**What we must not hold** (sex, age, household, health, job, number plate) never becomes an
attribute of a member. The server gives a tag that says only “may take this”, or the clerk compares
the person with the document (M03). **No text says 每卡**: every limit counts per member, over all
of the member's cards. District ids are those of GB/T 2260 as they stood in 2014 (密云县 110228,
延庆县 110229). Venues that the catalogue names and the list of 342 stations and 18 museums lacks
are demo venues: their ids begin with another letter and they carry `"demo": true`.

Generated from `redcard/demo_data`; do not edit by hand.
"""


def texts(offer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every text of an offer that states a rule, with its field."""
    yield "opening_text", offer["opening_text"]
    for name in ("venues_text", "eligibility_text"):
        for text in offer[name]:
            yield name, text
    yield "companions.rule", offer["companions"]["rule"]
    yield "stock.split_text", offer["stock"].get("split_text", "")


def phrases(text: str) -> list[str]:
    """The phrases and times that a text is made of, in order; what is left over is one too."""
    found, rest = [], text
    by_length = sorted(PHRASES, key=len, reverse=True)
    while rest := SEPARATORS.sub("", rest, count=1) if SEPARATORS.match(rest) else rest:
        clock = CLOCK.match(rest)
        known = (
            clock[0] if clock else next((one for one in by_length if rest.startswith(one)), rest)
        )
        found.append(known)
        rest = rest[len(known) :]
    return found


def value(offer: Mapping[str, Any], field: str) -> Any:
    """The value of a dotted field, ``None`` if the offer has none."""
    found: Any = offer
    for name in field.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def became(offer: Mapping[str, Any], phrase: str) -> list[str]:
    """The fields that a phrase became, as the offer has them."""
    if CLOCK.fullmatch(phrase):
        return [name for name in ("sessions", "hours") if value(offer, name)]
    wanted = PHRASES[phrase].get("fields", ())
    return [
        name
        for group in wanted
        for name in group.split("|")
        if value(offer, name) not in (None, [], {}, "none")
    ]


def told(found: Any) -> str:
    """A value in few characters: long lists of venues by their number."""
    if isinstance(found, list) and len(found) > SHOWN_MAX:
        return f"[{json.dumps(found[0], ensure_ascii=False)}, … {len(found)}]"
    return json.dumps(found, ensure_ascii=False)


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Offer, text field, phrase, and what it became."""
    for offer in OFFERS:
        for field, text in texts(offer):
            for phrase in phrases(text):
                said = PHRASES.get(phrase, {})
                parts = [
                    f"`{name}` = `{told(value(offer, name))}`" for name in became(offer, phrase)
                ]
                parts += [said[name] for name in ("default", "tag") if name in said]
                parts += [f"shown, not enforced: {said['shown']}"] if "shown" in said else []
                yield offer["id"], field, phrase, "; ".join(parts)


def main() -> None:
    """Prints the page."""
    lines = [HEAD]
    last = ""
    for name, field, phrase, said in rows():
        if name != last:
            offer = next(one for one in OFFERS if one["id"] == name)
            lines += [
                f"\n## {name} {offer['title']}",
                "| text | phrase | became |",
                "|---|---|---|",
            ]
            last = name
        lines.append(f"| `{field}` | {phrase} | {said} |")
    print("\n".join(lines))  # noqa: T201 - this is its output


if __name__ == "__main__":
    main()
