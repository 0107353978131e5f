"""Databases of users of a server: their files, and that SQLAlchemy is imported only for them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from htpasswd_users import GOOD, credentials
from user_tables import QUERY, make_table

from tokenserver.config.sources.sql import Sql
from tokenserver.errors import LoadError
from tokenserver.server.sources.databases import database_files, place_of, sql_users

URL = "postgresql://reader@db.example.com/people"


def settings(**more: Any) -> Sql:
    """The settings of a database."""
    return Sql.model_validate({"query": QUERY, **more})


def faults(**more: Any) -> list[str]:
    """The faults of the files of these settings."""
    with pytest.raises(LoadError) as caught:
        sql_users(settings(**more))
    return [fault.message for fault in caught.value.faults]


def test_a_file_of_sqlite(tmp_path: Path) -> None:
    """It is found by the path of the settings."""
    file = make_table(tmp_path / "people.db", ("ann", GOOD, "dev", 1))
    source = sql_users(settings(url=file))
    found = source.authenticate(credentials("ann"))
    assert found is not None
    assert found.groups == {"dev"}


def test_files_of_a_server(tmp_path: Path) -> None:
    """They are watched; a database in a file is not, since it changes with each login of its own program."""
    password, ca = tmp_path / "password", tmp_path / "ca.pem"
    both = settings(url=URL, url_password_file=password, ca_file=ca)
    assert database_files(both) == (password, ca)
    assert database_files(settings(url=tmp_path / "people.db")) == ()
    assert place_of(both) == URL


@pytest.mark.parametrize(
    ("content", "mode", "problem"),
    [
        ("", 0o600, "must contain the password of the database"),
        ("a\nb", 0o600, "must contain the password of the database"),
        ("canary", 0o644, "can be read by others (mode 0644)"),
        (None, 0, "cannot be read: No such file or directory"),
    ],
)
def test_a_bad_password_file(tmp_path: Path, content: str | None, mode: int, problem: str) -> None:
    """The fault repeats nothing of it; a missing CA is reported beside it (docs/design/threats.md#threat-206)."""
    file = tmp_path / "password"
    if content is not None:
        file.write_text(content)
        file.chmod(mode)
    found = faults(url=URL, url_password_file=file, ca_file=tmp_path / "ca.pem")
    assert len(found) == 2
    assert any(one.startswith(problem) for one in found)
    assert "canary" not in str(found)


def test_bad_databases(tmp_path: Path) -> None:
    """A file that is missing, is none, or belongs to everyone, stops the start (docs/design/threats.md#threat-206)."""
    file = make_table(tmp_path / "people.db")
    file.chmod(0o646)
    assert faults(url=tmp_path / "gone.db") == ["cannot be read: No such file or directory; fix: correct url of sql"]
    assert faults(url=tmp_path) == ["is not a regular file"]
    assert faults(url=file) == [f"can be changed by everyone on this machine; fix: chmod o-w {file}"]


def test_nothing_is_connected_at_the_start() -> None:
    """A server that is down does not stop ours."""
    assert sql_users(settings(url="postgresql://reader@127.0.0.1:1/people")).name == "sql"


def test_sqlalchemy_is_for_databases() -> None:
    """A server without one does not import it."""
    code = "import sys, tokenserver.server.compose; print('sqlalchemy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "False"
