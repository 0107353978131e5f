"""Secrets of robots: the owners of a robot and administrators make, rotate and end them.

A robot has two live ones at most, so that one can replace the other; those of policy files count, too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from tokenserver.credentials import AccessKeyForm, Secret
from tokenserver.identity import Sort
from tokenserver.management.actors import Actor
from tokenserver.management.context import ManagementContext
from tokenserver.management.event_facts import made_facts
from tokenserver.management.facts import state_at, state_of
from tokenserver.management.operations.stored_secrets import end_one, wanted_secret
from tokenserver.management.refusals import Conflict, NotFoundHere
from tokenserver.management.robot_rules import MAX_LIVE, live_declared, secret_lifetimes, third_secret
from tokenserver.management.views import RobotView, SecretView
from tokenserver.management.wishes import KeyWish, terms_of, wished_end
from tokenserver.policy.administration import may_manage_robot
from tokenserver.policy.machines.robots import Robot, subject_of
from tokenserver.storage.changes import NoSuchCredential, RotatedAlready, TooManyCredentials
from tokenserver.storage.credential import StoredCredential
from tokenserver.storage.selection import ROBOT_SECRETS, Listed, Selection

BY_MANAGER = "ended by an owner of the robot or an administrator"
"""The reason in the row of a secret that was ended by management."""

OVERLAP = timedelta(hours=24)
"""How long a replaced secret stays valid."""

_Result = TypeVar("_Result")


class RobotManagement:
    """The robots of the policy files and their secrets, for actors."""

    def __init__(self, context: ManagementContext) -> None:
        self._context = context

    def listed(self, actor: Actor) -> list[RobotView]:
        """The robots whose secrets the actor manages, by name.

        Raises:
            MayNotManage: the actor's credential may not.
            StorageUnavailable: the storage does not answer.
        """
        context = self._context
        context.require_manager(actor)
        policies = context.policies
        names = [name for name in sorted(policies.robots) if may_manage_robot(policies, actor.identity, name)]
        stored: dict[str, list[Listed]] = {}
        for one in context.store.listed(Selection(forms=ROBOT_SECRETS)) if names else ():
            stored.setdefault(one.credential.owner, []).append(one)
        return [self._view(policies.robots[name], stored.get(subject_of(name), [])) for name in names]

    def one(self, actor: Actor, name: str) -> RobotView:
        """A robot whose secrets the actor manages.

        Raises:
            MayNotManage, StorageUnavailable: as `listed`.
            NotFoundHere: there is no such robot, or the actor does not manage it.
        """
        robot = self._robot(actor, name)
        return self._view(robot, self._stored(robot))

    def create(self, actor: Actor, name: str, wish: KeyWish) -> tuple[Secret, StoredCredential]:
        """A new secret, whose text is stored nowhere; the name in the wish is a note about where it is used.

        Raises:
            MayNotManage, BackendUnavailable, JumpedClock: see `ManagementContext.require_maker`.
            NotFoundHere: as `one`.
            InvalidWish: the wish is wrong.
            Conflict: the robot has two live secrets.
            AuditUnavailable, StorageUnavailable: nothing was stored.
        """
        context = self._context
        with context.events.change(actor, "create_robot_secret", robot=name) as record:
            context.require_maker(actor)
            robot = self._robot(actor, name)
            terms = terms_of(wish, context.settings, secret_lifetimes(context.settings), context.moment)
            wanted = wanted_secret(actor, terms, form=AccessKeyForm.ROBOT, owner=robot.subject, sort=Sort.ROBOT)
            room = MAX_LIVE - len(live_declared(robot, context.moment))
            key, made = _made(
                robot,
                lambda: context.store_for(actor).create(
                    wanted, at_most=room, recorded=lambda one: record(**made_facts(one))
                ),
            )
        return key.text, made

    def rotate(
        self,
        actor: Actor,
        name: str,
        identifier: str,
        lifetime: int | None = None,
    ) -> tuple[Secret, StoredCredential]:
        """A successor of a stored secret with the same limits; the old one ends after `OVERLAP`.

        Raises: as `create`; also Conflict if the secret is one of a policy file.
        """
        context = self._context
        with context.events.change(actor, "rotate_robot_secret", robot=name, credential=identifier) as record:
            context.require_maker(actor)
            robot = self._robot(actor, name)
            self._require_stored(robot, identifier)
            ends = wished_end(lifetime, secret_lifetimes(context.settings), context.moment)
            room = MAX_LIVE - len(live_declared(robot, context.moment))
            key, made = _made(
                robot,
                lambda: context.store_for(actor).rotate(
                    identifier,
                    ends=ends,
                    overlap=int(OVERLAP.total_seconds()),
                    by=actor.identity.subject,
                    at_most=room,
                    recorded=lambda one: record(**made_facts(one)),
                ),
            )
        return key.text, made

    def end(self, actor: Actor, name: str, identifier: str) -> None:
        """End a stored secret. It never comes back.

        Raises:
            MayNotManage, NotFoundHere, AuditUnavailable, StorageUnavailable: it was not ended.
            Conflict: it has ended before, or ends with its line in a policy file.
        """
        context = self._context
        with context.events.change(actor, "end_robot_secret", robot=name, credential=identifier) as record:
            context.require_manager(actor)
            robot = self._robot(actor, name)
            self._require_stored(robot, identifier)
            selection = Selection(ids=frozenset({identifier}), forms=ROBOT_SECRETS, owner=robot.subject)
            facts = {"credential": identifier, "owner": robot.subject, "reason": BY_MANAGER}
            end_one(context, actor, selection, record, what="secret", **facts)

    def _robot(self, actor: Actor, name: str) -> Robot:
        self._context.require_manager(actor)
        policies = self._context.policies
        robot = policies.robots.get(name)
        if robot is None or not may_manage_robot(policies, actor.identity, name):
            raise NotFoundHere("there is no such robot among those that you manage")
        return robot

    def _stored(self, robot: Robot) -> list[Listed]:
        return self._context.store.listed(Selection(forms=ROBOT_SECRETS, owner=robot.subject))

    def _require_stored(self, robot: Robot, identifier: str) -> None:
        if any(secret.id == identifier for secret in robot.secrets):
            raise Conflict("the secret is one of a policy file; fix: change its line there")
        if all(one.credential.id != identifier for one in self._stored(robot)):
            raise NotFoundHere("the robot has no such secret")

    def _view(self, robot: Robot, stored: list[Listed]) -> RobotView:
        now = self._context.moment
        declared = [
            SecretView(
                id=one.id,
                state=state_at(one.expires, now),
                ends=int(one.expires.timestamp()),
                networks=tuple(map(str, one.networks)),
                note=one.note,
            )
            for one in robot.secrets
        ]
        kept = [
            SecretView(
                id=one.credential.id,
                state=state_of(one, now),
                ends=one.credential.ends,
                networks=tuple(map(str, one.credential.networks)),
                note=one.credential.name,
                listed=one,
            )
            for one in stored
            if one.ended is None
        ]
        return RobotView(robot.name, robot.subject, robot.description, robot.owners, (*declared, *kept))


def _made(robot: Robot, work: Callable[[], _Result]) -> _Result:
    try:
        return work()
    except (NoSuchCredential, RotatedAlready) as error:
        raise Conflict(str(error)) from None
    except TooManyCredentials:
        raise Conflict(f"{third_secret(robot.name)}; fix: see which one is used, and end the other one") from None
