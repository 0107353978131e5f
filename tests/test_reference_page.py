"""docs/configuration.md, docs/ldap-failures.md and docs/schema are what `scripts/reference` writes, and more."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import ModuleType

import pytest
from script_modules import load_script

from tokenserver.authn.ldap.failures.failure import ADVICE
from tokenserver.config.introspection import paths, spell_variable
from tokenserver.config.load import PREFIX
from tokenserver.config.settings import Settings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SAMPLES = sorted((ROOT / "policies").rglob("*.yaml"))
_MODELINE = re.compile(r"# yaml-language-server: \$schema=(\S+)\n")


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """scripts/reference, as a module."""
    return load_script("reference")


def test_page(reference: ModuleType) -> None:
    """The committed page is up to date."""
    assert (DOCS / "configuration.md").read_text("utf-8") == reference.page()


def test_failures(reference: ModuleType) -> None:
    """The committed page of a directory's failures is up to date, with a row for each cause."""
    page = (DOCS / "ldap-failures.md").read_text("utf-8")
    assert page == reference.failures()
    assert re.findall(r"^\| <a id=\"([a-z-]+)\">", page, re.MULTILINE) == [*map(str, ADVICE)]


def test_schemas(reference: ModuleType) -> None:
    """The committed schemas are up to date, and there are no others."""
    committed = {path.name: path.read_text("utf-8") for path in (DOCS / "schema").iterdir()}
    assert committed == reference.schemas()
    assert reference.SAMPLES.read_text("utf-8") == committed["policy.schema.json"]


def test_variables(reference: ModuleType) -> None:
    """The page names the variable of every key that is not a section."""
    shown = set(re.findall(rf"`({PREFIX}[A-Z0-9_]+)`", reference.page()))
    known = {PREFIX + spell_variable(path) for path in paths(Settings)}
    assert shown <= known
    sections = {name for name in known if any(other.startswith(f"{name}_") for other in shown)}
    assert known - shown <= sections


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_samples(sample: Path) -> None:
    """The first line of each sample policy names the schema, so that an editor checks it without set-up."""
    line = _MODELINE.match(sample.read_text("utf-8"))
    assert line is not None
    assert Path(os.path.normpath(sample.parent / line[1])) == ROOT / "policies" / "policy.schema.json"
