"""Exports of Quay as policies: what they decide is what Quay decides, and the rest is reported."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imported_policies import decided, loaded, person
from imported_policies import robot as robot_here
from nasty_names import nasty_names
from quay_exports import (
    ROBOTS,
    USERS,
    content,
    exports,
    member,
    naive,
    organization,
    permissions,
    prototype,
    quay_export,
    repository,
    user,
)
from slow_properties import slow_examples

from tokenserver.identity import ANONYMOUS
from tokenserver.importers.policy_text import policy_yaml
from tokenserver.importers.quay.reader import read_quay
from tokenserver.importers.quay.translate import MAX_TESTS, QuayPolicies, translate_quay
from tokenserver.importers.report import Verdict


def translated(export: dict[str, Any], *, robots_as_users: bool = False) -> QuayPolicies:
    """The policies of an export."""
    return translate_quay(read_quay(content(export), "x.json"), robots_as_users=robots_as_users)


def said(result: QuayPolicies, verdict: Verdict) -> list[tuple[str, str]]:
    """What has this verdict, and why."""
    return [(one.text, one.note) for one in result.constructs if one.verdict is verdict]


@slow_examples(2)
@given(exports())
def test_what_is_decided_is_what_quay_decides(export: dict[str, Any]) -> None:
    """For each repository, every user, clients that are not logged in, and robots of either sort."""
    result = translated(export)
    paths = [f"{one['namespace']}/{one['name']}" for one in export["repositories"]]
    if not result.grants:
        assert not any(naive(export, name, path) for name in (*USERS, *ROBOTS, None) for path in paths)
        return
    policies = loaded(policy_yaml(result.policy))
    as_users = loaded(policy_yaml(translated(export, robots_as_users=True).policy))
    for path in paths:
        assert decided(policies, ANONYMOUS, path) == naive(export, None, path)
        for name in (*USERS, "stranger"):
            assert decided(policies, person(name), path) == naive(export, name, path)
        for name in ROBOTS:
            expected = naive(export, name, path)
            if name.replace("+", ".") in result.robots:
                assert decided(policies, robot_here(name.replace("+", ".")), path) == expected
            assert decided(as_users, person(name), path) == expected


@given(
    names=st.lists(nasty_names, max_size=3, unique=True),
    users=st.lists(nasty_names, max_size=3, unique=True),
    paths=st.lists(nasty_names, max_size=3, unique=True),
    robots=st.lists(nasty_names, max_size=2, unique=True),
    as_users=st.booleans(),
)
def test_any_names(names: list[str], users: list[str], paths: list[str], robots: list[str], as_users: bool) -> None:
    """Whatever things are called, the policies load, and a stranger may do nothing."""
    organizations = [organization(name, **dict.fromkeys(("owners", *users[:1]), "admin")) for name in names]
    members = [member(name) for name in (*users, *robots)]
    repositories = [{**repository("x/y"), "namespace": one, "name": path} for one in (*names, "x") for path in paths]
    granted = permissions(dict.fromkeys((*users, *robots), "write"), {"owners": "write"})
    result = translated(
        quay_export(
            organizations=organizations,
            members={f"{one['name']}/{team}": members for one in organizations for team in one["teams"]},
            repositories=repositories,
            permissions={f"{one['namespace']}/{one['name']}": granted for one in repositories},
            prototypes={name: [prototype(one, "read") for one in users] for name in names},
            users=[user(name, superuser=True) for name in users],
            robots={"x": [{"name": name} for name in robots]},
        ),
        robots_as_users=as_users,
    )
    if result.grants:
        policies = loaded(policy_yaml(result.policy))
        assert decided(policies, person("a stranger"), "web/x") == decided(policies, ANONYMOUS, "web/x") == set()


def test_an_organization() -> None:
    """Teams are groups, with a rule for each role that they have."""
    result = translated(
        quay_export(
            organizations=[organization("web", owners="admin", devs="member")],
            members={"web/owners": [member("ann")], "web/devs": [member("bob"), member("web+ci")]},
            repositories=[repository("web/shop"), repository("web/docs", public=True)],
            permissions={
                "web/shop": permissions({"eve": "read"}, {"devs": "write"}),
                "web/docs": permissions({"web+ci": "admin"}),
            },
            robots={"web": [{"name": "web+ci", "description": "builds"}]},
            users=[user("ann", superuser=True)],
        )
    )
    text = policy_yaml(result.policy)
    assert (
        text
        == """\
