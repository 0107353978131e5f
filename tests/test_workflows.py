""".github/workflows: what runs there with which rights; tests/e2e/test_release.py lints them with actionlint.

See docs/design/threats.md#threat-230.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from release.__main__ import _parser

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))
WORKFLOWS: dict[str, dict[Any, Any]] = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in FILES}
JOBS = [
    pytest.param(name, job, id=f"{workflow}-{name}")
    for workflow, found in WORKFLOWS.items()
    for name, job in found["jobs"].items()
]

ACTIONS = {
    "actions/cache@v5",
    "actions/checkout@v5",
    "actions/download-artifact@v7",
    "actions/upload-artifact@v6",
}
"""Those of the service itself, which also runs the machines; everything else is a program with a pinned version."""

RIGHTS = {
    "build": {"contents": "read"},
    "compare": {"contents": "read"},
    "publish": {"contents": "read", "packages": "write"},
    "sign": {"contents": "read", "packages": "write", "id-token": "write"},
    "draft": {"contents": "write", "packages": "read"},
}
"""Of the jobs of a release: what builds cannot publish, and what publishes cannot sign."""


def test_rights_of_the_release() -> None:
    """Nothing by default, and for each job only what it does."""
    assert WORKFLOWS["release"]["permissions"] == {}
    assert {name: job["permissions"] for name, job in WORKFLOWS["release"]["jobs"].items()} == RIGHTS


def test_rights_of_other_workflows() -> None:
    """They read."""
    others = {name: found for name, found in WORKFLOWS.items() if name != "release"}
    assert {name: found["permissions"] for name, found in others.items()} == {"ci": {"contents": "read"}}
    assert [job for found in others.values() for job in found["jobs"].values() if "permissions" in job] == []


def test_events() -> None:
    """A release begins with a tag or by hand; no workflow runs a stranger's change with our rights."""
    assert WORKFLOWS["release"][True] == {"push": {"tags": ["v*"]}, "workflow_dispatch": None}
    assert [name for name, found in WORKFLOWS.items() if "pull_request_target" in found[True]] == []


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_actions(name: str, job: dict[str, Any]) -> None:
    """Only listed ones, and a checkout leaves no token behind."""
    used = [step for step in job["steps"] if "uses" in step]
    assert {step["uses"] for step in used} <= ACTIONS
    checkouts = [step for step in used if step["uses"].startswith("actions/checkout")]
    assert [step["with"]["persist-credentials"] for step in checkouts] == [False]
    assert job["timeout-minutes"] > 0


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_no_text_becomes_a_command(name: str, job: dict[str, Any]) -> None:
    """Names of branches and tags come as variables: an expression in a script would be run as a part of it."""
    scripts = [step["run"] for step in job["steps"] if "run" in step]
    assert scripts
    assert [script for script in scripts if "${{" in script] == []


def test_the_only_secret_is_the_token_of_the_run() -> None:
    """No secret of the repository is needed: cosign signs by the identity of the workflow."""
    for path in FILES:
        assert re.findall(r"\bsecrets\.", path.read_text("utf-8")) == []


def test_commands_of_the_release() -> None:
    """Each step that they name exists, takes these arguments, and each is there that a release needs, in order."""
    steps = []
    for job in WORKFLOWS["release"]["jobs"].values():
        for step in job["steps"]:
            for words in re.findall(r"-m release (.+)$", step.get("run", ""), re.MULTILINE):
                given = _parser().parse_args(shlex.split(words))
                steps.append((given.step.__name__, str(given.folder)))
    assert steps == [(name, "dist") for name in ("build", "merge", "publish", "sign", "verify")]


def test_jobs_wait_for_each_other() -> None:
    """Nothing is published before it was compared, and a page is drafted after everything was verified."""
    jobs = WORKFLOWS["release"]["jobs"]
    assert [jobs[name].get("needs") for name in RIGHTS] == [None, "build", "compare", "publish", "sign"]
    assert [name for name, job in jobs.items() if "ref_type == 'tag'" in job.get("if", "")] == ["publish"]
    assert [name for name, job in jobs.items() if job.get("environment") == "release"] == ["publish", "sign"]


def test_tools_of_the_release() -> None:
    """The versions that the tests use."""
    listed = subprocess.check_output([ROOT / "scripts/release-tools", "--list"], text=True).splitlines()
    tested = (ROOT / "scripts/real-servers").read_text("utf-8")
    assert [re.sub(r"@v[\d.]+$", "", one).rpartition("/")[2] for one in listed] == ["crane", "helm", "cosign"]
    assert [one for one in listed if f"\n  {one}\n" not in tested] == []


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_who_has_the_token(name: str, job: dict[str, Any]) -> None:
    """The step that uses it alone: packages run code of their own when they are installed, and built."""
    assert "github.token" not in str(job.get("env"))
    having = {step["name"]: step["run"] for step in job["steps"] if "github.token" in str(step.get("env"))}
    assert having.keys() <= {"Log in", "Draft"}
    assert [script for script in having.values() if re.search(r"\bmake\b|\bpip\b|release-tools|python", script)] == []
    assert [step for step in job["steps"] if "secrets." in str(step)] == []
