"""Options and arguments that the commands of `tokenserver import` share: what the site is called, where it listens."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tokenserver.importers.site_text import SiteChoice


def site_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--issuer`, `--service`, `--url` and `--listen`, which the command gets as `choice`, and `--json`."""

    @functools.wraps(command)
    def chosen(*arguments: Any, issuer: str, service: str | None, url: str, listen: str, **options: Any) -> Any:
        return command(*arguments, choice=SiteChoice(issuer, service or "registry", url, listen), **options)

    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the report as JSON."),
        click.option("--listen", default="127.0.0.1:5001", show_default=True, help="Address and port to listen on."),
        click.option(
            "--url", default="http://localhost:5001", show_default=True, help="The URL that clients use for the server."
        ),
        click.option("--service", help="Service name of the registry.  [default: registry]"),
        click.option("--issuer", default="tokenserver", show_default=True, help="The issuer of all tokens."),
    ):
        chosen = option(chosen)
    return chosen


def export_arguments(kept: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`EXPORT.json`, `DIR` and `--robots` of a command that imports an export, which gets the last one as `kind`.

    `kept` is how the name of a robot that becomes a user is written, as an example.
    """

    def taking(command: Callable[..., Any]) -> Callable[..., Any]:
        for argument in (
            click.option(
                "--robots",
                "kind",
                type=click.Choice(["declared", "users"]),
                default="declared",
                show_default=True,
                help=f"Robots become robots of the policies (web.ci), or users who keep their names ({kept}).",
            ),
            click.argument("folder", metavar="DIR", type=click.Path(path_type=Path)),
            click.argument("export", metavar="EXPORT.json", type=click.Path(path_type=Path, dir_okay=False)),
        ):
            command = argument(command)
        return command

    return taking
