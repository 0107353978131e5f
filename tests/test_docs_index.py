"""Whoever comes next finds their way: the index of the pages, CONTRIBUTING, and the files that platforms read."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tokenserver import __version__
from tokenserver.config.introspection import paths
from tokenserver.config.settings import Settings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def linked_from(index: Path) -> list[Path]:
    """The pages that an index links to, as often as it does."""
    targets = re.findall(r"\]\(([^)#:]+\.md)\)", index.read_text("utf-8"))
    return [(index.parent / target).resolve() for target in targets]


def test_every_page_is_in_the_index_once() -> None:
    """Decisions are in the index of decisions, and every other page is in docs/README.md."""
    pages = {path for path in DOCS.rglob("*.md") if path != DOCS / "README.md"}
    decisions = {path for path in pages if re.match(r"\d{4}-", path.name)}
    index = [path for path in linked_from(DOCS / "README.md") if path.is_relative_to(DOCS)]
    assert sorted(index) == sorted(pages - decisions)
    assert sorted(linked_from(DOCS / "decisions" / "README.md")) == sorted(decisions)


def test_every_module_of_the_end_to_end_tests_is_in_their_table_once() -> None:
    """Of tests/e2e/README.md, which says what each of them shows."""
    folder = ROOT / "tests" / "e2e"
    rows = re.findall(r"^\| (`test_.+?`) \|", (folder / "README.md").read_text("utf-8"), re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+\.py)`", row)]
    assert sorted(named) == sorted(path.name for path in folder.glob("test_*.py"))


def test_decisions_are_numbered_and_have_their_parts() -> None:
    """From 1 on without a gap, each with context, decision, consequences and alternatives."""
    files = sorted(path for path in (DOCS / "decisions").glob("*.md") if path.name != "README.md")
    for number, path in enumerate(files, 1):
        text = path.read_text("utf-8")
        assert path.name.startswith(f"{number:04}-")
        assert text.startswith(f"# {number}. ")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Alternatives"]


def test_every_configuration_key_is_on_the_page_of_the_contract() -> None:
    """A new key of the settings has a row, under the section that it belongs to."""
    page = (DOCS / "design" / "configuration.md").read_text("utf-8")
    words = set(re.findall(r"`([a-z_]+)`", page)) | set(re.findall(r"^#+ ([a-z_]+)$", page, re.MULTILINE))
    names = {str(step) for path in paths(Settings) for step in path if isinstance(step, str)}
    assert names - words == set()


def test_make_targets_that_pages_name_exist() -> None:
    """Whatever a page tells people to run is in the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    pages = [*ROOT.glob("*.md"), *(ROOT / ".github").rglob("*.md"), *DOCS.rglob("*.md")]
    named = {
        target
        for page in pages
        for target in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE)
    }
    assert {"quick", "test-fast", "lint"} <= named
    assert named - targets == set()


def read(name: str) -> Any:
    """A YAML file of the project's surface."""
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


FORMS = sorted(path.name for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")


@pytest.mark.parametrize("name", FORMS)
def test_issue_forms(name: str) -> None:
    """A form has a name, a description and fields with ids of their own, and every input has a label."""
    form = read(f".github/ISSUE_TEMPLATE/{name}")
    assert form["name"]
    assert form["description"]
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    ids = [field["id"] for field in fields]
    assert len(set(ids)) == len(ids) > 0
    assert all(field["attributes"]["label"] for field in fields)


def test_the_workflow_runs_the_proof_with_read_permission() -> None:
    """It runs .ci/run on the oldest and the newest Python, may only read, and pins its actions."""
    workflow = read(".github/workflows/ci.yml")
    job = workflow["jobs"]["run"]
    assert workflow["permissions"] == {"contents": "read"}
    assert job["strategy"]["matrix"]["python"][0] == "3.11"
    assert job["steps"][-1]["run"] == ".ci/run"
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert [action for action in used if re.fullmatch(r"actions/[a-z-]+@v\d+", action) is None] == []


def test_hooks_use_the_programs_of_the_environment() -> None:
    """Nothing is downloaded: hooks are local and call .venv, with every program of `make lint`."""
    hooks = read(".pre-commit-config.yaml")
    assert [repository["repo"] for repository in hooks["repos"]] == ["local"]
    entries = [hook["entry"] for repository in hooks["repos"] for hook in repository["hooks"]]
    assert {entry.split()[0] for entry in entries} == {f".venv/bin/{name}" for name in ("ruff", "mypy", "lint-imports")}


def test_the_changelog_has_the_version() -> None:
    """The newest dated section is the package's version, below what is not released yet."""
    titles = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert titles[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d", titles[1]) is not None


def test_the_package_ships_its_types() -> None:
    """PEP 561: the marker is there, and empty."""
    tracked = subprocess.check_output(["git", "ls-files", "tokenserver/py.typed"], cwd=ROOT, text=True)
    assert tracked.strip() == "tokenserver/py.typed"
    assert (ROOT / "tokenserver" / "py.typed").read_text("utf-8") == ""
