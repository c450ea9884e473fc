"""Keys on a token that does not give them out, by PKCS #11 v3.0 (OASIS).

Every key is made on the token or written to it once, sensitive and not extractable; signatures
and MACs are computed there. For age the token computes the X25519 secret of one file, which
leaves it and opens that file and no other; the key stays.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NoReturn, Self

from keys import age, age_file, operations
from keys.errors import (
    KeyExists,
    KeyKindWrong,
    KeyUnknown,
    SecretInvalid,
    StoreExposed,
    TokenFault,
    TokenIncapable,
    TokenMissing,
)
from keys.keystore import KeyKind, check_name, kind_of
from keys.token_access import PinSource, read_pin, translated

#: How a token names the curves: RFC 8410 object identifiers, and the printable names of v3.0.
_CURVES: Final = {
    bytes.fromhex("06032b6570"): KeyKind.ED25519,
    b"\x13\x0cedwards25519": KeyKind.ED25519,
    bytes.fromhex("06032b656e"): KeyKind.X25519,
    b"\x13\x0acurve25519": KeyKind.X25519,
}
_PARAMETERS: Final = {
    KeyKind.ED25519: bytes.fromhex("06032b6570"),
    KeyKind.X25519: bytes.fromhex("06032b656e"),
}
_POINT_BYTES: Final = 32
_POINT_HEAD: Final = b"\x04\x20"  # EC_POINT is a DER OCTET STRING


class Pkcs11KeyStore:
    """A KeyStore on one token. Other objects on the token are left alone and not shown.

    One store serves all threads of a process; a second one for the same token is refused while
    the first is open, because a login belongs to the process and its PIN would go unchecked.
    """

    __slots__ = ("_api", "_found", "_lock", "_session", "_token")

    def __init__(self, module: Path, token: str, pin: PinSource) -> None:
        """Opens a session on the token and logs in as its user.

        Args:
            module: the token's PKCS #11 library.
            token: the token's label.
            pin: a file of mode 0600 whose first line is the PIN, or a function that returns it;
                never a value from a command line, where other users of the machine can read it.

        Raises:
            TokenMissing: no such library or token.
            StoreLocked: the token refuses the PIN. It was tried once; tokens lock after a few.
            StoreExposed, StoreUnwritable: other users may read the file of the PIN, or nobody.
            SecretInvalid: the PIN is empty.
            TokenFault: the token fails, or this process has it open already.
        """
        try:
            import pkcs11
        except ImportError:
            raise TokenMissing(
                "this installation cannot talk to tokens: pip install python-pkcs11"
            ) from None
        self._api: Any = pkcs11
        self._lock = threading.RLock()
        self._token = token
        self._found: dict[str, tuple[Any, KeyKind]] = {}
        try:
            library = pkcs11.lib(str(module))
        except pkcs11.PKCS11Error as error:
            raise TokenMissing(f"the token's library cannot be loaded: {error}") from None
        with translated(pkcs11, token):
            present = library.get_token(token_label=token)
        number = read_pin(pin)
        with translated(pkcs11, token):
            self._session: Any = present.open(rw=True, user_pin=number)

    def generate(self, name: str, kind: KeyKind | str) -> None:
        """See KeyStore.generate; the token's own random source makes the key.

        Raises:
            TokenIncapable: the token makes no keys of this kind, or readable ones.
        """
        checked = kind_of(kind)
        with self._calls():
            self._reserve(name)
            if checked is KeyKind.HMAC:
                bits = 8 * operations.GENERATED_LENGTH_BYTES
                self._session.generate_key(
                    self._api.KeyType.GENERIC_SECRET,
                    bits,
                    store=True,
                    template=self._template(name, checked),
                )
            else:
                parameters = self._session.create_domain_parameters(
                    self._api.KeyType.EC_EDWARDS,
                    {self._api.Attribute.EC_PARAMS: _PARAMETERS[checked]},
                    local=True,
                )
                parameters.generate_keypair(
                    mechanism=self._api.Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
                    store=True,
                    public_template=self._public_template(name, checked),
                    private_template=self._template(name, checked),
                )
            self._keep_only_if_sealed(name)

    def import_secret(self, name: str, kind: KeyKind | str, secret: bytes) -> None:
        """See KeyStore.import_secret. The caller's copy is the caller's to guard.

        Raises:
            TokenIncapable: the token takes no keys of this kind, or keeps them readable.
        """
        checked = kind_of(kind)
        operations.check_secret(checked, secret)
        attribute, classes = self._api.Attribute, self._api.ObjectClass
        with self._calls():
            self._reserve(name)
            types, whole = self._api.KeyType, self._template(name, checked)
            whole |= {attribute.TOKEN: True, attribute.VALUE: secret}
            if checked is KeyKind.HMAC:
                whole |= {attribute.CLASS: classes.SECRET_KEY}
                whole |= {attribute.KEY_TYPE: types.GENERIC_SECRET}
            else:
                curve = {
                    attribute.KEY_TYPE: types.EC_EDWARDS,
                    attribute.EC_PARAMS: _PARAMETERS[checked],
                }
                point = _POINT_HEAD + operations.public_key(checked, secret)
                public = {attribute.CLASS: classes.PUBLIC_KEY, attribute.TOKEN: True}
                public |= {**self._public_template(name, checked), attribute.EC_POINT: point}
                # First the half that is no key: a name counts as taken by its secret half.
                self._session.create_object({**public, **curve})
                whole |= {attribute.CLASS: classes.PRIVATE_KEY, **curve}
            self._session.create_object(whole)
            self._keep_only_if_sealed(name)

    def public_key(self, name: str) -> bytes:
        """See KeyStore.public_key."""
        with self._calls():
            self._find(name, KeyKind.ED25519, KeyKind.X25519)
            return self._point(name)

    def sign(self, name: str, message: bytes) -> bytes:
        """See KeyStore.sign."""
        with self._calls():
            key = self._find(name, KeyKind.ED25519)
            signature = key.sign(message, mechanism=self._api.Mechanism.EDDSA)
            return bytes(signature)

    def mac(self, name: str, data: bytes) -> bytes:
        """See KeyStore.mac."""
        with self._calls():
            key = self._find(name, KeyKind.HMAC)
            return bytes(key.sign(data, mechanism=self._api.Mechanism.SHA256_HMAC))

    def recipient(self, name: str) -> str:
        """See KeyStore.recipient."""
        with self._calls():
            self._find(name, KeyKind.X25519)
            return age.recipient_text(self._point(name))

    def decrypt(self, name: str, blob: bytes) -> bytes:
        """See KeyStore.decrypt.

        Raises:
            TokenIncapable: the token does not compute X25519.
        """
        with self._calls():
            key = self._find(name, KeyKind.X25519)
            operations.check_blob(blob)
            return age_file.decrypt(blob, self._point(name), lambda share: self._agree(key, share))

    def names(self) -> tuple[str, ...]:
        """See KeyStore.names."""
        with self._calls():
            return tuple(sorted({key.label for key in self._secrets() if self._kind(key)}))

    def kind(self, name: str) -> KeyKind:
        """See KeyStore.kind."""
        with self._calls():
            self._find(name, *KeyKind)
            return self._found[name][1]

    def erase(self, name: str) -> None:
        """See KeyStore.erase; the token forgets the key."""
        with self._calls():
            with contextlib.suppress(StoreExposed):  # which is a reason more
                self._find(name, *KeyKind)
            self._destroy(name)

    def close(self) -> None:
        """Logs out and ends the session; the keys stay on the token."""
        with self._lock:
            session, self._session = self._session, None
            self._found.clear()
            if session is not None:
                with contextlib.suppress(self._api.PKCS11Error):  # the token may be gone
                    session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._token!r})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuses pickling and copying: a session belongs to one process."""
        raise TypeError("a key store cannot be copied or pickled")

    def _agree(self, key: Any, share: bytes) -> bytes:
        """X25519 on the token (PKCS #11, 2.3.20); the result is a secret of one file."""
        attribute = self._api.Attribute
        derived = key.derive_key(
            self._api.KeyType.GENERIC_SECRET,
            8 * _POINT_BYTES,
            mechanism=self._api.Mechanism.ECDH1_DERIVE,
            mechanism_param=(self._api.KDF.NULL, None, share),
            store=False,
            template={attribute.SENSITIVE: False, attribute.EXTRACTABLE: True},
        )
        try:
            return bytes(derived[attribute.VALUE])
        finally:
            derived.destroy()

    def _template(self, name: str, kind: KeyKind) -> dict[Any, Any]:
        """What the secret half may do, and that nobody may read it."""
        attribute = self._api.Attribute
        uses = {
            attribute.SIGN: kind is not KeyKind.X25519,
            attribute.DERIVE: kind is KeyKind.X25519,
        }
        seal = {attribute.PRIVATE: True, attribute.SENSITIVE: True, attribute.EXTRACTABLE: False}
        return {attribute.LABEL: name, attribute.ID: name.encode(), **uses, **seal}

    def _public_template(self, name: str, kind: KeyKind) -> Mapping[Any, Any]:
        attribute = self._api.Attribute
        uses = {attribute.VERIFY: kind is KeyKind.ED25519}
        return {attribute.LABEL: name, attribute.ID: name.encode(), **uses}

    def _reserve(self, name: str) -> None:
        """Checks a new name and clears what a torn import may have left under it."""
        check_name(name)
        if self._secrets(name):
            raise KeyExists(f"a key named {name} is already there; it was left as it is")
        self._destroy(name)

    def _keep_only_if_sealed(self, name: str) -> None:
        """A token may take the attributes and still say otherwise: then the key goes at once."""
        if not all(self._sealed(key) for key in self._secrets(name)):
            self._destroy(name)
            raise TokenIncapable("the token would let the key be read; it was erased again")

    def _find(self, name: str, *kinds: KeyKind) -> Any:
        """The secret half of a key; looked up once, since a token may take long to search."""
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = self._look_up(name)
        key, kind = found
        if kind not in kinds:
            raise KeyKindWrong(f"key {name} is an {kind} key; this needs {' or '.join(kinds)}")
        return key

    def _look_up(self, name: str) -> tuple[Any, KeyKind]:
        for key in self._secrets(name):
            kind = self._kind(key)
            if kind is None:
                break
            if not self._sealed(key):
                raise StoreExposed(
                    f"the token would let key {name} be read; erase it and make a new one"
                )
            return key, kind
        raise KeyUnknown(f"no key is named {name}")

    def _secrets(self, name: str | None = None) -> list[Any]:
        """Private and secret keys on the token, ours or not, all or those of one name."""
        attribute, classes = self._api.Attribute, self._api.ObjectClass
        wanted: dict[Any, Any] = {attribute.TOKEN: True}
        if name is not None:
            wanted[attribute.LABEL] = name
        return [
            key
            for one in (classes.PRIVATE_KEY, classes.SECRET_KEY)
            for key in self._session.get_objects({**wanted, attribute.CLASS: one})
        ]

    def _kind(self, key: Any) -> KeyKind | None:
        """What the key is for, or ``None`` if it is not of a kind that stores have."""
        types = self._api.KeyType
        try:
            check_name(key.label)
        except SecretInvalid:
            return None
        if key.key_type is types.GENERIC_SECRET:
            return KeyKind.HMAC
        if key.key_type is not types.EC_EDWARDS:
            return None
        return _CURVES.get(bytes(key[self._api.Attribute.EC_PARAMS]))

    def _sealed(self, key: Any) -> bool:
        attribute = self._api.Attribute
        return bool(key[attribute.SENSITIVE]) and not key[attribute.EXTRACTABLE]

    def _point(self, name: str) -> bytes:
        attribute, classes = self._api.Attribute, self._api.ObjectClass
        wanted = {attribute.CLASS: classes.PUBLIC_KEY, attribute.TOKEN: True, attribute.LABEL: name}
        points = [bytes(key[attribute.EC_POINT]) for key in self._session.get_objects(wanted)]
        if len(points) == 1:
            point = points[0].removeprefix(_POINT_HEAD)
            if len(point) == _POINT_BYTES:
                return point
        raise TokenFault(f"the token does not show one public half of key {name}")

    def _destroy(self, name: str) -> None:
        """Erases every object of that name that is on the token."""
        self._found.pop(name, None)
        attribute = self._api.Attribute
        wanted = {attribute.TOKEN: True, attribute.LABEL: name}
        for key in list(self._session.get_objects(wanted)):
            key.destroy()

    @contextlib.contextmanager
    def _calls(self) -> Iterator[None]:
        """One operation at a time, and the library's errors in our words.

        A session carries the state of one operation (PKCS #11, 2.6); two threads would mix it.
        """
        with translated(self._api, self._token), self._lock:
            if self._session is None:
                raise TokenMissing("this key store was closed; open it again")
            try:
                yield
            except self._api.PKCS11Error:
                self._found.clear()  # a handle may be what is wrong: the next call looks anew
                raise
