"""Keys on a token: what the contract of stores does not ask. SoftHSM is the token."""

from __future__ import annotations

import concurrent.futures
import hashlib
import hmac
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from keys import age
from keys.errors import (
    DecryptionFailed,
    KeyExists,
    KeyUnknown,
    SecretInvalid,
    StoreExposed,
    StoreLocked,
    StoreUnwritable,
    TokenFault,
    TokenIncapable,
    TokenMissing,
)
from keys.keystore import KeyKind
from keys.pkcs11 import Pkcs11KeyStore
from tests.keys.conftest import MODULE, SoftToken
from tests.keys.test_age_file import LOW_ORDER, made, stanza

SECRETS = {
    "ed25519": bytes(range(1, 33)),
    "x25519": bytes(range(33, 65)),
    "hmac": bytes(range(65, 97)),
}


@pytest.fixture
def full(token_store: Pkcs11KeyStore) -> Pkcs11KeyStore:
    """A store with one imported key of each kind, and one made on the token."""
    for kind, secret in SECRETS.items():
        token_store.import_secret(kind, kind, secret)
        token_store.generate(f"{kind}-made", kind)
    return token_store


def test_keys_stay_when_the_store_is_closed(soft_token: SoftToken, full: Pkcs11KeyStore) -> None:
    names = full.names()
    public = [full.public_key("ed25519-made"), full.recipient("x25519-made")]
    full.close()
    full.close()
    for use in (full.names, lambda: full.sign("ed25519", b"")):
        with pytest.raises(TokenMissing, match="closed"):
            use()
    with soft_token.open() as again:
        assert (
            again.names()
            == names
            == ("ed25519", "ed25519-made", "hmac", "hmac-made", "x25519", "x25519-made")
        )
        assert [again.kind(name).value for name in names] == [n.split("-")[0] for n in names]
        assert [again.public_key("ed25519-made"), again.recipient("x25519-made")] == public
        assert again.mac("hmac", b"d") == hmac.digest(SECRETS["hmac"], b"d", hashlib.sha256)
        for name in names:
            again.erase(name)
        assert again.names() == ()


def _attempts(store: Pkcs11KeyStore, name: str) -> list[tuple[str, Callable[[], Any]]]:
    """Everything that a program with the PIN can ask the token for."""
    api, session = store._api, store._session
    attribute = api.Attribute
    (key,) = store._secrets(name)

    def turned(changes: dict[Any, Any], how: str) -> Any:
        if how == "set":
            for which, value in changes.items():
                key[which] = value
            return key[attribute.VALUE]
        copy = key.copy(changes)
        try:
            return copy[attribute.VALUE]
        finally:
            copy.destroy()

    def wrapped(mechanism: Any) -> Any:
        wrapper = session.generate_key(api.KeyType.AES, 256, template={attribute.WRAP: True})
        return wrapper.wrap_key(key, mechanism=mechanism)

    readable = {attribute.SENSITIVE: False, attribute.EXTRACTABLE: True, attribute.LABEL: "copy"}
    return [
        ("value", lambda: key[attribute.VALUE]),
        ("set", lambda: turned(readable, "set")),
        ("set extractable", lambda: turned({attribute.EXTRACTABLE: True}, "set")),
        ("set not sensitive", lambda: turned({attribute.SENSITIVE: False}, "set")),
        ("copy", lambda: turned(readable, "copy")),
        ("wrap", lambda: wrapped(api.Mechanism.AES_KEY_WRAP)),
        ("wrap padded", lambda: wrapped(api.Mechanism.AES_KEY_WRAP_PAD)),
    ]


def test_the_attempts_read_a_key_that_may_be_read(token_store: Pkcs11KeyStore) -> None:
    """The control: what the next test tries works on a key that nobody sealed."""
    api = token_store._api
    template = {api.Attribute.SENSITIVE: False, api.Attribute.EXTRACTABLE: True}
    token_store._session.generate_key(
        api.KeyType.GENERIC_SECRET, 256, store=True, label="open", template=template
    )
    attempts = dict(_attempts(token_store, "open"))
    for what in ("value", "copy", "wrap", "wrap padded"):
        assert len(attempts[what]()) >= 32, what


