"""`tokenserver check`: loads and validates exactly what `serve` does, without serving."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click

from tokenserver.cli.console.table import aligned
from tokenserver.cli.exits import NO, OK, WRONG_USE
from tokenserver.cli.options import config_option, exit_with_faults, faults_as_json
from tokenserver.cli.stored.expiring import expiring_notes
from tokenserver.cli.terminal import echo, echo_json, echo_text
from tokenserver.config.settings import Settings
from tokenserver.config.sources.hooks import HttpHookSettings
from tokenserver.doctor.examination.readiness import running_parts
from tokenserver.errors import LoadError
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.printable import shell_word
from tokenserver.server.compose import user_sources, warnings, watched_files
from tokenserver.server.sources.databases import place_of
from tokenserver.server.sources.directory_files import client_certificates
from tokenserver.server.startup import load_all
from tokenserver.server.stored.opening import storage_warnings

NOTICE_SECONDS = 3.0
"""How long a running server may need until it has loaded or rejected a change."""

_LOOK_SECONDS = 0.2
_OK = "ok"


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def check(config: Path | None, as_json: bool) -> None:
    """Load the configuration, users, policies (with their tests) and keys, and report every fault.

    Exit code 0: the server would start; 2: it would not; 1: it would, but the one that runs with this configuration
    rejects the current files.
    """
    try:
        settings, snapshot = load_all(config)
    except LoadError as error:
        if not as_json:
            exit_with_faults(error)
        echo_json({"ok": False, **faults_as_json(error)})
        raise SystemExit(WRONG_USE) from error
    found = [*warnings(settings, snapshot), *storage_warnings(settings), *expiring_notes(settings)]
    rejected = _rejected_by_running(settings, snapshot)
    if as_json:
        users = sum(len(source.users) for source in user_sources(snapshot))
        policies = snapshot.policies
        facts = {"warnings": found, "rules": policies.rule_count, "users": users, "policy": policies.digest}
        echo_json({"ok": rejected is None, **facts, "running": rejected})
        raise SystemExit(OK if rejected is None else NO)
    for warning in found:
        echo(f"warning: {warning}", fg="yellow", err=True)
    echo_text(aligned(list(_summary(settings, snapshot))))
    if rejected is not None:
        echo(
            f"The server that runs at {settings.server.listen} keeps its previous files: {rejected}.",
            fg="red",
            err=True,
        )
        echo("It compares with what it has loaded before; a start would accept the files as they are.", err=True)
        raise SystemExit(NO)
    start = "tokenserver serve" if config is None else f"tokenserver serve --config {shell_word(config)}"
    echo(f"Configuration is valid. Start the server: {start}", fg="green")


def _rejected_by_running(settings: Settings, snapshot: Snapshot) -> str | None:
    """Why the server that runs with this configuration rejects the current files; None: it does not, or none runs.

    It knows more than a start: a policy file that has lost its closing `...` is incomplete for it, and changes of
    delegated files wait for their tests. It may need `NOTICE_SECONDS` for a change.
    """
    certificates = [ring.ca_certificate_pem for ring in snapshot.rings]
    end = time.monotonic() + NOTICE_SECONDS
    while True:
        parts = running_parts(settings, certificates)
        if parts is None:
            return None
        problem = parts.get("files", _OK)
        is_settled = problem == _OK and time.time() - _last_change(settings) > NOTICE_SECONDS
        if is_settled or time.monotonic() > end:
            return None if problem == _OK else problem
        time.sleep(_LOOK_SECONDS)


def _last_change(settings: Settings) -> float:
    """When a file or a folder that the server watches was changed, in seconds since the epoch."""
    found = 0.0
    for path in watched_files(settings):
        for each in (path, *(path.rglob("*") if path.is_dir() else ())):
            with suppress(OSError):
                found = max(found, each.stat().st_ctime)
    return found


def _summary(settings: Settings, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """What was loaded, as labelled lines."""
    policies = snapshot.policies
    passed = "tests of delegated files fail, see the warnings" if policies.notes else "all tests pass"
    yield "policies", f"{policies.rule_count} rules in {len(policies.files)} files, {passed}"
    sources = user_sources(snapshot)
    users = sum(len(source.users) for source in sources)
    yield "users", f"{users} in {', '.join(source.name for source in sources) or 'no htpasswd file'}"
    certificates = tuple(client_certificates(settings))
    for ldap in (source.ldap for source in settings.authentication if source.ldap is not None):
        ours = "".join(f"; client certificate {one}" for name, one in certificates if name == ldap.name)
        yield "directory", f"{ldap.name} at {', '.join(ldap.url)}; not contacted, tokenserver ldap test does that{ours}"
    for sql in (source.sql for source in settings.authentication if source.sql is not None):
        ours = "not contacted, tokenserver policy why … --as NAME does that"
        yield "database", f"{sql.name} at {place_of(sql)}; {ours}"
    for hook in (source.hook for source in settings.authentication if source.hook is not None):
        place = hook.url if isinstance(hook, HttpHookSettings) else " ".join(map(shell_word, hook.command))
        yield "hook", f"{hook.name}: {place}; not asked"
    for workload in settings.workload_sources:
        audiences = ", ".join(sorted(workload.audiences(settings.server.url)))
        yield "workloads", f"{workload.name}: JWTs of {workload.issuer_name} for {audiences}; not contacted"
    for provider in settings.oidc_sources:
        redirect = provider.redirect_uri(settings.server.pages_url)
        yield "provider", f"{provider.name} at {provider.issuer_url}; not contacted; its redirect URI: {redirect}"
    for active in (ring.active for ring in snapshot.rings):
        yield "keys", f"{active.algorithm} until {active.not_after:%Y-%m-%d}"
    yield "realm", settings.server.realm
    if settings.server.management is not None:
        yield "management", f"{settings.server.pages_url}, served at {settings.server.management}"
    if settings.server.metrics is not None:
        yield "metrics", str(settings.server.metrics_url)
    for registry in settings.registries:
        names = ", ".join(registry.names)
        held = ", grant: held" if registry.grant == "held" else ""
        yield "registry", f"{names} ({registry.compat}, tokens for {registry.token_lifetime}{held})"
