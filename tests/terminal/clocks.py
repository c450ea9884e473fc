"""A clock that tests move by hand; a full implementation of the terminal's port."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class HandClock:
    wall: int = 1_401_415_200_000  # 2014-05-30 10:00 in Shanghai
    boot: int = 50_000
    name: str = "0123456789abcdef"

    def wall_ms(self) -> int:
        return self.wall

    def boot_ms(self) -> int:
        return self.boot

    def boot_id(self) -> str:
        return self.name

    def pass_ms(self, ms: int) -> None:
        self.wall += ms
        self.boot += ms
