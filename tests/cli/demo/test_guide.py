"""The closing block: every fact, every command quoted, and nothing of a password that was shown before."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tokenserver.cli.demo.clients import CLIENTS, Target
from tokenserver.cli.demo.guide import Started, block, with_registry, without_client, without_registry

STARTED = Started(
    program=".venv/bin/tokenserver",
    config="run/tokenserver.yaml",
    url="http://localhost:5001",
    service="localhost:5000",
    user="admin",
    password="secret-of-the-first-start",
    policies="policies/",
)

FIRST = """
ready at  http://localhost:5001
user      admin
password  secret-of-the-first-start    (not shown again)
pages     http://localhost:5001/    (log in there: access keys, logins, what you may do and why)
policies  policies/    (changes are live within two seconds)
stop      Ctrl-C

Try in a second terminal:

  # a token for a namespace of your own; asks for the password
  curl --user admin 'http://localhost:5001/token?service=localhost:5000&scope=repository:users/admin/hello:pull,push'

  # why a push to production is denied
  .venv/bin/tokenserver policy why push web/prod/hello --user admin --config run/tokenserver.yaml

  # the same with a registry next to it, for docker login and push
  make demo
"""


def test_a_server_alone() -> None:
    """The whole block of a first `make run`."""
    assert block(STARTED, None, without_registry(STARTED, "make demo")) == FIRST


def test_a_later_start() -> None:
    """Instead of the password, the command that sets a new one."""
    text = block(STARTED._replace(password=None), None, [])
    renew = ".venv/bin/tokenserver users set admin --config run/tokenserver.yaml"
    assert f"\npassword  created at the first start; a new one: {renew}\n" in text


def test_with_a_registry() -> None:
    """Its address, and four commands in the order of a try."""
    client = CLIENTS["skopeo"](Target("localhost:5000", "admin", Path("run/demo")))
    steps = with_registry(STARTED, client)
    assert [step.command.split()[0] for step in steps] == ["skopeo", "skopeo", "skopeo", ".venv/bin/tokenserver"]
    text = block(STARTED, "localhost:5000 (registry)", steps)
    assert "\nregistry  localhost:5000 (registry)\n" in text
    assert all(f"\n  {step.command}\n" in text for step in steps)


def test_without_a_client() -> None:
    """Which ones can be installed, and what works meanwhile."""
    first, second = without_client(STARTED)
    assert all(name in first.about for name in CLIENTS)
    assert first.command.startswith("curl ")
    assert " policy why push web/prod/hello " in second.command


@pytest.mark.parametrize("make", [without_client, lambda started: without_registry(started, "demo")])
def test_a_user_is_one_word_of_the_shell(make: object) -> None:
    """Whatever name was given."""
    assert callable(make)
    steps = make(STARTED._replace(user="a b"))
    assert "--user 'a b' " in steps[0].command
    assert "--user 'a b' " in steps[1].command


def test_the_block_of_the_page() -> None:
    """docs/try-it.md shows what is printed."""
    page = (Path(__file__).parents[3] / "docs" / "try-it.md").read_text("utf-8")
    (shown,) = re.findall(r"<!-- test: demo -->\n```\n(.*?)```", page, re.DOTALL)
    password = re.search(r"password  (\S+)", shown)
    assert password is not None
    started = STARTED._replace(config="run/demo/tokenserver.yaml", password=password[1])
    client = CLIENTS["skopeo"](Target("localhost:5000", "admin", Path("run/demo")))
    assert shown == block(started, "localhost:5000 (docker-registry)", with_registry(started, client)).lstrip("\n")
