"""``redcard offers``: what is in force, whether a file is sound, who could take what."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from redcard.cli import pass_session, shared_options
from redcard.console import EXIT_NO, Session, emit, table
from redcard.errors import SurroundingsMissing, UsageInvalid

if TYPE_CHECKING:
    from ledger.rules.catalogue import Catalogue
    from ledger.rules.dry_run import Sample, Trial


@click.group()
def offers() -> None:
    """List the offers in force, check a file, or try who could take an offer."""


@offers.command("list")
@click.option("--venue", default="", help="Only offers given at this venue.")
@shared_options
@pass_session
def list_offers(session: Session, venue: str) -> int:
    """The offers of the terminal's signed snapshot."""
    catalogue = _in_force(session)
    shown = list(catalogue.offers.values())
    if venue:
        if venue not in catalogue.venues:
            raise UsageInvalid(
                f"no venue is called {venue}", next_step="redcard offers list shows all"
            )
        names = {offer.id for offer in catalogue.at(catalogue.venues[venue])}
        shown = [one for one in shown if one.id in names]
    rows = [_row(offer) for offer in shown]
    headers = ["id", "title", "kind", "level", "from", "until", "offline"]
    document = {"offers": [dict(zip(headers, row, strict=True)) for row in rows]}
    emit(session, document, table("", headers, rows))
    return 0


@offers.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--venues", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@shared_options
@pass_session
def check(session: Session, file: Path, venues: Path | None) -> int:
    """Check an offers file; each fault is named with its line and field."""
    from ledger.errors import OfferInvalid
    from ledger.rules.catalogue import faults, load_offers, load_venues

    places = load_venues(venues.read_bytes()) if venues else None
    found = faults(file.read_bytes(), venues=places)
    if found:
        listed = [{"line": f.line, "field": f.field, "fault": str(f)} for f in found]
        text = "\n".join(f"{file}: {fault}" for fault in found)
        emit(session, {"ok": False, "faults": listed}, text)
        return EXIT_NO
    try:
        catalogue = load_offers(file.read_bytes(), venues=places)
    except OfferInvalid as fault:
        listed = [{"line": fault.line, "field": fault.field, "fault": str(fault)}]
        emit(session, {"ok": False, "faults": listed}, f"{file}: {fault}")
        return EXIT_NO
    count = len(catalogue.offers)
    text = session.say(f"{count} 个项目，格式正确", f"{count} offers, all sound")
    emit(session, {"ok": True, "offers": count, "faults": []}, text)
    return 0


@offers.command("try")
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--venues", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--offer", "only", default="", help="Only this offer.")
@click.option("--venue", default="", help="Ask at this venue; else one that gives the offer.")
@click.option("--at", "at", multiple=True, help="Instant such as 2014-05-30T10:00; may repeat.")
@click.option(
    "--member",
    "members",
    multiple=True,
    help="Sample member: district=110102,street=desheng,tags=nursing+employed; may repeat.",
)
@shared_options
@pass_session
def try_(
    session: Session,
    file: Path | None,
    venues: Path | None,
    only: str,
    venue: str,
    at: tuple[str, ...],
    members: tuple[str, ...],
) -> int:
    """Dry run: who could take these offers, when, and why not.

    Without FILE it asks the offers in force. Nothing is written.
    """
    from ledger.rules.dry_run import try_offers

    catalogue = _from_files(file, venues) if file else _in_force(session)
    if only and only not in catalogue.offers:
        raise UsageInvalid(f"no offer is called {only}", next_step="redcard offers list")
    if venue and venue not in catalogue.venues:
        raise UsageInvalid(f"no venue is called {venue}", next_step="give --venues FILE")
    trials = try_offers(
        catalogue,
        only=only,
        venue=venue,
        at_ms=[_instant(text) for text in at],
        members=[_sample(text) for text in members],
    )
    emit(session, {"trials": [_trial(one, session) for one in trials]}, _sheet(session, trials))
    return 0 if any(one.decision.outcome == "approve" for one in trials) else EXIT_NO


