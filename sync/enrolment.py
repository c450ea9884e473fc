"""Enrolment messages: a one-time activation code buys a ledger id for the terminal's own key.

``POST /v1/enrol`` carries JSON with the code, the public key and a signature that proves possession
of the private one. The answer gives the ledger its name and hands over what only this terminal
needs; the card key comes encrypted to the terminal's own age recipient.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sync.errors import Malformed
from sync.protocol import ledger_id

ENROL_BYTES_MAX: Final = 16_384
ENROLLED_BYTES_MAX: Final = 1 << 20
_REQUEST: Final = "redcard-enrol/v1"
_ANSWER: Final = "redcard-enrolled/v1"
_CODE: Final = re.compile(r"[0-9A-Za-z-]{8,64}\Z")
_RECIPIENT: Final = re.compile(r"age1[0-9a-z]{58}\Z")
_LINE: Final = re.compile(r"[^\x00-\x1f\x7f]{0,200}\Z")


@dataclass(frozen=True, slots=True)
class EnrolRequest:
    """What a terminal sends once.

    Attributes:
        code: the one-time activation code.
        public_key: Ed25519, 32 bytes: the ledger will be signed with it.
        recipient: age X25519 recipient of the terminal, ``age1…``.
        name: what people call this terminal.
        version: version of its software.
        proof: Ed25519 signature by ``public_key`` over ``proof_message``.
    """

    code: str
    public_key: bytes
    recipient: str
    name: str
    version: str
    proof: bytes


def proof_message(code: str, public_key: bytes, recipient: str, name: str, version: str) -> bytes:
    """What the terminal signs: every field of the request, each ended by a line feed."""
    key = base64.b64encode(public_key).decode("ascii")
    return f"{_REQUEST}\n{code}\n{key}\n{recipient}\n{name}\n{version}\n".encode()


def enrol_request(
    *,
    code: str,
    public_key: bytes,
    recipient: str,
    name: str,
    version: str,
    sign: Callable[[bytes], bytes],
) -> EnrolRequest:
    """Builds a request and proves possession of the key.

    Raises:
        Malformed: a field breaks the format.
    """
    message = proof_message(code, public_key, recipient, name, version)
    request = EnrolRequest(code, public_key, recipient, name, version, sign(message))
    _check(request)
    return request


def proved(request: EnrolRequest, verify: Callable[[bytes, bytes, bytes], bool]) -> bool:
    """Whether the sender holds the key; ``verify(public_key, message, signature)`` is Ed25519."""
    message = proof_message(
        request.code, request.public_key, request.recipient, request.name, request.version
    )
    return verify(request.public_key, message, request.proof)


def encode_request(request: EnrolRequest) -> bytes:
    """Returns the JSON body of ``POST /v1/enrol``."""
    _check(request)
    return _dump(
        {
            "format": _REQUEST,
            "code": request.code,
            "public_key": base64.b64encode(request.public_key).decode("ascii"),
            "recipient": request.recipient,
            "name": request.name,
            "version": request.version,
            "proof": base64.b64encode(request.proof).decode("ascii"),
        }
    )


def decode_request(data: bytes) -> EnrolRequest:
    """Reads the body of ``POST /v1/enrol``.

    Raises:
        Malformed: names the field that is missing or wrong.
    """
    fields = _load(data, ENROL_BYTES_MAX, _REQUEST)
    request = EnrolRequest(
        code=_text(fields, "code"),
        public_key=_bytes(fields, "public_key"),
        recipient=_text(fields, "recipient"),
        name=_text(fields, "name"),
        version=_text(fields, "version"),
        proof=_bytes(fields, "proof"),
    )
    _check(request)
    return request


def _check(request: EnrolRequest) -> None:
    if not _CODE.match(request.code):
        raise Malformed("code: 8 to 64 letters, digits and hyphens")
    if len(request.public_key) != 32:
        raise Malformed("public_key: base64 of 32 bytes")
    if not _RECIPIENT.match(request.recipient):
        raise Malformed("recipient: an age recipient, age1…")
    if not _LINE.match(request.name) or not _LINE.match(request.version):
        raise Malformed("name and version: at most 200 characters, no control characters")
    if len(request.proof) != 64:
        raise Malformed("proof: base64 of 64 bytes")


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What the server answers.

    Attributes:
        ledger: the ledger id, new for every enrolment.
        origin: origin line of its checkpoints.
        domain: the federation's domain.
        vkeys: verifier keys by use: ``witness`` (cosignatures on receipts), ``judgements``,
            ``feed``; uses unknown to this version are kept.
        recipient: age recipient of the server, for files carried by hand.
        tuf_root: bytes of the first trusted ``root.json``.
        card_key: the federation's card key encrypted by age to the terminal's recipient.
        card_key_id: which card key it is.
        time_ms: server time.
        settings: first configuration, such as ``venue`` and ``profile``.
    """

    ledger: str
    origin: str
    domain: str
    vkeys: Mapping[str, str]
    recipient: str
    tuf_root: bytes
    card_key: bytes
    card_key_id: str
    time_ms: int
    settings: Mapping[str, str] = field(default_factory=dict)


