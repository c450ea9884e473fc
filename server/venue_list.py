"""The registry of venues as a spreadsheet: a CSV becomes the array of ``docs/offers.md``.

Columns are the fields of a venue; an empty cell is a field that is not said. Truth is ``true`` or
``false`` (``是``, ``否``), numbers are plain.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Final

from server.errors import ImportRefused

_TRUE: Final = frozenset({"true", "yes", "1", "是"})
_FALSE: Final = frozenset({"false", "no", "0", "否"})
_TEXTS: Final = (
    "id",
    "name",
    "name_en",
    "kind",
    "level",
    "district",
    "street",
    "phone",
    "zone",
    "address",
    "owner",
    "owner_kind",
)


def _truth(text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError(text)
    return text.lower() in _TRUE


def _number(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(text)
    return value


#: What a column of a venue holds; every other heading is refused.
_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    **dict.fromkeys(_TEXTS, str),
    **dict.fromkeys(("longitude", "latitude", "area_m2"), _number),
    **dict.fromkeys(("demo", "accepted", "street_facing", "outside_compound"), _truth),
}


def venues_of_csv(data: bytes) -> bytes:
    """Reads a CSV of venues as the JSON array that ``import_venues`` takes.

    Raises:
        ImportRefused: a heading or a cell is not sound; with its line; nothing was changed.
    """
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
        heading = [name.strip() for name in next(reader, [])]
        stray = [name for name in heading if name not in _READERS]
        if stray or "id" not in heading or len(set(heading)) != len(heading):
            raise ImportRefused(f"columns are {', '.join(_READERS)}, each once", line=1)
        documents = []
        for row in reader:
            if not row:
                continue
            if len(row) != len(heading):
                raise ImportRefused("not as many fields as the heading", line=reader.line_num)
            documents.append(_document(dict(zip(heading, row, strict=True)), reader.line_num))
    except UnicodeDecodeError:
        raise ImportRefused("the file is not UTF-8; nothing was changed") from None
    except csv.Error as error:
        raise ImportRefused(f"not a CSV: {error}; nothing was changed") from None
    return json.dumps(documents, ensure_ascii=False, indent=1).encode("utf-8")


def _document(row: Mapping[str, str], line: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, cell in row.items():
        text = cell.strip()
        if not text:
            continue
        try:
            found[name] = _READERS[name](text)
        except ValueError:
            raise ImportRefused(f"{name}: {text!r} cannot be read", line=line) from None
    return found
