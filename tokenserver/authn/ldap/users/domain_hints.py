r"""Hints for names that were not found because of a domain in them: `CORP\jdoe` where the directory has `jdoe`."""

from __future__ import annotations

import logging

from tokenserver.authn.domains import plausible_domain
from tokenserver.authn.ldap.directory import Directory
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.failure import DirectoryFailure

MAX_HINTS = 20
"""Domains that are logged in the lifetime of a process: clients choose what they type."""

_OTHER_FIX = ", or compare it in user_filter: (userPrincipalName={user}) or (mail={user})"

logger = logging.getLogger("tokenserver.ldap")


def not_found(directory: Directory, user: str) -> DirectoryFailure:
    """Why nobody has this name, as far as one can tell: there is a domain in it, or it is unknown."""
    typed = plausible_domain(user)
    if typed is None:
        return DirectoryFailure(FailureCause.NO_USER)
    facts = {
        "place": "before" if typed.is_before else "after",
        "user": typed.user,
        "domains": ", ".join([*directory.domains, typed.domain]),
        "other": "" if typed.is_before else _OTHER_FIX,
    }
    return DirectoryFailure(FailureCause.TYPED_DOMAIN, facts)


class DomainHintLog:
    """Logs the hint once for each source and domain, without the rest of the name, which may be a password."""

    def __init__(self, limit: int = MAX_HINTS) -> None:
        self._limit = limit
        self._seen: set[tuple[str, str]] = set()

    def __call__(self, directory: Directory, user: str) -> None:
        """Log the hint about a name that was not found, if there is a domain in it."""
        typed = plausible_domain(user)
        if typed is None or len(self._seen) >= self._limit:
            return
        key = directory.name, typed.domain.casefold()
        if key in self._seen:
            return
        self._seen.add(key)
        spelled = f"{typed.domain}\\…" if typed.is_before else f"…@{typed.domain}"
        failure = not_found(directory, user)
        facts = {name: fact for name, fact in failure.facts.items() if name != "user"}
        logger.warning("%s: %s: %s", directory.name, spelled, DirectoryFailure(failure.cause, facts))
