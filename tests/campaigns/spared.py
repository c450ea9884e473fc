"""Mutants that no test can tell from the original, each with the reason."""

from __future__ import annotations

from typing import Final

#: By module, the code before and after: why both do the same.
SPARED: Final[dict[tuple[str, str, str], str]] = {}
