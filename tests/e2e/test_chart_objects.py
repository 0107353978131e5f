"""deploy/chart: what single objects say to those that read them: Prometheus, Grafana, service meshes and evictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.chart import CHART, Manifests, template
from harness.chart_values import GOOD, VALUES, changed

pytestmark = [pytest.mark.real("helm")]

MONITORING = CHART.parent / "monitoring"


def made(folder: Path, name: str, changes: dict[str, Any] | None = None) -> Manifests:
    """What helm makes of a row of `GOOD` with further changes."""
    values = changed(changed(VALUES, {"keys.ids": ["ID"]}), GOOD[name])
    output = template(folder, changed(values, changes or {}))
    assert output.ok, output
    return Manifests(output.stdout)


def test_the_alerts_watch_the_job_of_the_service_monitor(tmp_path: Path) -> None:
    """The operator names the job by a label of the Service: that of the alerts, whatever the release is called.

    By default it would be the name of the Service, and `absent(up{job="tokenserver"})` would fire for ever.
    """
    manifests = made(tmp_path, "monitoring", {"fullnameOverride": "auth"})
    monitor = manifests.one("ServiceMonitor", "auth")["spec"]
    labels = manifests.one("Service", "auth-metrics")["metadata"]["labels"]
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    (group,) = manifests.one("PrometheusRule", "auth")["spec"]["groups"]
    (down,) = (rule["expr"] for rule in group["rules"] if rule["alert"] == "TokenserverDown")
    assert f'absent(up{{job="{labels[monitor["jobLabel"]]}"}})' in down


def test_the_rules_are_those_of_the_file(tmp_path: Path) -> None:
    """Expressions and texts are not templates of helm; each alert links to the runbook where the values say it is."""
    (group,) = made(tmp_path, "monitoring").one("PrometheusRule")["spec"]["groups"]
    (own,) = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    for rule in own["rules"]:
        section = rule["annotations"]["runbook_url"].removeprefix("docs/runbook.md#")
        rule["annotations"]["runbook_url"] = f"https://docs.example.com/runbook.html#{section}"
    assert group == own


def test_the_dashboard_is_that_of_the_file(tmp_path: Path) -> None:
    """The ConfigMap has the label by which the sidecar of Grafana finds it."""
    found = made(tmp_path, "monitoring").one("ConfigMap", "tokenserver-dashboard")
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert found["metadata"]["annotations"] == {"grafana_folder": "Registries"}
    assert found["data"] == {"tokenserver.json": (MONITORING / "dashboard.json").read_text()}


def test_variables_of_the_container_that_makes_the_keys(tmp_path: Path) -> None:
    """It has those of the server: `TOKENSERVER_ISSUER` would otherwise be another name than that of the token CA."""
    variable = {"name": "TOKENSERVER_ISSUER", "value": "other.example.com"}
    more = [{"configMapRef": {"name": "more"}}]
    (keys,) = made(tmp_path, "rotating-keys", {"extraEnv": [variable], "extraEnvFrom": more}).pod["initContainers"]
    assert variable in keys["env"]
    assert keys["envFrom"] == more


def test_git_sync_trusts_an_authority_of_the_company(tmp_path: Path) -> None:
    """Both containers of git-sync have the variables and mounts that the values give them."""
    pod = made(tmp_path, "git-with-a-private-authority").pod
    for container in (pod["initContainers"][0], next(one for one in pod["containers"] if one["name"] == "git-sync")):
        assert {"name": "GIT_SSL_CAINFO", "value": "/authorities/ca.crt"} in container["env"]
        assert {"name": "authorities", "mountPath": "/authorities", "readOnly": True} in container["volumeMounts"]


@pytest.mark.parametrize(("name", "protocol"), [("tls", "https"), ("minimal", None)])
def test_the_protocol_of_the_service(name: str, protocol: str | None, tmp_path: Path) -> None:
    """With a certificate the port called http carries HTTPS, and says so to service meshes."""
    (port,) = made(tmp_path, name).one("Service")["spec"]["ports"]
    assert port.get("appProtocol") == protocol


def test_replicas_that_are_not_ready_do_not_keep_a_node(tmp_path: Path) -> None:
    """A node with replicas that end again and again can be drained."""
    budget = made(tmp_path, "minimal").one("PodDisruptionBudget")["spec"]
    assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
