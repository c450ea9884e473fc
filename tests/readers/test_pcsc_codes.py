from __future__ import annotations

import pytest

from readers.errors import (
    CardMute,
    CardRemoved,
    CardUnreadable,
    ReaderBusy,
    ReaderError,
    ReaderFault,
    ReaderMissing,
    ServiceMissing,
    ServiceRefuses,
)
from readers.pcsc_codes import check


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (0x8010001D, ServiceMissing),
        (0x80100013, ServiceMissing),
        (0x8010006A, ServiceRefuses),
        (0x80100009, ReaderMissing),
        (0x8010000B, ReaderBusy),
        (0x80100069, CardRemoved),
        (0x80100016, CardRemoved),
        (0x80100068, CardRemoved),
        (0x80100066, CardMute),
        (0x8010000F, CardUnreadable),
        (0x80100099, ReaderFault),
        (0x80100013 - (1 << 32), ServiceMissing),  # as pyscard gives it where long has 32 bits
    ],
)
def test_a_code_becomes_its_exception_and_is_named(code: int, kind: type[ReaderError]) -> None:
    with pytest.raises(kind, match=f"{code & 0xFFFFFFFF:08X}") as caught:
        check(code)
    assert type(caught.value) is kind


def test_success_is_no_exception() -> None:
    check(0)
