"""Users named in policies for whom `${user}` can never stand, although a rule that uses it includes them."""

from __future__ import annotations

from collections.abc import Iterator

from tokenserver.policy.lint.unknown_names import named_users
from tokenserver.policy.model import PolicySet
from tokenserver.policy.principals import user_identity
from tokenserver.policy.queries.path_names import unfilled_rules

MAX_NAMES = 5
"""How many users one finding lists."""


def unfilled_variables(policies: PolicySet) -> dict[str, str]:
    """What is wrong with each rule that has such users, by the rule's id."""
    by_rule: dict[str, list[str]] = {}
    for name in sorted(named_users(policies)):
        for one in unfilled_rules(policies, user_identity(policies, name)):
            by_rule.setdefault(one.rule.id, []).append(name)
    return {rule: "".join(_spell(rule, names)) for rule, names in by_rule.items()}


def _spell(rule: str, names: list[str]) -> Iterator[str]:
    yield f"{rule}: ${{user}} never matches {', '.join(map(repr, names[:MAX_NAMES]))}"
    if len(names) > MAX_NAMES:
        yield f" and {len(names) - MAX_NAMES} more"
    yield (
        ", which no segment of a repository name can be; fix: map names to namespaces with names: in the user"
        " source, rename the user, or add a rule without ${user}"
    )
