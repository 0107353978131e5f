"""The cache of rulings changes no answer: the same questions, asked for the first time and repeatedly."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import declared_machines as machines
import policy_worlds as world
import pytest
from declared_machines import client, robot, workload
from hypothesis import given
from hypothesis import strategies as st
from slow_properties import slow_examples

from tokenserver.authn.chain import Chain
from tokenserver.credentials import NoCredentials, Password, Secret
from tokenserver.exchange.rulings import MAX_CACHED_SCOPES, MAX_RULINGS, Ruling, RulingCache, WorkloadFacts
from tokenserver.exchange.service import TokenRequest, TokenResult, TokenService, ruling_for
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.policy.decide import decide
from tokenserver.policy.decision import Decision
from tokenserver.policy.model import Context, PolicySet
from tokenserver.runtime.bounded_cache import FREE_ENTRIES
from tokenserver.scopes import Resource, Scope, ScopeRequest
from tokenserver.tokens.claims import Compat, Registry
from tokenserver.tokens.issuer import Token
from tokenserver.tokens.reuse import Reuse

REGISTRIES = {name: Registry(name, "issuer", Compat.UNIVERSAL, 900) for name in ("registry", "other")}

START = datetime(1970, 1, 1, tzinfo=UTC)

_questions = st.tuples(
    world.identities,
    st.lists(
        st.builds(
            lambda name, actions: Scope(Resource("repository", name), frozenset(actions)),
            world.names,
            st.sets(st.sampled_from(["pull", "push", "*"])),
        ),
        max_size=5,
        unique_by=lambda scope: scope.resource,
    ),
    world.contexts,
    st.sampled_from(["registry", "other"]),
)


class _Whoever:
    """A user source that authenticates everybody as one identity."""

    name = "test"

    def __init__(self) -> None:
        self.identity: Identity | None = None

    def authenticate(self, credentials: Password) -> Identity | None:  # noqa: ARG002 - the protocol
        return self.identity


@slow_examples()
@given(world.worlds, st.lists(_questions, min_size=1, max_size=6), st.data())
def test_remembered_rulings_are_those_that_would_be_made(
    policies: PolicySet, questions: list[Any], data: st.DataObject
) -> None:
    """Over any policies, in any order and any number of times: exactly what `decide` says now."""
    source = _Whoever()
    chain = Chain([source], anonymous=True, decoy=None)
    clock = [datetime(2026, 1, 1, tzinfo=UTC)]
    snapshot = Snapshot(REGISTRIES, chain, policies, issuer=None)  # type: ignore[arg-type]  # nothing is signed here

    def now() -> float:
        return clock[0].timestamp()

    service = TokenService(lambda: snapshot, now=now)
    for question in [*questions, *data.draw(st.lists(st.sampled_from(questions), max_size=6))]:
        identity, scopes, context, asked_at = question
        clock[0] = context.now
        source.identity = identity
        nobody = identity.kind is Kind.ANONYMOUS
        request = TokenRequest(
            request_id="",
            method="GET",
            service=asked_at,
            scopes=ScopeRequest(tuple(scopes)),
            credentials=NoCredentials() if nobody else Password("x", Secret("y")),
            account=None,
            client=context.client,
        )
        _, ruling = service._ruling(snapshot, request)
        at = Context(asked_at, context.client, context.now)
        expected = tuple(decide(policies, identity, scope, at) for scope in scopes)
        assert (ruling.identity, ruling.registry.service, ruling.decisions) == (identity, asked_at, expected)
        assert ruling.access == tuple(one.access for one in expected if one.access is not None)


@given(world.worlds, world.identities, world.names, st.data())
def test_a_lasting_decision_lasts(policies: PolicySet, identity: Identity, name: str, data: st.DataObject) -> None:
    """What says so is the same at every time and from every address."""
    scope = Scope(Resource("repository", name), frozenset({"pull", "push"}))
    one, other = (decide(policies, identity, scope, data.draw(world.contexts)) for _ in range(2))
    assert one.is_lasting == other.is_lasting
    if one.is_lasting:
        assert one == other


def test_a_stream_of_new_questions_is_not_kept() -> None:
    """Once the cache has some, a question is kept when it is asked for the second time; then it is the same object."""
    cache = RulingCache()
    scopes = [Scope(Resource("repository", f"app{number}"), frozenset({"pull"})) for number in range(3 * MAX_RULINGS)]
    rulings = [
        Ruling(REGISTRIES["other"], ANONYMOUS, (Decision(scope, frozenset()),), (), "", (), None) for scope in scopes
    ]
    for count, weight in ((0, 1), (1, 1), (4, 1), (5, 2), (MAX_CACHED_SCOPES, 16), (MAX_CACHED_SCOPES + 1, 17)):
        several = replace(rulings[0], decisions=rulings[0].decisions * count)
        assert (several.weight, several.is_cacheable) == (weight, count <= MAX_CACHED_SCOPES)
    kept = [cache.keep(number, ruling).is_kept for number, ruling in enumerate(rulings)]
    assert kept == [True] * FREE_ENTRIES + [False] * (3 * MAX_RULINGS - FREE_ENTRIES)
    last = len(rulings) - 1
    again = replace(rulings[last])
    assert (cache.keep(last, again), again.is_kept, cache.get(last), cache.get(0)) == (again, True, again, rulings[0])


DECLARED = [workload("web", repo="1"), workload("release", repo="1", env="prod"), workload("lab", "gitlab", job="1")]


JOB = client(repo="1", env="test", run="1", sub="x")
PULL = ScopeRequest((Scope(Resource("repository", "app"), frozenset({"pull"})),), ())


@pytest.mark.parametrize(
    ("other", "is_shared"),
    [
        pytest.param(client(repo="1", env="test", run="2", sub="x"), True, id="another run"),
        pytest.param(client(repo="1", env="prod", run="2", sub="x"), False, id="a claim of a workload"),
        pytest.param(client(repo="1", run="2", sub="x"), False, id="without a claim of a workload"),
        pytest.param(client(repo="1", env="test", ref="main", run="2", sub="x"), False, id="a claim of the candidate"),
        pytest.param(client(repo="1", env="test", run="2", sub="y"), False, id="another subject"),
        pytest.param(replace(JOB, credential="abc"), False, id="a session"),
        pytest.param(replace(JOB, stale=True), False, id="from the cache"),
    ],
)
def test_jobs_of_a_workload_share_what_is_decided(other: Identity, is_shared: bool) -> None:
    """Jobs that only differ in claims that no policy names are one client, whose ruling is the same object."""
    policies = machines.policy_set([], (), DECLARED)
    candidate = machines.policy_set([], (), [workload("main", ref="main")])
    snapshot = Snapshot(REGISTRIES, None, policies, None, candidate)  # type: ignore[arg-type]  # nobody logs in here

    def ruled(identity: Identity) -> Ruling:
        return ruling_for(snapshot, REGISTRIES["other"], identity, PULL, None, now=lambda: 0.0)

    first, second = ruled(JOB), ruled(other)
    assert (first is second, first.is_kept, second.is_kept) == (is_shared, True, True)
    assert (ruled(JOB), ruled(other)) == (first, second)
    for ruling, identity in ((first, JOB), (second, other)):
        assert ruling.workload == WorkloadFacts.of(policies, identity)
        assert ruling.decisions == (decide(policies, identity, PULL.scopes[0], Context("other", None, START)),)
        assert ruling.identity.subject == identity.subject


class _Counting:
    """An issuer whose tokens are numbered."""

    signed = 0

    def issue(self, *_: object, **__: object) -> Token:
        self.signed += 1
        return Token(Secret("signed"), str(self.signed), issued_at=0, expires_in=900, access=())


class _Jobs:
    """A chain that takes each client for a job of one workload, whose user name is the number of its run."""

    def authenticate(self, credentials: Password, address: object) -> Identity:  # noqa: ARG002 - the chain's own
        return client(repo="1", env="test", run=credentials.username, sub="x")


def test_jobs_share_no_token() -> None:
    """Whose ruling is the same object: the id of a token leads to the job that got it."""
    policies = machines.policy_set([], (), DECLARED)
    snapshot = Snapshot(REGISTRIES, _Jobs(), policies, _Counting())  # type: ignore[arg-type]
    service = TokenService(lambda: snapshot, now=lambda: 0.0, reuse=Reuse(10, now=lambda: 0.0, rush=0))

    def got(run: str) -> TokenResult:
        return service.exchange(
            TokenRequest(
                request_id="",
                method="GET",
                service="other",
                scopes=PULL,
                credentials=Password(run, Secret("y")),
                account=None,
                client=None,
            )
        )

    results = [got(run) for run in ("1", "2", "1", "2")]
    assert len({id(one.ruling) for one in results}) == 1
    assert [one.token.jti for one in results if one.token is not None] == ["1", "2", "1", "2"]


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        pytest.param(ANONYMOUS, None, id="nobody"),
        pytest.param(robot("ci"), None, id="a robot"),
        pytest.param(
            client(repo="1 2", env="test", sub="x", job="1"),
            WorkloadFacts(("web",), (("env", ("test",)), ("ref", ()), ("repo", ("1", "2")))),
            id="a workload",
        ),
        pytest.param(client("other", repo="1"), WorkloadFacts((), (("ref", ()),)), id="of another source"),
    ],
)
def test_what_policies_know_a_workload_by(identity: Identity, expected: WorkloadFacts | None) -> None:
    """The claims that workloads of its source are declared with, also on rules, and none else."""
    anywhere = replace(workload("", ref="main"), source="", name="\nref is main")
    assert WorkloadFacts.of(machines.policy_set([], (), [*DECLARED, anywhere]), identity) == expected
