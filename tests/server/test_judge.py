"""The judge alone: pure, and deaf to the order in which events are told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ledger.rules.catalogue import parse_offer
from ledger.rules.offer import CardStatus, MemberStatus, MemberView
from server.approvals import Approvals
from server.cases import group_cases
from server.facts import CardState, Event, Facts, Finding, History, LeaseTerm, Position
from server.judge import judge_alone, judge_member, voided_positions
from sync.feed import Reason, Verdict
from tests.server.world import DAY_MS, HOUR_MS, MINUTE_MS, OFFERS, START_MS, card, member

MUSEUM, PACK = (parse_offer(document) for document in OFFERS)
TWICE = replace(PACK, id="twice", limits=(replace(PACK.limits[0], count=2),))
BACK = replace(MUSEUM, id="back", re_entry_ms=30 * MINUTE_MS)
FACTS = Facts(
    versions={(one.id, 1): one for one in (MUSEUM, PACK, TWICE, BACK)},
    in_force={one.id: History([(0, one)]) for one in (MUSEUM, PACK, TWICE, BACK)},
    cards={card(1): History([(0, CardState(CardStatus.ACTIVE, member(1)))])},
    members={member(1): History([(0, MemberView(member(1)))])},
)
LEDGERS = ("a" * 26, "b" * 26, "c" * 26)


def event(
    place: int, seq: int, minute: float, nonce: str, kind: str = "redeem", **fields: Any
) -> Event:
    entry: dict[str, Any] = {
        "v": 1,
        "seq": seq,
        "kind": kind,
        "ts_ms": START_MS + int(minute * MINUTE_MS),
        "mono_ms": 0,
        "boot": "0" * 16,
        "nonce": nonce,
        "card": card(1),
        "member": member(1),
        "offer": "museum",
        "venue": "M01",
        "operator": "op",
        "code": "A01",
        "scheme": "unionpay",
        "assurance": "authenticated",
        "offer_version": 1,
        "quantity": 1,
        "mode": "offline",
    }
    return Event(LEDGERS[place], seq, entry | fields, 0, START_MS + 2 * DAY_MS)


def void(place: int, seq: int, minute: float, of: Event, nonce: str) -> Event:
    original = {"orig_seq": of.seq, "orig_nonce": of.text("nonce"), "reason_code": "mistake"}
    return event(place, seq, minute, nonce, "void", offer=of.text("offer"), **original)


def found(*events: Event, facts: Facts = FACTS) -> dict[str, tuple[str, tuple[str, ...]]]:
    by_position = {one.position: one.text("nonce") for one in events}
    return {
        by_position[one.position]: (one.verdict.value, tuple(one.reasons))
        for one in judge_member(events, facts)
    }


GOOD: tuple[str, tuple[str, ...]] = ("accepted", ())
OVER = ("accepted_flagged", ("over_member_limit",))


def test_the_earliest_event_keeps_its_place() -> None:
    late, early = event(0, 0, 10, "late"), event(1, 0, 5, "early")
    assert found(late, early) == found(early, late) == {"early": GOOD, "late": OVER}


def test_at_one_instant_the_ledger_id_decides_and_then_the_position() -> None:
    same = [event(1, 0, 5, "b0"), event(0, 4, 5, "a4"), event(0, 3, 5, "a3")]
    assert found(*same) == {"a3": GOOD, "a4": OVER, "b0": OVER}


def test_receipts_bound_what_a_clock_may_claim() -> None:
    honest = event(0, 0, 10, "honest")
    # It claims the beginning of the day, but the ledger had a receipt after the other's tap.
    claims = replace(event(1, 1, 0, "claims"), after_ms=START_MS + 15 * MINUTE_MS)
    assert found(honest, claims) == {
        "honest": GOOD,
        "claims": ("accepted_flagged", ("clock_skew", "over_member_limit")),
    }
    slightly = replace(event(1, 1, 6, "slightly"), after_ms=START_MS + 15 * MINUTE_MS)
    assert found(honest, slightly) == {"honest": GOOD, "slightly": OVER}


def test_skew_begins_beyond_ten_minutes() -> None:
    received = START_MS + 10 * MINUTE_MS
    exactly = replace(event(0, 0, 20, "n"), before_ms=received)
    assert found(exactly) == {"n": GOOD}
    beyond = replace(event(0, 0, 20 + 1 / 60_000, "n"), before_ms=received)
    assert found(beyond) == {"n": ("accepted_flagged", ("clock_skew",))}


def test_what_was_voided_is_over_no_limit() -> None:
    first, second = event(0, 0, 1, "n1"), event(1, 0, 2, "n2")
    back = void(1, 1, 3, second, "v2")
    assert found(first, second, back) == {"n1": GOOD, "n2": GOOD, "v2": GOOD}
    earlier = void(0, 1, 4, first, "v1")
    assert found(first, second, earlier) == {"n1": GOOD, "n2": GOOD, "v1": GOOD}
    assert voided_positions([first, second, earlier]) == {first.position: earlier.position}


def test_a_void_that_names_another_nonce_voids_nothing() -> None:
    first = event(0, 0, 1, "n1")
    wrong = event(0, 1, 2, "v", "void", orig_seq=0, orig_nonce="other", reason_code="x")
    assert found(first, wrong)["v"] == ("accepted_flagged", ("original_missing",))


def test_units_count_and_overrides_are_somebodys_word() -> None:
    taps = [event(0, n, n, f"n{n}", offer="twice", quantity=q) for n, q in enumerate((1, 2, 1))]
    assert found(*taps) == {"n0": GOOD, "n1": OVER, "n2": OVER}
    forced = event(1, 0, 5, "forced", code="A02", supervisor="s1", reason_code="helped")
    assert found(event(0, 0, 1, "n"), forced) == {"n": GOOD, "forced": GOOD}
    claimed = event(1, 0, 5, "claimed", supervisor="s1", reason_code="helped")
    assert found(event(0, 0, 1, "n"), claimed)["claimed"] == OVER


def test_a_redemption_that_should_have_been_a_re_entry_is_over_the_limit() -> None:
    first, again = event(0, 0, 1, "n1", offer="back"), event(1, 0, 5, "n2", offer="back")
    assert found(first, again) == {"n1": GOOD, "n2": OVER}
    entered = event(1, 0, 5, "n2", "reentry", offer="back", code="A03")
    assert found(first, entered) == {"n1": GOOD, "n2": GOOD}


def test_a_stale_card_does_not_hide_a_limit() -> None:
    blocked = replace(
        FACTS,
        cards={
            card(1): History(
                [
                    (0, CardState(CardStatus.ACTIVE, member(1))),
                    (START_MS + 3 * MINUTE_MS, CardState(CardStatus.BLOCKED, member(1))),
                ]
            )
        },
    )
    both = ("accepted_flagged", ("over_member_limit", "stale_status"))
    assert found(event(0, 0, 1, "n1"), event(1, 0, 5, "n2"), facts=blocked) == {
        "n1": GOOD,
        "n2": both,
    }


def test_a_member_is_judged_as_they_were() -> None:
    suspended = MemberView(member(1), MemberStatus.SUSPENDED)
    later = replace(
        FACTS,
        members={
            member(1): History([(0, MemberView(member(1))), (START_MS + 3 * MINUTE_MS, suspended)])
        },
    )
    taps = event(0, 0, 1, "before"), event(0, 1, 5, "after", offer="pack")
    assert found(*taps, facts=later) == {
        "before": GOOD,
        "after": ("accepted_flagged", ("stale_status",)),
    }


def test_an_offer_is_judged_by_the_version_named_and_flagged_if_withdrawn() -> None:
    generous = replace(MUSEUM, limits=(replace(MUSEUM.limits[0], count=5),))
    ended = replace(MUSEUM, version=2, until_ms=START_MS + HOUR_MS)
    changed = replace(
        FACTS,
        versions={("museum", 1): generous, ("museum", 2): ended},
        in_force={"museum": History([(0, generous), (START_MS + 30 * MINUTE_MS, ended)])},
    )
    taps = [event(0, n, 31 + n, f"n{n}") for n in range(3)] + [event(0, 9, 60, "over")]
    assert found(*taps, facts=changed) == {
        "n0": GOOD,
        "n1": GOOD,
        "n2": GOOD,
        "over": ("accepted_flagged", ("offer_withdrawn",)),
    }


def test_leases_revocations_and_stock() -> None:
    lease = LeaseTerm(4, START_MS + 10 * MINUTE_MS)
    facts = replace(
        FACTS,
        leases={"l1": lease},
        revoked_from={LEDGERS[0]: 1},
        oversold=frozenset({Position(LEDGERS[1], 0)}),
    )
    taps = (
        event(0, 0, 1, "n0", offer="pack", lease="l1"),
        event(0, 1, 10, "n1", lease="l1"),
        event(1, 0, 11, "n2", offer="twice"),
    )
    assert found(*taps, facts=facts) == {
        "n0": GOOD,
        "n1": ("accepted_flagged", ("after_revocation", "lease_expired")),
        "n2": ("accepted_flagged", ("oversold",)),
    }


def test_declines_and_lines_that_are_no_entries() -> None:
    decline = event(0, 7, 900_000, "no", "decline", code="C02")
    assert judge_alone(decline, FACTS) == Finding(decline.position, Verdict.ACCEPTED)
    broken = Event(LEDGERS[0], 3, None, 0, START_MS)
    assert judge_alone(broken, FACTS).verdict is Verdict.UNUSABLE


def test_cases_have_the_flagged_by_event_time() -> None:
    taps = [event(place, 0, minute, f"n{place}") for place, minute in ((2, 9), (0, 5), (1, 7))]
    cases = group_cases(judge_member(taps, FACTS), taps)
    assert [(one.reason, one.nonces) for one in cases] == [(Reason.OVER_MEMBER_LIMIT, ("n1", "n2"))]


_TAPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 3000),
        st.sampled_from(["museum", "pack", "twice", "back"]),
        st.integers(0, 5),
    ),
    max_size=10,
)


@given(_TAPS, st.randoms(use_true_random=False), st.sets(st.integers(0, 9)))
def test_the_order_of_telling_does_not_matter(
    taps: list[tuple[int, int, str, int]], random: Any, voids: set[int]
) -> None:
    events = [
        event(place, seq, minute, f"n{nonce}", offer=offer)
        for seq, (place, minute, offer, nonce) in enumerate(taps)
    ]
    ledgers = [taps[n][0] for n in range(len(taps))]
    events += [
        void(ledgers[n], 100 + n, 3001, events[n], f"v{n}") for n in sorted(voids) if n < len(taps)
    ]
    shuffled = list(events)
    random.shuffle(shuffled)
    assert judge_member(shuffled, FACTS) == judge_member(events, FACTS)
    findings = judge_member(events, FACTS)
    assert {one.position for one in findings} == {one.position for one in events}
    assert all(bool(one.reasons) == (one.verdict is Verdict.ACCEPTED_FLAGGED) for one in findings)


_FIRST: Any = OFFERS[0]
HOURS = parse_offer(
    {
        **_FIRST,
        "id": "hours",
        "hours": ["09:00-11:00", "12:00-16:30"],
        "eligibility": {"district": ["东城区"]},
        "companions": {"max": 1},
        "limits": [{"count": 1, "per": "day", "since": "2014-05-31T00:00:00+08:00"}],
    }
)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.integers(0, 2880),
            st.sampled_from(["hours", "museum", "pack"]),
            st.integers(1, 2),
            st.integers(0, 2),
        ),
        max_size=12,
    )
)
def test_what_was_approved_once_is_approved_as_if_it_were_asked_again(
    taps: list[tuple[int, int, str, int, int]],
) -> None:
    """One judge that remembers, and one that has never seen anything, find the same."""
    people = {
        member(n): MemberView(
            member(n),
            MemberStatus.SUSPENDED if n == 2 else MemberStatus.ACTIVE,
            district="西城区" if n == 3 else "东城区",
        )
        for n in range(4)
    }
    facts = replace(
        FACTS,
        versions={**FACTS.versions, ("hours", 1): HOURS},
        in_force={**FACTS.in_force, "hours": History([(0, HOURS)])},
        cards={card(n): History([(0, CardState(CardStatus.ACTIVE, member(n)))]) for n in range(4)},
        members={name: History([(0, view)]) for name, view in people.items()},
        approvals=Approvals(),
    )
    for seq, (who, minute, offer, quantity, companions) in enumerate(taps):
        tap = event(
            0, seq, minute, f"n{seq}", offer=offer, card=card(who), member=member(who),
            quantity=quantity, companions=companions,
        )  # fmt: skip
        assert judge_member([tap], facts) == judge_member(
            [tap], replace(facts, approvals=Approvals())
        )


def test_a_state_holds_from_its_very_moment() -> None:
    history = History([(10, "a"), (20, "b")])
    assert [history.at(moment) for moment in (0, 10, 19, 20, 21)] == ["a", "a", "a", "b", "b"]
    assert History[str]([]).at(5) is None
    assert History([(5, "first"), (5, "second")]).at(5) == "second"
