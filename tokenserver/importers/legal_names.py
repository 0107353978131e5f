"""Whether names of another program are legal in policies, and why not, as a report says it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tokenserver.authn.usernames import name_problem
from tokenserver.errors import TokenserverError
from tokenserver.identity import spell_group
from tokenserver.patterns import parse_pattern
from tokenserver.policy.terms import parse_group, parse_user


def user_problem(name: str) -> str:
    """Why no user here can have the name; empty if one can."""
    return name_problem(name) or _problem(parse_user, name)


def group_problem(name: str) -> str:
    """Why no group that a user source brings can have the name; empty if one can."""
    return _problem(parse_group, spell_group(name))


def repository_problem(pattern: str) -> str:
    """Why no repository has a name like this; empty if one can."""
    return _problem(parse_pattern, pattern)


def _problem(parse: Callable[[str], Any], text: str) -> str:
    try:
        parse(text)
    except TokenserverError as error:
        return str(error).partition("; fix: ")[0]
    return ""
