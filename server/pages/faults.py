"""What services say when they refuse, in the language of the page.

A service writes its refusal in English, with names and numbers in it. Each is listed here once, as
it is written there with a place for each name, so that it can be said in Chinese; a test holds the
list against the services. What is not listed is shown as it is, marked as English.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from screens.language import Language, wording
from server.pages import offer_faults
from server.pages.patterns import Patterns, patterns
from server.pages.words import N_

#: Refusals as services write them; ``%(a)s`` and so on stand for what differs.
FAULTS: Final = (
    N_("no person is called %(a)s; nothing was done"),
    N_("person: 2 to 32 of a-z, 0-9, dot, hyphen and _, a letter first"),
    N_("name: 1 to 64 characters"),
    N_("role %(a)s: %(b)s"),
    N_("scope: at most 64 characters"),
    N_(
        "scope: a district's name for district, district/street for street, the merchant for "
        "merchant, nothing for the others"
    ),
    N_("nobody changes their own rights; another person must"),
    N_("there is a person %(a)s already; nothing was changed"),
    N_("sign in with name, password and code"),
    N_("sign in first"),
    N_("the new password is the old one"),
    N_("the old password is wrong; nothing was changed"),
    N_("begin with name and password"),
    N_("a second factor is set up already; another person can reset it"),
    N_("no second factor is set up; begin one first"),
    N_("a password has %(a)s characters or more"),
    N_("a password is not the own name, and not the same letters over again"),
    N_("%(a)s has no right %(b)s; nothing was done"),
    N_("there is no draft %(a)s"),
    N_("an offer has at most %(a)s bytes"),
    N_("id: a short name of the offer"),
    N_("a remark has at most %(a)s characters"),
    N_("draft %(a)s is %(b)s; nothing was changed"),
    N_("another author's draft"),
    N_("nobody passes their own offer; another person must"),
    N_("another author's, or published; write a new draft"),
    N_(
        "%(a)s may do this for offers of their own level, at venues of %(b)s alone; "
        "nothing was done"
    ),
    N_("%(a)s is not running; suspend it instead"),
    N_("no offer is called %(a)s"),
    N_("the server's clock stands before the last publication; set it right and publish again"),
    N_("a file of venues has at most %(a)s bytes"),
    N_("the stock of %(a)s is not divided among venues; terminals lease from one pool"),
    N_("reason: one of %(a)s"),
    N_("a transfer moves one unit or more between two venues"),
    N_("no request %(a)s is open; nothing was changed"),
    N_("no lease %(a)s is open; nothing was changed"),
    N_("%(a)s does not give %(b)s; nothing was changed"),
    N_(
        "%(a)s has given out %(b)s units; it cannot have %(c)s; recall them first; "
        "nothing was changed"
    ),
    N_("no venue is called %(a)s; nothing was asked"),
    N_("no venue is called %(a)s"),
    N_("%(a)s has no stock to lease"),
    N_("%(a)s has no stock"),
    N_("person: a sign-in name"),
    N_("the remark is empty"),
    N_("decision: one of %(a)s"),
    N_("there is no such case here"),
    N_("it is closed already; open it again first"),
    N_("it is not closed; nothing was changed"),
    N_("month %(a)s: write yyyy-mm, for example 2014-05"),
    N_("year %(a)s: write yyyy, for example 2014"),
    N_("period %(a)s: write yyyy-mm or yyyy, for example 2014-05"),
    N_("period %(a)s: the year must be from 1970 to 9998"),
    N_("%(a)s is not over yet; nothing was stated"),
    N_("fen: from 0 to 1,000,000,000"),
    N_("an adjustment has units or an amount; nothing was changed"),
    N_("amount: yuan with at most two decimals, for example -12.50"),
    N_("no merchant is called %(a)s; nothing was stated"),
    N_("it is settled already; nothing was changed"),
    N_("a dispute is open; decide it first; nothing was changed"),
    N_("no statement %(a)s"),
    N_("this statement is another merchant's"),
    N_("it is settled; ask for an adjustment; nothing was changed"),
    N_("no dispute %(a)s is open; nothing was changed"),
    N_("nobody decides their own dispute; nothing was changed"),
    N_("this entry is in no statement of yours"),
    N_("no receipt covers %(a)s"),
    N_("position: <ledger>/<seq>"),
    N_("no ledger %(a)s"),
    N_("day: within the last %(a)s days"),
    N_("say what is looked for"),
    N_("the last four digits of the card"),
    N_("day %(a)s: write yyyy-mm-dd"),
    N_("there is no configuration %(a)s; nothing was changed"),
    N_("%(a)s=%(b)s: %(c)s; nothing was changed"),
    N_("no terminal is called %(a)s"),
    N_("reason %(a)s: %(b)s"),
    N_("no ledger or terminal %(a)s that could be revoked"),
    N_("no ledger of this name is enrolled here"),
    N_("terminal %(a)s: 1 to 64 of a-z, 0-9 and hyphen"),
    N_("name a venue"),
    N_("columns are member, %(a)s"),
    N_("the file is not UTF-8; nothing was changed"),
    N_("not a CSV: %(a)s; nothing was changed"),
    N_("name <ledger>/<seq> and a reason: %(a)s"),
    N_("member: 16 digits 0-9 and a-f"),
    N_("%(a)s: kept are %(b)s, at most %(c)s letters"),
    N_("purpose: one of %(a)s; nothing was shown"),
    N_("no machine %(a)s with this fingerprint waits"),
    N_("a list of terminals has at most %(a)s bytes"),
    N_("columns are %(a)s; nothing was made"),
    N_("a list has at most %(a)s rows; nothing was made"),
    N_("the list is not UTF-8; nothing was made"),
    N_("not a CSV: %(a)s; nothing was made"),
    N_("terminal %(a)s stands twice in the list"),
    N_("a kiosk needs the offers that it redeems, separated by spaces"),
    N_("profile %(a)s: %(b)s"),
    N_("another machine has asked with this code; ask for a new code"),
    N_("units: a whole number, not %(a)s"),
    N_("the moment: day and time, for example 2014-05-30T10:00"),
    N_("too many requests"),
    N_("some fields cannot be read; what is wrong stands beside them"),
)


def said(message: str, language: Language) -> tuple[str, str]:
    """A refusal in a language, and the tag of the language that it is in now."""
    told = offer_faults.said(message, language)
    if told is not None:
        return told, language.tag
    if language is Language.EN:
        return message, language.tag
    for pattern, text in _patterns():
        found = pattern.fullmatch(message)
        if found is not None:
            return wording(language).gettext(text) % found.groupdict(), language.tag
    return message, Language.EN.tag


@cache
def _patterns() -> Patterns:
    return patterns(FAULTS)
