"""docs/doctor.md lists every check that can report a finding, and no other, and has the table of causes."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from script_modules import load_script

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "doctor.md").read_text()


def checks_in(source: str) -> set[str]:
    """The check names in calls that make a finding with a fix."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and node.args]
    made = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in ("failed", "warning")]
    return {str(call.args[0].value) for call in made if isinstance(call.args[0], ast.Constant)}


def test_the_page_lists_the_checks() -> None:
    """Every check name in JSON is explained on the page."""
    package = ROOT / "tokenserver"
    files = [*(package / "doctor").rglob("*.py"), *(package / "cli" / "doctor").rglob("*.py")]
    made = set().union(*(checks_in(file.read_text()) for file in files))
    table = PAGE.partition("## What it finds")[2].partition("\n\nEach generation")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    listed = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert listed == made | {"audience"}  # `check_claims` takes this name from a table, with that of the issuer
    assert len(made) > 20


def test_the_causes_are_up_to_date() -> None:
    """The committed table is what `scripts/doctor-causes` writes, with a row for each cause and each kind."""
    script = load_script("doctor-causes")
    assert script.page(PAGE) == PAGE
    assert script.causes().count("\n") > 180
