"""A claim under its short name and under its path is the same claim, for the server and for every tool."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pytest
from audit_events import event, lines
from click.testing import CliRunner, Result
from policy_commands import write
from team_trees import NOW, put

from tokenserver.authn.workload.claims import as_pairs, flatten
from tokenserver.authn.workload.presets import PRESETS
from tokenserver.cli import main
from tokenserver.config.load import load_settings
from tokenserver.errors import LoadError
from tokenserver.policy.decide import decide
from tokenserver.policy.loading.loader import compile_policies, load_policies
from tokenserver.policy.loading.machines import WorkloadSources
from tokenserver.policy.machines.claim_names import SourceClaims
from tokenserver.policy.model import Context, PolicySet
from tokenserver.policy.queries.replay_audit_log import replay
from tokenserver.policy.syntax.machines import workload_identity
from tokenserver.policy.terms import parse_request

KUBERNETES = PRESETS["kubernetes"]
SOURCES: WorkloadSources = {
    "cluster": SourceClaims(frozenset(KUBERNETES.anchors), KUBERNETES.aliases),
    "other": SourceClaims(frozenset({frozenset({"sub"})})),
}
SPELLINGS: Mapping[str, Mapping[str, str]] = {
    "short": {"namespace": "namespace", "account": "serviceaccount"},
    "path": {"namespace": "kubernetes.io/namespace", "account": "kubernetes.io/serviceaccount/name"},
}
BOTH = list(product(SPELLINGS, SPELLINGS))

POLICY = """\
version: 1
workloads:
  pods: {from: cluster, claims: {NAMESPACE: [web, shop], ACCOUNT: puller}}
allow:
  - {id: pods, to: ["workload:pods"], repositories: ["web/**"], role: reader}
  - {id: shop, to: ["workload:pods"], repositories: ["shop/**"], role: writer, when: {claims: {NAMESPACE: shop}}}
  - {id: any, to: [workloads], repositories: ["any/**"], role: reader, when: {claims: {NAMESPACE: web}}}
