"""The decision, rule by rule: who gets what, and which rules are named for it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

import pytest
from some_ceilings import ceiling

from tokenserver.ceilings import Bound, Ceiling
from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.patterns import matches_below, parse_name, parse_pattern
from tokenserver.policy import index as index_module
from tokenserver.policy.decide import decide, decide_held
from tokenserver.policy.index import build_index
from tokenserver.policy.model import Condition, Context, Effect, Group, Groups, PolicySet, Rule
from tokenserver.policy.principals import principals_of
from tokenserver.policy.terms import parse_principal
from tokenserver.scopes import Access, Resource, Scope, parse_scopes

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CONTEXT = Context("registry", None, NOW)
ANN = Identity("ann", Kind.PASSWORD)


def rule(
    name: str,
    to: str,
    pattern: str,
    actions: str,
    *,
    but: str = "",
    type_: str = "repository",
    condition: Condition | None = None,
    services: frozenset[str] | None = None,
    message: str | None = None,
) -> Rule:
    """A rule; one whose name begins with `no-` is a deny."""
    return Rule.of(
        name,
        Effect.DENY if name.startswith("no-") else Effect.ALLOW,
        principals_of(map(parse_principal, to.split())),
        [parse_pattern(one) for one in pattern.split()],
        actions.split(","),
        resource_type=type_,
        excluded=principals_of(map(parse_principal, but.split())) if but else None,
        condition=condition,
        services=services,
        message=message,
        file="company.yaml",
        line=7,
    )


def policy_set(*rules: Rule, groups: Iterable[Group] = ()) -> PolicySet:
    return PolicySet("", ("company.yaml",), rules, Groups.of_all(groups), build_index(rules))


def scope(text: str) -> Scope:
    actions, _, name = text.partition(" ")
    type_, _, rest = name.partition(":")
    resource = Resource("registry", rest) if type_ == "registry" else Resource("repository", name)
    return Scope(resource, frozenset(actions.split(",")))


def granted(policies: PolicySet, identity: Identity, asked: str, context: Context = CONTEXT) -> set[str]:
    return set(decide(policies, identity, scope(asked), context).granted)


READ = rule("read", "authenticated", "web/**", "pull")
WRITE = rule("write", "user:ann", "web/**", "pull,push")
ALL = rule("all", "user:ann", "web/**", "*")
NO_PUSH = rule("no-push", "everyone", "web/prod/**", "push", but="user:bot")


@pytest.mark.parametrize(
    ("rules", "asked", "expected"),
    [
        pytest.param([], "pull web/a", set(), id="no-rule-denies"),
        pytest.param([READ], "pull web/a", {"pull"}, id="allowed"),
        pytest.param([READ], "pull other/a", set(), id="other-repository"),
        pytest.param([READ], "pull,push web/a", {"pull"}, id="subset"),
        pytest.param([WRITE], "push web/a", {"push"}, id="never-more-than-asked"),
        pytest.param([rule("p", "user:ann", "web/**", "push")], "pull,push web/a", {"push"}, id="push-implies-no-pull"),
        pytest.param([rule("p", "user:ann", "web/**", "delete")], "pull web/a", set(), id="delete-implies-no-pull"),
        pytest.param([READ, rule("p", "user:ann", "**", "push")], "pull,push web/a", {"pull", "push"}, id="allows-add"),
        pytest.param([WRITE, NO_PUSH], "pull,push web/prod/a", {"pull"}, id="deny-wins"),
        pytest.param([NO_PUSH, WRITE], "pull,push web/prod/a", {"pull"}, id="deny-wins-in-any-order"),
        pytest.param(
            [rule("x", "user:ann", "web/prod/a", "push"), rule("no-all", "everyone", "**", "push")],
            "push web/prod/a",
            set(),
            id="deny-wins-over-the-more-specific",
        ),
        pytest.param([WRITE, rule("no-x", "everyone", "**", "*")], "pull,push web/a", set(), id="deny-star-denies-all"),
        pytest.param([WRITE], "* web/a", {"pull", "push"}, id="star-asked-is-the-explicit-list"),
        pytest.param([WRITE, NO_PUSH], "* web/prod/a", {"pull"}, id="star-asked-each-on-its-own"),
        pytest.param([ALL], "* web/a", {"pull", "push", "delete", "*"}, id="star-said-literally"),
        pytest.param([ALL], "pull web/a", {"pull"}, id="star-said-covers-pull"),
        pytest.param([ALL, NO_PUSH], "* web/prod/a", {"pull", "delete"}, id="no-star-beside-any-deny"),
        pytest.param([], "", set(), id="nothing-asked-of-nothing"),
        pytest.param(
            [WRITE, rule("all-but", "user:ann", "web/**", "delete", but="user:ann")], "delete web/a", set(), id="except"
        ),
    ],
)
def test_repository(rules: list[Rule], asked: str, expected: set[str]) -> None:
    """Granted is what some allow grants and no deny forbids, of what was asked."""
    assert granted(policy_set(*rules), ANN, asked or "pull x") == expected


CATALOG = rule("catalog", "user:ann", "catalog", "*", type_="registry")


@pytest.mark.parametrize(
    ("rules", "asked", "expected"),
    [
        pytest.param([CATALOG], "* registry:catalog", {"*"}, id="literal"),
        pytest.param([CATALOG], "pull registry:catalog", set(), id="star-is-only-itself"),
        pytest.param([CATALOG], "pull catalog", set(), id="no-repository-of-that-name"),
        pytest.param(
            [rule("x", "user:ann", "**", "*")], "* registry:catalog", set(), id="repositories-are-no-registry"
        ),
        pytest.param(
            [CATALOG, rule("no-x", "everyone", "catalog", "pull", type_="registry")],
            "* registry:catalog",
            set(),
            id="any-deny-forbids-the-literal",
        ),
    ],
)
def test_registry_resource(rules: list[Rule], asked: str, expected: set[str]) -> None:
    """The catalog is closed but to whom a rule literally gives `*` on it."""
    assert granted(policy_set(*rules), ANN, asked) == expected


def test_unknown_type_is_granted_nothing() -> None:
    """A type without an index has no rules."""
    asked = Scope(Resource("plugin", "web/a"), frozenset({"pull"}))
    assert decide(policy_set(ALL), ANN, asked, CONTEXT).granted == frozenset()


@pytest.mark.parametrize("name", ["web/", "web//a", "web/a\n", "web/../x", "WEB/a", ""])
def test_illegal_name_is_granted_nothing(name: str) -> None:
    """Even where a scope was made past the parser, no pattern covers an illegal name."""
    policies = policy_set(rule("everything", "everyone", "**", "*"))
    assert decide(policies, ANN, Scope(Resource("repository", name), frozenset({"pull"})), CONTEXT).granted == set()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param("*", {"pull", "push"}, id="star"),
        pytest.param("PULL", set(), id="upper-case"),
        pytest.param("pull,", {"pull"}, id="trailing-comma"),
        pytest.param(",pull", {"pull"}, id="leading-comma"),
        pytest.param("pull,pull", {"pull"}, id="twice"),
        pytest.param("push%2cpull", set(), id="escaped-comma"),
        pytest.param("pull,admin", {"pull"}, id="unknown-action"),
    ],
)
def test_odd_actions(asked: str, expected: set[str]) -> None:
    """Odd spellings of actions never come back in a grant."""
    found: set[str] = set()
    for one in parse_scopes([f"repository:web/a:{asked}"]).scopes:
        found |= decide(policy_set(WRITE), ANN, one, CONTEXT).granted
    assert found == expected


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(["repository:web/a:pull repository:web/a:push"], id="one-parameter"),
        pytest.param(["repository:web/a:push", "repository:web/a:pull"], id="two-parameters"),
        pytest.param(["repository:web/a:pull,push"], id="one-scope"),
    ],
)
def test_same_resource_asked_twice_is_decided_once(values: list[str]) -> None:
    """However the same question is split, there is one answer."""
    scopes = parse_scopes(values).scopes
    decisions = [decide(policy_set(WRITE), ANN, one, CONTEXT).access for one in scopes]
    assert decisions == [Access(Resource("repository", "web/a"), frozenset({"pull", "push"}))]


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        pytest.param(Identity("eve", Kind.PASSWORD, groups=frozenset({"web-devs"})), {"pull"}, id="directory-group"),
        pytest.param(ANN, {"pull"}, id="listed-user"),
        pytest.param(Identity("eve", Kind.PASSWORD, groups=frozenset({"web"})), set(), id="hidden-group"),
        pytest.param(Identity("ANN", Kind.PASSWORD), set(), id="other-case-is-somebody-else"),
        pytest.param(ANONYMOUS, set(), id="anonymous"),
    ],
)
def test_group_rule(identity: Identity, expected: set[str]) -> None:
    """A rule for a group of the tree is for its users and for the members of its directory groups."""
    web = Group("web", frozenset({"ann"}), frozenset({"web-devs"}))
    policies = policy_set(rule("r", "group:web", "web/**", "pull"), groups=[web])
    assert granted(policies, identity, "pull web/a") == expected


def test_brought_group_without_a_tree_group() -> None:
    """A name that the tree does not define is a group that the identity brought."""
    policies = policy_set(rule("r", "group:ops", "**", "pull"), groups=[Group("web", frozenset({"ann"}))])
    assert granted(policies, Identity("eve", Kind.PASSWORD, groups=frozenset({"x", "ops"})), "pull a") == {"pull"}


TEN = Condition(networks=(ip_network("10.0.0.0/8"),))


@pytest.mark.parametrize(
    ("rules", "client", "expected"),
    [
        pytest.param([rule("r", "everyone", "a", "pull", condition=TEN)], "10.0.0.1", {"pull"}, id="allow-holds"),
        pytest.param([rule("r", "everyone", "a", "pull", condition=TEN)], "11.0.0.1", set(), id="allow-does-not-hold"),
        pytest.param([rule("r", "everyone", "a", "pull", condition=TEN)], None, set(), id="allow-undecided"),
        pytest.param(
            [READ, rule("no-r", "everyone", "web/**", "pull", condition=TEN)], "11.0.0.1", {"pull"}, id="deny-no"
        ),
        pytest.param(
            [READ, rule("no-r", "everyone", "web/**", "pull", condition=TEN)], None, set(), id="deny-undecided"
        ),
    ],
)
def test_conditions_fail_closed(rules: list[Rule], client: str | None, expected: set[str]) -> None:
    """What cannot be decided stops an allow and lets a deny through."""
    context = Context("registry", None if client is None else ip_address(client), NOW)
    name = "web/a" if len(rules) > 1 else "a"
    assert granted(policy_set(*rules), ANN, f"pull {name}", context) == expected


def test_time_without_zone_is_an_error_and_no_grant() -> None:
    """A naive `now` is a programming error, and an error never ends in a grant."""
    policies = policy_set(rule("r", "everyone", "a", "pull", condition=Condition(since=NOW)))
    with pytest.raises(TypeError):
        decide(policies, ANN, scope("pull a"), Context("r", None, NOW.replace(tzinfo=None)))


@pytest.mark.parametrize(("service", "expected"), [("registry", {"pull"}), ("other", set()), ("", set())])
def test_rules_speak_for_their_registries(service: str, expected: set[str]) -> None:
    """A file's `registries:` bounds its rules."""
    policies = policy_set(rule("r", "everyone", "a", "pull", services=frozenset({"registry"})))
    assert granted(policies, ANN, "pull a", Context(service, None, NOW)) == expected


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        pytest.param(None, {"pull", "push", "delete", "*"}, id="none"),
        pytest.param(Ceiling(()), set(), id="empty-is-nothing"),
        pytest.param(ceiling(("web/a", "pull")), {"pull"}, id="pull"),
        pytest.param(ceiling(("web/b", "pull")), set(), id="other-repository"),
        pytest.param(ceiling(("web/*", "pull")), {"pull"}, id="pattern"),
        pytest.param(ceiling(("web/a", "pull"), services={"other"}), set(), id="other-registry"),
        pytest.param(ceiling(("web/a", "pull"), services={"registry", "other"}), {"pull"}, id="this-registry"),
        pytest.param(
            Ceiling((Bound((parse_name("web/a"),), frozenset({"pull"}), "registry"),)), set(), id="other-type"
        ),
        pytest.param(
            ceiling(("web/a", "pull"), ("web/**", "push")),
            {"pull", "push"},
            id="two-entries",
        ),
    ],
)
def test_ceiling_is_intersected_last(bounds: Ceiling | None, expected: set[str]) -> None:
    """No policy lifts what a credential may carry at most; what it cuts off has no reason among the rules."""
    identity = Identity("ann", Kind.PASSWORD, ceiling=bounds)
    decision = decide(policy_set(ALL), identity, scope("* web/a"), CONTEXT)
    assert decision.granted == expected
    assert {reason.action for reason in decision.reasons} == expected


