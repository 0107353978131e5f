"""Tests in policy files: what passes, what fails, and the message of a failure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from policy_files import NOW, load_faults

from tokenserver.identity import Kind
from tokenserver.policy.index import build_index
from tokenserver.policy.model import Condition, Context, Effect, Group, Groups, PolicySet, Rule
from tokenserver.policy.patterns import parse_name, parse_pattern
from tokenserver.policy.principals import AllOf, principals_of
from tokenserver.policy.queries import witnesses
from tokenserver.policy.queries.summary import canonical, short_answer, spell_answers
from tokenserver.policy.queries.witnesses import examples
from tokenserver.policy.terms import parse_principal
from tokenserver.scopes import Resource

POLICY = """\
version: 1
groups:
  web: {users: [ann], groups: [web-devs]}
  pair: {users: [pat, kim]}
allow:
  - {id: web-developers, to: ["group:web"], repositories: ["web/**"], role: writer}
  - {id: own, to: [authenticated], repositories: ["users/${user}/**"], role: writer}
  - {id: office, to: [everyone], repositories: [office], role: reader, when: {from: [10.0.0.0/8]}}
  - {id: season, to: [everyone], repositories: [season], role: reader, when: {since: 2026-07-01, until: 2026-08-01}}
  - {id: typed, to: [everyone], repositories: [typed], role: reader, when: {kind: password}}
  - {id: two, to: ["group:pair"], repositories: [pair], role: reader}
  - {id: public, to: [everyone], repositories: [public], role: reader}
  - {id: inside, to: [authenticated], repositories: [inside], role: reader}
  - {id: catalog, to: ["group:ops"], registry: [catalog], actions: ["*"]}
  - {id: both, to: ["group:a"], repositories: [both], role: reader}
deny:
  - {id: freeze, to: [everyone], except: ["user:bot"], repositories: ["web/prod/**"], actions: [push], message: ask bot}
  - {id: both-only, to: [everyone], except: ["group:b"], repositories: [both], actions: [pull]}
