"""Paths of NFC readers, and what a look at their field says. Pure; nothing of nfcpy is imported."""

from __future__ import annotations

import re
from typing import Any, Final

#: nfcpy hands the path to a shell; nothing but a plain device path may reach it.
_PATH: Final = re.compile(r"/dev/[A-Za-z0-9._/-]+")
#: nfcpy's own paths: vendor and product, or bus and device; host and port of its simulation.
_USB: Final = re.compile(r"usb(:[0-9a-fA-F]{4}(:[0-9a-fA-F]{4})?|:[0-9]{3}:[0-9]{3})?")
_UDP: Final = re.compile(r"udp:[A-Za-z0-9.-]*:[0-9]{1,5}")
_RANDOM_UID: Final = 0x08


def is_nfc(path: str) -> bool:
    """Whether it has the form of a path that :class:`NfcReader` takes."""
    return any(form.fullmatch(path) for form in (_PATH, _USB, _UDP))


def other_card(old: bytes, new: bytes) -> bool:
    """Whether two looks saw different things; a random number is a new one at every look."""
    random = len(old) == len(new) == 4 and old[0] == new[0] == _RANDOM_UID
    return old != new and not random


def type_a_uids(found: bytes) -> list[bytes]:
    """Number, SENS_RES, SEL_RES, length and identifier of each; the second may be cut off."""
    uids = []
    at = 1
    for _ in range(found[0]):
        size = found[at + 4] if at + 4 < len(found) else 0
        uids.append(found[at + 5 : at + 5 + size] or b"?")
        at += 5 + size
    return uids


def number_of(target: Any) -> bytes:
    """The serial number of what nfcpy found, by its type."""
    if target.sdd_res:
        return bytes(target.sdd_res)
    if target.sensb_res:
        return bytes(target.sensb_res[1:5])
    return bytes(target.sensf_res[1:9]) if target.sensf_res else b"?"


def port_of(device: Any) -> Any:
    """What a call that hangs in the driver waits on: a serial port, a USB device, a socket."""
    chipset = getattr(device, "chipset", None)
    if chipset is None:
        return device.socket
    transport = chipset.transport
    return getattr(transport, "tty", None) or transport
