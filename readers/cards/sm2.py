"""SM2 signatures with SM3, verified only (GB/T 32918.2, GB/T 32905; GM/T 0003). Pure.

``cryptography`` has SM3 but not SM2. Verification handles public values alone, so plain integers
leak nothing; nothing here may ever sign.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from readers.cards.errors import AuthenticationFailed, Failure

#: The curve of GB/T 32918.5.
_P: Final = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_00000000_FFFFFFFF_FFFFFFFF
_A: Final = _P - 3
_B: Final = 0x28E9FA9E_9D9F5E34_4D5A9E4B_CF6509A7_F39789F5_15AB8F92_DDBCBD41_4D940E93
_N: Final = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_7203DF6B_21C6052B_53BBF409_39D54123
_GX: Final = 0x32C4AE2C_1F198119_5F990446_6A39C994_8FE30BBF_F2660BE1_715A4589_334C74C7
_GY: Final = 0xBC3736A2_F4F6779C_59BDCEE3_6B692153_D0A9877C_C62A4740_02DF32E5_2139F0A0

KEY_BYTES: Final = 64
SIGNATURE_BYTES: Final = 64
#: The signer's identity where nothing else is agreed (GM/T 0009, 10).
DEFAULT_IDENTITY: Final = b"1234567812345678"
_IDENTITY_BYTES_MAX: Final = 8191

#: Jacobian coordinates; the point at infinity has z = 0.
_Point: TypeAlias = tuple[int, int, int]
_INFINITY: Final[_Point] = (1, 1, 0)
_BASE: Final[_Point] = (_GX, _GY, 1)


def sm3(data: bytes) -> bytes:
    """The SM3 hash, 32 bytes (GB/T 32905)."""
    from cryptography.hazmat.primitives.hashes import SM3, Hash

    digest = Hash(SM3())
    digest.update(data)
    return digest.finalize()


def on_curve(public_key: bytes) -> bool:
    """Whether 64 bytes, x then y, name a point of the curve."""
    if len(public_key) != KEY_BYTES:
        return False
    x, y = int.from_bytes(public_key[:32]), int.from_bytes(public_key[32:])
    return x < _P and y < _P and (y * y - x * x * x - _A * x - _B) % _P == 0


def verify(
    public_key: bytes,
    message: bytes,
    signature: bytes,
    failure: Failure,
    *,
    identity: bytes = DEFAULT_IDENTITY,
) -> None:
    """Checks a signature (GB/T 32918.2, 7.1).

    Args:
        public_key: 64 bytes, x then y.
        message: what was signed.
        signature: 64 bytes, r then s.
        failure: what to call it when it fails.
        identity: the signer's identity, at most 8,191 bytes.

    Raises:
        AuthenticationFailed: the key is no point of the curve, or the signature does not hold.
        ValueError: the identity is too long.
    """
    if len(identity) > _IDENTITY_BYTES_MAX:
        raise ValueError(f"an identity of more than {_IDENTITY_BYTES_MAX} bytes")
    if not on_curve(public_key):
        raise AuthenticationFailed(failure, "the SM2 key is no point of the curve")
    if len(signature) != SIGNATURE_BYTES:
        raise AuthenticationFailed(failure, f"an SM2 signature of {len(signature)} bytes")
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    t = (r + s) % _N
    if not (1 <= r < _N and 1 <= s < _N) or t == 0:
        raise AuthenticationFailed(failure, "an SM2 signature out of range")
    key = (int.from_bytes(public_key[:32]), int.from_bytes(public_key[32:]), 1)
    x = _affine_x(_sum_of_products(s, _BASE, t, key))
    digest = int.from_bytes(sm3(_prefix(public_key, identity) + message))
    if x is None or (digest + x) % _N != r:
        raise AuthenticationFailed(failure, "the SM2 signature does not hold")


def _prefix(public_key: bytes, identity: bytes) -> bytes:
    """Z, the hash over identity, curve and key (GB/T 32918.2, 5.5)."""
    curve = b"".join(value.to_bytes(32) for value in (_A, _B, _GX, _GY))
    return sm3((8 * len(identity)).to_bytes(2) + identity + curve + public_key)


def _sum_of_products(s: int, first: _Point, t: int, second: _Point) -> _Point:
    """``s * first + t * second`` by reading both numbers bit by bit together (Shamir)."""
    both = _add(first, second)
    result = _INFINITY
    for bit in range(max(s.bit_length(), t.bit_length()) - 1, -1, -1):
        result = _double(result)
        choice = (s >> bit & 1) | (t >> bit & 1) << 1
        if choice:
            result = _add(result, (first, second, both)[choice - 1])
    return result


def _double(point: _Point) -> _Point:
    x, y, z = point
    if not y or not z:
        return _INFINITY
    yy = y * y % _P
    four_xyy = 4 * x * yy % _P
    slope = 3 * (x - z * z) * (x + z * z) % _P  # a = -3
    new_x = (slope * slope - 2 * four_xyy) % _P
    new_y = (slope * (four_xyy - new_x) - 8 * yy * yy) % _P
    return new_x, new_y, 2 * y * z % _P


def _add(first: _Point, second: _Point) -> _Point:
    x1, y1, z1 = first
    x2, y2, z2 = second
    if not z1:
        return second
    if not z2:
        return first
    z1z1, z2z2 = z1 * z1 % _P, z2 * z2 % _P
    u1, u2 = x1 * z2z2 % _P, x2 * z1z1 % _P
    s1, s2 = y1 * z2 * z2z2 % _P, y2 * z1 * z1z1 % _P
    if u1 == u2:
        return _double(first) if s1 == s2 else _INFINITY
    h, r = (u2 - u1) % _P, (s2 - s1) % _P
    hh = h * h % _P
    hhh, v = h * hh % _P, u1 * hh % _P
    x3 = (r * r - hhh - 2 * v) % _P
    return x3, (r * (v - x3) - s1 * hhh) % _P, h * z1 * z2 % _P


def _affine_x(point: _Point) -> int | None:
    x, _, z = point
    if not z:
        return None
    inverse = pow(z, -1, _P)
    return x * inverse * inverse % _P
