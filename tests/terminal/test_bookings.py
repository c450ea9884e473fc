"""A booking by telephone at the venue's own counter, the day's list, and who did not come."""

from __future__ import annotations

import json

import pytest

from keys.derivation import card_hash
from readers.virtual.unionpay import make_pan
from server.card_list import Membership
from terminal.errors import GoodsRefused, RequestInvalid
from terminal.web.booked import session_of
from tests.terminal.federation import Federation
from tests.terminal.rig import OFFERS
from tests.terminal.station import Station
from tests.terminal.test_counter_desk import Clerk
from tests.terminal.test_reservations import TOUR, code, federation, station

__all__ = ["federation", "station"]

DAY_MS = 86_400_000


def digits(federation: Federation, serial: int, last4: str) -> None:
    mac = federation.home.card_mac()
    hashed = card_hash(mac, "unionpay", make_pan(serial).encode("ascii"))
    row = Membership(card=hashed, member=f"{serial:016x}", district="xicheng", last4=last4)
    federation.run(federation.core.take_members([row]))


def test_a_caller_is_booked_listed_and_served(station: Station, federation: Federation) -> None:
    digits(federation, 1, "8821")
    work = station.service.work
    booked = work.book("counter", "tour", "2014-05-30T10:00", "8821", "张敏")
    again = work.book("counter", "tour", "2014-05-30T10:00", "8821", "张敏")
    assert (again.booking, booked.state) == (booked.booking, "booked")
    assert [(one.booking, one.state) for one in work.bookings("counter")] == [
        (booked.booking, "booked")
    ]
    assert work.bookings("counter", "2014-05-31") == []
    assert code(station, 1, "n1") == "A00"
    assert [one.state for one in work.bookings("counter")] == ["used"]
    for path in station.home.path.rglob("*"):
        assert not path.is_file() or "张敏".encode() not in path.read_bytes()


def test_what_cannot_be_booked_says_why(station: Station, federation: Federation) -> None:
    work = station.service.work
    with pytest.raises(RequestInvalid, match="no card in force ends in 9999") as error:
        work.book("counter", "tour", "2014-05-30T10:00", "9999")
    assert error.value.word == "booking_refused"
    with pytest.raises(RequestInvalid):
        work.book("counter", "tour", "", "9999")
    federation.transport.connected = False
    with pytest.raises(GoodsRefused, match="asking twice books once") as gone:
        work.book("counter", "tour", "2014-05-30T10:00", "9999")
    assert gone.value.word == "server_needed"


def test_a_session_that_must_be_booked_days_before(
    station: Station, federation: Federation
) -> None:
    digits(federation, 1, "8821")
    ahead = {**TOUR, "version": 2, "booking": "required", "booking_days": 1}
    federation.run(federation.core.publish_offers(json.dumps([*OFFERS, ahead]).encode()))
    station.service.sync_now()
    work = station.service.work
    with pytest.raises(RequestInvalid, match=r"at least 1 day.* from 2014-05-31 on") as error:
        work.book("counter", "tour", "2014-05-30T16:00", "8821")
    assert error.value.word == "booking_too_late"
    assert error.value.cause == "booking_too_late"
    with pytest.raises(RequestInvalid) as unknown:
        work.book("counter", "tour", "2014-05-31T10:00", "9999")
    assert unknown.value.word == "booking_refused"
    assert unknown.value.cause == "booking_no_card"
    booked = work.book("counter", "tour", "2014-05-31T10:00", "8821")
    station.clock.pass_ms(DAY_MS // 2 + DAY_MS // 4)
    again = work.book("counter", "tour", "2014-05-31T10:00", "8821")
    assert again.booking == booked.booking, "what stands is answered, however late it is asked"


def test_a_session_that_moved_and_one_that_is_over(
    station: Station, federation: Federation
) -> None:
    digits(federation, 1, "8821")
    work = station.service.work
    work.book("counter", "tour", "2014-05-31T10:00", "8821")
    later = {**TOUR, "version": 2, "hours": ["13:00-17:00"]}
    federation.run(federation.core.publish_offers(json.dumps([*OFFERS, later]).encode()))
    station.service.sync_now()
    assert [one.state for one in work.bookings("counter", "2014-05-31")] == ["moved"]
    station.clock.pass_ms(3 * DAY_MS)
    assert [one.state for one in work.bookings("counter", "2014-05-31")] == ["missed"]


def test_a_caller_is_booked_at_the_page(station: Station, federation: Federation) -> None:
    digits(federation, 1, "8821")
    clerk = Clerk(station)
    form = {
        "offer": "tour", "day": "2014-05-30", "time": "10", "last4": "9999", "name": "张敏",
        "units": "1",
    }  # fmt: skip
    assert "Nobody has booked" in clerk.keys("F7")
    clerk.keys("+")
    assert "no card in force ends so" in clerk.press("book-send", json.dumps(form))
    assert "missing or wrong" in clerk.press("book-send", json.dumps({**form, "time": "25"}))
    federation.transport.connected = False
    right = json.dumps({**form, "last4": "8821"})
    assert "asking twice books once" in clerk.press("book-send", right)
    federation.transport.connected = True
    page = clerk.press("book-send", right)
    assert "10:00" in page
    assert "expected" in page
    assert "张敏" not in page + clerk.side()
    assert "Booked" in clerk.side()
    assert len(station.service.work.bookings("counter")) == 1


@pytest.mark.parametrize(
    ("day", "time", "session"),
    [
        ("2014-05-30", "9", "2014-05-30T09:00"),
        ("2014-05-30", "9:30", "2014-05-30T09:30"),
        ("2014-05-30", "13\uff1a05", "2014-05-30T13:05"),
        (" 2014-05-30 ", "0930", "2014-05-30T09:30"),
        ("2014-05-32", "9", ""),
        ("2014-05-30", "24", ""),
        ("2014-05-30", "9:60", ""),
        ("", "", ""),
    ],
)
def test_a_session_as_people_type_it(day: str, time: str, session: str) -> None:
    assert session_of(day, time) == session
