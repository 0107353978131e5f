"""What policies name and the user sources do not have: users who left, groups that are gone, names that two share.

The sources are asked elsewhere; here stands which names to ask about, and which lines the answers are told for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tokenserver.documents.document import Document
from tokenserver.policy.group_names import owned_name
from tokenserver.policy.model import Group, PolicySet, Principals

CODES = frozenset({"TS301", "TS302", "TS303"})
"""The codes of findings that only the user sources can tell, so that their silences rest where nobody asked them."""

Told = tuple[str, int, str, str]
"""A file's name, a line, a code and a text."""

_NOBODY = Principals()


@dataclass(frozen=True, slots=True)
class Outside:
    """What is wrong with names, by name, as the user sources tell it; a name that is well is in none of these.

    `users` and `groups` are not there, or not under that name; `shared` are users that more than one source knows, and
    `shared_groups` are groups that more than one source brings.
    """

    users: Mapping[str, str]
    groups: Mapping[str, str]
    shared: Mapping[str, str]
    shared_groups: Mapping[str, str] = field(default_factory=dict)


def named_users(policies: PolicySet) -> frozenset[str]:
    """Every user whom a rule or a group of the tree names."""
    people = [one for rule in policies.rules for one in (rule.to, rule.excluded or _NOBODY)]
    groups = policies.groups.by_name.values()
    return frozenset().union(*(one.users for one in people), *(group.users for group in groups))


def named_groups(policies: PolicySet) -> frozenset[str]:
    """Every group that only a user source can bring: named by a rule without being one of the tree, or in `groups:`."""
    people = [one for rule in policies.rules for one in (rule.to, rule.excluded or _NOBODY)]
    known = policies.groups.by_name
    brought = (group.groups for group in known.values())
    return frozenset().union(*(one.groups - known.keys() for one in people), *brought)


def outside_findings(policies: PolicySet, files: Iterable[tuple[str, Document]], outside: Outside) -> Iterator[Told]:
    """Each name that is not well, at the line of each rule and each group of the tree that names it."""
    for rule in policies.rules:
        for people in (rule.to, rule.excluded or _NOBODY):
            groups = people.groups - policies.groups.by_name.keys()
            yield from _told(rule.file, rule.line, rule.id, (people.users, groups), outside)
    for file, document in files:
        for place, line in document.lines.items():
            if len(place) == 2 and place[0] == "groups":
                group = _group(policies, str(place[1]), file)
                yield from _told(file, line, str(place[1]), (group.users, group.groups), outside)


def _group(policies: PolicySet, name: str, file: str) -> Group:
    known = policies.groups.by_name
    return known.get(owned_name(name, file)) or known[name]


def _told(
    file: str, line: int, what: str, names: tuple[frozenset[str], frozenset[str]], outside: Outside
) -> Iterator[Told]:
    users, groups = names
    for user in sorted(users & outside.users.keys()):
        yield file, line, "TS301", f"{what}: the user {user!r} {outside.users[user]}"
    for group in sorted(groups & outside.groups.keys()):
        yield file, line, "TS302", f"{what}: the group {group!r} {outside.groups[group]}"
    for user in sorted(users & outside.shared.keys()):
        yield file, line, "TS303", f"{what}: the user {user!r} {outside.shared[user]}"
    for group in sorted(groups & outside.shared_groups.keys()):
        yield file, line, "TS303", f"{what}: the group {group!r} {outside.shared_groups[group]}"
