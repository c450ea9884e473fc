"""One reader of outside bytes, as the campaign ``fuzz`` takes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Parser:
    """One reader of outside bytes.

    Attributes:
        read: takes an input; what it returns does not matter.
        declared: errors that it may raise.
        seeds: good inputs; each must be read without an error.
        limit_ms: how long one input may take.
    """

    read: Callable[[bytes], object]
    declared: tuple[type[Exception], ...]
    seeds: Callable[[], Sequence[bytes]]
    limit_ms: float = 10.0


def text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    """A reader of text, fed with any bytes as a file or a keyboard would."""
    return lambda data: read(data.decode("utf-8", "surrogateescape"))
