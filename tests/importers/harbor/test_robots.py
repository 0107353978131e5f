"""Robots of Harbor: their names and rules here, and what about them is reported."""

from __future__ import annotations

from typing import Any

import pytest
from harbor_exports import access, content, harbor_export, permission, robot
from imported_policies import NOW

from tokenserver.importers.harbor.reader import read_harbor
from tokenserver.importers.harbor.robots import MAX_TESTS, RobotsResult, translate_robots
from tokenserver.importers.report import Verdict
from tokenserver.importers.unique_names import UniqueNames

WRITE = access("repository:pull", "repository:push")


def translated(*robots: dict[str, Any], as_users: bool = False, **lists: Any) -> RobotsResult:
    """The robots, where there are the projects web and data."""
    export = read_harbor(content(harbor_export(robots=list(robots), **lists)), "x.json")
    return translate_robots(export, {"web", "data"}, UniqueNames(), NOW, as_users=as_users)


def rules(result: RobotsResult) -> list[tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]]:
    """The id, principals, patterns or resources, and actions of each rule."""
    return [(one.id, one.to, one.repositories or one.registry, one.actions) for one in result.rules]


@pytest.mark.parametrize(
    ("name", "here"),
    [
        pytest.param("robot$web+ci", "web.ci", id="of a project"),
        pytest.param("robot$deploy", "deploy", id="of the system"),
        pytest.param("ci", "ci", id="without the prefix"),
        pytest.param("robot$Web+CI!", "web.ci", id="other characters"),
        pytest.param("robot$" + "x" * 100, "x" * 64, id="long"),
    ],
)
def test_names(name: str, here: str) -> None:
    """As similar as possible, and the report says how the robot logs in."""
    result = translated(robot(name, permission("web", WRITE)))
    assert [one.name for one in result.robots] == result.declared == [here]
    assert result.robots[0].description == f"{name} at Harbor"
    assert rules(result) == [(f"robot-{here}"[:100], (f"robot:{here}",), ("web/**",), ("pull", "push"))]
    assert (result.constructs[0].verdict, result.constructs[0].text) == (Verdict.DIFFERENT, name)
    assert f"it logs in as {here}, or as token" in result.constructs[0].note


def test_names_that_are_the_same_here() -> None:
    """Each robot has its own."""
    assert translated(robot("robot$web+ci"), robot("robot$web.ci")).declared == ["web.ci", "web.ci-2"]


def test_another_prefix() -> None:
    """As Harbor is configured."""
    configurations = {"robot_name_prefix": {"value": "bot@"}}
    assert translated(robot("bot@web+ci"), configurations=configurations).declared == ["web.ci"]


def test_users() -> None:
    """They keep their names."""
    result = translated(robot("robot$web+ci", permission("web", WRITE)), as_users=True)
    assert (result.robots, result.declared) == ([], ["robot$web+ci"])
    assert rules(result) == [("user-robot-web-ci", ("user:robot$web+ci",), ("web/**",), ("pull", "push"))]


def test_several_permissions() -> None:
    """One rule for all projects with the same actions, and one for the catalog."""
    result = translated(
        robot(
            "robot$x",
            permission("web", access("repository:pull")),
            permission("web", access("repository:push")),
            permission("data", WRITE),
            permission("*", access("repository:pull")),
            permission("/", access("catalog:read"), "system"),
        )
    )
    assert rules(result) == [
        ("robot-x", ("robot:x",), ("web/**", "data/**"), ("pull", "push")),
        ("robot-x-2", ("robot:x",), ("**",), ("pull",)),
        ("robot-x-catalog", ("robot:x",), ("catalog",), ("*",)),
    ]
    assert [test.can for test in result.tests] == [("pull web/image", "push web/image"), ("pull example/image",)]
    assert "all projects are all repositories here" in result.constructs[0].note


@pytest.mark.parametrize(
    ("entry", "text", "note"),
    [
        pytest.param(robot("robot$x", disable=True), "robot$x", "the robot is disabled", id="disabled"),
        pytest.param(robot("robot$x", expires_at=0), "robot$x", "the robot has expired on 1970-01-01", id="expired"),
        pytest.param(
            robot("robot$x", permission("gone", WRITE)),
            "robot$x: project gone",
            "the export has no such project that could be translated",
            id="a project that is gone",
        ),
        pytest.param(
            robot("robot$x", permission("web", WRITE, "team")),
            "robot$x: team web",
            "the kind 'team' is not known, so nothing was granted",
            id="an unknown kind",
        ),
        pytest.param(
            robot("robot$x", permission("web", access("artifact:delete", "scan:create", "artifact:read", "new:thing"))),
            "robot$x: project web",
            "there is no counterpart of artifact:delete, new:thing, scan:create",
            id="other resources",
        ),
        pytest.param(
            robot("robot$x", permission("/", access("repository:pull"), "system")),
            "robot$x: system /",
            "there is no counterpart of repository:pull",
            id="a repository of the system",
        ),
    ],
)
def test_what_is_reported(entry: dict[str, Any], text: str, note: str) -> None:
    """And grants nothing."""
    result = translated(entry)
    assert result.rules == []
    assert [(one.text, one.note) for one in result.constructs if one.verdict is Verdict.NOT_TRANSLATED] == [
        (text, note)
    ]


def test_denied() -> None:
    """What one permission denies is denied everywhere, which is the stricter reading."""
    entry = robot("robot$x", permission("web", WRITE), permission("data", access("repository:push", effect="deny")))
    result = translated(entry)
    assert rules(result) == [("robot-x", ("robot:x",), ("web/**",), ("pull",))]
    assert result.constructs[-1].note == "deny of repository:push was taken away from all that the robot may do"


def test_very_many() -> None:
    """The number of tests has a limit, which every start would pay for."""
    result = translated(*(robot(f"robot$r{number}", permission("web", WRITE)) for number in range(MAX_TESTS + 1)))
    assert (len(result.rules), len(result.tests)) == (MAX_TESTS + 1, MAX_TESTS)
