"""age files opened with a shared secret alone, beside pyrage: the two agree on every byte."""

from __future__ import annotations

import base64
import hmac

import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st

from keys import age, age_file
from keys.age_file import _hkdf
from keys.errors import DecryptionFailed

PRIVATE = X25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes_raw()
IDENTITY = pyrage.x25519.Identity.from_str(age.identity_text(bytes(range(32))))
CHUNK = 64 * 1024
#: A point of order 8 (RFC 7748, 6.1): every shared secret with it is zero.
LOW_ORDER = bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")


def shared(share: bytes) -> bytes:
    assert share != LOW_ORDER, "asked for a secret that anyone knows"
    return PRIVATE.exchange(X25519PublicKey.from_public_bytes(share))


def ours(blob: bytes) -> bytes | None:
    try:
        return age_file.decrypt(blob, PUBLIC, shared)
    except DecryptionFailed:
        return None


def theirs(blob: bytes) -> bytes | None:
    try:
        opened: bytes = pyrage.decrypt(blob, [IDENTITY])
    except pyrage.DecryptError:
        return None
    return opened


def text(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def made(
    stanzas: bytes | None = None,
    payload: bytes | None = None,
    *,
    file_key: bytes = b"k" * 16,
    share: bytes = b"",
) -> bytes:
    """An age file put together here, so that any part of it can be wrong under a good MAC."""
    stanzas = stanza(file_key, share) if stanzas is None else stanzas
    head = b"age-encryption.org/v1\n" + stanzas + b"---"
    mac = hmac.digest(_hkdf(file_key, b"", b"header"), head, "sha256")
    return head + b" " + text(mac) + b"\n" + (chunks(b"plain") if payload is None else payload)


def stanza(file_key: bytes = b"k" * 16, share: bytes = b"", argument: bytes = b"X25519") -> bytes:
    ephemeral = X25519PrivateKey.from_private_bytes(b"e" * 32)
    share = share or ephemeral.public_key().public_bytes_raw()
    secret = ephemeral.exchange(X25519PublicKey.from_public_bytes(PUBLIC))
    key = _hkdf(secret, share + PUBLIC, b"age-encryption.org/v1/X25519")
    body = ChaCha20Poly1305(key).encrypt(bytes(12), file_key, None)
    return b"-> " + argument + b" " + text(share) + b"\n" + text(body) + b"\n"


def chunks(*plain: bytes, last: bool = True) -> bytes:
    cipher = ChaCha20Poly1305(_hkdf(b"k" * 16, b"n" * 16, b"payload"))
    sealed = b"n" * 16
    for number, chunk in enumerate(plain):
        mark = last and number == len(plain) - 1
        sealed += cipher.encrypt(number.to_bytes(11) + bytes((mark,)), chunk, None)
    return sealed


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_opens_what_pyrage_makes(size: int) -> None:
    plain = bytes(at & 0xFF for at in range(size))
    assert ours(pyrage.encrypt(plain, [IDENTITY.to_public()])) == plain


def test_one_of_several_recipients() -> None:
    others = [pyrage.x25519.Identity.generate().to_public() for _ in range(3)]
    assert ours(pyrage.encrypt(b"plain", [*others, IDENTITY.to_public()])) == b"plain"
    assert ours(pyrage.encrypt(b"plain", others)) is None
    assert ours(pyrage.passphrase.encrypt(b"plain", "secret")) is None


def test_the_files_made_here_are_age_files() -> None:
    for blob in (made(), made(payload=chunks(b"a" * CHUNK, b"b"))):
        assert ours(blob) == theirs(blob) != None  # noqa: E711 - both opened it


def _with_another_mac(blob: bytes) -> bytes:
    at = blob.index(b"--- ") + 4
    return blob[:at] + (b"B" if blob[at : at + 1] == b"A" else b"A") + blob[at + 1 :]


X = stanza()
VARIANTS: dict[str, bytes] = {
    "no stanza": made(b""),
    "unknown stanza": made(b"-> joint a b\nAAAA\n" + X),
    "empty body": made(b"-> empty\n\n" + X),
    "body of a full line": made(b"-> full\n" + b"A" * 64 + b"\n\n" + X),
    "body without its last line": made(b"-> full\n" + b"A" * 64 + b"\n" + X),
    "body too long a line": made(b"-> long\n" + b"A" * 65 + b"\n" + X),
    "no body": made(b"-> none\n" + X),
    "two spaces": made(b"->  joint\n\n" + X),
    "trailing space": made(b"-> joint \n\n" + X),
    "no arguments": made(b"->\n\n" + X),
    "not ascii": made(b"-> j\xc3\xb6int\n\n" + X),
    "carriage return": made(X.replace(b"\n", b"\r\n")),
    "padding": made(X.replace(b"\n", b"==\n", 1)),
    "scrypt beside it": made(b"-> scrypt AAAAAAAAAAAAAAAAAAAAAA 10\n" + b"A" * 43 + b"\n" + X),
    "argument too many": made(X.replace(b"\n", b" more\n", 1)),
    "lower case": made(stanza(argument=b"x25519")),
    "short share": made(stanza(share=b"e" * 31)),
    "low order": made(share=LOW_ORDER),
    "long file key": made(file_key=b"k" * 25),
    "short payload": made(payload=b"n" * 15),
    "no chunk": made(payload=b"n" * 16),
    "chunk not last": made(payload=chunks(b"plain", last=False)),
    "empty last chunk": made(payload=chunks(b"a" * CHUNK, b"")),
    "chunk after the last": made(payload=chunks(b"plain") + b"x" * 30),
    "bad mac": _with_another_mac(made()),
    "version 2": made().replace(b"/v1", b"/v2", 1),
    "leading line": b"\n" + made(),
    "armour": b"-----BEGIN AGE ENCRYPTED FILE-----\n" + base64.b64encode(made()),
}
OPENED = {
    "unknown stanza",
    "empty body",
    "body of a full line",
}
#: Bodies that do not end: refused by the specification, let through by pyrage as older files.
STRICTER = {"body without its last line", "no body"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_are_judged_as_pyrage_judges_them(variant: str) -> None:
    blob = VARIANTS[variant]
    assert (ours(blob) is not None) == (variant in OPENED)
    assert (ours(blob) == theirs(blob)) is (variant not in STRICTER)


def test_every_byte_matters() -> None:
    blob = pyrage.encrypt(b"plain", [IDENTITY.to_public()])
    for at in range(len(blob)):
        for value in (0x01, 0x20, 0x80):
            changed = blob[:at] + bytes((blob[at] ^ value,)) + blob[at + 1 :]
            assert ours(changed) == theirs(changed), (at, value)
        assert ours(blob[:at]) is None


@settings(max_examples=300)
@given(head=st.binary(max_size=80), cut=st.integers(0, 120))
def test_noise_is_one_declared_error(head: bytes, cut: int) -> None:
    blob = made()
    assert ours(blob[:cut] + head + blob[cut:]) in (None, b"plain")
    assert ours(head) is None
