"""The package as syntax trees, parsed once for all tests that look for something in its source."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TypeVar, cast

import tokenserver

_Node = TypeVar("_Node", bound=ast.AST)

PACKAGE = Path(str(tokenserver.__file__)).parent


@cache
def names() -> tuple[str, ...]:
    """The path of each module in the package."""
    return tuple(str(path.relative_to(PACKAGE)) for path in sorted(PACKAGE.rglob("*.py")))


@cache
def tree(module: str) -> ast.Module:
    """The tree of a module."""
    return ast.parse((PACKAGE / module).read_text("utf-8"))


@cache
def modules() -> dict[str, ast.Module]:
    """The tree of each module, by its path in the package; parsing them all takes most of a second."""
    return {name: tree(name) for name in names()}


@cache
def walk(tree: ast.AST) -> tuple[ast.AST, ...]:
    """Every node of a tree, found once for all tests that look at each."""
    return tuple(ast.walk(tree))


@cache
def _by_kind(tree: ast.AST) -> dict[type[ast.AST], list[ast.AST]]:
    """The nodes of a tree, by their class."""
    found: dict[type[ast.AST], list[ast.AST]] = {}
    for node in walk(tree):
        found.setdefault(type(node), []).append(node)
    return found


def nodes_of(tree: ast.AST, kind: type[_Node]) -> list[_Node]:
    """The nodes of this very class: most rules look at few of the million nodes."""
    return cast(list[_Node], _by_kind(tree).get(kind, []))


def nodes(module: str) -> tuple[ast.AST, ...]:
    """Every node of a module."""
    return walk(tree(module))
