"""CA public keys as they come out of the signed bundle (EMV Book 2, 11.2.2). Pure.

Whoever calls ``load_ca_keys`` has verified the bundle's signature; this module verifies no
bundles, and the scheme is off without one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, TypeVar

from readers.cards import sm2
from readers.cards.emv.rsa import RsaKey
from readers.cards.emv.sm_certificates import Sm2Key
from readers.cards.errors import AuthenticationFailed, CaKeysRefused, Failure
from readers.errors import CardNotSupported

T = TypeVar("T")

FORMAT: Final = "redcard-ca-keys/v1"
BUNDLE_BYTES_MAX: Final = 1_048_576
KEYS_MAX: Final = 256
REVOKED_ISSUERS_MAX: Final = 10_000
_RID_BYTES: Final = 5
_SERIAL_BYTES: Final = 3
_MILLISECONDS_MAX: Final = 253_402_300_799_000  # the end of the year 9999
_REMEDY: Final = "nothing was changed; pull a new bundle (redcard sync pull)"


@dataclass(frozen=True, slots=True)
class CaKey:
    """One public key of a card scheme's certification authority.

    Attributes:
        rid: registered application provider identifier, 5 bytes.
        index: the number that cards name it by, tag 8F.
        key: the public key, RSA or SM2.
        expires: last day, or ``None`` if the scheme set none.
        revoked: whether the scheme has withdrawn it.
    """

    rid: bytes
    index: int
    key: RsaKey | Sm2Key
    expires: date | None
    revoked: bool


@dataclass(frozen=True, slots=True)
class CaBundleKeys:
    """The keys of one bundle.

    Attributes:
        keys: by RID and index.
        revoked_issuers: withdrawn issuer certificates by RID, CA key index and serial.
        expires: last day (UTC) on which the bundle may be used.
        test: whether these are test keys, which only a demo accepts.
    """

    keys: Mapping[tuple[bytes, int], CaKey]
    revoked_issuers: frozenset[tuple[bytes, int, bytes]]
    expires: date
    test: bool

    def find(self, rid: bytes, index: int, *, on: date) -> CaKey:
        """The key that a card names.

        Args:
            rid: first five bytes of the selected AID.
            index: tag 8F.
            on: the day on which the key must be valid.

        Raises:
            CardNotSupported: this bundle has no such key, so nothing can be said of the card.
            AuthenticationFailed: the key has expired or was withdrawn.
        """
        found = self.keys.get((rid, index))
        name = f"CA key {index:02X} of {rid.hex().upper()}"
        if found is None:
            raise CardNotSupported(f"{name} is not in this terminal's bundle; {_REMEDY}")
        if found.revoked:
            raise AuthenticationFailed(Failure.CA_KEY_REVOKED, f"{name} was withdrawn")
        if found.expires is not None and on > found.expires:
            raise AuthenticationFailed(Failure.CA_KEY_EXPIRED, f"{name} ended on {found.expires}")
        return found

    def check_issuer(self, ca_key: CaKey, serial: bytes) -> None:
        """Refuses an issuer certificate that was withdrawn (EMV Book 2, 5.3, step 10).

        Args:
            ca_key: the key that signed it.
            serial: its serial number, 3 bytes.

        Raises:
            AuthenticationFailed: it was.
        """
        if (ca_key.rid, ca_key.index, serial) in self.revoked_issuers:
            raise AuthenticationFailed(
                Failure.ISSUER_REVOKED, f"bank certificate {serial.hex()} was withdrawn"
            )


def load_ca_keys(data: bytes, today: date, *, allow_test: bool) -> CaBundleKeys:
    """Reads the JSON of a CA key bundle whose signature was verified.

    Args:
        data: ``ca_keys.json``.
        today: the terminal's date.
        allow_test: whether this is a demo; elsewhere test keys are refused.

    Raises:
        CaKeysRefused: malformed, expired, or made of test keys; the message names the field.
    """
    if len(data) > BUNDLE_BYTES_MAX:
        raise CaKeysRefused(f"a CA key bundle of more than {BUNDLE_BYTES_MAX} bytes; {_REMEDY}")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CaKeysRefused(f"the CA key bundle is no JSON ({error}); {_REMEDY}") from None
    top = _Fields(document, "bundle")
    if top.take("format", str) != FORMAT:
        raise CaKeysRefused(f"the bundle's format is not {FORMAT}; {_REMEDY}")
    test = top.take("test", bool)
    if test and not allow_test:
        raise CaKeysRefused(f"the bundle holds test keys, which only a demo accepts; {_REMEDY}")
    expires_ms = top.take("expires_ms", int)
    if not 0 <= expires_ms <= _MILLISECONDS_MAX:
        raise CaKeysRefused(f"expires_ms is out of bounds; {_REMEDY}")
    expires = datetime.fromtimestamp(expires_ms // 1000, UTC).date()
    if today > expires:
        raise CaKeysRefused(f"the CA key bundle ended on {expires}; {_REMEDY}")
    keys = [_key(item, f"keys[{at}]") for at, item in enumerate(top.items("keys", KEYS_MAX))]
    revoked = [
        _revoked(item, f"revoked_issuers[{at}]")
        for at, item in enumerate(top.items("revoked_issuers", REVOKED_ISSUERS_MAX))
    ]
    top.close()
    by_name = {(key.rid, key.index): key for key in keys}
    if len(by_name) != len(keys):
        raise CaKeysRefused(f"the bundle names a key twice; {_REMEDY}")
    return CaBundleKeys(by_name, frozenset(revoked), expires, test)


def checksum(rid: bytes, index: int, key: RsaKey) -> bytes:
    """The checksum that schemes publish with a key: SHA-1 (EMV Book 2, 11.2.2)."""
    exponent = key.exponent.to_bytes((key.exponent.bit_length() + 7) // 8)
    return hashlib.sha1(rid + bytes((index,)) + key.modulus + exponent).digest()  # noqa: S324


def _key(document: object, where: str) -> CaKey:
    fields = _Fields(document, where)
    rid, index = fields.octets("rid", _RID_BYTES), fields.octets("index", 1)[0]
    algorithm = fields.take("algorithm", str, default="rsa")
    if algorithm not in ("rsa", "sm2"):
        raise CaKeysRefused(f"{where}.algorithm is neither rsa nor sm2; {_REMEDY}")
    key = _rsa_key(fields, rid, index, where) if algorithm == "rsa" else _sm2_key(fields, where)
    expires = _day(fields.take("expires", str, default=""), where)
    revoked = fields.take("revoked", bool, default=False)
    fields.close()
    return CaKey(rid, index, key, expires, revoked)


def _rsa_key(fields: _Fields, rid: bytes, index: int, where: str) -> RsaKey:
    key = RsaKey(fields.octets("modulus"), int.from_bytes(fields.octets("exponent")))
    if not key.sound():
        raise CaKeysRefused(f"{where}: modulus or exponent is out of bounds; {_REMEDY}")
    if fields.has("checksum") and fields.octets("checksum") != checksum(rid, index, key):
        raise CaKeysRefused(f"{where}.checksum does not fit the key; {_REMEDY}")
    return key


def _sm2_key(fields: _Fields, where: str) -> Sm2Key:
    key = Sm2Key(fields.octets("point", sm2.KEY_BYTES))
    if not sm2.on_curve(key.point):
        raise CaKeysRefused(f"{where}.point is no point of the curve; {_REMEDY}")
    return key


def _revoked(document: object, where: str) -> tuple[bytes, int, bytes]:
    fields = _Fields(document, where)
    entry = (
        fields.octets("rid", _RID_BYTES),
        fields.octets("index", 1)[0],
        fields.octets("serial", _SERIAL_BYTES),
    )
    fields.close()
    return entry


def _day(text: str, where: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CaKeysRefused(f"{where}.expires is no date YYYY-MM-DD; {_REMEDY}") from None


class _Fields:
    """One JSON object, read field by field; what nobody asked for is an error at the end."""

    def __init__(self, document: object, where: str) -> None:
        if not isinstance(document, dict):
            raise CaKeysRefused(f"{where} is no object; {_REMEDY}")
        self._left: dict[str, Any] = dict(document)
        self._where = where

    def has(self, name: str) -> bool:
        return name in self._left

    def take(self, name: str, kind: type[T], default: T | None = None) -> T:
        value = self._left.pop(name, default)
        # A bool is an int to isinstance; "expires_ms": true is malformed.
        if type(value) is not kind:
            raise CaKeysRefused(f"{self._where}.{name} is no {kind.__name__}; {_REMEDY}")
        return value

    def items(self, name: str, most: int) -> list[object]:
        found = self.take(name, list)
        if len(found) > most:
            raise CaKeysRefused(f"{self._where}.{name} has more than {most} entries; {_REMEDY}")
        return found

    def octets(self, name: str, length: int | None = None) -> bytes:
        text = self.take(name, str)
        try:
            value = bytes.fromhex(text)
        except ValueError:
            value = b""
        if not value or len(value) != (length or len(value)) or len(text) != 2 * len(value):
            raise CaKeysRefused(f"{self._where}.{name} is not the hex expected; {_REMEDY}")
        return value

    def close(self) -> None:
        if self._left:
            raise CaKeysRefused(f"{self._where} has unknown fields {sorted(self._left)}; {_REMEDY}")
