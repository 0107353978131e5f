"""deploy/chart: what helm makes of many values is valid for Kubernetes, and its pod's files for the server."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.authority import Authority
from harness.chart import CHART, Manifests, Pod, helm, pod_of, template
from harness.chart_values import DELEGATING, GIT, GOOD, MANAGED, POSTGRESQL, ROOT_POLICY, TEAM_POLICY, VALUES, changed
from harness.kubernetes_schemas import validate
from htpasswd_users import hashed

from tokenserver.keys.ring import Algorithm
from tokenserver.keys.store import init_keys
from tokenserver.storage.state_keys import STATE_KEY, init_state_keys

pytestmark = [pytest.mark.real("helm")]


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """The Secrets and ConfigMaps that the values name, with keys, users and a certificate that the server accepts."""
    folder = tmp_path_factory.mktemp("secrets")
    init_keys(folder / "keys", issuer="auth.example.com", algorithm=Algorithm.ES256, now=datetime.now(UTC))
    files = [path for path in (folder / "keys").rglob("*") if path.is_file() and not path.name.startswith(".")]
    keys = {path.name: path.read_bytes() for path in files if path.name != "token-ca.key"}
    init_state_keys(folder / "keys")
    state = (folder / "keys" / STATE_KEY).read_bytes()
    authority = Authority(folder, "the company")
    certificate, key = authority.issue(folder)
    registry = {"service": "registry.example.com", "compat": "universal"}
    return {
        "keys": keys | {"state.key": state},
        "state": {"state.key": state},
        "users": {"users.htpasswd": f"ann:{hashed()}\n".encode()},
        "tls": {"tls.crt": certificate.read_bytes(), "tls.key": key.read_bytes()},
        "tokenserver-tls": {"tls.crt": certificate.read_bytes(), "tls.key": key.read_bytes()},
        "database": {"url": b"postgresql://tokenserver@127.0.0.1:1/tokenserver", "password": b"secret"},
        "redis": {"url": b"redis://127.0.0.1:1/0", "password": b"secret", "secret": b"0123456789abcdef" * 4},
        "directory": {"bind": b"secret"},
        "reports": {"secret": b"0123456789abcdef" * 4},
        "authorities": {"ca.crt": authority.file.read_bytes()},
        "registries": {"registry.yaml": yaml.safe_dump(registry).encode()},
        "policies": {"root": DELEGATING.encode(), "web": TEAM_POLICY.encode()},
    }


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the user of a pod can get into."""
    with tempfile.TemporaryDirectory(prefix="e2e", ignore_cleanup_errors=True) as path:
        Path(path).chmod(0o755)
        yield Path(path)


def values_of(name: str, secrets: dict[str, dict[str, bytes]]) -> dict[str, Any]:
    """The values of a row of `GOOD`, with the ids of the keys."""
    base = changed(VALUES, {"keys.ids": ids(secrets)})
    return changed(base, GOOD[name])


def ids(secrets: dict[str, dict[str, bytes]]) -> list[str]:
    """The ids of the signing keys in the Secret."""
    return [file.removesuffix(".key") for file in secrets["keys"] if file.endswith(".key") and file != STATE_KEY]


def made(folder: Path, values: dict[str, Any]) -> Manifests:
    """What helm makes of values that are right."""
    output = template(folder, values)
    assert output.ok, output
    return Manifests(output.stdout)


def pod_for(manifests: Manifests, folder: Path, secrets: dict[str, dict[str, bytes]]) -> Pod:
    """The pod, after its init containers; policies from elsewhere are in the folder `policies`."""
    policies = {"policies/root.yaml": ROOT_POLICY, "README.md": "Ours.\n"}
    pod = pod_of(manifests, folder, secrets, policies)
    for container in manifests.pod.get("initContainers", []):
        if container["name"] == "keys":
            done = pod.run(*container["args"])
            assert done.ok, done
    return pod


@pytest.mark.real("kubeconform")
@pytest.mark.parametrize("name", GOOD)
def test_values(name: str, folder: Path, secrets: dict[str, dict[str, bytes]]) -> None:
    """Nothing for `helm lint`; valid manifests, without privileges; a pod whose files `check` accepts."""
    values = values_of(name, secrets)
    manifests = made(folder, values)
    linted = helm(folder, "lint", "--strict", CHART, "--values", folder / "values.yaml")
    assert linted.ok, linted
    file = folder / "manifests.yaml"
    file.write_text(manifests.text)
    validated = validate(file, folder)
    assert validated.ok, validated
    assert "Skipped: 0" in validated.text, validated
    assert_unprivileged(manifests)
    assert manifests.pod["automountServiceAccountToken"] is (name == "workloads-of-this-cluster")
    checked = pod_for(manifests, folder, secrets).run("check")
    assert checked.ok, checked


