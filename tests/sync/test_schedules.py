"""Any order of losses, repeats, reorders, restarts and restores: every entry exactly once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sync import admission
from sync.admission import LedgerState
from sync.state import SyncState
from sync.transport import ANSWER_BYTES_MAX, MemoryTransport, Request, Response
from sync.uplink import SyncStatus
from tests.sync.memory_server import MemoryServer
from tests.sync.signed_log import SignedLog, ledger_name
from tests.sync.test_client import Terminal, terminal

TERMINALS = 3


class RecordingTransport(MemoryTransport):
    """Remembers what was sent, so that it can arrive again later."""

    def __init__(self, server: MemoryServer) -> None:
        super().__init__(server)
        self.sent: list[Request] = []

    def exchange(self, request: Request, *, bytes_max: int = ANSWER_BYTES_MAX) -> Response:
        if request.method == "POST":
            self.sent.append(request)
        return super().exchange(request, bytes_max=bytes_max)


class Schedules(RuleBasedStateMachine):
    """Honest terminals under every fault of network, server and sync database."""

    number = st.integers(0, TERMINALS - 1)

    @initialize()
    def enrol(self) -> None:
        self.server = MemoryServer()
        self.terminals: list[Terminal] = []
        self.receipts: list[set[bytes]] = [set() for _ in range(TERMINALS)]
        for index in range(TERMINALS):
            log = SignedLog(ledger_name(index + 1), f"seed {index}")
            log.grow(1)
            self.server.enrol(log)
            self.terminals.append(self._start(log))
        self.backup = self.server.backup()

    def _start(self, log: SignedLog, state: SyncState | None = None) -> Terminal:
        made = terminal(self.server, log, state=state)
        transport = RecordingTransport(self.server)
        made.transport = transport
        made.client._transport = transport
        return made

    @rule(index=number, count=st.integers(1, 6), per_commit=st.integers(1, 3))
    def redeem(self, index: int, count: int, per_commit: int) -> None:
        self.terminals[index].log.grow(count, per_commit=per_commit)

    @rule(index=number)
    def push(self, index: int) -> None:
        result = self.terminals[index].client.push()
        assert result.status is SyncStatus.OK, result
        assert result.pending == 0

    @rule(index=number)
    def push_and_lose_the_answer(self, index: int) -> None:
        one = self.terminals[index]
        one.transport.lose_answers = 1
        assert one.client.push().status in {SyncStatus.OK, SyncStatus.OFFLINE}
        one.transport.lose_answers = 0

    @rule(index=number)
    def push_into_a_cut_network(self, index: int) -> None:
        one = self.terminals[index]
        one.transport.connected = False
        assert one.client.push().status in {SyncStatus.OK, SyncStatus.OFFLINE}
        one.transport.connected = True

    @rule(index=number, pick=st.randoms(use_true_random=False))
    def an_old_request_arrives_again(self, index: int, pick: object) -> None:
        transport = self.terminals[index].transport
        assert isinstance(transport, RecordingTransport)
        if transport.sent:
            response = self.server(pick.choice(transport.sent))  # type: ignore[attr-defined]
            assert response.status in {200, 409}

    @rule(index=number)
    def lose_the_sync_database(self, index: int) -> None:
        one = self.terminals[index]
        one.state.close()
        self.receipts[index].clear()
        self.terminals[index] = self._start(one.log)

    @rule()
    def take_a_backup(self) -> None:
        self.backup = self.server.backup()

    @rule()
    def restore_the_server(self) -> None:
        self.server.restore(self.backup)

    @invariant()
    def the_server_holds_a_prefix_of_every_ledger(self) -> None:
        for one in self.terminals:
            held = self.server.logs[one.log.ledger]
            assert held.entries == one.log.stored[: len(held.entries)]
            assert held.standing is LedgerState.OK
            assert held.evidence == []

    @invariant()
    def a_stored_receipt_never_disappears(self) -> None:
        for one, known in zip(self.terminals, self.receipts, strict=True):
            notes = {receipt.note for receipt in one.state.receipts()}
            assert known <= notes
            known.update(notes)

    def teardown(self) -> None:
        for one in getattr(self, "terminals", []):
            assert one.client.sync().status is SyncStatus.OK
            assert self.server.logs[one.log.ledger].entries == one.log.stored
            assert one.client.status().pending == 0
            one.state.close()


class Clones(RuleBasedStateMachine):
    """One ledger on two machines: found before both histories are taken, nothing is lost."""

    @initialize(common=st.integers(1, 5))
    def clone(self, common: int) -> None:
        self.server = MemoryServer()
        log = SignedLog(ledger_name(9), "cloned")
        log.grow(common)
        self.server.enrol(log)
        self.machines = [terminal(self.server, log), terminal(self.server, log.copy_at(common))]
        for machine in self.machines:
            machine.client.push()
        self.taken: list[bytes] = list(log.stored)

    @rule(which=st.integers(0, 1), count=st.integers(1, 4))
    def redeem(self, which: int, count: int) -> None:
        self.machines[which].log.grow(count, word=f"machine {which}")

    @rule(which=st.integers(0, 1))
    def push(self, which: int) -> None:
        result = self.machines[which].client.push()
        assert result.status in {SyncStatus.OK, SyncStatus.QUARANTINED}

    @rule(which=st.integers(0, 1))
    @precondition(lambda self: hasattr(self, "machines"))
    def lose_the_answer(self, which: int) -> None:
        self.machines[which].transport.lose_answers = 1
        self.machines[which].client.push()
        self.machines[which].transport.lose_answers = 0

    @invariant()
    def what_was_taken_stays_and_is_one_history(self) -> None:
        if not hasattr(self, "server"):
            return
        held = self.server.logs[ledger_name(9)]
        assert held.entries[: len(self.taken)] == self.taken
        self.taken = list(held.entries)
        logs = [machine.log.stored for machine in self.machines]
        assert any(stored[: len(self.taken)] == self.taken for stored in logs)
        if held.standing is LedgerState.QUARANTINED:
            (evidence,) = held.evidence
            assert evidence.our_root == SignedLogRoot.of(self.taken[: evidence.our_size])

    def teardown(self) -> None:
        if not hasattr(self, "machines"):
            return
        statuses = [machine.client.push().status for machine in self.machines]
        statuses += [machine.client.push().status for machine in self.machines]
        one, two = (machine.log.stored for machine in self.machines)
        length = min(len(one), len(two))
        if one[:length] != two[:length]:
            assert self.server.logs[ledger_name(9)].standing is LedgerState.QUARANTINED
            assert SyncStatus.QUARANTINED in statuses
        for machine in self.machines:
            machine.state.close()


class SignedLogRoot:
    """Root over entries, computed apart from the server's frontier."""

    @staticmethod
    def of(entries: list[bytes]) -> bytes:
        log = SignedLog(ledger_name(9), "cloned")
        log.commit(*entries)
        return log.frontier.root()


TestSchedules = Schedules.TestCase
TestSchedules.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestClones = Clones.TestCase
TestClones.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)


def takes_overlaps_whole(log: Any, batch: Any, *rest: Any) -> Any:
    """A fault: an admission that stores again what it holds already."""
    got = _NEW_RANGE(log, batch, *rest)
    return replace(got, entries=batch.entries) if isinstance(got, admission.Admitted) else got


_NEW_RANGE = admission._new_range


def test_the_schedule_would_find_an_entry_taken_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a server that stores an overlap whole is found at once."""
    log = SignedLog(ledger_name(1), "one")
    log.grow(2)
    server = MemoryServer()
    server.enrol(log)
    one = terminal(server, log)
    one.transport.lose_answers = 1
    one.client.push()
    log.grow(1)
    monkeypatch.setattr(admission, "_new_range", takes_overlaps_whole)
    one.client.push()
    assert server.logs[log.ledger].entries != log.stored
    one.state.close()
