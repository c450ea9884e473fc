"""Exceptions of firmware profiles.

ProfileError
├── ProfileInvalid      one file is wrong; names the file, the field and the remedy
└── ProfileTie          two profiles claim the same reader with the same score
"""

from __future__ import annotations


class ProfileError(Exception):
    """Root of all errors raised by ``firmware_profiles``."""


class ProfileInvalid(ProfileError):
    """A profile file is wrong."""


class ProfileTie(ProfileError):
    """Two profiles claim the same reader with the same score."""
