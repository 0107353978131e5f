"""Configurations of zot with `accessControl`, made by hand, and random ones with a naive model of what they grant."""

from __future__ import annotations

import json
import re
from itertools import product
from typing import Any

from hypothesis import strategies as st

WRITE = ["read", "create", "update"]
USERS = ("ann", "bob")
GROUPS = ("devs", "ops")
NAMES = tuple("/".join(words) for count in (1, 2, 3) for words in product(("a", "b", "ab"), repeat=count))
PATTERNS = ("**", "a/**", "**/b", "a/*", "*", "a/b", "a*/**", "{a,b}/**", "a/**/b", "a/?", "b/**", "[ab]/a", "**/**/a")


def policy(users: list[str] | None = None, groups: list[str] | None = None, actions: list[str] | None = None) -> Any:
    """One policy."""
    return {"users": users or [], "groups": groups or [], "actions": actions or []}


def zot_configuration(repositories: dict[str, Any], **access: Any) -> dict[str, Any]:
    """A whole configuration."""
    return {
        "distSpecVersion": "1.1.0",
        "storage": {"rootDirectory": "/var/lib/registry"},
        "http": {
            "address": "127.0.0.1",
            "port": "5000",
            "auth": {"htpasswd": {"path": "/etc/zot/htpasswd"}},
            "accessControl": {"repositories": repositories, **access},
        },
    }


def content(configuration: dict[str, Any]) -> bytes:
    """The document."""
    return json.dumps(configuration).encode()


_actions = st.lists(st.sampled_from([["read"], ["create", "update"], ["delete"]]), max_size=3).map(
    lambda found: sorted({action for actions in found for action in actions})
)
_policies = st.lists(
    st.builds(
        policy, st.lists(st.sampled_from(USERS), max_size=1), st.lists(st.sampled_from(GROUPS), max_size=1), _actions
    ),
    max_size=2,
)
_repositories = st.dictionaries(
    st.sampled_from(PATTERNS),
    st.fixed_dictionaries(
        {},
        optional={
            "policies": _policies,
            "defaultPolicy": _actions,
            "anonymousPolicy": st.sampled_from([[], ["read"]]),
        },
    ),
    max_size=4,
)
configurations = st.builds(
    lambda repositories, admin, members: zot_configuration(
        repositories, groups={"devs": {"users": members}}, **({"adminPolicy": admin} if admin else {})
    ),
    _repositories,
    st.none() | st.builds(policy, st.just(["bob"]), st.just(["ops"]), _actions),
    st.lists(st.sampled_from(USERS), max_size=1),
)


def naive(configuration: dict[str, Any], user: str | None, groups: set[str], name: str, *, first: bool) -> set[str]:
    """What zot lets a client do: the longest pattern that matches, and of equals the first or the last."""
    access = configuration["http"]["accessControl"]
    if user is not None:
        groups = groups | {group for group, entry in access["groups"].items() if user in entry["users"]}
    matching = sorted((one for one in access["repositories"] if doublestar(one, name)), reverse=not first)
    longest = max(matching, key=len) if matching else None
    found: set[str] = set()
    if longest is not None:
        entry = access["repositories"][longest]
        for one in entry.get("policies", []):
            if user in one["users"] or groups & set(one["groups"]):
                found |= set(one["actions"])
        found |= set(entry.get("anonymousPolicy" if user is None else "defaultPolicy", []))
    admin = access.get("adminPolicy", policy())
    if user in admin["users"] or groups & set(admin["groups"]):
        found |= set(admin["actions"])
    known = {"read": "pull", "create": "push", "delete": "delete"}
    return {known[action] for action in found if action in known}


def doublestar(pattern: str, name: str) -> bool:
    """Whether a pattern of doublestar matches the whole name."""
    braces = re.search(r"\{([^{}]*)\}", pattern)
    if braces:
        ways = (f"{pattern[: braces.start()]}{part}{pattern[braces.end() :]}" for part in braces[1].split(","))
        return any(doublestar(way, name) for way in ways)
    return _segments(pattern.split("/"), name.split("/"))


def _segments(pattern: list[str], name: list[str]) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "**":
        return any(_segments(pattern[1:], name[start:]) for start in range(len(name) + 1))
    if not name:
        return False
    parts = re.findall(r"\[[^\]]*\]|.", pattern[0])
    expression = "".join({"*": ".*", "?": "."}.get(one, one if one[0] == "[" else re.escape(one)) for one in parts)
    return re.fullmatch(expression, name[0]) is not None and _segments(pattern[1:], name[1:])
