"""NFC readers by nfcpy's drivers. The one importer of nfc.

A PN532 on a serial port, the USB readers that nfcpy knows, and its simulation over UDP. Only
nfcpy's chip drivers and its ISO-DEP are used, never its ``connect`` loop: the field is polled here,
a few times a second. What nfcpy logs at debug level are card frames; its loggers are kept above
that.

A serial number is asked as with PC/SC: the pseudo-APDU ``FF CA 00 00 00`` is answered here and goes
to no card. Cards without a processor, and those of type F, answer that alone.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from firmware_profiles.model import Sighting
from readers.apdu import StatusWord, split_response
from readers.attendance import AttendedReader, PoweredCard, Presence, Sight, monotonic_ms
from readers.connection import Interface
from readers.errors import CardMute, CardRemoved, CardUnreadable, ReaderFault, ReaderMissing
from readers.nfc_field import is_nfc, number_of, other_card, port_of, type_a_uids
from readers.ports import PORT_GONE, reason_of
from readers.supervision import NowMs
from readers.watchdog import Watchdog

T = TypeVar("T")

APDU_TIMEOUT_MS: Final = 5_000
CHIP_TIMEOUT_MS: Final = 5_000
POLL_MS: Final = 100
_ISO_DEP: Final = 0x20
_GET_UID: Final = bytes.fromhex("FFCA000000")


class NfcReader(AttendedReader):
    """An NFC reader, as a ``CardReader``.

    Args:
        path: for a PN532 on a serial port the device file, best the stable one under
            ``/dev/serial/by-id``; ``usb:VVVV:PPPP`` or ``usb:BUS:DEV`` for a USB reader of nfcpy
            (PN531, PN533, RC-S956, RC-S380); ``udp:HOST:PORT`` for its simulation.
        name: the reader's name; the path if there is none.
        apdu_timeout_ms: how long a card may take for one answer.
        now_ms: clock for the health record.

    Raises:
        ReaderMissing: the path is no device path.
    """

    def __init__(
        self,
        path: str,
        name: str = "",
        *,
        apdu_timeout_ms: int = APDU_TIMEOUT_MS,
        now_ms: NowMs = monotonic_ms,
    ) -> None:
        if not is_nfc(path):
            raise ReaderMissing(
                f"{path!r} is no path such as /dev/serial/by-id/usb-NFC or usb:054c:06c3"
            )
        super().__init__(_NfcSlot(path, name or path, apdu_timeout_ms), now_ms=now_ms)


def look_at(path: str) -> Sighting:
    """What a reader tells of itself: its name, and its chip as firmware.

    Raises:
        ReaderMissing: it is not plugged in, or the path is none.
        ReaderFault: it does not open.
    """
    if not is_nfc(path):
        raise ReaderMissing(f"{path!r} is no path of an NFC reader")
    slot = _NfcSlot(path, path, APDU_TIMEOUT_MS)
    slot.open()
    try:
        return slot.sighting()
    finally:
        slot.close()


class _NfcSlot:
    """The driver's side of one chip."""

    def __init__(self, path: str, name: str, apdu_timeout_ms: int) -> None:
        self.name = name
        self._path = path
        self._apdu_timeout_ms = apdu_timeout_ms
        self._frontend: Any = None
        self._watchdog = Watchdog(f"NFC {name}")
        self._awake = threading.Event()
        self._arrival = 0
        self._uid = b""

    def open(self) -> None:
        if not self._path.startswith("/"):
            self._frontend = self._call(_open_named, self._path)
            return
        if not Path(self._path).exists():
            raise ReaderMissing(f"{self._path} is not plugged in")
        self._frontend = self._call(_open_chip, self._path)

    def close(self) -> None:
        frontend, self._frontend = self._frontend, None
        if frontend is not None:
            self._watchdog.end(lambda: _close_chip(frontend))
        else:
            self._watchdog.end()
        self._watchdog = Watchdog(f"NFC {self.name}")

    def wake(self) -> None:
        self._awake.set()

    def wait(self, seen: Sight | None, limit_ms: int) -> Sight:
        end_ms = monotonic_ms() + limit_ms
        while True:
            sight = self._look()
            if sight != seen or monotonic_ms() >= end_ms or self._awake.wait(POLL_MS / 1000):
                self._awake.clear()
                return sight

    def connect(self) -> PoweredCard:
        tag, uid = self._call(_activate, self._chip())
        return _NfcCard(self, tag, uid, self._apdu_timeout_ms)

    def exchange(self, tag: Any, command: bytes, limit_ms: int) -> bytes:
        """One exchange in the chip's thread; after ``TimeoutError`` the chip is opened anew."""
        try:
            return self._watchdog.call(_exchange, tag, command, limit_ms=limit_ms)
        except TimeoutError:
            self._hang_up()
            raise

    def activate_anew(self) -> tuple[Any, bytes]:
        """Takes the field away from the card and activates it again."""
        return self._call(_activate_anew, self._chip())

    def sighting(self) -> Sighting:
        """Vendor, model and chip, as nfcpy found them; the ids where the path names them."""
        device = self._chip().device
        told = [device.vendor_name or "", device.product_name or device.chipset_name or ""]
        named = re.fullmatch(r"usb:([0-9a-fA-F]{4}):([0-9a-fA-F]{4})", self._path)
        return Sighting(
            name=" ".join(one for one in told if one) or self._path,
            firmware=device.chipset_name or "",
            vid=int(named[1], 16) if named else None,
            pid=int(named[2], 16) if named else None,
        )

    def holds_card(self) -> bool:
        """Whether a card still answers in the field."""
        return bool(self._call(_uids, self._chip()))

    def _look(self) -> Sight:
        uids = self._call(_uids, self._chip())
        if len(uids) > 1:
            return Sight(Presence.SEVERAL, self._arrival)
        uid = uids[0] if uids else b""
        if other_card(self._uid, uid):
            self._arrival += 1
        self._uid = uid
        return Sight(Presence.CARD if uid else Presence.EMPTY, self._arrival)

    def _chip(self) -> Any:
        if self._frontend is None:
            self.open()
        return self._frontend

    def _call(self, function: Callable[..., T], *args: Any) -> T:
        try:
            return self._watchdog.call(function, *args, limit_ms=CHIP_TIMEOUT_MS)
        except TimeoutError as error:
            self._hang_up()
            raise ReaderFault(f"the reader at {self._path} does not answer; replug it") from error

    def _hang_up(self) -> None:
        """Closes the port under the call that hangs, which ends it."""
        frontend, self._frontend = self._frontend, None
        if frontend is not None:
            with contextlib.suppress(*PORT_GONE, AttributeError, TypeError):
                port_of(frontend.device).close()
        self.close()


