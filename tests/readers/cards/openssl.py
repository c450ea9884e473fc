"""Debian's openssl on the command line, as a second opinion for the card tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


def program() -> str:
    """Where openssl is; skips loudly without it, and fails in CI."""
    found = shutil.which("openssl")
    if found is None:
        message = "openssl is missing: apt-get install openssl"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return found


@dataclass(frozen=True)
class Openssl:
    """Raw RSA, SHA-1 and SM2 by the command line tool."""

    program: str
    folder: Path

    def recover(self, modulus: bytes, exponent: bytes, block: bytes) -> bytes:
        """The RSA public operation without any padding."""
        pem, der = str(self.folder / "key.pem"), str(self.folder / "key.der")
        template = self.folder / "key.cnf"
        template.write_text(
            f"asn1=SEQUENCE:key\n[key]\nn=INTEGER:0x{modulus.hex()}\ne=INTEGER:0x{exponent.hex()}\n"
        )
        self._run(["asn1parse", "-genconf", str(template), "-noout", "-out", der])
        rsa = ["rsa", "-RSAPublicKey_in", "-inform", "DER", "-in", der, "-pubout", "-out", pem]
        self._run(rsa)
        raw = ["pkeyutl", "-verifyrecover", "-pubin", "-inkey", pem]
        return self._run([*raw, "-pkeyopt", "rsa_padding_mode:none"], block)

    def sha1(self, data: bytes) -> bytes:
        return self._run(["dgst", "-sha1", "-binary"], data)

    def sm3(self, data: bytes) -> bytes:
        return self._run(["dgst", "-sm3", "-binary"], data)

    def sm2_key(self, name: str) -> bytes:
        """Makes a key of that name and returns its public half, x then y."""
        pem = str(self.folder / f"{name}.pem")
        self._run(["ecparam", "-name", "SM2", "-genkey", "-noout", "-out", pem])
        return self._run(["pkey", "-in", pem, "-pubout", "-outform", "DER"])[-64:]

    def sm2_sign(self, name: str, message: bytes, identity: str = "1234567812345678") -> bytes:
        """Signs with the key of that name; r then s."""
        file = self.folder / "message"
        file.write_bytes(message)
        pem = str(self.folder / f"{name}.pem")
        signing = ["pkeyutl", "-sign", "-inkey", pem, "-rawin", "-in", str(file)]
        der = self._run([*signing, "-digest", "sm3", "-pkeyopt", f"distid:{identity}"])
        r_end = 4 + der[3]
        r, s = der[4:r_end], der[r_end + 2 :]
        return b"".join(int.from_bytes(part).to_bytes(32) for part in (r, s))

    def _run(self, arguments: list[str], data: bytes = b"") -> bytes:
        done = subprocess.run([self.program, *arguments], input=data, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout
