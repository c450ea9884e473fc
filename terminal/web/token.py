"""The secret that opens the pages, kept for as long as the machine is on.

A kiosk has no hands: when the service restarts, its page must come back by itself, so the secret
outlives the service. It does not outlive the machine: a new boot makes a new one.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Final

from terminal.home import write_private

TOKEN_BYTES: Final = 32
_CHARACTERS_MIN: Final = 40


def kept_token(file: Path, boot_id: str) -> str:
    """The secret of this boot, made at its first use.

    Args:
        file: where it is kept, readable by this user alone.
        boot_id: names this boot of the machine, see ``terminal.clock.Clock``.
    """
    try:
        document = json.loads(file.read_bytes())
        boot, token = document["boot"], document["token"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        boot = token = None
    if boot == boot_id and isinstance(token, str) and len(token) >= _CHARACTERS_MIN:
        return token
    token = secrets.token_urlsafe(TOKEN_BYTES)
    content = json.dumps({"boot": boot_id, "token": token}).encode()
    write_private(file, content, replace=True)
    return token