tests:
  - {TEST}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A policy folder for one file."""
    path = tmp_path / "policies"
    path.mkdir(mode=0o755)
    return path


def failures(folder: Path, test: str) -> list[str]:
    """The faults of loading with this one test in the file."""
    return [fault.message.removeprefix("test failed: ") for fault in load_faults(folder, POLICY.replace("TEST", test))]


@pytest.mark.parametrize(
    "test",
    [
        pytest.param("as: {user: ann}, can: [push web/x], cannot: [delete web/x]", id="user"),
        pytest.param("as: {user: eve, groups: [web-devs]}, can: [push web/x]", id="directory-group"),
        pytest.param(
            "as: {groups: [web-devs]}, can: [push web/x], cannot: [push users/eve/x]", id="somebody-in-a-group"
        ),
        pytest.param("as: authenticated, can: [pull inside], cannot: [push web/x]", id="authenticated"),
        pytest.param("as: anonymous, can: [pull public], cannot: [pull inside]", id="anonymous"),
        pytest.param('as: {user: ann}, can: ["pull,push web/x"]', id="two-actions"),
        pytest.param('as: {user: eve}, cannot: ["* web/x"]', id="star-means-each"),
        pytest.param('as: {groups: [ops]}, can: ["* registry:catalog"]', id="catalog"),
        pytest.param("as: anonymous, from: 10.1.1.1, can: [pull office]", id="from"),
        pytest.param("as: anonymous, from: 192.0.2.1, cannot: [pull office]", id="from-elsewhere"),
        pytest.param("as: anonymous, cannot: [pull office]", id="from-nowhere-fails-closed"),
        pytest.param("as: anonymous, at: 2026-07-01, can: [pull season]", id="at"),
        pytest.param("as: anonymous, at: 2026-06-01, cannot: [pull season]", id="at-another-time"),
        pytest.param("as: {user: ann}, kind: password, can: [pull typed]", id="kind"),
        pytest.param("as: anonymous, cannot: [pull typed]", id="kind-anonymous"),
        pytest.param('who_can: push web/x, exactly: ["group:web"]', id="who-group"),
        pytest.param('who_can: push web/prod/x, exactly: ["user:bot"]', id="who-is-excepted-and-may-be-a-member"),
        pytest.param("who_can: pull public, exactly: [everyone]", id="who-everyone"),
        pytest.param("who_can: pull public, exactly: [authenticated, anonymous]", id="who-everyone-in-parts"),
        pytest.param("who_can: pull inside, exactly: [authenticated]", id="who-authenticated"),
        pytest.param('who_can: pull inside, exactly: [authenticated, "user:ann"]', id="who-covered-is-no-difference"),
        pytest.param('who_can: push users/ann/x, exactly: ["user:ann"]', id="who-owns"),
        pytest.param("who_can: delete web/x, exactly: []", id="who-nobody"),
        pytest.param('who_can: pull pair, exactly: ["group:pair"]', id="who-group-of-users"),
        pytest.param('who_can: pull pair, exactly: ["user:pat", "user:kim"]', id="who-users-of-a-group"),
        pytest.param('who_can: "* registry:catalog", exactly: ["group:ops"]', id="who-catalog"),
        pytest.param('who_can: pull both, exactly: ["group:a & group:b"]', id="who-is-two-at-once"),
        pytest.param('who_can: push web/x, exactly: ["group:web", "user:ann"]', id="who-member-is-covered"),
        pytest.param("who_can: pull office, from: 10.0.0.1, exactly: [everyone]", id="who-from"),
        pytest.param("who_can: pull typed, kind: password, exactly: [authenticated]", id="who-kind"),
        pytest.param('who_can: push web/x, includes: ["user:ann", "group:web", "group:web-devs"]', id="includes"),
        pytest.param('who_can: push web/prod/x, includes: ["user:bot"]', id="includes-a-found-answer"),
        pytest.param("who_can: pull public, includes: [everyone, anonymous, authenticated]", id="includes-sets"),
        pytest.param('who_can: pull both, includes: ["group:a & group:b"]', id="includes-two-at-once"),
        pytest.param('who_can: push web/prod/x, excludes: [everyone, "user:ann", "group:web"]', id="excludes"),
        pytest.param("who_can: pull inside, excludes: [anonymous]", id="excludes-anonymous"),
        pytest.param('who_can: push web/x, includes: ["user:ann"], excludes: ["user:bot"]', id="includes-and-excludes"),
    ],
)
def test_passes(folder: Path, test: str) -> None:
    """A passing test reports nothing."""
    assert failures(folder, test) == []


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        pytest.param(
            "as: {user: ann}, cannot: [push web/x]",
            "expected that user ann cannot push web/x, but it is allowed by web-developers (a.yaml:6)",
            id="cannot-and-can",
        ),
        pytest.param(
            "as: {user: eve, groups: [web-devs]}, can: [push web/prod/x]",
            "expected that user eve (web-devs) can push web/prod/x, but it is forbidden by freeze (a.yaml:17: ask bot)",
            id="can-and-is-denied",
        ),
        pytest.param(
            "as: anonymous, can: [pull web/x]",
            "expected that an anonymous client can pull web/x, but no allow rule applies",
            id="can-and-nothing-allows",
        ),
        pytest.param(
            "as: authenticated, can: [pull web/x]",
            "expected that an unnamed user can pull web/x, but no allow rule applies",
            id="unnamed",
        ),
        pytest.param(
            "as: {user: eve, groups: [web]}, can: [pull web/x]",
            "expected that user eve (web) can pull web/x, but no allow rule applies "
            "(web: a group of this tree, which hides the directory group of that name)",
            id="hidden-group",
        ),
        pytest.param(
            'as: {user: ann}, can: ["* registry:catalog"]',
            "expected that user ann can * registry:catalog, but no allow rule applies",
            id="catalog",
        ),
        pytest.param(
            'who_can: push web/x, exactly: ["user:bot"]',
            "who can push web/x: expected exactly user:bot, but it is group:web; "
            "group:web can: it is allowed by web-developers (a.yaml:6); "
            "user:bot is not among them: no allow rule applies",
            id="exactly",
        ),
        pytest.param(
            "who_can: pull public, exactly: []",
            "who can pull public: expected exactly nobody, but it is everyone; "
            "anonymous can: it is allowed by public (a.yaml:12); "
            "authenticated can: it is allowed by public (a.yaml:12)",
            id="exactly-nobody",
        ),
        pytest.param(
            'who_can: pull inside, exactly: ["user:ann"]',
            "who can pull inside: expected exactly user:ann, but it is authenticated; "
            "authenticated can: it is allowed by inside (a.yaml:13); "
            "user:ann is not among them: a broader principal can",
            id="exactly-too-narrow",
        ),
        pytest.param(
            'who_can: push web/prod/x, includes: ["user:ann"]',
            "who can push web/prod/x: expected includes user:ann, but it is user:bot; "
            "user:ann is not among them: it is forbidden by freeze (a.yaml:17: ask bot)",
            id="includes",
        ),
        pytest.param(
            "who_can: pull inside, includes: [everyone]",
            "who can pull inside: expected includes everyone, but it is authenticated; "
            "everyone is not among them: no allow rule applies",
            id="includes-everyone-needs-all",
        ),
        pytest.param(
            'who_can: pull both, includes: ["anonymous & user:ann"]',
            "who can pull both: expected includes anonymous & user:ann, but it is group:a & group:b; "
            "anonymous & user:ann is not among them: a broader principal can",
            id="includes-the-impossible",
        ),
        pytest.param(
            "who_can: pull inside, excludes: [everyone]",
            "who can pull inside: expected excludes everyone, but it is authenticated; "
            "everyone can: it is allowed by inside (a.yaml:13)",
            id="excludes-everyone-fails-for-some",
        ),
        pytest.param(
            'who_can: push web/prod/x, excludes: ["user:bot"]',
            "who can push web/prod/x: expected excludes user:bot, but it is user:bot; "
            "user:bot can: it is allowed by web-developers (a.yaml:6)",
            id="excludes-who-may-be-a-member",
        ),
    ],
)
def test_fails(folder: Path, test: str, expected: str) -> None:
    """A failing test rejects the load and reports the expected and the actual result, and the deciding rules."""
    assert failures(folder, test) == [expected]


def test_includes_and_excludes_of_one_entry_each_fail_for_themselves(folder: Path) -> None:
    """An entry may have both; both are evaluated."""
    found = failures(folder, 'who_can: pull inside, includes: [anonymous], excludes: ["user:ann"]')
    assert [one.partition(": expected ")[2].partition(",")[0] for one in sorted(found)] == [
        "excludes user:ann",
        "includes anonymous",
    ]


def test_every_failing_item_is_told(folder: Path) -> None:
    """All failures are reported, each at its line."""
    assert [
        failure.split(", but")[0] for failure in failures(folder, 'as: {user: ann}, cannot: ["* web/x", pull a]')
    ] == [
        "expected that user ann cannot pull web/x",
        "expected that user ann cannot push web/x",
    ]


def test_tests_run_when_nothing_else_is_wrong(folder: Path) -> None:
    """A broken rule is not reported a second time as a failing test."""
    (folder / "b.yaml").write_text("version: 1\nallow: []\n")
    (folder / "b.yaml").chmod(0o644)
    assert failures(folder, "as: anonymous, can: [push a]") == ["is an empty list: leave the key out, or fill it"]


def policy_set(*rules: tuple[str, str, str, str], groups: Iterable[Group] = ()) -> PolicySet:
    made = [
        Rule.of(
            name,
            Effect.DENY if name.startswith("no-") else Effect.ALLOW,
            principals_of(map(parse_principal, to.split())),
            [parse_name(pattern) if pattern == "catalog" else parse_pattern(pattern)],
            ["pull"],
            excluded=principals_of(map(parse_principal, but.split())) if but else None,
        )
        for name, to, but, pattern in rules
    ]
    return PolicySet("", (), tuple(made), Groups.of_all(groups), build_index(made))


def answers(policies: PolicySet, name: str = "web/x") -> str:
    return spell_answers(short_answer(policies, "pull", Resource("repository", name), Context("r", None, NOW)))


TREE = [Group("web", frozenset({"ann", "bob"}), frozenset({"web-devs"})), Group("pair", frozenset({"ann", "bob"}))]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param([], "nobody", id="no-rule"),
        pytest.param([("r", "everyone", "", "other")], "nobody", id="other-repository"),
        pytest.param(
            [("r", "user:ann", "", "web/**"), ("s", "group:ops", "", "**")], "group:ops, user:ann", id="union"
        ),
        pytest.param([("r", "everyone", "", "**"), ("no-r", "everyone", "", "**")], "nobody", id="denied-to-all"),
        pytest.param(
            [("r", "everyone", "", "**"), ("no-r", "anonymous", "", "**")], "authenticated", id="denied-anonymous"
        ),
        pytest.param(
            [("r", "everyone", "", "**"), ("no-r", "authenticated", "", "**")], "anonymous", id="denied-users"
        ),
        pytest.param([("r", "everyone", "authenticated", "**")], "anonymous", id="allow-except"),
        pytest.param(
            [("r", "authenticated", "", "**"), ("no-r", "everyone", "everyone", "**")],
            "authenticated",
            id="deny-but-all",
        ),
        pytest.param(
            [("r", "everyone", "", "**"), ("no-r", "everyone", "anonymous", "**")], "anonymous", id="deny-but-anonymous"
        ),
        pytest.param(
            [("r", "everyone", "", "**"), ("no-r", "everyone", "authenticated", "**")],
            "authenticated",
            id="deny-but-authenticated",
        ),
        pytest.param(
            [("r", "group:web", "", "**"), ("no-r", "everyone", "user:ann user:eve", "**")],
            "user:ann, user:eve",
            id="members-and-possible-members",
        ),
        pytest.param(
            [("r", "group:pair", "", "**"), ("no-r", "everyone", "user:ann user:eve", "**")],
            "user:ann",
            id="nobody-else-can-be-in-a-list-of-users",
        ),
        pytest.param(
            [("r", "user:ann", "", "**"), ("no-r", "everyone", "user:eve", "**")], "nobody", id="no-two-users-at-once"
        ),
        pytest.param(
            [("r", "group:a", "", "**"), ("no-1", "everyone", "group:b", "**"), ("no-2", "everyone", "group:c", "**")],
            "group:a & group:b & group:c",
            id="three-at-once",
        ),
        pytest.param(
            [("r", "group:a", "", "**"), ("no-r", "everyone", "group:b", "**"), ("s", "group:b", "", "**")],
            "group:b",
            id="narrower-is-left-out",
        ),
        pytest.param([("r", "authenticated", "", "${group}/*")], "group:web", id="group-variable"),
        pytest.param([("r", "authenticated", "", "${user}/*")], "user:web", id="user-variable"),
        pytest.param([("r", "anonymous", "", "${user}/*")], "nobody", id="user-variable-anonymous"),
    ],
)
def test_who_can(rules: list[tuple[str, str, str, str]], expected: str) -> None:
    """The answer has the broadest principals, and users who only have access otherwise."""
    assert answers(policy_set(*rules, groups=TREE)) == expected


def test_too_many_combinations_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that would take too long is no answer; the test fails."""
    monkeypatch.setattr(witnesses, "MAX_WITNESSES", 1)
    for expected in ("exactly: []", "includes: ['user:ann']"):
        assert failures(folder, f"who_can: push web/x, {expected}") == [
            "who can push web/x: not decided: more than 1 combinations of principals to try"
        ]


