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


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        pytest.param(["polcy"], "No such command 'polcy'; did you mean 'policy'?", id="misspelled"),
        pytest.param(["Doctor"], "did you mean 'doctor'?", id="capital"),
        pytest.param(["why"], "did you mean 'policy why'?", id="in-a-group"),
        pytest.param(["list"], "did you mean 'keys list' or 'registries list' or 'users list'?", id="in-groups"),
        pytest.param(
            ["xyzzy"], "commands: check, demo, doctor, health, help, init, keys, ldap, policy,", id="nothing-alike"
        ),
        pytest.param(["policy", "whocan"], "did you mean 'who-can'?", id="policy"),
        pytest.param(["keys", "rotat"], "did you mean 'rotate'?", id="keys"),
        pytest.param(["registries", "chek"], "did you mean 'check'?", id="registries"),
        pytest.param(["users", "add"], "did you mean 'set'?", id="as-elsewhere"),
        pytest.param(["explain"], "did you mean 'policy why'?", id="as-elsewhere-in-a-group"),
        pytest.param(
            ["users", "ad"], "No such command 'ad'; commands: delete, disable, enable, list, set, verify", id="users"
        ),
        pytest.param(["ldap", "tset"], "did you mean 'test'?", id="ldap"),
    ],
)
def test_an_unknown_command_gets_a_hint(words: list[str], hint: str) -> None:
    """At every level, with exit code 2."""
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, hint in result.stderr, result.stdout) == (2, True, ""), result.stderr


@pytest.mark.parametrize(
    ("words", "right"),
    [
        pytest.param(["--vresion"], "--version", id="tokenserver"),
        pytest.param(["policy", "why", "--usr", "ann"], "--user", id="policy"),
        pytest.param(["keys", "list", "--jsn"], "--json", id="keys"),
    ],
)
def test_an_unknown_option_gets_a_hint(words: list[str], right: str) -> None:
    """At every level, by click."""
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, right in result.stderr) == (2, True), result.stderr


def test_a_hint_cannot_move_the_cursor() -> None:
    """The unknown word is quoted without its control characters."""
    result = CliRunner().invoke(main, ["\x1b[2J"])
    assert (result.exit_code, "\x1b" in result.stderr) == (2, False)
