"""Workloads of a real API server of Kubernetes, whose keys are fetched with a token, or copied into a file.

An API server signs its tokens without `typ`, for a list of audiences; its discovery document is not for anonymous
clients, and names the keys at another host than its issuer.
"""

from __future__ import annotations

import json
import secrets
import shutil
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import canaries
import pytest
import yaml
from harness import registries, web
from harness.chart import CHART, Manifests, block, template
from harness.chart_values import GOOD, VALUES, changed
from harness.clients import Crane, Docker
from harness.kube_apiserver import NODE, Cluster, SigningKeyFiles, cluster, reference, token_target
from harness.processes import plain_environment, run
from harness.programs import ROOT, need
from harness.scene import Scene
from harness.server import Setup, TokenServer, serving

pytestmark = [pytest.mark.nightly, pytest.mark.real("kube-apiserver"), pytest.mark.real("etcd")]

SERVICE = "registry3.test"
AUDIENCE = "https://auth.example.com"
DEPLOY = ROOT / "deploy" / "kubernetes"

POLICIES = """\
version: 1
workloads:
  pullers: {from: cluster, claims: {namespace: web, serviceaccount: puller}}
  shells: {from: cluster, claims: {namespace: web, serviceaccount: puller, pod: "shell-*"}}
  builder: {from: cluster, claims: {namespace: ci, serviceaccount: builder}}
  temporary: {from: cluster, claims: {namespace: ci, serviceaccount: "temporary-*"}}
allow:
  - {id: keeper, to: ["user:keeper"], repositories: ["**"], role: maintainer}
  - {id: pulls, to: ["workload:pullers", "workload:temporary"], repositories: ["web/**"], role: reader}
  - {id: shells-push, to: ["workload:shells"], repositories: ["web/dev/**"], role: writer}
  - {id: builder-pushes, to: ["workload:builder"], repositories: ["web/**"], role: writer}
"""


