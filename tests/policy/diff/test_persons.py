"""Persons: the known facts of clients, and whether one client can have those of two."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tokenserver.identity import Sort
from tokenserver.policy.diff.persons import ANYONE, Person, Seeds
from tokenserver.policy.machines.workloads import membership


def person(user: str = "", *groups: str) -> Person:
    return Person(user, frozenset(groups))


def names(*workloads: str) -> frozenset[str]:
    return frozenset(map(membership, workloads))


def workload(source: str, *workloads: str, **claims: str) -> Person:
    """A client of this source that was chosen to be these workloads, with these claims."""
    return Person(groups=names(*workloads), source=source, claims=frozenset(claims.items()))


NOBODY = Person(anonymous=True)
WEB = workload("github", "web", id="7")
SEVEN_AND_EIGHT = frozenset({("id", "7"), ("id", "8")})


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        pytest.param(person("ann"), person(), person("ann"), id="with-anybody"),
        pytest.param(person(), person("ann"), person("ann"), id="anybody-with"),
        pytest.param(person("ann", "a"), person("", "b"), person("ann", "a", "b"), id="groups-add-up"),
        pytest.param(person("", "a"), person("ann", "b"), person("ann", "a", "b"), id="the-other-has-the-name"),
        pytest.param(person("ann"), person("ann", "b"), person("ann", "b"), id="the-same-one"),
        pytest.param(person("ann"), person("bob"), None, id="two-people"),
        pytest.param(NOBODY, person(), NOBODY, id="nobody-with-anybody"),
        pytest.param(NOBODY, person("ann"), None, id="nobody-has-no-name"),
        pytest.param(NOBODY, person("", "a"), None, id="nobody-has-no-group"),
        pytest.param(Person("Ann"), Person(namespace="ann"), Person("Ann", namespace="ann"), id="with-a-namespace"),
        pytest.param(Person(namespace="a"), Person(namespace="b"), None, id="two-namespaces"),
        pytest.param(person("robot:ci"), person(), person("robot:ci"), id="a-robot-with-anybody"),
        pytest.param(person("robot:ci"), person("robot:ci"), person("robot:ci"), id="the-same-robot"),
        pytest.param(person("robot:ci"), person("robot:cd"), None, id="two-robots"),
        pytest.param(person("robot:ci"), person("", "a"), None, id="a-robot-is-in-no-directory-group"),
        pytest.param(person("robot:ci"), person("ci"), None, id="a-robot-and-a-user"),
        pytest.param(WEB, person("robot:ci"), None, id="a-workload-and-a-robot"),
        pytest.param(WEB, person("", "a"), None, id="a-workload-is-in-no-directory-group"),
        pytest.param(WEB, NOBODY, None, id="a-workload-and-nobody"),
        pytest.param(person(), WEB, WEB, id="anybody-with-a-workload"),
        pytest.param(
            WEB,
            workload("", "env", env="prod"),
            workload("github", "web", "env", id="7", env="prod"),
            id="claims-of-any-source",
        ),
        pytest.param(
            WEB,
            workload("github", "ops", id="8"),
            replace(WEB, groups=names("web", "ops"), claims=SEVEN_AND_EIGHT),
            id="a-claim-has-several-values",
        ),
        pytest.param(WEB, workload("gitlab", "ops", id="7"), None, id="two-sources"),
    ],
)
def test_joined_persons(one: Person, other: Person, both: Person | None) -> None:
    """None if no client can be both."""
    assert one.joined(other) == both


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param(person(), person(), True, id="the-same"),
        pytest.param(person(), person("ann", "a"), True, id="anybody"),
        pytest.param(person("ann"), person(), False, id="a-name-more"),
        pytest.param(person("ann"), person("bob"), False, id="another-name"),
        pytest.param(person("", "a"), person("ann", "a", "b"), True, id="a-group-less"),
        pytest.param(person("", "a", "b"), person("ann", "a"), False, id="a-group-more"),
        pytest.param(person(), WEB, True, id="anybody-and-a-workload"),
        pytest.param(WEB, replace(WEB, claims=SEVEN_AND_EIGHT), True, id="a-claim-less"),
        pytest.param(replace(WEB, claims=SEVEN_AND_EIGHT), WEB, False, id="a-claim-more"),
        pytest.param(WEB, replace(WEB, source="gitlab"), False, id="another-source"),
    ],
)
def test_order_of_persons(one: Person, other: Person, expected: bool) -> None:
    """A person is at most another one if the other has all of its facts."""
    assert (one <= other) is expected


def test_size_of_persons() -> None:
    """A user name counts like a group."""
    assert [one.size for one in (person(), person("ann"), person("", "a", "b"), person("ann", "a"))] == [0, 1, 2, 2]


def test_sorts_of_persons() -> None:
    """A robot is known by its subject, a workload by its source and claims."""
    found = [one.sort for one in (person(), person("ann", "a"), NOBODY, person("robot:ci"), WEB, workload("", env="x"))]
    assert found == [Sort.USER] * 3 + [Sort.ROBOT] + [Sort.WORKLOAD] * 2


SEEDS = [ANYONE, person("", "qa"), person("robot:a"), person("robot:b"), person("ann", "web"), WEB, NOBODY]


@pytest.mark.parametrize("seeds", [SEEDS, SEEDS[2:4], SEEDS[1:2], []], ids=["mixed", "robots", "a group", "none"])
@pytest.mark.parametrize(
    "others",
    [
        pytest.param([ANYONE], id="anybody"),
        pytest.param([person("robot:b"), WEB], id="a robot and a workload"),
        pytest.param([person("ann", "ops"), person("bob")], id="users"),
        pytest.param([person("", "ops")], id="a group"),
        pytest.param([NOBODY], id="nobody"),
        pytest.param([], id="none"),
    ],
)
def test_every_seed_that_joins_is_found(seeds: list[Person], others: list[Person]) -> None:
    """In order, each once."""
    found = list(Seeds(seeds).joining(others))
    joining = [one for one in seeds if any(one.joined(other) is not None for other in others)]
    assert [one for one in seeds if one in found] == found
    assert [one for one in found if one in joining] == joining


def test_other_robots_are_not_among_those_that_join() -> None:
    """However many there are."""
    robots = [person(f"robot:{number}") for number in range(9)]
    assert list(Seeds(robots).joining([WEB, person("robot:7"), person("robot:x"), person("ann")])) == [robots[7]]


def test_seeds_among_gains() -> None:
    """Each seed has the facts of one gain, whatever was missing before."""
    seeds = Seeds([person("robot:a"), person("robot:b"), person("robot:c", "x")])
    gains = [person("robot:b")]
    assert not seeds.are_among(gains)
    gains += [person("robot:c")]
    assert not seeds.are_among(gains)
    assert seeds.are_among([*gains, person("robot:a")])
    assert not seeds.are_among(gains)
    assert seeds.are_among([ANYONE])
    assert Seeds([]).are_among([])
