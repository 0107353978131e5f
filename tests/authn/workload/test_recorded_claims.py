"""Claims as GitHub Actions, GitLab CI, Kubernetes and SPIFFE issue them, against declared workloads.

The sets are those of the issuers' documentation; only times, issuers and audiences are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from workload_jwts import AUDIENCE, ISSUER, NOW, jwk, jwt, key_set, private_key

from tokenserver.authn.workload.backend import WorkloadSource
from tokenserver.authn.workload.issuer_keys import IssuerKeys
from tokenserver.authn.workload.jwt_reader import looks_like_jwt
from tokenserver.authn.workload.key_origins import FetchedKeys
from tokenserver.authn.workload.key_sets import read_key_set
from tokenserver.authn.workload.presets import PRESETS
from tokenserver.authn.workload.trusted_issuer import TrustedIssuer
from tokenserver.credentials import Secret
from tokenserver.identity import Identity
from tokenserver.policy.machines.claim_globs import parse_claim_glob
from tokenserver.policy.machines.workloads import Workload as DeclaredWorkload
from tokenserver.policy.machines.workloads import Workloads, membership

TIMES = {"iat": NOW - 20, "nbf": NOW - 600, "exp": NOW + 280, "jti": "example-id", "iss": ISSUER, "aud": AUDIENCE}

GITHUB = {
    **TIMES,
    "sub": "repo:octo-org/octo-repo:environment:prod",
    "environment": "prod",
    "ref": "refs/heads/main",
    "sha": "example-sha",
    "repository": "octo-org/octo-repo",
    "repository_owner": "octo-org",
    "actor_id": "12",
    "repository_visibility": "private",
    "repository_id": "74",
    "repository_owner_id": "65",
    "run_id": "example-run-id",
    "run_number": "10",
    "run_attempt": "2",
    "runner_environment": "github-hosted",
    "actor": "octocat",
    "workflow": "example-workflow",
    "head_ref": "",
    "base_ref": "",
    "event_name": "workflow_dispatch",
    "ref_type": "branch",
    "ref_protected": "true",
    "job_workflow_ref": "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main",
}
PULL_REQUEST = {
    **{name: value for name, value in GITHUB.items() if name != "environment"},
    "sub": "repo:octo-org/octo-repo:pull_request",
    "ref": "refs/pull/7/merge",
    "head_ref": "fix",
    "base_ref": "main",
    "event_name": "pull_request",
    "ref_protected": "false",
}
GITLAB = {
    **TIMES,
    "sub": "project_path:my-group/my-project:ref_type:branch:ref:feature-branch-1",
    "namespace_id": "72",
    "namespace_path": "my-group",
    "project_id": "20",
    "project_path": "my-group/my-project",
    "user_id": "1",
    "user_login": "sample-user",
    "user_email": "sample-user@example.com",
    "user_identities": [{"provider": "github", "extern_uid": "2435223452345"}],
    "pipeline_id": "574",
    "pipeline_source": "push",
    "job_id": "302",
    "ref": "feature-branch-1",
    "ref_type": "branch",
    "ref_path": "refs/heads/feature-branch-1",
    "ref_protected": "false",
    "groups_direct": ["my-group/sub", "other"],
    "environment": "test-environment2",
    "environment_protected": "false",
    "deployment_tier": "testing",
    "runner_id": 1,
    "runner_environment": "self-hosted",
    "ci_config_ref_uri": "gitlab.example.com/my-group/my-project//.gitlab-ci.yml@refs/heads/main",
}
KUBERNETES = {
    **TIMES,
    "sub": "system:serviceaccount:web:puller",
    "aud": [AUDIENCE],
    "kubernetes.io": {
        "namespace": "web",
        "node": {"name": "worker", "uid": "517eb86e-b863-451b-bf70-86cb61439a3a"},
        "pod": {"name": "shell", "uid": "0d8b260e-ef0e-45fb-be8e-ff44f97722e8"},
        "serviceaccount": {"name": "puller", "uid": "e6a8680e-d103-4cce-80ea-03acbbeacf7d"},
        "warnafter": NOW + 200,
    },
}
SPIFFE = {**TIMES, "sub": "spiffe://example.org/ns/web/sa/puller", "aud": [AUDIENCE]}

RECORDED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "github": ("github_actions", GITHUB),
    "github, immutable sub": (
        "github_actions",
        {**GITHUB, "sub": "repo:octo-org-65/octo-repo-74:environment:prod"},
    ),
    "github, pull request": ("github_actions", PULL_REQUEST),
    "gitlab, branch": ("gitlab_ci", GITLAB),
    "gitlab, tag": ("gitlab_ci", {**GITLAB, "ref": "v1.0", "ref_type": "tag", "ref_protected": "true"}),
    "gitlab, fork": (
        "gitlab_ci",
        {**GITLAB, "project_id": "99", "namespace_id": "98", "project_path": "eve/my-project", "namespace_path": "eve"},
    ),
    "kubernetes": ("kubernetes", KUBERNETES),
    "kubernetes, other namespace": (
        "kubernetes",
        {**KUBERNETES, "kubernetes.io": {"namespace": "dev", "serviceaccount": {"name": "puller", "uid": "x"}}},
    ),
    "spiffe": ("spiffe", SPIFFE),
}

DECLARED: Mapping[str, Mapping[str, list[str]]] = {
    "release": {"repository_id": ["74"], "repository_owner_id": ["65"], "environment": ["prod"]},
    "reusable": {
        "repository_owner_id": ["65"],
        "job_workflow_ref": ["octo-org/octo-automation/.github/workflows/*@refs/heads/main"],
    },
    "branches": {"repository_id": ["74"], "ref": ["refs/heads/**"]},
    "by sub": {"sub": ["repo:octo-org/octo-repo:environment:prod"]},
    "project": {"project_id": ["20"]},
    "protected": {"project_path": ["my-group/my-project"], "ref_protected": ["true"]},
    "group": {"namespace_id": ["72"], "groups_direct": ["my-group/*"]},
    "runner": {"project_id": ["20"], "runner_id": ["1", "2"]},
    "puller": {"namespace": ["web"], "serviceaccount": ["puller"]},
    "path": {"kubernetes.io/namespace": ["web"], "kubernetes.io/pod/name": ["sh*"]},
    "any namespace": {"namespace": ["*"], "serviceaccount": ["puller"]},
    "svid": {"sub": ["spiffe://example.org/ns/web/**"]},
}

IS: Mapping[str, set[str]] = {
    "github": {"release", "reusable", "branches", "by sub"},
    "github, immutable sub": {"release", "reusable", "branches"},
    "github, pull request": {"reusable"},
    "gitlab, branch": {"project", "group", "runner"},
    "gitlab, tag": {"project", "protected", "group", "runner"},
    "gitlab, fork": set(),
    "kubernetes": {"puller", "path", "any namespace"},
    "kubernetes, other namespace": {"any namespace"},
    "spiffe": {"svid"},
}
"""Recorded claims -> the declared workloads that they are."""

WORKLOADS = Workloads.of_all(
    DeclaredWorkload(name, "", tuple((claim, tuple(map(parse_claim_glob, globs))) for claim, globs in claims.items()))
    for name, claims in DECLARED.items()
)


def identity(preset: str, claims: Mapping[str, Any]) -> Identity:
    """Who the holder of a JWT with these claims is."""
    kind = PRESETS[preset]
    algorithm = kind.algorithms[0]
    keys = IssuerKeys("ci", lambda: FetchedKeys(read_key_set(key_set(jwk(private_key(algorithm), "k")))))
    domain = "example.org" if kind.needs_trust_domain else None
    trusted = TrustedIssuer("ci", ISSUER, frozenset({AUDIENCE}), kind, frozenset(kind.algorithms), domain)
    text = jwt(claims, algorithm=algorithm, header={"x5t": "example"})
    assert looks_like_jwt(text) == ISSUER
    return WorkloadSource(trusted, keys, now=lambda: NOW).authenticate(Secret(text))


@pytest.mark.parametrize("name", RECORDED)
def test_which_workloads_it_is(name: str) -> None:
    """Those whose claims all hold; a claim that is absent never does."""
    found = WORKLOADS.memberships("ci", identity(*RECORDED[name]).claims)
    assert {workload for workload in DECLARED if membership(workload) in found} == IS[name]


def test_what_every_recorded_set_has() -> None:
    """An anchor of its preset, so that a declaration can say whose workload it is."""
    for preset, claims in RECORDED.values():
        names = {name for name, _ in identity(preset, claims).claims}
        assert PRESETS[preset].is_anchored(names)
        assert not names & {"exp", "iat", "nbf", "jti"}
