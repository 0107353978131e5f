"""Robots and workloads that questions name: their options, and what is no machine of the policies."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from declared_machines import CLIENTS, DECLARED, are_let_in, client, policy_set, robot, workload
from hypothesis import given
from hypothesis import strategies as st
from policy_commands import Run, facts, write

from tokenserver.authn.workload.claims import flatten
from tokenserver.authn.workload.presets import PRESETS
from tokenserver.authn.workload.verifier import VerifiedWorkload
from tokenserver.cli import main
from tokenserver.cli.policy.client.machines import MAX_CLAIMS, AskedMachine, refusal
from tokenserver.cli.policy.options import read_source
from tokenserver.identity import ANONYMOUS, Identity
from tokenserver.policy.machines.workloads import Workload

MACHINES = """\
version: 1
robots:
  ci-web: {description: builds}
  ci-data:
workloads:
  web: {from: github, claims: {repository_id: "74"}}
  web-release: {from: github, claims: {repository_id: "74", environment: production}}
  pods: {from: cluster, claims: {kubernetes.io/serviceaccount/name: puller, kubernetes.io/namespace: web}}
groups:
  builds: {robots: [ci-web], workloads: [web]}
allow:
  - {id: people, to: [authenticated], repositories: ["web/**"], role: reader}
  - {id: robot, to: ["robot:ci-web"], repositories: ["web/**"], role: writer}
  - {id: release, to: ["workload:web-release"], repositories: ["prod/**"], role: writer}
  - {id: pods, to: ["workload:pods"], repositories: ["web/**"], role: reader}
  - {id: builds, to: ["group:builds"], repositories: ["lib/**"], role: reader}
  - {id: robots, to: [robots], repositories: ["tools/**"], role: reader}
"""


@pytest.fixture
def ask(run: Run, folder: Path) -> Run:
    """Run a command on policies with robots and workloads."""
    write(folder / "web.yaml", MACHINES)
    return run


BRANCH = ["--workload", "github", "--claim", "repository_id=74", "--claim", "environment=staging", "--claim", "sub=o/w"]


def test_why_of_a_robot(ask: Run) -> None:
    """It is what the policies declare, in groups of the tree, and no person."""
    allowed = ask("why", "push", "web/site", "--robot", "ci-web").stdout.splitlines()
    assert allowed[0] == "push web/site: allowed by robot (web.yaml:13)"
    assert allowed[1].startswith("  for robot:ci-web, from an unknown address, at ")
    assert ask("why", "pull", "lib/x", "--robot", "ci-web").exit_code == 0
    denied = ask("why", "pull", "web/site", "--robot", "ci-data", "--json")
    assert denied.exit_code == 1
    people, *others = [one["because"] for one in facts(denied)["nearest"]]
    fix = "fix: add robots or robot:ci-data to the rule's to"
    assert people == f"`people` would grant it to authenticated; authenticated means people; {fix}"
    assert others == [
        "`pods` would grant it to workload pods; robot:ci-data is in no group",
        "`robot` would grant it to robot ci-web; robot:ci-data is in no group",
    ]


def test_why_of_a_workload(ask: Run) -> None:
    """By its claims it is the declared workloads, which the answer names, and the claim that differs."""
    denied = ask("why", "push", "prod/site", *BRANCH)
    assert denied.exit_code == 1
    assert "for workload:github:o/w (workload:web), from an unknown address" in denied.stdout
    assert "needs workload:web-release: environment is staging, not production" in denied.stdout
    found = facts(ask("why", "pull", "lib/x", *BRANCH, "--json"))
    assert (found["verdict"], found["workloads"]) == ("allowed", ["web"])
    assert "workloads" not in facts(ask("why", "pull", "lib/x", "--robot", "ci-web", "--json"))


PODS = {"kubernetes.io": {"namespace": "web", "serviceaccount": {"name": "puller", "uid": 7}}, "aud": ["a", "b"]}


def test_claims_of_a_file(ask: Run, tmp_path: Path) -> None:
    """A JSON object as the issuer's token has it; also by standard input, and with claims next to it."""
    write(tmp_path / "claims.json", json.dumps(PODS))
    assert ask("why", "pull", "web/a", "--workload", "cluster", "--claims", tmp_path / "claims.json").exit_code == 0
    given = ask("what-can", "--workload", "cluster", "--claims", "-", "--json", stdin=json.dumps(PODS))
    assert [one["rule"] for one in facts(given)] == ["pods"]
    part = json.dumps({"kubernetes.io": {"namespace": "web"}})
    rest = ["--claim", "kubernetes.io/serviceaccount/name=puller"]
    assert ask("why", "pull", "web/a", "--workload", "cluster", "--claims", "-", *rest, stdin=part).exit_code == 0


CLUSTER = """\
authentication:
  - htpasswd: {file: users.htpasswd}
  - workload: {name: cluster, preset: kubernetes, issuer: "https://cluster.example.com", audience: tokenserver}
"""

