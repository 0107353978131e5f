"""Personal access keys: their owners make, rename, rotate and end them; administrators make and end those of others."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import timedelta

from tokenserver.config.credentials import AccessKeySettings
from tokenserver.credentials import AccessKeyForm, Secret
from tokenserver.errors import InvalidCredentials
from tokenserver.identity import Identity, Sort
from tokenserver.management.actors import Actor
from tokenserver.management.context import ManagementContext
from tokenserver.management.event_facts import made_facts
from tokenserver.management.operations.stored_secrets import BY_OWNER, end_one, wanted_secret
from tokenserver.management.refusals import Conflict, InvalidWish, MayNotManage, NotFoundHere
from tokenserver.management.rights import owns
from tokenserver.management.wishes import (
    InvalidTerm,
    KeyWish,
    SecretLifetimes,
    parse_note,
    parse_reason,
    terms_of,
    wished_end,
)
from tokenserver.storage.changes import NoSuchCredential, TooManyCredentials
from tokenserver.storage.credential import StoredCredential
from tokenserver.storage.selection import PERSONAL, Listed, Selection


class AccessKeyManagement:
    """Personal access keys, for actors."""

    def __init__(self, context: ManagementContext) -> None:
        self._context = context

    def listed(self, actor: Actor, user: str | None = None) -> list[Listed]:
        """The keys of the actor, or of `user` for an administrator; newest first, including those that ended recently.

        Raises:
            MayNotManage: the actor's credential may not, or it asks about somebody else and is no administrator.
            StorageUnavailable: the storage does not answer.
        """
        context, identity = self._context, actor.identity
        context.require_manager(actor)
        if user is not None and not _is(identity, user):
            context.require_administrator(actor)
            return context.store.listed(Selection(forms=PERSONAL, owner=unicodedata.normalize("NFC", user)))
        if identity.sort is not Sort.USER:
            return []
        return context.store.listed(Selection(forms=PERSONAL, owner=identity.subject, source=identity.source))

    def one(self, actor: Actor, identifier: str) -> Listed:
        """The key with this id, of the actor or, for an administrator, of anybody.

        Raises:
            MayNotManage, StorageUnavailable: as `listed`.
            NotFoundHere: the actor has no such key.
        """
        self._context.require_manager(actor)
        found = self._context.store.listed(Selection(ids=frozenset({identifier}), forms=PERSONAL))
        if not found or not (owns(actor.identity, found[0].credential) or self._context.is_administrator(actor)):
            raise NotFoundHere("there is no such access key")
        return found[0]

    def create(
        self, actor: Actor, wish: KeyWish, user: str | None = None, reason: str | None = None
    ) -> tuple[Secret, StoredCredential]:
        """A new key of the actor, or of `user` for an administrator with a reason; the secret is stored nowhere.

        Raises:
            MayNotManage, BackendUnavailable, JumpedClock: see `ManagementContext.require_maker`.
            InvalidWish: the wish, or the reason, is wrong.
            NotFoundHere: there are no personal keys, or no such user.
            Conflict: the owner has too many keys, or cannot log in.
            AuditUnavailable, StorageUnavailable: nothing was stored.
        """
        context = self._context
        with context.events.change(actor, "create_access_key", **_for(user)) as record:
            context.require_maker(actor)
            settings = self.settings
            owner, why = self._owner(actor, user, reason)
            terms = terms_of(wish, context.settings, _lifetimes(settings), context.moment)
            wanted = wanted_secret(
                actor,
                terms,
                form=AccessKeyForm.PERSONAL,
                owner=owner.subject,
                sort=Sort.USER,
                source=owner.source,
            )
            try:
                key, made = context.store_for(actor).create(
                    wanted,
                    at_most=settings.per_user,
                    verified=actor.identity.verified,
                    recorded=lambda one: record(**made_facts(one), **why),
                )
            except TooManyCredentials as error:
                raise Conflict(str(error)) from None
        return key.text, made

    def rename(self, actor: Actor, identifier: str, name: str) -> Listed:
        """Rename the actor's own key.

        Raises:
            MayNotManage: it is somebody else's, or the actor's credential may not manage.
            InvalidWish, NotFoundHere, AuditUnavailable, StorageUnavailable: nothing was changed.
        """
        context = self._context
        with context.events.change(actor, "rename_access_key", credential=identifier) as record:
            found = self._own(actor, identifier)
            try:
                parse_note(name)
            except InvalidTerm as error:
                raise InvalidWish.of("name", str(error)) from None
            try:
                renamed = context.store_for(actor).rename(
                    identifier, name, recorded=lambda one: record(owner=one.owner, name=one.name)
                )
            except NoSuchCredential as error:
                raise Conflict(str(error)) from None
        return replace(found, credential=renamed)

    def rotate(self, actor: Actor, identifier: str, lifetime: int | None = None) -> tuple[Secret, StoredCredential]:
        """A successor of the actor's own key, valid as long as a new one or for `lifetime` seconds.

        The old one ends after the configured overlap.

        Raises:
            MayNotManage: it is somebody else's, or see `create`.
            InvalidWish, NotFoundHere, Conflict, BackendUnavailable, JumpedClock, AuditUnavailable: as `create`.
        """
        context = self._context
        with context.events.change(actor, "rotate_access_key", credential=identifier) as record:
            context.require_maker(actor)
            settings = self.settings
            self._own(actor, identifier)
            ends = wished_end(lifetime, _lifetimes(settings), context.moment)
            try:
                key, made = context.store_for(actor).rotate(
                    identifier,
                    ends=ends,
                    overlap=settings.rotate_overlap,
                    by=actor.identity.subject,
                    verified=actor.identity.verified,
                    recorded=lambda one: record(**made_facts(one)),
                )
            except (NoSuchCredential, TooManyCredentials) as error:
                raise Conflict(str(error)) from None
        return key.text, made

    def end(self, actor: Actor, identifier: str, reason: str | None = None) -> None:
        """End a key of the actor or, for an administrator with a reason, of anybody. It never comes back.

        Raises:
            MayNotManage, InvalidWish, NotFoundHere, AuditUnavailable, StorageUnavailable: it was not ended.
            Conflict: it has ended before.
        """
        context = self._context
        with context.events.change(actor, "end_access_key", credential=identifier) as record:
            credential = self.one(actor, identifier).credential
            why = BY_OWNER if owns(actor.identity, credential) and reason is None else parse_reason(reason)
            selection = Selection(ids=frozenset({identifier}), forms=PERSONAL)
            facts = {"credential": identifier, "owner": credential.owner, "reason": why}
            end_one(context, actor, selection, record, what="access key", **facts)

    @property
    def settings(self) -> AccessKeySettings:
        """The limits of access keys.

        Raises:
            NotFoundHere: there are no personal keys.
        """
        settings = self._context.settings.access_keys
        if settings is None:
            raise NotFoundHere("there are no personal access keys at this server")
        return settings

    def _owner(self, actor: Actor, user: str | None, reason: str | None) -> tuple[Identity, dict[str, str]]:
        """The owner of a new key, and the reason for the event if that is somebody else."""
        context, identity = self._context, actor.identity
        if user is None or _is(identity, user):
            if identity.sort is not Sort.USER:
                raise InvalidWish.of("user", "is missing; a machine has no personal access keys of its own")
            return identity, {} if reason is None else {"reason": parse_reason(reason)}
        context.require_administrator(actor)
        why = parse_reason(reason)
        try:
            owner = context.owners.named(unicodedata.normalize("NFC", user))
        except InvalidCredentials as error:
            raise Conflict(f"the user cannot log in now: {error.reason}") from None
        if owner is None:
            raise NotFoundHere("no user source has this user")
        return owner, {"reason": why}

    def _own(self, actor: Actor, identifier: str) -> Listed:
        """The key with this id, which must be the actor's."""
        found = self.one(actor, identifier)
        if not owns(actor.identity, found.credential):
            raise MayNotManage("only its owner may change an access key; fix: end it, and make another one")
        return found


def _lifetimes(settings: AccessKeySettings) -> SecretLifetimes:
    return SecretLifetimes(timedelta(seconds=settings.default_lifetime), timedelta(seconds=settings.max_lifetime))


def _is(identity: Identity, user: str) -> bool:
    return identity.sort is Sort.USER and identity.subject == unicodedata.normalize("NFC", user)


def _for(user: str | None) -> dict[str, str]:
    return {} if user is None else {"owner": user}