def reasons(policies: PolicySet, asked: str) -> list[tuple[str, str, str]]:
    found = decide(policies, ANN, scope(asked), CONTEXT).reasons
    return [(reason.action, str(reason.effect), reason.rule) for reason in found]


@pytest.mark.parametrize(
    ("rules", "asked", "expected"),
    [
        pytest.param(
            [WRITE, READ], "pull web/a", [("pull", "allow", "read"), ("pull", "allow", "write")], id="all-allows"
        ),
        pytest.param([READ], "push web/a", [], id="nothing-decided"),
        pytest.param(
            [WRITE, NO_PUSH],
            "push,pull web/prod/a",
            [("pull", "allow", "write"), ("push", "deny", "no-push")],
            id="in-order-of-actions",
        ),
        pytest.param([NO_PUSH], "push web/prod/a", [("push", "deny", "no-push")], id="deny-alone"),
        pytest.param(
            [WRITE, NO_PUSH],
            "* web/prod/a",
            [("pull", "allow", "write"), ("push", "deny", "no-push")],
            id="star-asked-is-no-action-of-its-own",
        ),
        pytest.param(
            [ALL, NO_PUSH],
            "* web/prod/a",
            [
                ("pull", "allow", "all"),
                ("push", "deny", "no-push"),
                ("delete", "allow", "all"),
                ("*", "deny", "no-push"),
            ],
            id="star-said-and-denied",
        ),
    ],
)
def test_reasons_are_the_deciding_rules(rules: list[Rule], asked: str, expected: list[tuple[str, str, str]]) -> None:
    """For every action the allows that grant it or the denies that forbid it, by rule id."""
    assert reasons(policy_set(*rules), asked) == expected


