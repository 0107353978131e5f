"""The one word for what came of an exchange; audit events and metrics use the same."""

from __future__ import annotations

from tokenserver.errors import TokenserverError
from tokenserver.exchange.service import Ruling

EXPLAINED = "explained"
"""The outcome of a request that asked why, and for no token."""

OUTCOMES = (
    "login",
    "granted",
    "partial",
    "denied",
    EXPLAINED,
    "invalid_credentials",
    "authentication_required",
    "throttled",
    "invalid_request",
    "unavailable",
    "error",
)
"""Every word there is."""


def outcome_of(error: BaseException) -> str:
    """The outcome of an exchange that ended with this error."""
    return error.outcome if isinstance(error, TokenserverError) else "error"


def outcome_of_ruling(ruling: Ruling) -> str:
    """`login` (nothing asked), `granted` (all of it), `partial`, or `denied` (nothing of it)."""
    if not ruling.decisions and not ruling.rejected:
        return "login"
    if not ruling.access:
        return "denied"
    whole = all(_wholly(decision.scope.actions, decision.granted) for decision in ruling.decisions)
    return "granted" if whole and not ruling.rejected else "partial"


def _wholly(asked: frozenset[str], granted: frozenset[str]) -> bool:
    """Whether all that was asked is granted; `*` asked on a repository means what the client may."""
    return asked <= granted or (asked == {"*"} and bool(granted))
