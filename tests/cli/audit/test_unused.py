"""`tokenserver audit unused`: rules that were not used, in whole or in part, machines, denies, and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from audit_lines import exchange, log
from click.testing import CliRunner, Result

from tokenserver.cli.audit import unused as module
from tokenserver.cli.main import main

_POLICY = """\
version: 1
robots:
  ci:
    secrets:
      - {id: AAAAAAAAAAAA, hash: "sha256:HASH", expires: 2099-01-01}
      - {id: BBBBBBBBBBBB, hash: "sha256:HASH", expires: 2099-01-01}
  idle: {description: nobody}
allow:
  - {id: web, to: ["user:ann", "group:old", "robot:ci"], repositories: ["web/**", "gone/*"], role: writer}
  - {id: legacy, to: [everyone], repositories: ["legacy/**"], actions: [pull]}
deny:
  - {id: freeze, to: ["user:eve"], repositories: ["web/**"], actions: [push]}
""".replace("HASH", "0" * 64)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A policy folder."""
    path = tmp_path / "policies"
    path.mkdir(mode=0o755)
    (path / "web.yaml").write_text(_POLICY)
    (path / "web.yaml").chmod(0o644)
    return path


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """A pull and a login of a robot; and an older event, of another rule."""
    rules = [{"resource": "repository:web/prod/site", "action": "pull", "effect": "allow", "rule": "web"}]
    path = tmp_path / "audit.jsonl"
    path.write_bytes(
        log(
            exchange(time="2026-01-03T12:00:00.000Z", granted=["repository:legacy/x:pull"],
                     rules=[{**rules[0], "resource": "repository:legacy/x", "rule": "legacy"}]),
            exchange(asked=["repository:web/prod/site:pull"], granted=["repository:web/prod/site:pull"], rules=rules),
            exchange(subject="robot:ci", kind="robot", credential="AAAAAAAAAAAA", asked=[], granted=[], rules=[]),
        )
    )  # fmt: skip
    return path


def unused(folder: Path, *arguments: object) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["audit", "unused", *map(str, arguments), "--policies", str(folder)])


def test_table(folder: Path, events: Path) -> None:
    """A row for each rule that could be smaller, and a line for everything else."""
    result = unused(folder, events, "--since", "2026-11-01")
    assert result.exit_code == 1, result.output
    heads, web, legacy, *rest = (" ".join(line.split()) for line in result.stdout.splitlines())
    assert heads == "RULE AT USED LAST WOULD SUFFICE"
    assert web == (
        "web web.yaml:9 1 times 2026-11-03T12:00:00.250Z actions: [pull]; to: without robot:ci, group:old; "
        "repositories: without gone/*; repositories: web/prod/site in place of web/**"
    )
    assert legacy == "legacy web.yaml:10 never - no such rule"
    assert rest == [
        "robot:idle did not log in",
        "secret BBBBBBBBBBBB of robot:ci was not used",
        "deny freeze (web.yaml:12) stopped nobody",
    ]
    assert result.stderr == "2 exchanges from 2026-11-03T12:00:00.250Z to 2026-11-03T12:00:00.250Z\n"


def test_json(folder: Path, events: Path) -> None:
    """The same facts; without --since the older event counts."""
    result = unused(folder, events, "--json")
    assert result.exit_code == 1
    facts = json.loads(result.stdout)
    assert [(one["rule"], one["count"], one["narrower"]) for one in facts["rules"]] == [
        ("web", 1, {"web/**": "web/prod/site"}),
        ("legacy", 1, {"legacy/**": "legacy/x"}),
    ]
    assert (facts["machines"], facts["exchanges"]) == (["robot:idle"], 3)
    assert facts["secrets"] == [{"robot": "ci", "credential": "BBBBBBBBBBBB"}]
    assert facts["idle_denies"] == [{"rule": "freeze", "at": "web.yaml:12"}]


def test_many_rules(folder: Path, events: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table has an end."""
    monkeypatch.setattr(module, "SHOWN", 1)
    lines = unused(folder, events).stdout.splitlines()
    assert lines[1].startswith("web ")
    assert lines[2] == "and 1 more"


def test_everything_is_used(tmp_path: Path, folder: Path) -> None:
    """Exit code 0; denies that stopped nobody are no finding by themselves."""
    (folder / "web.yaml").write_text(
        "version: 1\n"
        'allow: [{id: web, to: ["user:ann"], repositories: [web/site], role: writer}]\n'
        'deny: [{id: freeze, to: ["user:eve"], repositories: [web/site], actions: [push]}]\n'
    )
    cited = {"resource": "repository:web/site", "effect": "allow", "rule": "web"}
    rules = [{**cited, "action": action} for action in ("pull", "push")]
    (tmp_path / "a").write_bytes(log(exchange(rules=rules)))
    result = unused(folder, tmp_path / "a")
    assert (result.exit_code, result.stdout) == (0, "deny freeze (web.yaml:3) stopped nobody\n")


def test_no_exchange(folder: Path, events: Path) -> None:
    """Nothing can be said."""
    result = unused(folder, events, "--until", "2020-01-01")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "there is no exchange in these events, so nothing can be said about use\n"


def test_broken_policies(folder: Path, events: Path) -> None:
    """Exit code 2."""
    (folder / "web.yaml").write_text("version: 2\n")
    assert unused(folder, events).exit_code == 2