def assert_unprivileged(manifests: Manifests) -> None:
    """Every container of the chart is as restricted as Kubernetes' strictest profile demands, on a read-only root."""
    security = manifests.pod["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    containers = [*manifests.pod["containers"], *manifests.pod.get("initContainers", [])]
    own = [container for container in containers if not container["image"].startswith("example.com/")]
    assert {container["name"] for container in own} <= {"tokenserver", "keys", "git-sync", "git-sync-first"}
    for container in own:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }
    # Variables of Services would be unknown keys of the configuration.
    assert manifests.pod["enableServiceLinks"] is False


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no-image": ({"image.repository": ""}, "image.repository is missing; fix: build deploy/Containerfile"),
    "no-issuer": ({"config.issuer": ""}, "config.issuer is missing"),
    "no-url": ({"config.server": {}}, "config.server.url is missing"),
    "listen": (
        {"config.server.listen": "0.0.0.0:80"},
        "config.server.listen is set by the chart; fix: remove it, and set `port`",
    ),
    "tls": ({"config.server.tls": {"certificate": "a", "key": "b"}}, "config.server.tls is set by the chart"),
    "metrics": ({"config.server.metrics": "0.0.0.0:9090"}, "config.server.metrics is set by the chart"),
    "policies": ({"config.policies": "policies"}, "config.policies is set by the chart"),
    "storage": ({"config.storage": "a.db"}, "config.storage is set by the chart"),
    "keys": ({"config.keys": "keys"}, "config.keys is a folder, which is set by the chart"),
    "keys-folder": ({"config.keys": {"folder": "keys"}}, "config.keys.folder is set by the chart"),
    "rotation": (
        {"config.keys": {"rotate_every": "30d"}},
        "config.keys.rotate_every needs a folder that the server may",
    ),
    "redis-twice": (
        {"config.throttle": {"redis": "redis://a"}, "redis.url": "redis://b"},
        "config.throttle.redis is set by the chart",
    ),
    "variable": (
        {"extraEnv": [{"name": "TOKENSERVER_SERVER_LISTEN", "value": "0.0.0.0:80"}]},
        "extraEnv: TOKENSERVER_SERVER_LISTEN is set by the chart",
    ),
    "variable-of-notifications": (
        {"extraEnv": [{"name": "TOKENSERVER_SERVER_NOTIFICATIONS", "value": "0.0.0.0:80"}]},
        "extraEnv: TOKENSERVER_SERVER_NOTIFICATIONS is set by the chart",
    ),
    "no-keys": (
        {"keys.existingSecret": ""},
        "keys.existingSecret is missing; fix: make the Secret by docs/kubernetes.md",
    ),
    "no-ids": ({"keys.ids": []}, "keys.ids is missing; fix: list the names"),
    "keys-twice": ({"keys.existingClaim": "keys"}, "keys has existingSecret and existingClaim; fix: keep one"),
    "no-policies": ({"policies": {}}, "policies has no source; fix: set one of files"),
    "policies-twice": (
        {"policies.existingClaim": "p", "policies.gitSync": {"repository": "https://git.example.com/p"}},
        "policies has more than one source (existingClaim, files, gitSync.repository); fix: keep one",
    ),
    "policy-name": ({"policies.files": {"a__b.yaml": ""}}, "the name a__b.yaml has __"),
    "policy-names": (
        {"policies.files": {"a_/b.yaml": "", "a/_b.yaml": ""}},
        "policies.files has two paths that become one key of a ConfigMap",
    ),
    "password-of-the-database": (
        {"storage.postgresql.url": "postgresql://ann:s3cret@db/tokenserver"},
        "storage.postgresql.url has a password, which everybody could read in the ConfigMap; fix: put it",
    ),
    "password-of-redis": ({"redis.url": "rediss://:s3cret@redis:6380/0"}, "redis.url has a password, which everybody"),
    "no-git-credentials": (
        {**GIT, "policies.gitSync.method": "ssh"},
        "policies.gitSync.method is ssh, which needs credentials",
    ),
    "ssh-without-a-user": (
        {**GOOD["git-by-ssh"], "runAsUser": None},
        "policies.gitSync.method is ssh, which needs the number of its user; fix: set runAsUser",
    ),
    "sqlite-replicas": (
        {"storage.kind": "sqlite", "stateKey.existingSecret": "state"},
        "storage.kind is sqlite, which is for one replica; fix: set replicas to 1",
    ),
    "no-database": (POSTGRESQL, "storage.postgresql.url is missing"),
    "no-database-secret": (
        {**POSTGRESQL, "storage.postgresql": {"urlKey": "url"}},
        "storage.postgresql.existingSecret is missing",
    ),
    "no-state-key": ({**MANAGED, "stateKey.existingSecret": ""}, "stateKey.existingSecret is missing, without which"),
    "no-storage": ({"config.access_keys": {}}, "config.access_keys needs a storage; fix: set storage.kind"),
    "no-redis-secret": ({"redis": {"url": "redis://a", "passwordKey": "p"}}, "redis.existingSecret is missing"),
    "certificates": (
        {"tls": {"existingSecret": "t", "certManager": {"enabled": True, "issuerRef": {"name": "a"}}}},
        "keep one",
    ),
    "no-issuer-of-certificates": ({"tls.certManager.enabled": True}, "tls.certManager.issuerRef is missing"),
    "management-without-storage": (
        {"management.enabled": True, "config.server.management_url": "https://a.example.com"},
        "management.enabled needs a storage",
    ),
    "no-management-url": (
        {**MANAGED, "config.server.management_url": ""},
        "config.server.management_url is missing",
    ),
    "management-is-off": ({"management.ingress.enabled": True}, "but is not enabled; fix: set management.enabled"),
    "no-gateway": ({"httpRoute.enabled": True}, "httpRoute.parentRefs is missing; fix: name the Gateway"),
    "no-metrics": ({"metrics.serviceMonitor": {"enabled": True}}, "metrics.serviceMonitor needs the listener"),
    "rules-without-metrics": (
        {"metrics.prometheusRule": {"enabled": True}},
        "metrics.prometheusRule needs the listener",
    ),
    "dashboard-without-metrics": ({"metrics.dashboard": {"enabled": True}}, "metrics.dashboard needs the listener"),
    "ports": (
        {"metrics": {"enabled": True, "port": 5001}},
        "port, management.port, notifications.port and metrics.port must differ",
    ),
    "scaling": (
        {"autoscaling": {"enabled": True, "minReplicas": 9}},
        "autoscaling.minReplicas is more than maxReplicas",
    ),
    "no-time-to-end": ({"terminationGracePeriodSeconds": 20}, "terminationGracePeriodSeconds is too short"),
    # What the schema refuses, in the words of helm.
    "unknown-value": ({"replicaCount": 3}, "replicaCount"),
    "unknown-key": ({"config.isuer": "a"}, "isuer"),
    "unknown-key-of-a-section": ({"config.server.lisen": "a"}, "lisen"),
    "wrong-type": ({"config.anonymous": "yes"}, "anonymous"),
    "wrong-port": ({"port": 70000}, "port"),
    "wrong-kind": ({"storage.kind": "mysql"}, "kind"),
    "path-of-a-policy": ({"policies.files": {"../root.yaml": ""}}, "policies"),
    "mount-without-a-secret": ({"secretMounts": {"users": {}}}, "existingSecret"),
    "readiness": ({"probes.readiness.path": "/"}, "readiness"),
}


