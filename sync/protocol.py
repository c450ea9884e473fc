"""Wire formats that both ends share: batches, problems, signed requests (``docs/protocol.md``).

Everything here is pure, total and bounded: a parser takes any bytes and either returns a value or
raises ``Malformed``, and never looks at more than its limit.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum, unique
from hashlib import sha256
from typing import Final

from sync.errors import Malformed

BATCH_MEDIA_TYPE: Final = "application/vnd.redcard.batch"
RECEIPT_MEDIA_TYPE: Final = "text/plain; charset=utf-8"
SIZE_MEDIA_TYPE: Final = "text/x.tlog.size"
PROBLEM_MEDIA_TYPE: Final = "application/problem+json"
NOTE_MEDIA_TYPE: Final = "text/plain; charset=utf-8"

TIME_HEADER: Final = "Redcard-Time-Ms"
STATE_HEADER: Final = "Redcard-Ledger-State"
#: Entries that the server holds, beside every answer to a signed GET: a server that was restored
#: from a backup tells so even a terminal that has nothing new to send.
SIZE_HEADER: Final = "Redcard-Ledger-Size"
AUTHORIZATION_SCHEME: Final = "Redcard"

BATCH_ENTRIES_MAX: Final = 500
BATCH_BYTES_MAX: Final = 1 << 20
CHECKPOINT_BYTES_MAX: Final = 16_384
RECEIPT_BYTES_MAX: Final = 16_384
PROBLEM_BYTES_MAX: Final = 16_384
RECORDS_PER_PAGE_MAX: Final = 500
#: As in signed-note readers at large, below the 1 MiB of a batch.
NOTE_BYTES_MAX: Final = 1_000_000
PAGE_BYTES_MAX: Final = 900_000
REQUEST_SKEW_MS_MAX: Final = 600_000
INTEGER_MAX: Final = 2**53 - 1

_LEDGER: Final = re.compile(r"[a-z2-7]{26}\Z")
_INTEGER: Final = re.compile(r"(?:0|[1-9][0-9]{0,15})\Z")
_HEADER: Final = re.compile(
    rb"redcard-batch/v1\n"
    rb"old (0|[1-9][0-9]{0,15})\n"
    rb"count (0|[1-9][0-9]{0,2})\n"
    rb"checkpoint (0|[1-9][0-9]{0,4})\n"
    rb"\n"
)


@unique
class StatusWord(StrEnum):
    """What an answer means for the ledger, in one word."""

    OK = "ok"
    NEED_FROM = "need_from"
    INCONSISTENT = "inconsistent"
    QUARANTINED = "quarantined"
    REVOKED = "revoked"
    UNKNOWN_LEDGER = "unknown_ledger"
    MALFORMED = "malformed"
    UNSIGNED = "unsigned"
    STALE_REQUEST = "stale_request"
    OVERLOADED = "overloaded"
    ACTIVATION = "activation"


#: HTTP status of each word (DESIGN of the protocol: the answers of tlog-witness).
HTTP_STATUS: Final[dict[StatusWord, int]] = {
    StatusWord.OK: 200,
    StatusWord.NEED_FROM: 409,
    StatusWord.INCONSISTENT: 422,
    StatusWord.QUARANTINED: 403,
    StatusWord.REVOKED: 403,
    StatusWord.UNKNOWN_LEDGER: 404,
    StatusWord.MALFORMED: 400,
    StatusWord.UNSIGNED: 403,
    StatusWord.STALE_REQUEST: 401,
    StatusWord.OVERLOADED: 503,
    StatusWord.ACTIVATION: 403,
}

#: A fork is found once (422) and answered as a quarantine (403) ever after.
FORK_STATUS: Final = 422


def entries_path(ledger: str) -> str:
    """Path that takes a ledger's batches by POST."""
    return f"/v1/logs/{ledger}/entries"


def judgements_path(ledger: str, after: int) -> str:
    """Path and query of the judgements with a revision above ``after``."""
    return f"/v1/logs/{ledger}/judgements?after={after}"


def feed_path(ledger: str, after: int) -> str:
    """Path and query of the feed items with a number above ``after``."""
    return f"/v1/logs/{ledger}/feed?after={after}"


ENROL_PATH: Final = "/v1/enrol"
#: The signed list of all terminals' keys (``ledger.log.keylist``).
TERMINALS_PATH: Final = "/v1/terminals"
TUF_PATH: Final = "/v1/tuf/"


def ledger_id(text: str) -> str:
    """Returns ``text`` if it is a ledger id, 26 characters ``[a-z2-7]``.

    Raises:
        Malformed: it is not.
    """
    if not _LEDGER.match(text):
        raise Malformed("a ledger id is 26 characters a-z and 2-7")
    return text


