"""The conftest.py of these tests in a folder of a test's own, for tests about what it does."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

_TESTS = Path(__file__).parents[1]


def copy_conftest(folder: Path) -> None:
    """Copy conftest.py into a folder, and beside it what it imports from tests/support."""
    conftest = _TESTS / "conftest.py"
    shutil.copy(conftest, folder)
    for node in ast.walk(ast.parse(conftest.read_text("utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            module = _TESTS / "support" / f"{name}.py"
            if module.is_file():
                shutil.copy(module, folder)
