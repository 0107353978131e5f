"""`tokenserver policy`: the commands that read policies."""

from __future__ import annotations

import click

from tokenserver.cli.lazy import LazyCommand, LazyGroup

_COMMANDS = {
    "diff": LazyCommand("tokenserver.cli.policy.diff", "policy_diff", "Show access that a change adds or removes."),
    "lint": LazyCommand("tokenserver.cli.policy.lint", "policy_lint", "Find rules that do nothing, or too much."),
    "matrix": LazyCommand(
        "tokenserver.cli.policy.matrix", "policy_matrix", "Show all principals and what they can do."
    ),
    "replay": LazyCommand(
        "tokenserver.cli.policy.replay", "policy_replay", "Re-evaluate the requests of an audit log."
    ),
    "test": LazyCommand("tokenserver.cli.policy.test", "policy_test", "Run the tests of the policy files."),
    "what-can": LazyCommand("tokenserver.cli.policy.what_can", "policy_what_can", "List everything that WHO can do."),
    "who-can": LazyCommand("tokenserver.cli.policy.who_can", "policy_who_can", "List who can do ACTION on REPOSITORY."),
    "why": LazyCommand("tokenserver.cli.policy.why", "policy_why", "Explain why a request is allowed or denied."),
}


@click.group(cls=LazyGroup, commands_at=_COMMANDS)
def policy() -> None:
    """Test policies, and find out who can do what, why, and what a change would alter."""
