"""Users of two files who would share a namespace."""

from __future__ import annotations

from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.authn.htpasswd.file import HtpasswdEntry
from tokenserver.credentials import Secret
from tokenserver.identity import NamespaceRule
from tokenserver.server.sources.shared_namespaces import namespace_warnings

BCRYPT = "$2b$10$" + "." * 53


def file(name: str, *users: str, rule: NamespaceRule | None = None) -> Htpasswd:
    """A file with these users, one on each line."""
    entries = [HtpasswdEntry(user, line, Secret(BCRYPT)) for line, user in enumerate(users, 1)]
    return Htpasswd(name, name, entries, namespace_rule=rule)


def test_the_user_of_the_later_file_is_named() -> None:
    """With the line; those of the first file are let in, and so are users without a namespace."""
    first = file("first", "johndoe", "ann", "@")
    second = file("second", "x", "JohnDoe", "?", rule=NamespaceRule.LOWER)
    lost = "cannot log in: the namespace 'johndoe' is that of"
    fix = "fix: rename one of them"
    found = list(namespace_warnings([first, second]))
    assert found == [f"second:2: JohnDoe: {lost} 'johndoe' in first; {fix}"]
    found = list(namespace_warnings([second, first]))
    assert found == [f"first:1: johndoe: {lost} 'JohnDoe' in second; {fix}"]
    assert list(namespace_warnings([first])) == []
