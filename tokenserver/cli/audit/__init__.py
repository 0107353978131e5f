"""`tokenserver audit`: the commands that answer questions from audit events."""

from __future__ import annotations

import click

from tokenserver.cli.lazy import LazyCommand, LazyGroup

_COMMANDS = {
    "index": LazyCommand("tokenserver.cli.audit.index", "audit_index", "Add events to a store, to search it fast."),
    "search": LazyCommand("tokenserver.cli.audit.search", "audit_search", "Find events by client, access or rule."),
    "unused": LazyCommand("tokenserver.cli.audit.unused", "audit_unused", "List rules and grants that nobody used."),
    "verify": LazyCommand(
        "tokenserver.cli.audit.verify", "audit_verify", "Prove that no event was changed or removed."
    ),
    "who-could": LazyCommand("tokenserver.cli.audit.who_could", "audit_who_could", "List who could do it at a moment."),
    "who-did": LazyCommand("tokenserver.cli.audit.who_did", "audit_who_did", "List who was granted an action."),
}


@click.group(cls=LazyGroup, commands_at=_COMMANDS)
def audit() -> None:
    """Answer an auditor from audit events: the lines on the server's standard output, as they are or as kept by others.

    FILES are plain, or compressed by gzip or Zstandard; - is standard input. Lines that container runtimes, journald or
    log collectors have wrapped are read as well.
    """
