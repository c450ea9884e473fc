"""``redcard readers certify``: a reader on trial, and the report to file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from redcard.cli import pass_session, shared_options
from redcard.console import EXIT_DONE, EXIT_NO, Session, emit, note
from redcard.errors import SurroundingsMissing, UsageInvalid

if TYPE_CHECKING:
    from firmware_profiles.catalogue import Catalogue
    from firmware_profiles.match import Match
    from firmware_profiles.model import Sighting
    from readers.certify import Instruction, Trial
    from readers.certify_report import Report, Step
    from readers.feedback import ReaderFeedback, Signal
    from readers.supervision import CardReader

PAGE = "report.html"
DOCUMENT = "report.json"
TAPS_BETWEEN_NOTES = 50


@click.command()
@click.option("--reader", default="", help="The one reader whose name matches this expression.")
@click.option(
    "--nfc",
    default="",
    metavar="PATH",
    help="A reader that nfcpy reaches: /dev/..., usb:VVVV:PPPP or usb:BUS:DEV.",
)
@click.option("--taps", type=click.IntRange(1, 10_000), default=500, show_default=True)
@click.option(
    "--cards",
    type=click.IntRange(0, 1_000),
    default=0,
    help="Issued cards to lay, at most: the share that signs dynamically.",
)
@click.option("--unattended", is_flag=True, help="Nobody is there: the card lies on the reader.")
@click.option("--wait", type=click.IntRange(1, 600), default=60, metavar="S", show_default=True)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Folder for {PAGE} and {DOCUMENT}; default: certify-READER here.",
)
@shared_options
@pass_session
def certify(
    session: Session,
    reader: str,
    nfc: str,
    taps: int,
    cards: int,
    unattended: bool,
    wait: int,
    output: Path | None,
) -> int:
    """Put one reader on trial; writes a report as HTML and JSON. Takes up to twenty minutes.

    Needs one test card. What you choose not to do is skipped, and the report says so. Exit code 1
    if a step failed.
    """
    from readers.certify import Course
    from readers.errors import ReaderFault, ReaderMissing, ServiceMissing
    from terminal.machine import software_version
    from terminal.reader_profiles import profiles_of

    try:
        known = profiles_of(session.home_or("terminal"))
        on_trial = _nfc_reader(nfc, known) if nfc else _pcsc_reader(reader, known)
        trial = _trial(session, on_trial, taps=taps, cards=cards, wait_ms=wait * 1_000)
        operator = _Console(session, unattended=unattended, cards=cards)
        report = Course(trial, operator, _told(session)).run(
            software=software_version(), system=_system(), started_ms=_wall_ms()
        )
    except (ReaderMissing, ServiceMissing, ReaderFault) as error:
        raise SurroundingsMissing(str(error), next_step="redcard readers list") from error
    folder = output or Path(f"certify-{_slug(trial.facts.name)}")
    _file(report, folder)
    emit(
        session,
        report.document() | {"files": [str(folder / PAGE), str(folder / DOCUMENT)]},
        _text(session, report, folder),
    )
    return EXIT_NO if report.overall.value == "failed" else EXIT_DONE


def _told(session: Session) -> Callable[[int, int], None]:
    """Says now and then how many taps are done: a bar and questions do not go together."""

    def tell(done: int, total: int) -> None:
        if done % TAPS_BETWEEN_NOTES == 0 or done == total:
            note(session.say(f"已刷 {done}/{total}", f"{done} of {total} taps"))

    return tell


def _wall_ms() -> int:
    from terminal.clock import SystemClock

    return SystemClock().wall_ms()


@dataclass(frozen=True)
class _OnTrial:
    """The reader, and what can be known of it before the trial."""

    name: str
    driver: str
    sighting: Sighting
    match: Match
    reader: CardReader
    feedback: ReaderFeedback | None


def _pcsc_reader(pattern: str, catalogue: Catalogue) -> _OnTrial:
    import re

    from readers import pcsc
    from readers.feedback import ReaderFeedback

    name = _one_reader(pattern)
    sighting, match = _known(catalogue, name)
    feedback = ReaderFeedback(catalogue, pcsc.look_at)
    driver = pcsc.PcscReaders(f"^{re.escape(name)}$")
    return _OnTrial(name, "PC/SC", sighting, match, driver, feedback)


def _nfc_reader(path: str, catalogue: Catalogue) -> _OnTrial:
    """Opens it once to be told its model; lights and sounds are none of nfcpy's."""
    from readers import nfc

    sighting = nfc.look_at(path)
    reader = nfc.NfcReader(path, sighting.name)
    return _OnTrial(sighting.name, "nfcpy", sighting, catalogue.match(sighting), reader, None)


