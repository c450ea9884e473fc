"""EMV offline data authentication: certificates, signatures, records, CA keys (EMV Book 2 and 3).

Pure: no time, no randomness, no input or output; what a card says comes in as bytes.
"""

from readers.cards.emv.ca_keys import CaBundleKeys, CaKey, load_ca_keys
from readers.cards.emv.certificates import (
    IccKey,
    IssuerKey,
    read_icc_certificate,
    read_issuer_certificate,
    recover_icc_key,
    recover_issuer_key,
)
from readers.cards.emv.pan import Pan
from readers.cards.emv.rsa import RsaKey
from readers.cards.emv.signatures import (
    CombinedData,
    DynamicData,
    verify_combined_signature,
    verify_dynamic_signature,
    verify_static_signature,
)
from readers.cards.emv.sm_certificates import (
    Sm2Key,
    SmIccKey,
    SmIssuerKey,
    read_sm_icc_key,
    read_sm_issuer_key,
    verify_sm_dynamic_signature,
)

__all__ = [
    "CaBundleKeys",
    "CaKey",
    "CombinedData",
    "DynamicData",
    "IccKey",
    "IssuerKey",
    "Pan",
    "RsaKey",
    "Sm2Key",
    "SmIccKey",
    "SmIssuerKey",
    "load_ca_keys",
    "read_icc_certificate",
    "read_issuer_certificate",
    "read_sm_icc_key",
    "read_sm_issuer_key",
    "recover_icc_key",
    "recover_issuer_key",
    "verify_combined_signature",
    "verify_dynamic_signature",
    "verify_sm_dynamic_signature",
    "verify_static_signature",
]
