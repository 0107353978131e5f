"""`tokenserver users disable` and `enable`."""

from __future__ import annotations

from pathlib import Path

import pytest
from users_commands import GOOD, run

from tokenserver.authn.htpasswd.backend import load_htpasswd


def test_disable_and_enable(file: Path) -> None:
    """The user cannot log in meanwhile, and can with the same password afterwards; the file is as before."""
    before = file.read_text()
    result = run("disable", "ann", "--file", file)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"ann is disabled in {file}. Tokens issued before stay valid until they expire.\n"
    assert file.read_text() == f"# staff\n# tokenserver-account: ann: disabled\nann:!{GOOD}\nbob:{GOOD}\n"
    assert load_htpasswd(file, "x").account_problem("ann") == "the account is disabled"
    assert run("verify", "ann", "--file", file).stdout == "no: the account is disabled\n"
    result = run("enable", "ann", "--file", file)
    assert (result.exit_code, result.stdout) == (0, f"ann is enabled in {file}.\n")
    assert file.read_text() == before
    assert run("verify", "ann", "--file", file).exit_code == 0


@pytest.mark.parametrize(
    ("until", "ends"),
    [
        pytest.param("2999-12-31", "3000-01-01T00:00:00Z", id="a date"),
        pytest.param("2999-12-31T18:00:00+01:00", "2999-12-31T17:00:00Z", id="an instant"),
    ],
)
def test_until(file: Path, until: str, ends: str) -> None:
    """The message has the moment in UTC; disabling keeps the end, and `never` removes it."""
    result = run("enable", "ann", "--until", until, "--file", file)
    assert (result.exit_code, result.stdout) == (0, f"ann is enabled in {file}; the account ends at {ends}.\n")
    assert f"# tokenserver-account: ann: until {until}\nann:!" in file.read_text()
    assert run("verify", "ann", "--file", file).exit_code == 0
    assert run("disable", "ann", "--file", file).exit_code == 0
    assert f"# tokenserver-account: ann: disabled, until {until}\n" in file.read_text()
    assert run("enable", "ann", "--file", file).stdout.endswith(f"the account ends at {ends}.\n")
    assert run("enable", "ann", "--until", "never", "--file", file).stdout == f"ann is enabled in {file}.\n"
    assert f"\nann:{GOOD}\n" in file.read_text()


def test_enable_what_has_expired(file: Path) -> None:
    """It would not let the user in, so it is rejected with the commands that would."""
    file.write_text(f"# tokenserver-account: ann: disabled, until 2001-02-03\nann:!{GOOD}\n")
    before = file.read_text()
    result = run("enable", "ann", "--file", file)
    assert (result.exit_code, file.read_text()) == (2, before)
    assert result.stderr.startswith(
        f"{file}: ann: the account has expired (until 2001-02-03);"
        f" fix: tokenserver users enable ann --file {file} --until DATE"
        f" or tokenserver users enable ann --file {file} --until never\n"
    )


@pytest.mark.parametrize(
    ("until", "problem"),
    [
        pytest.param("tomorrow", "is neither a date such as 2027-01-31 nor an instant", id="a word"),
        pytest.param("2999-12-31T18:00:00", "is neither a date such as 2027-01-31 nor an instant", id="no offset"),
        pytest.param("2001-02-03", "has passed; fix: to end an account now, use tokenserver users disable", id="past"),
    ],
)
@pytest.mark.parametrize("command", ["set", "enable"])
def test_dates_that_are_rejected(file: Path, command: str, until: str, problem: str) -> None:
    """Nothing has changed then."""
    before = file.read_bytes()
    result = run(command, "ann", "--until", until, "--file", file)
    assert (result.exit_code, file.read_bytes()) == (2, before)
    assert problem in " ".join(result.stderr.split())


@pytest.mark.parametrize("command", ["disable", "enable"])
def test_nobody(file: Path, command: str) -> None:
    """An unknown user is "no", and the file is not touched."""
    before = file.stat()
    result = run(command, "ANN", "--file", file)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"{file} has no user 'ANN'.\n")
    assert file.stat().st_ino == before.st_ino


def test_faults_of_others_do_not_block(file: Path) -> None:
    """An account can be disabled while other lines are wrong; disabling somebody must never have to wait."""
    file.write_text(f"ann:{GOOD}\nbob:secret\n")
    result = run("disable", "ann", "--file", file)
    assert result.exit_code == 0
    assert f"warning: {file}:3: bob: the password is in plain text;" in result.stderr
    assert f"ann:!{GOOD}\n" in file.read_text()


def test_another_normal_form(file: Path) -> None:
    """A name typed as NFD is the same user as in NFC."""
    file.write_text(f"zoë:{GOOD}\n")
    assert run("disable", "zoe\u0308", "--file", file).exit_code == 0
    assert load_htpasswd(file, "x").account_problem("zoë") == "the account is disabled"
