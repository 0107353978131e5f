"""Flask's routes, compiled once in a run: most tests of the web make an application, and its routes take longest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from werkzeug.routing import Rule

_COMPILE = Rule._compile_builder
_compiled: dict[tuple[Any, ...], Callable[..., tuple[str, str]]] = {}


def _compile_once(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
    """The function that builds a rule's URLs; it is given the rule, and nothing else in it differs between equal texts.

    Defaults are computed when it is compiled, so rules that have some are compiled each time.
    """
    if rule.defaults:
        return _COMPILE(rule, append_unknown)
    key = (rule.rule, tuple(rule._trace), append_unknown)
    if key not in _compiled:
        _compiled[key] = _COMPILE(rule, append_unknown)
    return _compiled[key]


def share_compiled_routes() -> None:
    """Let all applications of this process share them."""
    Rule._compile_builder = _compile_once  # type: ignore[method-assign,assignment]
