"""`tokenserver`: the root command group."""

from __future__ import annotations

from typing import Any

import click

from tokenserver import __version__
from tokenserver.cli.exits import ended_properly
from tokenserver.cli.lazy import LazyCommand, LazyGroup

_COMMANDS = {
    "access-keys": LazyCommand("tokenserver.cli.access_keys", "access_keys", "Make, rotate and end access keys."),
    "audit": LazyCommand("tokenserver.cli.audit", "audit", "Answer an auditor from audit events."),
    "check": LazyCommand("tokenserver.cli.check", "check", "Validate all files that serve loads."),
    "credential-provider": LazyCommand(
        "tokenserver.cli.credential_provider", "credential_provider", "Answer the kubelet with a pod's own token."
    ),
    "demo": LazyCommand("tokenserver.cli.demo.command", "demo", "Serve with a registry next to it, for a try."),
    "doctor": LazyCommand("tokenserver.cli.doctor.command", "doctor", "Find out why tokens are rejected."),
    "health": LazyCommand("tokenserver.cli.server.health", "health", "Ask the running server for its health."),
    "help": LazyCommand("tokenserver.cli.help.command", "show_help", "Show a page of the documentation."),
    "import": LazyCommand("tokenserver.cli.importing", "importing", "Move in from another token server."),
    "init": LazyCommand("tokenserver.cli.init", "init", "Create a configuration in a new folder."),
    "keys": LazyCommand("tokenserver.cli.keys", "keys", "Create, rotate, move and list signing keys."),
    "ldap": LazyCommand("tokenserver.cli.ldap", "ldap", "Test the connection to an LDAP directory."),
    "logins": LazyCommand("tokenserver.cli.logins", "logins", "List and end refresh tokens and sessions."),
    "people": LazyCommand("tokenserver.cli.people", "people", "List people of OpenID providers, free names."),
    "policy": LazyCommand("tokenserver.cli.policy", "policy", "Test, query, lint and compare policies."),
    "registries": LazyCommand("tokenserver.cli.registries", "registries", "List, check and configure all registries."),
    "registry-config": LazyCommand(
        "tokenserver.cli.registries.registry_config", "registry_config", "Print the auth section for one registry."
    ),
    "robots": LazyCommand("tokenserver.cli.robots", "robots", "List robots, and make their secrets."),
    "schema": LazyCommand("tokenserver.cli.schema", "schema", "Print the JSON Schema of a kind of file."),
    "serve": LazyCommand("tokenserver.cli.serve", "serve", "Run the server."),
    "storage": LazyCommand("tokenserver.cli.storage", "storage", "Check, back up and restore the storage."),
    "token": LazyCommand("tokenserver.cli.token", "token", "Say what an access key or token is."),
    "users": LazyCommand("tokenserver.cli.users", "users", "Manage the users of an htpasswd file."),
    "workload": LazyCommand("tokenserver.cli.workload", "workload", "Test the login of a CI job or a pod."),
}


class RootGroup(LazyGroup):
    """The whole command line. No command below it ends with a traceback; see `exits.ended_properly`."""

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Parse the arguments; `--help` and `--version` print here."""
        with ended_properly():
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        with ended_properly():
            return super().invoke(ctx)


@click.group(cls=RootGroup, commands_at=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tokenserver")
def main() -> None:
    """A token authentication server for container registries.

    Try it with `tokenserver demo`. Or start with `tokenserver init DIR`, then
    `tokenserver serve --config DIR/tokenserver.yaml`.
    """
