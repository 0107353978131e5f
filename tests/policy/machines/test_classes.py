"""Machines to try: one of all that a question cannot tell apart; queries/test_witnesses.py compares with all."""

from __future__ import annotations

import pytest
from declared_machines import required, workload

from tokenserver.policy.machines.classes import robots_to_try, workloads_to_try
from tokenserver.policy.machines.workloads import Workload, Workloads, membership, where_claims

BY_USER = {
    "robot:a": frozenset({"web", "other"}),
    "robot:b": frozenset({"web"}),
    "robot:c": frozenset({"data"}),
    "robot:d": frozenset({"other"}),
}


@pytest.mark.parametrize(
    ("subjects", "groups", "expected"),
    [
        pytest.param(set(), set(), ("a",), id="nothing is named"),
        pytest.param({"robot:c"}, set(), ("a", "c"), id="a robot"),
        pytest.param(set(), {"web"}, ("a", "c"), id="a group"),
        pytest.param(set(), {"web", "other"}, ("a", "b", "c", "d"), id="groups together"),
        pytest.param({"robot:b"}, {"web", "data"}, ("a", "b", "c", "d"), id="a robot and groups"),
        pytest.param({"robot:x"}, {"none"}, ("a",), id="what no robot is"),
    ],
)
def test_robots(subjects: set[str], groups: set[str], expected: tuple[str, ...]) -> None:
    """The named ones, and one for each set of the groups that others are in."""
    assert robots_to_try("abcd", frozenset(subjects), frozenset(groups), BY_USER) == expected


WEB = workload("web", repo="1")
MAIN = workload("main", repo="1", ref="main")
MANY = [workload(f"job-{number}", repo=str(number)) for number in range(2, 9)]
LAB = workload("lab", "gitlab", repo="1")
PROD = where_claims(None, required(env="prod"))


def tried(found: list[Workload], names: set[str], groups: set[str], **members: set[str]) -> dict[str, set[str]]:
    """What is tried; `members` has the groups of each workload, whose name has `_` for `-`."""
    by_member = {membership(name.replace("_", "-")): frozenset(one) for name, one in members.items()}
    answer = workloads_to_try(Workloads.of_all(found), frozenset(names), frozenset(groups), by_member)
    return {name: set(mine) for name, mine in answer.items()}


def test_workloads_that_nothing_names() -> None:
    """One of each source."""
    assert tried([WEB, MAIN, LAB, *MANY], set(), set()) == {"web": set(), "lab": set()}


def test_a_workload_by_name() -> None:
    """It, those that meet a part of its claims, and one of all others."""
    assert tried([WEB, MAIN, *MANY], {"main"}, set()) == {"web": set(), "main": set(), "job-2": set()}


def test_workloads_in_a_group() -> None:
    """Those that are in it by themselves or as another workload; what they still lack of it matters for others."""
    assert tried([WEB, MAIN, *MANY], set(), {"g"}, web={"g"}) == {"web": {"g"}, "job-2": set()}
    assert tried([WEB, MAIN, *MANY], set(), {"g"}, main={"g"}) == {"web": set(), "main": {"g"}, "job-2": set()}
    assert tried([WEB, MAIN, *MANY], set(), {"g"}, web={"g"}, main={"h"}) == {"web": {"g"}, "job-2": set()}


def test_each_group_with_a_workload_of_its_own() -> None:
    """However many groups there are, each has one to try."""
    groups = {f"g{number}": {f"job-{number}"} for number in range(2, 9)}
    members = {f"job_{number}": {f"g{number}"} for number in range(2, 9)}
    found = tried([WEB, *MANY], set(), set(groups), **members)
    assert found == {"web": set(), **{f"job-{number}": {f"g{number}"} for number in range(2, 9)}}


def test_claims_of_rules_are_no_workload_to_try() -> None:
    """Nobody logs in as one; a workload that has these claims is told apart."""
    prod = workload("prod", repo="9", env="prod")
    assert tried([WEB, prod, PROD, *MANY], {PROD.name}, set()) == {"web": set(), "prod": set()}


def test_a_claim_with_a_wildcard() -> None:
    """Is met by each of its values, and by no other value."""
    any_main = workload("any-main", ref="m*")
    found = [any_main, workload("main", ref="main"), workload("dev", ref="dev")]
    assert tried(found, {"any-main"}, set()) == {"any-main": set(), "dev": set()}