def test_no_public_means_reads_a_key(soft_token: SoftToken, full: Pkcs11KeyStore) -> None:
    for name in full.names():
        for what, attempt in _attempts(full, name):
            with pytest.raises(full._api.PKCS11Error):
                raise AssertionError(f"{name} by {what}: {attempt()!r}")
        (key,) = full._secrets(name)
        shown = b""
        for one in full._api.Attribute:
            try:
                shown += repr(key[one]).encode() + (bytes(key[one]) if _octets(key[one]) else b"")
            except (full._api.PKCS11Error, NotImplementedError, ValueError):  # no such, no value
                continue
        assert name.encode() in shown
        assert not any(secret in shown for secret in SECRETS.values())
    stored = b"".join(file.read_bytes() for file in soft_token.folder.rglob("*") if file.is_file())
    assert b"ed25519-made" in stored  # the public half, so this is where keys are
    for secret in SECRETS.values():
        assert secret not in stored
        assert secret[:16] not in stored
        assert secret.hex().encode() not in stored
    listed = _pkcs11_tool(soft_token)
    assert "hmac-made" in listed
    for secret in SECRETS.values():
        assert secret.hex() not in listed.lower()
        assert age.identity_text(secret) not in listed


def _octets(value: object) -> bool:
    return isinstance(value, bytes | bytearray)


def _pkcs11_tool(token: SoftToken) -> str:
    """OpenSC's own view of the token, as its user; a program of Debian that is not ours."""
    tool = shutil.which("pkcs11-tool")
    if tool is None:
        pytest.skip("NOT TESTED against pkcs11-tool: apt-get install opensc")
    how = [tool, "--module", str(token.module), "--token-label", token.label]
    log_in = ["--login", "--pin", "env:TOKEN_PIN"]
    done = subprocess.run(
        [*how, *log_in, "--list-objects"],
        env={**os.environ, "TOKEN_PIN": token.pin},
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
    )
    for kind in ("privkey", "secrkey"):
        read = subprocess.run(
            [
                *how,
                *log_in,
                "--read-object",
                "--type",
                kind,
                "--label",
                "hmac",
                "-o",
                "/dev/stdout",
            ],
            env={**os.environ, "TOKEN_PIN": token.pin},
            capture_output=True,
            text=True,
            errors="replace",
        )
        assert read.returncode != 0
        assert SECRETS["hmac"].decode() not in read.stdout
    return done.stdout


def test_the_pin_stands_on_no_command_line_and_in_no_text(
    soft_token: SoftToken, full: Pkcs11KeyStore
) -> None:
    assert soft_token.pin not in Path("/proc/self/cmdline").read_text()
    shown = [repr(full), *map(repr, (getattr(full, slot) for slot in full.__slots__))]
    assert not any(soft_token.pin in text for text in shown)


def test_a_wrong_pin_is_tried_once(soft_token: SoftToken) -> None:
    asked: list[str] = []

    def pin() -> str:
        asked.append("asked")
        return "0000"

    with pytest.raises(StoreLocked, match="tried once") as raised:
        Pkcs11KeyStore(soft_token.module, soft_token.label, pin)
    assert asked == ["asked"]
    assert "0000" not in str(raised.value)
    soft_token.open().close()


def test_a_pin_from_a_file(soft_token: SoftToken, tmp_path: Path) -> None:
    file = tmp_path / "pin"
    for content in (soft_token.pin, soft_token.pin + "\n", soft_token.pin + "\r\nnot this"):
        file.write_text(content, newline="")
        file.chmod(0o600)
        Pkcs11KeyStore(soft_token.module, soft_token.label, file).close()
    for mode in (0o640, 0o604, 0o620):
        file.chmod(mode)
        with pytest.raises(StoreExposed, match=f"chmod 600 {file}"):
            Pkcs11KeyStore(soft_token.module, soft_token.label, file)
    with pytest.raises(StoreUnwritable, match="No such file"):
        Pkcs11KeyStore(soft_token.module, soft_token.label, tmp_path / "none")
    file.write_text("\n")
    file.chmod(0o600)
    sources: tuple[Any, ...] = (file, lambda: "")
    for empty in sources:
        with pytest.raises(SecretInvalid, match="empty"):
            Pkcs11KeyStore(soft_token.module, soft_token.label, empty)


