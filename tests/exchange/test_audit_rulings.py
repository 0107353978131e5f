"""A ruling's part of an event: to the letter what the general encoder writes, whatever the texts hold."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tokenserver.exchange.audit_events import MAX_REJECTED, MAX_RULES, cited_together, cut
from tokenserver.exchange.audit_rulings import rejected_facts, ruling_members
from tokenserver.exchange.rulings import Ruling, WorkloadFacts
from tokenserver.identity import PEOPLE, Identity, Kind
from tokenserver.patterns import parse_pattern
from tokenserver.policy.decision import Decision, Reason
from tokenserver.policy.model import Effect, Principals, Rule
from tokenserver.scopes import Access, RejectedScope, Resource, Scope, in_order
from tokenserver.tokens.claims import Compat, Registry

texts = st.text(st.characters() | st.sampled_from('"\\\x7f\n\u2028é'), max_size=8)
few_actions = st.frozensets(st.sampled_from(["pull", "push", "delete", "*"]))
resources = st.builds(Resource, st.sampled_from(["repository", "registry"]), texts)
rules = st.builds(
    lambda name, effect, file, line, message: Rule.of(
        name, effect, Principals(everyone=True), [parse_pattern("**")], ["pull"], message=message, file=file, line=line
    ),
    texts, st.sampled_from(Effect), texts, st.integers(1, 99), texts | st.none(),
)  # fmt: skip
reasons = st.builds(Reason, st.sampled_from(["pull", "push"]), rules)
decisions = st.builds(
    Decision,
    st.builds(Scope, resources, few_actions),
    few_actions,
    st.lists(reasons, max_size=3).map(tuple) | reasons.map(lambda one: (one,) * (MAX_RULES + 2)),
)
identities = st.builds(
    Identity, texts, st.sampled_from(Kind), texts, st.frozensets(texts, max_size=3),
    stale=st.booleans(), lost=st.lists(texts, max_size=2).map(tuple), namespace=texts | st.none(),
    credential=texts,
)  # fmt: skip
registries = st.builds(
    Registry, texts, texts, st.just(Compat.JWKS), st.just(900), asked_as=texts | st.none(), holds=st.booleans()
)
rulings = st.builds(
    Ruling,
    registries,
    identities,
    st.lists(decisions, max_size=3).map(tuple),
    st.lists(st.builds(RejectedScope, texts | st.just("x" * 999), texts), max_size=3).map(tuple),
    texts,
    st.lists(st.builds(Access, resources, few_actions), max_size=3).map(tuple),
    st.none(),
    workload=st.none()
    | st.builds(
        WorkloadFacts,
        st.lists(texts, max_size=2).map(tuple),
        st.dictionaries(texts, st.lists(texts, max_size=2).map(tuple), max_size=2).map(lambda one: tuple(one.items())),
    ),
)


def spelled(one: Scope | Access) -> str:
    return f"{one.resource.type}:{one.resource.name}:{','.join(in_order(one.actions))}"


def facts(ruling: Ruling) -> dict[str, Any]:
    """The same members as values, in their order."""
    cited, omitted = cited_together(ruling.decisions)
    identity, registry = ruling.identity, ruling.registry
    optional: dict[str, Any] = {
        "asked_as": registry.asked_as,
        "grant": "held" if registry.holds else None,
        "namespace": identity.namespace if identity.kind in (Kind.ANONYMOUS, *PEOPLE) else None,
        "credential": identity.credential or None,
        "rules_omitted": omitted or None,
        "stale": identity.stale or None,
        "lost": list(identity.lost) or None,
        "sort": {Kind.ROBOT: "robot", Kind.WORKLOAD: "workload"}.get(identity.kind),
        "workloads": None if ruling.workload is None else list(ruling.workload.names),
        "claims": None if ruling.workload is None else {name: list(some) for name, some in ruling.workload.claims},
    }
    every = {
        "asked": [spelled(decision.scope) for decision in ruling.decisions],
        "rejected": [{"scope": cut(one.text), "reason": one.reason} for one in ruling.rejected] or None,
        "registry": registry.service,
        "asked_as": ...,
        "grant": ...,
        "subject": identity.subject,
        "source": identity.source,
        "namespace": ...,
        "kind": identity.kind.value,
        "credential": ...,
        "groups": sorted(identity.groups),
        "granted": [spelled(access) for access in ruling.access],
        "rules": [
            {
                "resource": f"{decision.scope.resource.type}:{decision.scope.resource.name}",
                "action": reason.action,
                "effect": reason.effect.value,
                "rule": reason.rule,
                "at": f"{reason.file}:{reason.line}",
                **({} if reason.message is None else {"message": reason.message}),
            }
            for decision, some in zip(ruling.decisions, cited, strict=True)
            for reason in some
        ],
        "rules_omitted": ...,
        "policy": ruling.policy,
        "stale": ...,
        "lost": ...,
        "sort": ...,
        "workloads": ...,
        "claims": ...,
    }
    chosen = {name: optional[name] if value is ... else value for name, value in every.items()}
    return {name: value for name, value in chosen.items() if value is not None}


@given(rulings)
def test_members_are_encoded_as_by_the_library(ruling: Ruling) -> None:
    """ASCII without control characters; what is usual is left out."""
    expected = json.dumps(facts(ruling), separators=(",", ":"))[1:-1].replace("\x7f", "\\u007f")
    assert ruling_members(ruling) == expected


def test_rejected_texts_are_counted() -> None:
    """The first few are listed."""
    rejected = [RejectedScope(str(number), "x") for number in range(MAX_REJECTED + 3)]
    found = rejected_facts(rejected)
    assert ([one["scope"] for one in found["rejected"]], found["rejected_omitted"]) == (
        [str(number) for number in range(MAX_REJECTED)],
        3,
    )
    assert (rejected_facts([]), "rejected_omitted" in rejected_facts(rejected[:3])) == ({}, False)
