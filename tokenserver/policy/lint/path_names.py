"""Clients named in policies for whom `${user}` can never stand, although a rule that uses it includes them.

These are users with a name that no segment can be, and machines.
"""

from __future__ import annotations

from collections.abc import Iterator

from tokenserver.patterns import SegmentKind
from tokenserver.policy.lint.unknown_names import named_users
from tokenserver.policy.model import PolicySet
from tokenserver.policy.principals import listed, user_identity
from tokenserver.policy.queries.path_names import unfilled_rules

_MACHINES = ("robots", "workloads", "robot", "workload")

MAX_NAMES = 5
"""How many clients one finding lists."""


def unfilled_variables(policies: PolicySet) -> dict[str, str]:
    """What is wrong with each rule that has such clients, by the rule's id."""
    by_rule: dict[str, list[str]] = {}
    for name in sorted(named_users(policies)):
        for one in unfilled_rules(policies, user_identity(policies, name)):
            by_rule.setdefault(one.rule.id, []).append(name)
    found = {rule: "".join(_spell(rule, names)) for rule, names in by_rule.items()}
    for rule in policies.rules:
        if rule.capturing or rule.id in found or not any(one.uses(SegmentKind.USER) for one in rule.patterns):
            continue
        machines = [str(one) for one in listed(rule.to) if one.sort in _MACHINES]
        if machines:
            text = f"${{user}} never matches {', '.join(machines[:MAX_NAMES])}, since machines have no value for it"
            found[rule.id] = f"{rule.id}: {text}; fix: add a rule without ${{user}} for them"
    return found


def _spell(rule: str, names: list[str]) -> Iterator[str]:
    yield f"{rule}: ${{user}} never matches {', '.join(map(repr, names[:MAX_NAMES]))}"
    if len(names) > MAX_NAMES:
        yield f" and {len(names) - MAX_NAMES} more"
    yield (
        ", which no segment of a repository name can be; fix: map names to namespaces with names: in the user"
        " source, rename the user, or add a rule without ${user}"
    )
