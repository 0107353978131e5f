"""Settings of a database of users: what is accepted, and what does not go together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from configuration import MINIMAL, REFERENCE

from tokenserver.authn.sql.presets import QUERIES
from tokenserver.config.load import load_settings
from tokenserver.config.sources.sql import Sql
from tokenserver.errors import LoadError

QUERY = "SELECT password_hash, name AS subject FROM users WHERE name = :user"
WITHOUT_SUBJECT = "SELECT password_hash FROM users WHERE name = :user"


def loaded(folder: Path, **sql: Any) -> Sql:
    """The settings of a database, as part of a configuration."""
    (folder / "c.yaml").write_text(yaml.safe_dump(yaml.safe_load(MINIMAL) | {"authentication": [{"sql": sql}]}))
    found = load_settings(folder / "c.yaml", {}).authentication[0].sql
    assert found is not None
    return found


def fault(folder: Path, **sql: Any) -> str:
    """The only fault of these settings."""
    with pytest.raises(LoadError) as caught:
        loaded(folder, **sql)
    (found,) = caught.value.faults
    return f"{found.path}: {found.message}"


def test_the_reference(tmp_path: Path) -> None:
    """Every key is read."""
    (tmp_path / "c.yaml").write_text(REFERENCE)
    people, members = (one.sql for one in load_settings(tmp_path / "c.yaml", {}).authentication[5:7])
    assert people is not None
    assert members is not None
    query = "SELECT password_hash, subject, labels FROM users WHERE name = :user"
    assert people.model_dump() == {
        "name": "people",
        "preset": "docker_auth",
        "url": "mariadb://reader@people.example.com/people",
        "url_password_file": tmp_path / "people-password",
        "ca_file": tmp_path / "people-ca.pem",
        "insecure_plaintext": False,
        "query": query,
        "find": query.replace("WHERE name", "WHERE BINARY subject"),
        "group_labels": ("project",),
        "deadline": 4,
        "cache": 15,
        "stale_grace": 300,
    }
    assert (people.file, people.is_mariadb, people.user_query) == (None, True, query)
    assert (members.is_mariadb, members.insecure_plaintext, members.find_query) == (False, True, members.query)


def test_three_lines(tmp_path: Path) -> None:
    """A file and a preset are enough."""
    found = loaded(tmp_path, url="people.db", preset="docker_auth")
    assert (found.file, found.name) == (tmp_path / "people.db", "sql")
    assert found.user_query == found.find_query == QUERIES["docker_auth"]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("sqlite:people.db", "is a URL of SQLite; write the path of the file alone"),
        ("sqlite:///people.db", "must be the path of an SQLite file, or a URL such as"),
        ("oracle://reader@db/people", "must be the path of an SQLite file, or a URL such as"),
        ("postgresql://reader:canary@db/people", "must not contain a password"),
        ("postgresql://reader:@db/people", "must not contain a password"),
        ("postgresql://reader@db/people?password=canary", "must not contain a password"),
        ("postgresql://reader@db", "must have a user, a host and the name of a database"),
        ("postgresql://reader@db:0/people", "must have a user, a host and the name of a database"),
        ("postgresql://reader@db/peo ple", "must have a user, a host and the name of a database"),
        ("postgresql://reader@db:canary/people", "is no URL"),
        ("postgresql://[canary/people", "is no URL"),
        ("postgresql://reader@db/people?options=-c%20x", "has the parameter 'options'"),
        ("mariadb://reader@db/people?local_infile=1", "has the parameter 'local_infile'"),
    ],
)
def test_urls(tmp_path: Path, url: str, problem: str) -> None:
    """No fault repeats a URL, which may hold a password (docs/design/threats.md#threat-206)."""
    found = fault(tmp_path, url=url, query=QUERY)
    assert found.startswith(f"authentication[0].sql.url: {problem}")
    assert "canary" not in found


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({}, ".query: is missing, such as SELECT"),
        ({"query": "SELECT 1"}, ".query: must compare with :user"),
        ({"query": QUERY, "find": "DELETE"}, ".find: must be a SELECT"),
        ({"query": QUERY, "preset": "other"}, ".preset: "),
        ({"query": WITHOUT_SUBJECT, "url": "mariadb://r@db/p"}, ".query: must return the name as the table spells it"),
        (
            {"query": QUERY, "find": WITHOUT_SUBJECT, "url": "mysql://r@db/p"},
            ".find: must return the name as the table spells it",
        ),
        ({"query": QUERY, "url_password_file": "p"}, ".url_password_file: has no effect: url is the path of a file"),
        ({"query": QUERY, "ca_file": "p"}, ".ca_file: has no effect"),
        ({"query": QUERY, "insecure_plaintext": True}, ".insecure_plaintext: has no effect"),
        (
            {"query": QUERY, "url": "mariadb://r@db/p", "insecure_plaintext": True, "ca_file": "p"},
            ".ca_file: verifies nothing without TLS",
        ),
        (
            {"query": QUERY, "url": "postgresql://r@db/p?sslmode=require", "insecure_plaintext": True},
            ".insecure_plaintext: contradicts the parameters of url",
        ),
        (
            {"query": QUERY, "url": "postgresql://r@db/p?sslrootcert=/ca", "ca_file": "p"},
            ".ca_file: contradicts the parameters of url",
        ),
        ({"query": QUERY, "deadline": "11s"}, ".deadline: must be from 1s to 10s"),
        ({"query": QUERY, "group_labels": [""]}, ".group_labels[0]: "),
    ],
)
def test_what_does_not_go_together(tmp_path: Path, more: dict[str, Any], problem: str) -> None:
    """Each with its place, before anything is asked."""
    assert fault(tmp_path, **{"url": "people.db", **more}).startswith(f"authentication[0].sql{problem}")


def test_postgresql_needs_no_subject(tmp_path: Path) -> None:
    """It compares letter by letter."""
    assert loaded(tmp_path, url="postgresql://r@db/p", query=WITHOUT_SUBJECT).user_query == WITHOUT_SUBJECT
