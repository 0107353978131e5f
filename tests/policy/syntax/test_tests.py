"""Entries under `tests:`: what is read from `what_can` and `who_can`, and what is wrong with one."""

from __future__ import annotations

import pytest

from tokenserver.documents.document import parse
from tokenserver.identity import Kind
from tokenserver.patterns import parse_pattern
from tokenserver.policy.model import Principal
from tokenserver.policy.principals import AUTHENTICATED, WORKLOADS
from tokenserver.policy.syntax.file import PolicyFile, read_policy_file
from tokenserver.policy.testing.expectations import AsTest, Test, WhatTest, WhoTest, spell_test
from tokenserver.policy.testing.spans import Span


def read(test: str) -> PolicyFile:
    return read_policy_file(parse(f"version: 1\ntests:\n  - {{{test}}}\n", "a.yaml"))


def only(test: str) -> Test:
    file = read(test)
    assert file.faults == []
    (found,) = file.tests
    return found


@pytest.mark.parametrize(
    ("who", "principal", "brought"),
    [
        pytest.param('"user:bob"', Principal("user", "bob"), frozenset[str](), id="principal"),
        pytest.param("{user: bob, groups: [ops]}", Principal("user", "bob"), frozenset({"ops"}), id="user-and-groups"),
        pytest.param("{groups: [ops]}", AUTHENTICATED, frozenset({"ops"}), id="unnamed-with-groups"),
        pytest.param("{robot: ci}", Principal("robot", "ci"), frozenset[str](), id="robot"),
        pytest.param("'robot:ci'", Principal("robot", "ci"), frozenset[str](), id="robot as a principal"),
        pytest.param("workloads", WORKLOADS, frozenset[str](), id="workloads"),
    ],
)
def test_whom_what_can_is_about(who: str, principal: Principal, brought: frozenset[str]) -> None:
    """A principal, or a mapping as in `as:`; without a user it is an unnamed one."""
    found = only(f"what_can: {who}, exactly: [pull web/**]")
    assert isinstance(found, WhatTest)
    assert (found.who, found.groups) == (principal, brought)


def test_what_a_workload_can() -> None:
    """One that is known by its claims, each with one value or several."""
    found = only("what_can: {workload: {from: github, claims: {ref: [a, b], id: 7, ok: true}}}, exactly: []")
    assert isinstance(found, WhatTest)
    assert found.identity is not None
    claims = frozenset({("ref", "a"), ("ref", "b"), ("id", "7"), ("ok", "true")})
    assert (found.identity.kind, found.identity.source, found.identity.claims) == (Kind.WORKLOAD, "github", claims)


@pytest.mark.parametrize(
    "test",
    [
        pytest.param("as: {robot: ci}, can: [pull a], kind: robot", id="a robot"),
        pytest.param("as: {workload: {from: github, claims: {a: b}}}, can: [pull a], kind: workload", id="a workload"),
        pytest.param("what_can: 'robot:ci', exactly: [], kind: robot", id="what a robot can"),
        pytest.param("what_can: workloads, exactly: [], kind: workload", id="what workloads can"),
        pytest.param("what_can: 'group:web', exactly: [], kind: robot", id="what a group can"),
        pytest.param("what_can: anonymous, exactly: [], kind: password", id="what nobody can"),
    ],
)
def test_kinds(test: str) -> None:
    """The kind of credential that such clients have."""
    only(test)


@pytest.mark.parametrize(
    ("test", "message"),
    [
        pytest.param("as: {robot: ci}, can: [pull a], kind: password", "a robot has no credential of kind", id="robot"),
        pytest.param(
            "as: {user: ann}, can: [pull a], kind: robot", "a user has no credential of kind robot", id="user"
        ),
        pytest.param("as: authenticated, can: [pull a], kind: robot", "authenticated means people, who", id="people"),
        pytest.param("as: anonymous, can: [pull a], kind: robot", "an anonymous client has no credential", id="nobody"),
        pytest.param(
            "what_can: 'robot:ci', exactly: [], kind: password", "robot:ci has no credential of", id="what-can"
        ),
        pytest.param(
            "what_can: 'user:ann', exactly: [], kind: workload", "user:ann has no credential", id="what a user"
        ),
        pytest.param(
            "what_can: robots, exactly: [], kind: workload", "robots has no credential", id="the other machines"
        ),
        pytest.param("what_can: {robot: ci}, exactly: [], kind: workload", "a robot has no credential", id="a mapping"),
        pytest.param("as: {robot: ci, groups: [web]}, can: [pull a]", "machines bring no groups", id="groups"),
        pytest.param("as: {robot: ci, user: ann}, can: [pull a]", "is one client", id="two clients"),
        pytest.param("as: {robot: ci, namespace: ann}, can: [pull a]", "is one client", id="a namespace"),
        pytest.param("as: {workload: {from: github}}, can: [pull a]", "claims is missing", id="no claims"),
        pytest.param("as: 'robot:ci', can: [pull a]", "must be {user: NAME", id="a principal"),
    ],
)
def test_no_such_machine(test: str, message: str) -> None:
    """What cannot be is a fault of the file."""
    (fault,) = read(test).faults
    assert message in fault.message


