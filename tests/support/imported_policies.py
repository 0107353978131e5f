"""Policies that an importer wrote, loaded from their texts, and what they grant."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tokenserver.identity import Identity, Kind
from tokenserver.policy.decide import decide
from tokenserver.policy.loading.loader import PolicyLoader
from tokenserver.policy.machines.robots import subject_of
from tokenserver.policy.model import Context, PolicySet
from tokenserver.scopes import ACTIONS, REPOSITORY_ACTIONS, Resource, Scope

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def loaded(*texts: str) -> PolicySet:
    """The policies of these root files; their tests have passed."""
    files = {f"{number}.yaml": text for number, text in enumerate(texts)}
    return PolicyLoader(Path("policies")).load(NOW, (files, []))


def decided(policies: PolicySet, identity: Identity, name: str, kind: str = "repository") -> set[str]:
    """The actions that somebody has on a resource."""
    asked = REPOSITORY_ACTIONS if kind == "repository" else ACTIONS
    scope = Scope(Resource(kind, name), frozenset(asked))
    return set(decide(policies, identity, scope, Context("registry", None, NOW)).granted)


def robot(name: str) -> Identity:
    """The declared robot of this name."""
    return Identity(subject_of(name), Kind.ROBOT)


def person(name: str, *groups: str) -> Identity:
    """Somebody who logged in with a password."""
    return Identity(name, Kind.PASSWORD, groups=frozenset(groups))
