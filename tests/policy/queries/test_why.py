"""`why`: its verdict is the decision, its rules are those that decided, and it says what is missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any

import declared_machines as machines
import policy_worlds as world
import pytest
import rich_worlds as rich
from declared_machines import client, robot, workload
from hypothesis import given
from hypothesis import strategies as st
from rule_texts import rule_of
from slow_properties import slow_examples
from some_ceilings import ceiling

from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.patterns import parse_name, parse_pattern
from tokenserver.policy.decide import decide
from tokenserver.policy.index import build_index
from tokenserver.policy.machines.workloads import Workload, membership, where_claims
from tokenserver.policy.model import Condition, Context, Effect, Group, Groups, PolicySet, Principals, Rule
from tokenserver.policy.principals import principals_of
from tokenserver.policy.queries.why import AccessVerdict, Explanation, spell_workloads, why
from tokenserver.policy.terms import parse_principal
from tokenserver.scopes import Resource, Scope

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CONTEXT = Context("registry", None, NOW)
ANN = Identity("ann", Kind.PASSWORD, groups=frozenset({"web-devs", "ops"}))


@given(
    world.worlds | rich.worlds | machines.worlds,
    world.identities | rich.identities | machines.identities,
    st.sampled_from(["pull", "push", "delete"]),
    world.names | rich.names,
    world.contexts,
    st.booleans(),
)
def test_why_never_disagrees_with_the_server(
    policies: PolicySet, identity: Identity, action: str, name: str, context: Context, every_rule: bool
) -> None:
    """The verdict is that of `decide`; a rule applies if and only if it is cited, or an allow that a deny masks."""
    resource = Resource("repository", name)
    decision = decide(policies, identity, Scope(resource, frozenset({action})), context)
    found = why(policies, identity, action, resource, context, every_rule=every_rule)
    assert (found.decision, found.verdict is AccessVerdict.ALLOWED) == (decision, action in decision.granted)
    assert (found.verdict is AccessVerdict.DENIED) == any(reason.effect is Effect.DENY for reason in decision.reasons)
    applying = {
        effect: {one.rule.id for one in found.rules if one.applies and one.rule.effect is effect} for effect in Effect
    }
    cited = {effect: {reason.rule for reason in decision.reasons if reason.effect is effect} for effect in Effect}
    assert applying[Effect.DENY] == cited[Effect.DENY]
    if not applying[Effect.DENY]:
        assert applying[Effect.ALLOW] == cited[Effect.ALLOW]
    # A masked allow is one that is cited as soon as no deny is there.
    allows = tuple(rule for rule in policies.rules if rule.effect is Effect.ALLOW)
    without = PolicySet("", (), allows, policies.groups, build_index(allows))
    unmasked = decide(without, identity, Scope(resource, frozenset({action})), context)
    assert applying[Effect.ALLOW] == {reason.rule for reason in unmasked.reasons}
    assert all((one.because == "applies") is one.applies for one in found.rules)


@slow_examples()
@given(
    world.worlds | rich.worlds | machines.worlds,
    world.identities | rich.identities | machines.identities,
    world.names | rich.names,
    world.contexts,
)
def test_what_is_missing_is_told(policies: PolicySet, identity: Identity, name: str, context: Context) -> None:
    """Every near rule misses something; where an allow applies, nothing is near."""
    found = why(policies, identity, "pull", Resource("repository", name), context)
    assert all(near.missing for near in found.nearest)
    assert not (found.nearest and any(one.applies and one.rule.effect is Effect.ALLOW for one in found.rules))


def rule(
    name: str,
    to: str,
    pattern: str = "web/**",
    actions: str = "pull push",
    *,
    but: str = "",
    when: Condition | None = None,
    services: frozenset[str] | None = None,
    type_: str = "repository",
) -> Rule:
    return Rule.of(
        name,
        Effect.DENY if name.startswith("no-") else Effect.ALLOW,
        principals_of(map(parse_principal, to.split())),
        [parse_name(pattern) if type_ == "registry" else parse_pattern(pattern)],
        actions.split(),
        resource_type=type_,
        excluded=principals_of(map(parse_principal, but.split())) if but else None,
        condition=when,
        services=services,
        message="ask the bot" if name.startswith("no-") else None,
        file="web.yaml",
        line=7,
    )


HIDDEN_WEB = "the directory's web, which a group of this tree hides"
TREE = [Group("web", frozenset({"bob"}), frozenset({"web-dev"}))]


def ask(
    *rules: Rule, identity: Identity = ANN, action: str = "push", name: str = "web/site", **options: Any
) -> Explanation:
    policies = PolicySet("", (), rules, Groups.of_all(TREE), build_index(rules))
    return why(policies, identity, action, Resource("repository", name), options.pop("context", CONTEXT), **options)


OFFICE = Condition((ip_network("10.0.0.0/8"),))


@pytest.mark.parametrize(
    ("rule_", "identity", "because"),
    [
        pytest.param(rule("r", "user:ann"), ANN, "applies", id="applies"),
        pytest.param(rule("r", "group:web"), ANN, "not for ann: it is to group:web", id="not-for"),
        pytest.param(
            rule("r", "user:ann"), ANONYMOUS, "not for an anonymous client: it is to user:ann", id="anonymous"
        ),
        pytest.param(rule("r", "everyone", actions="pull"), ANN, "does not name push", id="action"),
        pytest.param(rule("r", "everyone", "*/data"), ANN, "*/data does not match web/site", id="pattern"),
        pytest.param(
            rule("r", "everyone", services=frozenset({"other"})), ANN, "service differs: it is for other", id="service"
        ),
        pytest.param(rule("r", "everyone", but="group:ops"), ANN, "excepted: group:ops", id="excepted-group"),
        pytest.param(rule("r", "everyone", but="user:ann user:x"), ANN, "excepted: user:ann", id="excepted-user"),
        pytest.param(
            rule("r", "everyone", but="anonymous user:ann"), ANN, "excepted: user:ann", id="excepted-not-anonymous"
        ),
        pytest.param(rule("r", "everyone", but="authenticated"), ANN, "excepted: authenticated", id="excepted-set"),
        pytest.param(
            rule("r", "everyone", when=Condition(until=NOW)), ANN, "no longer in effect since 2026-06-01", id="until"
        ),
        pytest.param(
            rule("r", "everyone", when=Condition(since=datetime(2027, 1, 1, tzinfo=UTC))),
            ANN,
            "not in effect before 2027-01-01",
            id="since",
        ),
        pytest.param(
            rule("r", "everyone", when=Condition(kinds=frozenset({Kind.ANONYMOUS}))),
            ANN,
            "the kind of credential is password",
            id="kind",
        ),
        pytest.param(
            rule("r", "everyone", when=OFFICE),
            ANN,
            "from 10.0.0.0/8, but the client's address is not known",
            id="nowhere",
        ),
    ],
)
def test_because(rule_: Rule, identity: Identity, because: str) -> None:
    """Each rule considered has the reason why it applies or not."""
    (one,) = ask(rule_, identity=identity).rules
    assert (one.because, one.applies) == (because, because == "applies")


def test_because_of_the_address() -> None:
    """The address of the client is reported."""
    (one,) = ask(rule("r", "everyone", when=OFFICE), context=Context("registry", ip_address("192.0.2.1"), NOW)).rules
    assert one.because == "from 10.0.0.0/8, but the client is at 192.0.2.1"


def test_a_deny_that_cannot_be_decided_applies() -> None:
    """As in a decision: it fails closed."""
    found = ask(rule("r", "everyone"), rule("no-r", "everyone", when=OFFICE))
    assert (found.verdict, [one.applies for one in found.rules]) == (AccessVerdict.DENIED, [True, True])


def test_rules_elsewhere_are_not_considered_unless_asked_for() -> None:
    """A decision does not look at them either."""
    rules = [
        rule("r", "everyone"),
        rule("s", "everyone", "data/**"),
        rule("c", "everyone", "catalog", "*", type_="registry"),
    ]
    assert [one.rule.id for one in ask(*rules).rules] == ["r"]
    every = {one.rule.id: one.because for one in ask(*rules, every_rule=True).rules}
    assert every == {
        "r": "applies",
        "s": "data/** does not match web/site",
        "c": "is about a registry, not a repository",
    }


@pytest.mark.parametrize(
    ("rules", "identity", "expected"),
    [
        pytest.param([], ANN, [], id="nothing-is-near"),
        pytest.param(
            [rule("web-developers", "group:web")],
            ANN,
            ["`web-developers` would grant it to group web; ann is in ops, web-devs"],
            id="group",
        ),
        pytest.param(
            [rule("web-developers", "group:web")],
            Identity("eve", Kind.PASSWORD, groups=frozenset({"web"})),
            [f"`web-developers` would grant it to group web; eve is in {HIDDEN_WEB}"],
            id="hidden-group-is-shown",
        ),
        pytest.param(
            [rule("r", "user:bob")],
            Identity("\0", Kind.PASSWORD),
            ["`r` would grant it to user bob; an unnamed user is in no group"],
            id="unnamed",
        ),
        pytest.param(
            [rule("r", "authenticated")],
            ANONYMOUS,
            ["`r` would grant it to authenticated; the client is anonymous"],
            id="anonymous",
        ),
        pytest.param(
            [rule("r", "everyone", actions="pull"), rule("s", "user:x", "**", "pull", when=Condition(until=NOW))],
            ANN,
            ["`r` would grant it to everyone; does not name push"],
            id="what-misses-more-is-left-out",
        ),
        pytest.param([rule("r", "authenticated", "users/${user}/**")], ANN, [], id="a-rule-about-something-else"),
        pytest.param(
            [rule("r", "user:ann", "webs/**")],
            ANN,
            ["`r` would grant it to user ann; webs/** does not match web/site"],
            id="slip-of-the-pen",
        ),
    ],
)
def test_nearest(rules: list[Rule], identity: Identity, expected: list[str]) -> None:
    """If no rule grants the action: the principals of a near rule, and the groups of the client."""
    found = ask(*rules, identity=identity)
    assert (found.verdict, [near.sentence for near in found.nearest]) == (AccessVerdict.NOT_GRANTED, expected)


def test_nearest_to_a_variable() -> None:
    """Somebody else's namespace is near."""
    found = ask(rule("own", "authenticated", "users/${user}/**"), name="users/bob/x")
    assert [near.missing for near in found.nearest] == [("users/${user}/** does not match users/bob/x",)]


