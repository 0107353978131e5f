"""The outcome of an exchange in one word, for audit events and metrics alike."""

from __future__ import annotations

from tokenserver.errors import TokenserverError
from tokenserver.exchange.rulings import Ruling

EXPLAINED = "explained"
"""The outcome of a request for an explanation instead of a token."""

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
"""All outcomes."""

DEVICE_STEPS = ("asked", "approved", "denied", "given", "expired", "wrong_code")
"""The steps of logins at a terminal, which are events of their own."""

PEER_RESULTS = ("same", "differs", "unreachable", "dropped", "skipped")
"""How exchanges end at the shadow peer: compared (the first two), without a usable answer, not asked because of a full
queue or a pause, or not for the peer."""


def outcome_of(error: BaseException) -> str:
    """The outcome of an exchange that ended with this error."""
    return error.outcome if isinstance(error, TokenserverError) else "error"


def outcome_of_ruling(ruling: Ruling) -> str:
    """`login` (nothing asked), `granted` (everything asked), `partial`, or `denied` (nothing of what was asked)."""
    if not ruling.decisions and not ruling.rejected:
        return "login"
    if not ruling.access:
        return "denied"
    if not ruling.rejected and _is_whole(ruling):
        return "granted"
    # A token that carries more than was asked may still carry nothing of it.
    partly = any(_partly(decision.scope.actions, decision.granted) for decision in ruling.decisions)
    return "partial" if partly else "denied"


def _is_whole(ruling: Ruling) -> bool:
    """Whether everything asked is granted; `*` asked on a repository means whatever the client may do."""
    for decision in ruling.decisions:
        asked, granted = decision.scope.actions, decision.granted
        if not (asked <= granted or (asked == {"*"} and granted)):
            return False
    return True


def _partly(asked: frozenset[str], granted: frozenset[str]) -> bool:
    return not asked.isdisjoint(granted) or ("*" in asked and bool(granted))
