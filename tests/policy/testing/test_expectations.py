"""Tests of policies as values: what a failure calls them, and the setting that they are run in."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address

import pytest
from declared_machines import client, robot

from tokenserver.documents.document import parse
from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.policy.model import Context
from tokenserver.policy.principals import UNNAMED
from tokenserver.policy.syntax.file import read_policy_file
from tokenserver.policy.testing.expectations import Setting, spell_identity, spell_test

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LATER = datetime(2027, 1, 31, tzinfo=UTC)
CLIENT = ip_address("10.1.2.3")


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        pytest.param(Setting(), Context("registry", None, NOW), id="nothing is said"),
        pytest.param(Setting(service="other"), Context("other", None, NOW), id="a registry"),
        pytest.param(Setting(service=""), Context("", None, NOW), id="the registry without a name"),
        pytest.param(Setting(at=LATER), Context("registry", None, LATER), id="a time"),
        pytest.param(Setting("other", LATER, CLIENT), Context("other", CLIENT, LATER), id="everything"),
    ],
)
def test_the_context_of_a_test(setting: Setting, expected: Context) -> None:
    """What the test does not set is as in the run."""
    assert setting.context("registry", NOW) == expected


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        pytest.param(ANONYMOUS, "an anonymous client", id="anonymous"),
        pytest.param(Identity("ann", Kind.PASSWORD), "user ann", id="a user"),
        pytest.param(
            Identity("ann", Kind.PASSWORD, groups=frozenset({"web", "a*b"})), 'user ann ("a*b", web)', id="with groups"
        ),
        pytest.param(
            Identity(UNNAMED, Kind.PASSWORD, groups=frozenset({"web"})),
            "an unnamed user (web)",
            id="a member of a group",
        ),
        pytest.param(robot("ci-web"), "robot ci-web", id="a robot"),
        pytest.param(client(b="2", a="1 3"), "a workload from github with a=1, a=3, b=2", id="a workload"),
        pytest.param(client(), "a workload from github with no claims", id="a workload without claims"),
        pytest.param(
            client(**{f"c{number}": "x" for number in range(9)}, a="y" * 300),
            f"a workload from github with a={'y' * 117}…, c0=x, c1=x, c2=x, c3=x, c4=x, 4 more",
            id="a workload with many claims",
        ),
    ],
)
def test_spell_identity(identity: Identity, expected: str) -> None:
    """In words, with its groups as policies write them."""
    assert spell_identity(identity) == expected


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        pytest.param("as: anonymous, can: [pull a]", "as an anonymous client", id="as"),
        pytest.param("as: {user: ann}, cannot: [push a]", "as user ann", id="as a user"),
        pytest.param("who_can: push web/x, exactly: []", "who can push web/x", id="who_can"),
        pytest.param("who_can: '* registry:catalog', exactly: []", "who can * registry:catalog", id="of a registry"),
        pytest.param("what_can: 'user:ann', exactly: []", "what can user:ann", id="what_can"),
        pytest.param("what_can: {robot: ci}, exactly: []", "what can robot:ci", id="what_can of a robot"),
        pytest.param("as: {robot: ci}, can: [push a]", "as robot ci", id="as a robot"),
        pytest.param(
            "what_can: {workload: {from: github, claims: {id: 7}}}, exactly: []",
            "what can a workload from github with id=7",
            id="what_can of a workload",
        ),
    ],
)
def test_spell_test(test: str, expected: str) -> None:
    """The subject of a test as its file spells it."""
    file = read_policy_file(parse(f"version: 1\ntests:\n  - {{{test}}}\n", "a.yaml"))
    assert file.faults == []
    assert [spell_test(one) for one in file.tests] == [expected]
