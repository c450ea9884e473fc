"""Signed notes: published examples, OpenSSL as a second judge, and bytes of any kind."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import NoteInvalid
from ledger.log.checkpoint import (
    Checkpoint,
    HeadSigner,
    cosign,
    open_checkpoint,
    parse,
    verify_cosignature,
)
from ledger.log.note import (
    Ed25519Verifier,
    KeySigner,
    open_note,
    sign_note,
    split_note,
    vkey,
)
from tests.ledger.log.ledgers import ORIGIN, SERVER, SIGNER, signer

VERIFIER = Ed25519Verifier.of(SIGNER)
#: The example of golang.org/x/mod/sumdb/note: its key, and a note that it signed.
PETER_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1"
    "FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n")).map(
    lambda text: text + "\n"
)


def test_the_published_example_opens() -> None:
    opened = open_note(PETER_NOTE, [Ed25519Verifier.from_vkey(PETER_VKEY)])
    assert opened.verified == ("PeterNeumann",)
    assert opened.text.endswith("problem is.\n")


@given(TEXTS)
def test_what_is_signed_opens_with_the_same_text(text: str) -> None:
    data = sign_note(text, [SIGNER, signer("other.example/key", "other")])
    opened = open_note(data, [VERIFIER])
    assert opened.text == text
    assert opened.verified == (ORIGIN,)
    assert len(opened.signatures) == 2


@given(st.binary(max_size=300))
def test_any_bytes_are_a_note_or_refused(data: bytes) -> None:
    with pytest.raises(NoteInvalid):
        open_note(data, [VERIFIER])


@given(st.data())
def test_every_changed_byte_is_refused(data: st.DataObject) -> None:
    note = bytearray(Checkpoint(ORIGIN, 5, bytes(32)).sign([SIGNER]))
    at = data.draw(st.integers(0, len(note) - 1))
    note[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(NoteInvalid):
        open_checkpoint(bytes(note), [VERIFIER])


def test_unknown_keys_are_ignored_but_one_known_is_needed() -> None:
    data = sign_note("text\n", [signer("a.example/k", "a"), SIGNER])
    assert open_note(data, [VERIFIER]).verified == (ORIGIN,)
    with pytest.raises(NoteInvalid, match="no trusted key"):
        open_note(data, [Ed25519Verifier.of(signer("b.example/k", "b"))])
    with pytest.raises(NoteInvalid, match="no trusted key"):
        open_note(data, [Ed25519Verifier.of(signer(ORIGIN, "same name, other key"))])


def test_a_failing_signature_of_a_known_key_spoils_the_note() -> None:
    mine, other = sign_note("text\n", [SIGNER]), sign_note("tent\n", [signer("a.example/k", "a")])
    spoiled = mine + other.split(b"\n\n")[1]
    verifiers = [VERIFIER, Ed25519Verifier.of(signer("a.example/k", "a"))]
    with pytest.raises(NoteInvalid, match="does not hold"):
        open_note(spoiled, verifiers)


@pytest.mark.parametrize("text", ["", "no newline", "tab\there\n", "\x7f\x00\n", "\ud800\n"])
def test_texts_that_are_no_note(text: str) -> None:
    with pytest.raises(NoteInvalid):
        sign_note(text, [SIGNER])


@pytest.mark.parametrize("name", ["", "with space", "plus+sign", "em\u2003space", "bell\x07"])
def test_names_that_are_no_key_name(name: str) -> None:
    with pytest.raises(NoteInvalid):
        KeySigner(name, SIGNER.sign, SIGNER.public_key)
    with pytest.raises(NoteInvalid):
        vkey(name, SIGNER.public_key)


def test_a_note_needs_a_signer_and_a_cosigner_needs_a_time() -> None:
    with pytest.raises(NoteInvalid, match="at least one"):
        sign_note("text\n", [])
    with pytest.raises(NoteInvalid, match="time"):
        sign_note("text\n", [SERVER])


def test_limits_of_a_note() -> None:
    line = PETER_NOTE.split(b"\n\n")[1]
    with pytest.raises(NoteInvalid, match="more than 100"):
        split_note(b"text\n\n" + line * 101)
    with pytest.raises(NoteInvalid, match="longer"):
        split_note(b"x" * 1_000_001)


@pytest.mark.parametrize(
    "bad",
    [
        b"text\n",
        b"text\n\nno dash\n",
        b"text\n\n\xe2\x80\x94 name\n",
        "text\n\n— name AAAA\n".encode(),
        "text\n\n— name AAAAAAA\n".encode(),
        "text\n\n— name AAAAAAB=\n".encode(),
        "text\n\n— name AAAAAAA=".encode(),
        "text\n\n— na+me AAAAAAA=\n".encode(),
        b"te\xff\n\n\xe2\x80\x94 name AAAAAAA=\n",
    ],
)
def test_malformed_notes(bad: bytes) -> None:
    with pytest.raises(NoteInvalid):
        split_note(bad)


def test_verifier_keys_round_trip() -> None:
    for source in (SIGNER, SERVER):
        text = vkey(source.name, source.public_key, source.note_type)
        assert Ed25519Verifier.from_vkey(text) == Ed25519Verifier.of(source)
    assert vkey("PeterNeumann", Ed25519Verifier.from_vkey(PETER_VKEY).public_key) == PETER_VKEY


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "reads name"),
        ("name+12345678", "reads name"),
        (PETER_VKEY.replace("c74f20a3", "c74f20a4"), "does not belong"),
        (PETER_VKEY.replace("PeterNeumann", "PeterNewmann"), "does not belong"),
        ("n+00000000+" + base64.b64encode(b"\x01short").decode(), "not an Ed25519 key"),
        ("n+00000000+" + base64.b64encode(b"\x02" + bytes(91)).decode(), "ECDSA"),
        ("n+00000000+" + base64.b64encode(b"\x06" + bytes(1312)).decode(), "ML-DSA"),
        ("n+00000000+" + base64.b64encode(b"\xffsm2").decode(), "SM2"),
        ("n+00000000+" + base64.b64encode(b"\x77" + bytes(32)).decode(), "0x77"),
    ],
)
def test_verifier_keys_that_cannot_be_used(text: str, why: str) -> None:
    with pytest.raises(NoteInvalid, match=why):
        Ed25519Verifier.from_vkey(text)


@given(st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_checkpoints_round_trip(size: int, root: bytes) -> None:
    head = Checkpoint(ORIGIN, size, root)
    assert parse(head.text()) == head
    assert open_checkpoint(head.sign([SIGNER]), [VERIFIER]) == head


@given(st.text() | st.text("abc\n=/+0123456789A"))
def test_any_text_is_a_checkpoint_or_refused(text: str) -> None:
    try:
        assert parse(text).text() == text
    except NoteInvalid:
        pass


ROOT = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "text",
    [
        f"o\n1\n{ROOT}",
        f"o\n01\n{ROOT}\n",
        f"o\n-1\n{ROOT}\n",
        f"o\n{2**63}\n{ROOT}\n",
        f"o\n٣\n{ROOT}\n",
        f"\n1\n{ROOT}\n",
        f"o\n1\n{ROOT}\n\n",
        "o\n1\nAAAA\n",
        f"o\n1\n{ROOT[:-2]}B=\n",
        f"o\n1\né{ROOT}\n",
        "o\n1\n",
    ],
)
def test_malformed_checkpoints(text: str) -> None:
    with pytest.raises(NoteInvalid):
        parse(text)


@given(st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_a_prepared_signer_signs_the_same_bytes(size: int, root: bytes) -> None:
    head = Checkpoint(SIGNER.name, size, root)
    assert HeadSigner(SIGNER.name, SIGNER).sign(size, root) == head.sign([SIGNER])


def test_what_cannot_sign_heads() -> None:
    for origin, key in (("two\nlines", SIGNER), ("a\x00b", SIGNER), ("server", SERVER)):
        with pytest.raises(NoteInvalid):
            HeadSigner(origin, key)


def test_extension_lines_are_kept() -> None:
    head = parse(f"o\n1\n{ROOT}\nmore\n")
    assert head.extensions == ("more",)


@given(st.integers(0, 2**63 - 1))
def test_cosignatures_state_their_time(time_s: int) -> None:
    note = Checkpoint(ORIGIN, 7, bytes(32)).sign([SIGNER])
    receipt = cosign(note, SERVER, time_s)
    assert receipt.startswith(note)
    found = verify_cosignature(receipt, Ed25519Verifier.of(SERVER))
    assert (found.time_s, found.name, found.checkpoint.size) == (time_s, SERVER.name, 7)
    assert open_checkpoint(receipt, [VERIFIER]).size == 7


def test_a_cosignature_covers_its_time() -> None:
    receipt = cosign(Checkpoint(ORIGIN, 7, bytes(32)).sign([SIGNER]), SERVER, 1_700_000_000)
    text, lines = split_note(receipt)
    forged = lines[1]
    later = (1_800_000_000).to_bytes(8, "big") + forged.signature[8:]
    line = type(forged)(forged.name, forged.key_id, later).line()
    with pytest.raises(NoteInvalid, match="does not hold"):
        verify_cosignature(f"{text}\n{line}".encode(), Ed25519Verifier.of(SERVER))
    for short in (b"12345678", (1 << 63).to_bytes(8, "big") + bytes(64)):
        line = type(forged)(forged.name, forged.key_id, short).line()
        with pytest.raises(NoteInvalid, match="does not hold"):
            verify_cosignature(f"{text}\n{line}".encode(), Ed25519Verifier.of(SERVER))


def test_what_cannot_be_cosigned() -> None:
    note = Checkpoint(ORIGIN, 7, bytes(32)).sign([SIGNER])
    with pytest.raises(NoteInvalid, match="not a cosigner"):
        cosign(note, SIGNER, 1)
    with pytest.raises(NoteInvalid, match="not a time"):
        cosign(note, SERVER, -1)
    with pytest.raises(NoteInvalid):
        cosign(sign_note("no checkpoint\n", [SIGNER]), SERVER, 1)


def test_a_verifier_of_another_type_refuses() -> None:
    with pytest.raises(NoteInvalid):
        Ed25519Verifier("name", bytes(32), 0x02)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_agrees_with_the_signature(tmp_path: Path) -> None:
    note = Checkpoint(ORIGIN, 7, bytes(32)).sign([SIGNER])
    text, (line,) = split_note(note)
    der = bytes.fromhex("302a300506032b6570032100") + SIGNER.public_key
    pem = base64.encodebytes(der).decode()
    (tmp_path / "key.pem").write_text(
        f"-----BEGIN PUBLIC KEY-----\n{pem}-----END PUBLIC KEY-----\n"
    )
    (tmp_path / "signature").write_bytes(line.signature)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin"]
    for message, expected in ((text, 0), (text.replace("7", "8"), 1)):
        (tmp_path / "message").write_text(message)
        done = subprocess.run(
            [*command, "-in", "message", "-sigfile", "signature"],
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        assert done.returncode == expected, done
