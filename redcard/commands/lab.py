"""``redcard demo``, ``scenario`` and ``bench``: to see it, to pin it, to measure it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from redcard.cli import pass_session, shared_options
from redcard.console import EXIT_NO, Session, emit, progress, table

if TYPE_CHECKING:
    from redcard.demo_once import Done

DEMO_PORT = 8350


@click.command()
@click.option("--once", is_flag=True, help="Play ten taps without a browser, report, and end.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the homes are kept; absent, ~/.redcard/demo, or a new folder with --once.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=DEMO_PORT, help="Page's port.")
@click.option("--in-process", is_flag=True, help="Do not use pcscd.")
@click.option("--fresh", is_flag=True, help="Forget an earlier demo in that folder first.")
@shared_options
@pass_session
def demo(
    session: Session,
    once: bool,
    directory: Path | None,
    port: int,
    in_process: bool,
    fresh: bool,
) -> int:
    """Everything on this machine: server, terminal, virtual reader, red cards, pages.

    It runs on a demo clock (Friday 2014-05-30, 10:00 in Shanghai) with test keys, prints the
    page's address and ends with Ctrl-C. With --once the homes stay in DIR/server and DIR/terminal.
    """
    from redcard.demo_running import run_demo

    if directory is None:
        home = Path.home() / ".redcard" / "demo"
        directory = Path(tempfile.mkdtemp(prefix="redcard-demo-")) if once else home
    if once:
        return _once(session, directory, with_pcscd=not in_process)
    return run_demo(session, directory, port=port, with_pcscd=not in_process, fresh=fresh)


def _once(session: Session, directory: Path, *, with_pcscd: bool) -> int:
    from redcard.demo_once import MONTH, play, settle
    from redcard.demo_running import opened

    with opened(session, directory, with_pcscd=with_pcscd, fresh=True) as demo_:

        def told(done: Done) -> None:
            if not session.as_json:
                emit(session, {}, _line(session, done))

        played = play(demo_, told)
        synced = settle(demo_)
        report = demo_.month_report(MONTH)
        reader = demo_.stage.reader
    ok = all(done.ok for done in played) and synced["pending"] == 0
    document = {
        "ok": ok,
        "reader": reader,
        "home": str(directory),
        "taps": [
            {
                "number": done.number,
                "expected": done.act.code,
                "code": done.answer["code"],
                "replay": done.answer["replay"],
                "entry": done.answer["entry"],
            }
            for done in played
        ],
        "sync": {"status": synced["status"], "pending": synced["pending"]},
        "report": report,
    }
    emit(session, document, _report(session, report, synced, directory))
    return 0 if ok else EXIT_NO


def _line(session: Session, done: Done) -> str:
    message = done.answer["message"]["zh" if session.language() == "zh" else "en"]
    mark = "✓" if done.ok else "✕"
    expected = (
        "" if done.ok else session.say(f"（应为 {done.act.code}）", f" (not {done.act.code})")
    )
    replay = (
        session.say(" 重发：同一笔", " replay: the same entry") if done.answer["replay"] else ""
    )
    what = session.say(done.act.zh, done.act.en)
    return (
        f"{mark} {done.number:2} {done.answer['code']}{expected} {what}: {message['big']}{replay}"
    )


def _report(
    session: Session, report: dict[str, Any], synced: dict[str, Any], directory: Path
) -> str:
    rows = [
        [
            line["key"],
            line["title"] if session.language() == "zh" else line["title_en"] or line["title"],
            line["level"],
            line["persons"],
            line["person_times"],
        ]
        for line in report["offers"]
        if line["person_times"]
    ]
    headers = [
        session.say("编号", "offer"),
        session.say("项目", "title"),
        session.say("级别", "level"),
        session.say("人", "persons"),
        session.say("人次", "person-times"),
    ]
    counts = report["counts"]
    total = report["total"]
    said = session.say("待上传", "pending")
    return "\n".join(
        [
            "",
            table(
                session.say(f"{report['month']} 月报", f"Report {report['month']}"), headers, rows
            ),
            session.say(
                f"合计 {total['persons']} 人，{total['person_times']} 人次",
                f"in all {total['persons']} persons, {total['person_times']} person-times",
            ),
            session.say(
                f"登记 {counts['recorded']}，确认 {counts['confirmed']}，丢失 {counts['lost']}，"
                f"重复 {counts['twice']}",
                f"{counts['recorded']} recorded, {counts['confirmed']} confirmed, "
                f"{counts['lost']} lost, {counts['twice']} twice",
            ),
            f"{said} {synced['pending']} · {directory}",
        ]
    )


@click.group()
def scenario() -> None:
    """Play scenarios: behaviour in virtual time, with the real rules, ledger and sync."""


@scenario.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@shared_options
@pass_session
def run(session: Session, files: tuple[Path, ...]) -> int:
    """Play FILES and compare every step; exit code 1 if anything differs."""
    from redcard.scenario.runner import run_files

    report = run_files(files)
    emit(session, report.as_json(), "\n".join(report.lines()))
    return 0 if report.ok else EXIT_NO


@click.group()
def bench() -> None:
    """Figures beside the raw limit measured in the same run."""


def _bench(session: Session, name: str, directory: Path | None) -> int:
    from redcard.bench.figures import measure

    with (
        tempfile.TemporaryDirectory(dir=directory) as place,
        progress(session, name) as advance,
    ):
        found = measure(name, Path(place), advance)
    rows = [
        [
            figure["name"],
            f"{figure['value']:.5g} {figure['unit']}",
            f"{figure['raw']:.5g} {figure['unit']}",
            f"{figure['ratio']:.3g}",
            f"{figure['reach']:.3g}",
            "✓" if figure["met"] else "✕",
        ]
        for figure in found
    ]
    headers = ["figure", "ours", "raw", "ratio", "reach", "met"]
    samples = [
        f"  {figure['name']}: ours {figure['samples']['ours']} raw {figure['samples']['raw']}"
        for figure in found
    ]
    said = session.say("两边在同一次运行中交替测得：", "Both sides, measured in turn in this run:")
    emit(session, {"figures": found}, "\n".join([table("", headers, rows), said, *samples]))
    return 0


def _bench_command(name: str, about: str) -> None:
    @bench.command(name, help=about)
    @click.option(
        "--on",
        "directory",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Folder on the disk to measure; absent, the temporary folder.",
    )
    @shared_options
    @pass_session
    def measured(session: Session, directory: Path | None) -> int:
        return _bench(session, name, directory)


_bench_command("append", "Durable signed append beside a raw preallocated write + fdatasync.")
_bench_command("verify", "The auditor's file over a ledger beside bare leaf hashing.")
_bench_command("tap", "Own code from the card's last answer to green beside a raw fdatasync.")
_bench_command("apdu", "One exchange with a card through the driver beside bare smartcard.scard.")
_bench_command("rules", "One decision, and loading 1,029 offers, beside what each may cost.")
_bench_command("roster", "A card among 3.555 million: look-up, disk, memory, a day's changes.")


@bench.command()
@click.option(
    "--on",
    "directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder on the disk to measure; absent, the temporary folder.",
)
@click.option("--full", is_flag=True, help="20 million entries stored, 3.555 million cards.")
@shared_options
@pass_session
def ingest(session: Session, directory: Path | None, full: bool) -> int:
    """The server beside raw COPY, beside no database, and online beside pretix as noted."""
    return _bench(session, "ingest-full" if full else "ingest", directory)