def test_denied_by_a_deny() -> None:
    """The deny comes first, then the allow that it masks; no rule is near."""
    found = ask(rule("r", "everyone"), rule("no-r", "everyone", but="user:bot"))
    assert (found.verdict, [one.rule.id for one in found.rules if one.applies]) == (AccessVerdict.DENIED, ["r", "no-r"])
    assert found.nearest == ()


def test_a_ceiling_is_told_apart() -> None:
    """Rules grant the action, none forbids it, and the credential has a lower ceiling."""
    bounded = Identity("ann", Kind.PASSWORD, ceiling=ceiling(("other", "pull")))
    found = ask(rule("r", "everyone"), identity=bounded)
    assert (found.verdict, found.is_bounded) == (AccessVerdict.NOT_GRANTED, True)
    assert ask(rule("r", "everyone")).is_bounded is False


def nearest_to(made: Rule, identity: Identity, name: str = "web/prod/x") -> list[str]:
    """What is missing of the rule, and what `consider` says about it."""
    policies = PolicySet("", (), (made,), Groups.of_all([]), build_index([made]))
    found = why(policies, identity, "pull", Resource("repository", name), Context("registry", None, NOW))
    assert [near.rule.id for near in found.nearest] == ["r"]
    return [found.nearest[0].sentence, *(one.because for one in found.rules)]


