"""The reference configuration with every key, its variables, and what loading a changed one gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.errors import LoadError

REFERENCE = """\
issuer: auth.example.com
server:
  listen: 127.0.0.1:5001
  management: 127.0.0.1:5003
  management_url: https://account.example.com
  metrics: 127.0.0.1:9090
  notifications: 127.0.0.1:5004
  url: https://auth.example.com/registry
  tls:
    certificate: tls.pem
    key: tls.key
  trusted_proxies: [10.0.0.0/8, "2001:db8::/32"]
  require_https: false
  cors: [https://ui.example.com]
  workers: 2
registries:
  - service: registry.example.com
    also: [old.example.com, older.example.com]
    issuer: team.example.com
    compat: distribution3
    algorithm: RS256
    grant: held
    token_lifetime:
      default: 10m
      pull: 5m
      push: 1h
      delete: 60s
    keys: team-keys/
    url: https://registry.example.com:5000
    refresh_tokens: false
    notifications:
      secret_file: reports.secret
      actions: [push, delete]
      blobs: true
  - service: second
authentication:
  - htpasswd:
      file: users.htpasswd
      name: local
      cache: 45s
      names: {namespace: slug}
  - ldap:
      name: corp
      preset: active_directory
      url: [ldaps://dc1.example.com, ldaps://dc2.example.com:1636]
      ca_file: ca.pem
      base: ["dc=example,dc=com", "dc=example,dc=net"]
      bind_dn: cn=reader,dc=example,dc=com
      bind_password_file: ldap-password
      strip_domain: [CORP, corp.example.com]
      user_filter: "(uid={user})"
      subject: uid
      display_name: gecos
      email: mail
      password_changed: passwordChangedAt
      lowercase: false
      names: {namespace: attribute, attribute: employeeNumber}
      groups:
        by: member
        base: ou=groups,dc=example,dc=com
        name: ou
        allow: ['reg-*']
        prefix: corp/
      deadline: 7s
      cache: 30s
      stale_grace: 10m
  - ldap:
      name: second
      preset: openldap
      url: ldap://second.example.com
      start_tls: true
      base: dc=second
      bind_dn: cn=reader,dc=second
      bind_password: "1234"
  - ldap:
      name: open
      preset: openldap
      url: ldaps://open.example.com
      base: ""
      anonymous_search: true
  - ldap:
      name: sealed
      preset: openldap
      url: ldaps://192.0.2.1
      client_certificate: client.pem
      client_key: client.key
      certificate_name: sealed.example.com
      base: dc=sealed
      sasl_external: true
  - sql:
      name: people
      preset: docker_auth
      url: mariadb://reader@people.example.com/people
      url_password_file: people-password
      ca_file: people-ca.pem
      query: "SELECT password_hash, subject, labels FROM users WHERE name = :user"
      find: "SELECT password_hash, subject, labels FROM users WHERE BINARY subject = :user"
      group_labels: [project]
      deadline: 4s
      cache: 15s
      stale_grace: 5m
  - sql:
      name: members
      url: postgresql://reader@members.example.com/members
      insecure_plaintext: true
      query: "SELECT password_hash FROM members WHERE name = :user"
  - http:
      name: hook
      url: https://login.example.com/check
      secret_file: hook-secret
      ca_file: hook-ca.pem
      groups: {allow: ['reg-*'], prefix: hook/}
      deadline: 3s
      cache: 15s
      stale_grace: 5m
  - program:
      name: script
      command: [bin/check, --fast]
      protocol: json
      group_labels: []
      workers: 8
      groups: {allow: ['team=*'], prefix: script/}
      deadline: 4s
      cache: 25s
      stale_grace: 6m
  - ldap:
      name: third
      url: ldap://third.example.com
      insecure_plaintext: true
      base: dc=third
      subject: uid
      user_dn_template: "uid={user},dc=third"
  - workload:
      name: ci
      preset: spiffe
      issuer: https://ci.example.com
      audience: [https://auth.example.com, registry]
      algorithms: [ES256]
      keys: {url: https://ci.example.com/jwks, token_file: ci-token}
      trust_domain: example.org
      ca_file: ci-ca.pem
      leeway: 10s
      max_age: 1h
      session: 2h
      cache: 20s
  - workload:
      name: cluster
      preset: none
      issuer: https://cluster.example.com
      audience: [cluster]
      keys: {file: cluster-jwks.json}
  - oidc:
      name: sso
      preset: keycloak
      issuer: https://sso.example.com/realms/corp
      client_id: tokenserver
      client_secret_file: oidc-secret
      subject: upn
      groups: {claim: roles, allow: ['reg-*'], strip: "team:"}
      login_valid: 8h
      recheck: 30m
      ca_file: sso-ca.pem
      leeway: 5s
      cache: 10s
  - oidc:
      name: google
      preset: google
      issuer: https://accounts.google.com
      client_id: 1.apps.googleusercontent.com
      hosted_domain: example.com
      accounts: open
anonymous: true
policies: policies/
shadow_policies: candidate/
shadow_peer:
  url: https://old.example.com/auth
  ca_file: old-ca.pem
  deadline: 3s
  rate: 20
  failed_logins: true
keys:
  folder: keys/
  rotate_every: 30d
  publish_ahead: 2h
throttle:
  enabled: true
  failures_per_user: 6
  failures_per_address: 60
  failures_total: 600
  window: 10m
  redis: rediss://counter@redis.example.com:6380/1
  redis_password_file: redis-password
  secret_file: throttle-secret
token_reuse: 5s
limits: {scopes: 200, scope_bytes: 16384}
access_keys: {default_lifetime: 30d, max_lifetime: 180d, per_user: 10, rotate_overlap: 12h}
refresh_tokens: {idle: 14d, lifetime: 60d, per_user: 50}
robots: {max_lifetime: 180d}
log: {format: json}
audit: {policy_snapshots: kept-policies, chain: true}
storage: {url: "postgresql://tokenserver@db.example.com/tokenserver", password_file: storage-password}
storage_grace: 20m
tracing:
  endpoint: https://collector.example.com/v1/traces
  headers_file: collector-headers
  ca_file: collector-ca.pem
  sample: 0.5
  client_rate: 20
  attributes: {}
"""
"""Every key there is, one a line; `test_the_reference_holds_every_key` sees to that."""

MINIMAL = """\
issuer: auth.example.com
server: {url: "https://auth.example.com"}
registries: [{service: registry.example.com}]
authentication: [{htpasswd: {file: users.htpasswd}}]
policies: policies
keys: keys
"""

Environment = dict[str, str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own folder for the file; the working folder is another one, so that the two cannot be confused."""
    (tmp_path / "config").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "config"


def load(folder: Path, text: str, environment: Environment | None = None) -> Settings:
    path = folder / "tokenserver.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, environment or {})


def faults_of(folder: Path, text: str, environment: Environment | None = None) -> list[str]:
    with pytest.raises(LoadError) as caught:
        load(folder, text, environment)
    return [str(fault).removeprefix(f"{folder}/") for fault in caught.value.faults]


def changed(old: str, new: str) -> str:
    """MINIMAL with one change that really is one."""
    assert MINIMAL.count(old) == 1
    return MINIMAL.replace(old, new)


def with_server(line: str) -> str:
    return changed('{url: "https://auth.example.com"}', f'{{url: "https://auth.example.com", {line}}}')


def with_url(url: str) -> str:
    return changed('"https://auth.example.com"', f'"{url}"')


def with_registry(line: str) -> str:
    return changed("{service: registry.example.com}", f"{{service: registry.example.com, {line}}}")


def leaf_paths(model: type[BaseModel], prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every key of a model by its names, found without the help of `load`."""
    found: list[tuple[str, ...]] = []
    for name, field in model.model_fields.items():
        inner = sections(field.annotation)
        found.append((*prefix, name))
        for section in inner:
            found.extend(leaf_paths(section, (*prefix, name)))
    return found


def sections(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in get_args(annotation) for section in sections(part)]
