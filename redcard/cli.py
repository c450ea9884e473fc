"""The ``redcard`` command: groups loaded when called, shared options, exit codes.

Exit codes (DESIGN, section 6): 0 done; 1 the answer is no; 2 usage; 3 something around us is
missing and a retry may help; 4 ledger fault, stop.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import click

from redcard.console import EXIT_USAGE, Session, complain, explain

F = TypeVar("F", bound=Callable[..., Any])

#: Command name -> (module, attribute, one line of help), so that ``--help`` imports nothing.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "demo": (
        "redcard.commands.lab",
        "demo",
        "Everything on this machine; prints the page's address",
    ),
    "init": ("redcard.commands.home", "init", "Set up a terminal's home and enrol it"),
    "status": ("redcard.commands.home", "status", "A terminal's state on one screen"),
    "doctor": ("redcard.commands.home", "doctor", "Check everything; one remedy per fault"),
    "tap": ("redcard.commands.tap", "tap", "One redemption from the command line"),
    "void": ("redcard.commands.tap", "void", "Reverse a redemption by its nonce"),
    "shift": ("redcard.commands.tap", "shift", "Open or close a shift"),
    "collect": (
        "redcard.commands.station",
        "collect",
        "A representative collects for colleagues (代领)",
    ),
    "goods": ("redcard.commands.station", "goods", "Sign for parcels and transfers"),
    "holds": ("redcard.commands.station", "holds", "Hold units for a unit that telephones"),
    "manual": ("redcard.commands.station", "manual", "Print paper sheets; enter their lines late"),
    "inquiry": ("redcard.commands.inquiry", "inquiry", "What a member used and can still take"),
    "search": ("redcard.commands.inquiry", "search", "Find an offer by name, initials or number"),
    "bookings": ("redcard.commands.inquiry", "bookings", "Who is booked here today"),
    "book": ("redcard.commands.inquiry", "book", "Book a session for a caller"),
    "practice": ("redcard.commands.inquiry", "practice", "Practice mode: start, end, set up"),
    "counter": ("redcard.commands.pages", "counter", "Serve the counter page on this machine"),
    "kiosk": ("redcard.commands.pages", "kiosk", "Serve the kiosk page on this machine"),
    "staff-pin": ("redcard.commands.pages", "staff_pin", "Set the PIN of a kiosk's staff corner"),
    "readers": ("redcard.commands.readers", "readers", "List and watch card readers"),
    "cards": ("redcard.commands.readers", "cards", "Inspect a card; insert virtual cards"),
    "profiles": ("redcard.commands.profiles", "profiles", "What is known of reader models"),
    "ledger": ("redcard.commands.ledger", "ledger", "Look at, verify and export the signed ledger"),
    "sync": ("redcard.commands.sync", "sync", "Move the ledger to the server, by network or file"),
    "offers": ("redcard.commands.offers", "offers", "List, check and try offers"),
    "scenario": ("redcard.commands.lab", "scenario", "Play scenarios and compare"),
    "server": ("redcard.commands.server", "server", "The central server"),
    "bench": ("redcard.commands.lab", "bench", "Figures beside the raw limit of this machine"),
}


class LazyGroup(click.Group):
    """A group whose commands are imported only when one of them is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All names, in the order of the documentation."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Imports the module of one command and returns it."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, attribute, _ = entry
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Lists the commands by their stored line, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


def _remember(field: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Makes a callback that stores an option in the session, wherever it stood."""

    def callback(ctx: click.Context, _param: click.Parameter, value: Any) -> Any:
        session = ctx.ensure_object(Session)
        if value not in (None, False, ""):
            setattr(session, field, value)
        return value

    return callback


def shared_options(command: F) -> F:
    """Adds ``--home``, ``--json`` and ``--lang``, before the group and after the command."""
    for option in (
        click.option(
            "--lang",
            type=click.Choice(["zh", "en"]),
            expose_value=False,
            callback=_remember("lang"),
            help="Language of what is printed.",
        ),
        click.option(
            "--json",
            is_flag=True,
            expose_value=False,
            callback=_remember("as_json"),
            help="One JSON document on standard output.",
        ),
        click.option(
            "--home",
            type=click.Path(path_type=Path, file_okay=False),
            expose_value=False,
            callback=_remember("home"),
            help="Where the terminal or server keeps its files (or REDCARD_HOME).",
        ),
    ):
        command = option(command)
    return command


pass_session = click.make_pass_decorator(Session, ensure=True)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="redcard", prog_name="redcard")
@shared_options
def cli() -> None:
    """Redcard: card terminal and redemption system for the red member card (小红卡).

    Exit codes: 0 done, 1 the answer is no, 2 usage, 3 something is missing and a retry may help,
    4 ledger fault, stop.
    """


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the installed command; never shows a traceback for a declared error."""
    session = Session()
    try:
        code = cli.main(args=arguments, prog_name="redcard", standalone_mode=False, obj=session)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        if session.as_json:
            complain(session, error.format_message(), "redcard --help", EXIT_USAGE)
        sys.exit(EXIT_USAGE)
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write("redcard: stopped\n")
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        told = explain(error)
        if told is None:
            raise
        complain(session, *told)
        sys.exit(told[2])
    sys.exit(code if isinstance(code, int) else 0)
