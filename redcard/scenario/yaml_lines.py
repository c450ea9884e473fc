"""YAML in which every key knows its line.

Only what JSON could say, too: mappings, sequences, texts, numbers, true, false and null. Times and
clock windows stay texts, so that ``09:30`` is never read as a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from redcard.scenario.errors import DocumentInvalid

if TYPE_CHECKING:
    import yaml

Plain: TypeAlias = "Table | list[Plain] | str | int | float | bool | None"

DEPTH_MAX: Final = 32
DIGITS_MAX: Final = 100
#: Values of one document, each alias counted as often as it is used.
VALUES_MAX: Final = 500_000
_MERGE: Final = "<<"

# With a leading zero it is a name that somebody numbered, not a number.
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_FLOAT: Final = re.compile(r"[-+]?[0-9]+\.[0-9]+\Z")
_WORDS: Final[Mapping[str, bool | None]] = {
    "true": True,
    "false": False,
    "null": None,
    "~": None,
    "": None,
}


class Table(dict[str, Plain]):
    """A mapping that knows where it and each of its keys stand."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}

    def line_of(self, key: str) -> int:
        """Line of a key, or of the mapping."""
        return self.lines.get(key, self.line)


def load(text: str) -> Iterator[Plain]:
    """Yields the documents of a YAML text.

    Raises:
        DocumentInvalid: not YAML, or something that JSON could not say.
    """
    import yaml

    try:
        for node in yaml.compose_all(text, Loader=yaml.SafeLoader):
            if node is not None:
                yield _plain(node, 0, [VALUES_MAX])
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        line = mark.line + 1 if mark is not None else 1
        raise DocumentInvalid(f"not YAML: {fault.problem or fault.context}", line=line) from None
    except yaml.YAMLError as fault:
        raise DocumentInvalid(f"not YAML: {fault}", line=1) from None


def _plain(node: yaml.Node, depth: int, left: list[int]) -> Plain:
    """A node as plain values; ``left`` counts down how many more there may be."""
    import yaml

    line = node.start_mark.line + 1
    left[0] -= 1
    if depth > DEPTH_MAX or left[0] < 0:
        raise DocumentInvalid("nested too deeply, or too large", line=line)
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, depth + 1, left) for item in node.value]
    assert isinstance(node, yaml.MappingNode)
    table = Table(line)
    for key_node, value_node in node.value:
        key_line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise DocumentInvalid("a key must be a text", line=key_line)
        key = str(key_node.value)
        if key in table.lines:
            raise DocumentInvalid(f"the key {key} stands twice", line=key_line)
        table[key] = _plain(value_node, depth + 1, left)
        table.lines[key] = key_line
    return _merged(table)


def _merged(table: Table) -> Table:
    """Takes in what stands under ``<<``: one mapping or several; own keys and earlier ones win."""
    if _MERGE not in table.lines:
        return table
    line = table.lines.pop(_MERGE)
    value = table.pop(_MERGE)
    for source in value if isinstance(value, list) else [value]:
        if not isinstance(source, Table):
            raise DocumentInvalid("<< takes a mapping, or a list of them", line=line)
        for key, inner in source.items():
            if key not in table:
                table[key] = inner
                table.lines[key] = source.line_of(key)
    return table


def _scalar(node: yaml.ScalarNode) -> Plain:
    value = str(node.value)
    if node.style is not None:
        return value
    if value.lower() in _WORDS:
        return _WORDS[value.lower()]
    if _INTEGER.match(value):
        if len(value) > DIGITS_MAX:
            raise DocumentInvalid(
                f"a number of more than {DIGITS_MAX} digits", line=node.start_mark.line + 1
            )
        return int(value)
    if _FLOAT.match(value):
        return float(value)
    return value
