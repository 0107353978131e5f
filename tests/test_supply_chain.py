"""What is installed, imported and shipped: only what is declared, pinned and reproducible.

See docs/design/threats.md#threat-106, docs/design/threats.md#threat-107, docs/design/threats.md#threat-108 and
docs/design/threats.md#threat-110.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pinned_packages import CONSTRAINTS, DEVELOPMENT, EXTRAS, PINS, PROJECT, RUNTIME, closure
from syntax_trees import modules, nodes

ROOT = Path(__file__).parents[1]


def test_every_installed_package_is_pinned() -> None:
    """What runs and what tests is one known version each, whatever was released since.

    See docs/design/threats.md#threat-106.
    """
    installed = closure([*RUNTIME, *EXTRAS, *DEVELOPMENT])
    assert {name: package.version for name, package in installed.items() if PINS.get(name) != package.version} == {}


def test_constraints_are_plain_pins() -> None:
    """Nothing but `name==version`, so that no address of an index can come in unseen.

    See docs/design/threats.md#threat-106.
    """
    lines = [line for line in CONSTRAINTS if line and not line.startswith("#")]
    assert [line for line in lines if re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+", line) is None] == []


@pytest.mark.parametrize("requirement", [*RUNTIME, *EXTRAS, *DEVELOPMENT], ids=str)
def test_every_dependency_has_a_lower_bound_that_its_pin_keeps(requirement: Requirement) -> None:
    """An installation without the constraints gets nothing older than what was looked at.

    See docs/design/threats.md#threat-106.
    """
    assert any(specifier.operator in (">=", "==", "~=") for specifier in requirement.specifier)
    assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)])


OPTIONAL = {"pygments"}
"""Packages that others use only where they are: Mako, which Alembic requires, for templates that nobody renders."""


@pytest.mark.long
def test_the_server_imports_only_what_it_declares() -> None:
    """The production server loads no package that nobody declared, such as one of the tests'.

    See docs/design/threats.md#threat-106.
    """
    program = (
        "import sys, pkgutil, importlib, tokenserver\n"
        "for one in pkgutil.walk_packages(tokenserver.__path__, 'tokenserver.'):\n"
        "    if one.name != 'tokenserver.__main__': importlib.import_module(one.name)\n"
        "print('\\n'.join(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", program]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    owners = packages_distributions()
    outside = {name for name in loaded if name in owners and name != "tokenserver"}
    declared = closure([*RUNTIME, *EXTRAS])
    known = {name for name in outside if any(canonicalize_name(owner) in declared for owner in owners[name])}
    # What an environment injects into every process (a coverage hook, say) is there without us as well.
    bare = [sys.executable, "-W", "ignore", "-c", "import sys; print('\\n'.join(sys.modules))"]
    before = {name.partition(".")[0] for name in subprocess.check_output(bare, text=True, timeout=60).split()}
    assert outside - known - before <= OPTIONAL
    assert {"flask", "jwt", "ldap3", "passlib", "granian"} <= known


def build_wheel(folder: Path, source: Path = ROOT) -> Path:
    """The wheel, built from this tree or another."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.long
def test_the_wheel_is_reproducible_and_holds_the_package_alone(tmp_path: Path) -> None:
    """Built twice it is the same, byte for byte, and nothing but the package, samples and pages is in it.

    See docs/design/threats.md#threat-106 and docs/design/threats.md#threat-107.
    """
    first, second = build_wheel(tmp_path / "first"), build_wheel(tmp_path / "second")
    assert hashlib.sha256(first.read_bytes()).digest() == hashlib.sha256(second.read_bytes()).digest()
    names = zipfile.ZipFile(first).namelist()
    assert [name for name in names if not name.startswith(("tokenserver/", "tokenserver-"))] == []
    kinds = {Path(name).suffix for name in names if name.startswith("tokenserver/")}
    assert kinds <= {".py", ".yaml", ".json", ".typed", ".md", ".html", ".css", ".svg"}
    shipped = {
        re.sub(r"^tokenserver/(?:samples/(?=policies/)|(?=docs/))", "", name)
        for name in names
        if not name.startswith("tokenserver-")
    }
    assert shipped == {*tracked("tokenserver", "policies"), *tracked(":(glob)docs/*.md")}


def tracked(*paths: str) -> list[str]:
    """The files of the repository below these paths, with those that are not committed yet."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *paths]
    return subprocess.check_output(command, cwd=ROOT, text=True).split()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files as an installation has them, with no checkout around them."""
    folder = tmp_path_factory.mktemp("installed")
    shutil.unpack_archive(build_wheel(tmp_path_factory.mktemp("wheel")), folder, "zip")
    return folder