def encode_enrolled(answer: Enrolled) -> bytes:
    """Returns the JSON answer."""
    return _dump(
        {
            "format": _ANSWER,
            "ledger": answer.ledger,
            "origin": answer.origin,
            "domain": answer.domain,
            "vkeys": dict(answer.vkeys),
            "recipient": answer.recipient,
            "tuf_root": base64.b64encode(answer.tuf_root).decode("ascii"),
            "card_key": base64.b64encode(answer.card_key).decode("ascii"),
            "card_key_id": answer.card_key_id,
            "time_ms": answer.time_ms,
            "settings": dict(answer.settings),
        }
    )


def decode_enrolled(data: bytes) -> Enrolled:
    """Reads the answer.

    Raises:
        Malformed: names the field that is missing or wrong.
    """
    fields = _load(data, ENROLLED_BYTES_MAX, _ANSWER)
    time_ms = fields.get("time_ms")
    if type(time_ms) is not int or time_ms < 0:
        raise Malformed("time_ms: an integer")
    answer = Enrolled(
        ledger=ledger_id(_text(fields, "ledger")),
        origin=_text(fields, "origin"),
        domain=_text(fields, "domain"),
        vkeys=_mapping(fields, "vkeys"),
        recipient=_text(fields, "recipient"),
        tuf_root=_bytes(fields, "tuf_root"),
        card_key=_bytes(fields, "card_key"),
        card_key_id=_text(fields, "card_key_id"),
        time_ms=time_ms,
        settings=_mapping(fields, "settings"),
    )
    if answer.origin != f"{answer.domain}/redcard/{answer.ledger}":
        raise Malformed("origin: must be <domain>/redcard/<ledger>")
    if not _RECIPIENT.match(answer.recipient):
        raise Malformed("recipient: an age recipient, age1…")
    return answer


def _dump(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, ensure_ascii=False, sort_keys=True, indent=1).encode("utf-8")


def _load(data: bytes, bytes_max: int, format_: str) -> dict[str, object]:
    if len(data) > bytes_max:
        raise Malformed(f"an enrolment message has at most {bytes_max} bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise Malformed("an enrolment message is one JSON object") from None
    if not isinstance(document, dict) or document.get("format") != format_:
        raise Malformed(f"format: must be {format_}")
    return document


def _text(fields: Mapping[str, object], name: str) -> str:
    return _unicode(fields.get(name), name)


def _unicode(value: object, name: str) -> str:
    # JSON can spell a lone surrogate, which no later encoder would take.
    if not isinstance(value, str) or any("\ud800" <= char <= "\udfff" for char in value):
        raise Malformed(f"{name}: a text")
    return value


def _bytes(fields: Mapping[str, object], name: str) -> bytes:
    try:
        return base64.b64decode(_text(fields, name), validate=True)
    except (binascii.Error, ValueError):
        raise Malformed(f"{name}: base64") from None


def _mapping(fields: Mapping[str, object], name: str) -> dict[str, str]:
    value = fields.get(name)
    if not isinstance(value, dict):
        raise Malformed(f"{name}: an object of texts")
    return {_unicode(key, name): _unicode(item, name) for key, item in value.items()}


#: First word of the text that a printed activation sheet carries for a scanner.
SETUP_HEAD: Final = "redcard-setup/v1"


def setup_text(server: str, venue: str, profile: str, offers: Sequence[str], code: str) -> str:
    """What a new machine is told once, as the QR of its activation sheet has it.

    Args:
        server: address of the central server.
        venue: where the machine will stand.
        profile: ``counter`` or ``kiosk``.
        offers: of a kiosk; none for a counter.
        code: one-time activation code.
    """
    return f"{SETUP_HEAD} {server} {venue} {profile} {','.join(offers) or '-'} {code}"
