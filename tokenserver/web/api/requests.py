"""The bodies of API requests. Unknown members are refused, and texts are not converted to numbers or the like."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.config import JsonDict

from tokenserver.config.protection import MAX_SECRET_LIFETIME, MIN_SECRET_LIFETIME
from tokenserver.management.wishes import MAX_ITEMS, MAX_REASON, KeyWish
from tokenserver.policy.syntax.machines import MAX_NOTE
from tokenserver.scopes import REPOSITORY_ACTIONS

MAX_TERM = 512
"""Characters of a pattern, network or registry."""

Term = Annotated[str, Field(min_length=1, max_length=MAX_TERM)]
Terms = Annotated[list[Term], Field(max_length=MAX_ITEMS)]
NoteText = Annotated[str, Field(max_length=MAX_NOTE)]
ReasonText = Annotated[str, Field(min_length=1, max_length=MAX_REASON)]
# What the management checks is in the document alone, so that all faults are found together.
ActionName = Annotated[Term, Field(json_schema_extra={"enum": list(REPOSITORY_ACTIONS)})]


def _whole(value: object) -> object:
    """JSON has one kind of number, so that 3600.0 is an integer as well (JSON Schema, section 6.1.1)."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_BOUNDS: JsonDict = {"minimum": MIN_SECRET_LIFETIME, "maximum": MAX_SECRET_LIFETIME}

LifetimeSeconds = Annotated[int, BeforeValidator(_whole), Field(json_schema_extra=_BOUNDS)]


class ApiRequest(BaseModel):
    """The base of all bodies."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class SecretWish(ApiRequest):
    """A new secret. What is left out narrows nothing."""

    name: NoteText = Field(default="", description="What it is for, in the words of its owner.")
    actions: Annotated[list[ActionName], Field(max_length=MAX_ITEMS, json_schema_extra={"minItems": 1})] | None = Field(
        default=None, description="The actions that it can do; all of them if left out.", examples=[["pull"]]
    )
    repositories: Terms = Field(
        default_factory=list, description="Patterns of the repositories where it can be used.", examples=[["web/**"]]
    )
    registries: Terms = Field(
        default_factory=list, description="The registries where it can be used.", examples=[["registry.example.com"]]
    )
    networks: Terms = Field(
        default_factory=list, description="The networks from which it is accepted.", examples=[["10.0.0.0/8"]]
    )
    lifetime_seconds: LifetimeSeconds | None = Field(
        default=None, description="How long it is valid; as configured if left out.", examples=[2592000]
    )

    def wish(self) -> KeyWish:
        """The wish, for the management."""
        return KeyWish(
            name=self.name,
            actions=None if self.actions is None else tuple(self.actions),
            repositories=tuple(self.repositories),
            services=tuple(self.registries),
            networks=tuple(self.networks),
            lifetime=self.lifetime_seconds,
        )


class NewAccessKey(SecretWish):
    """A new personal access key."""

    reason: ReasonText | None = Field(
        default=None, description="Why an administrator makes it for somebody else; needed with `user`."
    )


class Renaming(ApiRequest):
    """Another name of an access key."""

    name: NoteText


class Rotation(ApiRequest):
    """A successor of a secret, with the same limits."""

    lifetime_seconds: LifetimeSeconds | None = Field(
        default=None, description="How long the new one is valid; as configured if left out."
    )


class EndLogins(ApiRequest):
    """The end of all logins of somebody."""

    reason: ReasonText | None = Field(
        default=None, description="Why; an administrator needs one for the logins of somebody else."
    )


WISH_FIELDS = {"services": "registries", "lifetime": "lifetime_seconds"}
"""What members of bodies are called here, by the fields of wishes with another name."""