MEMBER = Identity("ann", Kind.PASSWORD, groups=frozenset({"web"}))


@pytest.mark.parametrize(
    ("made", "identity", "name", "expected"),
    [
        pytest.param(
            rule_of("r", "allow", "group:web", "web/** not web/prod/** **/x lib"),
            MEMBER,
            "web/prod/x",
            [
                "`r` would grant it to group web; its not has web/prod/** and **/x",
                "its not has web/prod/** and **/x",
            ],
            id="not",
        ),
        pytest.param(
            rule_of("r", "allow", "group:reg-{team}-rw", "${team}/** shared/${team}-*"),
            MEMBER,
            "web/x",
            [
                "`r` would grant it to group reg-{team}-rw; web/x is for group:reg-web-rw; ann is in web",
                "not for ann: it is to group:reg-{team}-rw, here group:reg-web-rw",
            ],
            id="capture",
        ),
        pytest.param(
            rule_of("r", "allow", "group:r-{t} group:a-{t}", "${t}/**"),
            ANONYMOUS,
            "web/x",
            [
                (
                    "`r` would grant it to group r-{t}, group a-{t}; web/x is for group:a-web or group:r-web;"
                    " the client is anonymous"
                ),
                "not for an anonymous client: it is to group:r-{t}, group:a-{t}, here group:a-web or group:r-web",
            ],
            id="captures and an anonymous client",
        ),
        pytest.param(
            rule_of("r", "allow", "group:reg-{team}-rw", "${team}/${user}"),
            MEMBER,
            "web/eve",
            [
                "`r` would grant it to group reg-{team}-rw; ${team}/${user} does not match web/eve",
                "${team}/${user} does not match web/eve",
            ],
            id="a capture that would not help",
        ),
        pytest.param(
            rule_of("r", "allow", "authenticated", "x-${user}/**"),
            MEMBER,
            "x-eve/a",
            [
                "`r` would grant it to authenticated; x-${user}/** does not match x-eve/a",
                "x-${user}/** does not match x-eve/a",
            ],
            id="a variable inside a segment",
        ),
    ],
)
def test_rules_with_not_and_captures(made: Rule, identity: Identity, name: str, expected: list[str]) -> None:
    """Name the part that is taken away, and the group that is missing."""
    assert nearest_to(made, identity, name) == expected