@pytest.fixture(scope="module")
def kube(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with a few service accounts."""
    folder = tmp_path_factory.mktemp("cluster")
    with cluster(folder, SigningKeyFiles(folder, "first")) as running:
        populate(running)
        yield running


def populate(kube: Cluster) -> None:
    """Create the service accounts of these tests; `auth/tokenserver` is that of the token server."""
    for namespace, name in (("web", "puller"), ("dev", "puller"), ("ci", "builder"), ("auth", "tokenserver")):
        kube.add_account(namespace, name)


def keys_by_url(kube: Cluster, folder: Path) -> dict[str, Any]:
    """Keys from the API server, with a token of the server's own service account."""
    file = folder / "api-token"
    file.touch(mode=0o600)
    file.write_text(kube.token("auth", "tokenserver", []))
    return {"keys": {"url": kube.keys_url, "token_file": file.name}, "ca_file": str(kube.ca_file)}


def keys_by_file(kube: Cluster, folder: Path) -> dict[str, Any]:
    """Keys as `kubectl get --raw /openid/v1/jwks` prints them, in a file."""
    file = folder / "cluster-jwks.json"
    file.write_text(json.dumps(kube.get("/openid/v1/jwks")))
    return {"keys": {"file": file.name}}


WAYS = {"url": keys_by_url, "file": keys_by_file}


def setup_of(setup: Setup, kube: Cluster, keys: dict[str, Any]) -> Setup:
    """A server that trusts the cluster, by these settings of its keys."""
    source = {"name": "cluster", "preset": "kubernetes", "issuer": kube.issuer, "audience": AUDIENCE, **keys}
    settings = {"authentication": [{"htpasswd": {"file": "users.htpasswd"}}, {"workload": source}]}
    return replace(setup, policies={"root.yaml": POLICIES}, services={SERVICE: "universal"}, settings=settings)


@pytest.fixture(scope="module", params=WAYS)
def server(
    request: pytest.FixtureRequest, kube: Cluster, setup: Setup, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TokenServer]:
    """A server that trusts the cluster, once by the URL of its keys and once by a file."""
    folder = tmp_path_factory.mktemp("server")
    with serving(folder, setup_of(setup, kube, WAYS[request.param](kube, folder))) as running:
        yield running


registry = registries.own_registry(SERVICE)


def ask(server: TokenServer, token: str, scope: str = "repository:web/dev/site:pull,push") -> web.Answer:
    """Ask for a registry's token, with this one as the password."""
    return server.request("GET", web.token_target(SERVICE, [scope]), headers=web.basic("workload", token))


def granted(server: TokenServer, token: str) -> set[str]:
    """The actions on `web/dev/site` that this token is good for."""
    answer = ask(server, token)
    assert answer.status == 200, answer
    return {action for entry in web.claims(answer.json()["token"])["access"] for action in entry["actions"]}


def refusal(server: TokenServer, token: str) -> str:
    """Why the token is refused, as the audit event says."""
    since = server.audit.mark()
    answer = ask(server, token)
    assert answer.status == 401, answer
    (event,) = server.audit.events(since)
    assert event.outcome == "invalid_credentials"
    return str(event.fields["reason"])


def accepted_when(server: TokenServer, token: str) -> None:
    """Wait until the token is accepted: a server asks for unknown keys 30 seconds after it last asked."""
    deadline = time.monotonic() + 120
    while (answer := ask(server, token)).status != 200:
        assert time.monotonic() < deadline, answer
        time.sleep(1)


def test_what_makes_the_api_server_special(kube: Cluster) -> None:
    """No `typ`, a list of audiences, discovery for those with a token, keys at another host."""
    token = kube.token("web", "puller", [AUDIENCE])
    assert web.header(token).keys() == {"alg", "kid"}
    claims = web.claims(token)
    assert (claims["aud"], claims["sub"]) == ([AUDIENCE], "system:serviceaccount:web:puller")
    assert claims["kubernetes.io"]["serviceaccount"]["name"] == "puller"
    path = "/.well-known/openid-configuration"
    assert kube.request("GET", path).status == 403
    document = kube.request("GET", path, kube.token("auth", "tokenserver", [])).json()
    assert document["issuer"] == kube.issuer
    assert urllib.parse.urlsplit(document["jwks_uri"]).hostname == "127.0.0.1"
    assert urllib.parse.urlsplit(kube.issuer).hostname == "localhost"


def test_login_and_push(scene: Scene, kube: Cluster) -> None:
    """`docker login` with a token of the builder, then a push of what the policy gives it, and of nothing else."""
    token, subject = kube.token("ci", "builder", [AUDIENCE]), "workload:cluster:system:serviceaccount:ci:builder"
    since = scene.server.audit.mark()
    output = scene.client(Docker).login(scene.registry, "workload", token)
    assert output.ok, str(output)
    client = scene.client(Crane)
    client.machine.sign_in(scene.registry.host, "workload", token)
    repository, elsewhere = scene.new_name("web"), scene.new_name("infra")
    output = client.push(scene.registry, scene.image, repository)
    assert output.ok, str(output)
    assert not client.push(scene.registry, scene.image, elsewhere).ok
    assert scene.registry.holds(repository)
    assert not scene.registry.holds(elsewhere)
    outcomes = {event.outcome for event in scene.server.audit.events(since) if event.subject == subject}
    assert outcomes == {"login", "granted", "denied"}


def new(name: str) -> str:
    """A name that no other object has."""
    return f"{name}-{secrets.token_hex(4)}"


def test_the_pod_in_the_claims(server: TokenServer, kube: Cluster) -> None:
    """A token that is bound to a pod has its name, by which a policy may tell pods of one account apart."""
    shell = kube.add_pod("web", new("shell"), "puller", node=NODE)
    other = kube.add_pod("web", new("site"), "puller")
    tokens = {
        "shell": kube.token("web", "puller", [AUDIENCE], bound_to=shell),
        "site": kube.token("web", "puller", [AUDIENCE], bound_to=other),
        "none": kube.token("web", "puller", [AUDIENCE]),
    }
    found = {name: granted(server, token) for name, token in tokens.items()}
    assert found == {"shell": {"pull", "push"}, "site": {"pull"}, "none": {"pull"}}
    output = run(
        server.command("workload", "test"), environment=server.environment, folder=server.folder, stdin=tokens["shell"]
    )
    assert output.ok, str(output)
    assert f"kubernetes.io/node/name = {NODE}" in " ".join(output.stdout.split())


REFUSED: dict[str, tuple[Callable[[Cluster], str], str]] = {
    "another audience": (lambda kube: kube.token("web", "puller", ["https://vault.example.com"]), "another audience"),
    "for the API server": (lambda kube: kube.token("web", "puller", []), "is for another audience"),
    "two audiences": (
        lambda kube: kube.token("web", "puller", [AUDIENCE, "https://vault.example.com"]),
        "is for other audiences as well",
    ),
    "another namespace": (lambda kube: kube.token("dev", "puller", [AUDIENCE]), "no declared workload"),
    "another account": (lambda kube: kube.token("auth", "tokenserver", [AUDIENCE]), "no declared workload"),
    "valid for too long": (
        lambda kube: kube.token("web", "puller", [AUDIENCE], seconds=2 * 24 * 3600),
        "has not 1 to 86400 s from iat to exp (max_age)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, server: TokenServer, kube: Cluster) -> None:
    """The client gets 401, and the audit event says why."""
    made, reason = REFUSED[name]
    assert reason in refusal(server, made(kube))


def test_a_deleted_account(server: TokenServer, kube: Cluster) -> None:
    """The cluster refuses its token within seconds; here it works until it expires, as the page says."""
    account = new("temporary")
    kube.add_account("ci", account)
    pod = kube.add_pod("ci", new("pod"), account)
    own = kube.token("ci", account, [])
    tokens = [kube.token("ci", account, [AUDIENCE], bound_to=bound) for bound in (None, pod)]
    assert kube.request("GET", "/version", own).status == 200
    kube.delete(f"/api/v1/namespaces/ci/pods/{pod['metadata']['name']}")
    kube.delete(f"/api/v1/namespaces/ci/serviceaccounts/{account}")
    deadline = time.monotonic() + 30
    while kube.request("GET", "/version", own).status != 401:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert [granted(server, token) for token in tokens] == [{"pull"}, {"pull"}]
    page = (ROOT / "docs" / "kubernetes-workloads.md").read_text()
    assert "also if the pod or its service account is deleted before" in page


def findings(server: TokenServer) -> list[dict[str, Any]]:
    """What the doctor says of the issuer."""
    output = run(server.command("doctor", "--json"), environment=server.environment, folder=server.folder)
    canaries.watch(output.text, "the output of doctor")
    return [one for one in json.loads(output.stdout) if one["check"].startswith("workload")]


ANONYMOUS_DISCOVERY = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"


def test_discovery_without_a_token(setup: Setup, kube: Cluster, tmp_path: Path) -> None:
    """403 until the cluster opens its discovery to everybody; then the keys are found at the other host."""
    with serving(tmp_path, setup_of(setup, kube, {"ca_file": str(kube.ca_file)})) as server:
        token = kube.token("ci", "builder", [AUDIENCE])
        assert ask(server, token).status == 503
        (finding,) = findings(server)
        assert not finding["ok"]
        assert "token_file" in finding["mend"]
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole"}
        group = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:unauthenticated"}
        kube.create(
            ANONYMOUS_DISCOVERY,
            metadata={"name": "open-discovery"},
            roleRef=role | {"name": "system:service-account-issuer-discovery"},
            subjects=[group],
        )
        try:
            accepted_when(server, token)
            assert [one["ok"] for one in findings(server)] == [True]
        finally:
            kube.delete(f"{ANONYMOUS_DISCOVERY}/open-discovery")


@dataclass(frozen=True)
class _Node:
    """What a kubelet asks for: a token for the audience, bound to a pod of its node."""

    kube: Cluster
    pod: dict[str, Any]

    def ask(self, audience: str) -> web.Answer:
        spec = {"audiences": [audience], "expirationSeconds": 3600, "boundObjectRef": reference(self.pod)}
        return self.kube.request("POST", token_target("web", "puller"), self.kube.node_bearer, {"spec": spec})


def created(kube: Cluster, document: dict[str, Any]) -> dict[str, Any]:
    """Create an object of deploy/kubernetes."""
    return kube.create(target_of(document, document["metadata"].get("namespace")), **document)


def target_of(document: dict[str, Any], namespace: str | None) -> str:
    """Where objects of this kind are created."""
    group = "api" if document["apiVersion"] == "v1" else "apis"
    place = "" if namespace is None else f"/namespaces/{namespace}"
    kind = document["kind"].lower()
    plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}es" if kind.endswith("s") else f"{kind}s"
    return f"/{group}/{document['apiVersion']}{place}/{plural}"


EXTENSIONS = ("gateway.networking.k8s.io/", "cert-manager.io/", "monitoring.coreos.com/")
"""What this API server does not know. test_chart.py validates objects of these groups, too."""


@pytest.fixture(scope="module")
def restricted(kube: Cluster) -> str:
    """A namespace that admits only pods of Kubernetes' strictest profile."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return str(kube.create("/api/v1/namespaces", metadata={"name": "restricted", "labels": labels})["metadata"]["name"])


@pytest.mark.real("helm")
@pytest.mark.parametrize("name", GOOD)
def test_chart(name: str, kube: Cluster, restricted: str, tmp_path: Path) -> None:
    """The API server accepts every object of the chart in a dry run, and its pod under the profile `restricted`."""
    output = template(tmp_path, changed(changed(VALUES, {"keys.ids": ["ID"]}), GOOD[name]))
    assert output.ok, output
    manifests = Manifests(output.stdout)
    own = [made for made in manifests.objects if not made["apiVersion"].startswith(EXTENSIONS)]
    if name != "everything-extra":  # containers of others, which have no security context
        own.append({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "server"}, "spec": manifests.pod})
    answers = [(made["kind"], kube.try_to_create(target_of(made, restricted), made)) for made in own]
    assert [(kind, answer.json()["message"]) for kind, answer in answers if answer.status != 201] == []


def test_a_pod_with_privileges_is_not_admitted(kube: Cluster, restricted: str) -> None:
    """The namespace of these tests refuses a pod that is less restricted."""
    pod = {"metadata": {"name": "privileged"}, "spec": {"containers": [{"name": "shell", "image": "example.com/a:1"}]}}
    answer = kube.try_to_create(f"/api/v1/namespaces/{restricted}/pods", pod)
    assert (answer.status, 'violates PodSecurity "restricted' in answer.json()["message"]) == (403, True)


def test_the_files_of_deploy(kube: Cluster) -> None:
    """The API server takes them, and lets nodes ask for tokens with our audience, and with no other one."""
    node = _Node(kube, kube.add_pod("web", "on-a-node", "puller", node=NODE))
    deadline = time.monotonic() + 30  # until the authorizer of nodes knows the pod
    while "not authorized to request tokens for" not in (answer := node.ask(AUDIENCE)).body.decode():
        assert time.monotonic() < deadline, answer
        time.sleep(0.5)
    assert answer.status == 403
    role, binding = yaml.safe_load_all((DEPLOY / "token-audience.yaml").read_text())
    created(kube, role)
    created(kube, binding)
    while (answer := node.ask(AUDIENCE)).status != 201:
        assert time.monotonic() < deadline, answer
        time.sleep(0.5)
    token = answer.json()["status"]["token"]
    canaries.know(token)
    assert web.claims(token)["kubernetes.io"]["pod"]["name"] == "on-a-node"
    assert node.ask("https://vault.example.com").status == 403
    account, pod = yaml.safe_load_all((DEPLOY / "pod-that-pushes.yaml").read_text())
    kube.delete("/api/v1/namespaces/ci/serviceaccounts/builder")
    assert created(kube, account)["metadata"]["name"] == "builder"
    assert created(kube, pod)["spec"]["serviceAccountName"] == "builder"


@pytest.mark.real("helm")
@pytest.mark.real("kubectl")
def test_installation_by_the_page(kube: Cluster, tmp_path: Path) -> None:
    """The commands of docs/kubernetes.md, word for word: kubectl and helm install the chart, and upgrade it.

    No controller runs here, so that no pod starts.
    """
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("kubectl", "helm"):
        (programs / name).symlink_to(need(name))
    (programs / "tokenserver").write_text(f'#!/bin/sh\nexec {sys.executable} -m tokenserver "$@"\n')
    (programs / "tokenserver").chmod(0o755)
    kube.write_kubeconfig(tmp_path / "kubeconfig")
    environment = plain_environment(tmp_path) | {"KUBECONFIG": str(tmp_path / "kubeconfig"), "PYTHONPATH": str(ROOT)}
    environment["PATH"] = f"{programs}:{environment['PATH']}"
    shutil.copytree(CHART, tmp_path / "deploy" / "chart")
    (tmp_path / "values.yaml").write_text(block("values"))
    place = "/namespaces/tokenserver"
    counts = []
    for name in ("secrets", "install", "rotate"):
        output = run(["/bin/sh", "-euc", block(name)], environment=environment, folder=tmp_path)
        assert output.ok, output
        if name == "secrets":
            continue
        assert "tokenserver health --ready" in output.stdout
        secret = kube.get(f"/api/v1{place}/secrets/tokenserver-keys")["data"]
        pod = kube.get(f"/apis/apps/v1{place}/deployments/tokenserver")["spec"]["template"]["spec"]
        (keys,) = (volume["projected"]["sources"][0]["secret"] for volume in pod["volumes"] if volume["name"] == "keys")
        assert {item["key"] for item in keys["items"]} == secret.keys() - {"state.key"}
        counts.append(len(secret))
    assert counts == [5, 7]


@pytest.mark.parametrize("way", WAYS)
def test_rotation_of_keys(way: str, setup: Setup, tmp_path: Path) -> None:
    """A new key, of another type: tokens of both work, until the old key is no longer published."""
    folders = [tmp_path / name for name in ("cluster", "during", "after")]
    for folder in folders:
        folder.mkdir()
    first, second = SigningKeyFiles(folders[0], "first"), SigningKeyFiles(folders[0], "second", is_ec=True)
    with cluster(folders[0], first) as kube:
        populate(kube)
        with serving(folders[1], setup_of(setup, kube, WAYS[way](kube, folders[1]))) as server:
            before = kube.token("ci", "builder", [AUDIENCE])
            accepted_when(server, before)
            kube.start(second, first)
            after = kube.token("ci", "builder", [AUDIENCE])
            assert (web.header(before)["alg"], web.header(after)["alg"]) == ("RS256", "ES256")
            if way == "file":
                assert refusal(server, after) == "the JWT has a kid that no key of its issuer has"
                keys_by_file(kube, folders[1])
            accepted_when(server, after)
            assert granted(server, before) == {"pull", "push"}
        kube.start(second)
        with serving(folders[2], setup_of(setup, kube, WAYS[way](kube, folders[2]))) as server:
            accepted_when(server, after)
            assert refusal(server, before) == "the JWT has a kid that no key of its issuer has"
