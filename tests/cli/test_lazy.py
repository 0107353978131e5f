"""Lazy command groups: `--help` imports no command, and every summary fits on its line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from tokenserver.cli import main
from tokenserver.cli.lazy import LazyGroup

GROUPS = [[], ["keys"], ["policy"], ["registries"], ["users"]]

SUMMARY_CHARACTERS = 45
"""The width of a summary: with name and margin it fits a terminal of 72 columns, and shells do not cut it off."""


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


def summaries(group: click.Group, *above: str) -> Iterator[tuple[str, str]]:
    """All commands at every level, with the line that the help of their group has for them."""
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        own = " ".join([*above, name])
        table = group.commands_at if isinstance(group, LazyGroup) else {}
        yield own, table[name].summary if name in table else command.get_short_help_str(limit=1000)
        if isinstance(command, click.Group):
            yield from summaries(command, *above, name)


@pytest.mark.parametrize(("command", "summary"), [pytest.param(*row, id=row[0]) for row in summaries(main)])
def test_a_summary_is_one_short_sentence(command: str, summary: str) -> None:
    """Of every command, also in the groups that are not lazy."""
    assert 0 < len(summary) <= SUMMARY_CHARACTERS, f"{command}: {len(summary)} characters"
    assert summary.endswith(".")
    assert "..." not in summary


def test_every_group_is_looked_at() -> None:
    """The summaries above reach the groups below the root."""
    commands = {command for command, _ in summaries(main)}
    assert {"serve", "keys rotate", "ldap test", "policy who-can", "registries list", "users enable"} <= commands


def completing(*words: str, incomplete: str) -> dict[str, str]:
    """The environment in which zsh asks for what may stand behind these words."""
    return {
        "_TOKENSERVER_COMPLETE": "zsh_complete",
        "COMP_WORDS": " ".join(["tokenserver", *words, incomplete]),
        "COMP_CWORD": str(len(words) + 1),
    }


def completed(*words: str, incomplete: str) -> list[str]:
    """What the completion for zsh prints after these words: a kind, a value and a help text for each candidate."""
    environment = completing(*words, incomplete=incomplete)
    done = CliRunner().invoke(main, prog_name="tokenserver", env=environment)
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout.split("\n")[:-1] if done.stdout.strip() else []


@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [
        pytest.param([], "dem", ["plain", "demo", "Serve with a registry next to it, for a try."], id="root"),
        pytest.param(["keys"], "ro", ["plain", "rotate", "Replace the key that signs."], id="group"),
        pytest.param(
            ["doctor"], "cl", ["plain", "client", "Find out why a client cannot log in."], id="command-and-group"
        ),
        pytest.param(["ldap"], "", ["plain", "test", "Connect as configured and report each step."], id="not lazy"),
        pytest.param(["schema"], "pol", ["plain", "policy", "_"], id="choice"),
        pytest.param(["serve"], "--conf", ["plain", "--config", None], id="option"),
        pytest.param([], "xyzzy", [], id="nothing"),
        pytest.param(["xyzzy"], "", None, id="unknown command"),
    ],
)
def test_completion(words: list[str], incomplete: str, expected: list[str | None] | None) -> None:
    """Names of commands, options and choices, with the summaries of the help."""
    found = completed(*words, incomplete=incomplete)
    if expected is None:
        assert "demo" in found
    else:
        assert len(found) == len(expected)
        assert all(want is None or want == got for want, got in zip(expected, found, strict=True))


def test_completion_imports_no_command() -> None:
    """A shell runs it at each press of the Tab key."""
    prefixes = ("tokenserver.config", "tokenserver.server")
    script = (
        "import sys\n"
        "from tokenserver.cli import main\n"
        "try:\n    main(prog_name='tokenserver')\n"
        f"finally:\n    print([name for name in sys.modules if name.startswith({prefixes!r})])"
    )
    environment = {**os.environ, **completing(incomplete="dem")}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment)
    assert done.stderr == ""
    assert "demo" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        pytest.param(["polcy"], "No such command 'polcy'; did you mean 'policy'?", id="misspelled"),
        pytest.param(["Doctor"], "did you mean 'doctor'?", id="capital"),
        pytest.param(["why"], "did you mean 'policy why'?", id="in-a-group"),
        pytest.param(["client"], "did you mean 'doctor client'?", id="in-a-group-that-is-a-command"),
        pytest.param(["doctor", "clinet"], "did you mean 'client'?", id="doctor"),
        pytest.param(
            ["list"],
            "did you mean 'access-keys list' or 'keys list' or 'logins list' or 'people list' or 'registries list' "
            "or 'robots list' or 'users list'?",
            id="in-groups",
        ),
        pytest.param(
            ["xyzzy"],
            "commands: access-keys, audit, check, credential-provider, demo, doctor, health, help, import, init, keys,",
            id="nothing-alike",
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
