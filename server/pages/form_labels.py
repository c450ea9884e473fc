"""What the lists of an offer's form are called: periods, bounds, units, days, holidays, booking."""

from __future__ import annotations

from typing import Final

from server.pages.words import N_

LABELS: Final[dict[str, str]] = {
    "mon": N_("Mon"),
    "tue": N_("Tue"),
    "wed": N_("Wed"),
    "thu": N_("Thu"),
    "fri": N_("Fri"),
    "sat": N_("Sat"),
    "sun": N_("Sun"),
    "m": N_("minutes"),
    "h": N_("hours"),
    "d": N_("days"),
    "bound_count": N_("units"),
    "bound_days": N_("different days"),
    "bound_within_m": N_("minutes from the first use"),
    "bound_within_h": N_("hours from the first use"),
    "bound_within_d": N_("days from the first use"),
    "per_day": N_("a day"),
    "per_week": N_("a week"),
    "per_month": N_("a month"),
    "per_quarter": N_("a quarter"),
    "per_half_year": N_("in half a year"),
    "per_year": N_("a year"),
    "per_offer": N_("as long as the offer runs"),
    "scope_member": N_("everywhere together"),
    "scope_member_venue": N_("at each venue apart"),
    "stock_none": N_("Not counted"),
    "stock_pool": N_("One pool for all"),
    "stock_per_venue": N_("Split by station"),
    "stock_per_day": N_("So many each day"),
    "stock_per_session": N_("So many each session"),
    "holidays_": N_("As any day"),
    "holidays_closed": N_("Closed"),
    "holidays_open": N_("Open, whatever the weekday"),
    "holidays_only": N_("On public holidays alone"),
    "booking_": N_("Not needed"),
    "booking_optional_by_phone": N_("By telephone, not needed"),
    "booking_required": N_("Needed"),
    "offline_": N_("As the stock asks for"),
    "required_1": N_("It cannot be given"),
    "required_0": N_("It can still be given"),
    "limits": N_("Limit"),
    "hours": N_("Hours"),
    "sessions": N_("Session"),
    "evidence": N_("Thing to be brought"),
}
