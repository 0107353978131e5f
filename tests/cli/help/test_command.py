"""`tokenserver help`: pages, help texts of commands, and what it says about neither."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tokenserver.cli.main import main

DOCS = Path(__file__).parents[3] / "docs"


def show(*topic: str) -> Result:
    """What `tokenserver help` says about it."""
    return CliRunner().invoke(main, ["help", *topic], prog_name="tokenserver")


def test_without_a_topic_all_pages_are_listed() -> None:
    """Each with its title."""
    result = show()
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) == len([*DOCS.glob("*.md")]) - 1
    assert any(line.split(maxsplit=1) == ["try-it", "Try it"] for line in lines)
    assert "tokenserver help TOPIC" in result.stderr


def test_page() -> None:
    """From its heading to its last line."""
    result = show("try-it")
    assert result.exit_code == 0
    assert result.stdout.startswith("# Try it\n")
    assert "make demo" in result.stdout
    assert result.stderr == ""


def test_a_page_with_the_name_of_a_command_says_where_its_options_are() -> None:
    """docs/keys.md, and `tokenserver keys`."""
    result = show("keys")
    assert result.stdout.startswith("# ")
    assert result.stderr == "The options of the command: tokenserver keys --help\n"


@pytest.mark.parametrize("path", [["serve"], ["policy"], ["policy", "why"]], ids=" ".join)
def test_command(path: list[str]) -> None:
    """The same as its `--help`."""
    asked = CliRunner().invoke(main, [*path, "--help"], prog_name="tokenserver")
    result = show(*path)
    assert (result.exit_code, result.stdout) == (0, asked.stdout)


@pytest.mark.parametrize(
    ("topic", "hint"),
    [
        pytest.param(["polices"], "did you mean 'policies'?", id="misspelled"),
        pytest.param(["Keys"], "did you mean 'keys'?", id="capitals"),
        pytest.param(["quantum"], "topics: access-keys, account, ", id="nothing-alike"),
        pytest.param(["policy", "whocan"], "did you mean 'policy who-can'?", id="below-a-group"),
        pytest.param(["helth"], "did you mean 'health'?", id="misspelled-command"),
        pytest.param(["serve", "more"], "there is no page or command 'serve more'", id="below-a-command"),
        pytest.param(["../README"], "there is no page or command '../README'", id="path"),
        pytest.param(["README"], "there is no page or command 'README'", id="index"),
    ],
)
def test_unknown_topic(topic: list[str], hint: str) -> None:
    """A hint, and the exit code of wrong use."""
    result = show(*topic)
    assert result.exit_code == 2
    assert hint in result.stderr
