"""The namespaces of the users of a file: what `${user}` in policies stands for, and users who would share one."""

from __future__ import annotations

from collections.abc import Iterable

from tokenserver.identity import NamespaceRule, lower_namespace, slug_namespace
from tokenserver.scopes import is_path_component


class FileNamespaces:
    """The namespaces of these users by this rule; by None, the namespace is the name, and `of` says nothing."""

    def __init__(self, users: Iterable[str], rule: NamespaceRule | None) -> None:
        self._rule = rule
        self._owners: dict[str, list[str]] = {}
        for user in sorted(users):
            namespace = _by_rule(rule, user)
            if namespace:
                self._owners.setdefault(namespace, []).append(user)

    def of(self, user: str) -> str | None:
        """The namespace of the user, empty if there is none; None if names are not mapped."""
        return None if self._rule is None else _by_rule(self._rule, user)

    def owner_of(self, namespace: str) -> str | None:
        """A user with this namespace; None if there is none."""
        owners = self._owners.get(namespace)
        return None if owners is None else owners[0]

    def problem(self, user: str) -> str | None:
        """Why the user cannot log in: the namespace is that of another user as well. None for any other user."""
        if self._rule is None:
            return None
        namespace = _by_rule(self._rule, user)
        others = [other for other in self._owners.get(namespace, ()) if other != user]
        if not others:
            return None
        return f"the namespace {namespace!r} is shared with {' and '.join(map(repr, others))}"


def _by_rule(rule: NamespaceRule | None, user: str) -> str:
    if rule is NamespaceRule.SLUG:
        return slug_namespace(user)
    if rule is NamespaceRule.LOWER:
        return lower_namespace(user)
    return user if is_path_component(user) else ""
