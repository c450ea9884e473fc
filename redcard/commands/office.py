"""The back office's commands of ``redcard server``, gathered for the group."""

from __future__ import annotations

from typing import Final

import click

from redcard.commands.announcing import (
    messages,
    notice,
    publish_used,
    reader_profiles,
    snapshot,
)
from redcard.commands.cases import case, office_void
from redcard.commands.enrolling import approve, enrol_many, replace, waiting
from redcard.commands.fleet import configure, fleet
from redcard.commands.hotline import hotline
from redcard.commands.members import feed, members
from redcard.commands.offer_desk import draft, end_offer, split, transfer, write_off
from redcard.commands.people import access_copy, audit, erase, identities, people
from redcard.commands.server_ledger import server_ledger
from redcard.commands.settle import settle

OFFICE: Final[tuple[click.Command, ...]] = (
    people,
    audit,
    erase,
    identities,
    access_copy,
    settle,
    case,
    office_void,
    draft,
    end_offer,
    split,
    transfer,
    write_off,
    fleet,
    configure,
    hotline,
    server_ledger,
    members,
    feed,
    enrol_many,
    waiting,
    approve,
    replace,
    reader_profiles,
    messages,
    notice,
    snapshot,
    publish_used,
)
