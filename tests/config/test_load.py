"""Loading of the configuration: the file, the environment that overrides it, and every fault with its place."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from configuration import MINIMAL, REFERENCE, Environment, changed, faults_of, leaf_paths, load
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokenserver.config.load import config_path, load_settings
from tokenserver.config.settings import Settings
from tokenserver.errors import LoadError

ENVIRONMENT = {
    "TOKENSERVER_ISSUER": "auth.example.com",
    "TOKENSERVER_SERVER_LISTEN": "127.0.0.1:5001",
    "TOKENSERVER_SERVER_MANAGEMENT": "127.0.0.1:5003",
    "TOKENSERVER_SERVER_MANAGEMENT_URL": "https://account.example.com",
    "TOKENSERVER_SERVER_METRICS": "127.0.0.1:9090",
    "TOKENSERVER_SERVER_NOTIFICATIONS": "127.0.0.1:5004",
    "TOKENSERVER_SERVER_URL": "https://auth.example.com/registry",
    "TOKENSERVER_SERVER_TLS_CERTIFICATE": "tls.pem",
    "TOKENSERVER_SERVER_TLS_KEY": "tls.key",
    "TOKENSERVER_SERVER_TRUSTED_PROXIES": "[10.0.0.0/8, '2001:db8::/32']",
    "TOKENSERVER_SERVER_REQUIRE_HTTPS": "false",
    "TOKENSERVER_SERVER_CORS": "[https://ui.example.com]",
    "TOKENSERVER_SERVER_WORKERS": "2",
    "TOKENSERVER_REGISTRIES_0_SERVICE": "registry.example.com",
    "TOKENSERVER_REGISTRIES_0_ALSO": "[old.example.com, older.example.com]",
    "TOKENSERVER_REGISTRIES_0_ISSUER": "team.example.com",
    "TOKENSERVER_REGISTRIES_0_COMPAT": "distribution3",
    "TOKENSERVER_REGISTRIES_0_ALGORITHM": "RS256",
    "TOKENSERVER_REGISTRIES_0_GRANT": "held",
    "TOKENSERVER_REGISTRIES_0_TOKEN_LIFETIME_DEFAULT": "10m",
    "TOKENSERVER_REGISTRIES_0_TOKEN_LIFETIME_PULL": "5m",
    "TOKENSERVER_REGISTRIES_0_TOKEN_LIFETIME_PUSH": "1h",
    "TOKENSERVER_REGISTRIES_0_TOKEN_LIFETIME_DELETE": "60s",
    "TOKENSERVER_REGISTRIES_0_KEYS": "team-keys",
    "TOKENSERVER_REGISTRIES_0_URL": "https://registry.example.com:5000",
    "TOKENSERVER_REGISTRIES_0_REFRESH_TOKENS": "false",
    "TOKENSERVER_REGISTRIES_0_NOTIFICATIONS_SECRET_FILE": "reports.secret",
    "TOKENSERVER_REGISTRIES_0_NOTIFICATIONS_ACTIONS": "[push, delete]",
    "TOKENSERVER_REGISTRIES_0_NOTIFICATIONS_BLOBS": "true",
    "TOKENSERVER_REGISTRIES_1_SERVICE": "second",
    "TOKENSERVER_AUTHENTICATION_0_HTPASSWD_FILE": "users.htpasswd",
    "TOKENSERVER_AUTHENTICATION_0_HTPASSWD_NAME": "local",
    "TOKENSERVER_AUTHENTICATION_0_HTPASSWD_CACHE": "45s",
    "TOKENSERVER_AUTHENTICATION_0_HTPASSWD_NAMES_NAMESPACE": "slug",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_NAME": "corp",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_PRESET": "active_directory",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_URL": "[ldaps://dc1.example.com, ldaps://dc2.example.com:1636]",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_CA_FILE": "ca.pem",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_BASE": "['dc=example,dc=com', 'dc=example,dc=net']",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_BIND_DN": "cn=reader,dc=example,dc=com",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_BIND_PASSWORD_FILE": "ldap-password",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_STRIP_DOMAIN": "[CORP, corp.example.com]",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_USER_FILTER": "(uid={user})",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_SUBJECT": "uid",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_DISPLAY_NAME": "gecos",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_EMAIL": "mail",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_PASSWORD_CHANGED": "passwordChangedAt",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_LOWERCASE": "false",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_NAMES_NAMESPACE": "attribute",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_NAMES_ATTRIBUTE": "employeeNumber",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_GROUPS_BY": "member",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_GROUPS_BASE": "ou=groups,dc=example,dc=com",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_GROUPS_NAME": "ou",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_GROUPS_ALLOW": "['reg-*']",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_GROUPS_PREFIX": "corp/",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_DEADLINE": "7s",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_CACHE": "30s",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_STALE_GRACE": "10m",
    "TOKENSERVER_AUTHENTICATION_2_LDAP_NAME": "second",
    "TOKENSERVER_AUTHENTICATION_2_LDAP_PRESET": "openldap",
    "TOKENSERVER_AUTHENTICATION_2_LDAP_URL": "ldap://second.example.com",
    "TOKENSERVER_AUTHENTICATION_2_LDAP_START_TLS": "true",
    "TOKENSERVER_AUTHENTICATION_2_LDAP_BASE": "dc=second",
    "TOKENSERVER_AUTHENTICATION_2_LDAP_BIND_DN": "cn=reader,dc=second",
    "TOKENSERVER_AUTHENTICATION_2_LDAP_BIND_PASSWORD": "1234",
    "TOKENSERVER_AUTHENTICATION_3_LDAP_NAME": "open",
    "TOKENSERVER_AUTHENTICATION_3_LDAP_PRESET": "openldap",
    "TOKENSERVER_AUTHENTICATION_3_LDAP_URL": "ldaps://open.example.com",
    "TOKENSERVER_AUTHENTICATION_3_LDAP_BASE": '""',
    "TOKENSERVER_AUTHENTICATION_3_LDAP_ANONYMOUS_SEARCH": "true",
    "TOKENSERVER_AUTHENTICATION_4_LDAP_NAME": "sealed",
    "TOKENSERVER_AUTHENTICATION_4_LDAP_PRESET": "openldap",
    "TOKENSERVER_AUTHENTICATION_4_LDAP_URL": "ldaps://192.0.2.1",
    "TOKENSERVER_AUTHENTICATION_4_LDAP_CLIENT_CERTIFICATE": "client.pem",
    "TOKENSERVER_AUTHENTICATION_4_LDAP_CLIENT_KEY": "client.key",
    "TOKENSERVER_AUTHENTICATION_4_LDAP_CERTIFICATE_NAME": "sealed.example.com",
    "TOKENSERVER_AUTHENTICATION_4_LDAP_BASE": "dc=sealed",
    "TOKENSERVER_AUTHENTICATION_4_LDAP_SASL_EXTERNAL": "true",
    "TOKENSERVER_AUTHENTICATION_5_SQL_NAME": "people",
    "TOKENSERVER_AUTHENTICATION_5_SQL_PRESET": "docker_auth",
    "TOKENSERVER_AUTHENTICATION_5_SQL_URL": "mariadb://reader@people.example.com/people",
    "TOKENSERVER_AUTHENTICATION_5_SQL_URL_PASSWORD_FILE": "people-password",
    "TOKENSERVER_AUTHENTICATION_5_SQL_CA_FILE": "people-ca.pem",
    "TOKENSERVER_AUTHENTICATION_5_SQL_QUERY": "SELECT password_hash, subject, labels FROM users WHERE name = :user",
    "TOKENSERVER_AUTHENTICATION_5_SQL_FIND": (
        "SELECT password_hash, subject, labels FROM users WHERE BINARY subject = :user"
    ),
    "TOKENSERVER_AUTHENTICATION_5_SQL_GROUP_LABELS": "[project]",
    "TOKENSERVER_AUTHENTICATION_5_SQL_DEADLINE": "4s",
    "TOKENSERVER_AUTHENTICATION_5_SQL_CACHE": "15s",
    "TOKENSERVER_AUTHENTICATION_5_SQL_STALE_GRACE": "5m",
    "TOKENSERVER_AUTHENTICATION_6_SQL_NAME": "members",
    "TOKENSERVER_AUTHENTICATION_6_SQL_URL": "postgresql://reader@members.example.com/members",
    "TOKENSERVER_AUTHENTICATION_6_SQL_INSECURE_PLAINTEXT": "true",
    "TOKENSERVER_AUTHENTICATION_6_SQL_QUERY": "SELECT password_hash FROM members WHERE name = :user",
    "TOKENSERVER_AUTHENTICATION_7_HTTP_NAME": "hook",
    "TOKENSERVER_AUTHENTICATION_7_HTTP_URL": "https://login.example.com/check",
    "TOKENSERVER_AUTHENTICATION_7_HTTP_SECRET_FILE": "hook-secret",
    "TOKENSERVER_AUTHENTICATION_7_HTTP_CA_FILE": "hook-ca.pem",
    "TOKENSERVER_AUTHENTICATION_7_HTTP_GROUPS_ALLOW": "['reg-*']",
    "TOKENSERVER_AUTHENTICATION_7_HTTP_GROUPS_PREFIX": "hook/",
    "TOKENSERVER_AUTHENTICATION_7_HTTP_DEADLINE": "3s",
    "TOKENSERVER_AUTHENTICATION_7_HTTP_CACHE": "15s",
    "TOKENSERVER_AUTHENTICATION_7_HTTP_STALE_GRACE": "5m",
    "TOKENSERVER_AUTHENTICATION_8_PROGRAM_NAME": "script",
    "TOKENSERVER_AUTHENTICATION_8_PROGRAM_COMMAND": "[bin/check, --fast]",
    "TOKENSERVER_AUTHENTICATION_8_PROGRAM_PROTOCOL": "json",
    "TOKENSERVER_AUTHENTICATION_8_PROGRAM_GROUP_LABELS": "[]",
    "TOKENSERVER_AUTHENTICATION_8_PROGRAM_WORKERS": "8",
    "TOKENSERVER_AUTHENTICATION_8_PROGRAM_GROUPS_ALLOW": "['team=*']",
    "TOKENSERVER_AUTHENTICATION_8_PROGRAM_GROUPS_PREFIX": "script/",
    "TOKENSERVER_AUTHENTICATION_8_PROGRAM_DEADLINE": "4s",
    "TOKENSERVER_AUTHENTICATION_8_PROGRAM_CACHE": "25s",
    "TOKENSERVER_AUTHENTICATION_8_PROGRAM_STALE_GRACE": "6m",
    "TOKENSERVER_AUTHENTICATION_9_LDAP_NAME": "third",
    "TOKENSERVER_AUTHENTICATION_9_LDAP_URL": "ldap://third.example.com",
    "TOKENSERVER_AUTHENTICATION_9_LDAP_INSECURE_PLAINTEXT": "true",
    "TOKENSERVER_AUTHENTICATION_9_LDAP_BASE": "dc=third",
    "TOKENSERVER_AUTHENTICATION_9_LDAP_SUBJECT": "uid",
    "TOKENSERVER_AUTHENTICATION_9_LDAP_USER_DN_TEMPLATE": "uid={user},dc=third",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_NAME": "ci",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_PRESET": "spiffe",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_ISSUER": "https://ci.example.com",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_AUDIENCE": "[https://auth.example.com, registry]",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_ALGORITHMS": "[ES256]",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_KEYS_URL": "https://ci.example.com/jwks",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_KEYS_TOKEN_FILE": "ci-token",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_TRUST_DOMAIN": "example.org",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_CA_FILE": "ci-ca.pem",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_LEEWAY": "10s",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_MAX_AGE": "1h",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_SESSION": "2h",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_CACHE": "20s",
    "TOKENSERVER_AUTHENTICATION_11_WORKLOAD_NAME": "cluster",
    "TOKENSERVER_AUTHENTICATION_11_WORKLOAD_PRESET": "none",
    "TOKENSERVER_AUTHENTICATION_11_WORKLOAD_ISSUER": "https://cluster.example.com",
    "TOKENSERVER_AUTHENTICATION_11_WORKLOAD_AUDIENCE": "cluster",
    "TOKENSERVER_AUTHENTICATION_11_WORKLOAD_KEYS_FILE": "cluster-jwks.json",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_NAME": "sso",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_PRESET": "keycloak",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_ISSUER": "https://sso.example.com/realms/corp",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_CLIENT_ID": "tokenserver",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_CLIENT_SECRET_FILE": "oidc-secret",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_SUBJECT": "upn",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_GROUPS_CLAIM": "roles",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_GROUPS_ALLOW": "['reg-*']",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_GROUPS_STRIP": "team:",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_LOGIN_VALID": "8h",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_RECHECK": "30m",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_CA_FILE": "sso-ca.pem",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_LEEWAY": "5s",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_CACHE": "10s",
    "TOKENSERVER_AUTHENTICATION_13_OIDC_NAME": "google",
    "TOKENSERVER_AUTHENTICATION_13_OIDC_PRESET": "google",
    "TOKENSERVER_AUTHENTICATION_13_OIDC_ISSUER": "https://accounts.google.com",
    "TOKENSERVER_AUTHENTICATION_13_OIDC_CLIENT_ID": "1.apps.googleusercontent.com",
    "TOKENSERVER_AUTHENTICATION_13_OIDC_HOSTED_DOMAIN": "example.com",
    "TOKENSERVER_AUTHENTICATION_13_OIDC_ACCOUNTS": "open",
    "TOKENSERVER_ANONYMOUS": "true",
    "TOKENSERVER_POLICIES": "policies/",
    "TOKENSERVER_SHADOW_POLICIES": "candidate/",
    "TOKENSERVER_SHADOW_PEER_URL": "https://old.example.com/auth",
    "TOKENSERVER_SHADOW_PEER_CA_FILE": "old-ca.pem",
    "TOKENSERVER_SHADOW_PEER_DEADLINE": "3s",
    "TOKENSERVER_SHADOW_PEER_RATE": "20",
    "TOKENSERVER_SHADOW_PEER_FAILED_LOGINS": "true",
    "TOKENSERVER_KEYS_FOLDER": "keys/",
    "TOKENSERVER_KEYS_ROTATE_EVERY": "30d",
    "TOKENSERVER_KEYS_PUBLISH_AHEAD": "2h",
    "TOKENSERVER_THROTTLE_ENABLED": "true",
    "TOKENSERVER_THROTTLE_FAILURES_PER_USER": "6",
    "TOKENSERVER_THROTTLE_FAILURES_PER_ADDRESS": "60",
    "TOKENSERVER_THROTTLE_FAILURES_TOTAL": "600",
    "TOKENSERVER_THROTTLE_WINDOW": "10m",
    "TOKENSERVER_TOKEN_REUSE": "5s",
    "TOKENSERVER_LIMITS_SCOPES": "200",
    "TOKENSERVER_LIMITS_SCOPE_BYTES": "16384",
    "TOKENSERVER_ROBOTS_MAX_LIFETIME": "180d",
    "TOKENSERVER_LOG_FORMAT": "json",
    "TOKENSERVER_AUDIT_POLICY_SNAPSHOTS": "kept-policies",
    "TOKENSERVER_AUDIT_CHAIN": "true",
    "TOKENSERVER_STORAGE_URL": "postgresql://tokenserver@db.example.com/tokenserver",
    "TOKENSERVER_STORAGE_PASSWORD_FILE": "storage-password",
    "TOKENSERVER_STORAGE_GRACE": "20m",
    "TOKENSERVER_TRACING_ENDPOINT": "https://collector.example.com/v1/traces",
    "TOKENSERVER_TRACING_HEADERS_FILE": "collector-headers",
    "TOKENSERVER_TRACING_CA_FILE": "collector-ca.pem",
    "TOKENSERVER_TRACING_SAMPLE": "0.5",
    "TOKENSERVER_TRACING_CLIENT_RATE": "20",
    "TOKENSERVER_TRACING_ATTRIBUTES": "{}",
    "TOKENSERVER_THROTTLE_REDIS": "rediss://counter@redis.example.com:6380/1",
    "TOKENSERVER_THROTTLE_REDIS_PASSWORD_FILE": "redis-password",
    "TOKENSERVER_THROTTLE_SECRET_FILE": "throttle-secret",
    "TOKENSERVER_ACCESS_KEYS_DEFAULT_LIFETIME": "30d",
    "TOKENSERVER_ACCESS_KEYS_MAX_LIFETIME": "180d",
    "TOKENSERVER_ACCESS_KEYS_PER_USER": "10",
    "TOKENSERVER_ACCESS_KEYS_ROTATE_OVERLAP": "12h",
    "TOKENSERVER_REFRESH_TOKENS_IDLE": "14d",
    "TOKENSERVER_REFRESH_TOKENS_LIFETIME": "60d",
    "TOKENSERVER_REFRESH_TOKENS_PER_USER": "50",
}
"""REFERENCE, all of it, as variables."""

KEY_LINE = re.compile(r"(?P<indent>\s*(?:- )?)(?P<key>\w+):(?P<rest>.*)")


def line_of(key: str) -> int:
    """The line of a key at the top of the reference."""
    return next(number for number, line in enumerate(REFERENCE.splitlines(), 1) if line.startswith(f"{key}:"))


def outcome_of(folder: Path, text: str, environment: Environment | None = None) -> Settings | LoadError:
    try:
        return load(folder, text, environment)
    except LoadError as error:
        return error


def _keys_in(value: Any, prefix: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    if isinstance(value, list):
        return {key for item in value for key in _keys_in(item, prefix)}
    if not isinstance(value, dict):
        return set()
    return {(*prefix, key) for key in value} | {
        below for key, item in value.items() for below in _keys_in(item, (*prefix, key))
    }


def test_the_reference_holds_every_key() -> None:
    """A key that is added to the settings must be added to the reference, and so to the tests that walk it."""
    assert _keys_in(yaml.safe_load(REFERENCE)) == set(leaf_paths(Settings))


def _misspell(number: int, change: str) -> tuple[str, str, str]:
    """REFERENCE with the key of one line misspelt; the right key, and the wrong one."""
    lines = REFERENCE.splitlines()
    matched = KEY_LINE.fullmatch(lines[number])
    assert matched is not None
    key = matched["key"]
    wrong = {"dropped": key[0] + key[2:], "doubled": key[:2] + key[1:], "swapped": key[1] + key[0] + key[2:]}[change]
    lines[number] = f"{matched['indent']}{wrong}:{matched['rest']}"
    return "\n".join(lines) + "\n", key, wrong


@pytest.mark.parametrize("change", ["dropped", "doubled"])
@pytest.mark.parametrize(
    "number",
    [pytest.param(index, id=line.strip(" -").partition(":")[0]) for index, line in enumerate(REFERENCE.splitlines())],
)
def test_every_misspelt_key_is_refused(folder: Path, number: int, change: str) -> None:
    """Each key, one at a time: refused on its line, and the right key is named."""
    text, key, wrong = _misspell(number, change)
    found = [fault for fault in faults_of(folder, text) if "unknown key" in fault]
    (fault,) = found
    assert fault.startswith(f"tokenserver.yaml:{number + 1}: ")
    assert fault.endswith(f"{wrong}: unknown key; did you mean {key!r}?")


def test_every_line_of_the_reference_is_a_key() -> None:
    """The test above covers all of them."""
    lines = REFERENCE.splitlines()
    assert [line for line in lines if KEY_LINE.fullmatch(line) is None] == []


def test_a_key_in_the_wrong_section_is_refused(folder: Path) -> None:
    """A right key where it does not belong is an unknown one."""
    found = faults_of(folder, MINIMAL + "listen: 127.0.0.1:5001\n")
    known = ", ".join(sorted(Settings.model_fields))
    assert found == [f"tokenserver.yaml:7: listen: unknown key; known here: {known}"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param(REFERENCE.replace("workers: 2", "workers: two"), 15, id="in-a-section"),
        pytest.param(REFERENCE.replace("key: tls.key", "key: 5"), 11, id="two-sections-down"),
        pytest.param(REFERENCE.replace("default: 10m", "default: 10h"), 24, id="in-a-list"),
        pytest.param(REFERENCE.replace("service: second", "service: registry.example.com"), 35, id="second-of-two"),
        pytest.param(REFERENCE.replace("name: local", "name: LOCAL"), 39, id="in-a-source"),
        pytest.param(REFERENCE.replace("https://auth", "http://auth"), 8, id="url-that-does-not-fit-tls"),
        pytest.param(REFERENCE.replace("anonymous: true", "anonymous: yes"), line_of("anonymous"), id="at-the-top"),
    ],
)
def test_a_fault_has_its_line(folder: Path, text: str, line: int) -> None:
    """The line of the wrong key or entry."""
    (fault,) = faults_of(folder, text)
    assert fault.startswith(f"tokenserver.yaml:{line}: ")


def test_all_faults_at_once(folder: Path) -> None:
    """Unknown keys, wrong types, wrong values and variables: all are reported together, in the order of lines."""
    text = (
        REFERENCE.replace("issuer: auth", "isuer: auth")
        .replace("workers: 2", "workers: two")
        .replace("10.0.0.0/8", "10.0.0.1/8")
        .replace("default: 10m", "default: 10h")
        .replace("anonymous: true", "anonymous: yes")
    )
    environment = {"TOKENSERVER_KEY": "x", "TOKENSERVER_ANONYMUS": "true", "TOKENSERVER_SERVER_LISTEN": "5001"}
    assert [fault.partition(" ")[0] for fault in faults_of(folder, text, environment)] == [
        "tokenserver.yaml:1:",  # isuer
        "tokenserver.yaml:1:",  # issuer is missing
        "tokenserver.yaml:12:",
        "tokenserver.yaml:15:",
        "tokenserver.yaml:24:",
        f"tokenserver.yaml:{line_of('anonymous')}:",
        "environment",
        "environment",
        "environment",
    ]


def test_one_list_does_not_hide_the_other(folder: Path) -> None:
    """A repeated service, a repeated name and a wrong value elsewhere are three faults."""
    text = (
        REFERENCE.replace("service: second", "service: registry.example.com")
        .replace("anonymous: true", "  - htpasswd: {file: b, name: local}\nanonymous: true")
        .replace("workers: 2", "workers: two")
    )
    found = faults_of(folder, text)
    assert [fault.split(": ")[1] for fault in found] == ["server.workers", "registries[1]", "authentication[14]"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "is missing", id="empty"),
        pytest.param("# nothing\n", "is missing", id="comment"),
        pytest.param("- a\n", "must be a mapping (key: value)", id="list"),
        pytest.param("text\n", "must be a mapping (key: value)", id="text"),
        pytest.param("issuer: [\n", "is not valid YAML", id="not-yaml"),
        pytest.param(MINIMAL + "issuer: other\n", "the key is already set on line 1", id="twice"),
        pytest.param(MINIMAL + "---\n", "only one YAML document", id="two-documents"),
        pytest.param(changed("keys: keys", "keys: !!python/object/new:os.system [id]"), "tags", id="tag"),
    ],
)
def test_broken_files_are_refused(folder: Path, text: str, expected: str) -> None:
    """YAML is read strictly, and an empty file is no configuration."""
    found = faults_of(folder, text)
    assert all(fault.startswith("tokenserver.yaml:") for fault in found)
    assert expected in found[0]


def test_a_truncated_file_is_settings_or_a_load_error(folder: Path) -> None:
    """A file that is cut anywhere is refused, or is a whole configuration by itself."""
    for offset in range(0, len(REFERENCE), 7):
        outcome = outcome_of(folder, REFERENCE[:offset])
        assert (outcome.registries if isinstance(outcome, Settings) else outcome.faults) != (), offset


@settings(
    deadline=None,
    max_examples=min(settings().max_examples // 2, 5_000),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from([line for line in REFERENCE.splitlines() if not line.endswith(":")]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("ab:/.0 ~é\n"),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["url", "x"]), inner, max_size=2),
        max_leaves=4,
    ),
)
def test_any_value_anywhere_is_settings_or_a_load_error(folder: Path, line: str, value: Any) -> None:
    """Any value of any key results in settings or in faults, and in nothing else."""
    import json

    text = REFERENCE.replace(line, f"{line.partition(': ')[0]}: {json.dumps(value)}")
    outcome = outcome_of(folder, text)
    assert isinstance(outcome, Settings) or outcome.faults != ()


def test_relative_paths_are_relative_to_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the file itself is named by a relative path; the results are absolute."""
    (folder / "tokenserver.yaml").write_text(REFERENCE)
    monkeypatch.chdir(folder.parent)
    found = load_settings(Path("config/tokenserver.yaml"), {})
    assert (found.policies, found.keys.folder) == (folder / "policies", folder / "keys")
    assert found.server.tls is not None
    assert found.server.tls.key == folder / "tls.key"


