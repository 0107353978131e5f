"""JSON bodies of successful responses: tokens with true times, messages of deny rules, and explanations."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import declared_machines as machines

from tokenserver.credentials import Secret
from tokenserver.exchange.rulings import Ruling, WorkloadFacts
from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.patterns import parse_pattern
from tokenserver.policy.decide import decide
from tokenserver.policy.decision import Decision, Reason
from tokenserver.policy.machines.workloads import membership
from tokenserver.policy.model import Context, Effect, Principals, Rule
from tokenserver.policy.queries.denial import NOTHING_DENIED, Denial, Nearest, denials
from tokenserver.scopes import Access, RejectedScope, Resource, Scope
from tokenserver.tokens.claims import Compat, Registry
from tokenserver.tokens.issuer import Token
from tokenserver.web.payloads import explanation_body, messages_of, token_body

EVERYBODY, EVERYWHERE = Principals(everyone=True), [parse_pattern("**")]
ALLOW = Rule.of("open", Effect.ALLOW, EVERYBODY, EVERYWHERE, ["pull"], file="secret-place.yaml")
DENY = Rule.of("frozen", Effect.DENY, EVERYBODY, EVERYWHERE, ["push"], message="ask ünal")
REGISTRY = Registry("reg", "auth.example.com", Compat.UNIVERSAL, 900)
RESOURCE = Resource("repository", "a/b")
ANN = Identity("ann", Kind.PASSWORD, "corp", frozenset({"web", "ops"}))


def ruled(identity: Identity = ANN, *rules: Rule, rejected: tuple[RejectedScope, ...] = ()) -> Ruling:
    """A ruling on pull and push of `a/b`, of which pull is granted; `rules` decided about push."""
    pull = frozenset({"pull"})
    reasons = (Reason("pull", ALLOW), *(Reason("push", rule) for rule in rules))
    decision = Decision(Scope(RESOURCE, frozenset({"pull", "push"})), pull, reasons)
    return Ruling(REGISTRY, identity, (decision, decision), rejected, "digest", (Access(RESOURCE, pull),), None)


def issued(ruling: Ruling) -> Token:
    return Token(Secret("signed"), "1", 1_700_000_000, 900, ruling.access)


def test_a_token() -> None:
    """Under both names, with its time in UTC."""
    assert json.loads(token_body(issued(ruled()), ruled(), with_scope=False)) == {
        "token": "signed",
        "access_token": "signed",
        "expires_in": 900,
        "issued_at": "2023-11-14T22:13:20Z",
    }


def test_scope_and_messages() -> None:
    """`scope` if asked for, `messages` if there are any; ASCII, one line."""
    body = token_body(issued(ruled()), ruled(ANN, DENY), with_scope=True)
    content = json.loads(body)
    assert (content["scope"], content["messages"]) == ("repository:a/b:pull", ["ask ünal"])
    assert (body.isascii(), body.count(b"\n"), body[-1:]) == (True, 1, b"\n")


def test_messages_are_not_for_anonymous_callers() -> None:
    """Each message once, and none for those who did not log in."""
    assert messages_of(ruled(ANN, DENY, DENY)) == ("ask ünal",)
    assert messages_of(ruled(ANN)) == ()
    assert messages_of(ruled(ANONYMOUS, DENY)) == ()


def test_an_explanation() -> None:
    """The caller, what was asked and granted, and the rules by id; no file of a rule."""
    nearest = Nearest("push", "writers", ("group:writers",), ("you are in none of these groups",))
    ruling = ruled(ANN, DENY, rejected=(RejectedScope("x" * 5000, "is no scope"),))
    body = explanation_body(ruling, [Denial((nearest,), ("ops@example.com",)), NOTHING_DENIED])
    content = json.loads(body)
    assert (content["service"], content["subject"], content["groups"]) == ("reg", "ann", ["ops", "web"])
    assert content["scopes"][0] == {
        "resource": "repository:a/b",
        "asked": ["pull", "push"],
        "granted": ["pull"],
        "rules": [
            {"action": "pull", "effect": "allow", "rule": "open", "message": None},
            {"action": "push", "effect": "deny", "rule": "frozen", "message": "ask ünal"},
        ],
        "nearest": [
            {
                "action": "push",
                "rule": "writers",
                "to": ["group:writers"],
                "missing": ["you are in none of these groups"],
            }
        ],
        "contacts": ["ops@example.com"],
    }
    unsearched = json.loads(explanation_body(ruling, [Denial(None, ()), NOTHING_DENIED]))["scopes"][0]
    assert (unsearched["nearest"], unsearched["contacts"]) == (None, [])
    assert (content["rejected"][0]["reason"], len(content["rejected"][0]["scope"]) < 5000) == ("is no scope", True)
    assert b"secret-place" not in body


def test_an_explanation_for_machines() -> None:
    """A workload learns what it is and which claim differs; machines have no namespace."""
    policies = machines.policy_set(
        [
            replace(DENY, id="people", effect=Effect.ALLOW, to=Principals(authenticated=True)),
            replace(DENY, id="release", effect=Effect.ALLOW, to=Principals(groups=frozenset({membership("release")}))),
        ],
        (),
        [machines.workload("web", repo="1"), machines.workload("release", repo="1", env="prod")],
    )
    for identity, workloads, missing in (
        (
            machines.client(repo="1", env="staging"),
            ["web"],
            [
                ["authenticated means people, and you are a workload"],
                ["needs workload:release: env is staging, not prod"],
            ],
        ),
        (machines.robot("ci"), None, [["authenticated means people, and you are a robot"]]),
    ):
        context = Context("reg", None, datetime(2026, 1, 1, tzinfo=UTC))
        decision = decide(policies, identity, Scope(RESOURCE, frozenset({"push"})), context)
        facts = WorkloadFacts.of(policies, identity)
        ruling = Ruling(REGISTRY, identity, (decision,), (), "digest", (), None, workload=facts)
        content = json.loads(explanation_body(ruling, denials(policies, identity, [decision], context)))
        assert (content["subject"], content.get("workloads"), "namespace" in content) == (
            identity.subject,
            workloads,
            False,
        )
        assert [near["missing"] for near in content["scopes"][0]["nearest"]] == missing
