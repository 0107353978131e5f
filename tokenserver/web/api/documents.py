"""From what management shows to the bodies of answers."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from tokenserver.credentials import Secret
from tokenserver.management.facts import ACTIVE, ALTERED, EXPIRED, EXPIRES_SOON, REVOKED, registries_of, state_of
from tokenserver.management.views import LoginView, RobotView, SecretView, WhoAmI
from tokenserver.scopes import in_order
from tokenserver.web.api.answers import (
    BoundDocument,
    GroupDocument,
    KeyDocument,
    LoginDocument,
    NewSecretDocument,
    RobotDocument,
    RobotSecretDocument,
    State,
    WhoAmIDocument,
    moment,
    spelled_moment,
)

if TYPE_CHECKING:  # the storage takes a while to import, and is not needed without one
    from tokenserver.storage.selection import Listed

_STATES: dict[str, State] = {
    ACTIVE: "active",
    EXPIRES_SOON: "active",
    EXPIRED: "expired",
    REVOKED: "ended",
    ALTERED: "altered",
}


def whoami_document(found: WhoAmI) -> WhoAmIDocument:
    """The client."""
    return WhoAmIDocument(
        subject=found.subject,
        sort=found.sort,
        kind=found.kind,
        source=found.source,
        groups=[GroupDocument(name=group.name, origin=group.origin) for group in found.groups],
        workloads=list(found.workloads),
        credential=found.credential or None,
        via=found.via or None,
        expires=moment(found.ends),
        is_administrator=found.is_administrator,
        may_manage=found.may_manage,
    )


def key_document(listed: Listed, now: datetime) -> KeyDocument:
    """An access key, or a stored secret."""
    one, use, state, registries = listed.credential, listed.use, state_of(listed, now), registries_of(listed)
    bounds = None if one.ceiling is None else one.ceiling.bounds
    return KeyDocument(
        id=one.id,
        state=_STATES[state],
        expires_soon=state == EXPIRES_SOON,
        owner=one.owner,
        source=one.source,
        name=one.name,
        created=spelled_moment(one.created),
        created_by=one.created_by,
        created_from=one.created_from or None,
        expires=spelled_moment(one.ends),
        ceiling=None
        if bounds is None
        else [
            BoundDocument(
                type=bound.type,
                patterns=[pattern.text for pattern in bound.patterns],
                actions=in_order(bound.actions),
            )
            for bound in bounds
        ],
        networks=[str(network) for network in one.networks],
        registries=None if registries is None else sorted(registries),
        replaces=one.replaces,
        last_used=None if use is None else spelled_moment(use.last),
        last_used_from=None if use is None else use.last_from or None,
        first_used_from=None if use is None else use.first_from or None,
        ended=moment(listed.ended),
        ended_by=listed.ended_by,
        reason=listed.reason,
    )


def new_secret_document(secret: Secret, listed: Listed, now: datetime) -> NewSecretDocument:
    """A new access key or stored secret, with its secret."""
    return NewSecretDocument(**key_document(listed, now).model_dump(), secret=secret.reveal())


def robot_document(robot: RobotView) -> RobotDocument:
    """A robot with its secrets."""
    return RobotDocument(
        name=robot.name,
        subject=robot.subject,
        description=robot.description,
        owners=list(robot.owners),
        secrets=[_secret_document(secret) for secret in robot.secrets],
    )


def login_document(login: LoginView) -> LoginDocument:
    """A stored login."""
    return LoginDocument(
        id=login.id,
        kind=login.kind,
        subject=login.subject,
        source=login.source,
        client=login.client or None,
        created=spelled_moment(login.created),
        created_from=login.created_from or None,
        expires=spelled_moment(login.ends),
        last_used=moment(login.last_used),
        last_used_from=login.last_from or None,
        first_used_from=login.first_from or None,
        registries=None if login.registries is None else list(login.registries),
        current=login.is_current,
    )


def _secret_document(secret: SecretView) -> RobotSecretDocument:
    use = None if secret.listed is None else secret.listed.use
    return RobotSecretDocument(
        id=secret.id,
        stored=secret.is_stored,
        state=_STATES[secret.state],
        expires_soon=secret.state == EXPIRES_SOON,
        expires=spelled_moment(secret.ends),
        networks=list(secret.networks),
        note=secret.note,
        last_used=None if use is None else spelled_moment(use.last),
    )
