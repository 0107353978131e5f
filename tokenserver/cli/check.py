"""`tokenserver check`: exactly what the start does, without serving."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tokenserver.cli.options import WRONG_USE, config_option, fault_facts, refuse
from tokenserver.cli.terminal import echo, echo_text
from tokenserver.errors import LoadError
from tokenserver.printable import shell_word
from tokenserver.server.compose import user_sources, warnings
from tokenserver.server.startup import load_all


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def check(config: Path | None, as_json: bool) -> None:
    """Load the configuration, users, policies (with their tests) and keys, and tell every fault."""
    try:
        settings, snapshot = load_all(config)
    except LoadError as error:
        if not as_json:
            refuse(error)
        echo_text(json.dumps({"ok": False, **fault_facts(error)}))
        raise SystemExit(WRONG_USE) from error
    found = warnings(settings, snapshot)
    policies = snapshot.policies
    sources = user_sources(snapshot)
    users = sum(len(source.users) for source in sources)
    if as_json:
        facts = {"ok": True, "warnings": found, "rules": policies.rule_count, "users": users, "policy": policies.digest}
        echo_text(json.dumps(facts))
        return
    for warning in found:
        echo(f"warning: {warning}", fg="yellow", err=True)
    passed = "tests of delegated files fail, see the warnings" if policies.notes else "all tests pass"
    echo(f"policies  {policies.rule_count} rules in {len(policies.files)} files, {passed}")
    echo(f"users     {users} in {', '.join(source.name for source in sources) or 'no htpasswd file'}")
    for ldap in (source.ldap for source in settings.authentication if source.ldap is not None):
        echo(f"directory {ldap.name} at {', '.join(ldap.url)}; not asked, tokenserver ldap test does that")
    for active in (ring.active for ring in snapshot.rings):
        echo(f"keys      {active.algorithm} until {active.not_after:%Y-%m-%d}")
    echo(f"realm     {settings.server.realm}")
    if settings.server.metrics is not None:
        echo(f"metrics   {settings.server.metrics_url}")
    for registry in settings.registries:
        names = ", ".join(registry.names)
        echo(f"registry  {names} ({registry.compat}, tokens for {registry.token_lifetime})")
    start = "tokenserver serve" if config is None else f"tokenserver serve --config {shell_word(config)}"
    echo(f"All is well. Start with: {start}", fg="green")
