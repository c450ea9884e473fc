"""Who could take an offer, asked before it is published: the samples, the instants, the place."""

from __future__ import annotations

from ledger.codes import Code
from ledger.rules.catalogue import load_offers, load_venues
from ledger.rules.dry_run import Sample, ask, moments, question, samples, try_offers, venue_for
from ledger.rules.offer import MemberStatus, MemberView, Venue
from tests.ledger.rules.builders import CARD, DAY, HOUR, NOW, offer

LIFE = '"from": "2026-05-01T00:00:00+08:00", "until": "2026-05-03T00:00:00+08:00"'


def test_samples_show_an_eligibility_from_every_side() -> None:
    one = offer(
        eligibility={
            "district": ["xicheng", "dongcheng"],
            "street": ["desheng", "beixinqiao"],
            "tags_all": ["nursing"],
            "tags_any": ["veteran", "driver"],
            "tags_none": ["retired", "abroad"],
        }
    )
    found = samples(one)
    assert [sample.label for sample in found] == [
        "plain",
        "fitting",
        "has abroad",
        "has retired",
        "suspended",
    ]
    plain, fitting, abroad, _, suspended = (sample.member for sample in found)
    assert (plain.district, plain.street, plain.tags) == ("", "", frozenset())
    assert (fitting.district, fitting.street) == ("dongcheng", "beixinqiao")
    assert fitting.tags == {"nursing", "driver"}
    assert (abroad.district, abroad.street) == ("dongcheng", "beixinqiao")
    assert abroad.tags == {"nursing", "driver", "abroad"}
    assert (suspended.status, suspended.tags) == (MemberStatus.SUSPENDED, fitting.tags)
    assert {len(sample.member.ref) for sample in found} == {16}
    codes = [ask(one, sample, Venue("v"), NOW).decision.code for sample in found]
    assert codes == [Code.M02, Code.A00, Code.M02, Code.M02, Code.M01]


def test_an_offer_for_everybody_needs_no_fitting_sample() -> None:
    found = samples(offer())
    assert [sample.label for sample in found] == ["plain", "suspended"]
    assert (found[1].member.district, found[1].member.street) == ("", "")


def test_a_week_is_asked_every_six_hours_and_the_ends_on_both_sides() -> None:
    long = offer()
    found = moments(long)
    assert found[:3] == [long.from_ms - 1, long.from_ms, long.from_ms + 6 * HOUR]
    assert found[-3:] == [long.from_ms + 7 * DAY - 6 * HOUR, long.until_ms - 1, long.until_ms]
    assert len(found) == 28 + 3
    short = offer(until="2026-01-01T12:00:00+08:00")
    assert moments(short)[1:-2] == [short.from_ms, short.from_ms + 6 * HOUR]


def test_the_place_is_one_that_gives_the_offer() -> None:
    venues = {
        name: Venue(name, district=district)
        for name, district in (("a", "xicheng"), ("b", "dongcheng"), ("c", "dongcheng"))
    }
    assert venue_for(offer(), venues) is venues["a"]
    assert venue_for(offer(scope={"district": "dongcheng"}), venues) is venues["b"]
    assert venue_for(offer(venues=["c", "b"]), venues) is venues["b"]
    assert venue_for(offer(venues=["y", "x"]), venues).id == "x"
    assert venue_for(offer(venues=["y", "c"]), venues) is venues["c"]
    assert venue_for(offer(), {}).id == "anywhere"
    assert venue_for(offer(scope={"district": "elsewhere"}), venues).id == "anywhere"


def test_goods_a_promise_and_the_server_are_at_hand() -> None:
    venue = Venue("v")
    for rules in (
        {"stock": {"pool": 5}, "offline": "leased"},
        {"stock": {"pool": 5}, "offline": "online"},
        {"stock": {"pool": 5}, "offline": "reserved"},
        {"booking": "required"},
        {"identified": False},
    ):
        assert question(offer(**rules), CARD, venue, NOW).code is Code.A00
    late = offer(stock={"pool": 5}, offline="leased", until="2027-06-01T00:00:00+08:00")
    assert question(late, CARD, venue, late.until_ms - 1).code is Code.A00


def test_questions_for_all_offers_or_for_one() -> None:
    text = f'[{{"id": "a", {LIFE}}}, {{"id": "b", {LIFE}}}, {{"id": "c", "x": 1, {LIFE}}}]'
    venues = load_venues(b'[{"id": "v1"}, {"id": "v2"}]')
    catalogue = load_offers(text.encode(), lenient=True, venues=venues)
    everybody = try_offers(catalogue)
    assert {trial.offer for trial in everybody} == {"a", "b"}, "a broken offer answers by itself"
    assert {trial.venue for trial in everybody} == {"v1"}
    assert len(everybody) == 2 * 2 * len(
        moments(offer(**{"from": "2026-05-01T00:00:00+08:00"}, until="2026-05-03T00:00:00+08:00"))
    )
    member = Sample("one", MemberView("0" * 16))
    (trial,) = try_offers(catalogue, only="b", venue="v2", at_ms=[NOW], members=[member])
    assert (trial.offer, trial.venue, trial.sample, trial.at_ms) == ("b", "v2", "one", NOW)
    assert trial.decision.code is Code.A00
    assert try_offers(catalogue, only="c") == []
    assert try_offers(catalogue, only="d") == []
