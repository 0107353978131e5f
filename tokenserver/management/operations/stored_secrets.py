"""Stored secrets of people and robots, and stored logins: how management makes and ends them."""

from __future__ import annotations

from tokenserver.credentials import AccessKeyForm
from tokenserver.identity import Sort
from tokenserver.management.actors import Actor
from tokenserver.management.context import ManagementContext
from tokenserver.management.events import ChangeRecorder
from tokenserver.management.refusals import Conflict
from tokenserver.management.wishes import KeyTerms
from tokenserver.storage.credential import StoredCredential
from tokenserver.storage.selection import Selection

BY_OWNER = "ended by its owner"
"""The reason in the row of what its owner ended."""


def wanted_secret(
    actor: Actor, terms: KeyTerms, *, form: AccessKeyForm, owner: str, sort: Sort, source: str = ""
) -> StoredCredential:
    """The secret that the actor makes for an owner, for the storage to create."""
    return StoredCredential(
        id="",
        form=form,
        owner=owner,
        sort=sort,
        source=source,
        created=0,
        created_by=actor.identity.subject,
        created_from="" if actor.client is None else str(actor.client),
        ends=terms.ends,
        name=terms.name,
        ceiling=terms.ceiling,
        networks=terms.networks,
    )


def end_one(
    context: ManagementContext,
    actor: Actor,
    selection: Selection,
    record: ChangeRecorder,
    *,
    what: str,
    credential: str,
    owner: str,
    reason: str,
) -> None:
    """End the one credential of a selection. `record` writes its event; the last three arguments are its facts.

    Raises:
        Conflict: it has ended before. `what` is the word for it.
        OutdatedLogin: the login of the actor has ended meanwhile.
        AuditUnavailable, StorageUnavailable: it was not ended.
    """

    def recorded(ended: object) -> None:
        if not ended:
            raise Conflict(f"the {what} has ended before")
        record(credential=credential, owner=owner, reason=reason)

    context.store_for(actor).end(selection, by=actor.identity.subject, reason=reason, recorded=recorded)
