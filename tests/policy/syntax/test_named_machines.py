"""The robots, workloads and workload sources that a file names."""

from __future__ import annotations

import pytest

from tokenserver.documents.document import parse, spell
from tokenserver.policy.syntax.file import read_policy_file

RULE = "id: r, repositories: [web/x], role: reader"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(f'allow: [{{{RULE}, to: ["user:ann", "group:g", robots, workloads]}}]', [], id="none"),
        pytest.param(
            f'allow: [{{{RULE}, to: ["robot:b", "robot:a", "workload:w"], except: ["workload:v"]}}]',
            ["allow[0].to robot:a", "allow[0].to robot:b", "allow[0].to workload:w", "allow[0].except workload:v"],
            id="a rule",
        ),
        pytest.param(
            f'deny: [{{{RULE}, to: ["workload:w"], when: {{claims: {{a: x}}}}}}]',
            ["deny[0].to workload:w"],
            id="more claims",
        ),
        pytest.param(f"allow: [{{{RULE}, to: [workloads], when: {{claims: {{a: x}}}}}}]", [], id="more claims of any"),
        pytest.param(
            "groups: {g: {users: [ann], groups: [d], robots: [ci], workloads: [w]}}",
            ["groups.g robot:ci", "groups.g workload:w"],
            id="a group",
        ),
        pytest.param(
            'delegate: [{file: t/w.yaml, repositories: [x], actions: [pull], principals: ["robot:ci", authenticated]}]',
            ["delegate[0].principals robot:ci"],
            id="delegated principals",
        ),
        pytest.param(
            "tests: [{as: {robot: ci}, can: [pull x]}, {as: {user: ann}, can: [pull x]}]",
            ["tests[0].as.robot robot:ci"],
            id="as a robot",
        ),
        pytest.param(
            "tests: [{as: {workload: {from: s, claims: {a: x}}}, can: [pull x]}]", [], id="claims name no workload"
        ),
        pytest.param(
            'tests: [{what_can: "workload:w", exactly: []}]', ["tests[0].what_can workload:w"], id="what somebody can"
        ),
        pytest.param(
            'tests: [{who_can: pull x, includes: ["robot:ci & group:g"]}]',
            ["tests[0].includes robot:ci"],
            id="one who can",
        ),
        pytest.param(
            'tests: [{who_can: pull x, exactly: [{to: "robot:a", except: ["robot:b"], unless: '
            '[{to: "workload:c", except: ["workload:d"], when: {until: 2027-01-01}}]}]}]',
            [f"tests[0].exactly {name}" for name in ("robot:a", "robot:b", "workload:c", "workload:d")],
            id="all who can",
        ),
    ],
)
def test_machines(text: str, expected: list[str]) -> None:
    """Each with its place."""
    file = read_policy_file(parse(f"version: 1\n{text}\n", "a.yaml"))
    assert file.faults == []
    assert [f"{spell(place)} {machine}" for place, machine in file.machines_used] == expected


def test_sources() -> None:
    """Those of workloads, of delegations and of clients in tests."""
    file = read_policy_file(
        parse(
            "version: 1\n"
            "workloads: {w: {from: github, claims: {a: x}}}\n"
            "delegate:\n"
            "  - {file: t/a.yaml, repositories: [a], actions: [pull]}\n"
            "  - {file: t/b.yaml, repositories: [b], actions: [pull], workloads: {from: [s, r], claims: {a: x}}}\n"
            "tests:\n"
            "  - {as: {workload: {from: gitlab, claims: {a: x}}}, can: [pull x]}\n"
            "  - {as: {robot: ci}, can: [pull x]}\n"
            "  - {what_can: robots, exactly: []}\n",
            "a.yaml",
        )
    )
    assert file.faults == []
    assert [(spell(place), source) for place, source in file.sources_used] == [
        ("workloads.w.from", "github"),
        ("delegate[1].workloads.from", "r"),
        ("delegate[1].workloads.from", "s"),
        ("tests[0].as.workload.from", "gitlab"),
    ]
