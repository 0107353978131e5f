"""Command groups: hints for misspelled commands, and modules that are only imported when their command is called.

The latter keeps `--help` and the completion of command names fast.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from tokenserver.cli.terminal import clean


class LazyCommand(NamedTuple):
    """Where a command is defined, and its line in the help of its group."""

    module: str
    attribute: str
    summary: str


_ALSO_CALLED = {
    "add": "set", "passwd": "set", "remove": "delete", "rm": "delete", "ls": "list", "show": "list",
    "run": "serve", "start": "serve", "validate": "check", "explain": "why", "compare": "diff",
}  # fmt: skip
"""Commands by the names that they have in other programs."""


class HintingGroup(click.Group):
    """A group that suggests a command for an unknown one: one spelled alike, or one of that name in a group below."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve as click does; the error for an unknown command carries a hint."""
        name = args[0]
        is_command = name.startswith("-") or self.get_command(ctx, name) is not None
        if not is_command and not ctx.resilient_parsing:
            ctx.fail(f"No such command {name!r}; {self._hint(ctx, name)}")
        return super().resolve_command(ctx, args)

    def _hint(self, ctx: click.Context, name: str) -> str:
        known = self.list_commands(ctx)
        name = name.lower()
        meant = _ALSO_CALLED.get(name, name)
        close = [meant] if meant in known else list(self._below(ctx, meant)) or get_close_matches(name, known, n=1)
        if not close:
            return f"commands: {', '.join(known)}"
        return f"did you mean {' or '.join(repr(one) for one in close)}?"

    def _below(self, ctx: click.Context, name: str) -> Iterator[str]:
        """The commands of that name in the groups below, each with the name of its group."""
        for own in self.list_commands(ctx):
            group = self.get_command(ctx, own)
            if isinstance(group, click.Group) and name in group.list_commands(ctx):
                yield f"{own} {name}"


class LazyGroup(HintingGroup):
    """A group whose `commands_at` maps the name of each command to its place and summary."""

    def __init__(self, *args: Any, commands_at: Mapping[str, LazyCommand], **options: Any) -> None:
        super().__init__(*args, **options)
        self.commands_at = commands_at

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
        return sorted(self.commands_at)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command of that name, imported now, or None."""
        found = self.commands_at.get(cmd_name)
        if found is None:
            return None
        command = getattr(import_module(found.module), found.attribute)
        assert isinstance(command, click.Command)  # noqa: S101 - the table is ours
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands that begin with `incomplete`, with their summaries, and the options of the group."""
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        # click.Group would import every command for its help text.
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=self.commands_at[name].summary) for name in names), *options]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by their summaries; click itself would import every command for its help text."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.commands_at[name].summary) for name in self.list_commands(ctx)])
