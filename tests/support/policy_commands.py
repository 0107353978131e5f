"""A policy folder, a configuration next to it, and `tokenserver policy …` run on them as the command line does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from users_commands import GOOD

from tokenserver.cli import main

Run = Callable[..., Result]

POLICY = """\
version: 1
groups:
  web: {users: [bob], groups: [web-dev]}
allow:
  - {id: web-developers, to: ["group:web"], repositories: ["web/**"], role: writer}
  - {id: kim, to: ["user:kim"], repositories: ["web/app"], role: reader, when: {until: 2027-01-01, from: [10.0.0.0/8]}}
  - {id: public, to: [everyone], repositories: ["public/**"], role: reader}
deny:
  - {id: freeze, to: [everyone], except: ["user:bob"], repositories: ["web/prod/*"], actions: [push], message: ask bob}
tests:
  - {as: {user: bob}, can: [push web/prod/x]}
  - {what_can: "user:eve", exactly: [pull public/**]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bare policy folder."""
    path = tmp_path / "policies"
    path.mkdir(mode=0o755)
    write(path / "web.yaml", POLICY)
    return path


def write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o644)


@pytest.fixture
def run(folder: Path) -> Run:
    """Run a `policy` command on the bare folder."""

    def run(*arguments: str | Path, stdin: str | None = None) -> Result:
        return CliRunner().invoke(main, ["policy", *map(str, arguments), "--policies", str(folder)], input=stdin)

    return run


@pytest.fixture
def site(tmp_path: Path, folder: Path) -> Path:
    """A configuration next to the folder, with one user."""
    write(tmp_path / "users.htpasswd", f"ann:{GOOD}\n")
    config = tmp_path / "tokenserver.yaml"
    write(
        config,
        "issuer: auth\nserver: {listen: '127.0.0.1:5001', url: 'http://localhost:5001'}\n"
        "registries: [{service: registry.example.com}]\nauthentication: [{htpasswd: {file: users.htpasswd}}]\n"
        "policies: policies\nkeys: keys\n",
    )
    return config


def facts(result: Result) -> Any:
    return json.loads(result.stdout)


EVERY_WORD = """\
version: 1
groups:
  reg-web-rw: {users: [bob], groups: [web-dev]}
allow:
  - id: teams
    to: ["group:reg-{team}-rw", "group:adm-{team}"]
    repositories: ["${team}/**", "shared/${team}-*"]
    not: ["*/prod/**", shared/web-x]
    role: writer
  - {id: own, to: [authenticated], repositories: ["home-${user}/**"], role: writer}
deny:
  - id: freeze
    to: [everyone]
    except: ["user:bob"]
    repositories: ["web/f/**"]
    not: ["web/f/open/**"]
    actions: [push]
  - {id: no, to: ["group:no-{team}"], repositories: ["${team}/secret"], actions: [push]}
tests:
  - {who_can: push web/a, exactly: ["group:reg-web-rw", "group:adm-web"]}
  - {who_can: push web/prod/a, exactly: []}
  - {what_can: authenticated, exactly: ["pull,push home-${user}/**"]}
  - what_can: {user: ann, groups: [adm-web]}
    exactly:
      - pull web/** except */prod/**
      - pull shared/web-* except shared/web-x
      - push web/** except */prod/** web/f/**
      - push web/f/open/** except */prod/**
      - push shared/web-* except shared/web-x
      - pull,push home-ann/**
"""
"""Rules with `not`, captures, and variables inside segments."""
