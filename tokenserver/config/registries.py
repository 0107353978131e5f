"""Settings of one registry: its service names, keys and token lifetimes."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from tokenserver.config.fields import FilePath, Lifetime, NameText, Section, Url
from tokenserver.documents.document import PlacedError
from tokenserver.keys.ring import Algorithm
from tokenserver.tokens.claims import Compat
from tokenserver.tokens.jose_header import compat_problem


class Lifetimes(Section):
    """Token lifetimes in seconds, by action. `default` is for the actions without one."""

    default: Lifetime = 900
    pull: Lifetime | None = None
    push: Lifetime | None = None
    delete: Lifetime | None = None

    @property
    def of_actions(self) -> tuple[tuple[str, int], ...]:
        """The actions with a specific lifetime, and that lifetime."""
        named = {"pull": self.pull, "push": self.push, "delete": self.delete}
        return tuple((action, seconds) for action, seconds in named.items() if seconds is not None)

    def __str__(self) -> str:
        return ", ".join([f"{self.default} s", *(f"{action} {seconds} s" for action, seconds in self.of_actions)])


def _one_for_all(value: Any) -> Any:
    """`15m` is short for `{default: 15m}`."""
    return value if isinstance(value, (dict, Lifetimes)) else {"default": value}


class NotificationSettings(Section):
    """What the registry reports about pushes, pulls, mounts and deletes, which goes into the audit trail.

    The registry sends it with the secret in `secret_file`. `actions` are recorded; of blobs, only with `blobs`.
    """

    secret_file: FilePath
    actions: tuple[Literal["push", "pull", "mount", "delete"], ...] = Field(
        default=("push", "pull", "mount", "delete"), strict=False
    )
    blobs: bool = False

    @field_validator("actions")
    @classmethod
    def _some_action(cls, actions: tuple[str, ...]) -> tuple[str, ...]:
        if not actions:
            raise ValueError("must name an action; fix: leave out notifications if nothing is to be recorded")
        return actions


class RegistrySettings(Section):
    """A registry that this server signs tokens for. `service` is its `auth.token.service`, the token's audience.

    `also` are further service names of the same registry; policies know it only as `service`. A value of None means
    that of the whole server; for `refresh_tokens`, that there are some if the server has any. `grant`: whether a token
    carries what was asked, as far as it is granted, or all that is granted on the repositories asked for. Without
    `notifications`, the registry reports nothing.
    """

    service: NameText
    also: tuple[NameText, ...] = Field(default=(), strict=False)
    issuer: NameText | None = None
    compat: Literal["universal", "distribution2", "distribution3", "jwks", "zot"] = "universal"
    algorithm: Literal["ES256", "ES384", "RS256", "EdDSA"] | None = None
    grant: Literal["asked", "held"] = "asked"
    token_lifetime: Annotated[Lifetimes, BeforeValidator(_one_for_all)] = Lifetimes()
    keys: FilePath | None = None
    url: Url | None = None
    refresh_tokens: bool | None = None
    notifications: NotificationSettings | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All service names of the registry, `service` first."""
        return (self.service, *self.also)

    @model_validator(mode="after")
    def _algorithm_fits(self) -> Self:
        problem = None
        if self.algorithm is not None:
            problem = compat_problem(Algorithm(self.algorithm), Compat(self.compat))
        if problem is not None:
            raise PlacedError(("algorithm",), f"cannot be combined with compat: {self.compat}: {problem}")
        return self
