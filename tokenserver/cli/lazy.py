"""Command groups that import a command's module only when the command is called, which keeps `--help` fast."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click

from tokenserver.cli.terminal import clean


class LazyCommand(NamedTuple):
    """Where a command is defined, and its line in the help of its group."""

    module: str
    attribute: str
    summary: str


class LazyGroup(click.Group):
    """A group whose `commands_at` maps the name of each command to its place and summary."""

    def __init__(self, *args: Any, commands_at: Mapping[str, LazyCommand], **options: Any) -> None:
        super().__init__(*args, **options)
        self._commands_at = commands_at

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does; errors, which quote the arguments, are made safe to print."""
        try:
            return super().parse_args(ctx, args)
        except click.ClickException as error:
            raise clean(error) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Invoke as click does; errors of the commands below are made safe to print."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            raise clean(error) from error

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names of all commands, sorted."""
        return sorted(self._commands_at)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command of that name, imported now, or None."""
        found = self._commands_at.get(cmd_name)
        if found is None:
            return None
        command = getattr(import_module(found.module), found.attribute)
        assert isinstance(command, click.Command)  # noqa: S101 - the table is ours
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by their summaries; click itself would import every command for its help text."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._commands_at[name].summary) for name in self.list_commands(ctx)])
