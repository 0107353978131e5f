"""The bodies of API answers. Moments are RFC 3339 in UTC, and nothing is secret but the `secret` of a new one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tokenserver.identity import Kind, Sort

State = Literal["active", "expired", "ended", "altered"]


class ApiAnswer(BaseModel):
    """The base of all bodies."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class GroupDocument(ApiAnswer):
    """A group that the client is in, and whether its user source or the policy tree says so."""

    name: str
    origin: Literal["source", "tree"]


class WhoAmIDocument(ApiAnswer):
    """The client as the server knows it."""

    subject: str
    sort: Sort
    kind: Kind
    source: str
    groups: list[GroupDocument]
    workloads: list[str] = Field(description="The declared workloads that a workload is.")
    credential: str | None = Field(description="The id of the credential that was used; null for a password.")
    via: str | None = Field(description="What was used in place of a password: key, refresh, session or browser.")
    expires: str | None = Field(description="When the credential ends by itself.")
    is_administrator: bool
    may_manage: bool = Field(description="Whether this credential may make and end others.")


class BoundDocument(ApiAnswer):
    """Some resources, and the actions that a credential can do on them at most."""

    type: str
    patterns: list[str]
    actions: list[str]


class KeyDocument(ApiAnswer):
    """A personal access key, or a stored secret of a robot."""

    id: str
    state: State
    expires_soon: bool = Field(description="Whether it ends within 14 days.")
    owner: str
    source: str
    name: str
    created: str
    created_by: str
    created_from: str | None
    expires: str
    ceiling: list[BoundDocument] | None = Field(description="What it can do at most; null: all that its owner can.")
    networks: list[str] = Field(description="From where it is accepted; empty: from everywhere.")
    registries: list[str] | None = Field(description="Where it can be used; null: at all registries.")
    replaces: str | None = Field(description="The id of its predecessor in a rotation.")
    last_used: str | None = Field(description="Exact to a minute.")
    last_used_from: str | None
    first_used_from: str | None
    ended: str | None
    ended_by: str | None
    reason: str | None = Field(description="Why it was ended.")


class NewSecretDocument(KeyDocument):
    """A new access key or secret. The answer that makes it is the only one with its secret."""

    secret: str


class KeyPage(ApiAnswer):
    """Some access keys, the newest first."""

    items: list[KeyDocument]
    next: str | None = Field(description="The `cursor` of the next page; null: this is the last one.")


class RobotSecretDocument(ApiAnswer):
    """A secret of a robot. One that is not stored is declared in a policy file, and ends with its line there."""

    id: str
    stored: bool
    state: State
    expires_soon: bool
    expires: str
    networks: list[str]
    note: str
    last_used: str | None = Field(description="Null also for secrets that are not stored.")


class RobotDocument(ApiAnswer):
    """A robot that the client manages."""

    name: str
    subject: str
    description: str
    owners: list[str]
    secrets: list[RobotSecretDocument]


class RobotPage(ApiAnswer):
    """Some robots, by name."""

    items: list[RobotDocument]
    next: str | None


class LoginDocument(ApiAnswer):
    """A stored login: a refresh token, the session of a workload, or that of a browser."""

    id: str
    kind: Literal["refresh_token", "session", "browser"]
    subject: str
    source: str
    client: str | None = Field(description="The program that it was made for, as it calls itself.")
    created: str
    created_from: str | None
    expires: str
    last_used: str | None
    last_used_from: str | None
    first_used_from: str | None
    registries: list[str] | None
    current: bool = Field(description="Whether it is the one of this request.")


class LoginPage(ApiAnswer):
    """Some logins, the newest first."""

    items: list[LoginDocument]
    next: str | None


class EndedLogins(ApiAnswer):
    """How many logins were ended."""

    ended: int


class ExplainedRule(ApiAnswer):
    """A rule that decided about an action."""

    action: str
    effect: Literal["allow", "deny"]
    rule: str
    message: str | None


class NearestRule(ApiAnswer):
    """An allow rule that is for others, and what the client lacks."""

    action: str
    rule: str
    to: list[str]
    missing: list[str]


class ExplainedScope(ApiAnswer):
    """What of one scope is granted, and why."""

    resource: str
    asked: list[str]
    granted: list[str]
    rules: list[ExplainedRule]
    nearest: list[NearestRule] | None = Field(description="Null where the request was too large to look for them.")
    contacts: list[str]
    hint: str | None = None


class UnreadableScope(ApiAnswer):
    """A scope that could not be read."""

    scope: str
    reason: str
    hint: str | None = None


class ExplanationDocument(ApiAnswer):
    """What the client would be granted now at a registry, and why."""

    service: str
    subject: str
    groups: list[str]
    namespace: str | None = None
    workloads: list[str] | None = None
    scopes: list[ExplainedScope]
    rejected: list[UnreadableScope]
    rules_omitted: int | None = None


class FaultDocument(ApiAnswer):
    """What is wrong with one part of a request."""

    place: str = Field(examples=["body.networks[1]"])
    message: str


class ProblemDocument(ApiAnswer):
    """A problem (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str = Field(description="The kind of problem, for programs.", examples=["not_found"])
    request_id: str = Field(description="The id of the request in the server's log and audit events.")
    errors: list[FaultDocument] | None = Field(default=None, description="All that is wrong with the request.")


def moment(seconds: int | None) -> str | None:
    """A moment in seconds since the epoch, as RFC 3339."""
    return None if seconds is None else spelled_moment(seconds)


def spelled_moment(seconds: int) -> str:
    """As `moment`, for one that is there."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