def test_a_kind_that_the_rules_do_not_want() -> None:
    """Only access with the requested kind of credential counts."""
    condition = Condition(kinds=frozenset({Kind.PASSWORD}))
    rule = Rule.of(
        "r",
        Effect.ALLOW,
        principals_of([parse_principal("user:ann")]),
        [parse_pattern("x")],
        ["pull"],
        condition=condition,
    )
    policies = PolicySet("", (), (rule,), Groups.of_all(()), build_index([rule]))
    context = Context("r", None, NOW)
    assert list(short_answer(policies, "pull", Resource("repository", "x"), context)) == [answer("user:ann")]
    assert short_answer(policies, "pull", Resource("repository", "x"), context, Kind.ANONYMOUS) == {}


def answer(text: str) -> AllOf:
    return frozenset(map(parse_principal, text.split(" & ")))


def test_canonical_form() -> None:
    """Groups of users are expanded, and covered answers removed."""
    policies = policy_set(groups=TREE)
    given = map(answer, ["group:pair", "group:web", "group:a", "group:a & group:b", "user:eve"])
    assert canonical(policies, given) == {answer("group:web"), answer("group:a"), answer("user:eve")}
    assert canonical(policies, [answer("everyone"), answer("user:eve")]) == {
        answer("authenticated"),
        answer("anonymous"),
    }


def test_examples_stand_for_their_principal() -> None:
    """Each user named in an answer, and an unnamed one for each directory group."""
    policies = policy_set(groups=TREE)
    found = {(one.subject, one.groups) for one in examples(policies, answer("group:web"), Kind.PASSWORD)}
    assert found == {("ann", frozenset()), ("bob", frozenset()), ("\0", frozenset({"web-devs"}))}
    assert examples(policies, answer("anonymous & user:ann"), Kind.PASSWORD) == []
