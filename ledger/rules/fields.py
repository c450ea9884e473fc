"""The fields of an offer, each read from plain JSON values with its path for the message."""

from __future__ import annotations

from datetime import date
from typing import Final, TypedDict, cast

from ledger.errors import OfferInvalid
from ledger.rules import values
from ledger.rules.offer import (
    CAP_DEFAULT_UNITS,
    PROXY_CARDS_DEFAULT,
    Booking,
    Eligibility,
    Evidence,
    HolidayRule,
    Level,
    Limit,
    LimitScope,
    Offer,
    OfferKind,
    OfflineMode,
    Period,
    Session,
    Stock,
    StockMode,
    VenueScope,
)
from ledger.rules.values import Source

CATEGORIES: Final = tuple("教育培训 文化体育 医药健康 旅游休闲 生活服务 互助保障".split())
BRANDS: Final = tuple(
    "技能助推 法律服务 文体推介 医疗互助 健康促进 "
    "职业康复 意外保障 心理关爱 困难帮扶 母婴关怀".split()
)
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TEXTS: Final = "title title_en category brand programme campaign level owner phone".split()
KEYS: Final = frozenset(
    "id version title title_en category brand programme campaign keywords level owner kind status "
    "from until weekdays hours holidays sessions venues scope eligibility limits interval "
    "interval_minutes re_entry re_entry_minutes stock member_price_fen list_price_fen "
    "discount_per_mille discount_percent companions evidence tolerance tolerance_minutes offline "
    "cap home_venue proxy_collect proxy_cards "
    "identified identity_check phone booking booking_days basis opening_text venues_text "
    "eligibility_text bring_text note_text".split()
)


class _Texts(TypedDict, total=False):
    """Fields that are copied as they stand."""

    title: str
    title_en: str
    category: str
    brand: str
    programme: str
    campaign: str
    level: str
    owner: str
    phone: str


def offer(source: Source, holiday_dates: frozenset[date] = frozenset()) -> Offer:
    """One offer; relations between fields are checked by ``catalogue.check``.

    Raises:
        OfferInvalid: naming the field.
    """
    values.only(source, KEYS, "")
    stock = _stock(source.get("stock"))
    default_mode = OfflineMode.OPEN if stock.mode is StockMode.NONE else OfflineMode.LEASED
    companions_max, companions_rule = _companions(source.get("companions"))
    return Offer(
        id=values.identifier(source, "id"),
        version=values.integer(source, "version", default=1),
        kind=values.word(OfferKind, source, "kind", OfferKind.SERVICE),
        suspended=_status(source),
        from_ms=values.instant(source.get("from"), "from"),
        until_ms=values.instant(source.get("until"), "until"),
        weekdays=_weekdays(source.get("weekdays")),
        hours=tuple(values.each(source.get("hours"), "hours", values.clock_window)),
        holidays=values.word(HolidayRule, source, "holidays", HolidayRule.ORDINARY),
        holiday_dates=holiday_dates,
        sessions=tuple(values.each(source.get("sessions"), "sessions", _session)),
        venues=values.names(source, "venues"),
        scope=_scope(source.get("scope")),
        eligibility=_eligibility(source.get("eligibility")),
        limits=tuple(values.each(source.get("limits"), "limits", _limit)),
        interval_ms=_duration(source, "interval"),
        re_entry_ms=_duration(source, "re_entry"),
        stock=stock,
        member_price_fen=_optional(source, "member_price_fen"),
        list_price_fen=_optional(source, "list_price_fen"),
        discount_per_mille=_discount(source),
        companions_max=companions_max,
        companions_rule=companions_rule,
        evidence=tuple(values.each(source.get("evidence"), "evidence", _evidence)),
        tolerance_ms=_duration(source, "tolerance"),
        offline=values.word(OfflineMode, source, "offline", default_mode),
        cap=values.integer(source, "cap", default=CAP_DEFAULT_UNITS),
        home_venue=values.flag(source, "home_venue"),
        proxy_collect=values.flag(source, "proxy_collect"),
        proxy_cards=values.integer(source, "proxy_cards", default=PROXY_CARDS_DEFAULT),
        identified=values.flag(source, "identified"),
        identity_check=values.flag(source, "identity_check"),
        booking=values.word(Booking, source, "booking", Booking.NONE),
        booking_days=values.integer(source, "booking_days", default=0),
        texts=_shown_texts(source),
        keywords=tuple(values.strings(source.get("keywords"), "keywords")),
        **_plain_texts(source),
    )


def _weekdays(value: object) -> frozenset[int]:
    days = values.strings(value, "weekdays")
    for index, day in enumerate(days):
        if day not in WEEKDAYS:
            raise OfferInvalid(f"must be one of {', '.join(WEEKDAYS)}", field=f"weekdays[{index}]")
    if value is not None and not days:
        raise OfferInvalid("must name at least one day, or be left out", field="weekdays")
    return frozenset(WEEKDAYS.index(day) for day in days)


def _session(value: object, path: str) -> Session:
    if isinstance(value, str):
        return Session(hours=values.clock_window(value, path))
    source = values.mapping(value, path)
    values.only(source, {"from", "until"}, path)
    start = values.instant(source.get("from"), f"{path}.from")
    end = values.instant(source.get("until"), f"{path}.until")
    if start >= end:
        raise OfferInvalid("until must lie after from", field=f"{path}.until")
    return Session(from_ms=start, until_ms=end)


def _scope(value: object) -> VenueScope | None:
    if value is None:
        return None
    source = values.mapping(value, "scope")
    values.only(source, {"district", "street", "level"}, "scope")
    parts = {name: values.names(source, name, f"scope.{name}") for name in source}
    for name in parts.get("level", frozenset()):
        values.word(Level, {"level": name}, "level", Level.CITY, "scope.level")
    return VenueScope(**parts)


