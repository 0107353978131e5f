"""Who may manage: people with a password or an OpenID login, and machines that policy files name as administrators.

A credential never makes another one: access keys, refresh tokens and sessions manage nothing. Neither does a robot's
secret that is narrowed, since what it makes would not be.
"""

from __future__ import annotations

from tokenserver.errors import BackendUnavailable
from tokenserver.identity import Identity, Kind, Sort
from tokenserver.management.actors import Actor
from tokenserver.management.refusals import MayNotManage, ProofTooOld
from tokenserver.policy.administration import is_administrator
from tokenserver.policy.model import PolicySet
from tokenserver.storage.credential import StoredCredential

FRESH_SECONDS = 3600.0
"""The maximum age of a login that may make a secret."""

REFUSED_CREDENTIAL = "credential may not manage"


def may_manage(policies: PolicySet, identity: Identity) -> bool:
    """Whether the credential of the client may manage anything."""
    if identity.sort is Sort.USER:
        return identity.kind not in (Kind.ANONYMOUS, Kind.KEY) and not identity.via and not identity.credential
    if identity.ceiling is not None or identity.services is not None or identity.via == "session":
        return False
    return is_administrator(policies, identity)


def require_manager(policies: PolicySet, actor: Actor) -> None:
    """Check that the actor may manage something.

    Raises:
        MayNotManage: it may not.
    """
    if not may_manage(policies, actor.identity):
        raise MayNotManage(REFUSED_CREDENTIAL)


def require_fresh(actor: Actor, now: float) -> None:
    """Check that the actor authenticated recently, and that its source confirmed it.

    Raises:
        ProofTooOld: the proof is too old for a new secret.
        BackendUnavailable: the source of the actor did not confirm it.
    """
    if actor.identity.stale:
        raise BackendUnavailable(actor.identity.source, "does not confirm the actor now")
    if not is_fresh(actor, now):
        raise ProofTooOld


def is_fresh(actor: Actor, now: float) -> bool:
    """Whether the actor authenticated recently enough to make a secret. `now` is in seconds since the epoch."""
    return now - actor.authenticated < FRESH_SECONDS


def owns(identity: Identity, credential: StoredCredential) -> bool:
    """Whether an access key is this person's own; the same name in another user source is another person."""
    return identity.sort is Sort.USER and (identity.subject, identity.source) == (credential.owner, credential.source)