def _trial(session: Session, it: _OnTrial, *, taps: int, cards: int, wait_ms: int) -> Trial:
    from firmware_profiles.model import Exchange, Quirk
    from readers.certify import Trial, facts_of
    from redcard.inspection import schemes_of, throwaway_context, today_of

    home = session.home_or("terminal")
    profile = it.match.profile
    return Trial(
        facts=facts_of(it.name, it.driver, it.sighting, it.match),
        reader=it.reader,
        extended=profile.apdu.exchange is not Exchange.SHORT
        and Quirk.EXTENDED_NOT_SENT not in profile.quirks,
        feedback=it.feedback,
        schemes=schemes_of(home),
        context=throwaway_context(today_of(home)),
        taps=taps,
        cards=cards,
        wait_ms=wait_ms,
    )


def _one_reader(pattern: str) -> str:
    import re

    from readers import pcsc

    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise UsageInvalid(f"--reader is no regular expression: {error}") from None
    names = [name for name in pcsc.reader_names() if wanted.search(name)]
    if not names:
        raise SurroundingsMissing("no reader matches", next_step="redcard readers list")
    if len(names) > 1:
        raise UsageInvalid(
            f"{len(names)} readers match: {', '.join(names)}",
            next_step="name one: --reader EXPRESSION",
        )
    return names[0]


def _known(catalogue: Catalogue, name: str) -> tuple[Sighting, Match]:
    from firmware_profiles.model import Sighting
    from readers import pcsc
    from readers.errors import ReaderError

    try:
        sighting = pcsc.look_at(name)
    except ReaderError:  # in use: it tells its name only
        sighting = Sighting(name=name)
    return sighting, catalogue.match(sighting)


def _system() -> str:
    import platform

    return f"{platform.system()} {platform.release()}, Python {platform.python_version()}"


def _slug(name: str) -> str:
    import re

    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower() or "reader"


def _file(report: Report, folder: Path) -> None:
    from readers.certify_html import json_text, page

    folder.mkdir(parents=True, exist_ok=True)
    (folder / DOCUMENT).write_text(json_text(report), encoding="utf-8")
    (folder / PAGE).write_text(page(report), encoding="utf-8")


def _text(session: Session, report: Report, folder: Path) -> str:
    from readers.certify_text import OVERALL, REMARKS, STEPS, VERDICTS

    lines = []
    for one in report.results:
        title, verdict = STEPS[one.step][0], VERDICTS[one.verdict]
        said = [session.say(title.zh, title.en), session.say(verdict.zh, verdict.en)]
        if one.remark:
            said.append(session.say(REMARKS[one.remark].zh, REMARKS[one.remark].en))
        said += [f"{name} {value}" for name, value in one.figures.items()]
        lines.append(" · ".join(said))
    whole = OVERALL[report.overall]
    return "\n".join([*lines, "", session.say(whole.zh, whole.en), str(folder / PAGE)])


class _Console:
    """The operator at the terminal; nobody, where nobody is there."""

    def __init__(self, session: Session, *, unattended: bool, cards: int) -> None:
        self._session = session
        self._here = not unattended and sys.stdin.isatty()
        self._cards = cards

    def tell(self, instruction: Instruction) -> None:
        """Prints what to do now."""
        from readers.certify_text import INSTRUCTIONS

        text = INSTRUCTIONS[instruction]
        note("» " + self._session.say(text.zh, text.en))

    def wants(self, step: Step) -> bool:
        """Asks; without anyone there, nothing by hand is done."""
        from readers.certify_report import Step as Steps
        from readers.certify_text import QUESTIONS

        if not self._here:
            return False
        if step is Steps.CARDS:
            return self._cards > 0
        text = QUESTIONS[step]
        return click.confirm(self._session.say(text.zh, text.en), default=True, err=True)

    def saw(self, signal: Signal) -> bool | None:
        """Asks what the reader showed."""
        names = {"approve": ("成功", "approve"), "decline": ("拒绝", "decline")}
        zh, en = names[signal.value]
        question = self._session.say(f"看到或听到“{zh}”信号？", f"Seen or heard: {en}?")
        return click.confirm(question, default=True, err=True)