PULLERS = """\
version: 1
workloads:
  short: {from: cluster, claims: {namespace: web, serviceaccount: puller}}
  long: {from: cluster, claims: {kubernetes.io/namespace: web, kubernetes.io/serviceaccount/name: puller}}
allow:
  - {id: short, to: ["workload:short"], repositories: ["short/**"], role: reader}
  - {id: long, to: ["workload:long"], repositories: ["long/**"], role: reader}
"""


@pytest.mark.parametrize(
    ("claims", "document", "rules"),
    [
        pytest.param([], PODS, ["short", "long"], id="as the issuer has them"),
        pytest.param(["namespace=web", "serviceaccount=puller"], {}, ["short", "long"], id="by alias"),
        pytest.param(
            ["kubernetes.io/namespace=web", "serviceaccount=puller"], {}, ["short", "long"], id="by alias and by path"
        ),
        pytest.param(
            [], {"namespace": "web", "serviceaccount": "puller"}, None, id="a claim with the name of an alias"
        ),
        pytest.param(["exp=1"], {"exp": 1, "kubernetes.io": {"namespace": "web"}}, None, id="a part"),
    ],
)
def test_claims_as_the_server_reads_them(
    folder: Path, site: Path, claims: list[str], document: dict[str, Any], rules: list[str] | None
) -> None:
    """With a configuration, the preset of the source says which names are the same claim."""
    write(site, site.read_text().replace("authentication: [{htpasswd: {file: users.htpasswd}}]\n", CLUSTER))
    write(folder / "web.yaml", PULLERS)
    options = [word for claim in claims for word in ("--claim", claim)]
    asked = ["policy", "what-can", "--workload", "cluster", *options, "--claims", "-", "--json", "--config", str(site)]
    result = CliRunner().invoke(main, asked, input=json.dumps(document))
    found = facts(result)
    if rules is None:
        assert (result.exit_code, found["verdict"]) == (1, "refused")
    else:
        assert [one["rule"] for one in found] == rules


def test_the_claims_are_those_of_the_server(site: Path) -> None:
    """Read from a file, they are the claims that the login of a JWT gives to the identity."""
    write(site, site.read_text().replace("authentication: [{htpasswd: {file: users.htpasswd}}]\n", CLUSTER))
    document = {
        **PODS,
        "exp": 7,
        "namespace": "other",
        "a/b": "x",
        "a": {"b": "y", "c": [1.5, "z"]},
        "long": "x" * 1025,
    }
    asked = AskedMachine(source="cluster", document=document)
    identity = asked.identity(read_source(site, None))
    verified = VerifiedWorkload("cluster", "", flatten(document, PRESETS["kubernetes"].aliases), 1, 2)
    assert identity is not None
    assert identity.claims == verified.identity(1).claims


@pytest.mark.parametrize("command", [["why", "pull", "web/a"], ["what-can"]], ids=["why", "what-can"])
def test_a_workload_that_is_not_declared(ask: Run, folder: Path, command: list[str]) -> None:
    """The answer is that of the server: a refusal, with the workloads that come closest."""
    claims = ["--workload", "github", "--claim", "repository_id=99", "--claim", "environment=production"]
    refused = ask(*command, *claims)
    assert (refused.exit_code, refused.stdout.replace(f"{folder}/", "").splitlines()) == (
        1,
        [
            "refused (401): no declared workload matches",
            "  workload:web-release: repository_id is 99, not 74 (web.yaml:7)",
            "  workload:web: repository_id is 99, not 74 (web.yaml:6)",
        ],
    )
    found = facts(ask(*command, *claims, "--json"))
    assert (found["verdict"], found["status"], found["reason"]) == ("refused", 401, "no declared workload matches")
    assert found["nearest"][0] == {"workload": "web-release", "missing": ["repository_id is 99, not 74"]}
    elsewhere = ask(*command, "--workload", "gitub", "--claim", "repository_id=74")
    assert elsewhere.stdout.splitlines()[1] == (
        "  the policies declare no workload from 'gitub'; did you mean 'github'?"
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["why", "pull", "a", "--robot", "ci-wbe"], "did you mean 'ci-web'?", id="robot"),
        pytest.param(["why", "pull", "a", "--robot", "CI"], "the name of a machine has", id="no name of a robot"),
        pytest.param(["what-can", "robot:ci-wbe"], "did you mean 'ci-web'?", id="what-can robot"),
        pytest.param(["what-can", "workload:wbe"], "no workload 'wbe'; did you mean 'web'?", id="what-can workload"),
        pytest.param(["matrix", "--who", "robot:ci-wbe"], "did you mean 'ci-web'?", id="matrix"),
        pytest.param(["why", "pull", "a", "--robot", "ci-web", "--user", "ann"], "options about people", id="a user"),
        pytest.param(["why", "pull", "a", "--robot", "ci-web", "--group", "x"], "options about people", id="a group"),
        pytest.param(["why", "pull", "a", "--robot", "ci-web", *BRANCH], "exclude each other", id="two machines"),
        pytest.param(["why", "pull", "a", "--claim", "a=b"], "go with --workload", id="claims alone"),
        pytest.param(["why", "pull", "a", "--workload", "github"], "name the source and the claims", id="no claims"),
        pytest.param(["why", "pull", "a", "--workload", "github", "--claim", "x"], "NAME=VALUE", id="no value"),
        pytest.param(["why", "pull", "a", "--workload", "github", "--claim", "é=x"], "the name of a claim", id="claim"),
        pytest.param(["why", "pull", "a", "--workload", "a b", "--claim", "a=b"], "a workload source", id="src"),
        pytest.param(["what-can"], "name one client", id="nobody"),
        pytest.param(["what-can", "robots", "--robot", "ci-web"], "name one client", id="two clients"),
        pytest.param(["what-can", "robots", "--group", "x"], "robots brings no group", id="robots with a group"),
        pytest.param(["what-can", "--robot", "ci-web", "--group", "x"], "a machine brings no group", id="a group"),
        pytest.param(["what-can", "robots", "--namespace", "x"], "goes with user:NAME", id="a namespace"),
    ],
)  # fmt: skip
def test_rejected(ask: Run, arguments: list[str], told: str) -> None:
    """Exit code 2, and what would be right."""
    result = ask(*arguments)
    assert (result.exit_code, told in result.stderr) == (2, True), result.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("[1]", "is not a JSON object; it takes", id="a list"),
        pytest.param("{", "is not JSON", id="cut off"),
        pytest.param("[" * 60_000, "has more than 16 levels", id="deep"),
        pytest.param('{"sub": "a", "sub": "b"}', "has a duplicate member", id="ambiguous"),
        pytest.param('{"a": %s}' % ([1] * 257), "has a claim with more than 256 values", id="too many values"),
        pytest.param(" " * (MAX_CLAIMS + 1), "has more than 65536 bytes", id="long"),
    ],
)
def test_claims_that_are_none(ask: Run, text: str, told: str) -> None:
    """A file that could not be the claims of a JWT is rejected."""
    result = ask("why", "pull", "a", "--workload", "github", "--claims", "-", stdin=text)
    assert (result.exit_code, told in result.stderr) == (2, True), result.stderr


