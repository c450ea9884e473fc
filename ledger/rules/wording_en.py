"""The English words of each code, line for line as in ``wording_zh``."""

from __future__ import annotations

from typing import Final

from ledger.codes import Code
from ledger.rules.wording_zh import Wording

APPROVED: Final = {
    "entry": "Please enter",
    "ticket": "Please collect",
    "coupon": "Please collect",
    "discount": "Discount granted",
    "service": "Please proceed",
    "enrolment": "Enrolled",
}
ENTERED_TODAY: Final = "Already entered today"
PERIODS: Final = {
    "day": "today",
    "week": "this week",
    "month": "this month",
    "quarter": "this quarter",
    "half_year": "this half year",
    "year": "this year",
    "offer": "for this offer",
}
RESERVATION: Final = {
    "other_venue": "Booked at another venue",
    "other_terminal": "Booked at another counter",
    "too_many": "More than was booked",
    "used": "Booking already used",
    "expired": "Booking has expired",
    "not_genuine": "Booking could not be verified",
}

WORDS: Final[dict[Code, Wording]] = {
    Code.A00: (
        "{approved}",
        ("{offer_en} recorded", "Recorded"),
        "Approved",
        ("{offer_en} recorded", "Recorded, next please"),
    ),
    Code.A01: (
        "{approved}",
        "Recorded here, uploaded once online",
        "Approved (offline)",
        "Recorded here, uploaded once online",
    ),
    Code.A02: (
        "Let through",
        "Confirmed by the supervisor",
        "Overridden",
        ("Overrode {overridden}, recorded", "Recorded under the supervisor"),
    ),
    Code.A03: (
        "Already recorded, go in",
        ("Recorded at {time}, not counted again", "Recorded before, not counted again"),
        "Re-entry",
        ("Recorded at {time}, not counted again", "Recorded before, not counted again"),
    ),
    Code.C01: (
        "Card moved too soon",
        "Nothing recorded, tap again",
        "Card not fully read",
        "Nothing recorded, ask to tap again",
    ),
    Code.C02: (
        "Card not recognised",
        "Nothing recorded, please ask staff",
        "Chip did not prove itself",
        "Nothing recorded, check and report",
    ),
    Code.C03: (
        "Card not registered",
        "Please visit a service station",
        "Card not in the roster",
        "Nothing recorded, register the member",
    ),
    Code.C04: (
        "Card cannot be used now",
        "Please ask your bank or a station",
        "Card reported lost or blocked",
        "Nothing recorded, refer to the bank",
    ),
    Code.C05: (
        "Please use the new card",
        "This one was replaced, nothing recorded",
        "Card was replaced",
        "Nothing recorded, use the new card",
    ),
    Code.C06: (
        "Card has expired",
        "Please get a new one from the bank",
        "Card has expired",
        "Nothing recorded, refer to the bank",
    ),
    Code.C07: (
        "Several cards found",
        "Leave only one and tap again",
        "Several cards in the field",
        "Nothing recorded, leave only one",
    ),
    Code.C08: (
        "Card not activated",
        "It works once activated",
        "Card not activated",
        "Nothing recorded, activate it first",
    ),
    Code.M01: (
        "Membership needs renewal",
        "Please visit a service station",
        "Membership suspended",
        "Nothing recorded, update the member first",
    ),
    Code.M02: (
        "Not eligible for this offer",
        ("This offer is for {who}", "Nothing recorded, call 12351"),
        "Not eligible",
        ("For {who}", "Nothing recorded, see the rules"),
    ),
    Code.M03: (
        "Identity check",
        "Please show your own document",
        "Check the member's identity",
        "Nothing recorded yet, then confirm",
    ),
    Code.O01: (
        "Offer not found",
        "Please update offers and try again",
        "Offer not found",
        "Nothing recorded, sync and try again",
    ),
    Code.O02: (
        "Not started yet",
        ("Starts {date}", "Nothing recorded, see the start date"),
        "Not started yet",
        ("Starts {date}, nothing recorded", "Nothing recorded, see the dates"),
    ),
    Code.O03: (
        "Offer has ended",
        ("Ended {date}, nothing recorded", "Nothing recorded"),
        "Offer has ended",
        ("Ended {date}, nothing recorded", "Nothing recorded, see the dates"),
    ),
    Code.O04: (
        "Offer suspended",
        "Call 12351 for when it resumes",
        "Offer suspended",
        "Nothing recorded, wait for the office",
    ),
    Code.O05: (
        "Not offered here",
        ("Please go to {place}", "Nothing recorded, call 12351"),
        "Not offered here",
        ("Nothing recorded, refer to {place}", "Nothing recorded, see the venues"),
    ),
    Code.O06: (
        "Outside opening hours",
        ("Possible from {next}", "Nothing recorded, call 12351"),
        "Outside opening hours",
        ("From {next}, nothing recorded", "Nothing recorded, see the hours"),
    ),
    Code.O07: (
        "Please choose",
        ("{n} offers for this card", "Several offers for this card"),
        "Choose an offer",
        ("{n} offers, press a number", "Several offers, press a number"),
    ),
    Code.O08: (
        "Booking needed",
        ("Book by phone {phone}", "Call 12351 to book"),
        "No booking found",
        ("Nothing recorded, book at {phone}", "Nothing recorded, book first"),
    ),
    Code.O09: (
        "Booking not valid",
        ("{why}, {phone}", "{why}, call 12351", "Nothing recorded, call 12351"),
        "Booking not valid",
        ("{why}, nothing recorded", "Nothing recorded, check the booking"),
    ),
    Code.O10: (
        "Offer is set up wrongly",
        "Nothing recorded, the office was told",
        "Offer rules are faulty",
        "Nothing recorded, tell its publisher",
    ),
    Code.O11: (
        "More is needed",
        ("Needed: {what_en}", "Please give what staff ask for"),
        "More is needed",
        ("Needed: {what_en}", "Nothing recorded yet, fill in first"),
    ),
    Code.L01: (
        "Already used",
        ("Used on {date} at {place}", "Used on {date}", "Nothing recorded"),
        "Member's limit used up",
        ("Recorded {date} at {place}", "Recorded {date}", "Nothing recorded, see the history"),
    ),
    Code.L02: (
        "Used up for today",
        ("Recorded at {time}, again tomorrow", "Nothing recorded, come another day"),
        "Member's day limit used up",
        ("Recorded {time} at {place}", "Nothing recorded, see the history"),
    ),
    Code.L03: (
        "Used up {period}",
        ("Again from {until}", "Nothing recorded, call 12351"),
        "Member's limit used up {period}",
        ("Again from {until}, nothing recorded", "Nothing recorded, see the history"),
    ),
    Code.L04: (
        "Too soon after the last",
        ("Again from {next}", "Nothing recorded, come back later"),
        "Too soon after the last",
        ("From {next}, nothing recorded", "Nothing recorded, see the history"),
    ),
    Code.L05: (
        "All given out",
        ("Next batch {next}", "Nothing recorded, call 12351"),
        "Stock given out",
        ("Nothing recorded, next batch {next}", "Nothing recorded, ask for a transfer"),
    ),
    Code.L06: (
        "All given out here",
        ("Some left at {place}", "Some left elsewhere"),
        "This venue's quota is used up",
        "Nothing recorded, ask for a transfer",
    ),
    Code.L07: (
        "This machine has none left",
        "Continues once online",
        "This machine has none left",
        "Nothing recorded, refills once online",
    ),
    Code.L08: (
        "Offline limit reached",
        "Please try again once online",
        "Offline limit reached",
        "Nothing recorded, upload to resume",
    ),
    Code.T01: (
        "Machine out of use",
        ("Please go to {place}", "Please use another venue"),
        "Machine was revoked",
        "Nothing recorded, stored entries still upload",
    ),
    Code.T02: (
        "Data out of date",
        "Staff: please go online",
        "Data out of date",
        "Nothing recorded, go online first",
    ),
    Code.T03: (
        "Clock is wrong",
        "Please ask staff",
        "Clock is wrong",
        "Nothing recorded, set the clock",
    ),
    Code.T04: (
        "Needs a connection",
        "Nothing recorded, come back once online",
        "Needs a connection",
        "Nothing recorded, check the network",
    ),
    Code.T05: (
        "Supervisor needed",
        "Supervisor: please tap",
        "Supervisor needed",
        "Nothing recorded, supervisor must tap",
    ),
    Code.T06: (
        "Machine paused",
        "Please ask staff",
        "Ledger cannot be written",
        "Nothing recorded, run redcard doctor",
    ),
    Code.T07: (
        "Please tap again",
        "Nothing recorded",
        "Number used for another tap",
        "Nothing recorded, tap again",
    ),
    Code.V01: (
        "Too late to undo",
        "After 15 minutes a supervisor must",
        "Too late to void",
        "Not voided, a supervisor must tap",
    ),
    Code.V02: (
        "Undo at the same counter",
        ("Counter {terminal}", "Please go to the first counter"),
        "Void at the same counter",
        ("Not voided, counter {terminal}", "Not voided, go to the first counter"),
    ),
    Code.V03: (
        "Already undone",
        ("Undone at {time}", "Undone before"),
        "Already voided",
        ("Voided at {time}, not again", "Voided before, not again"),
    ),
    Code.V04: (
        "No such record",
        "Please check the entry number",
        "No such record",
        "Not voided, check the entry number",
    ),
    Code.V05: (
        "Settled, cannot be undone",
        "The back office must adjust it",
        "Settled, cannot be voided",
        "Not voided, the office must adjust",
    ),
}