class _NfcCard:
    """One card in the field; without ISO-DEP it has its serial number and nothing else.

    Args:
        slot: the driver's side.
        tag: nfcpy's type 4 tag, or ``None``.
        uid: the serial number, empty where the card makes up a new one each time.
        apdu_timeout_ms: how long the card may take.
    """

    interface = Interface.CONTACTLESS

    def __init__(self, slot: _NfcSlot, tag: Any, uid: bytes, apdu_timeout_ms: int) -> None:
        self._slot = slot
        self._tag = tag
        self._uid = uid
        self._apdu_timeout_ms = apdu_timeout_ms
        self._mute = False

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        if command == _GET_UID and self._uid:
            return self._uid, StatusWord.SUCCESS
        if command[:1] == _GET_UID[:1] or self._tag is None:
            return b"", StatusWord.FUNCTION_NOT_SUPPORTED
        if self._mute:
            raise CardMute("the card did not answer an earlier command")
        try:
            answer = self._slot.exchange(self._tag, command, self._apdu_timeout_ms)
        except TimeoutError as error:
            self._mute = True
            raise CardMute("the card did not answer in time") from error
        except CardRemoved:
            if self._slot.holds_card():
                self._mute = True
                raise CardMute("the card stopped answering") from None
            raise
        return split_response(answer)

    def reset(self) -> None:
        self._tag, self._uid = self._slot.activate_anew()

    def close(self) -> None:
        """The next look at the field ends the session."""


def _open_chip(path: str) -> Any:
    import nfc
    from nfc.clf import pn532, transport

    logging.getLogger("nfc").setLevel(logging.CRITICAL)  # set to INFO by the import itself
    port = None
    try:
        port = transport.TTY(path)
        device = pn532.init(port)
    except PORT_GONE as error:
        if port is not None:
            port.close()
        raise ReaderFault(f"no PN532 answers at {path}: {reason_of(error)}") from error
    except (IndexError, TypeError) as error:  # nfcpy takes it that a frame which began is whole
        if port is not None:
            port.close()
        raise ReaderFault(f"what answers at {path} is no whole PN532 frame") from error
    device._path = path  # noqa: SLF001 - nfcpy's own loader sets it too
    frontend = nfc.ContactlessFrontend()
    frontend.device = device
    return frontend


