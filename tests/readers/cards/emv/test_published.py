"""Chains that others published, none of them UnionPay's, through the same functions."""

from __future__ import annotations

from datetime import date

import pytest

from readers.cards.emv import (
    IccKey,
    RsaKey,
    read_icc_certificate,
    read_issuer_certificate,
    verify_combined_signature,
    verify_dynamic_signature,
    verify_static_signature,
)
from readers.cards.errors import AuthenticationFailed, Failure
from tests.readers.cards.emv.chains import CHAINS, Chain, chains


def flip(data: bytes, at: int = -1) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def test_there_are_chains_of_every_kind() -> None:
    assert len(CHAINS) == 6
    assert chains("signed_static_data", "static_data")
    assert chains("signed_dynamic_data", "static_data")
    assert chains("signed_combined_data", "transaction_data")


def test_a_published_unionpay_certificate() -> None:
    """Its remainder was not published, so its form is all that can be checked."""
    (chain,) = chains("issuer_certificate_only")
    certificate = chain.raw("issuer_certificate_only")
    read = read_issuer_certificate(chain.ca, certificate)
    assert read.subject.hex() == "623521ff"
    assert read.expiry.hex() == "1230"
    assert (read.modulus_size, read.exponent_size, len(read.leftmost)) == (176, 1, 140)
    with pytest.raises(AuthenticationFailed):
        read_issuer_certificate(chain.ca, flip(certificate))


@pytest.mark.parametrize("chain", chains("issuer_certificate"), ids=lambda c: c.name)
def test_issuer_keys(chain: Chain) -> None:
    issuer = chain.issuer()
    assert chain.fields["pan"].startswith(issuer.identifier)
    if chain.has("issuer_modulus"):
        assert issuer.key.modulus == chain.raw("issuer_modulus")
    for change in (
        {"certificate": flip(chain.raw("issuer_certificate"))},
        {"certificate": chain.raw("issuer_certificate")[:-1]},
        {"remainder": chain.raw("issuer_remainder") + b"\x00"},
        {"exponent": b"\x01\x00\x01"},
        {"exponent": b""},
    ):
        with pytest.raises(AuthenticationFailed):
            chain.issuer(**change)


@pytest.mark.parametrize("chain", chains("static_data", "icc_certificate"), ids=lambda c: c.name)
def test_icc_keys(chain: Chain) -> None:
    assert chain.icc().key.bits == 896
    with pytest.raises(AuthenticationFailed) as raised:
        chain.icc(static_data=flip(chain.raw("static_data")))
    assert raised.value.failure is Failure.ICC_CERTIFICATE_HASH


@pytest.mark.parametrize("chain", chains("icc_modulus"), ids=lambda c: c.name)
def test_icc_certificates_whose_static_data_was_not_published(chain: Chain) -> None:
    read = read_icc_certificate(chain.issuer().key, chain.raw("icc_certificate"))
    assert read.leftmost + chain.raw("icc_remainder") == chain.raw("icc_modulus")
    assert read.subject.hex().rstrip("f") == chain.fields["pan"]
    with pytest.raises(AuthenticationFailed) as raised:
        chain.icc(static_data=b"")
    assert raised.value.failure is Failure.ICC_CERTIFICATE_HASH


@pytest.mark.parametrize("chain", chains("signed_static_data"), ids=lambda c: c.name)
def test_static_signatures(chain: Chain) -> None:
    signature, data = chain.raw("signed_static_data"), chain.raw("static_data")
    assert len(verify_static_signature(chain.issuer(), signature, data)) == 2
    with pytest.raises(AuthenticationFailed) as raised:
        verify_static_signature(chain.issuer(), signature, flip(data, 3))
    assert raised.value.failure is Failure.STATIC_SIGNATURE_HASH
    with pytest.raises(AuthenticationFailed) as raised:
        verify_static_signature(chain.issuer(), flip(signature), data)
    assert raised.value.failure is Failure.STATIC_SIGNATURE


@pytest.mark.parametrize("chain", chains("signed_dynamic_data"), ids=lambda c: c.name)
def test_dynamic_signatures(chain: Chain) -> None:
    signature = chain.raw("signed_dynamic_data")
    data = verify_dynamic_signature(chain.icc(), signature, chain.raw("terminal_dynamic_data"))
    assert 2 <= len(data.number) <= 8
    assert not data.combined
    with pytest.raises(AuthenticationFailed) as raised:
        verify_dynamic_signature(chain.icc(), signature, b"\x00\x00\x00\x01")
    assert raised.value.failure is Failure.DYNAMIC_SIGNATURE_HASH


@pytest.mark.parametrize("chain", chains("transaction_data"), ids=lambda c: c.name)
def test_combined_signatures(chain: Chain) -> None:
    signature, number = chain.raw("signed_combined_data"), chain.raw("terminal_dynamic_data")
    transaction = chain.raw("transaction_data")
    data = verify_combined_signature(chain.icc(), signature, number, transaction)
    assert data.information == 0x40
    assert len(data.cryptogram) == 8
    for wrong_number, wrong_transaction in ((flip(number), transaction), (number, b"other")):
        with pytest.raises(AuthenticationFailed) as raised:
            verify_combined_signature(chain.icc(), signature, wrong_number, wrong_transaction)
        assert raised.value.failure is Failure.DYNAMIC_SIGNATURE_HASH


def test_a_dynamic_signature_is_no_combined_one() -> None:
    (chain,) = chains("signed_dynamic_data")
    with pytest.raises(AuthenticationFailed, match="cryptogram"):
        verify_combined_signature(
            chain.icc(), chain.raw("signed_dynamic_data"), chain.raw("terminal_dynamic_data"), b""
        )


def test_a_combined_signature_without_its_transaction() -> None:
    (chain,) = chains("transaction_hash")
    read = read_icc_certificate(chain.issuer().key, chain.raw("icc_certificate"))
    icc = IccKey(RsaKey(chain.raw("icc_modulus"), 3), date(2027, 12, 31), read.serial)
    data = verify_dynamic_signature(
        icc, chain.raw("signed_combined_data"), chain.raw("terminal_dynamic_data")
    )
    assert data.combined
    assert data.number == chain.raw("dynamic_number")
    assert data.rest == (
        chain.raw("cryptogram_information")
        + chain.raw("cryptogram")
        + chain.raw("transaction_hash")
    )
