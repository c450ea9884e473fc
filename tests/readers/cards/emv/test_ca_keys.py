from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers.cards.emv import CaBundleKeys, RsaKey, load_ca_keys
from readers.cards.emv.ca_keys import checksum
from readers.cards.errors import AuthenticationFailed, CaKeysRefused, Failure
from readers.cards.unionpay_profile import RID
from readers.errors import CardNotSupported
from readers.virtual.authority import CA_INDEX, TestCa

TODAY = date(2014, 5, 30)
ENDS = datetime(2014, 7, 1, 12, tzinfo=UTC)
Document = dict[str, Any]


def load(world: TestCa, change: Callable[[Document], None] | None = None) -> CaBundleKeys:
    return load_ca_keys(world.bundle(expires=ENDS, change=change), TODAY, allow_test=True)


def test_a_bundle(world: TestCa) -> None:
    keys = load(world)
    assert keys.test
    assert keys.expires == date(2014, 7, 1)
    found = keys.find(RID, CA_INDEX, on=TODAY)
    assert found.key == world.ca.public
    assert found.expires == date(2049, 12, 31)


def test_test_keys_only_in_a_demo(world: TestCa) -> None:
    with pytest.raises(CaKeysRefused, match="demo"):
        load_ca_keys(world.bundle(expires=ENDS), TODAY, allow_test=False)
    assert not load_ca_keys(world.bundle(expires=ENDS, test=False), TODAY, allow_test=False).test


def test_the_last_day_counts_and_the_next_does_not(world: TestCa) -> None:
    bundle = world.bundle(expires=ENDS)
    assert load_ca_keys(bundle, date(2014, 7, 1), allow_test=True)
    with pytest.raises(CaKeysRefused, match="ended on 2014-07-01"):
        load_ca_keys(bundle, date(2014, 7, 2), allow_test=True)


def test_an_empty_bundle_knows_no_card(world: TestCa) -> None:
    keys = load(world, lambda document: document.update(keys=[]))
    with pytest.raises(CardNotSupported):
        keys.find(RID, CA_INDEX, on=TODAY)


def test_a_key_of_another_provider(world: TestCa) -> None:
    keys = load(world)
    with pytest.raises(CardNotSupported):
        keys.find(bytes.fromhex("A000000003"), CA_INDEX, on=TODAY)
    with pytest.raises(AuthenticationFailed) as raised:
        keys.find(RID, CA_INDEX, on=date(2050, 1, 1))
    assert raised.value.failure is Failure.CA_KEY_EXPIRED


def test_what_may_be_absent(world: TestCa) -> None:
    def change(document: Document) -> None:
        for name in ("checksum", "revoked"):
            del document["keys"][0][name]
        document["keys"][0]["expires"] = ""

    found = load(world, change).find(RID, CA_INDEX, on=date(2099, 1, 1))
    assert found.expires is None
    assert not found.revoked


def put(name: str, value: object) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        target: Any = document
        *path, last = name.split(".")
        for step in path:
            target = target[int(step) if step.isdigit() else step]
        if value is None:
            del target[last]
        else:
            target[last] = value

    return change


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("format", "redcard-ca-keys/v2", "format"),
        ("format", 1, "bundle.format"),
        ("test", 0, "bundle.test"),
        ("test", None, "bundle.test"),
        ("expires_ms", True, "bundle.expires_ms"),
        ("expires_ms", "1", "bundle.expires_ms"),
        ("expires_ms", 1.5, "bundle.expires_ms"),
        ("expires_ms", -1, "expires_ms"),
        ("expires_ms", 10**18, "expires_ms"),
        ("keys", {}, "bundle.keys"),
        ("keys", [[]], r"keys\[0\]"),
        ("keys", [{}] * 257, "256"),
        ("extra", 1, "extra"),
        ("keys.0.extra", 1, r"keys\[0\].*extra"),
        ("keys.0.rid", "A0000003", r"keys\[0\].rid"),
        ("keys.0.index", "F", r"keys\[0\].index"),
        ("keys.0.index", "F1F1", r"keys\[0\].index"),
        ("keys.0.index", 241, r"keys\[0\].index"),
        ("keys.0.modulus", "", r"keys\[0\].modulus"),
        ("keys.0.modulus", "00" * 128, r"keys\[0\]"),
        ("keys.0.modulus", "FF" * 249, r"keys\[0\]"),
        ("keys.0.modulus", "FF" * 63, r"keys\[0\]"),
        ("keys.0.modulus", "F0" * 128, r"keys\[0\]"),
        ("keys.0.modulus", "FF FF", r"keys\[0\].modulus"),
        ("keys.0.exponent", "05", r"keys\[0\]"),
        ("keys.0.exponent", "01", r"keys\[0\]"),
        ("keys.0.expires", "2014-13-01", r"keys\[0\].expires"),
        ("keys.0.revoked", "no", r"keys\[0\].revoked"),
        ("keys.0.checksum", "00" * 20, r"keys\[0\].checksum"),
        ("revoked_issuers", [{"rid": "A000000333", "index": "F1"}], r"revoked_issuers\[0\].serial"),
        ("revoked_issuers", "all", "revoked_issuers"),
    ],
)
def test_what_is_refused_whole(world: TestCa, name: str, value: object, said: str) -> None:
    with pytest.raises(CaKeysRefused, match=said) as raised:
        load(world, put(name, value))
    assert "nothing was changed" in str(raised.value)


def test_a_key_named_twice(world: TestCa) -> None:
    with pytest.raises(CaKeysRefused, match="twice"):
        load(world, lambda document: document["keys"].append(document["keys"][0]))


def test_too_large_a_bundle() -> None:
    with pytest.raises(CaKeysRefused):
        load_ca_keys(b" " * 1_048_577, TODAY, allow_test=True)


def test_the_checksum_that_schemes_publish() -> None:
    """Mastercard's published checksum of CA key 05."""
    from tests.readers.cards.emv.chains import chains

    chain = chains("signed_dynamic_data")[0]
    key: RsaKey = chain.ca
    assert checksum(bytes.fromhex("A000000004"), 5, key).hex() == (
        "ebfa0d5d06d8ce702da3eae890701d45e274c845"
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["keys", "format", "test", "rid", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(value=json_values, field=st.sampled_from(["", "keys", "revoked_issuers", "expires_ms"]))
def test_any_json_raises_only_the_declared_error(value: object, field: str) -> None:
    base: Document = {
        "format": "redcard-ca-keys/v1",
        "test": True,
        "expires_ms": 1_500_000_000_000,
        "keys": [],
        "revoked_issuers": [],
    }
    document = {**base, field: value} if field else value
    try:
        load_ca_keys(json.dumps(document).encode(), TODAY, allow_test=True)
    except CaKeysRefused as error:
        assert "nothing was changed" in str(error)


@given(data=st.binary(max_size=64))
def test_any_bytes_raise_only_the_declared_error(data: bytes) -> None:
    with pytest.raises(CaKeysRefused):
        load_ca_keys(data, TODAY, allow_test=True)
