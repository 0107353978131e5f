"""Examination of providers: what is sent to them, and what comes of their answers."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_provider import FakeProvider, fake_provider

from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.doctor.examination.providers import examine_providers
from tokenserver.errors import LoadError

CONFIG = """\
issuer: auth.example.com
server: {{url: "https://auth.example.com"}}
registries: [{{service: reg}}]
authentication:
  - oidc: {{name: corp, preset: keycloak, issuer: "{url}", client_id: us, client_secret_file: secret, recheck: 1h}}
  - oidc: {{name: open, preset: keycloak, issuer: "{url}", client_id: them}}
policies: policies
keys: keys
storage: state/tokenserver.db
"""


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    """A provider."""
    with fake_provider() as running:
        yield running


def installed(folder: Path, url: str) -> Settings:
    """Two sources at one provider, one of them with a secret."""
    (folder / "c.yaml").write_text(CONFIG.format(url=url))
    secret = folder / "secret"
    secret.touch(mode=0o600)
    secret.write_text("hush hush")
    return load_settings(folder / "c.yaml", {})


def test_what_is_sent(fake: FakeProvider, tmp_path: Path) -> None:
    """A code that it never gave, with PKCE, by each client as at a login; its secret is in no finding.

    See docs/design/threats.md#threat-204.
    """
    found = examine_providers(installed(tmp_path, fake.url), "c.yaml")
    assert [(one.check, one.ok) for one in found] == 2 * [
        ("provider", True),
        ("provider client", True),
        ("provider login", True),
        ("provider logout", None),
    ]
    assert found[2].ours == "https://auth.example.com/login/callback/corp"
    forms = {form.get("client_id"): (form, sent) for form, sent in fake.forms}
    basic = base64.b64encode(b"us:hush+hush").decode()
    assert forms[None][1] == f"Basic {basic}"
    assert forms["them"][1] is None
    assert {form["grant_type"] for form, _ in fake.forms} == {"authorization_code"}
    assert len({form["code"] for form, _ in fake.forms}) == 2
    assert "hush" not in str(found)


@pytest.mark.parametrize(
    ("document", "check", "message"),
    [
        ({"issuer": "https://other.example.com"}, "provider", "is of another issuer"),
        ({"token_endpoint": None}, "provider", "has no usable token_endpoint, which"),
        ({"code_challenge_methods_supported": ["plain"]}, "provider", "does not list S256"),
        ({"scopes_supported": ["openid", "profile", "email"]}, "provider scopes", "offline_access"),
    ],
)
def test_faults(document: dict[str, object], check: str, message: str, fake: FakeProvider, tmp_path: Path) -> None:
    """What is wrong with the document, and nothing is sent to an endpoint of one that cannot be used."""
    fake.document = document
    first = next(one for one in examine_providers(installed(tmp_path, fake.url), "c.yaml") if one.is_actionable)
    assert first.check == check
    assert message in first.message
    assert bool(fake.forms) is (check != "provider")


def test_a_secret_that_cannot_be_read(fake: FakeProvider, tmp_path: Path) -> None:
    """Is a fault of the installation, as at the start of the server."""
    settings = installed(tmp_path, fake.url)
    (tmp_path / "secret").unlink()
    with pytest.raises(LoadError):
        examine_providers(settings, "c.yaml")
