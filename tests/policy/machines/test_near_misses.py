"""Near misses of workloads: which claims differ, and which workloads come closest."""

from __future__ import annotations

from collections.abc import Iterator

import declared_machines as machines
import pytest
from declared_machines import client, workload
from hypothesis import assume, given

from tokenserver.identity import Identity
from tokenserver.policy.machines.near_misses import declared_among, mismatches, nearest
from tokenserver.policy.machines.workloads import Workload, membership

RELEASE = workload("release", repo="1", env="production live", ref="refs/tags/*")


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        pytest.param(client(repo="1", env="live", ref="refs/tags/v1"), [], id="none"),
        pytest.param(
            client(repo="1", env="staging", ref="refs/tags/v1"), ["env is staging, not production or live"], id="one"
        ),
        pytest.param(
            client(env="live", ref="main dev"),
            ["ref is dev or main, not refs/tags/*", "repo is missing, not 1"],
            id="several values, and none",
        ),
        pytest.param(
            client(repo="1", env="a b c d e", ref="refs/tags/v1"),
            ["env is a or b or c or 2 more, not production or live"],
            id="many values",
        ),
        pytest.param(
            client(repo="1", env="\x1b[2J" + "x" * 200, ref="refs/tags/v1"),
            [f"env is \\x1b[2J{'x' * 92}…, not production or live"],
            id="a hostile value",
        ),
    ],
)
def test_mismatches(identity: Identity, expected: list[str]) -> None:
    """Each claim that differs, in words that can be printed."""
    assert list(mismatches(RELEASE, identity.claims)) == expected


def test_how_many_are_compared() -> None:
    """Those of other sources do not count. Of a thousand workloads, those beyond the bound are not even looked at."""
    looked_at: list[str] = []

    def declared() -> Iterator[Workload]:
        for number in range(1_000):
            looked_at.append(str(number))
            yield workload(f"w{number}", "github" if number % 2 else "gitlab", repo="2")

    found = nearest(declared(), "github", client(repo="1").claims, among=10)
    assert [one.workload.name for one in found] == ["w1", "w11", "w13"]
    assert len(looked_at) == 20


def test_nearest() -> None:
    """Fewest differences first, then most claims; neither those of other sources nor what the client is."""
    known = [
        RELEASE,
        workload("repo", repo="1"),
        workload("other", repo="2"),
        workload("both", repo="2", env="dev"),
        workload("elsewhere", "gitlab", repo="2"),
    ]
    found = nearest(known, "github", client(repo="1", env="staging", ref="refs/tags/v1").claims)
    assert list(map(str, found)) == [
        "workload:release: env is staging, not production or live",
        "workload:other: repo is 1, not 2",
        "workload:both: env is staging, not dev; repo is 1, not 2",
    ]
    assert [one.workload.name for one in nearest(known, "gitlab", frozenset(), most=1)] == ["elsewhere"]


@given(machines.identities)
def test_who_misses_nothing_is_the_workload(identity: Identity) -> None:
    """As the membership says, for every workload of the source of the client."""
    policies = machines.policy_set([])
    assume(machines.are_let_in(policies, identity))  # more claims alone make nobody a client
    held = policies.groups.holding(identity)
    for one in (*machines.DECLARED, *machines.HIDDEN):
        if one.source in ("", identity.source):
            assert (membership(one.name) in held) is not any(mismatches(one, identity.claims))


def test_workloads_with_more_claims() -> None:
    """They have the name of the workload that they are, or of all of them, and the claims."""
    one, any_one = nearest(machines.HIDDEN, "github", client(repo="1").claims)
    assert str(one) == "workload:a where env is prod: env is missing, not prod"
    assert str(any_one) == "workloads where env is prod: env is missing, not prod"


def test_declared_among() -> None:
    """Workloads without a declaration have no name, and groups are none."""
    hidden: Workload = machines.HIDDEN[0]
    groups = ["web", *(membership(name) for name in ("b", "a", hidden.name))]
    assert declared_among(groups) == ("a", "b")
