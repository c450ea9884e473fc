"""Reads gettext's text catalogues (``.po``) as they lie in the source, with little memory.

Babel extracts and checks them in the tests; at run time it would cost a kiosk five megabytes to
read what are a few hundred pairs of lines. Only what our catalogues use is read: ``msgid``,
``msgid_plural``, ``msgstr`` and ``msgstr[0]``, continued lines, comments.
"""

from __future__ import annotations

import gettext
import re
from collections.abc import Callable, Iterable
from typing import Final

from screens.errors import CatalogueBroken

_LINE: Final = re.compile(r'(?:(msgid|msgid_plural|msgstr|msgstr\[0\])\s+)?"(.*)"\s*\Z')
_ESCAPE: Final = re.compile(r"\\(.)")
_ESCAPES: Final = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


class Catalogue(gettext.NullTranslations):
    """The messages of one language without plural forms, as Chinese has none."""

    def __init__(
        self, messages: dict[str, str], more: Callable[[], Catalogue] | None = None
    ) -> None:
        """Takes the messages by their English text; of plurals the singular is the key.

        Args:
            messages: English to Chinese.
            more: reads what is asked next, at the first message that is not among these.
        """
        super().__init__()
        self._messages = messages
        self._more = more

    def gettext(self, message: str) -> str:
        """The Chinese of a message, or what the fallback says."""
        return self._found(message) or super().gettext(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """The same for a message with a number."""
        return self._found(msgid1) or super().ngettext(msgid1, msgid2, n)

    def _found(self, message: str) -> str | None:
        found = self._messages.get(message)
        more = self._more
        if found is None and message and more is not None:
            self.add_fallback(more())
            self._more = None
        return found


def read_catalogue(text: str, source: str) -> dict[str, str]:
    """The messages of a catalogue.

    Args:
        text: the whole file.
        source: its name, for messages.

    Raises:
        CatalogueBroken: a line that is none, or a message without its translation.
    """
    messages: dict[str, str] = {}
    parts: dict[str, list[str]] = {}
    keyword = ""
    for number, line in enumerate([*text.splitlines(), ""], 1):
        bare = line.strip()
        if not bare:
            _keep(parts, messages, f"{source}, line {number}")
            parts, keyword = {}, ""
        elif not bare.startswith("#"):
            found = _LINE.match(bare)
            if found is None or not (found[1] or keyword):
                raise CatalogueBroken(f"{source}, line {number}: is no line of a catalogue")
            keyword = found[1] or keyword
            parts.setdefault(keyword, []).append(_ESCAPE.sub(_unescaped, found[2]))
    return messages


def _unescaped(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[1], match[0])


def _keep(parts: dict[str, list[str]], messages: dict[str, str], place: str) -> None:
    if not parts:
        return
    texts = {name: "".join(_joined) for name, _joined in parts.items()}
    translated = texts.get("msgstr", texts.get("msgstr[0]"))
    if translated is None or "msgid" not in texts:
        raise CatalogueBroken(f"{place}: a message without its translation")
    if texts["msgid"]:
        messages[texts["msgid"]] = translated


def joined(catalogues: Iterable[dict[str, str]]) -> Catalogue:
    """One catalogue of several; the first that has a message says it."""
    messages: dict[str, str] = {}
    for one in catalogues:
        messages = {**one, **messages}
    return Catalogue(messages)
