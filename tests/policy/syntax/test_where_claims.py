"""The syntax of `when: {claims: …}`: rules for some of the clients of their workloads."""

from __future__ import annotations

import pytest

from tokenserver.documents.document import parse
from tokenserver.identity import Kind
from tokenserver.policy.machines.workloads import spell_claims
from tokenserver.policy.model import Condition
from tokenserver.policy.principals import listed
from tokenserver.policy.syntax.file import PolicyFile, read_policy_file

PROD = "{claims: {environment: production}}"


def read(to: str, when: str) -> tuple[PolicyFile, list[str]]:
    """A file with one rule, and its faults."""
    rule = f"{{id: r, to: {to}, repositories: [web/x], role: reader, when: {when}}}"
    file = read_policy_file(parse(f"version: 1\nallow: [{rule}]\n", "a.yaml"))
    return file, [f"{fault.path}: {fault.message}" for fault in file.faults]


@pytest.mark.parametrize(
    ("to", "expected", "where"),
    [
        pytest.param('["workload:web"]', ["workload:web where environment is production"], ["web"], id="one workload"),
        pytest.param(
            '["workload:web", "workload:lab"]',
            ["workload:lab where environment is production", "workload:web where environment is production"],
            ["lab", "web"],
            id="several",
        ),
        pytest.param("[workloads]", ["workloads where environment is production"], [""], id="any"),
        pytest.param('[workloads, "workload:web"]', ["workloads where environment is production"], [""], id="both"),
    ],
)
def test_recipients(to: str, expected: list[str], where: list[str]) -> None:
    """The rule is for those clients who have the claims as well; it has no other condition."""
    file, faults = read(to, PROD)
    assert faults == []
    (draft,) = file.rules
    assert [str(one) for one in listed(draft.to)] == expected
    assert [(name, spell_claims(claims)) for name, claims in file.where] == [
        (name, "environment is production") for name in where
    ]
    assert draft.condition is None


def test_other_conditions_stay() -> None:
    """They are those of the rule."""
    file, faults = read("[workloads]", "{claims: {a: x}, kind: workload}")
    assert faults == []
    assert file.rules[0].condition == Condition(kinds=frozenset({Kind.WORKLOAD}))


STARS = "'x**': ** must be a whole segment, between slashes; fix: use * inside a segment"
UNUSED = "does not use ${t}, which the rule captures; fix: move it to a rule of its own, to the groups by name"
FORMS = (
    "must be everyone, authenticated, anonymous, robots, workloads, user:NAME, group:NAME, robot:NAME or workload:NAME"
)
ONLY = "only workloads have claims; fix: write to: [workloads] or workload:NAME, and a rule of its own for others"


@pytest.mark.parametrize(
    ("to", "when", "expected"),
    [
        pytest.param("[everyone]", PROD, [f"allow[0].when.claims: {ONLY}"], id="everyone"),
        pytest.param('["group:web"]', PROD, [f"allow[0].when.claims: {ONLY}"], id="a group"),
        pytest.param('["workload:web", "robot:ci"]', PROD, [f"allow[0].when.claims: {ONLY}"], id="a robot as well"),
        pytest.param("[workloads, robots]", PROD, [f"allow[0].when.claims: {ONLY}"], id="all machines"),
        pytest.param(
            '["group:x-{t}"]',
            PROD,
            [
                f"allow[0].repositories[0]: 'web/x': {UNUSED}",
                f"allow[0].when.claims: {ONLY}",
            ],
            id="a capture",
        ),
        pytest.param(
            "[workloads]",
            "{claims: {}}",
            ["allow[0].when.claims: is empty: leave the key out, or fill it"],
            id="no claims",
        ),
        pytest.param(
            "[workloads]",
            "{claims: {a: 'x**'}, kind: robots}",
            [
                f"allow[0].when.claims.a: {STARS}",
                "allow[0].when.kind: unknown kind of credential 'robots'; did you mean 'robot'?",
            ],
            id="other faults as well",
        ),
        pytest.param(
            "[workloads]", "", ["allow[0].when: must be a mapping (key: value), not nothing"], id="nothing at all"
        ),
        pytest.param("[workloads]", "{}", ["allow[0].when: is empty: leave the key out, or fill it"], id="empty"),
        pytest.param(
            "[workload]",
            PROD,
            [f"allow[0].to[0]: 'workload': {FORMS}; did you mean 'workloads'?"],
            id="recipients with faults",
        ),
    ],
)
def test_faults(to: str, when: str, expected: list[str]) -> None:
    """A rule with one is not in the result."""
    file, faults = read(to, when)
    assert faults == expected
    assert file.rules == []
