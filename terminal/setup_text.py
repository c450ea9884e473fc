"""What a new machine is told once: its server, its place, its offers and its activation code.

The federation prints it as a QR; a scanner types it into the first page, or somebody types the
code alone where the rest was set up before the machine was sent out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sync.enrolment import SETUP_HEAD, setup_text
from terminal.configuration import TILES_MAX
from terminal.errors import ConfigInvalid

TEXT_CHARACTERS_MAX: Final = 600
_SERVER: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]_-]+(?:/[A-Za-z0-9._/-]*)?\Z")
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_CODE: Final = re.compile(r"[0-9A-Za-z]{5}(?:-?[0-9A-Za-z]{5}){3}\Z")


@dataclass(frozen=True, slots=True)
class SetupText:
    """One machine's beginning.

    Attributes:
        server: address of the central server; empty when only the code was given.
        venue: where it stands.
        profile: ``kiosk`` or ``counter``.
        offers: of a kiosk; one, or two to six to choose from.
        code: one-time activation code; it is never shown in a representation.
    """

    server: str
    venue: str
    profile: str
    offers: tuple[str, ...]
    code: str

    def __repr__(self) -> str:
        """Without the code."""
        return f"SetupText({self.server!r}, {self.venue!r}, {self.profile!r}, {self.offers!r})"

    def text(self) -> str:
        """The text of the QR."""
        return setup_text(self.server, self.venue, self.profile, self.offers, self.code)

    def configuration(self, name: str = "kiosk") -> str:
        """The ``terminal.toml`` of this machine."""
        lines = [
            "# Written at the first start. See docs/terminal.md.",
            "[terminal]",
            f'name = "{name}"',
            f'server = "{self.server}"',
            "",
            "[[position]]",
            f'id = "{self.profile}"',
            f'profile = "{self.profile}"',
            f'venue = "{self.venue}"',
        ]
        if len(self.offers) == 1:
            lines.append(f'offer = "{self.offers[0]}"')
        elif self.offers:
            quoted = ", ".join(f'"{one}"' for one in self.offers)
            lines.append(f"offers = [{quoted}]")
        return "\n".join(lines) + "\n"


def read_setup(text: str) -> SetupText:
    """Reads a scanned text, or a code alone.

    Raises:
        ConfigInvalid: it is neither; the message never repeats it.
    """
    words = text.strip().split()
    if len(text) <= TEXT_CHARACTERS_MAX and len(words) == 1 and _CODE.match(words[0]):
        return SetupText("", "", "", (), words[0])
    if len(text) > TEXT_CHARACTERS_MAX or len(words) != 6 or words[0] != SETUP_HEAD:
        raise ConfigInvalid("is neither a setup code nor the text of a setup QR", field="code")
    server, venue, profile, listed, code = words[1:]
    offers = () if listed == "-" else tuple(listed.split(","))
    good = (
        _SERVER.match(server)
        and all(_WORD.match(one) for one in (venue, *offers))
        and profile in ("kiosk", "counter")
        and (profile == "counter" or 1 <= len(set(offers)) <= TILES_MAX)
        and _CODE.match(code)
    )
    if not good:
        raise ConfigInvalid("has a field that is malformed; print the QR again", field="code")
    return SetupText(server, venue, profile, offers, code)
