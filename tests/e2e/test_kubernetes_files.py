"""deploy/kubernetes and docs/kubernetes-workloads.md: valid for a kubelet and an API server, and the same in both."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from credential_requests import NOW, request
from harness.programs import ROOT
from kubelet_config import faults, matches

from tokenserver.kubernetes.image_credentials import API_VERSION, answer

FOLDER = ROOT / "deploy" / "kubernetes"
PAGE = (ROOT / "docs" / "kubernetes-workloads.md").read_text()
CONFIG_TEXT = (FOLDER / "credential-provider-config.yaml").read_text()
CONFIG: dict[str, Any] = yaml.safe_load(CONFIG_TEXT)
ACCOUNT, POD = yaml.safe_load_all((FOLDER / "pod-that-pushes.yaml").read_text())
ROLE, BINDING = yaml.safe_load_all((FOLDER / "token-audience.yaml").read_text())
AUDIENCE = "https://auth.example.com"


def block(name: str, kind: str = "test") -> str:
    """A marked code block of the page."""
    (found,) = re.findall(rf"<!-- {kind}: {name} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def changed(path: str, value: Any) -> dict[str, Any]:
    """The configuration in which the key at a dotted path below the first provider has another value; `...` is none."""
    config = copy.deepcopy(CONFIG)
    place = config["providers"][0]
    *steps, last = path.split(".")
    for step in steps:
        place = place[step]
    place[last] = value
    if value is ...:
        del place[last]
    return config


def test_a_kubelet_starts_with_the_configuration() -> None:
    """Nothing is missing, misspelled or impossible; the page shows the same."""
    assert faults(CONFIG) == []
    assert yaml.safe_load(block("config")) == CONFIG


def test_the_comment_with_annotations_can_be_used() -> None:
    """The line that is switched off is right as well."""
    text, count = re.subn(r"# (requiredServiceAccountAnnotationKeys:)", r"\1", CONFIG_TEXT)
    config = yaml.safe_load(text)
    assert (count, faults(config)) == (1, [])
    assert config["providers"][0]["tokenAttributes"].keys() > CONFIG["providers"][0]["tokenAttributes"].keys()


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        pytest.param("name", "bin/provider", "name", id="a-path"),
        pytest.param("name", "..", "name", id="dots"),
        pytest.param("matchImages", [], "matchImages", id="no-images"),
        pytest.param("defaultCacheDuration", ..., "defaultCacheDuration", id="no-duration"),
        pytest.param("defaultCacheDuration", "1d", "defaultCacheDuration", id="days"),
        pytest.param(
            "apiVersion", "v1", "apiVersion of the provider; tokenAttributes with an older apiVersion", id="version"
        ),
        pytest.param("apiVersion", API_VERSION + "beta1", "tokenAttributes with an older apiVersion", id="beta"),
        pytest.param("cacheType", "Token", "unknown key cacheType", id="one-level-up"),
        pytest.param("tokenAttributes.cacheType", ..., "cacheType", id="no-cache-type"),
        pytest.param("tokenAttributes.cacheType", "Pod", "cacheType", id="cache-type"),
        pytest.param("tokenAttributes.serviceAccountTokenAudience", "", "serviceAccountTokenAudience", id="audience"),
        pytest.param("tokenAttributes.requireServiceAccount", ..., "requireServiceAccount", id="no-account"),
        pytest.param("tokenAttributes.requiredServiceAccountAnnotationKeys", ["a b"], "annotation", id="annotation"),
        pytest.param(
            "tokenAttributes.requiredServiceAccountAnnotationKeys", ["a", "a"], "an annotation twice", id="twice"
        ),
    ],
)
def test_a_kubelet_rejects_others(path: str, value: Any, fault: str) -> None:
    """Each rule finds what it should."""
    assert "; ".join(faults(changed(path, value))) == fault


def test_a_kubelet_rejects_a_file_as_a_whole() -> None:
    """No providers, a name twice, another kind."""
    assert faults({}) == ["apiVersion or kind", "no providers"]
    assert faults(CONFIG | {"providers": CONFIG["providers"] * 2}) == ["a name twice"]


def test_required_annotations_need_an_account() -> None:
    """There is none to look at in a static pod."""
    config = changed("tokenAttributes.requireServiceAccount", False)
    config["providers"][0]["tokenAttributes"]["requiredServiceAccountAnnotationKeys"] = ["a"]
    assert faults(config) == ["requiredServiceAccountAnnotationKeys without requireServiceAccount"]


def test_the_kubelet_takes_the_answer() -> None:
    """The token is returned as it came, which needs the cache type `Token`, and in the version of the request."""
    (provider,) = CONFIG["providers"]
    assert provider["tokenAttributes"]["cacheType"] == "Token"
    assert provider["apiVersion"] == API_VERSION
    assert os.access(FOLDER / provider["name"], os.X_OK)


@pytest.mark.parametrize(
    ("image", "is_matched"),
    [
        pytest.param("registry.example.com/web/site", True, id="registry"),
        pytest.param("registry.example.com:5000/web/site", False, id="port"),
        pytest.param("other.example.com/web/site", False, id="host"),
        pytest.param("a.registry.example.com/web/site", False, id="below"),
    ],
)
def test_images_of_the_configuration(image: str, is_matched: bool) -> None:
    """One registry, and no other gets a token."""
    assert any(matches(pattern, image) for pattern in CONFIG["providers"][0]["matchImages"]) is is_matched


@pytest.mark.parametrize(
    "image",
    ["registry.example.com/a", "Registry.Example.com:5000/a/b", "localhost/a", "[2001:db8::1]:5000/a", "docker.io/a/b"],
)
def test_the_kubelet_finds_the_credentials(image: str) -> None:
    """The key of the answer matches the image that it was asked for, and not that of a neighbor."""
    (key,) = json.loads(answer(request(image=image), NOW))["auth"]
    assert matches(key, image)
    assert not matches(key, f"x{image}")


def test_one_audience_everywhere() -> None:
    """Server, kubelet, permission and volume name the same, or nothing works."""
    server = yaml.safe_load(block("server", "contract"))["authentication"][0]["workload"]
    (source,) = POD["spec"]["volumes"][0]["projected"]["sources"]
    named = [
        server["audience"],
        CONFIG["providers"][0]["tokenAttributes"]["serviceAccountTokenAudience"],
        *ROLE["rules"][0]["resources"],
        source["serviceAccountToken"]["audience"],
    ]
    assert named == [AUDIENCE] * 4
    assert set(re.findall(r"--audience ([^\s)]+)", PAGE)) == {AUDIENCE}


def test_the_policy_of_the_page() -> None:
    """Every workload of a rule is declared, from the source of the server, with both claims."""
    server = yaml.safe_load(block("server", "contract"))["authentication"][0]["workload"]
    policy = yaml.safe_load(block("policy", "contract"))
    assert {rule["to"][0] for rule in policy["allow"]} == {f"workload:{name}" for name in policy["workloads"]}
    for workload in [*policy["workloads"].values(), policy["tests"][0]["as"]["workload"]]:
        assert (workload["from"], workload["claims"].keys()) == (server["name"], {"namespace", "serviceaccount"})
    claims = {"namespace": POD["metadata"]["namespace"], "serviceaccount": POD["spec"]["serviceAccountName"]}
    assert claims in [workload["claims"] for workload in policy["workloads"].values()]


def test_nodes_get_the_permission() -> None:
    """The verb that NodeRestriction asks for, in the core group, bound to all nodes."""
    (rule,) = ROLE["rules"]
    assert rule == {"verbs": ["request-serviceaccounts-token-audience"], "apiGroups": [""], "resources": [AUDIENCE]}
    assert BINDING["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": ROLE["metadata"]["name"],
    }
    assert [subject["name"] for subject in BINDING["subjects"]] == ["system:nodes"]


def test_the_pod_has_what_it_names() -> None:
    """Its account and volumes are there, and the token is where the login reads it."""
    spec = POD["spec"]
    (container,) = spec["containers"]
    assert ACCOUNT["metadata"] == {"namespace": POD["metadata"]["namespace"], "name": spec["serviceAccountName"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}
    (token,) = spec["volumes"][0]["projected"]["sources"]
    assert token["serviceAccountToken"]["expirationSeconds"] >= 600
    assert (
        f"< {container['volumeMounts'][0]['mountPath']}/{token['serviceAccountToken']['path']}\n"
        in container["args"][0]
    )
    assert yaml.safe_load(block("volume"))["volumes"] == spec["volumes"][:1]
    assert block("login") in container["args"][0]


def test_the_pod_logs_in_by_standard_input(tmp_path: Path) -> None:
    """The token is in no argument; then it pushes. A stand-in for skopeo writes down how it was called."""
    (container,) = POD["spec"]["containers"]
    (tmp_path / "token").write_text("the-token")
    (tmp_path / "skopeo").write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/called\ncat >>{tmp_path}/read\n')
    (tmp_path / "skopeo").chmod(0o755)
    script = container["args"][0].replace("/run/registry-token", str(tmp_path))
    environment = {"PATH": f"{tmp_path}:{os.defpath}"}
    subprocess.run([*container["command"], script], check=True, env=environment, stdin=subprocess.DEVNULL)
    assert (tmp_path / "read").read_text() == "the-token"
    assert [line.split()[0] for line in (tmp_path / "called").read_text().splitlines()] == ["login", "copy"]
    assert "the-token" not in (tmp_path / "called").read_text()


def test_the_daemon_set_installs_the_script(tmp_path: Path) -> None:
    """Into the folder that the page's flag names, executable, also over an older one."""
    daemon_set = yaml.safe_load(block("daemonset"))
    spec = daemon_set["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    (folder,) = re.findall(r"^--image-credential-provider-bin-dir=(\S+)$", PAGE, re.MULTILINE)
    assert spec["volumes"][1]["hostPath"]["path"] == folder
    assert daemon_set["spec"]["selector"]["matchLabels"] == daemon_set["spec"]["template"]["metadata"]["labels"]
    (tmp_path / "credential-provider").write_text("an older one")
    script = container["args"][0].replace("/script", str(FOLDER)).replace("/target", str(tmp_path))
    script, count = re.subn(r"exec sleep \d+\n", "", script)
    subprocess.run([*container["command"], script], check=True)
    assert count == 1
    assert [path.name for path in tmp_path.iterdir()] == ["credential-provider"]
    assert (tmp_path / "credential-provider").read_bytes() == (FOLDER / "credential-provider").read_bytes()
    assert os.access(tmp_path / "credential-provider", os.X_OK)


def test_the_page_shows_the_answer() -> None:
    """The members and their order, but for the token."""
    shown = block("answer")
    token = "…"
    real = answer(request(), NOW)
    assert re.sub(r'"password":"[^"]*"', f'"password":"{token}"', real) == shown.rstrip("\n")
