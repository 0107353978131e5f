"""docs/github-actions.md and docs/gitlab-ci.md: their settings, policies, CI files and messages fit together.

These, and the policies of docs/kubernetes-workloads.md and docs/robots.md, fit into what `tokenserver init` makes.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import canaries
import pytest
import yaml
from click.testing import CliRunner
from workload_jwts import jwk, jwt, key_set, private_key

from tokenserver.authn.workload.presets import PRESETS
from tokenserver.cli import main

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("github-actions", "gitlab-ci")


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of this language."""
    text = (DOCS / f"{page}.md").read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def source_of(page: str) -> dict[str, Any]:
    """The workload source that the page configures."""
    found: dict[str, Any] = yaml.safe_load(blocks(page, "yaml")[0])["authentication"][0]["workload"]
    return found


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """An empty policy folder beside a key set of an issuer."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "jwks.json").write_bytes(key_set(jwk(private_key("RS256"), "k")))
    return tmp_path


def configure(site: Path, page: str) -> Path:
    """The configuration and the policy of the page; the keys are in a file, since nothing is fetched here."""
    settings = yaml.safe_load(blocks(page, "yaml")[0])
    settings["authentication"][0]["workload"]["keys"] = {"file": "jwks.json"}
    settings |= {"issuer": "auth.example.com", "server": {"url": "https://auth.example.com"}, "policies": "policies"}
    settings |= {"registries": [{"service": "registry.example.com"}], "keys": "keys"}
    (site / "policies" / "shop.yaml").write_text(blocks(page, "yaml")[1])
    path = site / "tokenserver.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def examined(config: Path, page: str, **claims: Any) -> tuple[int, list[str]]:
    """The exit code and the lines of `workload test` for a JWT with these claims."""
    source, now = source_of(page), int(time.time())
    payload = {"iss": source["issuer"], "aud": source["audience"], "iat": now, "exp": now + 283, **claims}
    token = jwt(payload, algorithm="RS256")
    canaries.know(token)
    result = CliRunner().invoke(main, ["workload", "test", "--config", str(config)], input=token)
    return result.exit_code, [line.strip() for line in result.output.splitlines()]


@pytest.mark.parametrize("page", PAGES)
def test_the_policy(page: str, site: Path) -> None:
    """It loads, its tests hold, and each workload has an anchor of the preset that the page configures."""
    config = configure(site, page)
    tested = CliRunner().invoke(main, ["policy", "test", "--config", str(config)])
    assert (tested.exit_code, tested.stderr) == (0, "")
    workloads = yaml.safe_load(blocks(page, "yaml")[1])["workloads"]
    preset = PRESETS[source_of(page)["preset"]]
    assert {one["from"] for one in workloads.values()} == {source_of(page)["name"]}
    assert all(preset.is_anchored(one["claims"]) for one in workloads.values())


@pytest.mark.parametrize("page", [*PAGES, "kubernetes-workloads", "robots"])
def test_after_init(page: str, tmp_path: Path) -> None:
    """Somebody who tries this server follows the page in what `tokenserver init` has made."""
    site = tmp_path / "site"
    assert CliRunner().invoke(main, ["init", str(site)]).exit_code == 0
    *sources, policy = blocks(page, "yaml")[: 1 if page == "robots" else 2]
    for text in sources:
        source = yaml.safe_load(text)["authentication"][0]
        source["workload"]["keys"] = {"file": "jwks.json"}
        (site / "jwks.json").write_bytes(key_set(jwk(private_key("RS256"), "k")))
        config = (site / "tokenserver.yaml").read_text()
        entry = "  - htpasswd: {file: users.htpasswd}\n"
        assert config.count(entry) == 1
        (site / "tokenserver.yaml").write_text(config.replace(entry, f"{entry}  - {json.dumps(source)}\n"))
    file = site / "policies" / "page.yaml"
    file.write_text(f"{policy}...\n")
    file.chmod(0o644)
    for command in (["check"], ["policy", "test"], ["policy", "lint"]):
        result = CliRunner().invoke(main, [*command, "--config", str(site / "tokenserver.yaml")])
        assert result.exit_code == 0, result.output


@pytest.mark.parametrize("page", PAGES)
def test_the_ci_file(page: str) -> None:
    """It is YAML, it asks for the configured audience, and it pushes where the policy allows it."""
    text = blocks(page, "yaml")[2]
    assert isinstance(yaml.safe_load(text), dict)
    assert source_of(page)["audience"] in text
    assert "registry.example.com/shop/prod/site" in text
    assert "--password-stdin" in text


def test_a_github_job(site: Path) -> None:
    """The page's own output, for a job in another environment; and a job that may release."""
    config = configure(site, "github-actions")
    ids = {"repository_owner_id": "65", "repository_id": "74"}
    sub = "repo:octo-org/shop:environment:"
    code, lines = examined(config, "github-actions", sub=f"{sub}staging", environment="staging", **ids)
    (shown,) = [one for one in blocks("github-actions", "") if "verified" in one]
    expected = [line.strip() for line in shown.splitlines()]
    assert code == 1
    assert [
        re.sub(r"\d+ s$", "283 s", line) for line in lines if re.sub(r"\d+ s$", "283 s", line) in expected
    ] == expected
    code, lines = examined(config, "github-actions", sub=f"{sub}production", environment="production", **ids)
    assert code == 0
    assert "workloads workload:shop-release" in lines


def test_a_pod(site: Path) -> None:
    """The page's command, for the service account of its example and for another one."""
    page = "kubernetes-workloads"
    (command,) = [one for one in blocks(page, "sh") if "workload test" in one]
    source = source_of(page)
    assert f"--audience {source['audience']} | tokenserver workload test" in command
    config = configure(site, page)
    pod = {"namespace": "web", "serviceaccount": {"name": "puller"}}
    code, lines = examined(config, page, sub="system:serviceaccount:web:puller", **{"kubernetes.io": pod})
    assert code == 0
    assert {"workloads workload:web-pods", "namespace = web", "kubernetes.io/namespace = web"} <= set(lines)
    other = {**pod, "serviceaccount": {"name": "default"}}
    code, lines = examined(config, page, sub="system:serviceaccount:web:default", **{"kubernetes.io": other})
    assert code == 1
    assert "not workload:web-pods: serviceaccount is default, not puller (shop.yaml:3)" in lines


def test_a_gitlab_job(site: Path) -> None:
    """A protected tag may push, and booleans are what GitLab sends: text."""
    config = configure(site, "gitlab-ci")
    claims = {"sub": "project_path:web/site:ref_type:tag:ref:v1", "project_id": "7", "ref_type": "tag"}
    code, lines = examined(config, "gitlab-ci", **claims, ref_protected="true")
    assert code == 0
    assert any(line.startswith("pull,push shop/prod/**") for line in lines)
    assert examined(config, "gitlab-ci", **claims, ref_protected="false")[0] == 1
