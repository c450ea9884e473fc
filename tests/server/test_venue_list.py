"""Venues from a spreadsheet."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core import ServerCore
from server.errors import ImportRefused
from server.venue_list import venues_of_csv
from tests.server.world import Time, play

SHEET = """id,name,kind,level,district,street,owner,owner_kind,demo,area_m2,street_facing
S0301,朝外站,station,street,朝阳区,朝外街道,北京市总工会,union,是,120.5,true
R0001,铁路站,station,,,,铁路工会,industry,false,,
"""


def test_a_registry_comes_from_a_spreadsheet(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, _time: Time) -> None:
        assert await core.import_venues(SHEET.encode()) == 2
        venue = (await core.published()).venues["S0301"]
        assert (venue.name, venue.district, venue.street) == ("朝外站", "朝阳区", "朝外街道")
        async with core.database.reading() as connection:
            from server.offers import venue_documents

            held = {one["id"]: one for one in await venue_documents(connection)}
        assert (
            held["S0301"] | {"demo": True, "area_m2": 120.5, "street_facing": True} == held["S0301"]
        )
        assert held["R0001"] == {
            "id": "R0001",
            "name": "铁路站",
            "kind": "station",
            "owner": "铁路工会",
            "owner_kind": "industry",
            "demo": False,
        }

    play(run, home, database_url)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("name\nx\n", "line 1"),
        ("id,colour\nx,red\n", "line 1"),
        ("id,demo\nx,perhaps\n", "line 2: demo"),
        ("id,name\nx\n", "line 2"),
        ("id,area_m2\na,1\nb,wide\n", "line 3"),
    ],
)
def test_what_is_not_sound_is_refused_with_its_line(data: str, why: str) -> None:
    with pytest.raises(ImportRefused, match=why):
        venues_of_csv(data.encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        venues_of_csv(data)
    except ImportRefused:
        return
