"""Exceptions of the scenario runner.

ScenarioError
├── DocumentInvalid     a scenario file is malformed; names file, line and key
└── StepImpossible      a step asks for what its scenario does not hold; names line and step
"""

from __future__ import annotations


class ScenarioError(Exception):
    """Root of all errors of the runner; nothing was played, or the play stopped there."""


class DocumentInvalid(ScenarioError):
    """A scenario file is malformed; the message names line and key.

    Attributes:
        line: line in the file, counted from 1.
    """

    def __init__(self, message: str, *, line: int) -> None:
        """Puts the line in front."""
        super().__init__(f"line {line}: {message}")
        self.line = line


class StepImpossible(ScenarioError):
    """A step asks for what its scenario does not hold, such as a terminal that is not there."""
