"""docs/sql-users.md: its settings load, its commands work at the table of its statements, and its messages exist."""

from __future__ import annotations

import re
import shlex
import sqlite3
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from configuration import MINIMAL
from htpasswd_users import GOOD

from tokenserver.authn.passwords import COST
from tokenserver.authn.sql.columns import LIMITS
from tokenserver.authn.sql.engines import MORE, POOL
from tokenserver.authn.sql.failures import _ADVICE
from tokenserver.authn.sql.presets import QUERIES
from tokenserver.cli import main
from tokenserver.config.load import load_settings
from tokenserver.config.sources.sql import Sql

PAGE = (Path(__file__).parents[2] / "docs" / "sql-users.md").read_text(encoding="utf-8")
BLOCKS = [textwrap.dedent(text) for text in re.findall(r"(?ms)^ *```yaml\n(.*?)^ *```$", PAGE)]
COMMANDS = [line.strip() for line in re.findall(r"(?m)^ +tokenserver .*$", PAGE)]


def section(text: str) -> dict[str, Any]:
    """The keys of a block; one that only shows some of them is completed by the smallest others."""
    if text.startswith("authentication"):
        found: dict[str, Any] = yaml.safe_load(text)["authentication"][0]["sql"]
        return found
    return {"url": "app.db", **yaml.safe_load(text)}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new configuration whose people are in a table as on the page."""
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, ["init", "."]).exit_code == 0
    (columns,) = re.findall(r"GRANT SELECT \((.*?)\) ON users", PAGE)
    connection = sqlite3.connect("app.db")
    with connection:
        connection.execute(f"CREATE TABLE users ({columns})")
        connection.execute("INSERT INTO users VALUES ('ann', ?, 'web-devs', 1), ('eve', ?, '', 0)", (GOOD, GOOD))
    connection.close()
    file = tmp_path / "tokenserver.yaml"
    text = yaml.safe_load(file.read_text())
    text["authentication"] = [{"sql": {"url": "app.db", "query": section(BLOCKS[0])["query"]}}]
    file.write_text(yaml.safe_dump(text))
    return tmp_path


def test_the_page_has_what_is_tested() -> None:
    """The other tests are about something."""
    assert (len(BLOCKS), COMMANDS) == (3, ["tokenserver check", "tokenserver policy why pull web/site --as ann"])


def test_commands(site: Path) -> None:
    """They answer what the page says; so does the refusal of an account."""
    output = ""
    for command in COMMANDS:
        result = CliRunner().invoke(main, shlex.split(command)[1:])
        assert (command, result.stderr) == (command, "")
        output += result.stdout
    assert f"sql at {site / 'app.db'}; not contacted" in output
    assert "for ann (bringing web-devs)" in output
    refused = CliRunner().invoke(main, ["policy", "why", "pull", "web/site", "--as", "eve"])
    assert refused.exit_code == 2
    assert "the account is disabled" in refused.stderr
    unknown = CliRunner().invoke(main, ["policy", "why", "pull", "web/site", "--as", "nobody"])
    assert "no user source knows 'nobody' (asked: sql)" in unknown.stderr


@pytest.mark.parametrize("text", BLOCKS, ids=range(len(BLOCKS)))
def test_settings(text: str, tmp_path: Path) -> None:
    """Each is accepted."""
    values = yaml.safe_load(MINIMAL) | {"authentication": [{"sql": section(text)}]}
    file = tmp_path / "tokenserver.yaml"
    file.write_text(yaml.safe_dump(values))
    found = load_settings(file, {}).authentication[0].sql
    assert isinstance(found, Sql)
    assert found.preset is None or "xorm_user" in QUERIES[found.preset]


def test_columns() -> None:
    """The table has all of them."""
    (table,) = re.findall(r"(?s)\| column \| meaning \|\n(.*?)\n\n", PAGE)
    assert set(re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines()))) == LIMITS.keys()


def test_messages() -> None:
    """Every message of the table is one that has advice, or that the server makes itself."""
    (table,) = re.findall(r"(?s)\| message \| fix \|\n\|---\|---\|\n(.*?)\n\n", PAGE)
    named = re.findall(r"`([^`]+)`", " ".join(row.split("|")[1] for row in table.splitlines()))
    assert named
    for message in named:
        assert any(part in message.lower() for part in _ADVICE) or message.startswith("the query returns no column")


def test_figures() -> None:
    """They are those of the code."""
    assert f"keeps {'two' if POOL == 2 else POOL} connections to the database, and opens four more" in PAGE
    assert (MORE, COST) == (4, 10)
