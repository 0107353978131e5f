"""Questions about a policy set as a whole. Here: who can do this?

The answer is searched, not sampled: from every allow rule that could grant the action, one witness for each of its
principals is decided like a real client, and where a deny rule stops it, everybody whom that rule excepts is tried
on top. A witness is as plain as it can be: an unnamed user, in no group but those that brought it here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.policy.budget import Budget, TooComplex, command_budget
from tokenserver.policy.decide import decide
from tokenserver.policy.decision import Decision
from tokenserver.policy.index import buckets_for
from tokenserver.policy.model import Context, Effect, Entry, PolicySet, Principal, Principals
from tokenserver.policy.patterns import Pattern, SegmentKind, matches_below
from tokenserver.scopes import Resource, Scope

SOMEBODY = "\0"
"""The subject of an unnamed user: no policy file can name it, no pattern variable can take it."""

MAX_WITNESSES = 10_000

_EVERYONE, _AUTHENTICATED, _ANONYMOUS = (Principal(sort) for sort in ("everyone", "authenticated", "anonymous"))

Answer = frozenset[Principal]
"""One principal who can; several together mean somebody who is all of them at once."""


class TooManyCombinations(TooComplex):
    """The rules about one resource combine in too many ways to be answered for."""


@dataclass(frozen=True, slots=True)
class _Witness:
    """A client made up for the search. `why` holds the principals that were needed to get here."""

    anonymous: bool = False
    user: str | None = None
    brought: frozenset[str] = frozenset()
    why: Answer = frozenset()

    @property
    def order(self) -> tuple[int, list[Principal], list[str]]:
        return len(self.why), sorted(self.why), sorted(self.brought)

    def identity(self, kind: Kind) -> Identity:
        if self.anonymous:
            return ANONYMOUS
        return Identity(self.user or SOMEBODY, kind, groups=self.brought)

    def answer(self) -> Answer:
        if self.anonymous:
            return frozenset({_ANONYMOUS})
        if self.user is not None:
            return frozenset({Principal("user", self.user)})
        return self.why or frozenset({_AUTHENTICATED})


def who_can(  # noqa: PLR0917 - a question in full
    policies: PolicySet,
    action: str,
    resource: Resource,
    context: Context,
    kind: Kind = Kind.PASSWORD,
    budget: Budget | None = None,
) -> Mapping[Answer, Decision]:
    """Everybody who can do `action` on `resource`, each with the decision that says so, in `canonical` form.

    A user is named where no broader answer covers the user, also one who can only as a member of some group whose
    members nobody here knows. Those whom a broader answer covers and a deny rule or `except` leaves out are not
    told apart.

    Raises:
        TooManyCombinations: more than `MAX_WITNESSES` would have to be tried.
        TooComplex: to try them takes more than the budget (None: that of one command).
    """
    budget = budget or command_budget()
    scope = Scope(resource, frozenset({action}))
    entries = list(entries_about(policies, resource))
    excluded = {rule.id: rule.excluded for rule, _ in entries if rule.effect is Effect.DENY and rule.excluded}
    pending = {
        witness
        for rule, pattern in entries
        if rule.effect is Effect.ALLOW and action in rule.actions
        for principal in listed(rule.to)
        for base in (_Witness(), _Witness(anonymous=True))
        for witness in _bound(policies, _extended(policies, base, principal), pattern, resource)
    }
    found: dict[Answer, Decision] = {}
    enough: list[Answer] = []
    seen: set[_Witness] = set()
    while pending:
        seen |= pending
        if len(seen) > MAX_WITNESSES:
            raise _too_many()
        following: set[_Witness] = set()
        for witness in sorted(pending, key=lambda witness: witness.order):
            if not witness.anonymous and any(why <= witness.why for why in enough):
                continue
            identity = witness.identity(kind)
            budget.spend(cost(policies, resource, identity) + len(enough) // 16)
            decision = decide(policies, identity, scope, context)
            if decision.granted:
                found.setdefault(witness.answer(), decision)
                if not witness.anonymous:
                    enough.append(witness.why)
                continue
            # Every deny that stands in the way has to be got round, so starting with any one of them will do.
            stopped_by = next((excluded.get(reason.rule) for reason in decision.reasons), None)
            for principal in listed(stopped_by or Principals()):
                following.update(more for more in _extended(policies, witness, principal) if more not in seen)
                if len(seen) + len(following) > MAX_WITNESSES:
                    raise _too_many()
        pending = following
    kept = canonical(policies, found)
    return {answer: decision for answer, decision in found.items() if answer in kept}


def _too_many() -> TooManyCombinations:
    return TooManyCombinations(f"more than {MAX_WITNESSES} combinations of principals to try")


def cost(policies: PolicySet, resource: Resource, identity: Identity) -> int:
    """How many steps a decision about the resource takes."""
    entries = 0
    held = policies.groups.holding(identity)
    for bucket in buckets_for(policies.index, resource.type, resource.name.split("/")):
        entries += len(bucket.broad) + len(bucket.by_user.get(identity.subject, ()))
        entries += sum(len(bucket.by_group[group]) for group in held if group in bucket.by_group)
    return 1 + entries // 16


def canonical(policies: PolicySet, answers: Iterable[Answer]) -> frozenset[Answer]:
    """The same answers in the one form that can be compared.

    `everyone` is taken apart; a group that is nothing but a list of users is that list; what another answer covers
    is left out.
    """
    groups = policies.groups.by_name
    found: set[Answer] = set()
    for answer in answers:
        (only,) = answer if len(answer) == 1 else (None,)
        if only == _EVERYONE:
            found |= {frozenset({_AUTHENTICATED}), frozenset({_ANONYMOUS})}
        elif only is not None and only.sort == "group" and only.name in groups and not groups[only.name].groups:
            found |= {frozenset({Principal("user", user)}) for user in groups[only.name].users}
        else:
            found.add(answer)
    if frozenset({_AUTHENTICATED}) in found:
        return frozenset(found & {frozenset({_AUTHENTICATED}), frozenset({_ANONYMOUS})})
    members = {
        frozenset({Principal("user", user)})
        for name, group in groups.items()
        if frozenset({Principal("group", name)}) in found
        for user in group.users
    }
    return frozenset(answer for answer in found - members if not any(other < answer for other in found))


def examples(policies: PolicySet, answer: Answer, kind: Kind) -> list[Identity]:
    """Identities that stand for an answer: those whom it names, and somebody for those whom it does not name.

    Raises:
        TooManyCombinations: there are more than `MAX_WITNESSES`.
    """
    witnesses = [_Witness(), _Witness(anonymous=True)]
    for principal in sorted(answer):
        extended = (more for witness in witnesses for more in _extended(policies, witness, principal))
        witnesses = list(islice(extended, MAX_WITNESSES + 1))
        if len(witnesses) > MAX_WITNESSES:
            raise _too_many()
    return [witness.identity(kind) for witness in witnesses]


def spell_answers(answers: Iterable[Answer]) -> str:
    """Answers as a policy file writes them, in a fixed order."""
    found = set(answers)
    if {frozenset({_AUTHENTICATED}), frozenset({_ANONYMOUS})} <= found:
        found -= {frozenset({_AUTHENTICATED}), frozenset({_ANONYMOUS})}
        found.add(frozenset({_EVERYONE}))
    return ", ".join(sorted(" & ".join(map(str, sorted(answer))) for answer in found)) or "nobody"


def entries_about(policies: PolicySet, resource: Resource) -> Iterator[Entry]:
    """Every rule that could be about the resource, whoever it means."""
    for bucket in buckets_for(policies.index, resource.type, resource.name.split("/")):
        yield from bucket.broad
        for entries in (*bucket.by_user.values(), *bucket.by_group.values()):
            yield from entries


def listed(principals: Principals) -> list[Principal]:
    """A set of people as single principals."""
    named = {_EVERYONE: principals.everyone, _AUTHENTICATED: principals.authenticated, _ANONYMOUS: principals.anonymous}
    return [
        *(principal for principal, present in named.items() if present),
        *(Principal("user", name) for name in sorted(principals.users)),
        *(Principal("group", name) for name in sorted(principals.groups)),
    ]


def _extended(policies: PolicySet, witness: _Witness, principal: Principal) -> list[_Witness]:
    """The ways in which the witness can be this principal as well; none where it cannot."""
    if principal == _EVERYONE:
        return [witness]
    if witness.anonymous or principal == _ANONYMOUS:
        return [witness] if witness.anonymous and principal == _ANONYMOUS else []
    if principal == _AUTHENTICATED:
        return [witness]
    why = witness.why | {principal}
    if principal.sort == "user":
        if witness.user not in (None, principal.name):
            return []
        return [_Witness(False, principal.name, witness.brought, why)]
    group = policies.groups.by_name.get(principal.name)
    if group is None:
        return [_Witness(False, witness.user, witness.brought | {principal.name}, why)]
    return [
        *(
            _Witness(False, user, witness.brought, why | {Principal("user", user)})
            for user in group.users
            if witness.user in (None, user)
        ),
        *(_Witness(False, witness.user, witness.brought | {brought}, why) for brought in group.groups),
    ]


def _bound(policies: PolicySet, witnesses: list[_Witness], pattern: Pattern, resource: Resource) -> Iterator[_Witness]:
    """The witnesses as those whom the pattern's variables ask for, if the pattern covers the resource at all."""
    segments = resource.name.split("/")
    named = sorted(set(segments))
    users: list[str | None] = [*named] if pattern.uses(SegmentKind.USER) else [None]
    groups: list[str | None] = [*named] if pattern.uses(SegmentKind.GROUP) else [None]
    for user in users:
        for group in groups:
            if not matches_below(pattern, segments, user, () if group is None else (group,)):
                continue
            bound = witnesses
            for sort, name in (("user", user), ("group", group)):
                if name is not None:
                    bound = [more for one in bound for more in _extended(policies, one, Principal(sort, name))]
            yield from bound
