"""Claim values: claims that represent every client that is a workload, and what is left out of too many claims."""

from __future__ import annotations

import diff_worlds
import pytest
from hypothesis import given

from tokenserver.identity import Claims
from tokenserver.policy.budget import TooComplex
from tokenserver.policy.diff.claim_values import FILLINGS, ClaimValues
from tokenserver.policy.machines.claim_globs import parse_claim_glob
from tokenserver.policy.machines.workloads import Workload, Workloads, membership


def workload(name: str, **globs: str) -> Workload:
    """A workload with these claims, each with globs that are separated by blanks."""
    claims = tuple((claim, tuple(map(parse_claim_glob, text.split()))) for claim, text in globs.items())
    return Workload(name, "github", claims)


def table(*workloads: Workload) -> Workloads:
    return Workloads.of_all(workloads)


def ways(one: Workload, *others: Workload) -> list[dict[str, str]]:
    """The ways to be a workload where one tree declares it, and another one has others."""
    return [dict(sorted(claims)) for claims in ClaimValues(table(one), table(*others)).ways(one)]


@pytest.mark.parametrize(
    ("one", "others", "expected"),
    [
        pytest.param(workload("w"), [], [{}], id="no-claims"),
        pytest.param(workload("w", id="7", env="prod"), [], [{"id": "7", "env": "prod"}], id="literals"),
        pytest.param(workload("w", id="7 8"), [], [{"id": "7"}], id="values-that-nothing-tells-apart"),
        pytest.param(workload("w", id="7 8"), [workload("v", id="7")], [{"id": "8"}], id="the-value-of-fewest"),
        pytest.param(
            workload("w", id="7 8"),
            [workload("v", id="7"), workload("u", id="8")],
            [{"id": "7"}, {"id": "8"}],
            id="each-value-is-another-workload",
        ),
        pytest.param(workload("w", ref="refs/*"), [workload("v", ref="refs/main")], [{"ref": "refs/any"}], id="glob"),
        pytest.param(
            workload("w", ref="refs/*"),
            [workload("v", ref="*/any refs/s*")],
            [{"ref": "refs/other"}],
            id="a-glob-that-accepts-the-first-fillings",
        ),
        pytest.param(
            workload("w", ref="r*"),
            [workload("v", ref=" ".join(f"r*{one}*" for one in "aeo0"))],
            [{"ref": "r1"}],
            id="a-glob-that-accepts-every-usual-filling",
        ),
        pytest.param(
            workload("w", ref="refs/**"),
            [workload("v", ref="refs/*"), workload("u", ref="refs/*/*/*")],
            [{"ref": "refs/any/any"}],
            id="the-length-that-fewest-accept",
        ),
        pytest.param(
            workload("w", ref="**/x/**"),
            [workload("v", ref="*/x/*"), workload("u", ref="*/*/**/x/**")],
            [{"ref": "any/x/any/any"}],
            id="two-lengths",
        ),
        pytest.param(
            workload("w", id="7 8", env="a b"),
            [workload("v", id="7"), workload("u", id="8"), workload("t", env="a")],
            [{"id": "7", "env": "b"}, {"id": "8", "env": "b"}],
            id="ways-of-several-claims",
        ),
    ],
)
def test_ways_to_be_a_workload(one: Workload, others: list[Workload], expected: list[dict[str, str]]) -> None:
    """No client that is the workload is fewer others, in either tree."""
    assert ways(one, *others) == [dict(sorted(one.items())) for one in expected]


def test_the_first_filling_is_a_word() -> None:
    """For readers, who see it in examples."""
    assert FILLINGS[0] == "any"


@pytest.mark.parametrize(
    ("one", "others"),
    [
        pytest.param(
            workload("w", id=" ".join(map(str, range(65)))),
            [workload(f"v{number}", id=str(number)) for number in range(65)],
            id="values",
        ),
        pytest.param(
            workload("w", a=" ".join(map(str, range(9))), b=" ".join(map(str, range(9)))),
            [workload(f"v{number}", a=str(number), b=str(number)) for number in range(9)],
            id="combinations",
        ),
        pytest.param(workload("w", ref="**/x/**/y/**"), [workload("v", ref="a/" * 60 + "a")], id="lengths"),
    ],
)
def test_too_many_ways(one: Workload, others: list[Workload]) -> None:
    """Not decided, rather than some of them."""
    with pytest.raises(TooComplex, match="ways to be the workload w"):
        ways(one, *others)


def kept(values: ClaimValues, claims: Claims) -> list[str]:
    return sorted(f"{name}={value}" for name, value in values.fewest(claims))


def test_claims_that_make_no_difference_are_left_out() -> None:
    """A claim with one value stays if any workload asks for it."""
    values = ClaimValues(table(workload("w", ref="refs/*", id="7"), workload("v", ref="refs/main")), table())
    claims = frozenset({("ref", "refs/any"), ("ref", "refs/main"), ("ref", "refs/other"), ("id", "7"), ("sub", "x")})
    assert kept(values, claims) == ["id=7", "ref=refs/main"]


@given(diff_worlds.declared_workloads, diff_worlds.declared_workloads)
def test_every_client_is_all_that_a_way_is(old: list[Workload], new: list[Workload]) -> None:
    """In both trees, for each workload that the client is; and the way is the workload itself."""
    tables = table(*old), table(*new)
    values = ClaimValues(*tables)
    for client in diff_worlds.WORKLOADS_BY_CLAIMS[::9]:
        held = [one.memberships(client.source, client.claims) for one in tables]
        for declared in [*old, *new]:
            if not declared.has(client.source, _by_name(client.claims)):
                continue
            found = [[one.memberships(client.source, way) for one in tables] for way in values.ways(declared)]
            assert all(any(membership(declared.name) in some for some in way) for way in found)
            assert any(all(some <= mine for some, mine in zip(way, held, strict=True)) for way in found)
        assert [one.memberships(client.source, values.fewest(client.claims)) for one in tables] == held


def _by_name(claims: Claims) -> dict[str, tuple[str, ...]]:
    return {name: tuple(value for other, value in claims if other == name) for name, _ in claims}
