"""The first start of a machine without a command: a code, four short tests, and it is in service.

The page of :class:`FirstStart` asks for the code or the scanned text, looks at the reader, lets the
sounds be heard, takes a PIN for the staff corner and one practice tap that records nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final, Protocol

from screens.language import Language, Wording, wording
from screens.web import environment
from terminal.answers import ReaderShown, TapAnswer
from terminal.web.stage import Drawn
from terminal.web.view import Text, reader_good, text_for_member
from terminal.web.watchers import Watchers

POSITION: Final = "setup"
REGIONS: Final = ("head", "field", "foot")


@unique
class Step(StrEnum):
    """How far the machine has come."""

    CODE = "code"
    ACTIVATING = "activating"
    READER = "reader"
    SOUND = "sound"
    PIN = "pin"
    PRACTICE = "practice"
    DONE = "done"


#: Steps that the page counts, in their order.
COUNTED: Final = (Step.CODE, Step.READER, Step.SOUND, Step.PIN, Step.PRACTICE)


class SetupHost(Protocol):
    """What a first start does to the machine; every method may take a while."""

    def activate(self, text: str) -> str:
        """Enrols with a code or a scanned text; empty, or a word for what went wrong."""

    def reader(self) -> ReaderShown:
        """The reader now; known after the activation."""

    def set_pin(self, pin: str) -> bool:
        """Sets the PIN of the staff corner; ``False`` when it is no PIN."""

    def practise(self) -> TapAnswer | None:
        """Waits for one card and answers it without recording; ``None`` when none came."""

    def finish(self) -> None:
        """The machine goes into service."""


@dataclass(frozen=True, slots=True)
class SetupScene:
    """One whole page."""

    step: str
    number: int
    steps: int
    title: str
    lead: str
    said: str
    reader: str
    reader_good: bool
    answer: Text | None
    green: bool
    waiting: bool
    language: Language
    venue: str = ""
    sound: str = ""
    sound_key: str = ""
    shown: str = ""


def _(text: str) -> str:
    """Marks a text for translation where it stands in a table."""
    return text


_TITLES: Final = {
    Step.CODE: (_("Welcome"), _("Scan the QR on the letter, or type the code.")),
    Step.ACTIVATING: (_("Activating"), _("This takes a few seconds. Please leave it switched on.")),
    Step.READER: (_("Is the reader there?"), _("Plug it in; the light turns by itself.")),
    Step.SOUND: (_("Can you hear it?"), _("Touch each one, and turn the machine up or down.")),
    Step.PIN: (_("A PIN for the staff"), _("4 to 12 digits. It opens today's figures, no more.")),
    Step.PRACTICE: (
        _("One practice tap"),
        _("Hold any member's card to the reader; nothing counts."),
    ),
    Step.DONE: (_("Ready"), _("The machine is going into service.")),
}
_SAID: Final = {
    "invalid": _("This is neither a code nor the text of the QR. Please look again."),
    "refused": _("The federation refused this code. Please ask for a new one: 12351."),
    "unreachable": _("The federation cannot be reached. Please check the network, then try again."),
    "machine": _("This machine cannot store its files. Please call the service: 12351."),
    "pin": _("A PIN has 4 to 12 digits."),
    "no_card": _("No card came. Please try once more."),
}


class FirstStart(Watchers):
    """The stage of the first page; lives on one event loop, its work in threads."""

    page = "setup"
    position = POSITION
    #: A reader that is plugged in must be seen at once.
    beat_s = 1.0

    def __init__(self, host: SetupHost) -> None:
        """Asks ``host`` for everything that is done to the machine."""
        self._host = host
        super().__init__()
        self._switched = False
        self.step = Step.CODE
        self.said = ""
        self.waiting = False
        self.answer: TapAnswer | None = None
        self._reader = ReaderShown("", "absent")

    async def refresh(self) -> None:
        """Looks at the reader again."""
        if self.step in (Step.READER, Step.PRACTICE):
            self._reader = await asyncio.to_thread(self._host.reader)
        self.wake()

    async def press(self, action: str, value: str) -> None:
        """A touch or a sent form; one without a meaning now does nothing."""
        if action == "language":
            self._switched = not self._switched
        elif self.waiting:
            return
        elif action == "code" and self.step is Step.CODE:
            await self._activate(value)
        elif action == "next" and self.step is Step.READER and reader_good(self._reader):
            self._go(Step.SOUND)
        elif action == "next" and self.step is Step.SOUND:
            self._go(Step.PIN)
        elif action == "pin" and self.step is Step.PIN:
            good = await asyncio.to_thread(self._host.set_pin, value)
            self._go(Step.PRACTICE) if good else self._say("pin")
        elif action == "practise" and self.step is Step.PRACTICE:
            await self._practise()
        elif action == "next" and self.step is Step.PRACTICE and self.answer is not None:
            self._go(Step.DONE)
            self.wake()
            await asyncio.to_thread(self._host.finish)
        await self.refresh()

    async def _activate(self, text: str) -> None:
        self._go(Step.ACTIVATING)
        self.waiting = True
        self.wake()
        word = await asyncio.to_thread(self._host.activate, text)
        self.waiting = False
        self._go(Step.CODE if word else Step.READER)
        self._say(word)

    async def _practise(self) -> None:
        self.waiting, self.said = True, ""
        self.wake()
        self.answer = await asyncio.to_thread(self._host.practise)
        self.waiting = False
        if self.answer is None:
            self._say("no_card")

    def _go(self, step: Step) -> None:
        self.step, self.said = step, ""

    def _say(self, word: str) -> None:
        self.said = word

    def scene(self, language: Language) -> SetupScene:
        """The page at this moment, for a browser of this language."""
        language = language.other if self._switched else language
        words = wording(language)
        title, lead = _TITLES[self.step]
        counted = self.step if self.step in COUNTED else Step.CODE
        said = words.gettext(_SAID[self.said]) if self.said in _SAID else ""
        return SetupScene(
            step=self.step.value,
            number=len(COUNTED) if self.step is Step.DONE else COUNTED.index(counted) + 1,
            steps=len(COUNTED),
            title=words.gettext(title),
            lead=words.gettext(lead),
            said=said,
            reader=_reader_word(self._reader, words),
            reader_good=reader_good(self._reader),
            answer=text_for_member(self.answer.message, language) if self.answer else None,
            green=self.answer is not None and self.answer.outcome == "approve",
            waiting=self.waiting,
            language=language,
        )

    def draw(self, language: Language) -> Drawn:
        """The page as its regions."""
        scene = self.scene(language)
        env = environment(scene.language, "terminal.web")
        regions = {
            name: env.get_template(f"setup_{name}.html").render(scene=scene) for name in REGIONS
        }
        body = {
            "page": self.page,
            "state": scene.step,
            "next": "/kiosk" if self.step is Step.DONE else "",
        }
        return Drawn(scene.language, body, regions, "", "", "", None, scene)


def _reader_word(reader: ReaderShown, words: Wording) -> str:
    if reader_good(reader):
        return words.gettext("The reader is ready")
    return words.gettext("No reader yet")
