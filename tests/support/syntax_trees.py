"""The package as syntax trees, parsed once for all tests that look for something in its source."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import tokenserver

PACKAGE = Path(str(tokenserver.__file__)).parent


@cache
def modules() -> dict[str, ast.Module]:
    """The tree of each module, by its path in the package."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return {str(path.relative_to(PACKAGE)): ast.parse(path.read_text("utf-8")) for path in paths}


@cache
def walk(tree: ast.AST) -> tuple[ast.AST, ...]:
    """Every node of a tree, found once for all tests that look at each."""
    return tuple(ast.walk(tree))


def nodes(module: str) -> tuple[ast.AST, ...]:
    """Every node of a module."""
    return walk(modules()[module])
