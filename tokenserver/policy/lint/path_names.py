"""Users named in policies for whom `${user}` can never stand, although a rule that uses it includes them."""

from __future__ import annotations

from collections.abc import Iterator

from tokenserver.identity import Identity, Kind
from tokenserver.policy.lint.unknown_names import named_users
from tokenserver.policy.model import PolicySet
from tokenserver.policy.queries.path_names import unfilled_rules
from tokenserver.scopes import is_path_component

MAX_NAMES = 5
"""How many users one finding lists."""


def unfilled_variables(policies: PolicySet) -> dict[str, str]:
    """What is wrong with each rule that has such users, by the rule's id."""
    by_rule: dict[str, list[str]] = {}
    for name in sorted(named_users(policies)):
        if not is_path_component(name):
            for one in unfilled_rules(policies, Identity(name, Kind.PASSWORD)):
                by_rule.setdefault(one.rule.id, []).append(name)
    return {rule: "".join(_spell(rule, names)) for rule, names in by_rule.items()}


def _spell(rule: str, names: list[str]) -> Iterator[str]:
    yield f"{rule}: ${{user}} never matches {', '.join(map(repr, names[:MAX_NAMES]))}"
    if len(names) > MAX_NAMES:
        yield f" and {len(names) - MAX_NAMES} more"
    yield ", which no segment of a repository name can be; fix: rename the user, or add a rule without ${user}"
