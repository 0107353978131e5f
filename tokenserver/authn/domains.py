r"""Domains in login names: `CORP\ann`, `ann@CORP` and `ann@corp.example.com` for `ann`. Pure.

A domain stands before the first `\` or after the last `@`. Only configured domains are removed, since a user of another
domain is another person.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from tokenserver.authn.usernames import canonical

_PLAUSIBLE = re.compile(r"\w[\w.-]{0,63}")


class TypedDomain(NamedTuple):
    """A name that was typed with a domain: the two parts, and whether the domain is in front of a backslash."""

    domain: str
    user: str
    is_before: bool


def typed_domains(name: str) -> Iterator[TypedDomain]:
    """The domains in a name, at most one before and one after it; neither part is blank."""
    domain, separator, user = name.partition("\\")
    if separator and domain.strip() and user.strip():
        yield TypedDomain(domain.strip(), user.strip(), is_before=True)
    user, separator, domain = name.rpartition("@")
    if separator and domain.strip() and user.strip():
        yield TypedDomain(domain.strip(), user.strip(), is_before=False)


def without_domains(name: str, domains: Collection[str]) -> str:
    """The name without any of these domains, which are compared ignoring case, width and blanks.

    A name that has none of them, or would be empty without, is returned unchanged.
    """
    if not domains or ("\\" not in name and "@" not in name):
        return name
    known = {canonical(domain) for domain in domains}
    while True:
        found = next((typed for typed in typed_domains(name) if canonical(typed.domain) in known), None)
        if found is None:
            return name
        name = found.user


def counted_name(name: str, domains: Collection[str]) -> str:
    """The name under which the throttle counts a login: the same for all spellings that lead to one user.

    No user source is asked. Several sources may remove different domains; the count is common to all of them.
    """
    return canonical(without_domains(canonical(name), domains)) if domains else canonical(name)


def plausible_domain(name: str) -> TypedDomain | None:
    """What looks like a domain in a name, for advice about a name that was not found; None if nothing does."""
    return next((typed for typed in typed_domains(name) if _PLAUSIBLE.fullmatch(typed.domain)), None)