# Teams, users and robots of Quay, and what each may do.
version: 1
administrators: ["user:ann"]

robots:
  web.ci:
    description: "web+ci at Quay: builds"

groups:
  web/owners: {users: [ann]}
  web/devs: {users: [bob], robots: [web.ci]}

allow:
  - id: group-web-owners-maintainer
    to: ["group:web/owners"]
    repositories: ["web/**"]
    role: maintainer
  - id: user-ann-maintainer
    to: ["user:ann"]
    repositories: ["ann/**"]
    role: maintainer
  - id: user-eve-reader
    to: ["user:eve"]
    repositories: [web/shop]
    role: reader
  - id: group-web-devs-maintainer
    to: ["group:web/devs"]
    repositories: [web/shop]
    role: maintainer
  - id: robot-web.ci-maintainer
    to: ["robot:web.ci"]
    repositories: [web/docs]
    role: maintainer
  - id: public
    to: [everyone]
    repositories: [web/docs]
    role: reader

tests:
  - {as: {user: ann}, can: ["pull web/example-image", "push web/example-image", "delete web/example-image"]}
  - {as: {user: ann}, can: ["pull ann/example-image", "push ann/example-image", "delete ann/example-image"]}
  - {as: {user: eve}, can: ["pull web/shop"]}
  - {as: {user: bob}, can: ["pull web/shop", "push web/shop", "delete web/shop"]}
  - {as: {robot: web.ci}, can: ["pull web/docs", "push web/docs", "delete web/docs"]}
  - {as: anonymous, cannot: ["pull web/shop"]}