@pytest.mark.parametrize("name", BAD)
def test_values_that_are_refused(name: str, folder: Path, secrets: dict[str, dict[str, bytes]]) -> None:
    """helm prints what is wrong and how to fix it, and makes nothing."""
    changes, message = BAD[name]
    output = template(folder, changed(values_of("minimal", secrets), changes))
    assert not output.ok, output
    assert message in output.stderr, output
    assert output.stdout == ""


def test_all_faults_at_a_time(folder: Path) -> None:
    """The chart with its defaults lists all that is needed."""
    output = template(folder, {})
    assert "tokenserver: 6 faults in the values:" in output.stderr, output
    assert len(re.findall(r"^  \* .*; fix: ", output.stderr, re.MULTILINE)) == 6


def test_files_that_others_can_read_are_refused(folder: Path, secrets: dict[str, dict[str, bytes]]) -> None:
    """The mode of the volumes matters: with Kubernetes' default the server would not start."""
    text = made(folder, values_of("minimal", secrets)).text
    opened = Manifests(re.sub(r"defaultMode: 0400", "defaultMode: 0644", text))
    output = pod_for(opened, folder, secrets).run("check")
    assert not output.ok
    assert "can be read by others (mode 0644)" in output.text


@pytest.mark.parametrize(
    ("name", "hosts"),
    [
        ("ingress", [("tokenserver", "auth.example.com", "/")]),
        ("path", [("tokenserver", "example.com", "/registry-auth")]),
        (
            "management",
            [("tokenserver", "auth.example.com", "/"), ("tokenserver-management", "account.example.com", "/")],
        ),
    ],
)
def test_hosts(
    name: str, hosts: list[tuple[str, str, str]], folder: Path, secrets: dict[str, dict[str, bytes]]
) -> None:
    """Hosts and paths of ingresses are those of the URLs in the configuration; each leads to its own Service."""
    manifests = made(folder, values_of(name, secrets))
    found = []
    for ingress in (one for one in manifests.objects if one["kind"] == "Ingress"):
        (rule,) = ingress["spec"]["rules"]
        (path,) = rule["http"]["paths"]
        service = path["backend"]["service"]
        ports = [port["name"] for port in manifests.one("Service", service["name"])["spec"]["ports"]]
        assert ports == [service["port"]["name"]]
        found.append((service["name"], rule["host"], path["path"]))
    assert found == hosts


