"""A group of commands whose modules are read only when they are called, so that start-up stays quick."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from tokenserver.cli.terminal import clean


class LazyGroup(click.Group):
    """`commands_at` names the module and the attribute of each command."""

    def __init__(self, *args: Any, commands_at: Mapping[str, tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, **options)
        self._commands_at = commands_at

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does it; what it says against the arguments is fit for a terminal."""
        try:
            return super().parse_args(ctx, args)
        except click.ClickException as error:
            raise clean(error) from error

    def invoke(self, ctx: click.Context) -> Any:
        """As click does it, with every command below; their errors are fit for a terminal."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            raise clean(error) from error

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names of all commands, sorted."""
        return sorted(self._commands_at)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command of that name, read now, or None."""
        if cmd_name not in self._commands_at:
            return None
        module, name = self._commands_at[cmd_name]
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)  # noqa: S101 - the table is ours
        return command
