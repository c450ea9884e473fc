"""What may be asked of the counter's daily work by name: one table for API and command line.

A question is a GET with texts, an act a POST with typed fields. ``position`` is always one of them
and the first position is meant when it is absent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from terminal.answers import plain
from terminal.errors import RequestInvalid

if TYPE_CHECKING:
    from terminal.counterwork import CounterWork


@dataclass(frozen=True, slots=True)
class Path:
    """One question or act: the method of ``CounterWork`` and the types of its fields.

    Attributes:
        wraps: name under which a list or ``None`` stands in the document, or empty for a record.
        placeless: it takes no position.
        renamed: field of the request to argument of the method, where they differ.
    """

    method: str
    fields: Mapping[str, type] = field(default_factory=dict)
    wraps: str = ""
    placeless: bool = False


QUESTIONS: Final[Mapping[str, Path]] = {
    "collection": Path("collection", wraps="collection"),
    "collection/sheet": Path("sheet", {"batch": str}, "collection", placeless=True),
    "search": Path("search", {"q": str, "limit": int}, "found"),
    "inquiry": Path("account", {"wait_ms": int}),
    "shift/selftest": Path("self_test", wraps="lamps"),
    "shift/goods": Path("closing", wraps="goods"),
    "goods": Path("goods", wraps="goods"),
    "goods/movements": Path("movements", wraps="movements"),
    "holds": Path("holds", wraps="holds"),
    "manual": Path("manual_lines", wraps="lines"),
    "practice": Path("practice"),
    "bookings": Path("bookings", {"day": str}, "bookings"),
}

ACTS: Final[Mapping[str, Path]] = {
    "typed": Path("typed", {"keys": list, "times": list}, "served"),
    "collection/begin": Path("begin_collection", {"offer": str, "quantity": int, "hold": str}),
    "collection/remove": Path("remove_card", {"number": int}),
    "collection/confirm": Path("confirm_collection", {"batch": str}),
    "collection/cancel": Path("cancel_collection"),
    "shift/open": Path("open_shift", {"operator": str, "take_over": bool}),
    "shift/close": Path("close_shift", {"counted": dict, "reason": str}),
    "goods/receive": Path(
        "receive_goods",
        {
            **dict.fromkeys(
                ("offer", "reason", "parcel", "transfer", "from_venue", "slip", "nonce"), str
            ),
            **dict.fromkeys(("quantity", "expected"), int),
            "numbers": list,
        },
    ),
    "goods/send": Path(
        "send_goods",
        {
            **dict.fromkeys(("offer", "to_venue", "nonce"), str),
            "quantity": int,
            "numbers": list,
        },
    ),
    "holds/place": Path("place_hold", {"offer": str, "units": int, "minutes": int, "label": str}),
    "holds/release": Path("release_hold", {"hold": str}),
    "practice/start": Path("start_practice"),
    "practice/end": Path("end_practice"),
    "bookings/add": Path(
        "book",
        {**dict.fromkeys(("offer", "session", "last4", "name"), str), "units": int},
    ),
    "manual/sheet": Path("issue_sheet", wraps="sheet"),
    "manual/add": Path(
        "add_manual",
        {
            **dict.fromkeys(
                ("sheet", "offer", "day", "reason", "supervisor", "supervisor_pin"), str
            ),
            **dict.fromkeys(("line", "quantity"), int),
            "with_card": bool,
        },
    ),
}

_RENAMED: Final = {"q": "query"}


def ask(work: CounterWork, positions: tuple[str, ...], path: str, query: Mapping[str, str]) -> Any:
    """Answers a question as a plain document.

    Raises:
        RequestInvalid: a field is unknown, missing or of the wrong type.
        TerminalError: as the method says.
    """
    one = QUESTIONS[path]
    given: dict[str, Any] = {}
    for name, value in query.items():
        if one.fields.get(name) is int:
            if not (value.isascii() and value.isdigit() and len(value) <= 9):
                raise RequestInvalid("a whole number", field=name)
            given[name] = int(value)
        else:
            given[name] = value
    return _call(work, one, positions, given)


def act(work: CounterWork, positions: tuple[str, ...], path: str, body: Mapping[str, Any]) -> Any:
    """Does an act; its answer as a plain document.

    Raises:
        RequestInvalid: a field is unknown, missing or of the wrong type; nothing was recorded.
        TerminalError: as the method says.
    """
    return _call(work, ACTS[path], positions, dict(body))


def _call(work: CounterWork, one: Path, positions: tuple[str, ...], given: dict[str, Any]) -> Any:
    position = given.pop("position", None) or positions[0]
    for name, value in given.items():
        wanted = one.fields.get(name)
        if wanted is None:
            known = ", ".join(sorted(one.fields)) or "none"
            raise RequestInvalid(f"is not known; known are {known}", field=name[:64])
        if type(value) is not wanted:
            raise RequestInvalid(f"must be of type {wanted.__name__}", field=name)
    arguments = {_RENAMED.get(name, name): value for name, value in given.items()}
    if not one.placeless:
        arguments["position"] = position
    method: Callable[..., object] = getattr(work, one.method)
    try:
        answer = plain(method(**arguments))
    except TypeError as error:
        raise RequestInvalid(f"is missing ({error})", field="body") from error
    if one.wraps:
        return {one.wraps: answer}
    return {} if answer is None else answer
