r"""Hints for names that were not found because of a domain in them: `CORP\jdoe` where the directory has `jdoe`."""

from __future__ import annotations

import logging

from tokenserver.authn.domains import plausible_domain
from tokenserver.authn.ldap.directory import Directory

MAX_HINTS = 20
"""Domains that are logged in the lifetime of a process: clients choose what they type."""

logger = logging.getLogger("tokenserver.ldap")


def domain_hint(directory: Directory, user: str, *, people: str | None = None) -> str | None:
    """What to change if this name, which was not found, has a domain in it; None if it has none.

    `people` is what to call the rest of the name; by default it is quoted.
    """
    typed = plausible_domain(user)
    if typed is None:
        return None
    domains = ", ".join([*directory.domains, typed.domain])
    place = "before" if typed.is_before else "after"
    other = "" if typed.is_before else ", or compare it in user_filter: (userPrincipalName={user}) or (mail={user})"
    return (
        f"the name has a domain {place} it; people type {people or typed.user}; fix: strip_domain: [{domains}]{other}"
    )


class DomainHintLog:
    """Logs the hint once for each source and domain, without the rest of the name, which may be a password."""

    def __init__(self, limit: int = MAX_HINTS) -> None:
        self._limit = limit
        self._seen: set[tuple[str, str]] = set()

    def __call__(self, directory: Directory, user: str) -> None:
        """Log the hint about a name that was not found, if there is one."""
        typed = plausible_domain(user)
        if typed is None or len(self._seen) >= self._limit:
            return
        key = directory.name, typed.domain.casefold()
        if key in self._seen:
            return
        self._seen.add(key)
        spelled = f"{typed.domain}\\…" if typed.is_before else f"…@{typed.domain}"
        hint = domain_hint(directory, user, people="the name without it")
        logger.warning("%s: no user is found for %s: %s", directory.name, spelled, hint)