def token(subject: str) -> str:
    """A token of this server, of which only the claims are read."""

    claims: dict[str, Any] = {"sub": subject, "aud": "registry", "access": []}
    parts = [
        base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in ({"alg": "ES256"}, claims)
    ]
    return ".".join([*parts, "c2ln"])


def test_a_token_of_a_machine(ask: Run) -> None:
    """That of a robot says which; that of a workload does not have its claims."""
    found = ask("why", "push", "web/site", "--token", token("robot:ci-web"), "--json")
    assert facts(found)["answers"][0]["verdict"] == "allowed"
    result = ask("why", "push", "web/site", "--token", token("workload:github:o/w"))
    assert (result.exit_code, "add --workload github, and the claims" in result.stderr) == (2, True)
    assert ask("why", "push", "prod/x", "--token", token("workload:github:o/w"), *BRANCH).exit_code == 1


def test_what_can(ask: Run) -> None:
    """A robot or a workload by name, all of them, or one by its claims."""
    rules = {
        who: [one["rule"] for one in facts(ask("what-can", who, "--json"))]
        for who in ("robot:ci-web", "robots", "workload:web", "workload:web-release", "group:builds")
    }
    assert rules == {
        "robot:ci-web": ["robot", "builds", "robots"],
        "robots": ["robots"],
        "workload:web": ["builds"],
        "workload:web-release": ["release", "builds"],
        "group:builds": ["builds", "robots"],
    }
    assert [one["rule"] for one in facts(ask("what-can", "--robot", "ci-data", "--json"))] == ["robots"]
    assert ask("what-can", "workloads").stdout == "workloads can do nothing\n"
    assert "builds (web.yaml:16)" in ask("what-can", *BRANCH).stdout


@pytest.mark.parametrize(
    ("identity", "declared", "expected"),
    [
        pytest.param(robot("ci"), DECLARED, None, id="a robot"),
        pytest.param(ANONYMOUS, DECLARED, None, id="nobody"),
        pytest.param(client(repo="1"), DECLARED, None, id="declared"),
        pytest.param(
            client(repo="1"), [], "the policies declare no workload from 'github'; they declare no workloads", id="none"
        ),
        pytest.param(
            client("gitea", repo="1"), [workload("a")],
            "the policies declare no workload from 'gitea'; known here: github", id="another source",
        ),
    ],
)  # fmt: skip
def test_refusal(identity: Identity, declared: list[Workload], expected: str | None) -> None:
    """Only workloads are refused, with a hint where nothing is near."""
    found = refusal(policy_set([], (), declared), identity)
    assert (None if found is None else found.hint) == expected


@given(st.sampled_from(CLIENTS))
def test_who_is_refused(identity: Identity) -> None:
    """A client that is no declared workload, with one that it could be."""
    policies = policy_set([])
    found = refusal(policies, identity)
    assert (found is None) is are_let_in(policies, identity)
    if found is not None:
        assert {one.workload.source for one in found.nearest} == {identity.source}