def test_absolute_and_home_paths(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An absolute path is unchanged; `~` is the home of the current user."""
    monkeypatch.setenv("HOME", "/home/ann")
    text = changed("keys: keys", "keys: /srv/keys").replace("policies: policies", "policies: ~/policies")
    found = load(folder, text)
    assert (found.keys.folder, found.policies) == (Path("/srv/keys"), Path("/home/ann/policies"))


def test_relative_paths_of_the_environment_are_relative_to_the_working_folder(folder: Path) -> None:
    """A variable is in no file, so its paths are relative to the working folder, inside a value too."""
    here = Path.cwd()
    found = load(
        folder,
        REFERENCE,
        {
            "TOKENSERVER_KEYS": "my-keys",
            "TOKENSERVER_SERVER_TLS": "{certificate: c.pem, key: /k.pem}",
            "TOKENSERVER_AUTHENTICATION": "[{htpasswd: {file: u}}]",
        },
    )
    assert found.server.tls is not None
    assert found.authentication[0].htpasswd is not None
    assert (found.keys.folder, found.policies) == (here / "my-keys", folder / "policies")
    assert (found.server.tls.certificate, found.server.tls.key) == (here / "c.pem", Path("/k.pem"))
    assert found.authentication[0].htpasswd.file == here / "u"


def test_wrong_paths_of_the_environment_are_refused(folder: Path) -> None:
    """Nothing, a number in a value, the home of an unknown user: faults of their variables."""
    environment = {
        "TOKENSERVER_KEYS": "~no-such-user-here",
        "TOKENSERVER_POLICIES": "",
        "TOKENSERVER_SERVER_TLS": "{certificate: 5, key: k, other: {a: b}}",
        "TOKENSERVER_AUTHENTICATION": "[5, {htpasswd: x}]",
    }
    found = faults_of(folder, MINIMAL, environment)
    assert found == [
        "environment variable TOKENSERVER_AUTHENTICATION: [0]: must be a mapping (key: value), not a number",
        "environment variable TOKENSERVER_AUTHENTICATION: [1].htpasswd: must be a mapping (key: value), not text",
        "environment variable TOKENSERVER_KEYS: there is no home folder for '~no-such-user-here'",
        "environment variable TOKENSERVER_POLICIES: must be a path",
        "environment variable TOKENSERVER_SERVER_TLS: certificate: must be a path, not a number",
        "environment variable TOKENSERVER_SERVER_TLS: other: unknown key; known here: certificate, key",
    ]


def _variable_path(name: str) -> tuple[str, ...]:
    """The key that a variable of ENVIRONMENT sets, found by its spelling alone."""
    spelled = {"_".join(path).upper(): path for path in leaf_paths(Settings)}
    return spelled[re.sub(r"_[0-9]+(?=_)", "", name.removeprefix("TOKENSERVER_"))]


def test_the_environment_names_every_leaf() -> None:
    """A key that is added to the settings must be added to ENVIRONMENT, and so to the tests that walk it."""
    sections = {path[:-1] for path in leaf_paths(Settings)}
    leaves = {path for path in leaf_paths(Settings) if path not in sections}
    assert {_variable_path(name) for name in ENVIRONMENT} == leaves


def test_the_environment_alone_will_do(folder: Path) -> None:
    """Every key as a variable and no file: the same settings as the file gives, but for the folder of the paths."""
    from_environment = load_settings(None, ENVIRONMENT).model_dump()
    path = Path.cwd() / "other.yaml"
    path.write_text(REFERENCE)
    assert from_environment == load_settings(path, {}).model_dump()


OTHER_VALUES = {
    "TOKENSERVER_ISSUER": "other",
    "TOKENSERVER_SERVER_LISTEN": "127.0.0.2:5002",
    "TOKENSERVER_SERVER_MANAGEMENT": "[::1]:5012",
    "TOKENSERVER_SERVER_MANAGEMENT_URL": "https://account.example.org",
    "TOKENSERVER_SERVER_METRICS": "[::1]:9191",
    "TOKENSERVER_SERVER_NOTIFICATIONS": "[::1]:5014",
    "TOKENSERVER_SERVER_URL": "https://other.example.com",
    "TOKENSERVER_SERVER_TLS_CERTIFICATE": "/other.pem",
    "TOKENSERVER_SERVER_TLS_KEY": "/other.key",
    "TOKENSERVER_SERVER_TRUSTED_PROXIES": "[]",
    "TOKENSERVER_SERVER_REQUIRE_HTTPS": "true",
    "TOKENSERVER_SERVER_CORS": "[http://localhost:8080]",
    "TOKENSERVER_SERVER_WORKERS": "3",
    "TOKENSERVER_REGISTRIES_0_SERVICE": "other",
    "TOKENSERVER_REGISTRIES_0_ALSO": "[]",
    "TOKENSERVER_REGISTRIES_0_ISSUER": "other.example.com",
    "TOKENSERVER_REGISTRIES_0_COMPAT": "jwks",
    "TOKENSERVER_REGISTRIES_0_ALGORITHM": "EdDSA",
    "TOKENSERVER_REGISTRIES_0_GRANT": "asked",
    "TOKENSERVER_REGISTRIES_0_TOKEN_LIFETIME_DEFAULT": "120",
    "TOKENSERVER_REGISTRIES_0_TOKEN_LIFETIME_PULL": "121",
    "TOKENSERVER_REGISTRIES_0_TOKEN_LIFETIME_PUSH": "122",
    "TOKENSERVER_REGISTRIES_0_TOKEN_LIFETIME_DELETE": "123",
    "TOKENSERVER_REGISTRIES_0_KEYS": "/other/keys",
    "TOKENSERVER_REGISTRIES_0_URL": "https://other.example.com",
    "TOKENSERVER_REGISTRIES_0_REFRESH_TOKENS": "true",
    "TOKENSERVER_REGISTRIES_0_NOTIFICATIONS_SECRET_FILE": "/other.secret",
    "TOKENSERVER_REGISTRIES_0_NOTIFICATIONS_ACTIONS": "[pull]",
    "TOKENSERVER_REGISTRIES_0_NOTIFICATIONS_BLOBS": "false",
    "TOKENSERVER_REGISTRIES_1_SERVICE": "other",
    "TOKENSERVER_AUTHENTICATION_0_HTPASSWD_FILE": "/other.users",
    "TOKENSERVER_AUTHENTICATION_0_HTPASSWD_NAME": "other",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_NAME": "other",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_PRESET": "freeipa",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_URL": "ldaps://other.example.com",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_CA_FILE": "/other.pem",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_BASE": "dc=other",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_BIND_DN": "cn=other",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_BIND_PASSWORD_FILE": "/other.password",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_STRIP_DOMAIN": "[CORP, corp.example.com]",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_USER_FILTER": "(cn={user})",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_SUBJECT": "cn",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_DISPLAY_NAME": "cn",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_EMAIL": "address",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_PASSWORD_CHANGED": "pwdChangedTime",
    "TOKENSERVER_AUTHENTICATION_0_HTPASSWD_NAMES_NAMESPACE": "lower",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_LOWERCASE": "true",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_NAMES_NAMESPACE": "attribute",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_NAMES_ATTRIBUTE": "uidNumber",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_GROUPS_BY": "posix",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_GROUPS_BASE": "ou=other",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_GROUPS_NAME": "cn",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_GROUPS_ALLOW": "['other-*']",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_GROUPS_PREFIX": "other/",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_DEADLINE": "8s",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_CACHE": "40s",
    "TOKENSERVER_AUTHENTICATION_2_LDAP_NAME": "other",
    "TOKENSERVER_AUTHENTICATION_2_LDAP_PRESET": "freeipa",
    "TOKENSERVER_AUTHENTICATION_2_LDAP_URL": "ldap://other.example.com",
    "TOKENSERVER_AUTHENTICATION_2_LDAP_START_TLS": "true",
    "TOKENSERVER_AUTHENTICATION_2_LDAP_BASE": "dc=other",
    "TOKENSERVER_AUTHENTICATION_2_LDAP_BIND_DN": "cn=other",
    "TOKENSERVER_AUTHENTICATION_2_LDAP_BIND_PASSWORD": "5678",
    "TOKENSERVER_AUTHENTICATION_3_LDAP_NAME": "open",
    "TOKENSERVER_AUTHENTICATION_3_LDAP_PRESET": "openldap",
    "TOKENSERVER_AUTHENTICATION_3_LDAP_URL": "ldaps://open.example.com",
    "TOKENSERVER_AUTHENTICATION_3_LDAP_BASE": '""',
    "TOKENSERVER_AUTHENTICATION_3_LDAP_ANONYMOUS_SEARCH": "true",
    "TOKENSERVER_AUTHENTICATION_4_LDAP_NAME": "sealed",
    "TOKENSERVER_AUTHENTICATION_4_LDAP_PRESET": "openldap",
    "TOKENSERVER_AUTHENTICATION_4_LDAP_URL": "ldaps://192.0.2.1",
    "TOKENSERVER_AUTHENTICATION_4_LDAP_CLIENT_CERTIFICATE": "/other.client.pem",
    "TOKENSERVER_AUTHENTICATION_4_LDAP_CLIENT_KEY": "/other.client.key",
    "TOKENSERVER_AUTHENTICATION_4_LDAP_CERTIFICATE_NAME": "other.example.com",
    "TOKENSERVER_AUTHENTICATION_4_LDAP_BASE": "dc=sealed",
    "TOKENSERVER_AUTHENTICATION_4_LDAP_SASL_EXTERNAL": "true",
    "TOKENSERVER_AUTHENTICATION_5_SQL_NAME": "other",
    "TOKENSERVER_AUTHENTICATION_5_SQL_PRESET": "docker_auth",
    "TOKENSERVER_AUTHENTICATION_5_SQL_URL": "mysql://other@other.example.com/other",
    "TOKENSERVER_AUTHENTICATION_5_SQL_URL_PASSWORD_FILE": "/other-password",
    "TOKENSERVER_AUTHENTICATION_5_SQL_CA_FILE": "/other-ca.pem",
    "TOKENSERVER_AUTHENTICATION_5_SQL_QUERY": "SELECT password_hash, subject FROM other WHERE name = :user",
    "TOKENSERVER_AUTHENTICATION_5_SQL_FIND": "SELECT password_hash, subject FROM other WHERE name = :user",
    "TOKENSERVER_AUTHENTICATION_5_SQL_GROUP_LABELS": "[team, other]",
    "TOKENSERVER_AUTHENTICATION_5_SQL_DEADLINE": "1s",
    "TOKENSERVER_AUTHENTICATION_5_SQL_CACHE": "0s",
    "TOKENSERVER_AUTHENTICATION_5_SQL_STALE_GRACE": "0s",
    "TOKENSERVER_AUTHENTICATION_6_SQL_NAME": "other",
    "TOKENSERVER_AUTHENTICATION_6_SQL_URL": "postgresql://other@other.example.com/other",
    "TOKENSERVER_AUTHENTICATION_6_SQL_INSECURE_PLAINTEXT": "false",
    "TOKENSERVER_AUTHENTICATION_6_SQL_QUERY": "SELECT password_hash FROM other WHERE name = :user",
    "TOKENSERVER_AUTHENTICATION_7_HTTP_NAME": "other",
    "TOKENSERVER_AUTHENTICATION_7_HTTP_URL": "https://other.example.com",
    "TOKENSERVER_AUTHENTICATION_7_HTTP_SECRET_FILE": "/other-secret",
    "TOKENSERVER_AUTHENTICATION_7_HTTP_CA_FILE": "/other-ca.pem",
    "TOKENSERVER_AUTHENTICATION_7_HTTP_GROUPS_ALLOW": "[other]",
    "TOKENSERVER_AUTHENTICATION_7_HTTP_GROUPS_PREFIX": "other/",
    "TOKENSERVER_AUTHENTICATION_7_HTTP_DEADLINE": "2s",
    "TOKENSERVER_AUTHENTICATION_7_HTTP_CACHE": "1s",
    "TOKENSERVER_AUTHENTICATION_7_HTTP_STALE_GRACE": "1s",
    "TOKENSERVER_AUTHENTICATION_8_PROGRAM_NAME": "other",
    "TOKENSERVER_AUTHENTICATION_8_PROGRAM_COMMAND": "[/other, --slow]",
    "TOKENSERVER_AUTHENTICATION_8_PROGRAM_PROTOCOL": "json",  # the other one does not work beside names
    "TOKENSERVER_AUTHENTICATION_8_PROGRAM_GROUP_LABELS": "[]",  # needs the other protocol
    "TOKENSERVER_AUTHENTICATION_8_PROGRAM_WORKERS": "1",
    "TOKENSERVER_AUTHENTICATION_8_PROGRAM_GROUPS_ALLOW": "[other]",
    "TOKENSERVER_AUTHENTICATION_8_PROGRAM_GROUPS_PREFIX": "other/",
    "TOKENSERVER_AUTHENTICATION_8_PROGRAM_DEADLINE": "2s",
    "TOKENSERVER_AUTHENTICATION_8_PROGRAM_CACHE": "1s",
    "TOKENSERVER_AUTHENTICATION_8_PROGRAM_STALE_GRACE": "1s",
    "TOKENSERVER_AUTHENTICATION_9_LDAP_NAME": "other",
    "TOKENSERVER_AUTHENTICATION_9_LDAP_URL": "ldap://other.example.com",
    "TOKENSERVER_AUTHENTICATION_9_LDAP_INSECURE_PLAINTEXT": "true",
    "TOKENSERVER_AUTHENTICATION_9_LDAP_BASE": "dc=other",
    "TOKENSERVER_AUTHENTICATION_9_LDAP_SUBJECT": "cn",
    "TOKENSERVER_AUTHENTICATION_9_LDAP_USER_DN_TEMPLATE": "cn={user},dc=other",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_NAME": "other",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_PRESET": "spiffe",  # no other one has a trust domain
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_ISSUER": "https://other.example.com",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_AUDIENCE": "other",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_ALGORITHMS": "[ES256, PS256]",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_KEYS_URL": "https://other.example.com/jwks",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_KEYS_TOKEN_FILE": "/other-token",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_TRUST_DOMAIN": "other.org",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_CA_FILE": "/other-ca.pem",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_LEEWAY": "0s",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_MAX_AGE": "2h",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_SESSION": "0s",
    "TOKENSERVER_AUTHENTICATION_10_WORKLOAD_CACHE": "0s",
    "TOKENSERVER_AUTHENTICATION_11_WORKLOAD_NAME": "other",
    "TOKENSERVER_AUTHENTICATION_11_WORKLOAD_PRESET": "kubernetes",
    "TOKENSERVER_AUTHENTICATION_11_WORKLOAD_ISSUER": "https://other.example.com",
    "TOKENSERVER_AUTHENTICATION_11_WORKLOAD_AUDIENCE": "other",
    "TOKENSERVER_AUTHENTICATION_11_WORKLOAD_KEYS_FILE": "/other-jwks.json",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_NAME": "other",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_PRESET": "okta",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_ISSUER": "https://other.okta.com",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_CLIENT_ID": "other",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_CLIENT_SECRET_FILE": "/other-secret",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_SUBJECT": "email",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_GROUPS_CLAIM": "other",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_GROUPS_ALLOW": "['o-*']",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_GROUPS_STRIP": "other:",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_LOGIN_VALID": "9h",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_RECHECK": "1h",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_CA_FILE": "/other-ca.pem",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_LEEWAY": "0s",
    "TOKENSERVER_AUTHENTICATION_12_OIDC_CACHE": "0s",
    "TOKENSERVER_AUTHENTICATION_13_OIDC_NAME": "other",
    "TOKENSERVER_AUTHENTICATION_13_OIDC_PRESET": "google",
    "TOKENSERVER_AUTHENTICATION_13_OIDC_ISSUER": "https://other.example.com",
    "TOKENSERVER_AUTHENTICATION_13_OIDC_CLIENT_ID": "other",
    "TOKENSERVER_AUTHENTICATION_13_OIDC_HOSTED_DOMAIN": "other.org",
    "TOKENSERVER_AUTHENTICATION_13_OIDC_ACCOUNTS": "sealed",
    "TOKENSERVER_ANONYMOUS": "false",
    "TOKENSERVER_POLICIES": "/other/policies",
    "TOKENSERVER_SHADOW_POLICIES": "/other/candidate",
    "TOKENSERVER_SHADOW_PEER_URL": "https://other.example.com/auth",
    "TOKENSERVER_SHADOW_PEER_CA_FILE": "/other/old-ca.pem",
    "TOKENSERVER_SHADOW_PEER_DEADLINE": "4s",
    "TOKENSERVER_SHADOW_PEER_RATE": "30",
    "TOKENSERVER_SHADOW_PEER_FAILED_LOGINS": "false",
    "TOKENSERVER_KEYS_FOLDER": "/other/keys",
    "TOKENSERVER_KEYS_ROTATE_EVERY": "31d",
    "TOKENSERVER_KEYS_PUBLISH_AHEAD": "3h",
    "TOKENSERVER_AUTHENTICATION_0_HTPASSWD_CACHE": "0s",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_STALE_GRACE": "0s",
    "TOKENSERVER_THROTTLE_ENABLED": "false",
    "TOKENSERVER_THROTTLE_FAILURES_PER_USER": "2",
    "TOKENSERVER_THROTTLE_FAILURES_PER_ADDRESS": "100000",
    "TOKENSERVER_THROTTLE_FAILURES_TOTAL": "7",
    "TOKENSERVER_THROTTLE_WINDOW": "1h",
    "TOKENSERVER_TOKEN_REUSE": "0s",
    "TOKENSERVER_LIMITS_SCOPES": "201",
    "TOKENSERVER_LIMITS_SCOPE_BYTES": "16385",
    "TOKENSERVER_ROBOTS_MAX_LIFETIME": "30d",
    "TOKENSERVER_LOG_FORMAT": "console",
    "TOKENSERVER_AUDIT_POLICY_SNAPSHOTS": "/other/kept",
    "TOKENSERVER_AUDIT_CHAIN": "false",
    "TOKENSERVER_STORAGE_URL": "postgresql://other.example.com/other",
    "TOKENSERVER_STORAGE_PASSWORD_FILE": "/other-storage-password",
    "TOKENSERVER_STORAGE_GRACE": "0s",
    "TOKENSERVER_TRACING_ENDPOINT": "https://other.example.com/v1/traces",
    "TOKENSERVER_TRACING_HEADERS_FILE": "/other-headers",
    "TOKENSERVER_TRACING_CA_FILE": "/other-ca.pem",
    "TOKENSERVER_TRACING_SAMPLE": "0.25",
    "TOKENSERVER_TRACING_CLIENT_RATE": "30",
    "TOKENSERVER_TRACING_ATTRIBUTES": "{deployment.environment.name: other}",
    "TOKENSERVER_THROTTLE_REDIS": "redis+unix:///run/redis.sock",
    "TOKENSERVER_THROTTLE_REDIS_PASSWORD_FILE": "/other-password",
    "TOKENSERVER_THROTTLE_SECRET_FILE": "/other-secret",
    "TOKENSERVER_ACCESS_KEYS_DEFAULT_LIFETIME": "31d",
    "TOKENSERVER_ACCESS_KEYS_MAX_LIFETIME": "181d",
    "TOKENSERVER_ACCESS_KEYS_PER_USER": "11",
    "TOKENSERVER_ACCESS_KEYS_ROTATE_OVERLAP": "0s",
    "TOKENSERVER_REFRESH_TOKENS_IDLE": "15d",
    "TOKENSERVER_REFRESH_TOKENS_LIFETIME": "61d",
    "TOKENSERVER_REFRESH_TOKENS_PER_USER": "51",
}


OWN_NAMES = frozenset({"tracing_attributes_"})
"""Mappings whose keys people choose: each is one value."""


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict) and prefix not in OWN_NAMES:
        items = value.items()
    elif isinstance(value, tuple) and value and isinstance(value[0], dict):
        items = enumerate(value)  # type: ignore[assignment]  # an index is as good a name as a key
    else:
        return {prefix.rstrip("_").upper(): value}
    return {path: leaf for key, item in items for path, leaf in _flat(item, f"{prefix}{key}_").items()}


@pytest.mark.parametrize("name", [name for name in ENVIRONMENT if OTHER_VALUES[name] != ENVIRONMENT[name]])
def test_the_environment_wins_key_by_key(folder: Path, name: str) -> None:
    """One variable over the whole reference changes its one key and nothing else."""
    before = _flat(load(folder, REFERENCE).model_dump())
    after = _flat(load(folder, REFERENCE, {name: OTHER_VALUES[name]}).model_dump())
    assert [key for key in before if before[key] != after[key]] == [name.removeprefix("TOKENSERVER_")]
    assert before.keys() == after.keys()


# BIND_PASSWORD with _FILE behind it is a key of its own.
@pytest.mark.parametrize("name", [name for name in ENVIRONMENT if not name.endswith("_BIND_PASSWORD")])
def test_every_key_can_come_from_a_file(folder: Path, tmp_path: Path, name: str) -> None:
    """With `_FILE` behind the name, the variable names a file that holds the value; its last newline is dropped."""
    holder = tmp_path / "value"
    holder.write_text(OTHER_VALUES[name] + "\n")
    holder.chmod(0o600)
    direct = load(folder, REFERENCE, {name: OTHER_VALUES[name]})
    assert load(folder, REFERENCE, {f"{name}_FILE": str(holder)}) == direct


@pytest.mark.parametrize(
    ("mode", "content", "expected"),
    [
        pytest.param(None, b"", "cannot be read: No such file or directory", id="missing"),
        pytest.param(0o644, b"x", "can be read by others (mode 0644)", id="readable-by-others"),
        pytest.param(0o600, b"\xff", "is not UTF-8 text", id="not-text"),
    ],
)
def test_a_value_file_is_checked_like_a_secret(
    folder: Path, tmp_path: Path, mode: int | None, content: bytes, expected: str
) -> None:
    """The fault names the variable and the file, and nothing of its content."""
    holder = tmp_path / "value"
    if mode is not None:
        holder.write_bytes(content)
        holder.chmod(mode)
    (fault,) = faults_of(folder, MINIMAL, {"TOKENSERVER_ISSUER_FILE": str(holder)})
    assert fault.startswith(f"environment variable TOKENSERVER_ISSUER_FILE: {holder}")
    assert expected in fault


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("TOKENSERVER_ISSUER", "TOKENSERVER_ISSUER_FILE"), id="value-and-file"),
        pytest.param(("TOKENSERVER_REGISTRIES_0_SERVICE", "TOKENSERVER_REGISTRIES_00_SERVICE"), id="two-spellings"),
    ],
)
def test_one_key_by_two_variables_is_refused(folder: Path, tmp_path: Path, names: tuple[str, str]) -> None:
    """Nobody could tell which one counts."""
    holder = tmp_path / "value"
    holder.write_text("x")
    holder.chmod(0o600)
    environment = {name: str(holder) if name.endswith("_FILE") else "x" for name in names}
    first, second = sorted(names)
    assert faults_of(folder, MINIMAL, environment) == [
        f"environment variable {second}: {first} sets the same key; keep one of the two"
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        pytest.param("TOKENSERVER_ISUER", "did you mean 'TOKENSERVER_ISSUER'?", id="typo"),
        pytest.param("TOKENSERVER_SERVER_LISTN", "did you mean 'TOKENSERVER_SERVER_LISTEN'?", id="typo-below"),
        pytest.param(
            "TOKENSERVER_REGISTRIES_0_SERVCE", "did you mean 'TOKENSERVER_REGISTRIES_0_SERVICE'?", id="typo-in-a-list"
        ),
        pytest.param(
            "TOKENSERVER_REGISTRIES_SERVICE", "did you mean 'TOKENSERVER_REGISTRIES_0_SERVICE'?", id="index-forgotten"
        ),
        pytest.param("TOKENSERVER_ANONYMOUS_0", "did you mean 'TOKENSERVER_ANONYMOUS'?", id="index-where-no-list-is"),
        pytest.param(
            "TOKENSERVER_AUTHENTICATION_0_HTPASWD_FILE",
            "did you mean 'TOKENSERVER_AUTHENTICATION_0_HTPASSWD_FILE'?",
            id="typo-before-file",
        ),
        pytest.param("TOKENSERVER_SERVER_PORT", "did you mean ", id="server-port"),
        pytest.param("TOKENSERVER_PORT", "", id="port-of-a-person"),
        pytest.param("TOKENSERVER_", "", id="nothing"),
        pytest.param("TOKENSERVER_REGISTRIES_-1_SERVICE", "did you mean ", id="negative-index"),
        pytest.param("TOKENSERVER_REGISTRIES_²_SERVICE", "did you mean ", id="index-that-is-no-ascii-digit"),
    ],
)
def test_an_unknown_variable_is_refused(folder: Path, name: str, hint: str) -> None:
    """As a misspelt key is: by its name, with the nearest right one."""
    (fault,) = faults_of(folder, MINIMAL, {name: "5001"})
    assert fault.startswith(f"environment variable {name}: sets nothing; ")
    assert hint in fault


# Swapping two letters that are the same makes no other name.
@pytest.mark.parametrize(
    "name", sorted(name for name in set(ENVIRONMENT) - {"TOKENSERVER_REGISTRIES_1_SERVICE"} if name[-2] != name[-1])
)
def test_every_misspelt_variable_is_refused_with_the_right_one(folder: Path, name: str) -> None:
    """Each variable, one at a time, with its last letters swapped."""
    wrong = name[:-2] + name[-1] + name[-2]
    (fault,) = faults_of(folder, REFERENCE, {wrong: "x"})
    assert fault == f"environment variable {wrong}: sets nothing; did you mean {name!r}?"


def test_what_kubernetes_and_docker_set_is_ignored(folder: Path) -> None:
    """In a pod or container next to a service called tokenserver, or tokenserver-metrics, these are always set."""
    theirs: Environment = {}
    for service in ("TOKENSERVER", "TOKENSERVER_METRICS", "TOKENSERVER_BLUE_2"):
        theirs |= {
            f"{service}_SERVICE_HOST": "10.96.0.10",
            f"{service}_SERVICE_PORT": "5001",
            f"{service}_SERVICE_PORT_HTTP": "5001",
            f"{service}_PORT": "tcp://10.96.0.10:5001",
            f"{service}_PORT_5001_TCP": "tcp://10.96.0.10:5001",
            f"{service}_PORT_5001_TCP_PROTO": "tcp",
            f"{service}_PORT_5001_TCP_PORT": "5001",
            f"{service}_PORT_5001_TCP_ADDR": "10.96.0.10",
        }
    theirs |= {"TOKENSERVER_NAME": "/web/tokenserver", "TOKENSERVER_ENV_PATH": "/bin"}
    ours = {"TOKENSERVER_CONFIG": "elsewhere.yaml", "TOKENSERVER_REQUIRE_REAL": "1", "TOKENSERVER_ID_TOKEN": "x"}
    assert load(folder, REFERENCE, {**theirs, **ours, "PATH": "/bin", "tokenserver_issuer": "x"}) == load(
        folder, REFERENCE
    )


def test_a_fault_in_a_variable_names_it(folder: Path) -> None:
    """A fault in a variable is reported for the variable, not for a line of the file."""
    environment = {
        "TOKENSERVER_SERVER_URL": "https://192.0.2",
        "TOKENSERVER_REGISTRIES_0_TOKEN_LIFETIME": "5s",
        "TOKENSERVER_ANONYMOUS": "no",
        "TOKENSERVER_SERVER_WORKERS": "[",
    }
    found = faults_of(folder, MINIMAL, environment)
    assert [fault.split(": ")[0] for fault in found] == [f"environment variable {name}" for name in sorted(environment)]
    assert "is neither a host name nor an IPv4 address" in found[2]
    assert (
        found[3]
        == "environment variable TOKENSERVER_SERVER_WORKERS: is not valid YAML: did not find expected node content"
    )


def test_a_fault_below_the_value_of_a_variable_names_it(folder: Path) -> None:
    """A whole section may come from one variable; the path inside it follows the variable's name."""
    environment = {
        "TOKENSERVER_SERVER": "{url: 'https://a.example.com', listn: x}",
        "TOKENSERVER_SERVER_WORKERS": "0",
        "TOKENSERVER_REGISTRIES": "[{service: a, compt: jwks}]",
    }
    assert faults_of(folder, MINIMAL, environment) == [
        "environment variable TOKENSERVER_REGISTRIES: [0].compt: unknown key; did you mean 'compat'?",
        "environment variable TOKENSERVER_SERVER: listn: unknown key; did you mean 'listen'?",
        "environment variable TOKENSERVER_SERVER_WORKERS: input should be greater than or equal to 1",
    ]


def test_a_fault_in_the_file_stays_in_the_file(folder: Path) -> None:
    """A variable whose path merely begins alike is not blamed."""
    text = REFERENCE.replace("policies: policies/", "policies: 5")
    (fault,) = faults_of(folder, text, {"TOKENSERVER_SERVER_LISTEN": "127.0.0.1:1"})
    assert fault == f"tokenserver.yaml:{line_of('policies')}: policies: must be a path, not a number"


def test_indexes_add_to_a_list(folder: Path) -> None:
    """The next index appends, an index that is there changes, and the file's own entries stay."""
    environment = {
        "TOKENSERVER_REGISTRIES_2_SERVICE": "third",
        "TOKENSERVER_REGISTRIES_2_TOKEN_LIFETIME": "2m",
        "TOKENSERVER_REGISTRIES_0_SERVICE": "first",
    }
    found = load(folder, REFERENCE, environment).registries
    assert [(entry.service, entry.token_lifetime.default) for entry in found] == [
        ("first", 600),
        ("second", 900),
        ("third", 120),
    ]


def test_more_than_ten_indexes(folder: Path) -> None:
    """Entry 10 comes after entry 9, though as text it comes after entry 1."""
    environment = {f"TOKENSERVER_REGISTRIES_{index}_SERVICE": f"r{index}" for index in range(25)}
    found = load(folder, MINIMAL, environment).registries
    assert [entry.service for entry in found] == [f"r{index}" for index in range(25)]


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        pytest.param(
            MINIMAL,
            {"TOKENSERVER_REGISTRIES_2_SERVICE": "x"},
            "TOKENSERVER_REGISTRIES_2_SERVICE: entry 2 would leave a gap: the list has 1",
            id="gap",
        ),
        pytest.param(
            changed('{url: "https://auth.example.com"}', "text"),
            {"TOKENSERVER_SERVER_URL": "https://a"},
            "TOKENSERVER_SERVER_URL: the file has no mapping here",
            id="text-where-a-section-is-meant",
        ),
        pytest.param(
            changed('{url: "https://auth.example.com"}', "text"),
            {"TOKENSERVER_SERVER_TLS_KEY": "k"},
            "TOKENSERVER_SERVER_TLS_KEY: the file has no mapping here",
            id="text-far-above",
        ),
        pytest.param(
            changed("[{service: registry.example.com}]", "text"),
            {"TOKENSERVER_REGISTRIES_0_SERVICE": "x"},
            "TOKENSERVER_REGISTRIES_0_SERVICE: the file has no list here",
            id="text-where-a-list-is-meant",
        ),
    ],
)
def test_a_variable_without_a_place_is_refused(
    folder: Path, text: str, environment: Environment, expected: str
) -> None:
    """The file has no place for it; all other faults are reported as well."""
    found = faults_of(folder, text, {**environment, "TOKENSERVER_ISUER": "x"})
    assert f"environment variable {expected}" in found
    assert any("TOKENSERVER_ISUER" in fault for fault in found)


