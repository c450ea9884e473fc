"""Anything at all at the edges, and random histories against what must always hold."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from starlette.applications import Starlette

from ledger.errors import LogFault
from ledger.log.store import LogStore
from ledger.rules.terms import CardStatus
from ledger.rules.usage import Usage
from ledger.verify import verify_database
from readers.cards.scheme import AuthenticatedCard, CardAssurance
from readers.virtual.authority import TestCa
from readers.virtual.unionpay import make_pan
from terminal.answers import TapAnswer, plain
from terminal.configuration import parse
from terminal.errors import ConfigInvalid, RequestInvalid
from terminal.presenting import Presented
from terminal.requests import check_evidence, check_name, check_nonce, check_reason
from terminal.web.api import api_routes
from tests.terminal.rig import CONFIG, Rig, hash_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    "position offer nonce quantity companions evidence supervisor supervisor_pin reason simulate"
    " wait_ms void_nonce operator x".split()
)
PATHS = ("tap", "void", "acknowledge", "dismiss", "sync", "shift/open", "shift/close")


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300) | st.text("[]=\"'\n abcp#{}.0123456789", max_size=300))
def test_any_text_is_a_configuration_or_is_refused_by_name(text: str) -> None:
    for whole in (text, CONFIG.format(extra=text)):
        try:
            parse(whole)
        except ConfigInvalid as error:
            assert "terminal.toml" in str(error)


@given(st.text(), st.dictionaries(st.text(), st.text(), max_size=3))
def test_any_text_is_a_request_or_is_refused(text: str, evidence: dict[str, str]) -> None:
    for check in (check_nonce, check_reason, lambda one: check_name(one, "offer")):
        try:
            passed = check(text)
        except RequestInvalid:
            continue
        assert len(passed) <= 64
        assert passed.isprintable() or not passed
    try:
        check_evidence(evidence)
    except RequestInvalid:
        return


def test_any_json_is_answered_and_never_a_500(rig: Rig) -> None:
    app = Starlette(routes=api_routes(rig.service))
    transport = httpx.ASGITransport(app=app)

    @settings(
        max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(st.sampled_from(PATHS), st.dictionaries(FIELDS, JSON, max_size=6))
    def send(path: str, body: dict[str, Any]) -> None:
        if isinstance(body.get("wait_ms"), int):
            body["wait_ms"] = 0

        async def run() -> httpx.Response:
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                return await client.post(f"/api/{path}", content=json.dumps(body))

        answer = asyncio.run(run())
        assert answer.status_code in {200, 400, 404, 408, 409}, answer.text

    send()
    assert set(rig.kinds()) <= {"genesis", "boot", "open", "close", "decline"}


class Histories(RuleBasedStateMachine):
    """One connected or cut-off terminal, four members, restarts, failing disks, retries."""

    world: ClassVar[TestCa]

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.rig = Rig(Path(self.folder.name) / "t", self.world)
        for serial in range(1, 5):
            self.rig.member(serial)
        self.answers: dict[str, TapAnswer] = {}
        self.orders: dict[str, tuple[int, str]] = {}
        self.count = 0

    def teardown(self) -> None:
        if hasattr(self, "rig"):
            self.rig.close()
            report = verify_database(self.rig.home.ledger_path)
            assert report.ok, report.faults
            self.folder.cleanup()

    def _tap(self, nonce: str, serial: int, offer: str) -> TapAnswer:
        card = AuthenticatedCard(
            hash_of(make_pan(serial)), "unionpay", CardAssurance.AUTHENTICATED, "fdda", None
        )
        service = self.rig.service
        held = service.position("counter")
        from terminal.tap_order import TapOrder

        order = TapOrder(
            place=service.parts.shifts.place("counter", "S01"),
            profile=held.profile,
            offer=offer,
            nonce=nonce,
        )
        return service.parts.flow.run(order, Presented(CardStatus.ACTIVE, card))

    @rule(serial=st.integers(1, 5), offer=st.sampled_from(["film", "museum", "pack", "proof"]))
    def tap(self, serial: int, offer: str) -> None:
        self.count += 1
        nonce = f"n{self.count}"
        answer = self._tap(nonce, serial, offer)
        assert not answer.replay
        if answer.entry is not None:
            self.answers[nonce], self.orders[nonce] = answer, (serial, offer)

    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        if not self.answers:
            return
        nonce = data.draw(st.sampled_from(sorted(self.answers)))
        first, again = self.answers[nonce], self._tap(nonce, *self.orders[nonce])
        assert again.replay
        assert (again.outcome, again.code, again.entry) == (first.outcome, first.code, first.entry)
        other = self._tap(nonce, 1 + self.orders[nonce][0] % 4, self.orders[nonce][1])
        assert other.code == "T07"

    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        if self.answers:
            nonce = data.draw(st.sampled_from(sorted(self.answers)))
            answer = self.rig.service.void("counter", nonce, reason="other")
            assert answer.code in {"A00", "A01", "V03", "V04", "V01"}

    @rule()
    def connect(self) -> None:
        self.rig.connect()

    @rule(minutes=st.integers(1, 24 * 60))
    def wait(self, minutes: int) -> None:
        self.rig.clock.pass_ms(minutes * 60_000)

    @rule()
    def restart(self) -> None:
        self.rig.restart()

    @rule(durable=st.booleans(), serial=st.integers(1, 4))
    def tap_on_a_failing_disk(self, durable: bool, serial: int) -> None:
        real = LogStore.append

        def fail(store: LogStore, entries: Any) -> None:
            if durable:
                real(store, entries)
            raise LogFault("disk I/O error")

        self.count += 1
        nonce = f"n{self.count}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(LogStore, "append", fail)
            answer = self._tap(nonce, serial, "film")
        assert not answer.green
        recorded = self._recorded(nonce)
        again = self._tap(nonce, serial, "film")
        assert again.replay == recorded
        if again.entry is not None:
            self.answers[nonce], self.orders[nonce] = again, (serial, "film")

    def _recorded(self, nonce: str) -> bool:
        return any(entry.get("nonce") == nonce for entry in self.rig.entries())

    @invariant()
    def no_limit_is_exceeded_and_the_folds_are_the_ledgers(self) -> None:
        if not hasattr(self, "rig"):
            return
        entries = self.rig.entries()
        nonces = [entry["nonce"] for entry in entries if "nonce" in entry]
        assert len(nonces) == len(set(nonces))
        voided = {entry["orig_nonce"] for entry in entries if entry["kind"] == "void"}
        films: dict[str, int] = {}
        for entry in entries:
            if (entry["kind"], entry.get("offer")) == ("redeem", "film"):
                films[entry["member"]] = films.get(entry["member"], 0) + (
                    entry["nonce"] not in voided
                )
        assert all(count <= 1 for count in films.values())
        assert not any(
            entry["kind"] == "redeem" and entry["offer"] == "pack" for entry in entries
        )  # no lease was ever granted
        self._folds_agree(entries)

    def _folds_agree(self, entries: list[Mapping[str, Any]]) -> None:
        fresh = Usage()
        for entry in entries:
            fresh.apply(entry)
        writer = self.rig.service.parts.writer
        with writer.turn:
            assert writer.ready
            catalogue = self.rig.installed.catalogue
            for serial in range(1, 5):
                for offer in catalogue.offers.values():
                    member = f"{serial:016x}"
                    assert fresh.view(member, offer) == writer.usage.view(member, offer)


def test_random_histories_keep_what_must_hold(world: TestCa) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    Histories.world = world
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=12,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_plain_turns_every_answer_into_json(rig: Rig) -> None:
    rig.lay(rig.member(1))
    for value in (rig.service.snapshot_view("counter"), rig.service.status(), {"a": (1, None)}):
        json.dumps(plain(value))
