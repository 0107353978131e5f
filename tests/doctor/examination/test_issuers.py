"""The examination of issuers: what the server would fetch is fetched from here."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from fake_issuer import fake_issuer
from harness.misfits import Reply
from workload_jwts import jwk, key_set, private_key

from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.doctor.examination.issuers import examine_issuers
from tokenserver.policy.loading.loader import load_policies

CONFIG = """\
issuer: auth.example.com
server: {{url: "https://auth.example.com"}}
registries: [{{service: reg}}]
authentication:
  - workload: {{name: ci, preset: kubernetes, issuer: "{url}"}}
  - workload: {{name: other, preset: kubernetes, issuer: "{url}", audience: x, keys: {{url: "{url}/keys"}}}}
policies: policies
keys: keys
"""
POLICY = """\
version: 1
workloads: {web: {from: ci, claims: {namespace: web, serviceaccount: puller}}}
allow: [{id: a, to: ["workload:web"], repositories: ["**"], role: reader}]
"""


def installed(folder: Path, url: str) -> Settings:
    """Two sources of one issuer, of which policies use one."""
    (folder / "c.yaml").write_text(CONFIG.format(url=url))
    (folder / "policies").mkdir()
    (folder / "policies" / "p.yaml").write_text(POLICY)
    return load_settings(folder / "c.yaml", {})


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        pytest.param(
            Reply(200, (), key_set(jwk(private_key("ES256"), "k"))),
            [("workload issuer", True), ("workload issuer", True), ("workload issuer", None)],
            id="well",
        ),
        pytest.param(
            Reply(403),
            [("workload issuer", False), ("workload issuer", False), ("workload issuer", None)],
            id="forbidden",
        ),
    ],
)
def test_issuers(keys: Reply, expected: list[tuple[str, bool | None]], tmp_path: Path) -> None:
    """Each source in its order, by discovery and by a URL; the one that no policy uses has a note."""
    with fake_issuer() as issuer:
        issuer.serve(b"")
        issuer.replies["/keys"] = keys
        settings = installed(tmp_path, issuer.url)
        policies = load_policies(settings.policies, now=datetime.now(UTC), workload_sources=settings.workload_claims)
        found = examine_issuers(settings, "c.yaml", policies)
    assert [(one.check, one.ok) for one in found] == expected
    assert found[-1].message.startswith("other: no policy file declares a workload of it")
    fixes = [one.fix for one in found if one.fix is not None]
    assert all("c.yaml" in fix for fix in fixes)
