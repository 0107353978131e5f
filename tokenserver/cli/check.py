"""`tokenserver check`: loads and validates exactly what `serve` does, without serving."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from tokenserver.cli.exits import WRONG_USE
from tokenserver.cli.options import config_option, exit_with_faults, faults_as_json
from tokenserver.cli.table import aligned
from tokenserver.cli.terminal import echo, echo_text
from tokenserver.config.settings import Settings
from tokenserver.errors import LoadError
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.printable import shell_word
from tokenserver.server.compose import user_sources, warnings
from tokenserver.server.startup import load_all


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def check(config: Path | None, as_json: bool) -> None:
    """Load the configuration, users, policies (with their tests) and keys, and report every fault.

    Exit code 0: the server would start; 2: it would not.
    """
    try:
        settings, snapshot = load_all(config)
    except LoadError as error:
        if not as_json:
            exit_with_faults(error)
        echo_text(json.dumps({"ok": False, **faults_as_json(error)}))
        raise SystemExit(WRONG_USE) from error
    found = warnings(settings, snapshot)
    if as_json:
        users = sum(len(source.users) for source in user_sources(snapshot))
        policies = snapshot.policies
        facts = {"ok": True, "warnings": found, "rules": policies.rule_count, "users": users, "policy": policies.digest}
        echo_text(json.dumps(facts))
        return
    for warning in found:
        echo(f"warning: {warning}", fg="yellow", err=True)
    echo_text(aligned(list(_summary(settings, snapshot))))
    start = "tokenserver serve" if config is None else f"tokenserver serve --config {shell_word(config)}"
    echo(f"Configuration is valid. Start the server: {start}", fg="green")


def _summary(settings: Settings, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """What was loaded, as labelled lines."""
    policies = snapshot.policies
    passed = "tests of delegated files fail, see the warnings" if policies.notes else "all tests pass"
    yield "policies", f"{policies.rule_count} rules in {len(policies.files)} files, {passed}"
    sources = user_sources(snapshot)
    users = sum(len(source.users) for source in sources)
    yield "users", f"{users} in {', '.join(source.name for source in sources) or 'no htpasswd file'}"
    for ldap in (source.ldap for source in settings.authentication if source.ldap is not None):
        yield "directory", f"{ldap.name} at {', '.join(ldap.url)}; not contacted, tokenserver ldap test does that"
    for active in (ring.active for ring in snapshot.rings):
        yield "keys", f"{active.algorithm} until {active.not_after:%Y-%m-%d}"
    yield "realm", settings.server.realm
    if settings.server.metrics is not None:
        yield "metrics", str(settings.server.metrics_url)
    for registry in settings.registries:
        names = ", ".join(registry.names)
        yield "registry", f"{names} ({registry.compat}, tokens for {registry.token_lifetime})"