CI = robot("ci-web")
BRANCH = client(repo="1", ref="main", env="staging", sub="octo/web")
RELEASE = workload("web-release", repo="1", env="production live")
DECLARED = [
    RELEASE,
    workload("web-branches", repo="1", ref="*"),
    workload("web", repo="1"),
    workload("lab", "gitlab", repo="1"),
]
MACHINE_GROUPS = [
    Group("bots", frozenset({"robot:ci-web"})),
    Group("releases", frozenset(), frozenset({membership("web-release")})),
    Group("builds", frozenset(), frozenset({membership("web-branches")})),
]
LOGGED_IN = principals_of(map(parse_principal, ["authenticated", "robots", "workloads"]))
WHO = "workload:github:octo/web is workload:web, workload:web-branches, in builds"


def ask_machine(
    one: Rule, identity: Identity = CI, name: str = "web/site", declared: list[Workload] = DECLARED
) -> Explanation:
    """Why a robot or a workload may push."""
    policies = machines.policy_set([one], MACHINE_GROUPS, declared, ["ci-web"])
    return why(policies, identity, "push", Resource("repository", name), CONTEXT)


@pytest.mark.parametrize(
    ("one", "identity", "because", "missing"),
    [
        pytest.param(
            rule("r", "authenticated"),
            CI,
            "not for robot:ci-web: it is to authenticated, and authenticated means people",
            ["authenticated means people; fix: add robots or robot:ci-web to the rule's to"],
            id="people, for a robot",
        ),
        pytest.param(
            rule("r", "authenticated"),
            BRANCH,
            "not for workload:github:octo/web: it is to authenticated, and authenticated means people",
            ["authenticated means people; fix: add workloads or workload:web to the rule's to"],
            id="people, for a workload",
        ),
        pytest.param(
            rule("r", "robot:other group:web"),
            CI,
            "not for robot:ci-web: it is to robot:other, group:web",
            ["robot:ci-web is in bots"],
            id="another robot",
        ),
        pytest.param(
            rule("r", "workload:web"),
            CI,
            "not for robot:ci-web: it is to workload:web",
            ["robot:ci-web is in bots"],
            id="a workload, for a robot",
        ),
        pytest.param(
            rule("r", "user:ann robots"),
            BRANCH,
            "not for workload:github:octo/web: it is to robots, user:ann",
            [WHO],
            id="robots, for a workload",
        ),
        pytest.param(
            rule("r", "workload:web-release workload:lab"),
            BRANCH,
            "not for workload:github:octo/web: it is to workload:lab, workload:web-release",
            ["needs workload:web-release: env is staging, not production or live"],
            id="a claim differs",
        ),
        pytest.param(
            rule("r", "group:releases"),
            BRANCH,
            "not for workload:github:octo/web: it is to group:releases",
            ["needs workload:web-release: env is staging, not production or live"],
            id="a claim differs, for a group",
        ),
        pytest.param(
            rule("r", "workload:lab"),
            BRANCH,
            "not for workload:github:octo/web: it is to workload:lab",
            [WHO],
            id="workloads of another source",
        ),
        pytest.param(
            rule("r", "workload:gone"),
            client(repo="1"),
            "not for a workload from github: it is to workload:gone",
            ["a workload from github is workload:web, in no group"],
            id="without a subject",
        ),
        pytest.param(
            rule("r", "robots", "users/${user}/**"),
            CI,
            "users/${user}/** does not match users/ci-web/x; ${user} is for people, machines have none",
            ["users/${user}/** does not match users/ci-web/x; ${user} is for people, machines have none"],
            id="the variable of people",
        ),
        pytest.param(
            rule("r", "robots", when=Condition(kinds=frozenset({Kind.PASSWORD}))),
            CI,
            "the kind of credential is robot",
            ["the kind of credential is robot"],
            id="kind",
        ),
        pytest.param(
            rule("r", "everyone", but="workload:web robots"),
            BRANCH,
            "excepted: workload:web",
            ["excepted: workload:web"],
            id="excepted",
        ),
        pytest.param(
            replace(rule_of("r", "allow", "group:{t}-w", "${t}/**"), to=LOGGED_IN),
            BRANCH,
            "not for workload:github:octo/web: it is to group:{t}-w, here group:web-w",
            [f"web/site is for group:web-w; {WHO}"],
            id="captures",
        ),
    ],
)
def test_what_a_machine_lacks(one: Rule, identity: Identity, because: str, missing: list[str]) -> None:
    """What a machine is, which claim of it differs, and what is for people alone."""
    found = ask_machine(one, identity, "users/ci-web/x" if "users" in one.patterns[0].text else "web/site")
    assert [considered.because for considered in found.rules] == [because]
    assert [list(near.missing) for near in found.nearest] == [missing]


def test_a_rule_with_claims_of_its_own() -> None:
    """It is to clients of the workload that have these claims as well, and says so."""
    where = where_claims(DECLARED[2], machines.required(env="production"))
    one = replace(rule("r", "workloads"), to=Principals(groups=frozenset({membership(where.name)})))
    found = ask_machine(one, BRANCH, declared=[*DECLARED, where])
    (near,) = found.nearest
    assert near.sentence == (
        "`r` would grant it to workload web where env is production; "
        "needs workload:web where env is production: env is staging, not production"
    )


def test_what_a_workload_is() -> None:
    """The declared workloads of a client; a person is none."""
    assert ask_machine(rule("r", "workload:web"), BRANCH).workloads == ("web", "web-branches")
    assert ask_machine(rule("r", "workload:web"), ANN).workloads == ()
    assert spell_workloads(["web", "lab"]) == "workload:web, workload:lab"
    assert spell_workloads([]) == "no declared workload"
