"""The command line as a whole: the help lists every command."""

from __future__ import annotations

from site_commands import Run


def test_help_lists_every_command(run: Run) -> None:
    """Each with a sentence."""
    result = run("--help")
    assert result.exit_code == 0
    for command in ("check", "health", "init", "keys", "registry-config", "serve", "users"):
        assert command in result.stdout