def _open_named(path: str) -> Any:
    """Opens a USB reader, or the simulation, by nfcpy's own loader."""
    import nfc
    import nfc.clf.device

    logging.getLogger("nfc").setLevel(logging.CRITICAL)
    try:
        device = nfc.clf.device.connect(path)
    except (*PORT_GONE, ImportError) as error:  # the second: no libusb
        raise ReaderFault(f"{path} cannot be opened: {error}") from error
    except (IndexError, TypeError, AssertionError) as error:
        raise ReaderFault(f"what answers at {path} is no reader that nfcpy knows") from error
    if device is None:
        raise ReaderMissing(f"no NFC reader is plugged in at {path}")
    frontend = nfc.ContactlessFrontend()
    frontend.device = device
    return frontend


def _close_chip(frontend: Any) -> None:
    """Closes driver and port; nfcpy talks to the chip first, and leaves the port if that fails."""
    gone = (*PORT_GONE, AttributeError, TypeError)
    port = None
    with contextlib.suppress(*gone):
        port = port_of(frontend.device)
    try:
        with contextlib.suppress(*gone):
            frontend.close()
    finally:
        if port is not None:
            with contextlib.suppress(*gone):
                port.close()


def _uids(frontend: Any) -> list[bytes]:
    """Serial numbers of all type A cards in the field, or of one of type B or F.

    A chip that can count cards is asked to (UM0701-02, 7.3.5); others find one at a time.
    """
    chip = getattr(frontend.device, "chipset", None)
    try:
        frontend.device.mute()  # so that cards which were selected answer again
        if chip is not None and hasattr(chip, "in_list_passive_target"):
            found = bytes(chip.command(0x4A, bytearray((2, 0)), timeout=1.0) or b"\x00")
            if found[0]:
                return type_a_uids(found)
            target = _sensed(frontend, ("106B", "212F"))
        else:
            target = _sensed(frontend, _KINDS_OF.get(type(frontend.device).__module__, _ALL_KINDS))
    except PORT_GONE as error:
        raise ReaderFault(f"the reader is gone: {reason_of(error)}") from error
    except (IndexError, TypeError) as error:
        raise ReaderFault("the reader's answer was cut short") from error
    except Exception as error:
        if chip is None or not isinstance(error, getattr(chip, "Error", ())):
            raise
        raise ReaderFault(f"the reader's chip reports: {error}") from error
    return [] if target is None else [number_of(target)]


#: Kinds of cards that are looked for. In the simulation each takes a second while nobody is there.
_ALL_KINDS: Final = ("106A", "106B", "212F")
_KINDS_OF: Final = {"nfc.clf.udp": ("106A",)}


def _sensed(frontend: Any, kinds: tuple[str, ...]) -> Any:
    import nfc.clf

    try:
        return frontend.sense(*(nfc.clf.RemoteTarget(kind) for kind in kinds))
    except nfc.clf.CommunicationError:
        return None


def _activate(frontend: Any) -> tuple[Any, bytes]:
    """The card as a type 4 tag, or ``None`` without a processor, and its serial number."""
    import nfc.clf
    from nfc.tag import tt4

    kinds = _KINDS_OF.get(type(frontend.device).__module__, _ALL_KINDS)
    try:
        target = _sensed(frontend, kinds)
        if target is None:
            raise CardRemoved("the card left before it was selected")
        # the number of type B may be made up anew at each tap (ISO/IEC 14443-3, 7.9.2)
        uid = b"" if target.sensb_res else number_of(target)
        if target.sensf_res or (target.sel_res and not target.sel_res[0] & _ISO_DEP):
            return None, uid
        return tt4.activate(frontend, target), uid
    except nfc.clf.CommunicationError as error:
        raise CardRemoved("the card left while it was selected") from error
    except PORT_GONE as error:
        raise ReaderFault(f"the reader is gone: {reason_of(error)}") from error
    except (IndexError, TypeError) as error:  # nfcpy expects every byte of the answer to select
        raise CardUnreadable("the card's answer to select is too short") from error


def _activate_anew(frontend: Any) -> tuple[Any, bytes]:
    try:
        frontend.device.mute()
    except PORT_GONE as error:
        raise ReaderFault(f"the reader is gone: {reason_of(error)}") from error
    return _activate(frontend)


def _exchange(tag: Any, command: bytes) -> bytes:
    import nfc.clf
    from nfc.tag import TagCommandError

    try:
        return bytes(tag.transceive(bytearray(command)))
    except (TagCommandError, nfc.clf.CommunicationError) as error:
        raise CardRemoved("the card left during an exchange; its outcome is unknown") from error
    except PORT_GONE as error:
        raise ReaderFault(f"the reader is gone: {reason_of(error)}") from error
    except (IndexError, AttributeError, TypeError) as error:  # the port was closed under it
        raise ReaderFault("the exchange was broken off") from error
