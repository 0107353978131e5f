"""What management shows: the actor itself, robots with their secrets, and stored logins. Nothing in it is secret.

Moments are whole seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tokenserver.identity import Kind, Sort

if TYPE_CHECKING:  # the storage takes a while to import, and is not needed without one
    from tokenserver.exchange.rulings import Ruling
    from tokenserver.policy.queries.denial import Denial
    from tokenserver.storage.selection import Listed


@dataclass(frozen=True, slots=True)
class GroupOrigin:
    """A group that the actor is in, and who says so: its user source, or the policy tree."""

    name: str
    origin: Literal["source", "tree"]


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """The actor as the server knows it; `workloads` are the declared ones that it is.

    `credential` is the id of the credential that it used, empty if that has none; `ends` is when that ends, None if it
    does not end by itself, as a password. `via` is what was used in place of a password: `key`, `refresh`, `session` or
    `browser`; empty: nothing.
    """

    subject: str
    sort: Sort
    kind: Kind
    source: str
    groups: tuple[GroupOrigin, ...]
    workloads: tuple[str, ...]
    credential: str
    via: str
    ends: int | None
    is_administrator: bool
    may_manage: bool


@dataclass(frozen=True, slots=True)
class SecretView:
    """A secret of a robot. `listed` has more of one that is stored; a secret of a policy file ends with its line."""

    id: str
    state: str
    ends: int
    networks: tuple[str, ...]
    note: str
    listed: Listed | None = None

    @property
    def is_stored(self) -> bool:
        """Whether it is in the storage, and not in a policy file."""
        return self.listed is not None


@dataclass(frozen=True, slots=True)
class RobotView:
    """A declared robot with its secrets that have not been ended; those of policy files come first."""

    name: str
    subject: str
    description: str
    owners: tuple[str, ...]
    secrets: tuple[SecretView, ...]


@dataclass(frozen=True, slots=True)
class LoginView:
    """A stored login that can be used: a refresh token, the session of a workload, or that of a browser.

    `client` is the program that it was made for. `registries` are those where it can be used; None: all of them.
    `is_current`: it is the one that the actor uses.
    """

    id: str
    kind: Literal["refresh_token", "session", "browser"]
    subject: str
    source: str
    client: str
    created: int
    created_from: str
    ends: int
    last_used: int | None = None
    last_from: str = ""
    first_from: str = ""
    registries: tuple[str, ...] | None = None
    is_current: bool = False


@dataclass(frozen=True, slots=True)
class ExplainedRuling:
    """What the actor would be granted and why; `denials` has one for each decision of the ruling."""

    ruling: Ruling
    denials: tuple[Denial, ...]