def _eligibility(value: object) -> Eligibility:
    if value is None:
        return Eligibility()
    source = values.mapping(value, "eligibility")
    values.only(source, {"district", "street", "tags_all", "tags_any", "tags_none"}, "eligibility")
    return Eligibility(
        **{name: frozenset(values.strings(source[name], f"eligibility.{name}")) for name in source}
    )


def _limit(value: object, path: str) -> Limit:
    source = values.mapping(value, path)
    values.only(
        source, {"count", "per", "scope", "group", "days", "within", "since", "before"}, path
    )
    bounds = [name for name in ("count", "days", "within") if name in source]
    if len(bounds) != 1:
        raise OfferInvalid("needs exactly one of count, days and within", field=path)
    return Limit(
        count=_positive(source, "count", path),
        per=values.word(Period, source, "per", Period.OFFER, f"{path}.per"),
        scope=values.word(LimitScope, source, "scope", LimitScope.MEMBER, f"{path}.scope"),
        group=values.text(source, "group", f"{path}.group"),
        days=_positive(source, "days", path),
        within_ms=values.duration(source["within"], f"{path}.within")
        if "within" in source
        else None,
        since_ms=values.instant(source["since"], f"{path}.since") if "since" in source else None,
        before_ms=values.instant(source["before"], f"{path}.before")
        if "before" in source
        else None,
    )


def _positive(source: Source, name: str, path: str) -> int | None:
    if name not in source:
        return None
    value = values.integer(source, name, path=f"{path}.{name}")
    if value == 0:
        raise OfferInvalid("must be 1 or more; suspend the offer to allow none", field=path)
    return value


def _stock(value: object) -> Stock:
    if value is None:
        return Stock()
    source = values.mapping(value, "stock")
    modes = [str(mode) for mode in StockMode]
    values.only(source, {"mode", "quantity", "split_text", "leases", "lease_ttl", *modes}, "stock")
    named = [mode for mode in modes if mode in source]
    if len(named) + ("mode" in source) != 1:
        raise OfferInvalid("needs exactly one mode of stock", field="stock")
    mode = (
        StockMode(named[0])
        if named
        else values.word(StockMode, source, "mode", StockMode.NONE, "stock.mode")
    )
    per_venue: dict[str, int] = {}
    if mode is StockMode.PER_VENUE:
        table = values.mapping(source.get("per_venue", source.get("quantity")), "stock.per_venue")
        per_venue = {
            str(name): values.integer(table, name, path=f"stock.per_venue.{name}") for name in table
        }
        quantity = sum(per_venue.values())
    else:
        quantity = values.integer(
            source, named[0] if named else "quantity", default=0, path="stock"
        )
    leases = values.mapping(source.get("leases", {}), "stock.leases")
    ttl = source.get("lease_ttl")
    return Stock(
        mode=mode,
        quantity=quantity,
        per_venue=per_venue,
        lease_ttl_ms=None if ttl is None else values.duration(ttl, "stock.lease_ttl"),
        leases={
            str(one): values.integer(leases, one, path=f"stock.leases.{one}") for one in leases
        },
    )


def _evidence(value: object, path: str) -> Evidence:
    source = values.mapping(value, path)
    values.only(source, {"name", "required", "title", "title_en"}, path)
    name = source.get("name")
    if not isinstance(name, str) or not name:
        raise OfferInvalid("must be a text", field=f"{path}.name")
    required = source.get("required", True)
    if not isinstance(required, bool):
        raise OfferInvalid("must be true or false", field=f"{path}.required")
    return Evidence(
        name,
        required=required,
        title=values.text(source, "title", f"{path}.title"),
        title_en=values.text(source, "title_en", f"{path}.title_en"),
    )


def _companions(value: object) -> tuple[int, str]:
    if value is None:
        return 0, ""
    if type(value) is int and value >= 0:
        return value, ""
    source = values.mapping(value, "companions")
    values.only(source, {"max", "rule"}, "companions")
    most = values.integer(source, "max", path="companions.max")
    return most, values.text(source, "rule", "companions.rule")


def _duration(source: Source, name: str) -> int:
    """A length of time under its own name, or in whole minutes under ``<name>_minutes``."""
    if name in source:
        return values.duration(source[name], name)
    return values.minutes(source, f"{name}_minutes")


def _optional(source: Source, name: str) -> int | None:
    return values.integer(source, name) if name in source else None


def _discount(source: Source) -> int | None:
    """What remains to be paid, in per mille: 900 is ten per cent off (九折)."""
    if "discount_percent" in source:
        return values.integer(source, "discount_percent") * 10
    return _optional(source, "discount_per_mille")


def _status(source: Source) -> bool:
    value = source.get("status", "active")
    if value not in ("active", "suspended"):
        raise OfferInvalid("must be active or suspended", field="status")
    return value == "suspended"


def _plain_texts(source: Source) -> _Texts:
    found = {name: values.text(source, name) for name in _TEXTS if name in source}
    for name, known in (("category", CATEGORIES), ("brand", BRANDS), ("level", set(Level))):
        if found.get(name) and found[name] not in known:
            listed = " ".join(sorted(str(one) for one in known))
            raise OfferInvalid(f"must be one of {listed}", field=name)
    return cast("_Texts", found)


def _shown_texts(source: Source) -> dict[str, str]:
    return {
        name: "；".join(values.strings(source[name], name))
        for name in source
        if name.endswith("_text") or name == "basis"
    }
