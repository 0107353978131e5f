"""`tokenserver help`: show a page of the documentation, or the help text of a command."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import click

from tokenserver.cli.help.pages import plain, title_of, topics
from tokenserver.cli.terminal import echo, echo_text


@click.command("help")
@click.argument("topic", nargs=-1)
@click.pass_context
def show_help(ctx: click.Context, topic: tuple[str, ...]) -> None:
    """Show the page of the documentation about TOPIC, or the help of a command; without TOPIC, list the pages.

    \b
      tokenserver help policies
      tokenserver help policies | less
      tokenserver help policy why
    """
    pages = topics()
    name = " ".join(topic)
    if not topic:
        for one, path in pages.items():
            echo(f"{one:<{max(map(len, pages))}}  {title_of(path)}")
        echo("Show one: tokenserver help TOPIC. Commands: tokenserver --help", err=True)
    elif name in pages:
        echo_text(plain(pages[name].read_text("utf-8")))
        if _command_help(ctx, topic) is not None:
            echo(f"The options of the command: tokenserver {name} --help", err=True)
    elif (text := _command_help(ctx, topic)) is not None:
        echo_text(text)
    else:
        known = sorted({*pages, *_commands_below(ctx.find_root(), topic[:-1])})
        close = get_close_matches(name.lower(), known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"topics: {', '.join(pages)}"
        raise click.UsageError(f"there is no page or command {name!r}; {hint}")


def _command_help(ctx: click.Context, path: Sequence[str]) -> str | None:
    """The help text of the command at this path below `tokenserver`, or None if there is none."""
    context = _at(ctx.find_root(), path)
    return None if context is None else context.get_help()


def _commands_below(root: click.Context, path: Sequence[str]) -> list[str]:
    """The commands of the group at this path, each with the path; none if there is no such group."""
    context = _at(root, path)
    if context is None or not isinstance(context.command, click.Group):
        return []
    return [" ".join((*path, name)) for name in context.command.list_commands(context)]


def _at(root: click.Context, path: Sequence[str]) -> click.Context | None:
    """The context of the command at this path."""
    context = root
    for name in path:
        command = context.command
        below = command.get_command(context, name) if isinstance(command, click.Group) else None
        if below is None:
            return None
        context = click.Context(below, info_name=name, parent=context)
    return context