"""

TESTS = """\
tests:
  - as: {workload: {from: cluster, claims: {NAMESPACE: shop, ACCOUNT: puller}}}
    can: [pull web/a, push shop/a]
    cannot: [push web/a, pull any/a]
  - as: {workload: {from: cluster, claims: {NAMESPACE: web, ACCOUNT: puller}}}
    can: [pull any/a]
    cannot: [pull shop/a]
  - what_can: {workload: {from: cluster, claims: {NAMESPACE: web, ACCOUNT: puller}}}
    exactly: [pull web/**, pull any/**]
  - {who_can: pull web/a, exactly: ["workload:pods"]}
  - who_can: push shop/a
    exactly: [{to: "workload:pods", when: {claims: {NAMESPACE: shop}}}]
"""


def spelled(text: str, spelling: str) -> str:
    """The text with the names of one spelling."""
    names = SPELLINGS[spelling]
    return text.replace("NAMESPACE", names["namespace"]).replace("ACCOUNT", names["account"])


def token(namespace: str) -> frozenset[tuple[str, str]]:
    """The claims of the JWT of a service account, as the server has them."""
    claims = {"sub": "x", "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": "puller"}}}
    return as_pairs(flatten(claims, KUBERNETES.aliases))


def granted(policies: PolicySet, namespace: str, request: str) -> bool:
    """Whether the server grants it to a pod."""
    scope = parse_request(request)
    decision = decide(policies, workload_identity("cluster", token(namespace)), scope, Context("reg", None, NOW))
    return decision.granted == scope.actions


@pytest.mark.parametrize(("rules", "tests"), BOTH)
def test_tests(rules: str, tests: str, tmp_path: Path) -> None:
    """Those of a policy file say of a workload what the server does."""
    put(tmp_path, {"a.yaml": spelled(POLICY, rules) + spelled(TESTS, tests)})
    policies = load_policies(tmp_path, now=NOW, workload_sources=SOURCES)
    assert granted(policies, "shop", "push shop/a")
    assert granted(policies, "web", "pull any/a")
    assert not granted(policies, "shop", "pull any/a")


@pytest.mark.parametrize(("rules", "tests"), BOTH)
def test_tests_that_fail(rules: str, tests: str, tmp_path: Path) -> None:
    """The other way round, they fail in both spellings."""
    turned = re.sub(r"\b(can|cannot):", lambda one: "can:" if one[1] == "cannot" else "cannot:", TESTS)
    put(tmp_path, {"a.yaml": spelled(POLICY, rules) + spelled(turned, tests)})
    with pytest.raises(LoadError) as caught:
        load_policies(tmp_path, now=NOW, workload_sources=SOURCES)
    assert len(caught.value.faults) == 6


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_another_source_has_its_own_names(spelling: str, tmp_path: Path) -> None:
    """Where an issuer has no short names, a claim is what it is called."""
    claims = spelled("{NAMESPACE: web, sub: x}", spelling)
    tests = [
        f"  - as: {{workload: {{from: other, claims: {spelled('{NAMESPACE: web, sub: x}', asked)}}}}}\n"
        f"    {'can' if asked == spelling else 'cannot'}: [pull web/a]\n"
        for asked in SPELLINGS
    ]
    put(
        tmp_path,
        {
            "a.yaml": f"version: 1\nworkloads: {{w: {{from: other, claims: {claims}}}}}\n"
            'allow: [{id: r, to: ["workload:w"], repositories: ["web/**"], role: reader}]\n'
            f"tests:\n{''.join(tests)}"
        },
    )
    assert load_policies(tmp_path, now=NOW, workload_sources=SOURCES).rule_count == 1


@pytest.mark.parametrize(("rules", "tests"), BOTH)
def test_delegated_claims(rules: str, tests: str, tmp_path: Path) -> None:
    """A limit of the root file is kept in either spelling, and only if it is kept."""
    root = (
        "version: 1\n"
        "delegate:\n"
        '  - file: teams/web.yaml\n    repositories: ["web/**"]\n    actions: [pull]\n'
        f"    workloads: {{from: cluster, claims: {spelled('{NAMESPACE: web}', rules)}}}\n"
        'allow: [{id: r, to: [authenticated], repositories: ["base/**"], role: reader}]\n'
    )
    team = (
        f"version: 1\nworkloads: {{w: {{from: cluster, claims: {spelled('{NAMESPACE: IT, ACCOUNT: x}', tests)}}}}}\n"
        'allow: [{id: w, to: ["workload:w"], repositories: ["web/**"], actions: [pull]}]\n'
    )
    put(tmp_path, {"root.yaml": root, "teams/web.yaml": team.replace("IT", "web")})
    assert load_policies(tmp_path, now=NOW, workload_sources=SOURCES).rule_count == 2
    put(tmp_path, {"root.yaml": root, "teams/web.yaml": team.replace("IT", "shop")})
    with pytest.raises(LoadError, match="as all workloads of this file must"):
        load_policies(tmp_path, now=NOW, workload_sources=SOURCES)


def test_implied_workloads(tmp_path: Path) -> None:
    """A workload of a source is one of any source with the same claims, in whatever spelling these have."""
    found = []
    for rules, of_any in BOTH:
        text = spelled(POLICY.rpartition("  - {id: any")[0], rules)
        extra = (
            '  - {id: any, to: [workloads], repositories: ["x/**"], role: reader, when: {claims: {ACCOUNT: puller}}}\n'
        )
        put(tmp_path, {"a.yaml": text + spelled(extra, of_any)})
        policies, _ = compile_policies(tmp_path, workload_sources=SOURCES)
        workloads = policies.groups.workloads
        (any_one,) = [name for name in workloads.by_name if name.startswith("\n")]
        found.append(workloads.by_name["pods"].implies(workloads.by_name[any_one]))
        assert {"pods", any_one} == {name[1:] for name in workloads.implied("pods")}
    assert found == [True] * 4


@pytest.mark.parametrize("recorded", SPELLINGS)
@pytest.mark.parametrize("rules", SPELLINGS)
def test_audit_events(rules: str, recorded: str, tmp_path: Path) -> None:
    """An event that a server has written with one spelling is decided by policies with the other."""
    put(tmp_path, {"a.yaml": spelled(POLICY, rules).rpartition("  - {id: any")[0]})
    policies, _ = compile_policies(tmp_path, workload_sources=SOURCES)
    names = SPELLINGS[recorded]
    one = event(
        "shop/a:pull,push",
        "shop/a:pull,push",
        subject="workload:cluster:x",
        kind="workload",
        source="cluster",
        claims={names["namespace"]: ["shop"], names["account"]: ["puller"]},
    )
    report = replay(policies, lines(one))
    assert (report.exchanges, report.changed, dict(report.skipped)) == (1, 0, {})
    assert policies.groups.workloads.aliases_of("cluster") == KUBERNETES.aliases
    assert policies.groups.workloads.aliases_of("other") == {}


CONFIG = """\
issuer: auth
server: {url: "https://auth.example.com"}
registries: [{service: reg}]
authentication:
  - workload: {name: cluster, preset: kubernetes, issuer: "https://cluster.example.com", keys: {file: jwks.json}}
policies: policies
keys: keys
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration beside a policy folder."""
    (tmp_path / "policies").mkdir()
    path = tmp_path / "tokenserver.yaml"
    write(path, CONFIG)
    return path


def run(config: Path, *words: str) -> Result:
    """`tokenserver policy …` with this configuration."""
    return CliRunner().invoke(main, ["policy", *words, "--config", str(config)])


@pytest.mark.parametrize(("rules", "asked"), BOTH)
def test_commands(rules: str, asked: str, config: Path) -> None:
    """`test`, `why`, `what-can`, `who-can` and `lint` answer the same whatever is spelled how."""
    write(config.parent / "policies" / "a.yaml", spelled(POLICY, rules) + spelled(TESTS, asked))
    assert run(config, "test").exit_code == 0
    claims = [word for one in ("NAMESPACE=shop", "ACCOUNT=puller") for word in ("--claim", spelled(one, asked))]
    why = run(config, "why", "push", "shop/a", "--workload", "cluster", *claims, "--json")
    assert (why.exit_code, json.loads(why.stdout)["verdict"]) == (0, "allowed")
    what = json.loads(run(config, "what-can", "--workload", "cluster", *claims, "--json").stdout)
    assert {one["rule"] for one in what} == {"pods", "shop"}


@pytest.mark.parametrize(("one", "other"), BOTH)
def test_lint(one: str, other: str, config: Path) -> None:
    """A rule for the same workloads in another spelling is one that does nothing."""
    same = "  same: {from: cluster, claims: {NAMESPACE: shop, ACCOUNT: puller}}\nallow:\n"
    again = '  - {id: again, to: ["workload:same"], repositories: ["web/**"], role: reader}\n'
    policy = spelled(POLICY, one).replace("allow:\n", spelled(same, other)) + again
    write(config.parent / "policies" / "a.yaml", policy)
    (found,) = json.loads(run(config, "lint", "--json").stdout)
    assert (found["code"], found["text"].split(";")[0]) == ("TS103", "again: pods (a.yaml:6) already grants all of it")


@pytest.mark.parametrize(("before", "after"), BOTH)
def test_another_spelling_is_no_change(before: str, after: str, config: Path, tmp_path: Path) -> None:
    """`diff` compares claims; and a value that is more is found in both spellings."""
    for name, text in (("old", spelled(POLICY, before)), ("new", spelled(POLICY, after))):
        (tmp_path / name).mkdir(mode=0o755)
        write(tmp_path / name / "a.yaml", text)
    folders = [str(tmp_path / "old"), str(tmp_path / "new")]
    same = run(config, "diff", *folders)
    assert same.exit_code == 0, same.output
    write(tmp_path / "new" / "a.yaml", spelled(POLICY, after).replace("[web, shop]", "[web, shop, more]"))
    wider = run(config, "diff", *folders, "--json")
    assert wider.exit_code == 4, wider.output
    assert "more" in wider.stdout


def test_the_settings_know_them(config: Path) -> None:
    """By source, for everything that loads policies."""
    settings = load_settings(config)
    assert settings.workload_claims == {"cluster": SOURCES["cluster"]}
    assert settings.claim_aliases == {"cluster": KUBERNETES.aliases}
