"""deploy/monitoring/alerts.yaml in promtool: each alert fires on its fault, and stays silent on what is no fault.

The last test scrapes a real server with a real Prometheus.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import web
from harness.processes import Daemon, answers, free_port, plain_environment, run
from harness.programs import ROOT, need
from harness.registries import KEEPER
from harness.server import Setup, serving
from harness.waiting import PATIENCE_SECONDS

RULES = ROOT / "deploy" / "monitoring" / "alerts.yaml"
DAY = 86400
HERE = 'job="tokenserver",instance="a:9090"'
THERE = 'job="tokenserver",instance="b:9090"'

Series = tuple[str, str]
"""The labels beyond those of the target, as `name{labels}`, and the values of one a minute."""

CASES: dict[str, tuple[str, tuple[Series, ...], tuple[Series, ...]]] = {
    "no answer": ("TokenserverDown critical", (("up", "0x30"),), (("up", "1x30"),)),
    "gone from the scrape": ("TokenserverDown critical", (("up{job='other'}", "1x30"),), (("up", "1x30"),)),
    "no worker": (
        "TokenserverDown critical",
        (("up", "1x30"), ("tokenserver_workers", "0x30")),
        (("up", "1x30"), ("tokenserver_workers", "2x30")),
    ),
    "a part is not ready": (
        "TokenserverNotReady critical",
        (("tokenserver_not_ready{part='policies'}", "2x30"),),
        (("tokenserver_not_ready{part='files'}", "2x30"), ("tokenserver_not_ready{part='policies'}", "0 2 0x28")),
    ),
    "two of a hundred fail": (
        "TokenserverErrors critical",
        (
            ("tokenserver_exchanges_total{outcome='error'}", "0+2x30"),
            ("tokenserver_exchanges_total{outcome='granted'}", "0+98x30"),
        ),
        (
            ("tokenserver_exchanges_total{outcome='unavailable'}", "0+1x30"),
            ("tokenserver_exchanges_total{outcome='granted'}", "0+999x30"),
            ("tokenserver_exchanges_total{outcome='denied'}", "0+999x30"),
        ),
    ),
    "slow": (
        "TokenserverSlow warning",
        (
            ("tokenserver_exchange_seconds_bucket{outcome='granted',le='1.0'}", "0+90x30"),
            ("tokenserver_exchange_seconds_bucket{outcome='granted',le='2.5'}", "0+100x30"),
            ("tokenserver_exchange_seconds_bucket{outcome='granted',le='+Inf'}", "0+100x30"),
        ),
        (
            ("tokenserver_exchange_seconds_bucket{outcome='granted',le='1.0'}", "0+1000x30"),
            ("tokenserver_exchange_seconds_bucket{outcome='granted',le='+Inf'}", "0+1000x30"),
            ("tokenserver_exchange_seconds_bucket{outcome='invalid_credentials',le='1.0'}", "0x30"),
            ("tokenserver_exchange_seconds_bucket{outcome='invalid_credentials',le='+Inf'}", "0+1000x30"),
        ),
    ),
    "a full queue": (
        "TokenserverOverloaded warning",
        (("tokenserver_sent_away_total", "0+60x30"), ("tokenserver_unavailable_total{reason='overloaded'}", "0x30")),
        (("tokenserver_sent_away_total", "7x30"), ("tokenserver_unavailable_total{reason='overloaded'}", "3x30")),
    ),
    "many wrong passwords": (
        "TokenserverThrottled warning",
        (("tokenserver_exchanges_total{outcome='throttled'}", "0+120x30"),),
        (("tokenserver_exchanges_total{outcome='throttled'}", "0+30x30"),),
    ),
    "a collector that refuses": (
        "TokenserverTraces warning",
        (("tokenserver_trace_spans_total{result='not_taken'}", "0+5x30"),),
        (
            ("tokenserver_trace_spans_total{result='exported'}", "0+500x30"),
            ("tokenserver_trace_spans_total{result='queue_full'}", "7x30"),
        ),
    ),
    "no Redis": (
        "TokenserverThrottleLocal warning",
        (("tokenserver_throttle_fallback", "1x30"),),
        (("tokenserver_throttle_fallback", "0 1 0x28"),),
    ),
    "a breaker that tries again": (
        "TokenserverDirectoryDown critical",
        (
            ("tokenserver_breaker{source='corp',state='open'}", "1 0 1 0 1 0 1 0x23"),
            ("tokenserver_breaker{source='corp',state='half-open'}", "0 1 0 1 0 1 0 1x23"),
        ),
        (
            ("tokenserver_breaker{source='corp',state='closed'}", "2x30"),
            ("tokenserver_breaker{source='corp',state='open'}", "0 1 0x28"),
        ),
    ),
    "a directory without a breaker": (
        "TokenserverSourceUnavailable warning",
        (("tokenserver_unavailable_total{backend='corp',reason='incomplete'}", "0+6x30"),),
        (("tokenserver_unavailable_total{backend='corp',reason='overloaded'}", "0+6x30"),),
    ),
    "an issuer without keys": (
        "TokenserverIssuerKeys warning",
        (("tokenserver_issuer_keys_failing{source='ci'}", "1x30"),),
        (("tokenserver_issuer_keys_failing{source='ci'}", "1x5 0x25"),),
    ),
    "old keys of an issuer": (
        "TokenserverIssuerKeysOld critical",
        (("tokenserver_issuer_keys_age_seconds{source='ci'}", "43201+60x30"),),
        (("tokenserver_issuer_keys_age_seconds{source='ci'}", "300+60x30"),),
    ),
    "two weeks": (
        "TokenserverCertificateEnds warning",
        (("tokenserver_certificate_expiry_seconds{keys='keys',certificate='ca'}", f"{14 * DAY}-60x30"),),
        (("tokenserver_certificate_expiry_seconds{keys='keys',certificate='ca'}", f"{15 * DAY}-60x30"),),
    ),
    "two days": (
        "TokenserverCertificateEnds critical",
        (("tokenserver_certificate_expiry_seconds{keys='keys',certificate='signing'}", f"{2 * DAY}-60x30"),),
        (("tokenserver_certificate_expiry_seconds{keys='keys',certificate='signing'}", f"{3 * DAY}-60x30"),),
    ),
    "two weeks of TLS": (
        "TokenserverTlsCertificateEnds warning",
        (("tokenserver_tls_certificate_expiry_seconds", f"{14 * DAY}-60x30"),),
        (("tokenserver_tls_certificate_expiry_seconds", f"{15 * DAY}-60x30"),),
    ),
    "two days of TLS": (
        "TokenserverTlsCertificateEnds critical",
        (("tokenserver_tls_certificate_expiry_seconds", f"{2 * DAY}-60x30"),),
        (("tokenserver_tls_certificate_expiry_seconds", f"{3 * DAY}-60x30"),),
    ),
    "a wrong signature": (
        "TokenserverSigning critical",
        (("tokenserver_signing_failures_total", "0x25 1x5"),),
        (("tokenserver_signing_failures_total", "4x30"),),
    ),
    "lost events": (
        "TokenserverAudit critical",
        (("tokenserver_audit_failures_total", "0x25 1x5"),),
        (("tokenserver_audit_failures_total", "4x30"), ("tokenserver_not_ready{part='audit'}", "0x30")),
    ),
    "a blocked trail": (
        "TokenserverAudit critical",
        (("tokenserver_not_ready{part='audit'}", "1x30"),),
        (("tokenserver_not_ready{part='files'}", "1x30"),),
    ),
    "a registry with an old secret": (
        "TokenserverReports warning",
        (("tokenserver_registry_reports_refused_total{service='reg',outcome='invalid_credentials'}", "0+1x30"),),
        (("tokenserver_registry_reports_refused_total{service='reg',outcome='unavailable'}", "0x5 9x25"),),
    ),
    "a registry without reports": (
        "TokenserverReportsSilent warning",
        (
            ("tokenserver_registry_push_tokens_total{service='reg'}", "0+1x80"),
            (f"tokenserver_registry_push_tokens_total{{{THERE},service='reg'}}", "0+1x80"),
            ("tokenserver_registry_push_tokens_total{service='quiet'}", "0x80"),
            ("tokenserver_registry_reports_total{service='reg',action='push'}", "9x80"),
            ("tokenserver_registry_reports_total{service='other',action='push'}", "0+1x80"),
        ),
        (
            ("tokenserver_registry_push_tokens_total{service='reg'}", "0+1x80"),
            ("tokenserver_registry_push_tokens_total{service='rare'}", "0x50 1 2x29"),
            ("tokenserver_registry_reports_total{service='reg',action='push'}", "0x80"),
            (f"tokenserver_registry_reports_total{{{THERE},service='reg',action='push'}}", "0x40 1x40"),
        ),
    ),
    "a rejected file": (
        "TokenserverFilesRejected warning",
        (("tokenserver_not_ready{part='files'}", "1x30"),),
        (("tokenserver_not_ready{part='policies'}", "1x30"), ("tokenserver_not_ready{part='files'}", "0 1 0x28")),
    ),
    "files without rest": (
        "TokenserverSlowReload warning",
        (("tokenserver_reload_delay_seconds{files='policies',state='changing'}", "0 60+60x28"),),
        (("tokenserver_reload_delay_seconds{files='policies',state='loading'}", "4x30"),),
    ),
    "a restart is due": (
        "TokenserverConfiguration warning",
        (("tokenserver_configuration_pending{state='restart'}", "1x30"),),
        (("tokenserver_configuration_pending{state='restart'}", "1x5 0x25"),),
    ),
    "a replica with old policies": (
        "TokenserverPoliciesDiffer warning",
        (("tokenserver_policy_info{digest='aa'}", "2x30"), (f"tokenserver_policy_info{{{THERE},digest='bb'}}", "2x30")),
        (("tokenserver_policy_info{digest='aa'}", "2x30"), (f"tokenserver_policy_info{{{THERE},digest='aa'}}", "2x30")),
    ),
    "no storage": (
        "TokenserverStorage critical",
        (("tokenserver_storage_age_seconds", "0+60x30"),),
        (("tokenserver_storage_age_seconds", "1x30"),),
    ),
    "a wrong seal": (
        "TokenserverStoredCredentials critical",
        (("tokenserver_stored_credentials_refused_total", "0x25 1x5"),),
        (("tokenserver_stored_credentials_refused_total", "3x30"),),
    ),
    "an access key ends": (
        "TokenserverKeyEnds warning",
        (("tokenserver_credential_expires_seconds{form='key'}", f"{13 * DAY}-60x80"),),
        (("tokenserver_credential_expires_seconds{form='key'}", f"{20 * DAY}-60x80"),),
    ),
    "a clock goes back": (
        "TokenserverClock warning",
        (("tokenserver_clock_jump_seconds", "-3600x30"),),
        (("tokenserver_clock_jump_seconds", "2x30"),),
    ),
}


def rules() -> list[dict[str, Any]]:
    """All alerts of the file."""
    document = yaml.safe_load(RULES.read_text("utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def series_of(one: Series) -> dict[str, str]:
    """A series of promtool, with the labels that every scraped one has."""
    name, _, labels = one[0].rstrip("}").partition("{")
    labels = labels.replace("'", '"')
    rest = [] if "job=" in labels else [HERE]
    return {"series": f"{name}{{{','.join([*rest, *([labels] if labels else [])])}}}", "values": one[1]}


def expectation(name: str, alert: str, series: tuple[Series, ...], expected: int) -> dict[str, Any]:
    """A test for promtool: this alert fires as often as expected."""
    which, severity = alert.split()
    count = f'count(ALERTS{{alertname="{which}",severity="{severity}",alertstate="firing"}}) or vector(0)'
    question = f'label_replace({count}, "case", "<{name}>", "", "")'  # promtool names what fails by its expression
    minutes = "75m" if which in {"TokenserverKeyEnds", "TokenserverReportsSilent"} else "28m"
    sample = {
        "expr": question,
        "eval_time": minutes,
        "exp_samples": [{"labels": f'{{case="<{name}>"}}', "value": expected}],
    }
    inputs = [series_of(one) for one in series]
    return {"interval": "1m", "input_series": inputs, "promql_expr_test": [sample]}


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The tests that promtool finds wrong, by name: all cases in one run."""
    tests = [expectation(f"fires: {name}", alert, faulty, 1) for name, (alert, faulty, _) in CASES.items()]
    tests += [expectation(f"silent: {name}", alert, healthy, 0) for name, (alert, _, healthy) in CASES.items()]
    tests += [expectation("wrong", "TokenserverDown critical", (("up", "0x30"),), 0)]
    folder = tmp_path_factory.mktemp("promtool")
    document = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    (folder / "test.yaml").write_text(yaml.safe_dump(document))
    output = run([need("promtool"), "test", "rules", "test.yaml"], environment={}, folder=folder)
    assert "got:" in output.text, str(output)
    return set(re.findall(r'expr: "label_replace.*<([^>]+)>', output.text))


