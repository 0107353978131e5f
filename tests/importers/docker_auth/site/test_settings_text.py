"""The settings of an imported site: what they say, and what the report says about them."""

from __future__ import annotations

import pytest
import yaml

from tokenserver.importers.docker_auth.reader import read_docker_auth
from tokenserver.importers.docker_auth.site.settings_text import ImportedSite, settings_yaml

REST = "acl: []\nusers: {}\n"
SITE = ImportedSite(("one",), "universal")

KEYS = {
    "an address": ("server: {addr: '10.0.0.1:99'}", ("server", "listen"), "10.0.0.1:99", "exact"),
    "all addresses": ("server: {addr: ':99'}", ("server", "listen"), "127.0.0.1:99", "different"),
    "a socket": ("server: {addr: /run/x, net: unix}", ("server", "listen"), "127.0.0.1:5001", "not translated"),
    "an issuer": ("token: {issuer: us, expiration: 900}", ("issuer",), "us", "exact"),
    "no issuer": ("token: {expiration: 900}", ("issuer",), "tokenserver", "not translated"),
    "a short lifetime": ("token: {expiration: 5}", ("registries", 0, "token_lifetime"), "60s", "different"),
    "a long lifetime": ("token: {expiration: 90000}", ("registries", 0, "token_lifetime"), "3600s", "different"),
}


@pytest.mark.parametrize(("text", "path", "expected", "verdict"), KEYS.values(), ids=KEYS)
def test_keys(text: str, path: tuple[str | int, ...], expected: str, verdict: str) -> None:
    """Each has a verdict."""
    written, draft = settings_yaml(read_docker_auth(f"{text}\n{REST}", "auth.yml"), SITE)
    value = yaml.safe_load(written)
    for key in path:
        value = value[key]
    assert value == expected
    assert verdict in {str(construct.verdict) for construct in draft.constructs}


REPORTED = {
    "a prefix": "server: {path_prefix: /auth}",
    "a certificate": "server: {certificate: a.pem, key: a.key}",
    "TLS": "server: {tls_min_version: TLS12}",
    "HSTS": "server: {hsts: true}",
    "a header": "server: {real_ip_header: X-Forwarded-For}",
    "a program": "ext_auth: {command: /bin/x, args: [a]}",
    "a program without arguments": "ext_auth: {command: /bin/x}",
    "a database": "xorm_auth: {database_type: postgres, conn_string: 'postgres://u:secret-word@h/d'}",
    "another database": "xorm_auth: {database_type: mysql, conn_string: 'u:secret-word@tcp(h)/d'}",
    "GitHub": "github_auth: {organization: x, client_secret: secret-word}",
    "Google": "google_auth: {client_id: x, client_secret: secret-word}",
    "OIDC": "oidc_auth: {issuer: 'https://x.example.com', client_id: x, client_secret: secret-word}",
    "MongoDB": "mongo_auth: {collection: x}",
    "rules elsewhere": "ext_authz: {command: /bin/x}",
    "a directory": "ldap_auth: {addr: 'x:389', base: o=x, bind_password_file: p, filter: '(uid=${account})'}",
}


@pytest.mark.parametrize("text", REPORTED.values(), ids=REPORTED)
def test_reported(text: str) -> None:
    """What has no counterpart is in the report or the next steps, and no secret is repeated."""
    config = read_docker_auth(f"{text}\n{REST}", "auth.yml")
    written, draft = settings_yaml(config, SITE)
    _, plain = settings_yaml(read_docker_auth(REST, "auth.yml"), SITE)
    assert yaml.safe_load(written)["registries"] == [{"service": "one", "compat": "universal", "token_lifetime": "60s"}]
    assert len(draft.constructs) + len(draft.steps) > len(plain.constructs) + len(plain.steps)
    assert "secret-word" not in written + repr(draft.constructs) + repr(draft.steps)


def test_a_directory_that_is_whole() -> None:
    """It is used as it is; anonymous clients and the URL are as the operator says."""
    text = "ldap_auth: {addr: 'x:636', base: o=x, bind_dn: cn=x, bind_password_file: p, filter: '(uid=${account})'}"
    site = ImportedSite(
        ("one",),
        "universal",
        "https://a.example.com",
        is_anonymous=True,
        copied={"bind_password_file": "ldap-password"},
    )
    written, draft = settings_yaml(read_docker_auth(f"{text}\n{REST}", "auth.yml"), site)
    settings = yaml.safe_load(written)
    assert settings["authentication"][1]["ldap"]["url"] == "ldaps://x:636"
    assert (settings["anonymous"], settings["server"]["url"]) == (True, "https://a.example.com")
    assert not any("server.url" in step for step in draft.steps)