"""
    )
    loaded(text)
    assert (result.is_anonymous, result.users, result.robots) == (True, ("ann",), ("web.ci",))


def test_default_permissions() -> None:
    """They are for names that are no repository yet, and let nobody create one."""
    result = translated(
        quay_export(
            organizations=[organization("web", devs="member")],
            members={"web/devs": [member("bob")]},
            repositories=[repository("web/shop")],
            permissions={"web/shop": permissions({"ann": "read"})},
            prototypes={"web": [prototype("devs", "write", "team"), prototype("eve", "read")]},
        )
    )
    policies = loaded(policy_yaml(result.policy))
    assert decided(policies, person("bob"), "web/new") == decided(policies, person("eve"), "web/new") == {"pull"}
    assert decided(policies, person("bob"), "web/shop") == decided(policies, person("eve"), "web/shop") == set()
    assert [text for text, _ in said(result, Verdict.DIFFERENT)] == [
        "web: write for team devs",
        "web: read for user eve",
    ]


BASE = quay_export(repositories=[repository("web/shop", public=True)], permissions={"web/shop": permissions()})


@pytest.mark.parametrize(
    ("parts", "text", "note"),
    [
        pytest.param(
            {"permissions": {"web/shop": permissions({"ann": "owner"})}},
            "web/shop: ann",
            "the role 'owner' is not known; nothing was granted",
            id="an unknown role",
        ),
        pytest.param(
            {"permissions": {"web/shop": permissions(teams={"gone": "read"})}},
            "web/shop: gone",
            "the export has no such team with members",
            id="an unknown team",
        ),
        pytest.param(
            {"permissions": {"web/shop": permissions({"web+ci": "read"})}},
            "web/shop: web+ci",
            "the export has no such robot",
            id="an unknown robot",
        ),
        pytest.param(
            {"permissions": {"web/shop": permissions({"a*": "read"})}},
            "web/shop: a*",
            "a name must not hold '*', a wildcard in policies",
            id="a user who cannot exist",
        ),
        pytest.param({"users": [user("ann", enabled=False)]}, "ann", "the user is disabled", id="a disabled user"),
        pytest.param(
            {"users": [user("web")], "organizations": [organization("web")]},
            "web/",
            "no repository can be in the user's namespace here",
            id="a user like an organization",
        ),
        pytest.param(
            {"organizations": [organization("web", devs="boss")], "members": {"web/devs": []}},
            "web/devs",
            "the role 'boss' of the team is not known; it grants nothing by itself",
            id="an unknown role of a team",
        ),
        pytest.param(
            {"organizations": [organization("web", devs="creator")], "members": {"web/devs": []}},
            "web/devs",
            "members create repositories in the organization; here that takes push on a name",
            id="creators",
        ),
        pytest.param(
            {"organizations": [organization("web", devs="member")], "members": {"web/devs": [{"invited": True}]}},
            "web/devs",
            "1 invited people have not joined",
            id="invited",
        ),
        pytest.param(
            {"organizations": [organization("web", devs="member")], "members": {"web/devs": [member("a*")]}},
            "web/devs: a*",
            "a name must not hold '*', a wildcard in policies",
            id="a member who cannot exist",
        ),
        pytest.param(
            {"prototypes": {"web": [prototype("eve", "read", creator="ann")]}},
            "web: read for user eve",
            "it is for repositories that ann creates, and nobody knows who created one",
            id="a default of one creator",
        ),
        pytest.param(
            {"prototypes": {"web": [prototype("eve", "owner")]}},
            "web: owner for user eve",
            "the role 'owner' is not known; nothing was granted",
            id="a default with an unknown role",
        ),
        pytest.param(
            {"prototypes": {"web": [prototype("eve", "read", "squad")]}},
            "web: read for squad eve",
            "'squad' is not known; nothing was granted",
            id="a default of an unknown sort",
        ),
        pytest.param(
            {"prototypes": {"w*": [prototype("eve", "read")]}},
            "w*: read for user eve",
            "the organization's name cannot exist here",
            id="a default of an odd organization",
        ),
    ],
)
def test_what_is_reported(parts: dict[str, Any], text: str, note: str) -> None:
    """Once, and nothing is guessed."""
    result = translated({**BASE, **parts})
    assert said(result, Verdict.NOT_TRANSLATED) == [(text, note)]
    loaded(policy_yaml(result.policy))


@pytest.mark.parametrize(
    ("entry", "note"),
    [
        pytest.param(repository("web/shop"), "it is there twice", id="twice"),
        pytest.param(repository("web/a*"), "the name has characters with a meaning in policies", id="like a pattern"),
        pytest.param(repository("web/chart", kind="application"), "it is of the kind 'application'", id="no images"),
    ],
)
def test_repositories_that_are_left_out(entry: dict[str, Any], note: str) -> None:
    """With the reason."""
    path = f"{entry['namespace']}/{entry['name']}"
    export = {
        **BASE,
        "repositories": [*BASE["repositories"], entry],
        "permissions": {"web/shop": permissions(), path: {}},
    }
    ((text, found),) = said(translated(export), Verdict.NOT_TRANSLATED)
    assert (text, note in found) == (path, True)


def test_a_repository_in_an_unknown_state() -> None:
    """It takes no pushes here, and the report says why."""
    export = quay_export(
        repositories=[repository("web/shop", state="ODD")],
        permissions={"web/shop": permissions({"ann": "write"})},
    )
    result = translated(export)
    assert said(result, Verdict.NOT_TRANSLATED) == [
        ("web/shop: ODD", "the state is not known; nobody pushes or deletes")
    ]
    assert decided(loaded(policy_yaml(result.policy)), person("ann"), "web/shop") == {"pull"}


def test_administrators_who_are_robots() -> None:
    """People of such a team may do everything in the organization; its robots only what the team has."""
    export = quay_export(
        organizations=[organization("web", owners="admin")],
        members={"web/owners": [member("ann"), member("web+ci")]},
        robots={"web": [{"name": "web+ci"}]},
        repositories=[repository("web/shop")],
        permissions={"web/shop": permissions({}, {"owners": "read"})},
    )
    policies = loaded(policy_yaml(translated(export).policy))
    assert decided(policies, person("ann"), "web/new") == {"pull", "push", "delete"}
    assert decided(policies, robot_here("web.ci"), "web/new") == set()
    assert decided(policies, robot_here("web.ci"), "web/shop") == {"pull"}


def test_a_robot_that_cannot_be_a_user() -> None:
    """It is reported; as a robot it gets another name."""
    export = {**BASE, "robots": {"web": [{"name": "web+c*"}]}}
    assert translated(export).robots == ("web.c",)
    (lost,) = said(translated(export, robots_as_users=True), Verdict.NOT_TRANSLATED)
    assert lost == ("web+c*", "a name must not hold '*', a wildcard in policies")


def test_very_many_repositories() -> None:
    """The number of tests has a limit, which every start would pay for."""
    paths = [f"web/r{number}" for number in range(MAX_TESTS + 1)]
    export = quay_export(
        repositories=[repository(path) for path in paths],
        permissions={path: permissions({"ann": "read"}) for path in paths},
    )
    assert len(translated(export).policy.tests) == MAX_TESTS
