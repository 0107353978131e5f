"""The examination of this installation: its files, its keys, its own server, and each registry with an address."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from fake_registry import NO_ANSWER, URL, FakeSites, answered, asking
from harness.misfits import blackhole, silent, trickler
from harness.processes import free_port

from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.doctor.examination import installation
from tokenserver.doctor.examination.installation import examine_installation
from tokenserver.doctor.examination.our_side import our_sides
from tokenserver.doctor.examination.token import Baseline
from tokenserver.doctor.examination.visiting import requests as module
from tokenserver.doctor.findings import Finding, failed
from tokenserver.doctor.http import Outcome
from tokenserver.errors import LoadError
from tokenserver.keys.ring import Algorithm
from tokenserver.keys.store import init_keys

NOW = datetime.now(UTC)
OURS = "https://auth.example.com"
ACCOUNT = "https://account.example.com"
CONFIG = f"""\
issuer: auth.example.com
server: {{url: "{OURS}"}}
registries:
  - {{service: registry.example.com, url: "{URL}"}}
  - {{service: hidden.example.com}}
authentication: []
anonymous: true
policies: policies
keys: keys
"""
ASKS = answered(401, {"code": "authentication_required"}, www_authenticate='Basic realm="auth.example.com"')
POLICY = 'version: 1\nallow:\n  - {id: a, to: [everyone], repositories: ["**"], role: reader}\n'


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation that is right, but for users: there are none."""
    return installed(tmp_path, CONFIG)


def installed(tmp_path: Path, config: str) -> Settings:
    """Such a configuration, with its policies and keys."""
    (tmp_path / "c.yaml").write_text(config)
    (tmp_path / "policies").mkdir(mode=0o755)
    (tmp_path / "policies" / "p.yaml").write_text(POLICY)
    init_keys(tmp_path / "keys", issuer="auth.example.com", algorithm=Algorithm.ES256, now=NOW)
    return load_settings(tmp_path / "c.yaml", {})


def examined(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, *, is_up: bool = True, management: Outcome = NO_ANSWER
) -> list[Finding]:
    """The findings, with a registry at the address that answers, our own server if it is up, and its other listener."""
    sides = our_sides(settings, None, NOW)
    keys = {"keys": [{"kid": sides.general.ours.active.names.rfc7638}]}
    sites = FakeSites(
        ring=sides.general.ring,
        outcomes={
            f"{OURS}/.well-known/jwks.json": answered(200, keys) if is_up else NO_ANSWER,
            f"{ACCOUNT}/api/v1/whoami": management,
        },
    )
    monkeypatch.setattr(module, "fetch", sites.fetch)
    return examine_installation(settings, Baseline(sides, None, None, None, NOW), asking())


def test_a_good_installation(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules, keys, server and the registry that has an address; the other one is named as not visited."""
    found = examined(settings, monkeypatch)
    passed = [one.message for one in found if one.ok]
    assert any("1 rules, all tests pass" in message for message in passed)
    assert any(message.startswith("ES256 until ") for message in passed)
    assert "the registry accepts the token" in passed
    assert [one.ours for one in found if "was not visited" in one.message] == ["hidden.example.com"]
    assert [one for one in found if one.ok is False] == []


def test_issuers_of_workloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is down is a fault, and everything else is examined as before."""
    issuer = f"http://localhost:{free_port()}"
    source = f'[{{workload: {{name: ci, preset: gitlab_ci, issuer: "{issuer}"}}}}]'
    found = examined(
        installed(tmp_path, CONFIG.replace("authentication: []", f"authentication: {source}")), monkeypatch
    )
    assert [(one.check, one.ours) for one in found if one.ok is False] == [("workload issuer", issuer)]
    assert "the registry accepts the token" in [one.message for one in found]


def test_warnings_are_findings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `check` gives them."""
    found = examined(settings, monkeypatch)
    warnings = [one.message for one in found if one.check == "configuration" and one.ok is None]
    assert warnings == ["authentication is empty: every client is anonymous"]


def test_a_server_that_is_down(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is a failure, and the registries are visited all the same."""
    found = examined(settings, monkeypatch, is_up=False)
    assert [one.check for one in found if one.ok is False] == ["server"]
    assert "the registry accepts the token" in [one.message for one in found]


@pytest.mark.parametrize("is_up", [True, False], ids=["server answers", "server is silent too"])
def test_five_dead_registries_end_together(is_up: bool, tmp_path: Path) -> None:
    """Nothing listens, no connection, silence, half an answer, a byte now and then: one deadline for all."""
    over = 2.0
    with ExitStack() as stack:
        ports = {
            "nothing listens": free_port(),
            "no connection": stack.enter_context(blackhole()),
            "no answer": stack.enter_context(silent()),
            "no end of the answer": stack.enter_context(silent(b"HTTP/1.1 401 x\r\nContent-Length: 9\r\n\r\n")),
            "no answer in": stack.enter_context(trickler(30)),
        }
        server = free_port() if is_up else stack.enter_context(silent())
        entries = [
            {"service": f"r{number}.test", "url": f"http://127.0.0.1:{port}"}
            for number, port in enumerate(ports.values())
        ]
        whole = yaml.safe_load(CONFIG) | {"registries": entries, "server": {"url": f"http://127.0.0.1:{server}"}}
        settings = installed(tmp_path, yaml.safe_dump(whole))
        started = time.monotonic()
        baseline = Baseline(our_sides(settings, None, NOW), None, None, None, NOW)
        found = examine_installation(settings, baseline, asking(over))
        assert time.monotonic() - started < over + 1.5
    assert [one.check for one in found if one.ok is False] == ["server", *["registry"] * 5]
    for (words, port), finding in zip(ports.items(), (one for one in found if one.check == "registry"), strict=True):
        assert words in finding.message, finding
        assert f"127.0.0.1:{port}" in finding.message
        assert ("GET /v2/" in finding.message) is (words != "nothing listens")


@pytest.mark.parametrize(
    ("outcome", "is_up", "faults"),
    [
        pytest.param(ASKS, True, [], id="answers"),
        pytest.param(answered(404, {"errors": [{"code": "UNSUPPORTED"}]}), True, ["management"], id="public listener"),
        pytest.param(NO_ANSWER, True, ["management"], id="down"),
        pytest.param(NO_ANSWER, False, ["server", "management"], id="both down"),
    ],
)
def test_the_listener_for_management(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, is_up: bool, faults: list[str]
) -> None:
    """It is visited at its own URL, whether the public one answers or not."""
    more = f'management: "127.0.0.1:5002", management_url: "{ACCOUNT}", url:'
    settings = installed(tmp_path, CONFIG.replace("url:", more, 1) + "storage: state.db\n")
    found = examined(settings, monkeypatch, is_up=is_up, management=outcome)
    assert [one.check for one in found if one.ok is False and one.check != "storage"] == faults
    assert ("management" in [one.check for one in found if one.ok]) is (not faults)


def test_files_with_which_the_server_would_not_start(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to examine."""
    (settings.policies / "p.yaml").write_text("version: 1\nalow: []\n")
    with pytest.raises(LoadError):
        examined(settings, monkeypatch)


def test_the_same_fault_of_two_registries(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each registry has its own finding, and only one."""
    fault = failed("issuer", "the registry expects another issuer", "set issuer")
    monkeypatch.setattr(installation, "visit_registry", lambda *_: ([fault, fault], None))
    both = [one.model_copy(update={"url": URL}) for one in settings.registries]
    found = examined(settings.model_copy(update={"registries": tuple(both)}), monkeypatch)
    assert [one for one in found if one.check == "issuer"] == [fault, fault]
