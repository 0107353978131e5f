"""Shared options: an argument that is a token or its file, and faults as text, as JSON and as an exit code."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tokenserver.cli.exits import ADDRESS_IN_USE, WRONG_USE
from tokenserver.cli.options import TokenFile, exit_with, exit_with_faults, faults_as_json, report_faults
from tokenserver.cli.terminal import echo_text
from tokenserver.errors import MAX_REPORTED, Fault, LoadError


def token() -> str:
    """Text in the form of a JWT; nobody signed it."""
    parts = ({"alg": "none"}, {"sub": "x"})
    made = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*made, "c2ln"])


@click.command()
@click.argument("given", type=TokenFile())
def show(given: object) -> None:
    """Print what the argument holds."""
    echo_text(given.read())  # type: ignore[attr-defined]  # a stream, by the type of the argument


def shown(argument: str, stdin: str = "") -> Result:
    return CliRunner().invoke(show, [argument], input=stdin)


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param("{}", id="plain"),
        pytest.param("Bearer {}", id="header"),
        pytest.param('"{}"', id="quoted"),
        pytest.param('{{"token": "{}"}}', id="answer"),
        pytest.param("  {}\n", id="blanks"),
    ],
)
def test_a_pasted_token_is_itself(wrap: str) -> None:
    """It is not taken for the name of a file."""
    text = wrap.format(token())
    assert len(shown(text).stdout) > 0
    assert shown(text).stdout == f"{text}\n"


def test_a_file_or_standard_input(tmp_path: Path) -> None:
    """Anything else is a path, or `-`."""
    (tmp_path / "t").write_text("from the file")
    assert shown(str(tmp_path / "t")).stdout == "from the file\n"
    assert shown("-", "from standard input").stdout == "from standard input\n"


@pytest.mark.parametrize("argument", ["eyJ.only-two", "password123", "/no/such/file"])
def test_errors_never_repeat_the_argument(argument: str) -> None:
    """It may be most of a token, or a password."""
    result = shown(argument)
    assert (result.exit_code, argument in result.output) == (2, False)
    assert "is neither a token nor a readable file" in result.output


def many(count: int) -> LoadError:
    return LoadError([Fault("f.yaml", number, f"a[{number}]", "is wrong") for number in range(1, count + 1)])


@pytest.mark.parametrize(
    ("count", "last"),
    [
        pytest.param(1, "1 fault found; nothing was done.", id="one"),
        pytest.param(2, "2 faults found; nothing was done.", id="two"),
        pytest.param(2000, "2,000 faults found; nothing was done.", id="many"),
    ],
)
def test_faults_are_listed_and_counted(capsys: pytest.CaptureFixture[str], count: int, last: str) -> None:
    """One line each up to a limit, on standard error; the last line has the number of all."""
    with pytest.raises(SystemExit) as left:
        exit_with_faults(many(count))
    output = capsys.readouterr()
    lines = output.err.splitlines()
    assert (left.value.code, output.out, lines[0], lines[-1]) == (WRONG_USE, "", "f.yaml:1: a[1]: is wrong", last)
    assert len([line for line in lines if line.startswith("f.yaml")]) == min(count, MAX_REPORTED)


def test_the_exit_code_can_be_another(capsys: pytest.CaptureFixture[str]) -> None:
    """An address in use is no wrong use."""
    with pytest.raises(SystemExit) as left:
        exit_with_faults(many(1), code=ADDRESS_IN_USE)
    assert left.value.code == ADDRESS_IN_USE
    with pytest.raises(SystemExit) as left:
        exit_with("no", ADDRESS_IN_USE)
    assert (left.value.code, capsys.readouterr().err.splitlines()[-1]) == (ADDRESS_IN_USE, "no")


def test_faults_as_json() -> None:
    """The members of each fault; `more` only where some are left out."""
    fault = {"file": "f.yaml", "line": 1, "path": "a[1]", "message": "is wrong"}
    assert faults_as_json(many(1)) == {"faults": [fault]}
    facts = faults_as_json(many(MAX_REPORTED + 7))
    assert (len(facts["faults"]), facts["more"]) == (MAX_REPORTED, 7)


def test_report_faults_catches_load_errors_alone() -> None:
    """The result passes through, and a bug stays a bug."""

    @report_faults
    def command(error: Exception | None) -> str:
        if error is not None:
            raise error
        return "done"

    assert (command(None), command.__name__) == ("done", "command")
    with pytest.raises(SystemExit):
        command(many(1))
    with pytest.raises(ZeroDivisionError):
        command(ZeroDivisionError())