def test_one_store_of_a_token_in_a_process(soft_token: SoftToken, full: Pkcs11KeyStore) -> None:
    with pytest.raises(TokenFault, match="open already"):
        Pkcs11KeyStore(soft_token.module, soft_token.label, lambda: "0000")
    assert len(full.sign("ed25519", b"")) == 64
    with Pkcs11KeyStore(soft_token.module, "another token", lambda: soft_token.pin) as other:
        assert other.names() == ()


def test_no_library_and_no_token(soft_token: SoftToken, tmp_path: Path) -> None:
    not_asked: Any = None
    with pytest.raises(TokenMissing, match="library"):
        Pkcs11KeyStore(tmp_path / "none.so", soft_token.label, not_asked)
    with pytest.raises(TokenMissing, match="plug it in"):
        Pkcs11KeyStore(soft_token.module, "no such token", not_asked)


def test_without_python_pkcs11(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(TokenMissing, match="pip install python-pkcs11"):
        Pkcs11KeyStore(MODULE, "token", lambda: "0000")


def test_the_library_is_loaded_only_for_a_token() -> None:
    program = "import keys.pkcs11, sys; sys.exit('pkcs11' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_threads_share_one_store(full: Pkcs11KeyStore) -> None:
    verify = Ed25519PublicKey.from_public_bytes(full.public_key("ed25519"))

    def work(number: int) -> None:
        message = b"message %d" % number * 50
        verify.verify(full.sign("ed25519", message), message)
        assert full.mac("hmac", message) == hmac.digest(SECRETS["hmac"], message, hashlib.sha256)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(200)))


def test_objects_of_others_are_left_alone(token_store: Pkcs11KeyStore) -> None:
    api, session = token_store._api, token_store._session
    session.generate_keypair(api.KeyType.RSA, 1024, store=True, label="theirs")
    session.generate_key(api.KeyType.AES, 128, store=True, label="also theirs")
    session.generate_key(api.KeyType.GENERIC_SECRET, 256, store=True, label="Not A Name")
    assert token_store.names() == ()
    for use in (token_store.public_key, token_store.erase, token_store.kind):
        with pytest.raises(KeyUnknown):
            use("theirs")
    with pytest.raises(KeyExists):
        token_store.generate("theirs", KeyKind.HMAC)
    assert len(list(session.get_objects({api.Attribute.LABEL: "theirs"}))) == 2


def test_a_torn_import_can_be_repeated(token_store: Pkcs11KeyStore) -> None:
    """The public half was written, then the power went."""
    token_store.generate("other", KeyKind.ED25519)
    token_store.import_secret("torn", KeyKind.ED25519, SECRETS["ed25519"])
    (secret,) = token_store._secrets("torn")
    secret.destroy()
    token_store._found.clear()
    assert token_store.names() == ("other",)
    with pytest.raises(KeyUnknown):
        token_store.public_key("torn")
    token_store.generate("torn", KeyKind.ED25519)
    assert len(token_store.public_key("torn")) == 32
    assert token_store.names() == ("other", "torn")


def test_a_key_without_its_public_half(token_store: Pkcs11KeyStore) -> None:
    token_store.generate("key", KeyKind.ED25519)
    attribute, classes = token_store._api.Attribute, token_store._api.ObjectClass
    (public,) = token_store._session.get_objects({attribute.CLASS: classes.PUBLIC_KEY})
    public.destroy()
    with pytest.raises(TokenFault, match="public half"):
        token_store.public_key("key")
    assert len(token_store.sign("key", b"")) == 64