def test_notifications_have_a_port_of_their_own(folder: Path, secrets: dict[str, dict[str, bytes]]) -> None:
    """The listener, its Service, and the peers that may reach it; nobody reaches it by the other Service."""
    manifests = made(folder, values_of("notifications", secrets))
    data = manifests.one("ConfigMap", "tokenserver-config")["data"]
    assert yaml.safe_load(data["tokenserver.yaml"])["server"]["notifications"] == "0.0.0.0:5004"
    assert {"name": "notifications", "containerPort": 5004} in manifests.server["ports"]
    for name, ports in (("tokenserver", ["http"]), ("tokenserver-notifications", ["notifications"])):
        assert [port["name"] for port in manifests.one("Service", name)["spec"]["ports"]] == ports
    rules = manifests.one("NetworkPolicy", "tokenserver")["spec"]["ingress"]
    assert {"ports": [{"port": "notifications"}], "from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]} in rules


def test_the_file_is_what_was_given(folder: Path, secrets: dict[str, dict[str, bytes]]) -> None:
    """`config` reaches the server as it is, including large numbers; only what the chart sets is added."""
    values = values_of("postgresql", secrets)
    data = made(folder, values).one("ConfigMap", "tokenserver-config")["data"]
    assert yaml.safe_load(data["tokenserver.yaml"]) == {
        **values["config"],
        "server": {**values["config"]["server"], "listen": "0.0.0.0:5001"},
        "policies": "/run/tokenserver/policies",
        "keys": {"folder": "/run/tokenserver/keys"},
        "storage": {
            "url": "postgresql://tokenserver@127.0.0.1:1/tokenserver",
            "password_file": "/run/tokenserver/storage/password",
        },
    }


def test_git_sync_writes_where_the_server_reads(folder: Path, secrets: dict[str, dict[str, bytes]]) -> None:
    """Once before the server starts, and then next to it; the server itself cannot write there."""
    manifests = made(folder, values_of("git-by-ssh", secrets))
    (first,) = manifests.pod["initContainers"]
    sidecar = next(one for one in manifests.pod["containers"] if one["name"] == "git-sync")
    assert "--one-time" in first["args"]
    assert {"--link=current", "--root=/git", "--ssh-key-file=/run/git-sync/ssh-privatekey"} <= set(sidecar["args"])
    mounts = {mount["name"]: mount for mount in manifests.server["volumeMounts"]}
    assert mounts["policies"]["readOnly"] is True
    assert "git-sync-credentials" not in mounts


def test_a_change_of_the_configuration_restarts(folder: Path, secrets: dict[str, dict[str, bytes]]) -> None:
    """The pod of another configuration is another one; that of other policies is the same, since they are reloaded."""
    values = values_of("minimal", secrets)
    pods = [
        made(folder, changed(values, changes)).one("Deployment")["spec"]["template"]
        for changes in ({}, {"policies.files": {"root.yaml": TEAM_POLICY}}, {"config.anonymous": True})
    ]
    assert (pods[0] == pods[1], pods[0] == pods[2]) == (True, False)


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        (
            "minimal",
            ["tokenserver health --ready", "https://auth.example.com", "Nothing leads there yet", "Set `redis`"],
        ),
        ("tls", ["Clients reach it at https://auth.example.com"]),
        ("postgresql-url", ["tokenserver storage migrate"]),
    ],
)
def test_notes(name: str, texts: list[str], folder: Path, secrets: dict[str, dict[str, bytes]]) -> None:
    """After an installation helm prints what to do next, and what is missing."""
    text = (CHART / "templates" / "NOTES.txt").read_text()
    copied = folder / "chart"
    shutil.copytree(CHART, copied)
    # Without a cluster, helm renders everything but the notes.
    (copied / "templates" / "_notes.tpl").write_text('{{- define "notes" -}}' + text + "{{- end -}}")
    (copied / "templates" / "notes.yaml").write_text(
        'kind: ConfigMap\nmetadata: {name: notes}\ndata: {text: {{ include "notes" . | toJson }}}'
    )
    output = template(folder, values_of(name, secrets), copied)
    assert output.ok, output
    notes = Manifests(output.stdout).one("ConfigMap", "notes")["data"]["text"]
    assert [text for text in texts if text not in notes] == []
