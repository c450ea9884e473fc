"""What the federation publishes goes before the product's own profiles, whole or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_profiles.catalogue import Catalogue, load
from firmware_profiles.errors import ProfileError, ProfileInvalid, ProfileTie
from firmware_profiles.published import decode, encode, in_front, taken_over

ACME = """\
id = "acme-100"
title = "ACME 100"
[match]
name = '^ACME 100'
examples = ["ACME 100 PICC 00 00"]
[slots]
roles = ["picc"]
[apdu]
exchange = "short"
[[evidence]]
source = "tried at a station"
date = "2026-11-24"
"""


@pytest.fixture(scope="module")
def product() -> Catalogue:
    return load()


def test_a_published_profile_is_used_before_the_products_own(product: Catalogue) -> None:
    name = "ACS ACR1552 1S CL Reader PICC 0"
    assert product.match_name(name) == "acs-acr1552"
    ours = ACME.replace("^ACME 100'", "ACR1552'").replace("ACME 100 PICC 00 00", name)
    known = in_front(product, decode(encode({"acme-100.toml": ours})))
    assert known.match_name(name) == "acme-100"
    assert known.match_name("ACS ACR1252 Reader 00 00") == product.match_name(
        "ACS ACR1252 Reader 00 00"
    )
    assert taken_over(product, known) == {"acme-100": ("acs-acr1552", "acs-acr1552-cl")}


def test_one_of_the_same_id_is_replaced_and_a_new_model_is_known(product: Catalogue) -> None:
    again = ACME.replace("acme-100", "acs-acr1552").replace("ACME 100", "ACR1552")
    known = in_front(product, {"acs-acr1552.toml": again, "acme-100.toml": ACME})
    assert len(known.profiles) == len(product.profiles) + 1
    assert known.profiles["acs-acr1552"].title == "ACR1552"
    assert known.match_name("ACME 100 PICC 00 00") == "acme-100"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"acme-100.toml": ACME, "other.toml": ACME}, "name the file acme-100.toml"),
        ({"acme-100.toml": ACME.replace("2026-11-24", "soon")}, "evidence 1 needs"),
        ({"acme-100.toml": "id ="}, "acme-100.toml"),
        (
            {"acme-100.toml": ACME, "acme-200.toml": ACME.replace("acme-100", "acme-200")},
            "claim",
        ),
        (
            {
                "generic-short.toml": ACME.replace("acme-100", "generic-short"),
            },
            "generic",
        ),
    ],
)
def test_one_wrong_profile_refuses_the_set(
    product: Catalogue, files: dict[str, str], said: str
) -> None:
    with pytest.raises((ProfileInvalid, ProfileTie), match=said):
        in_front(product, files)


@given(st.binary(max_size=300) | st.dictionaries(st.text(max_size=9), st.text()).map(encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        files = decode(data)
    except ProfileError:
        return
    assert decode(encode(files)) == files
