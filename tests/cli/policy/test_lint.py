"""`tokenserver policy lint`: findings as lines and as JSON, its exit codes, and `--directory` without a directory."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from click.testing import CliRunner
from policy_commands import Run, facts, write

from tokenserver.cli import main

CLEAN = """\
version: 1
allow:
  - {id: public, to: [everyone], repositories: ["public/**"], role: reader}
tests:
  - {as: anonymous, can: [pull public/x], cannot: [push public/x]}
"""
MACHINES = """\
version: 1
workloads:
  web: {from: ci, claims: {sub: job, repository: octo-org/web, ref: refs/heads/main}}
allow:
  - {id: public, to: ["workload:web"], repositories: ["public/**"], role: reader}
"""
TWICE = CLEAN.replace("tests:", '  - {id: again, to: [everyone], repositories: ["public/a"], role: reader}\ntests:')


def test_no_findings(run: Run, folder: Path) -> None:
    """Exit code 0, and how many rules there are."""
    write(folder / "web.yaml", CLEAN)
    result = run("lint")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "1 rules, no findings\n")
    assert facts(run("lint", "--json")) == []


def test_findings(run: Run, folder: Path) -> None:
    """Exit code 1; file, line and code, and the page that explains it."""
    write(folder / "web.yaml", TWICE)
    result = run("lint")
    assert result.exit_code == 1
    (line,) = result.stdout.splitlines()
    assert line.startswith(f"{folder / 'web.yaml'}:4: TS")
    assert result.stderr == "1 finding; tokenserver help policy-lint explains each code\n"
    (found,) = facts(run("lint", "--json"))
    assert f"{found['file']}:{found['line']}: {found['code']} {found['text']}" == line


def test_the_preset_of_a_source_is_that_of_the_configuration(run: Run, folder: Path, site: Path) -> None:
    """From claims alone a source is guessed; one whose preset is `none` has no ids that GitHub's have."""
    write(folder / "web.yaml", MACHINES)
    assert "TS132" in {one["code"] for one in facts(run("lint", "--json"))}
    source = {"name": "ci", "issuer": "https://ci.example.com", "keys": {"file": "jwks.json"}}
    settings = yaml.safe_load(site.read_text())
    for preset, is_found in (("github_actions", True), ("none", False)):
        entry = {"workload": {**source, "preset": preset}}
        site.write_text(yaml.safe_dump({**settings, "authentication": [*settings["authentication"], entry]}))
        found = CliRunner().invoke(main, ["policy", "lint", "--json", "--config", str(site)])
        codes = {one["code"] for one in json.loads(found.stdout)}
        assert ("TS132" in codes) is is_found


def test_directory_needs_a_directory(run: Run, site: Path) -> None:
    """Wrong use, with what is missing."""
    bare = run("lint", "--directory")
    assert (bare.exit_code, "needs --config, not --policies" in bare.stderr) == (2, True)
    configured = CliRunner().invoke(main, ["policy", "lint", "--directory", "--config", str(site)])
    assert (configured.exit_code, "the configuration has no directory (ldap:)" in configured.stderr) == (2, True)