def _row(offer: Any) -> list[str]:
    from ledger.rules.offer import BrokenOffer

    if isinstance(offer, BrokenOffer):
        return [offer.id, offer.fault, "broken", "", "", "", ""]
    window = [_local(offer.from_ms)[:10], _local(offer.until_ms)[:10]]
    return [offer.id, offer.title, str(offer.kind), offer.level, *window, str(offer.offline)]


def _in_force(session: Session) -> Catalogue:
    from sync.snapshot import SnapshotStore
    from terminal.home import Home
    from terminal.install import catalogue_of

    home = Home.open(session.home_or("terminal"))
    store = SnapshotStore(home.snapshot_path, home.root_path.read_bytes())
    generation = store.current
    if generation is None:
        raise SurroundingsMissing("this terminal has no offers yet", next_step="redcard sync pull")
    return catalogue_of(generation)


def _from_files(file: Path, venues: Path | None) -> Catalogue:
    from ledger.rules.catalogue import load_offers, load_venues

    places = load_venues(venues.read_bytes()) if venues else None
    return load_offers(file.read_bytes(), venues=places)


def _instant(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageInvalid(
            f"{text!r} is no instant", next_step="write it as 2014-05-30T10:00"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo("Asia/Shanghai"))
    return int(moment.timestamp() * 1000)


def _sample(text: str) -> Sample:
    from ledger.rules.dry_run import Sample
    from ledger.rules.offer import MemberView

    parts = dict(part.partition("=")[::2] for part in text.split(",") if part)
    unknown = set(parts) - {"district", "street", "tags"}
    if unknown:
        raise UsageInvalid(
            f"a sample member has no {min(unknown)}", next_step="known are district, street, tags"
        )
    tags = frozenset(tag for tag in parts.get("tags", "").split("+") if tag)
    view = MemberView(
        "0" * 16, district=parts.get("district", ""), street=parts.get("street", ""), tags=tags
    )
    return Sample(text, view)


def _local(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, ZoneInfo("Asia/Shanghai")).strftime(
        "%Y-%m-%d %H:%M"
    )


def _trial(one: Trial, session: Session) -> dict[str, Any]:
    return {
        "offer": one.offer,
        "venue": one.venue,
        "member": one.sample,
        "at": _local(one.at_ms),
        "outcome": str(one.decision.outcome),
        "code": str(one.decision.code),
        "reason": _words(one, session),
        "until": _local(one.decision.until_ms) if one.decision.until_ms is not None else None,
    }


def _words(one: Trial, session: Session) -> str:
    from ledger.rules.messages import message

    zh = session.language() == "zh"
    details = one.decision.details
    text = message(one.decision.code, "zh" if zh else "en", "operator", details)
    return f"{text.big} · {text.small}" if text.small else text.big


def _sheet(session: Session, trials: list[Trial]) -> str:
    """One line for each offer and member: yes with the first moment, or the reasons."""
    groups: dict[tuple[str, str], list[Trial]] = {}
    for one in trials:
        groups.setdefault((one.offer, one.sample), []).append(one)
    rows = []
    for (offer, sample), asked in groups.items():
        yes = [one for one in asked if one.decision.outcome == "approve"]
        codes = ", ".join(sorted({str(one.decision.code) for one in asked} - {"A00", "A01"}))
        first = _local(yes[0].at_ms) if yes else _words(asked[0], session)
        rows.append([offer, sample, f"{len(yes)}/{len(asked)}", first, codes])
    headers = [
        session.say("项目", "offer"),
        session.say("样例会员", "sample member"),
        session.say("可领", "can take"),
        session.say("最早 / 原因", "first / reason"),
        session.say("其余时刻的原因码", "codes at other moments"),
    ]
    return table("", headers, rows)