@pytest.mark.parametrize(
    ("item", "span"),
    [
        pytest.param(
            "'pull,push web/** except web/prod/**'",
            Span(frozenset({"pull", "push"}), "repository", parse_pattern("web/**"), (parse_pattern("web/prod/**"),)),
            id="except",
        ),
        pytest.param(
            "'* web/**'",
            Span(frozenset({"pull", "push", "delete"}), "repository", parse_pattern("web/**")),
            id="every-action",
        ),
        pytest.param(
            "'* registry:catalog'", Span(frozenset({"*"}), "registry", parse_pattern("catalog")), id="registry"
        ),
    ],
)
def test_spans(item: str, span: Span) -> None:
    """`ACTIONS PATTERN [except PATTERN …]`, or a resource of the registry."""
    found = only(f"what_can: authenticated, exactly: [{item}]")
    assert isinstance(found, WhatTest)
    assert found.spans == (span,)


def test_includes_and_excludes_are_two_tests() -> None:
    """One entry with both is read as one test for each."""
    file = read("who_can: pull web/x, includes: ['user:ann'], excludes: ['user:eve'], kind: password")
    assert file.faults == []
    assert [(one.relation, one.kind) for one in file.tests if isinstance(one, WhoTest)] == [
        ("includes", Kind.PASSWORD),
        ("excludes", Kind.PASSWORD),
    ]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        pytest.param("what_can: authenticated", "needs exactly: (everything that may be done", id="nothing-expected"),
        pytest.param("what_can: everyone, exactly: []", "may differ for authenticated and anonymous", id="everyone"),
        pytest.param("what_can: {user: 'b*'}, exactly: []", "names are literal", id="no-user"),
        pytest.param("what_can: authenticated, exactly: [web/**]", "must be actions and a pattern", id="no-action"),
        pytest.param("what_can: authenticated, exactly: [pul web/x]", "unknown action 'pul'", id="unknown-action"),
        pytest.param("what_can: authenticated, exactly: ['pull WEB']", "repository names are lower case", id="pattern"),
        pytest.param("who_can: pull, includes: ['user:ann']", "must be an action and a repository", id="no-request"),
    ],
)
def test_faults(test: str, expected: str) -> None:
    """An entry with a fault is reported and not read."""
    file = read(test)
    assert file.tests == []
    (fault,) = file.faults
    assert expected in fault.message


def test_a_namespace() -> None:
    """Of the user in `as:` and `what_can:`, and as a principal of an answer."""
    as_test = only("as: {user: JohnDoe, namespace: johndoe}, can: [push users/johndoe/app]")
    assert isinstance(as_test, AsTest)
    assert (as_test.identity.subject, as_test.identity.namespace) == ("JohnDoe", "johndoe")
    assert spell_test(as_test) == "as user JohnDoe with the namespace johndoe"
    what_test = only("what_can: {user: JohnDoe, namespace: johndoe}, exactly: [pull users/johndoe/**]")
    assert isinstance(what_test, WhatTest)
    assert (what_test.who, what_test.namespace) == (Principal("user", "JohnDoe"), "johndoe")
    who_test = only('who_can: push users/web/app, exactly: ["namespace:web & group:a"]')
    assert isinstance(who_test, WhoTest)
    assert who_test.answers == {frozenset({Principal("namespace", "web"), Principal("group", "a")})}


@pytest.mark.parametrize(
    ("test", "fault"),
    [
        ("as: {namespace: johndoe}, can: [push a/b]", "goes with user: the user who has it"),
        ("as: {user: JohnDoe, namespace: JohnDoe}, can: [push a/b]", "must be one segment of a repository name"),
        ('who_can: push a/b, exactly: ["namespace:A"]', "must be one segment of a repository name"),
    ],
)
def test_a_wrong_namespace(test: str, fault: str) -> None:
    """What no user can have."""
    (found,) = read(test).faults
    assert fault in found.message
