import stat
from pathlib import Path

import pytest

from terminal.web.token import kept_token

BOOT, OTHER = "0" * 16, "1" * 16


def test_a_restart_keeps_the_secret_and_a_reboot_does_not(tmp_path: Path) -> None:
    file = tmp_path / "pages.json"
    first = kept_token(file, BOOT)
    assert kept_token(file, BOOT) == first
    assert kept_token(file, OTHER) != first


def test_only_this_user_can_read_it(tmp_path: Path) -> None:
    file = tmp_path / "pages.json"
    kept_token(file, BOOT)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b'{"boot": "0000000000000000", "token": ""}',
        b'{"boot": "0000000000000000", "token": "short"}',
        b'{"boot": "0000000000000000", "token": 7}',
    ],
)
def test_a_damaged_file_gives_a_fresh_secret(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "pages.json"
    file.write_bytes(content)
    token = kept_token(file, BOOT)
    assert len(token) >= 40
    assert kept_token(file, BOOT) == token