def integer(text: str, what: str) -> int:
    """Reads a decimal integer of at most 2^53-1 in its only spelling.

    Raises:
        Malformed: a sign, a leading zero, another character, or too large.
    """
    if not _INTEGER.match(text) or int(text) > INTEGER_MAX:
        raise Malformed(f"{what} must be a decimal integer from 0 to {INTEGER_MAX}")
    return int(text)


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries of one ledger that end at a checkpoint which its terminal signed.

    Attributes:
        ledger: ledger id; in HTTP it is the path, in a file the checkpoint's origin.
        old_size: position of the first entry.
        entries: stored bytes of each entry, without line feed.
        checkpoint: the signed checkpoint at ``old_size + len(entries)``.
    """

    ledger: str
    old_size: int
    entries: tuple[bytes, ...]
    checkpoint: bytes

    @property
    def end(self) -> int:
        """Size of the ledger after this batch."""
        return self.old_size + len(self.entries)


def encode_batch(batch: Batch) -> bytes:
    """Returns the body of ``POST /v1/logs/{ledger}/entries``.

    Raises:
        Malformed: the batch breaks a limit, or an entry holds a line feed.
    """
    if any(b"\n" in entry for entry in batch.entries):
        raise Malformed("an entry is one line and holds no line feed")
    head = (
        f"redcard-batch/v1\nold {batch.old_size}\ncount {len(batch.entries)}\n"
        f"checkpoint {len(batch.checkpoint)}\n\n"
    )
    lines = b"".join(entry + b"\n" for entry in batch.entries)
    body = head.encode("ascii") + batch.checkpoint + lines
    _check_limits(batch.old_size, len(batch.entries), len(batch.checkpoint), len(body))
    return body


def decode_batch(data: bytes, *, ledger: str) -> Batch:
    """Reads a batch; ``encode_batch`` of the result is ``data`` again.

    Raises:
        Malformed: not exactly one batch within the limits of 500 entries and 1 MiB.
    """
    ledger_id(ledger)
    head = _HEADER.match(data, 0, min(len(data), 128))
    if head is None:
        raise Malformed("a batch begins with the lines redcard-batch/v1, old, count, checkpoint")
    old_size, count, length = (int(number) for number in head.groups())
    _check_limits(old_size, count, length, len(data))
    start = head.end()
    checkpoint = data[start : start + length]
    if len(checkpoint) != length:
        raise Malformed("the batch ends inside its checkpoint")
    lines = data[start + length :].split(b"\n")
    if lines[-1] != b"" or len(lines) != count + 1:
        raise Malformed(f"the batch must hold exactly {count} entries, each ended by a line feed")
    return Batch(ledger, old_size, tuple(lines[:-1]), checkpoint)


def _check_limits(old_size: int, count: int, checkpoint: int, total: int) -> None:
    if total > BATCH_BYTES_MAX:
        raise Malformed(f"a batch has at most {BATCH_BYTES_MAX} bytes")
    if not 1 <= count <= BATCH_ENTRIES_MAX:
        raise Malformed(f"a batch has 1 to {BATCH_ENTRIES_MAX} entries")
    if not 1 <= checkpoint <= CHECKPOINT_BYTES_MAX:
        raise Malformed(f"a checkpoint has 1 to {CHECKPOINT_BYTES_MAX} bytes")
    if not 0 <= old_size <= INTEGER_MAX - count:
        raise Malformed(f"old must be from 0 to {INTEGER_MAX}")


def encode_size(size: int) -> bytes:
    """Body of a 409: the size from which the server needs entries."""
    return f"{size}\n".encode("ascii")


def decode_size(data: bytes) -> int:
    """Reads the body of a 409.

    Raises:
        Malformed: not one decimal integer and a line feed.
    """
    if len(data) > 32 or not data.endswith(b"\n"):
        raise Malformed("a size is one decimal integer and a line feed")
    try:
        return integer(data[:-1].decode("ascii"), "a size")
    except UnicodeDecodeError:
        raise Malformed("a size is one decimal integer and a line feed") from None


@dataclass(frozen=True, slots=True)
class Problem:
    """A refusal for machines and people (RFC 9457).

    Attributes:
        status: HTTP status.
        status_word: what it means for the ledger; words unknown to this version are kept.
        detail: what happened, whether anything was used, what to do next.
        reason: finer reason of a refusal, such as ``lost`` of ``revoked``; empty if none.
    """

    status: int
    status_word: str
    detail: str
    reason: str = ""

    @staticmethod
    def of(word: StatusWord, detail: str, *, reason: str = "") -> Problem:
        """A problem with the HTTP status that belongs to ``word``."""
        return Problem(HTTP_STATUS[word], word.value, detail, reason)


def encode_problem(problem: Problem) -> bytes:
    """Returns the ``application/problem+json`` document."""
    document = {
        "type": f"tag:redcard.example,2026:sync/{problem.status_word}",
        "title": problem.status_word.replace("_", " "),
        "status": problem.status,
        "detail": problem.detail,
        "status_word": problem.status_word,
    }
    if problem.reason:
        document["reason"] = problem.reason
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def decode_problem(data: bytes, *, status: int) -> Problem:
    """Reads a problem document; what a proxy between wrote becomes a problem without a word.

    Args:
        data: body of the answer.
        status: HTTP status of the answer; it outranks the one in the body.
    """
    document: object = None
    if len(data) <= PROBLEM_BYTES_MAX:
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            document = None
    fields = document if isinstance(document, dict) else {}

    def text(name: str, default: str) -> str:
        value = fields.get(name)
        if not isinstance(value, str):
            return default
        return value[:2000].encode("utf-8", "replace").decode("utf-8")

    return Problem(
        status=status,
        status_word=text("status_word", ""),
        detail=text("detail", f"the server answered {status} without saying why"),
        reason=text("reason", ""),
    )


@dataclass(frozen=True, slots=True)
class Authorization:
    """A terminal's signature over one request.

    Attributes:
        ledger: ledger id, naming the key.
        ts_ms: when it was signed, by the server's time as far as the terminal knows it.
        signature: Ed25519, 64 bytes.
    """

    ledger: str
    ts_ms: int
    signature: bytes


def request_message(target: str, ts_ms: int, body: bytes | None = None) -> bytes:
    """What is signed: method, path with query, time and, of a POST, the body's SHA-256 in hex.

    Each is ended by a line feed; a request without a body is a GET.
    """
    if body is None:
        return f"GET\n{target}\n{ts_ms}\n".encode()
    return f"POST\n{target}\n{ts_ms}\n{sha256(body).hexdigest()}\n".encode()


def authorize(
    ledger: str,
    target: str,
    ts_ms: int,
    sign: Callable[[bytes], bytes],
    body: bytes | None = None,
) -> str:
    """Builds the ``Authorization`` header of a request.

    Args:
        ledger: ledger id.
        target: path with query, as sent.
        ts_ms: server time as far as known, milliseconds.
        sign: Ed25519 with the terminal's key, 64 bytes.
        body: of a POST; ``None`` for a GET.
    """
    signature = base64.b64encode(sign(request_message(target, ts_ms, body))).decode("ascii")
    return f"{AUTHORIZATION_SCHEME} {ledger_id(ledger)} {ts_ms} {signature}"


def parse_authorization(header: str) -> Authorization:
    """Reads an ``Authorization`` header.

    Raises:
        Malformed: not ``Redcard <ledger> <ts_ms> <base64 of 64 bytes>``.
    """
    parts = header.split(" ")
    if len(header) > 256 or len(parts) != 4 or parts[0] != AUTHORIZATION_SCHEME:
        raise Malformed("Authorization must be: Redcard <ledger> <ts_ms> <signature>")
    try:
        signature = base64.b64decode(parts[3], validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("the signature must be base64") from None
    if len(signature) != 64 or base64.b64encode(signature).decode("ascii") != parts[3]:
        raise Malformed("the signature must be the base64 of 64 bytes")
    return Authorization(ledger_id(parts[1]), integer(parts[2], "ts_ms"), signature)


def check_authorization(
    header: str,
    *,
    ledger: str,
    target: str,
    now_ms: int,
    verify: Callable[[bytes, bytes], bool],
    body: bytes | None = None,
) -> Problem | None:
    """Checks a request that only one ledger's terminal may make.

    Args:
        header: value of ``Authorization``, empty if absent.
        ledger: ledger of the path; another ledger's signature is not good for it.
        target: path with query, as received.
        now_ms: server time.
        verify: whether a signature over a message is by this ledger's key.
        body: of a POST, as received; ``None`` for a GET.

    Returns:
        ``None`` if good, otherwise the problem to answer. ``stale_request`` tells the terminal to
        sign again by the time in ``Redcard-Time-Ms``.
    """
    try:
        authorization = parse_authorization(header)
    except Malformed as error:
        return Problem.of(StatusWord.UNSIGNED, f"{error}; nothing was read")
    message = request_message(target, authorization.ts_ms, body)
    if authorization.ledger != ledger or not verify(message, authorization.signature):
        return Problem.of(
            StatusWord.UNSIGNED,
            "the request is not signed by this ledger's key; nothing was read",
        )
    if abs(authorization.ts_ms - now_ms) > REQUEST_SKEW_MS_MAX:
        return Problem.of(
            StatusWord.STALE_REQUEST,
            "the request's time is too far from the server's; sign it again by Redcard-Time-Ms",
        )
    return None