def test_a_key_that_could_be_read_is_not_used(token_store: Pkcs11KeyStore) -> None:
    api = token_store._api
    readable = {api.Attribute.SENSITIVE: False, api.Attribute.EXTRACTABLE: True}
    for at, template in enumerate((readable, {api.Attribute.SENSITIVE: False})):
        name = f"readable{at}"
        token_store._session.generate_key(
            api.KeyType.GENERIC_SECRET, 256, store=True, label=name, template=template
        )
        with pytest.raises(StoreExposed, match=name):
            token_store.mac(name, b"")
        token_store.erase(name)
    assert token_store.names() == ()


@pytest.mark.parametrize("kind", list(KeyKind))
def test_a_token_that_keeps_keys_readable(
    token_store: Pkcs11KeyStore, monkeypatch: pytest.MonkeyPatch, kind: KeyKind
) -> None:
    """It was asked for a sealed key and made another: the key goes at once."""
    attribute = token_store._api.Attribute
    original = Pkcs11KeyStore._template

    def careless(self: Pkcs11KeyStore, name: str, kind: KeyKind) -> dict[Any, Any]:
        return {**original(self, name, kind), attribute.EXTRACTABLE: True}

    monkeypatch.setattr(Pkcs11KeyStore, "_template", careless)
    makes: tuple[Callable[[], None], ...] = (
        lambda: token_store.generate("key", kind),
        lambda: token_store.import_secret("key", kind, SECRETS[kind]),
    )
    for make in makes:
        with pytest.raises(TokenIncapable, match="erased again"):
            make()
    assert list(token_store._session.get_objects({attribute.LABEL: "key"})) == []


class Lesser:
    """A token without some of its mechanisms, around a session or a key."""

    def __init__(self, inner: Any, error: BaseException) -> None:
        self._inner, self._error = inner, error

    def __getattr__(self, name: str) -> Any:
        if name in ("create_domain_parameters", "generate_key", "create_object", "derive_key"):
            raise self._error
        return getattr(self._inner, name)


@pytest.mark.parametrize(
    "said",
    ["MechanismInvalid", "FunctionNotSupported", "DomainParamsInvalid", "TemplateInconsistent"],
)
def test_a_token_that_cannot(
    full: Pkcs11KeyStore, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    error = getattr(full._api, said)()
    blob = pyrage.encrypt(b"b", [pyrage.x25519.Recipient.from_str(full.recipient("x25519"))])
    before = full.names()
    key, kind = full._found["x25519"]
    monkeypatch.setitem(full._found, "x25519", (Lesser(key, error), kind))
    with pytest.raises(TokenIncapable, match=f"{said}.*another store"):
        full.decrypt("x25519", blob)
    monkeypatch.setattr(full, "_session", Lesser(full._session, error))
    for kind in KeyKind:
        with pytest.raises(TokenIncapable, match="another store"):
            full.generate("new", kind)
        with pytest.raises(TokenIncapable, match="another store"):
            full.import_secret("new", kind, SECRETS[kind])
    assert full.names() == before


@pytest.mark.parametrize(
    ("said", "expected"),
    [("DeviceRemoved", TokenMissing), ("DeviceError", TokenFault), ("PinLocked", StoreLocked)],
)
def test_a_token_that_fails(
    full: Pkcs11KeyStore, monkeypatch: pytest.MonkeyPatch, said: str, expected: type[Exception]
) -> None:
    monkeypatch.setattr(full, "_session", Lesser(full._session, getattr(full._api, said)()))
    with pytest.raises(expected, match=said):
        full.generate("new", KeyKind.HMAC)


def test_a_key_that_another_process_erased(full: Pkcs11KeyStore) -> None:
    full.mac("hmac", b"")
    (key,) = full._secrets("hmac")
    key.destroy()
    with pytest.raises(TokenFault):
        full.mac("hmac", b"")
    with pytest.raises(KeyUnknown):
        full.mac("hmac", b"")


def test_age_files_that_would_make_the_token_fail(full: Pkcs11KeyStore) -> None:
    for blob in (made(stanza(share=LOW_ORDER)), made(stanza(share=b"\xff" * 32)), made()):
        with pytest.raises(DecryptionFailed):
            full.decrypt("x25519", blob)
    assert list(full._session.get_objects({full._api.Attribute.TOKEN: False})) == []
