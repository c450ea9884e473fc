"""A reader on trial: every step's verdict, what is skipped, and what is never in a report."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_profiles.catalogue import load
from firmware_profiles.model import Sighting
from readers import certify
from readers.cards.scheme import CardScheme
from readers.cards.uid import Uid
from readers.cards.unionpay import UnionPay
from readers.certify import LAYS, Course, Instruction, Trial, facts_of
from readers.certify_html import json_text, page
from readers.certify_measure import Measured, taps_result
from readers.certify_report import Distribution, Overall, ReaderFacts, Report, Step, Verdict
from readers.certify_text import FIGURES, INSTRUCTIONS, OVERALL, REMARKS, STEPS, VERDICTS
from readers.connection import Interface
from readers.errors import ReaderMissing
from readers.feedback import ReaderFeedback, Signal
from readers.pcsc import PcscReaders
from readers.virtual.authority import TestCa
from readers.virtual.box import Faults, FaultyCard, InProcessReader, VirtualCard
from readers.virtual.unionpay import Manners
from readers.virtual.vpcd import Pcscd, VpcdSlot
from tests.readers.cards.bench import PAN, ca_keys, card, context

NAME = "ACS ACR122U 00 00"
UID = bytes.fromhex("04A1B2C3D4E5F6")
TAPS = 12


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestCa:
    return TestCa.in_folder(tmp_path_factory.mktemp("authority"))


class Plastic:
    """A card as a reader shows it: what the reader answers itself comes first."""

    def __init__(self, inner: VirtualCard, uids: Iterator[bytes] | None = None) -> None:
        self._inner = inner
        self._uids = uids
        self.atr, self.interface = inner.atr, inner.interface
        self.refused: set[bytes] = set()
        self.shown: list[bytes] = []

    def process(self, command: bytes) -> bytes:
        if command[:2] == b"\xff\xca":
            return b"\x6a\x81" if self._uids is None else next(self._uids) + b"\x90\x00"
        if command[:1] == b"\xff":
            self.shown.append(command)
            return b"\x63\x00" if command in self.refused else b"\x90\x00"
        return self._inner.process(command)

    def power_off(self) -> None:
        self._inner.power_off()


def _same() -> Iterator[bytes]:
    while True:
        yield UID


def _changing() -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        yield UID[:-1] + bytes((number,))


def _random() -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        yield bytes((8, 0, 0, number))


@dataclass
class Script:
    """An operator who does as told, at once."""

    insert: Callable[[VirtualCard], None]
    remove: Callable[[], None]
    plastic: VirtualCard
    issued: list[VirtualCard] = field(default_factory=list)
    refuses: frozenset[Step] = frozenset({Step.UNPLUG})
    sees: bool = True
    acts: dict[Instruction, Callable[[], None]] = field(default_factory=dict)
    told: list[Instruction] = field(default_factory=list)

    def tell(self, instruction: Instruction) -> None:
        self.told.append(instruction)
        if act := self.acts.get(instruction):
            act()
        elif instruction in (Instruction.LAY, Instruction.LAY_AND_LEAVE):
            self.insert(self.plastic)
        elif instruction is Instruction.LAY_NEXT and self.issued:
            self.insert(self.issued.pop(0))
        elif instruction is Instruction.LIFT:
            self.remove()

    def wants(self, step: Step) -> bool:
        return step not in self.refuses

    def saw(self, signal: Signal) -> bool | None:
        return self.sees


def _facts(profile: str = "acs-acr122u") -> ReaderFacts:
    return ReaderFacts(NAME, "PC/SC", profile, "ACS ACR122U", usb="072F:2200")


def _trial(reader: Any, schemes: list[CardScheme], *, name: str = NAME, **changes: Any) -> Trial:
    feedback = ReaderFeedback(load(), lambda name: Sighting(name=name))
    given: dict[str, Any] = {"taps": TAPS, "wait_ms": 5_000, "extended": True, **changes}
    return Trial(
        facts=replace(_facts(), name=name),
        reader=reader,
        feedback=feedback,
        schemes=schemes,
        context=context(),
        **given,
    )


def _run(
    authority: TestCa,
    *,
    plastic: VirtualCard | None = None,
    script: dict[str, Any] | None = None,
    schemes: list[CardScheme] | None = None,
    **changes: Any,
) -> tuple[Report, Script]:
    reader = InProcessReader(NAME, apdu_timeout_ms=300)
    laid = plastic or Plastic(card(authority, Interface.CONTACTLESS), _same())
    operator = Script(reader.insert, reader.remove, laid, **(script or {}))
    chosen: list[CardScheme] = schemes if schemes is not None else [UnionPay(ca_keys(authority))]
    course = Course(_trial(reader, chosen, **changes), operator, lambda done, total: None)
    return course.run(software="1.0", system="Linux", started_ms=1_790_000_000_000), operator


def _verdicts(report: Report) -> dict[Step, tuple[Verdict, str]]:
    return {one.step: (one.verdict, one.remark) for one in report.results}


def test_a_good_reader_passes_every_step_that_is_carried_out(authority: TestCa) -> None:
    issued: list[VirtualCard] = [
        card(authority, Interface.CONTACTLESS),
        card(authority, Interface.CONTACT),
        Plastic(card(authority, Interface.CONTACTLESS), _same()),
    ]
    progress: list[tuple[int, int]] = []
    reader = InProcessReader(NAME)
    in_parts = card(authority, Interface.CONTACTLESS, Manners(get_response=True))
    laid = Plastic(in_parts, _same())
    operator = Script(reader.insert, reader.remove, laid, issued)
    trial = _trial(reader, [UnionPay(ca_keys(authority))], cards=5, wait_ms=1_000)
    course = Course(trial, operator, lambda done, total: progress.append((done, total)))
    report = course.run(software="1.0", system="Linux", started_ms=1_790_000_000_000)
    found = _verdicts(report)
    assert list(found) == list(Step)
    passed = {step for step, (verdict, _) in found.items() if verdict is Verdict.PASSED}
    assert passed == set(Step) - {Step.UNPLUG, Step.CARDS}
    assert found[Step.UNPLUG] == (Verdict.SKIPPED, "not_asked")
    assert report.overall is Overall.PASSED_WITH_GAPS
    assert report.methods == {"fdda": 2, "dda": 1}
    assert report.document()["cards"] == {
        "laid": 3,
        "dynamic": 3,
        "methods": {"fdda": 2, "dda": 1},
    }
    assert report.taps.count == TAPS
    assert report.exchanges.count > TAPS
    assert progress[-1] == (TAPS, TAPS)
    assert operator.told.count(Instruction.LIFT) == 4 + 3


@pytest.mark.parametrize(
    ("uids", "expected"),
    [
        (_same, (Verdict.PASSED, "")),
        (_changing, (Verdict.FAILED, "uid_changed")),
        (_random, (Verdict.NOTED, "random_uid")),
        (lambda: None, (Verdict.NOT_APPLICABLE, "no_uid")),
    ],
)
def test_serial_numbers(
    authority: TestCa,
    uids: Callable[[], Iterator[bytes] | None],
    expected: tuple[Verdict, str],
) -> None:
    plastic = Plastic(card(authority, Interface.CONTACTLESS), uids())
    report, _ = _run(authority, plastic=plastic)
    assert _verdicts(report)[Step.UID] == expected


def test_a_contact_card_has_neither_number_nor_signals(authority: TestCa) -> None:
    report, _ = _run(authority, plastic=card(authority, Interface.CONTACT))
    found = _verdicts(report)
    assert found[Step.UID] == (Verdict.NOT_APPLICABLE, "no_uid")
    assert found[Step.FEEDBACK] == (Verdict.NOT_APPLICABLE, "no_feedback")
    assert found[Step.TAPS][0] is Verdict.PASSED
    assert report.overall is Overall.PASSED_WITH_GAPS


@pytest.mark.parametrize(
    ("longest", "extended", "step"),
    [
        (262, True, (Verdict.NOTED, "extended_not_carried")),
        (600, True, (Verdict.PASSED, "")),
        (262, False, (Verdict.PASSED, "short_only")),
    ],
)
def test_sizes(
    authority: TestCa,
    longest: int,
    extended: bool,
    step: tuple[Verdict, str],
) -> None:
    class Deaf(Plastic):
        def process(self, command: bytes) -> bytes:
            if len(command) > longest:
                return b"\x00"  # shorter than a status word
            return super().process(command)

    plastic = Deaf(card(authority, Interface.CONTACTLESS), _same())
    report, _ = _run(authority, plastic=plastic, extended=extended)
    assert _verdicts(report)[Step.APDU_SIZES] == step
    assert _verdicts(report)[Step.TAPS][0] is Verdict.PASSED
    figures = next(one.figures for one in report.results if one.step is Step.APDU_SIZES)
    assert figures.get("extended_bytes", 0) == (512 if longest == 600 else 0)


def test_short_commands_that_do_not_arrive_fail(authority: TestCa) -> None:
    class Deaf(Plastic):
        def process(self, command: bytes) -> bytes:
            return b"\x00" if len(command) > 150 else super().process(command)

    report, _ = _run(authority, plastic=Deaf(card(authority, Interface.CONTACTLESS), _same()))
    assert _verdicts(report)[Step.APDU_SIZES] == (Verdict.FAILED, "short_not_carried")
    assert report.overall is Overall.FAILED


def test_an_answer_in_one_part_tries_nothing(authority: TestCa) -> None:
    report, _ = _run(authority)
    assert _verdicts(report)[Step.CHAINING] == (Verdict.NOTED, "nothing_to_chain")


def test_endless_parts_fail(authority: TestCa) -> None:
    endless = FaultyCard(card(authority, Interface.CONTACTLESS), Faults(endless_at=1))
    report, _ = _run(authority, plastic=endless)
    found = _verdicts(report)
    assert found[Step.CHAINING] == (Verdict.FAILED, "chain_broken")
    assert found[Step.TAPS] == (Verdict.FAILED, "taps_differ")  # alike, but never read


def test_a_card_lifted_too_early_breaks_off_and_says_so(authority: TestCa) -> None:
    torn = FaultyCard(card(authority, Interface.CONTACTLESS), Faults(tear_at=6))
    report, _ = _run(
        authority, plastic=torn, script={"refuses": frozenset({Step.DETECTION, Step.UNPLUG})}
    )
    found = _verdicts(report)
    assert found[Step.APDU_SIZES] == (Verdict.FAILED, "broken_off")
    assert found[Step.TAPS] == (Verdict.FAILED, "taps_broken_off")
    assert found[Step.TIMING] == (Verdict.FAILED, "nothing_timed")
    assert report.overall is Overall.FAILED


def test_slow_cards_fail_the_timing(authority: TestCa, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certify, "TAP_P95_US_MAX", 1)
    report, _ = _run(authority)
    assert _verdicts(report)[Step.TIMING] == (Verdict.FAILED, "too_slow")


@pytest.mark.parametrize(
    ("sees", "refuses", "refused", "expected"),
    [
        (True, set(), False, (Verdict.PASSED, "")),
        (False, set(), False, (Verdict.FAILED, "feedback_unseen")),
        (True, {Step.FEEDBACK}, False, (Verdict.SKIPPED, "not_looked")),
        (True, set(), True, (Verdict.FAILED, "feedback_refused")),
    ],
)
def test_signals(
    authority: TestCa,
    sees: bool,
    refuses: set[Step],
    refused: bool,
    expected: tuple[Verdict, str],
) -> None:
    plastic = Plastic(card(authority, Interface.CONTACTLESS), _same())
    feedback = load().profiles["acs-acr122u"].feedback
    if refused:
        plastic.refused = {bytes.fromhex(feedback.decline)}
    script = {"sees": sees, "refuses": frozenset(refuses | {Step.UNPLUG})}
    report, _ = _run(authority, plastic=plastic, script=script)
    assert _verdicts(report)[Step.FEEDBACK] == expected
    sent = [bytes.fromhex(one) for one in (feedback.silence, feedback.approve, feedback.decline)]
    assert plastic.shown == sent


def test_cards_that_are_not_seen_and_nobody_at_all(authority: TestCa) -> None:
    acts: dict[Instruction, Callable[[], None]] = {Instruction.LAY: lambda: None}
    report, _ = _run(authority, script={"acts": acts}, wait_ms=300)
    assert _verdicts(report)[Step.DETECTION] == (Verdict.FAILED, "lay_missed")
    nobody = acts | {Instruction.LAY_AND_LEAVE: lambda: None}
    with pytest.raises(ReaderMissing, match="nothing was certified"):
        _run(authority, script={"acts": nobody}, wait_ms=300)


def test_a_lift_that_nobody_noticed(authority: TestCa) -> None:
    reader = InProcessReader(NAME)
    lifts: list[None] = []

    def lift() -> None:
        lifts.append(None)
        if len(lifts) <= LAYS:  # the last one goes unnoticed
            reader.remove()

    laid = Plastic(card(authority, Interface.CONTACTLESS), _same())
    acts: dict[Instruction, Callable[[], None]] = {Instruction.LIFT: lift}
    operator = Script(reader.insert, reader.remove, laid, acts=acts)
    course = Course(_trial(reader, [], wait_ms=300), operator, lambda done, total: None)
    report = course.run(software="1", system="", started_ms=0)
    assert _verdicts(report)[Step.REMOVAL] == (Verdict.FAILED, "lift_missed")


def test_a_card_that_is_not_seen_any_more_leaves_a_report(authority: TestCa) -> None:
    acts: dict[Instruction, Callable[[], None]] = {Instruction.LAY_AND_LEAVE: lambda: None}
    report, _ = _run(authority, script={"acts": acts}, wait_ms=300)
    found = _verdicts(report)
    assert found[Step.TAPS] == (Verdict.FAILED, "taps_broken_off")
    assert found[Step.CHAINING] == (Verdict.FAILED, "broken_off")


def test_without_ca_keys_taps_are_made_and_no_share_is_claimed(authority: TestCa) -> None:
    report, _ = _run(authority, schemes=[], cards=3)
    found = _verdicts(report)
    assert found[Step.TAPS][0] is Verdict.PASSED
    assert found[Step.CARDS] == (Verdict.SKIPPED, "no_ca_keys")
    assert report.exchanges.count >= TAPS


def test_cards_that_prove_nothing_are_counted_as_such(authority: TestCa) -> None:
    issued: list[VirtualCard] = [
        card(authority, Interface.CONTACTLESS),
        Plastic(FaultyCard(card(authority, Interface.CONTACTLESS), Faults(tear_at=2)), _same()),
    ]
    schemes: list[CardScheme] = [UnionPay(ca_keys(authority)), Uid()]
    report, _ = _run(authority, schemes=schemes, cards=3, script={"issued": issued}, wait_ms=1_500)
    assert report.methods == {"fdda": 1, "lifted_too_early": 1}
    assert report.document()["cards"]["dynamic"] == 1


def test_known_faults_and_unknown_models() -> None:
    match = load().match(Sighting(name=NAME, vid=0x072F, pid=0x2200, device_version=0x0205))
    assert "libccid" in facts_of(NAME, "PC/SC", match_seen(0x0205), match).known_bad
    assert facts_of(NAME, "PC/SC", match_seen(0x0214), match).known_bad == ""
    assert facts_of(NAME, "PC/SC", match_seen(0x0214), match).device_version == "2.14"


def match_seen(version: int) -> Sighting:
    return Sighting(name=NAME, vid=0x072F, pid=0x2200, device_version=version)


def test_a_firmware_with_a_known_fault_fails(authority: TestCa) -> None:
    reader = InProcessReader(NAME)
    laid = Plastic(card(authority, Interface.CONTACTLESS), _same())
    trial = _trial(reader, [], taps=1)
    for facts, expected in (
        (replace(trial.facts, known_bad="issue 7"), (Verdict.FAILED, "known_bad")),
        (replace(trial.facts, profile="generic-short"), (Verdict.NOTED, "unknown_model")),
    ):
        operator = Script(reader.insert, reader.remove, laid)
        course = Course(replace(trial, facts=facts), operator, lambda done, total: None)
        report = course.run(software="1", system="", started_ms=0)
        assert _verdicts(report)[Step.IDENTITY] == expected


# --- the papers ------------------------------------------------------------------------------


def test_the_page_is_whole_and_the_document_is_in_it(authority: TestCa) -> None:
    report, _ = _run(authority)
    html, document = page(report), json_text(report)
    parsed = json.loads(document)
    assert parsed["format"] == "redcard-certify/v1"
    assert [one["step"] for one in parsed["steps"]] == [step.value for step in Step]
    assert parsed["verdict"] == "passed_with_gaps"
    for text in (*(STEPS[step][0] for step in Step), VERDICTS[Verdict.PASSED]):
        assert text.zh in html
        assert text.en in html
    assert hashlib.sha256(document.encode()).hexdigest() in html
    assert "@page" in html
    assert not re.search(r"<script|https?://|src=|url\(|@import", html)


def test_no_report_holds_a_number_of_a_card(authority: TestCa) -> None:
    report, _ = _run(authority, cards=1, script={"issued": [card(authority, Interface.CONTACT)]})
    filed = page(report) + json_text(report) + repr(report)
    for secret in (PAN, UID.hex(), UID.hex().upper(), repr(UID)):
        assert secret not in filed


def test_what_a_reader_calls_itself_is_escaped() -> None:
    facts = ReaderFacts("<img src=x>", "PC/SC", "x", "<b>", firmware='"&')
    nothing = Distribution.of([])
    html = page(Report(facts, "1", "<i>", 0, 0, (), nothing, nothing, {"<u>": 1}))
    assert not re.search(r"<(img|i|u|b)>|<img", html)


def test_every_code_has_its_words() -> None:
    used = set(re.findall(r'"([a-z0-9_]+)"', Path("readers/certify.py").read_text()))
    used |= set(re.findall(r'"([a-z0-9_]+)"', Path("readers/certify_measure.py").read_text()))
    assert set(REMARKS) <= used, "a remark that nothing says"
    assert set(FIGURES) <= used
    assert set(INSTRUCTIONS) == set(Instruction)
    assert set(STEPS) == set(Step)
    assert (set(VERDICTS), set(OVERALL)) == (set(Verdict), set(Overall))


@given(st.lists(st.integers(0, 10**7), max_size=300))
def test_distributions_count_everything_once(times_us: list[int]) -> None:
    found = Distribution.of(times_us)
    assert found.count == len(times_us) == sum(count for _, count in found.bins)
    assert found.p50_us <= found.p95_us <= found.p99_us <= found.max_us
    edges = [edge for edge, _ in found.bins]
    assert edges == sorted(set(edges))
    if times_us:
        assert found.max_us == max(times_us) <= edges[-1]
        ordered = sorted(times_us)
        assert sum(one <= found.p95_us for one in ordered) * 100 >= 95 * len(ordered)


@pytest.mark.parametrize(
    ("outcomes", "unread", "wanted", "expected"),
    [
        ({"fdda": 500}, 0, 500, (Verdict.PASSED, "")),
        ({"fdda": 499, "CardMute": 1}, 1, 500, (Verdict.PASSED, "")),
        ({"fdda": 498, "CardMute": 2}, 2, 500, (Verdict.FAILED, "taps_differ")),
        ({"CardMute": 500}, 500, 500, (Verdict.FAILED, "taps_differ")),
        ({"fdda": 499}, 0, 500, (Verdict.FAILED, "taps_broken_off")),
        ({}, 0, 500, (Verdict.FAILED, "taps_broken_off")),
    ],
)
def test_how_many_taps_may_fail(
    outcomes: dict[str, int], unread: int, wanted: int, expected: tuple[Verdict, str]
) -> None:
    result = taps_result(Measured(outcomes=Counter(outcomes), unread=unread), wanted)
    assert (result.verdict, result.remark) == expected


@pytest.mark.pcscd
def test_the_whole_course_on_the_real_service(pcscd: Pcscd, authority: TestCa) -> None:
    name = pcscd.reader_names[0]
    place = VpcdSlot(pcscd.ports[0])
    plastic = card(authority, Interface.CONTACTLESS)
    acts: dict[Instruction, Callable[[], None]] = {
        Instruction.UNPLUG: pcscd.kill,
        Instruction.PLUG: pcscd.restart,
    }
    operator = Script(place.insert, place.remove, plastic, refuses=frozenset(), acts=acts)
    driver = PcscReaders(f"^{re.escape(name)}$")
    trial = replace(_trial(driver, [UnionPay(ca_keys(authority))], name=name), feedback=None)
    report = Course(trial, operator, lambda done, total: None).run(
        software="1.0", system="Linux", started_ms=0
    )
    found = _verdicts(report)
    failed = {step: one for step, one in found.items() if one[0] is Verdict.FAILED}
    assert not failed
    assert found[Step.UNPLUG] == (Verdict.PASSED, "")
    assert found[Step.REMOVAL] == (Verdict.PASSED, "")
    assert report.taps.count == TAPS
