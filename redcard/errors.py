"""Exceptions of the command.

CommandError
├── UsageInvalid        the words of the command are off (exit 2)
├── AnswerIsNo          the work was done and the answer is no (exit 1)
└── SurroundingsMissing something around us is missing; a retry may help (exit 3)
"""

from __future__ import annotations


class CommandError(Exception):
    """Root of the command's own errors.

    Attributes:
        exit_code: what the process ends with (DESIGN, section 6).
        next_step: what the person can do now, or empty.
    """

    exit_code = 1

    def __init__(self, message: str, *, next_step: str = "") -> None:
        """Keeps the next step beside the message."""
        super().__init__(message)
        self.next_step = next_step


class UsageInvalid(CommandError):
    """The words of the command are off."""

    exit_code = 2


class AnswerIsNo(CommandError):
    """The work was done and the answer is no."""

    exit_code = 1


class SurroundingsMissing(CommandError):
    """Something around us is missing; a retry may help."""

    exit_code = 3