def test_an_empty_section_is_filled(folder: Path) -> None:
    """`server:` with nothing behind it has a place for variables."""
    text = changed('server: {url: "https://auth.example.com"}', "server:")
    assert load(folder, text, {"TOKENSERVER_SERVER_URL": "https://a"}).server.url == "https://a"


def test_text_keys_are_not_read_as_yaml(folder: Path) -> None:
    """A service called 12 or `true` is a name; as YAML it would be no text."""
    environment = {"TOKENSERVER_REGISTRIES_0_SERVICE": "12", "TOKENSERVER_ISSUER": "true"}
    found = load(folder, MINIMAL, environment)
    assert (found.registries[0].service, found.issuer) == ("12", "true")


@settings(
    deadline=None,
    max_examples=min(settings().max_examples * 3 // 5, 5_000),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.sampled_from(sorted(ENVIRONMENT)), st.text(st.characters(exclude_characters="\0")))
def test_any_text_in_a_variable_is_settings_or_a_load_error(folder: Path, name: str, text: str) -> None:
    """Lone surrogates included, which is how bytes that are not UTF-8 arrive here."""
    outcome = outcome_of(folder, REFERENCE, {name: text})
    assert isinstance(outcome, Settings) or outcome.faults != ()


@pytest.mark.parametrize(
    ("given_path", "environment", "expected"),
    [
        pytest.param("a.yaml", {"TOKENSERVER_CONFIG": "b.yaml"}, "a.yaml", id="given"),
        pytest.param(None, {"TOKENSERVER_CONFIG": "b.yaml"}, "b.yaml", id="variable"),
        pytest.param(None, {"TOKENSERVER_CONFIG": ""}, "tokenserver.yaml", id="empty-variable"),
        pytest.param(None, {}, "tokenserver.yaml", id="default"),
    ],
)
def test_config_path(given_path: str | None, environment: Environment, expected: str) -> None:
    """--config, else TOKENSERVER_CONFIG, else tokenserver.yaml here."""
    assert config_path(Path(given_path) if given_path else None, environment) == Path(expected)


def test_the_process_environment_is_read_where_none_is_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one place that does."""
    for name in [name for name in os.environ if name.startswith("TOKENSERVER_")]:
        monkeypatch.delenv(name)
    (folder / "mine.yaml").write_text(MINIMAL)
    monkeypatch.setenv("TOKENSERVER_CONFIG", str(folder / "mine.yaml"))
    monkeypatch.setenv("TOKENSERVER_ISSUER", "from-the-environment")
    assert config_path(None) == folder / "mine.yaml"
    assert load_settings().issuer == "from-the-environment"


@pytest.mark.parametrize(
    ("given_path", "environment"),
    [
        pytest.param("none.yaml", ENVIRONMENT, id="given"),
        pytest.param(None, {**ENVIRONMENT, "TOKENSERVER_CONFIG": "none.yaml"}, id="variable"),
        pytest.param("below/none.yaml", {}, id="folder-missing"),
        pytest.param(None, {}, id="default-and-no-environment"),
    ],
)
def test_a_missing_file_is_refused(folder: Path, given_path: str | None, environment: Environment) -> None:
    """A file that was named must be there, whatever the environment sets: a typo must not drop the configuration."""
    with pytest.raises(LoadError) as caught:
        load_settings(Path(given_path) if given_path else None, environment)
    (fault,) = caught.value.faults
    assert "does not exist; create one with `tokenserver init DIR`, or name another with --config FILE" in str(fault)
    assert fault.file == (given_path or environment.get("TOKENSERVER_CONFIG", "tokenserver.yaml"))


def test_a_missing_file_does_not_hide_an_unknown_variable(folder: Path) -> None:
    """Both are reported."""
    with pytest.raises(LoadError) as caught:
        load_settings(folder / "none.yaml", {"TOKENSERVER_ISUER": "x"})
    assert len(caught.value.faults) == 2


def test_what_is_missing_in_the_environment_is_told(folder: Path) -> None:
    """Without a file, the faults say that they are about the environment."""
    with pytest.raises(LoadError) as caught:
        load_settings(None, {"TOKENSERVER_ISSUER": "a"})
    assert {fault.file for fault in caught.value.faults} == {"the environment"}
    assert {fault.path for fault in caught.value.faults} == {"server", "registries", "policies", "keys"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("x" * 300, "cannot be read: File name too long", id="name-too-long"),
        pytest.param("loop", "cannot be read: Too many levels of symbolic links", id="loop-of-links"),
        pytest.param(".", "is not a regular file", id="folder"),
    ],
)
def test_a_file_out_of_reach_is_refused(folder: Path, name: str, expected: str) -> None:
    """It is neither a missing file nor a crash; the environment does not replace it."""
    (folder / "loop").symlink_to("loop")
    with pytest.raises(LoadError, match=expected):
        load_settings(folder / name, ENVIRONMENT)


def test_a_file_out_of_reach_is_not_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An inaccessible default file is reported, and not skipped in favour of the environment."""
    Path("tokenserver.yaml").symlink_to("tokenserver.yaml")
    with pytest.raises(LoadError, match="cannot be read"):
        load_settings(None, ENVIRONMENT)


def test_a_file_that_others_can_change_is_refused(folder: Path) -> None:
    """Whoever can write the configuration can point it at other users."""
    path = folder / "tokenserver.yaml"
    path.write_text(MINIMAL)
    path.chmod(0o666)
    with pytest.raises(LoadError, match="can be changed by others"):
        load_settings(path, {})
