"""`tokenserver users list` and `verify`: what a file says about its users, without any hash."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from users_commands import GOOD, run

from tokenserver.authn.passwords import hash_password


@pytest.fixture
def usual_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the released program, for tests that show them."""
    for name in ("COST", "_GOOD_COST"):
        monkeypatch.setattr(f"tokenserver.authn.passwords.{name}", 10)


@pytest.mark.usefixtures("usual_costs")
def test_list(file: Path) -> None:
    """The users in the order of the file, with how their passwords are kept."""
    file.write_text(f"bartholomew:{GOOD}\nann:{hash_password('x')}\n")
    result = run("list", "--file", file)
    assert result.exit_code == 0
    assert result.stdout == (
        "bartholomew  active  bcrypt, cost 4  (bcrypt cost 4 is quick to guess; 10 or more is advised)\n"
        "ann          active  bcrypt, cost 10\n"
    )


@pytest.mark.usefixtures("usual_costs")
def test_list_as_json(file: Path) -> None:
    """The same as facts, without any hash."""
    result = run("list", "--file", file, "--json")
    hashed = {"hash": "bcrypt, cost 4", "warning": "bcrypt cost 4 is quick to guess; 10 or more is advised"}
    assert json.loads(result.stdout) == {
        "file": str(file),
        "users": [
            {"name": "ann", "line": 2, "state": "active", "ends": None, **hashed},
            {"name": "bob", "line": 3, "state": "active", "ends": None, **hashed},
        ],
    }


STATES = f"""\
# tokenserver-account: bob: disabled
bob:!{GOOD}
# tokenserver-account: carol: until 2001-02-03
carol:!{GOOD}
# tokenserver-account: dave: until 2999-12-31
dave:!{GOOD}
# tokenserver-account: erin: disabled, until 2999-12-31T10:00:00+02:00
erin:!{GOOD}
frank:!{GOOD}
"""


def test_list_accounts(file: Path) -> None:
    """Whether each user can log in, and until when: as written for people, as an instant for programs."""
    file.write_text(STATES)
    result = run("list", "--file", file)
    assert [line.split("  ")[:2] for line in re.sub(r" {3,}", "  ", result.stdout).splitlines()] == [
        ["bob", "disabled"],
        ["carol", "expired, until 2001-02-03"],
        ["dave", "active, until 2999-12-31"],
        ["erin", "disabled, until 2999-12-31T10:00:00+02:00"],
        ["frank", "disabled"],
    ]
    facts = json.loads(run("list", "--file", file, "--json").stdout)["users"]
    assert [(one["name"], one["state"], one["ends"]) for one in facts] == [
        ("bob", "disabled", None),
        ("carol", "expired", "2001-02-04T00:00:00Z"),
        ("dave", "active", "3000-01-01T00:00:00Z"),
        ("erin", "disabled", "2999-12-31T08:00:00Z"),
        ("frank", "disabled", None),
    ]


def test_verify_an_account(file: Path) -> None:
    """A right password is not enough, and the answer says why; a wrong one is called wrong as well."""
    file.write_text(STATES)
    answers = [
        run("verify", name, "--file", file, stdin=f"{typed}\n").stdout
        for name in ("bob", "carol", "dave")
        for typed in ("secret", "wrong")
    ]
    assert answers == [
        "no: the account is disabled\n",
        "no: wrong password, and the account is disabled\n",
        "no: the account has expired (until 2001-02-03)\n",
        "no: wrong password, and the account has expired (until 2001-02-03)\n",
        "yes\n",
        "no: wrong password\n",
    ]


def test_list_nobody(tmp_path: Path) -> None:
    """An empty file is no error; the next step is told."""
    file = tmp_path / "users"
    file.touch(0o600)
    result = run("list", "--file", file)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"{file} has no users. Add one: tokenserver users set NAME --file {file}\n"


@pytest.mark.parametrize(
    ("name", "stdin", "code", "shown"),
    [
        pytest.param("ann", "secret\n", 0, "yes", id="right"),
        pytest.param("ann", "wrong\n", 1, "no: wrong password", id="wrong"),
        pytest.param("ann", "", 1, "no: the password is empty", id="empty"),
        pytest.param("ann", "a\0\n", 1, "no: the password contains a NUL character", id="NUL"),
        pytest.param("ann", "a" * 2000, 1, "no: the password is longer than 1024 bytes", id="too long"),
        pytest.param("carol", "secret\n", 1, "no: unknown user", id="unknown"),
        pytest.param("ANN", "secret\n", 1, "no: unknown user", id="another case"),
        pytest.param(" ", "secret\n", 1, "no: the user name is empty", id="a blank name"),
    ],
)
def test_verify(file: Path, name: str, stdin: str, code: int, shown: str) -> None:
    """Yes or no as the server would say it, and why."""
    result = run("verify", name, "--file", file, stdin=stdin)
    assert (result.exit_code, result.stdout, result.stderr) == (code, f"{shown}\n", "")
    told = run("verify", name, "--json", "--file", file, stdin=stdin)
    reason = shown.partition(": ")[2] or None
    assert (told.exit_code, told.stderr) == (code, "")
    assert json.loads(told.stdout) == {"name": name, "right": code == 0, "reason": reason}


def test_verify_takes_utf8(file: Path) -> None:
    """Other bytes are wrong use, not a wrong password."""
    result = run("verify", "ann", "--file", file, stdin=b"\xe9\n")
    assert (result.exit_code, "a password must be UTF-8 text" in result.stderr) == (2, True)
