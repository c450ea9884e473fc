"""Questions at the counter: what offers there are, and what a member has had and can still have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from screens.language import Language, Wording
from terminal.answers import PositionView
from terminal.web.panels import Button, Panel, PanelScene, WorkJob
from terminal.web.view import text_for_operator
from terminal.work_answers import AccountLine, AccountShown, Found

FOUND_SHOWN: Final = 12
QUERY_CHARACTERS_MAX: Final = 40


@dataclass(frozen=True, slots=True)
class FoundRow:
    """One offer found, with the sentence to read out."""

    id: str
    title: str
    facts: str
    aside: str


@dataclass(frozen=True, slots=True)
class FindData:
    """What was typed and what was found."""

    query: str
    rows: tuple[FoundRow, ...]


class FindPanel(Panel):
    """``/`` without a card: by name, pinyin initials, number or category."""

    name = "find"

    def __init__(self) -> None:
        super().__init__()
        self._query = ""
        self._found: tuple[Found, ...] = ()

    def begin(self, view: PositionView) -> WorkJob | None:
        """Everything at first, those of this venue on top."""
        del view
        return WorkJob("search", {"query": "", "limit": FOUND_SHOWN})

    def press(self, action: str, value: str) -> WorkJob | None:
        """A letter was typed, or the way out."""
        if action == "search":
            self._query = value[:QUERY_CHARACTERS_MAX]
            return WorkJob("search", {"query": self._query, "limit": FOUND_SHOWN})
        if action in ("back", "confirm"):
            self.done = True
        return None

    def answered(self, job: WorkJob, result: Any) -> WorkJob | None:
        """What was found; an answer to older letters is dropped."""
        if job.arguments.get("query") == self._query:
            self._found = tuple(result)
        return None

    def draw(self, view: PositionView, words: Wording) -> PanelScene:
        """The list, best first."""
        del view
        _ = words.gettext
        return PanelScene(
            self.name,
            _("Look up an offer"),
            FindData(self._query, tuple(_found(one, words) for one in self._found)),
            facts=(_("Is there any left, until when, where: read the line to the caller."),),
            buttons=(Button("back", _("Back"), "Esc"),),
            said=self.said(words),
            hints=(("Esc", _("back")),),
        )


def _found(one: Found, words: Wording) -> FoundRow:
    _ = words.gettext
    chinese = words.language is Language.ZH
    facts = [one.id]
    if one.until_ms:
        facts.append(_("until %(date)s") % {"date": words.date(one.until_ms - 1)})
    facts.append(_("given here") if one.here else _("not given here"))
    if one.phone:
        facts.append(one.phone)
    left = one.stock_left
    aside = "" if left is None else _("%(n)s left") % {"n": words.number(left)}
    title = one.title if chinese else one.title_en or one.title
    return FoundRow(one.id, title, " · ".join(facts), aside)


@dataclass(frozen=True, slots=True)
class AccountRow:
    """One offer in a member's account."""

    title: str
    word: str
    facts: str


@dataclass(frozen=True, slots=True)
class AccountData:
    """What a member has had and can still have."""

    year_units: int
    used: tuple[AccountRow, ...]
    possible: tuple[AccountRow, ...]
    as_of: str


class AccountPanel(Panel):
    """F3: a member asks about their own card. No name; it closes when the card is put away."""

    name = "account"

    def __init__(self) -> None:
        super().__init__()
        self._account: AccountShown | None = None

    def begin(self, view: PositionView) -> WorkJob | None:
        """Asks about the card at hand."""
        return WorkJob("account") if view.card is not None else None

    def changed(self, view: PositionView) -> WorkJob | None:
        """Another card is another member; without a card nothing is shown any more."""
        if view.card is None:
            self._account = None
            return None
        return WorkJob("account") if self._account is None else None

    def answered(self, job: WorkJob, result: Any) -> WorkJob | None:
        """The account."""
        del job
        self._account = result
        return None

    def draw(self, view: PositionView, words: Wording) -> PanelScene:
        """Used and possible."""
        _ = words.gettext
        account = self._account
        data = None
        if account is not None:
            data = AccountData(
                account.year_units,
                tuple(_account(one, words) for one in account.used),
                tuple(_account(one, words) for one in account.possible),
                f"{words.date(account.as_of_ms)} {words.clock(account.as_of_ms)}",
            )
        return PanelScene(
            self.name,
            _("A member's own account"),
            data,
            facts=(_("For the member alone: turn the screen, and put the card away after."),),
            buttons=(Button("back", _("Back"), "Esc", primary=True),),
            said=self.said(words) or ("" if view.card else _("Please tap the member's card.")),
            hints=(("Esc", _("back")),),
        )


def _account(line: AccountLine, words: Wording) -> AccountRow:
    _ = words.gettext
    chinese = words.language is Language.ZH
    facts = []
    if line.last_ms is not None:
        place = line.last_place if chinese else line.last_place_en or line.last_place
        facts.append(f"{words.date(line.last_ms)} {place}".strip())
    if not line.can_take:
        text = text_for_operator(line.message, words.language)
        facts.append(text.big)
    word = _("can take it") if line.can_take else "-"
    if line.used:
        word = _("had %(n)s") % {"n": words.number(line.used)}
    return AccountRow(
        line.title if chinese else line.title_en or line.title, word, " · ".join(facts)
    )