def test_the_rules_are_valid(tmp_path: Path) -> None:
    """Expressions and templates, as Prometheus reads them."""
    output = run([need("promtool"), "check", "rules", RULES], environment={}, folder=tmp_path)
    assert output.ok, str(output)
    assert f"{len(rules())} rules found" in output.text


@pytest.mark.parametrize("case", CASES)
def test_it_fires(case: str, failed: set[str]) -> None:
    """Once, for one fault."""
    assert f"fires: {case}" not in failed


@pytest.mark.parametrize("case", CASES)
def test_it_does_not_fire(case: str, failed: set[str]) -> None:
    """Neither on health, nor on what has another alert, nor on what ends before somebody could look."""
    assert f"silent: {case}" not in failed


def test_a_wrong_expectation_is_noticed(failed: set[str]) -> None:
    """The tests above can fail."""
    assert "wrong" in failed


def test_every_alert_has_a_case() -> None:
    """A rule without a test may never fire."""
    assert {name for name, _, _ in CASES.values()} == {f"{one['alert']} {one['labels']['severity']}" for one in rules()}


def test_a_real_prometheus_fires(setup: Setup, tmp_path: Path) -> None:
    """It scrapes a server whose policies turn faulty; the alert is silent before, and fires afterwards."""
    program = need("prometheus")
    port = free_port()
    settings = {"server": {"workers": 1, "metrics": f"127.0.0.1:{port}"}}
    small = replace(setup, people={KEEPER: setup.people[KEEPER]}, settings=settings)
    (tmp_path / "alerts.yaml").write_text(re.sub(r"for: \d+[mh]", "for: 1s", RULES.read_text("utf-8")))
    target = {"job_name": "tokenserver", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
    times = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
    (tmp_path / "prometheus.yaml").write_text(
        yaml.safe_dump({"global": times, "rule_files": ["alerts.yaml"], "scrape_configs": [target]})
    )
    listen = free_port()
    command: list[str | Path] = [program, "--config.file=prometheus.yaml", "--storage.tsdb.path=data"]
    command += [f"--web.listen-address=127.0.0.1:{listen}", "--web.console.libraries=.", "--web.console.templates=."]

    def query(text: str) -> list[dict[str, Any]]:
        answer = web.request(listen, "GET", f"/api/v1/query?query={text}")
        found: list[dict[str, Any]] = json.loads(answer.body)["data"]["result"] if answer.status == 200 else []
        return found

    def eventually(text: str) -> list[dict[str, Any]]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := query(text)) and time.monotonic() < deadline:
            time.sleep(0.2)
        return found

    (tmp_path / "site").mkdir()
    daemon = Daemon("prometheus", command, environment=plain_environment(tmp_path), folder=tmp_path)
    with serving(tmp_path / "site", small) as server:
        try:
            daemon.start(lambda: answers(listen))
            assert eventually("tokenserver_workers==1"), daemon.log[-2000:]
            assert eventually('tokenserver_not_ready{part="files"}'.replace('"', "%22"))
            assert query("ALERTS%7Balertname=%22TokenserverFilesRejected%22%7D") == []
            (server.folder / "policies" / "root.yaml").write_text("version: 1\nallow: nonsense\n")
            (alert,) = eventually("ALERTS%7Balertname=%22TokenserverFilesRejected%22,alertstate=%22firing%22%7D")
        finally:
            daemon.stop()
    assert (alert["metric"]["instance"], alert["metric"]["severity"]) == (f"127.0.0.1:{port}", "warning")


def test_the_queries_of_the_dashboard_are_valid(tmp_path: Path) -> None:
    """Each is a rule that promtool reads, with a value for each variable of Grafana."""
    dashboard = json.loads((ROOT / "deploy" / "monitoring" / "dashboard.json").read_text("utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    values = {"$__rate_interval": "5m", "$job": "tokenserver", "$instance": "a:9090|b:9090"}
    recorded = []
    for number, query in enumerate(queries):
        for variable, value in values.items():
            query = query.replace(variable, value)  # noqa: PLW2901 - one variable after the other
        recorded.append({"record": f"panel_{number}", "expr": query})
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    output = run([need("promtool"), "check", "rules", "queries.yaml"], environment={}, folder=tmp_path)
    assert output.ok, str(output)
    assert f"{len(queries)} rules found" in output.text
