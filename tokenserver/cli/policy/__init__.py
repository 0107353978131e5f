"""`tokenserver policy`: the commands that read policies. Each command's module is read only when it is called."""

from __future__ import annotations

import click

from tokenserver.cli.lazy import LazyGroup

_COMMANDS: dict[str, tuple[str, str]] = {
    "diff": ("tokenserver.cli.policy.diff", "policy_diff"),
    "lint": ("tokenserver.cli.policy.lint", "policy_lint"),
    "matrix": ("tokenserver.cli.policy.matrix", "policy_matrix"),
    "replay": ("tokenserver.cli.policy.replay", "policy_replay"),
    "test": ("tokenserver.cli.policy.test", "policy_test"),
    "what-can": ("tokenserver.cli.policy.what_can", "policy_what_can"),
    "who-can": ("tokenserver.cli.policy.who_can", "policy_who_can"),
    "why": ("tokenserver.cli.policy.why", "policy_why"),
}


@click.group(cls=LazyGroup, commands_at=_COMMANDS)
def policy() -> None:
    """Test policies, and find out who may do what, why, and what a change would change."""
