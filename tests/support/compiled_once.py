"""Flask's routes and Jinja's templates, compiled once in a run: in tests of the web, hardly anything takes longer."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from jinja2 import Environment
from werkzeug.routing import Rule

_COMPILE_ROUTE = Rule._compile_builder
_COMPILE_TEMPLATE: Callable[..., Any] = Environment.compile
_routes: dict[tuple[Any, ...], Callable[..., tuple[str, str]]] = {}
_templates: dict[tuple[Any, ...], Any] = {}


def _route(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
    """The function that builds a rule's URLs; it is given the rule, and nothing else in it differs between equal texts.

    Defaults are computed when it is compiled, so rules that have some are compiled each time.
    """
    if rule.defaults:
        return _COMPILE_ROUTE(rule, append_unknown)
    key = (rule.rule, tuple(rule._trace), append_unknown)
    if key not in _routes:
        _routes[key] = _COMPILE_ROUTE(rule, append_unknown)
    return _routes[key]


def _template(environment: Environment, source: str, *names: str | None) -> Any:
    """The code of a template. Texts may be translated when it is compiled, so each language has its own."""
    key = (environment.globals.get("language"), source, names)
    if key not in _templates:
        _templates[key] = _COMPILE_TEMPLATE(environment, source, *names)
    return _templates[key]


@cache
def compile_once() -> None:
    """Let all applications of this process share them."""
    Rule._compile_builder = _route  # type: ignore[method-assign,assignment]
    Environment.compile = _template  # type: ignore[method-assign,assignment]
