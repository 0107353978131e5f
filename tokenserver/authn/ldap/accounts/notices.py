"""Passwords that are about to stop working: what the log and `ldap test` say about them, and how long they vouch."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from tokenserver.authn.ldap.accounts.password_policy import PolicyResponse
from tokenserver.identity import Identity

GRACE_SECONDS = 60.0
"""How long one grace login vouches for the user at most. It pays for all requests of a push; the cache for an
unreachable directory is not for logins that the directory is about to reject."""

MAX_LOGGED = 1000

_MAX_DN = 200
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))

logger = logging.getLogger("tokenserver.ldap")


def remark(policy: PolicyResponse) -> str:
    """What the directory said about an accepted password; empty if nothing."""
    if policy.grace_left is not None:
        return f"the password has expired; this was a grace login, {policy.grace_left} left"
    if policy.expires_in is not None:
        return f"the password expires in {_spell(policy.expires_in)}"
    return ""


def remarked(text: str, policy: PolicyResponse) -> str:
    """The text about an accepted password, with the remark if there is one."""
    return "; ".join(filter(None, (text, remark(policy))))


class PasswordNotices:
    """Logs remarks about accepted passwords, at most `limit` different ones in the lifetime of a process.

    A grace login is logged each time, because each uses one up. That a password expires is logged once for each day
    on which it expires: another day is another password.
    """

    def __init__(self, limit: int = MAX_LOGGED) -> None:
        self._limit = limit
        self._seen: set[tuple[str, str, str]] = set()

    def user(self, source: str, dn: str, policy: PolicyResponse, now: datetime) -> None:
        """Log the remark about a user's password: a warning for a grace login, else information."""
        text = remark(policy)
        if not text:
            return
        who = f"{source}: {ascii(dn[:_MAX_DN])[1:-1]}"
        if policy.grace_left is not None:
            logger.warning("%s: %s", who, text)
        elif self._is_new(source, dn, policy, now):
            logger.info("%s: %s", who, text)

    def service(self, source: str, account: str, policy: PolicyResponse, now: datetime) -> None:
        """Log the remark about the service account's password, as a warning: with it, every login would fail."""
        text = remark(policy)
        if text and self._is_new(source, account, policy, now):
            fix = "give it a password that does not expire, or renew it here and in the directory"
            logger.warning("%s: service account %s: %s; fix: %s", source, ascii(account[:_MAX_DN])[1:-1], text, fix)

    def _is_new(self, source: str, dn: str, policy: PolicyResponse, now: datetime) -> bool:
        left = policy.grace_left
        what = f"{left} left" if left is not None else str((now + timedelta(seconds=policy.expires_in or 0)).date())
        if (source, dn, what) in self._seen or len(self._seen) >= self._limit:
            return False
        self._seen.add((source, dn, what))
        return True


def limited(identity: Identity, policy: PolicyResponse, ends: Iterable[datetime], now: datetime) -> Identity:
    """The identity, valid only until its password or its account expires; `ends` are when the account does.

    The login cache keeps it no longer than that. A grace login is valid for `GRACE_SECONDS`.
    """
    seconds = [max((end - now).total_seconds(), 0.0) for end in ends]
    if policy.grace_left is not None:
        seconds.append(GRACE_SECONDS)
    elif policy.expires_in is not None:
        seconds.append(float(policy.expires_in))
    return replace(identity, valid_for=min(seconds)) if seconds else identity


def _spell(seconds: int) -> str:
    size, unit = next(one for one in _UNITS if seconds >= one[0] or one[0] == 1)
    count = seconds // size
    return f"{count} {unit}" + ("" if count == 1 else "s")
