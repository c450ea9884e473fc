"""Writes ``docs/cli.md`` from the commands: ``python -m tests.redcard.reference > docs/cli.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from redcard.cli import COMMANDS, cli

INTRO = """\
# Commands

Made from the commands themselves (`python -m tests.redcard.reference > docs/cli.md`); a test
compares.

`--home DIR` (or `REDCARD_HOME`), `--json` and `--lang zh|en` are accepted before the group and
after the command. Text and the one JSON document go to standard output, progress and complaints to
standard error.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | the answer is no: declined, verification failed, `doctor` found a fault |
| 2 | usage |
| 3 | something around us is missing and a retry may help: no reader, server unreachable |
| 4 | ledger fault: stop |
"""


def walk(
    command: click.Command, path: tuple[str, ...], context: click.Context
) -> Iterator[tuple[tuple[str, ...], click.Command, click.Context]]:
    """A command and all below it, with the context that names it."""
    yield path, command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from walk(child, (*path, name), click.Context(child, context, name))


def everything() -> list[tuple[tuple[str, ...], click.Command, click.Context]]:
    root = click.Context(cli, info_name="redcard", **cli.context_settings)
    return [entry for entry in walk(cli, ("redcard",), root) if len(entry[0]) > 1]


def render() -> str:
    parts = [INTRO]
    for path, command, context in everything():
        if len(path) == 2:
            parts.append(f"## {' '.join(path)}\n\n{COMMANDS[path[1]][2]}.\n")
        else:
            parts.append(f"### {' '.join(path)}\n")
        context.terminal_width = context.max_content_width = 96
        usage = command.get_help(context)
        parts.append(f"```\n{usage.rstrip()}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(render())
