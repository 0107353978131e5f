"""Options that the commands of `tokenserver import` share: what the new site is called, and where it listens."""

from __future__ import annotations

import functools
from collections.abc import Callable
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