def run_installed(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed package's command, and see that it is that one."""
    program = (
        "import sys, tokenserver; assert tokenserver.__file__.startswith(sys.argv.pop(1)), tokenserver.__file__;"
        "from tokenserver.__main__ import run; sys.exit(run())"
    )
    command = [sys.executable, "-c", program, str(installed), *arguments]
    environment = {"PYTHONPATH": str(installed), "PATH": os.defpath}
    return subprocess.run(
        command, check=False, cwd=installed, env=environment, capture_output=True, text=True, timeout=60
    )


def messages() -> Iterator[tuple[str, str]]:
    """Every string of the package that is no docstring, with its module. A JSON Schema's descriptions are such."""
    for module in modules():
        prose = {id(node.value) for node in nodes(module) if isinstance(node, ast.Expr)}
        for node in nodes(module):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
                yield f"tokenserver/{module}", node.value


def test_no_message_names_a_file_that_an_installation_lacks() -> None:
    """A page is named by the command that shows it, not by its file in a checkout."""
    pages = re.compile(r"(?:\bdocs/|\b(?:README|CONTRIBUTING|SECURITY)\.md)")
    found = [(module, text) for module, text in messages() if pages.search(text) and "docs/spec/" not in text]
    assert found == []


def test_every_page_that_a_message_names_is_shown(installed: Path) -> None:
    """`tokenserver help TOPIC`, as messages name it, prints the page from an installed wheel."""
    named = {topic for _, text in messages() for topic in re.findall(r"tokenserver help ([a-z-]+)", text)}
    assert {"keys", "policy-lint"} <= named
    for topic in named:
        shown = run_installed(installed, "help", topic)
        page = (ROOT / "docs" / f"{topic}.md").read_text("utf-8")
        assert (shown.returncode, shown.stdout.partition("\n")[0]) == (0, page.partition("\n")[0]), shown


def test_an_installation_has_every_page(installed: Path) -> None:
    """The topics of a checkout and of an installed wheel are the same."""
    listed = run_installed(installed, "help")
    topics = [line.partition(" ")[0] for line in listed.stdout.splitlines()]
    assert topics == [Path(page).stem for page in tracked(":(glob)docs/*.md") if page != "docs/README.md"]


def test_an_installation_has_the_credential_helper(installed: Path) -> None:
    """As a command of its own beside `tokenserver`, which clients find by its name."""
    (declared,) = installed.glob("tokenserver-*.dist-info/entry_points.txt")
    commands = dict(line.split(" = ") for line in declared.read_text().splitlines() if " = " in line)
    assert set(commands) == {"tokenserver", "docker-credential-tokenserver"}
    module, function = commands["docker-credential-tokenserver"].split(":")
    command = [sys.executable, "-c", f"from {module} import {function}; {function}()", "version"]
    environment = {"PYTHONPATH": str(installed), "PATH": os.defpath}
    shown = subprocess.run(command, check=True, cwd=installed, env=environment, capture_output=True, text=True)
    assert shown.stdout.startswith("docker-credential-tokenserver v")


@pytest.mark.long
def test_a_wheel_can_be_built_from_the_source_distribution(tmp_path: Path) -> None:
    """It has what deploys the server and checks policies in CI, and builds the same wheel as the repository.

    Built twice, it is the same, byte for byte.
    """
    command = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory"]
    for folder in (tmp_path, tmp_path / "twice"):
        subprocess.run([*command, str(folder)], cwd=ROOT, check=True, capture_output=True, timeout=120)
    (archive,) = tmp_path.glob("*.tar.gz")
    assert archive.read_bytes() == (tmp_path / "twice" / archive.name).read_bytes()
    shutil.rmtree(tmp_path / "twice")
    shutil.unpack_archive(archive, tmp_path, filter="data")
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    wanted = tracked("deploy", "ci", "docs", "action.yml", ".pre-commit-hooks.yaml", "constraints.txt")
    assert [name for name in wanted if not (folder / name).is_file()] == []
    assert build_wheel(tmp_path / "again", folder).read_bytes() == build_wheel(tmp_path / "wheel").read_bytes()


def test_metadata() -> None:
    """What an index and `pip show` display: addresses that exist, none of an example."""
    addresses = PROJECT["project"]["urls"]
    assert addresses
    assert [url for url in addresses.values() if not url.startswith("https://") or "example" in url] == []
    page = (ROOT / "docs" / "run-in-production.md").read_text("utf-8")
    has_address = bool({"Homepage", "Source", "Documentation"} & addresses.keys())
    assert ("no public address yet" in page) is not has_address


def test_the_linter_looks_for_unsafe_calls() -> None:
    """Ruff's security rules are on for the whole package, with no rule of them switched off.

    See docs/design/threats.md#threat-108.
    """
    lint = PROJECT["tool"]["ruff"]["lint"]
    assert "S" in lint["select"]
    ignored = {rule for rule in lint["ignore"] if re.fullmatch(r"S[0-9]*", rule)}
    for pattern, rules in lint["per-file-ignores"].items():
        if not pattern.startswith(("tests", "bench", "release")):
            ignored |= {rule for rule in rules if re.fullmatch(r"S[0-9]*", rule)}
    assert ignored == set()