def test_reason_has_its_place_and_message() -> None:
    """A reason can be shown to whoever asks why."""
    policies = policy_set(rule("no-x", "everyone", "a", "push", message="ask ops"))
    (reason,) = decide(policies, ANN, scope("push a"), CONTEXT).reasons
    told = (reason.action, reason.effect, reason.rule, reason.file, reason.line, reason.message)
    assert told == ("push", Effect.DENY, "no-x", "company.yaml", 7, "ask ops")


def test_denied_and_unknown_repositories_look_alike() -> None:
    """A decision is about names, never about what exists; nothing granted has no access."""
    policies = policy_set(WRITE, NO_PUSH)
    assert decide(policies, ANN, scope("push web/prod/a"), CONTEXT).access is None
    assert decide(policies, ANN, scope("push nowhere/a"), CONTEXT).access is None


def test_effort_does_not_grow_with_other_teams_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Among ten or twenty thousand rules, a decision compares the same few patterns."""
    compared = 0

    def counting(*arguments: object) -> bool:
        nonlocal compared
        compared += 1
        return matches_below(*arguments)  # type: ignore[arg-type]  # handed through as they come

    monkeypatch.setattr(index_module, "matches_below", counting)
    efforts = []
    for teams in (5, 10_000):
        rules = [rule(f"own-{n}", f"group:g{n}", f"team{n}/**", "pull") for n in range(teams)]
        rules += [rule(f"shared-{n}", f"group:g{n} user:u{n}", "shared/** **", "push") for n in range(teams)]
        policies = policy_set(*rules)
        compared = 0
        identity = Identity("u4", Kind.PASSWORD, groups=frozenset({"g3"}))
        assert granted(policies, identity, "pull,push team3/a") == {"pull", "push"}
        efforts.append(compared)
    assert efforts[0] == efforts[1] <= 4


UNTIL = Condition(until=datetime(2027, 1, 1, tzinfo=UTC))
ONLY_PASSWORDS = Condition(kinds=frozenset({Kind.PASSWORD}))


@pytest.mark.parametrize(
    ("rules", "asked", "is_lasting"),
    [
        pytest.param([READ], "pull web/x", True, id="no-condition"),
        pytest.param([READ], "pull other/x", True, id="no-rule"),
        pytest.param([rule("a", "user:ann", "web/**", "pull", condition=UNTIL)], "pull web/x", False, id="granted"),
        pytest.param(
            [rule("a", "user:bob", "web/**", "pull", condition=UNTIL), READ], "pull web/x", False, id="somebody-elses"
        ),
        pytest.param([rule("a", "everyone", "web/**", "push", condition=UNTIL), READ], "pull web/x", False, id="other"),
        pytest.param(
            [rule("a", "everyone", "x/**", "pull", condition=UNTIL), READ], "pull web/x", True, id="elsewhere"
        ),
        pytest.param(
            [rule("a", "everyone", "web/**", "pull", condition=Condition(since=UNTIL.until))],
            "pull web/x",
            False,
            id="nothing-yet",
        ),
    ],
)
def test_a_decision_lasts_where_no_rule_about_it_has_a_condition(
    rules: list[Rule], asked: str, is_lasting: bool
) -> None:
    """Else it must be made again at another time, even where nothing was granted."""
    found = decide(policy_set(*rules), ANN, scope(asked), CONTEXT)
    assert found.is_lasting is is_lasting
    assert found.scope == scope(asked)


def test_a_name_that_is_none_is_asked_for_in_vain() -> None:
    """The decision is about what was asked all the same."""
    asked = Scope(Resource("repository", "Web/x"), frozenset({"pull"}))
    found = decide(policy_set(rule("all", "everyone", "**", "*")), ANN, asked, CONTEXT)
    assert (found.scope, found.granted, found.reasons) == (asked, frozenset(), ())


def test_a_condition_on_the_kind_of_credential_is_about_this_one() -> None:
    """A rule for passwords does not hold for another kind."""
    policies = policy_set(rule("a", "user:ann", "web/**", "pull", condition=ONLY_PASSWORDS))
    assert granted(policies, ANN, "pull web/x") == {"pull"}
    others = [kind for kind in Kind if kind not in (Kind.PASSWORD, Kind.ANONYMOUS)]
    assert [granted(policies, Identity("ann", kind), "pull web/x") for kind in others] == [set() for _ in others]


NO_DELETE = rule("no-delete", "everyone", "web/**", "delete", message="ask the archive team")


@pytest.mark.parametrize(
    ("rules", "asked", "expected"),
    [
        pytest.param([READ, WRITE], "pull web/a", {"pull", "push"}, id="more-than-asked"),
        pytest.param([READ], "push web/a", {"pull"}, id="something-else-than-asked"),
        pytest.param([WRITE, NO_PUSH], "pull web/prod/a", {"pull"}, id="a-deny-holds"),
        pytest.param([WRITE], "pull other/a", set(), id="another-repository"),
        pytest.param([ALL], "pull web/a", {"pull", "push", "delete"}, id="no-star-unasked"),
        pytest.param([ALL], "* web/a", {"pull", "push", "delete", "*"}, id="star-asked"),
        pytest.param([ALL, NO_DELETE], "pull,* web/a", {"pull", "push"}, id="star-asked-beside-a-deny"),
        pytest.param([], "pull web/a", set(), id="no-rule"),
        pytest.param(
            [rule("c", "user:ann", "catalog", "*", type_="registry")], "pull registry:catalog", set(), id="type"
        ),
        pytest.param(
            [rule("c", "user:ann", "catalog", "*", type_="registry")], "* registry:catalog", {"*"}, id="type-star"
        ),
    ],
)
def test_held(rules: list[Rule], asked: str, expected: set[str]) -> None:
    """Everything that the policies allow on the very repository that was asked for, and on nothing else."""
    decision = decide_held(policy_set(*rules), ANN, scope(asked), CONTEXT)
    assert (set(decision.granted), decision.scope) == (expected, scope(asked))


def test_nothing_is_held_where_nothing_was_asked() -> None:
    """A scope whose actions are all unknown grants nothing, as ever."""
    asked = Scope(Resource("repository", "web/a"), frozenset())
    assert decide_held(policy_set(ALL), ANN, asked, CONTEXT) == decide(policy_set(ALL), ANN, asked, CONTEXT)


def test_reasons_of_what_is_held() -> None:
    """A rule is cited for each action that it grants; a deny only if it forbids something that was asked."""
    policies = policy_set(ALL, NO_DELETE)
    pulled = decide_held(policies, ANN, scope("pull web/a"), CONTEXT)
    assert [(reason.action, reason.rule) for reason in pulled.reasons] == [("pull", "all"), ("push", "all")]
    deleted = decide_held(policies, ANN, scope("delete web/a"), CONTEXT)
    assert [(reason.action, reason.message) for reason in deleted.reasons][-1] == ("delete", "ask the archive team")


def test_a_ceiling_bounds_what_is_held() -> None:
    """The ceiling of a credential is never exceeded."""
    limited = Identity("ann", Kind.PASSWORD, ceiling=ceiling(("web/a", "pull")))
    assert decide_held(policy_set(ALL), limited, scope("pull web/a"), CONTEXT).granted == {"pull"}
