"""Words for what the server names by codes: states, reasons, roles, acts.

English here, Chinese in ``screens/locale``; a test holds every code that can reach a page against
these tables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from screens.language import Wording


def N_(text: str) -> str:  # noqa: N802 - the name by which extraction knows it
    """Marks a text that is translated where it is shown."""
    return text


#: A word for each code that pages show.
WORDS: Final[dict[str, str]] = {
    # Ledgers and terminals.
    "ok": N_("In order"),
    "quarantined": N_("Quarantined"),
    "revoked_retired": N_("Retired"),
    "revoked_lost": N_("Reported lost"),
    "revoked_compromised": N_("Key compromised"),
    "online": N_("Online"),
    "quiet": N_("Not heard of today"),
    "silent": N_("Silent for days"),
    "new": N_("Not used yet"),
    "none": N_("No terminal"),
    "counter": N_("Counter"),
    "kiosk": N_("Kiosk"),
    # Levels, kinds and modes of offers.
    "city": N_("City"),
    "district": N_("District"),
    "street": N_("Street"),
    "ticket": N_("Ticket"),
    "coupon": N_("Coupon"),
    "entry": N_("Entry"),
    "discount": N_("Discount"),
    "service": N_("Service"),
    "enrolment": N_("Enrolment"),
    "open": N_("Open"),
    "capped": N_("Capped offline"),
    "leased": N_("From leased stock"),
    "reserved": N_("By reservation"),
    "online_only": N_("Online only"),
    # How an offer stands.
    "running": N_("Running"),
    "coming": N_("Not begun"),
    "ended": N_("Ended"),
    "suspended": N_("Suspended"),
    "broken": N_("Does not parse"),
    "draft": N_("Draft"),
    "review": N_("In review"),
    "returned": N_("Returned"),
    "published": N_("Published"),
    "withdrawn": N_("Withdrawn"),
    # Why something is flagged: judgements, then signals.
    "over_member_limit": N_("Over a member's limit"),
    "stale_status": N_("Card or member status had changed"),
    "clock_skew": N_("Terminal's clock was off"),
    "lease_expired": N_("Stock lease had expired"),
    "after_revocation": N_("After the revocation"),
    "offer_withdrawn": N_("Offer was withdrawn"),
    "original_missing": N_("Void without its original"),
    "oversold": N_("Beyond the stock"),
    "agent_concentration": N_("Many collected by one person"),
    "closed_hours": N_("Outside opening hours"),
    "far_apart": N_("One card far apart"),
    # Cases.
    "resolved": N_("Resolved"),
    "closed": N_("Closed"),
    "assigned": N_("Assigned"),
    "problem": N_("Problem reported by a terminal"),
    "dispute": N_("Dispute"),
    # Verdicts and kinds of entries.
    "accepted": N_("Accepted"),
    "accepted_flagged": N_("Accepted, flagged"),
    "duplicate": N_("Duplicate"),
    "unusable": N_("Unusable"),
    "redeem": N_("Redemption"),
    "reentry": N_("Re-entry"),
    "decline": N_("Declined"),
    "void": N_("Void"),
    "manual": N_("Late entry from paper"),
    # Settlement.
    "stated": N_("Stated"),
    "disputed": N_("Disputed"),
    "settled": N_("Settled"),
    "upheld": N_("Upheld"),
    "rejected": N_("Rejected"),
    # Roles.
    "role_federation": N_("City federation"),
    "role_district": N_("District or county"),
    "role_street": N_("Street or township"),
    "role_merchant": N_("Merchant"),
    "role_auditor": N_("Auditor"),
    "role_hotline": N_("Hotline agent"),
    "done": N_("Done"),
    "refused": N_("Refused"),
    # Cards and members.
    "active": N_("Active"),
    "blocked": N_("Blocked"),
    "replaced": N_("Replaced"),
    "expired": N_("Expired"),
    "not_active": N_("Not active yet"),
    "unknown": N_("Unknown"),
    # Why an identity is looked at.
    "complaint": N_("Complaint"),
    "correction": N_("Correction"),
    "access_request": N_("Request of the member"),
    "fraud_case": N_("Case of misuse"),
    "lost_and_found": N_("Lost and found"),
    "open_case": N_("To be looked at"),
    "kind_judged": N_("The judge, by the rules"),
    "kind_signal": N_("A signal, from a pattern"),
    "kind_problem": N_("A terminal"),
    "kind_fork": N_("The server, at admission"),
    "kind_dispute": N_("A merchant"),
    "decision_accept": N_("Nothing wrong, it counts"),
    "decision_reject": N_("Not right, it is not paid"),
    "decision_refer": N_("Goes on elsewhere"),
    "act_assign": N_("Assigned to"),
    "act_note": N_("Remark"),
    "act_decide": N_("Decided"),
    "act_reopen": N_("Opened again"),
    "fork": N_("Two histories of one ledger"),
    # What was told of a matter.
    "fact_terminal": N_("Terminal"),
    "fact_note": N_("Remark"),
    "fact_size": N_("Entries"),
    # Reasons of disputes, lines of statements.
    "dispute_missing": N_("Something is missing"),
    "dispute_amount": N_("The amount is not right"),
    "dispute_not_ours": N_("Not ours"),
    "dispute_duplicate": N_("Counted twice"),
    "dispute_other": N_("Another reason"),
    "line_use": N_("Redeemed"),
    "line_back": N_("Taken back"),
    "line_adjustment": N_("Adjustment"),
    # Figures of reports.
    "figure_person_times": N_("Person-times"),
    "figure_persons": N_("Persons"),
    "figure_quantity": N_("Units"),
    "figure_companions": N_("Companions"),
    "figure_offers_running": N_("Offers running"),
    "figure_offers_new": N_("New offers"),
    # Fields of an entry.
    "field_kind": N_("Kind"),
    "field_nonce": N_("Number of the tap"),
    "field_card": N_("Card (hash)"),
    "field_member": N_("Member's reference"),
    "field_offer": N_("Offer"),
    "field_offer_version": N_("Version of the offer"),
    "field_venue": N_("Venue"),
    "field_operator": N_("Operator"),
    "field_code": N_("Code"),
    "field_scheme": N_("Card scheme"),
    "field_assurance": N_("Assurance"),
    "field_quantity": N_("Quantity"),
    "field_mode": N_("Connection"),
    "field_lease": N_("Stock lease"),
    "field_companions": N_("Companions"),
    "field_agent": N_("Collected by"),
    "field_supervisor": N_("Supervisor"),
    "field_reason_code": N_("Reason"),
    "field_orig_seq": N_("Original entry"),
    "field_orig_nonce": N_("Number of the original tap"),
    "offline": N_("Offline"),
    # Rights.
    "right_overview": N_("See the overview"),
    "right_offers.view": N_("See offers and stock"),
    "right_offers.write": N_("Write offers"),
    "right_offers.pass": N_("Pass and publish offers"),
    "right_stock.move": N_("Move stock"),
    "right_reports": N_("See reports"),
    "right_settlement.view": N_("See statements"),
    "right_settlement.close": N_("State and settle months"),
    "right_dispute": N_("Dispute own statements"),
    "right_cases.view": N_("See cases"),
    "right_cases.decide": N_("Decide cases"),
    "right_fleet.view": N_("See terminals"),
    "right_fleet.change": N_("Change terminals"),
    "right_look_up": N_("Look up for a caller"),
    "right_unmask": N_("See a member in full, for a purpose"),
    "right_members": N_("Keep members and cards"),
    "right_people": N_("Make and change people"),
    "right_audit": N_("Read the audit record"),
    # Areas of the audit record.
    "area_sign_in": N_("Sign-in"),
    "area_person": N_("People"),
    "area_identity": N_("Member's identity"),
    "area_offer": N_("Offers"),
    "area_draft": N_("Drafts"),
    "area_stock": N_("Stock"),
    "area_lease": N_("Leases"),
    "area_transfer": N_("Transfers"),
    "area_tariff": N_("Tariffs"),
    "area_statement": N_("Statements"),
    "area_settlement": N_("Settlement"),
    "area_dispute": N_("Disputes"),
    "area_case": N_("Cases"),
    "area_terminal": N_("Terminals"),
    "area_configuration": N_("Configuration"),
    "area_look_up": N_("Look-ups"),
    "area_hotline": N_("Hotline"),
    "area_members": N_("Members"),
    "area_feed": N_("Member feeds"),
}

#: Areas of the audit record in the order in which they are offered.
AREAS: Final = tuple(name.removeprefix("area_") for name in WORDS if name.startswith("area_"))

#: What a page says after something was done.
SAID: Final[dict[str, str]] = {
    "password": N_("The password was changed; your other sessions have ended."),
    "person": N_("The person was changed; their sessions have ended."),
    "draft": N_("The draft was saved."),
    "submitted": N_("The draft was sent to review."),
    "returned": N_("The draft was returned to its author."),
    "published": N_("The offer was published; terminals take it with their next exchange."),
    "suspended": N_("The offer was suspended; terminals take it with their next exchange."),
    "resumed": N_("The offer runs again; terminals take it with their next exchange."),
    "ended": N_("The offer was ended; terminals take it with their next exchange."),
    "withdrawn": N_("The draft was withdrawn."),
    "transfer": N_("The transfer was entered."),
    "recalled": N_("The terminal was asked to return what it has not used."),
    "case": N_("The case was updated."),
    "stated": N_("The statement was made."),
    "settled": N_("The statement was settled; its entries can no longer be voided."),
    "disputed": N_("The dispute was entered."),
    "decided": N_("The decision was entered."),
    "revoked": N_("The terminal was revoked; it wipes its card data when it asks next."),
    "adjusted": N_("The adjustment was entered; it comes with the next statement."),
    "figures": N_("The figures were kept as stated now."),
    "out": N_("You have signed out."),
}

#: Status, what happened, what to do next.
PROBLEMS: Final[dict[str, tuple[int, str, str]]] = {
    "foreign_form": (
        403,
        N_("This form was not sent from its page"),
        N_("Nothing was changed. Open the page again and send the form from there."),
    ),
    "missing": (
        404,
        N_("There is nothing here"),
        N_("Nothing was changed. The address may be old; start from the menu."),
    ),
    "no_right": (
        403,
        N_("Your role does not include this"),
        N_("Nothing was changed. Ask the federation's office if you need it."),
    ),
    "too_often": (
        429,
        N_("That was too often in a short time"),
        N_("Nothing was changed. Wait a minute and try again."),
    ),
    "unsound": (
        400,
        N_("This could not be taken"),
        N_("Nothing was changed. Go back, correct it and send it again."),
    ),
}


def in_language(wording: Wording) -> Callable[[str], str]:
    """The word for a code in one language; a code without one is shown as it is."""

    def word(code: str) -> str:
        text = WORDS.get(code)
        return code if text is None else wording.gettext(text)

    return word
