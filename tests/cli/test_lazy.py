"""Lazy command groups: `--help` imports no command, and every summary fits on its line."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from tokenserver.cli import main
from tokenserver.cli.lazy import LazyGroup

GROUPS = [[], ["keys"], ["policy"], ["registries"]]


def test_help_imports_no_command() -> None:
    """The configuration models, LDAP and password hashing take most of a second to import."""
    script = (
        "import sys\n"
        "from tokenserver.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "print(sorted(name for name in sys.modules if name.startswith(('tokenserver.config', 'tokenserver.server'))))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("words", GROUPS, ids=lambda words: " ".join(words) or "tokenserver")
def test_each_command_has_one_line(words: list[str]) -> None:
    """The summaries are neither wrapped nor cut off on a terminal of 80 columns, and every command can be imported."""
    result = CliRunner().invoke(main, [*words, "--help"], terminal_width=80)
    group = main.get_command(click.Context(main), words[0]) if words else main
    assert isinstance(group, LazyGroup)
    names = group.list_commands(click.Context(group))
    lines = result.stdout.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines] == names
    assert all(len(line.split()) > 1 and line.endswith(".") for line in lines)
    assert all(isinstance(group.get_command(click.Context(group), name), click.Command) for name in names)
