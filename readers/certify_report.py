"""What a certification found: steps with verdicts and figures, and the document they make. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Any, Final

FORMAT: Final = "redcard-certify/v1"


@unique
class Step(StrEnum):
    """What is tried, in this order."""

    IDENTITY = "identity"
    DETECTION = "detection"
    UID = "uid"
    APDU_SIZES = "apdu_sizes"
    CHAINING = "chaining"
    FEEDBACK = "feedback"
    TAPS = "taps"
    TIMING = "timing"
    REMOVAL = "removal"
    UNPLUG = "unplug"
    CARDS = "cards"


@unique
class Verdict(StrEnum):
    """How a step ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOTED = "noted"
    NOT_APPLICABLE = "not_applicable"


@unique
class Overall(StrEnum):
    """What the whole says: gaps are steps that nobody carried out."""

    PASSED = "passed"
    PASSED_WITH_GAPS = "passed_with_gaps"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Result:
    """One step.

    Attributes:
        step: which.
        verdict: how it ended.
        remark: code of a sentence in ``certify_text``, or empty.
        figures: what was counted and measured; times say their unit in their names.
    """

    step: Step
    verdict: Verdict
    remark: str = ""
    figures: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Times in microseconds.

    Attributes:
        count: how many.
        p50_us: half are no longer.
        p95_us: 95 of a hundred are no longer.
        p99_us: 99 of a hundred are no longer.
        max_us: the longest.
        bins: upper edge in microseconds, doubling, and how many lie at or below it and above the
            edge before.
    """

    count: int
    p50_us: int
    p95_us: int
    p99_us: int
    max_us: int
    bins: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, times_us: Sequence[int]) -> Distribution:
        """Sums times up; none at all gives zeros."""
        ordered = sorted(times_us)
        if not ordered:
            return cls(0, 0, 0, 0, 0, ())
        edge = 1
        while edge < ordered[0]:
            edge *= 2
        bins: list[tuple[int, int]] = []
        begin = 0
        while begin < len(ordered):
            end = next(
                (at for at in range(begin, len(ordered)) if ordered[at] > edge), len(ordered)
            )
            bins.append((edge, end - begin))
            begin, edge = end, edge * 2
        return cls(
            len(ordered),
            _rank(ordered, 50),
            _rank(ordered, 95),
            _rank(ordered, 99),
            ordered[-1],
            tuple(bins),
        )


@dataclass(frozen=True, slots=True)
class ReaderFacts:
    """The reader on trial.

    Attributes:
        name: as its driver lists it.
        driver: which driver reached it.
        profile: id of the profile that fits best.
        model: that profile's title.
        usb: USB id, or empty.
        device_version: bcdDevice such as ``2.07``, or empty.
        firmware: the firmware's own name, or empty.
        known_bad: the issue that tells of a fault in this version, or empty.
    """

    name: str
    driver: str
    profile: str
    model: str
    usb: str = ""
    device_version: str = ""
    firmware: str = ""
    known_bad: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A certification, whole.

    Attributes:
        reader: the reader.
        software: version of this program.
        system: operating system and driver versions, one line.
        started_ms: UTC milliseconds.
        duration_ms: how long it took.
        results: all steps, in order.
        exchanges: time of one exchange with the test card.
        taps: time of one tap, powering the card included.
        methods: how the issued cards that were laid proved themselves, and how many each.
    """

    reader: ReaderFacts
    software: str
    system: str
    started_ms: int
    duration_ms: int
    results: tuple[Result, ...]
    exchanges: Distribution
    taps: Distribution
    methods: Mapping[str, int]

    @property
    def overall(self) -> Overall:
        """Failed if a step failed; with gaps if one was skipped."""
        verdicts = {one.verdict for one in self.results}
        if Verdict.FAILED in verdicts:
            return Overall.FAILED
        return Overall.PASSED_WITH_GAPS if Verdict.SKIPPED in verdicts else Overall.PASSED

    def document(self) -> dict[str, Any]:
        """The report as a JSON document."""
        return {
            "format": FORMAT,
            "verdict": self.overall.value,
            "reader": {name: getattr(self.reader, name) for name in ReaderFacts.__slots__},
            "software": self.software,
            "system": self.system,
            "started_ms": self.started_ms,
            "duration_ms": self.duration_ms,
            "steps": [
                {
                    "step": one.step.value,
                    "verdict": one.verdict.value,
                    "remark": one.remark,
                    "figures": dict(one.figures),
                }
                for one in self.results
            ],
            "exchanges": _plain(self.exchanges),
            "taps": _plain(self.taps),
            "cards": {
                "laid": sum(self.methods.values()),
                "dynamic": dynamic_of(self.methods),
                "methods": dict(self.methods),
            },
        }


#: Methods by which a chip signs a fresh challenge with a key of its own.
DYNAMIC_METHODS: Final = frozenset({"dda", "fdda", "cda", "pki_cak"})


def dynamic_of(methods: Mapping[str, int]) -> int:
    """How many cards answered with a dynamic signature that held."""
    return sum(count for method, count in methods.items() if method in DYNAMIC_METHODS)


def _plain(times: Distribution) -> dict[str, Any]:
    return {
        "count": times.count,
        "p50_us": times.p50_us,
        "p95_us": times.p95_us,
        "p99_us": times.p99_us,
        "max_us": times.max_us,
        "bins": [{"up_to_us": edge, "count": count} for edge, count in times.bins],
    }


def _rank(ordered: Sequence[int], per_cent: int) -> int:
    """The nearest rank: the smallest value that so many per cent do not exceed."""
    return ordered[max(0, -(-len(ordered) * per_cent // 100) - 1)]
