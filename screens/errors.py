"""Errors of the shared screens.

ScreensError
└── CatalogueBroken     a message catalogue cannot be read, or misses a language
"""

from __future__ import annotations


class ScreensError(Exception):
    """Base of what the screens raise."""


class CatalogueBroken(ScreensError):
    """A message catalogue is missing or cannot be parsed; reinstall the package."""
