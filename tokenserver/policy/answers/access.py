"""The answer to somebody who asks about their own access: whether, by which rules, what is missing, and whom to ask."""

from __future__ import annotations

from dataclasses import dataclass

from tokenserver.identity import Identity
from tokenserver.policy.decide import decide
from tokenserver.policy.model import Context, PolicySet
from tokenserver.policy.queries.denial import Nearest, denials
from tokenserver.policy.terms import TermError, parse_request
from tokenserver.scopes import Scope

MAX_ASKED = 512
"""How long the name of a repository in a question may be; registries take at most 255 characters."""


@dataclass(frozen=True, slots=True)
class DecidingRule:
    """A rule that decides, with the message of a deny rule; its `place` is for those who may read the files."""

    rule: str
    effect: str
    message: str | None
    place: str


@dataclass(frozen=True, slots=True)
class AccessAnswer:
    """What a client may do with one resource at one registry.

    `nearest` has the allow rules that come closest, with what the client lacks; None: there are too many to compare.
    `contacts` are those of the namespace's owners. Both are empty if it is allowed.
    """

    service: str
    action: str
    resource: str
    is_allowed: bool
    rules: tuple[DecidingRule, ...]
    nearest: tuple[Nearest, ...] | None
    contacts: tuple[str, ...]

    @property
    def is_denied(self) -> bool:
        """Whether a deny rule forbids it; else no rule grants it, if it is not allowed."""
        return any(one.effect == "deny" for one in self.rules)


def asked_scope(action: str, name: str) -> Scope:
    """The scope of a question about one action on a repository, or on `registry:NAME`.

    Raises:
        TermError: no such action, or no name; an image name with how to write it.
    """
    if len(name) > MAX_ASKED:
        raise TermError(f"the name of a repository has at most {MAX_ASKED} characters")
    scope = parse_request(f"{action} {name}")
    if len(scope.actions) != 1 or (scope.resource.type == "repository" and action == "*"):
        raise TermError("name exactly one action: pull, push or delete")
    return scope


def access_answer(policies: PolicySet, identity: Identity, scope: Scope, context: Context) -> AccessAnswer:
    """The answer for one action of the client itself, with what `explain` has; see `queries.denial`."""
    (action,) = scope.actions
    decision = decide(policies, identity, scope, context)
    (denial,) = denials(policies, identity, [decision], context)
    reasons = dict.fromkeys(
        DecidingRule(one.rule, one.effect.value, one.message, f"{one.file}:{one.line}") for one in decision.reasons
    )
    return AccessAnswer(
        context.service,
        action,
        str(scope.resource) if scope.resource.type != "repository" else scope.resource.name,
        action in decision.granted,
        tuple(reasons),
        denial.nearest,
        denial.contacts,
    )
