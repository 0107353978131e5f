"""Loading the configuration: every key, every way to get one wrong, and environment variables."""

from __future__ import annotations

import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from tokenserver.config.ldap import Ldap
from tokenserver.config.load import config_path, load_settings
from tokenserver.config.settings import Settings
from tokenserver.errors import LoadError

REFERENCE = """\
issuer: auth.example.com
server:
  listen: 127.0.0.1:5001
  metrics: 127.0.0.1:9090
  url: https://auth.example.com/registry
  tls:
    certificate: tls.pem
    key: tls.key
  trusted_proxies: [10.0.0.0/8, "2001:db8::/32"]
  require_https: false
  workers: 2
registries:
  - service: registry.example.com
    also: [old.example.com, older.example.com]
    issuer: team.example.com
    compat: distribution3
    algorithm: RS256
    token_lifetime:
      default: 10m
      pull: 5m
      push: 1h
      delete: 60s
    keys: team-keys/
    url: https://registry.example.com:5000
  - service: second
authentication:
  - htpasswd:
      file: users.htpasswd
      name: local
      cache: 45s
  - ldap:
      name: corp
      preset: active_directory
      url: [ldaps://dc1.example.com, ldaps://dc2.example.com:1636]
      ca_file: ca.pem
      base: dc=example,dc=com
      bind_dn: cn=reader,dc=example,dc=com
      bind_password_file: ldap-password
      user_filter: "(uid={user})"
      subject: uid
      display_name: gecos
      email: mail
      lowercase: false
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
      name: third
      url: ldap://third.example.com
      insecure_plaintext: true
      base: dc=third
      subject: uid
      user_dn_template: "uid={user},dc=third"
anonymous: true
policies: policies/
shadow_policies: candidate/
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

ENVIRONMENT = {
    "TOKENSERVER_ISSUER": "auth.example.com",
    "TOKENSERVER_SERVER_LISTEN": "127.0.0.1:5001",
    "TOKENSERVER_SERVER_METRICS": "127.0.0.1:9090",
    "TOKENSERVER_SERVER_URL": "https://auth.example.com/registry",
    "TOKENSERVER_SERVER_TLS_CERTIFICATE": "tls.pem",
    "TOKENSERVER_SERVER_TLS_KEY": "tls.key",
    "TOKENSERVER_SERVER_TRUSTED_PROXIES": "[10.0.0.0/8, '2001:db8::/32']",
    "TOKENSERVER_SERVER_REQUIRE_HTTPS": "false",
    "TOKENSERVER_SERVER_WORKERS": "2",
    "TOKENSERVER_REGISTRIES_0_SERVICE": "registry.example.com",
    "TOKENSERVER_REGISTRIES_0_ALSO": "[old.example.com, older.example.com]",
    "TOKENSERVER_REGISTRIES_0_ISSUER": "team.example.com",
    "TOKENSERVER_REGISTRIES_0_COMPAT": "distribution3",
    "TOKENSERVER_REGISTRIES_0_ALGORITHM": "RS256",
    "TOKENSERVER_REGISTRIES_0_TOKEN_LIFETIME_DEFAULT": "10m",
    "TOKENSERVER_REGISTRIES_0_TOKEN_LIFETIME_PULL": "5m",
    "TOKENSERVER_REGISTRIES_0_TOKEN_LIFETIME_PUSH": "1h",
    "TOKENSERVER_REGISTRIES_0_TOKEN_LIFETIME_DELETE": "60s",
    "TOKENSERVER_REGISTRIES_0_KEYS": "team-keys",
    "TOKENSERVER_REGISTRIES_0_URL": "https://registry.example.com:5000",
    "TOKENSERVER_REGISTRIES_1_SERVICE": "second",
    "TOKENSERVER_AUTHENTICATION_0_HTPASSWD_FILE": "users.htpasswd",
    "TOKENSERVER_AUTHENTICATION_0_HTPASSWD_NAME": "local",
    "TOKENSERVER_AUTHENTICATION_0_HTPASSWD_CACHE": "45s",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_NAME": "corp",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_PRESET": "active_directory",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_URL": "[ldaps://dc1.example.com, ldaps://dc2.example.com:1636]",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_CA_FILE": "ca.pem",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_BASE": "dc=example,dc=com",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_BIND_DN": "cn=reader,dc=example,dc=com",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_BIND_PASSWORD_FILE": "ldap-password",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_USER_FILTER": "(uid={user})",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_SUBJECT": "uid",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_DISPLAY_NAME": "gecos",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_EMAIL": "mail",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_LOWERCASE": "false",
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
    "TOKENSERVER_AUTHENTICATION_3_LDAP_NAME": "third",
    "TOKENSERVER_AUTHENTICATION_3_LDAP_URL": "ldap://third.example.com",
    "TOKENSERVER_AUTHENTICATION_3_LDAP_INSECURE_PLAINTEXT": "true",
    "TOKENSERVER_AUTHENTICATION_3_LDAP_BASE": "dc=third",
    "TOKENSERVER_AUTHENTICATION_3_LDAP_SUBJECT": "uid",
    "TOKENSERVER_AUTHENTICATION_3_LDAP_USER_DN_TEMPLATE": "uid={user},dc=third",
    "TOKENSERVER_ANONYMOUS": "true",
    "TOKENSERVER_POLICIES": "policies/",
    "TOKENSERVER_SHADOW_POLICIES": "candidate/",
    "TOKENSERVER_KEYS_FOLDER": "keys/",
    "TOKENSERVER_KEYS_ROTATE_EVERY": "30d",
    "TOKENSERVER_KEYS_PUBLISH_AHEAD": "2h",
    "TOKENSERVER_THROTTLE_ENABLED": "true",
    "TOKENSERVER_THROTTLE_FAILURES_PER_USER": "6",
    "TOKENSERVER_THROTTLE_FAILURES_PER_ADDRESS": "60",
    "TOKENSERVER_THROTTLE_FAILURES_TOTAL": "600",
    "TOKENSERVER_THROTTLE_WINDOW": "10m",
    "TOKENSERVER_TOKEN_REUSE": "5s",
    "TOKENSERVER_THROTTLE_REDIS": "rediss://counter@redis.example.com:6380/1",
    "TOKENSERVER_THROTTLE_REDIS_PASSWORD_FILE": "redis-password",
    "TOKENSERVER_THROTTLE_SECRET_FILE": "throttle-secret",
}
"""REFERENCE, all of it, as variables."""

KEY_LINE = re.compile(r"(?P<indent>\s*(?:- )?)(?P<key>\w+):(?P<rest>.*)")

Environment = dict[str, str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own folder for the file; the working folder is another one, so that the two cannot be confused."""
    (tmp_path / "config").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "config"


def _load(folder: Path, text: str, environment: Environment | None = None) -> Settings:
    path = folder / "tokenserver.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, environment or {})


def _line(key: str) -> int:
    """The line of a key at the top of the reference."""
    return next(number for number, line in enumerate(REFERENCE.splitlines(), 1) if line.startswith(f"{key}:"))


def _outcome(folder: Path, text: str, environment: Environment | None = None) -> Settings | LoadError:
    try:
        return _load(folder, text, environment)
    except LoadError as error:
        return error


def _faults(folder: Path, text: str, environment: Environment | None = None) -> list[str]:
    with pytest.raises(LoadError) as caught:
        _load(folder, text, environment)
    return [str(fault).removeprefix(f"{folder}/") for fault in caught.value.faults]


def _with(old: str, new: str) -> str:
    """MINIMAL with one change that really is one."""
    assert MINIMAL.count(old) == 1
    return MINIMAL.replace(old, new)


def _server(line: str) -> str:
    return _with('{url: "https://auth.example.com"}', f'{{url: "https://auth.example.com", {line}}}')


def _url(url: str) -> str:
    return _with('"https://auth.example.com"', f'"{url}"')


def _registry(line: str) -> str:
    return _with("{service: registry.example.com}", f"{{service: registry.example.com, {line}}}")


# --- what is right ---------------------------------------------------------------------------------------------------


def test_the_reference_is_read_whole(folder: Path) -> None:
    """Every key arrives where it belongs, typed."""
    found = _load(folder, REFERENCE)
    assert found.model_dump() == {
        "issuer": "auth.example.com",
        "server": {
            "listen": "127.0.0.1:5001",
            "url": "https://auth.example.com/registry",
            "tls": {"certificate": folder / "tls.pem", "key": folder / "tls.key"},
            "trusted_proxies": (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")),
            "metrics": "127.0.0.1:9090",
            "require_https": False,
            "workers": 2,
        },
        "registries": (
            {
                "service": "registry.example.com",
                "also": ("old.example.com", "older.example.com"),
                "issuer": "team.example.com",
                "compat": "distribution3",
                "algorithm": "RS256",
                "token_lifetime": {"default": 600, "pull": 300, "push": 3600, "delete": 60},
                "keys": folder / "team-keys",
                "url": "https://registry.example.com:5000",
            },
            {
                "service": "second",
                "also": (),
                "issuer": None,
                "compat": "universal",
                "algorithm": None,
                "token_lifetime": {"default": 900, "pull": None, "push": None, "delete": None},
                "keys": None,
                "url": None,
            },
        ),
        "authentication": (
            {"htpasswd": {"file": folder / "users.htpasswd", "name": "local", "cache": 45}, "ldap": None},
            *(source.model_dump() for source in found.authentication[1:]),  # test_directories_are_read looks at these
        ),
        "anonymous": True,
        "policies": folder / "policies",
        "shadow_policies": folder / "candidate",
        "keys": {"folder": folder / "keys", "rotate_every": 2_592_000, "publish_ahead": 7200},
        "throttle": {
            "enabled": True,
            "failures_per_user": 6,
            "failures_per_address": 60,
            "failures_total": 600,
            "window": 600,
            "redis": "rediss://counter@redis.example.com:6380/1",
            "redis_password_file": folder / "redis-password",
            "secret_file": folder / "throttle-secret",
        },
        "token_reuse": 5,
    }
    assert found.server.realm == "https://auth.example.com/registry/token"
    assert found.server.address == ("127.0.0.1", 5001)
    assert found.authentication[0].name == "local"


def test_defaults(folder: Path) -> None:
    """The defaults: loopback, 15 minutes, x5c for every registry, and no anonymous access."""
    found = _load(folder, MINIMAL)
    assert found.server.listen == "127.0.0.1:5001"
    assert (found.server.tls, found.server.trusted_proxies, found.server.workers) == (None, (), None)
    assert found.server.require_https
    assert (found.registries[0].compat, found.registries[0].token_lifetime.default) == ("universal", 900)
    assert (found.authentication[0].name, found.anonymous) == ("htpasswd", False)


def test_a_registry_is_found_by_its_exact_service(folder: Path) -> None:
    """No prefix, no other case."""
    found = _load(folder, REFERENCE)
    assert found.registry("second") is found.registries[1]
    assert [found.registry(name) for name in ("Second", "secon", "", "third")] == [None] * 4


def _leaves(model: type[BaseModel], prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every key of a model by its names, found without the help of `load`."""
    found: list[tuple[str, ...]] = []
    for name, field in model.model_fields.items():
        inner = _sections(field.annotation)
        found.append((*prefix, name))
        for section in inner:
            found.extend(_leaves(section, (*prefix, name)))
    return found


def _sections(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections(part)]


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
    assert _keys_in(yaml.safe_load(REFERENCE)) == set(_leaves(Settings))


# --- misspelt keys ---------------------------------------------------------------------------------------------------


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
    found = [fault for fault in _faults(folder, text) if "unknown key" in fault]
    (fault,) = found
    assert fault.startswith(f"tokenserver.yaml:{number + 1}: ")
    assert fault.endswith(f"{wrong}: unknown key; did you mean {key!r}?")


def test_every_line_of_the_reference_is_a_key() -> None:
    """The test above covers all of them."""
    lines = REFERENCE.splitlines()
    assert [line for line in lines if KEY_LINE.fullmatch(line) is None] == []


def test_a_key_in_the_wrong_section_is_refused(folder: Path) -> None:
    """A right key where it does not belong is an unknown one."""
    found = _faults(folder, MINIMAL + "listen: 127.0.0.1:5001\n")
    known = (
        "anonymous, authentication, issuer, keys, policies, registries, server, shadow_policies, throttle, token_reuse"
    )
    assert found == [f"tokenserver.yaml:7: listen: unknown key; known here: {known}"]


# --- wrong values ----------------------------------------------------------------------------------------------------

URL_NEEDED = "must be a URL such as https://auth.example.com"
URL_BARE = "must be a URL without user, query, fragment and blanks"
NETWORK = "must be a network such as 10.0.0.0/8"
NAME = "must be 1 to 255 printable ASCII characters without quotes and backslashes"
SOURCE = "must be lower-case letters, digits, '.', '_' and '-', at most 64"
ADDRESS = "must be ADDRESS:PORT, such as 127.0.0.1:5001 or [::]:5001"
LIFETIME = "clients take less for 60 s, and tokens cannot be revoked"
IP_LITERAL = "must hold a host name: crane and oras refuse a token server at an IP address"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # types
        pytest.param(
            _with("issuer: auth.example.com", "issuer: 12"), "issuer: must be text, not a number", id="issuer"
        ),
        pytest.param(_with("issuer: auth.example.com", "issuer:"), "issuer: must be text, not nothing", id="no-issuer"),
        pytest.param(_with('{url: "https://auth.example.com"}', "x"), "server: must be a mapping", id="server-text"),
        pytest.param(_with('{url: "https://auth.example.com"}', "[]"), "server: must be a mapping", id="server-list"),
        pytest.param(_with("[{service: registry.example.com}]", "a"), "registries: must be a list", id="registries"),
        pytest.param(
            _with("[{service: registry.example.com}]", "{}"), "registries: must be a list", id="registries-map"
        ),
        pytest.param(_with("{service: registry.example.com}", "a"), "registries[0]: must be a mapping", id="registry"),
        pytest.param(
            _with("{htpasswd: {file: users.htpasswd}}", "x"), "authentication[0]: must be a mapping", id="source"
        ),
        pytest.param(
            _with("{file: users.htpasswd}", "users"), "authentication[0].htpasswd: must be a mapping", id="short"
        ),
        pytest.param(_with("policies: policies", "policies: 5"), "policies: must be a path, not a number", id="path"),
        pytest.param(
            _with("policies: policies", "policies: [a]"), "policies: must be a path, not a list", id="path-list"
        ),
        pytest.param(MINIMAL + "anonymous: no\n", "anonymous: must be true or false, not 'no'", id="no-is-no-boolean"),
        pytest.param(MINIMAL + "anonymous: 1\n", "anonymous: must be true or false, not 1", id="1-is-no-boolean"),
        pytest.param(_server('metrics: "9090"'), "server.metrics: must be ADDRESS:PORT", id="metrics-without-address"),
        pytest.param(_server("metrics: true"), "server.metrics: must be text, not a boolean", id="metrics-boolean"),
        pytest.param(
            _server("metrics: 0.0.0.0:5001"),
            "server.metrics: has the port of listen (127.0.0.1:5001)",
            id="metrics-port",
        ),
        pytest.param(_server("workers: many"), "server.workers: input should be a valid integer", id="workers-text"),
        pytest.param(_server('workers: "2"'), "server.workers: input should be a valid integer", id="workers-quoted"),
        pytest.param(_server("workers: 2.0"), "server.workers: input should be a valid integer", id="workers-float"),
        pytest.param(_server("workers: true"), "server.workers: input should be a valid integer", id="workers-boolean"),
        pytest.param(
            _server("workers: 0"), "server.workers: input should be greater than or equal to 1", id="workers-0"
        ),
        pytest.param(
            _server("workers: 257"), "server.workers: input should be less than or equal to 256", id="workers-257"
        ),
        pytest.param(_registry("compat: docker"), "registries[0].compat: must be one of 'universal'", id="compat"),
        pytest.param(
            _registry("token_lifetime: [5m]"), "registries[0].token_lifetime: input should be", id="lifetime-list"
        ),
        pytest.param(
            _registry("token_lifetime: true"), "registries[0].token_lifetime: input should be", id="lifetime-bool"
        ),
        # missing
        pytest.param(_with("issuer: auth.example.com\n", ""), "issuer: is missing", id="issuer-missing"),
        pytest.param(_with('{url: "https://auth.example.com"}', "{}"), "server.url: is missing", id="url-missing"),
        pytest.param(
            _with("{service: registry.example.com}", "{}"), "registries[0].service: is missing", id="no-service"
        ),
        pytest.param(
            _with("{file: users.htpasswd}", "{}"), "authentication[0].htpasswd.file: is missing", id="no-file"
        ),
        pytest.param(_server("tls: {certificate: a}"), "server.tls.key: is missing", id="half-a-tls"),
        # names
        pytest.param(_with("issuer: auth.example.com", "issuer: ''"), f"issuer: {NAME}", id="empty-issuer"),
        pytest.param(_with("issuer: auth.example.com", "issuer: bü"), f"issuer: {NAME}", id="issuer-not-ascii"),
        pytest.param(_with("issuer: auth.example.com", 'issuer: "a\\nb"'), f"issuer: {NAME}", id="issuer-newline"),
        pytest.param(_with("issuer: auth.example.com", "issuer: 'a\"b'"), f"issuer: {NAME}", id="issuer-quote"),
        pytest.param(_with("issuer: auth.example.com", "issuer: 'a\\b'"), f"issuer: {NAME}", id="issuer-backslash"),
        pytest.param(
            _with("issuer: auth.example.com", "issuer: ' a'"), "issuer: must not begin or end", id="issuer-blank"
        ),
        pytest.param(
            _with("issuer: auth.example.com", f"issuer: {'a' * 256}"), f"issuer: {NAME}", id="issuer-too-long"
        ),
        pytest.param(
            _with("service: registry.example.com", 'service: "a\\r\\nX: b"'),
            f"registries[0].service: {NAME}",
            id="service-that-splits-a-header",
        ),
        pytest.param(
            _with("{file: users.htpasswd}", "{file: u, name: Local}"),
            f"authentication[0].htpasswd.name: {SOURCE}",
            id="source-in-capitals",
        ),
        pytest.param(
            _with("{file: users.htpasswd}", "{file: u, name: ''}"),
            f"authentication[0].htpasswd.name: {SOURCE}",
            id="source-without-name",
        ),
        pytest.param(
            _with("{file: users.htpasswd}", f"{{file: u, name: {'a' * 65}}}"),
            f"authentication[0].htpasswd.name: {SOURCE}",
            id="source-too-long",
        ),
        # URLs
        pytest.param(_url("https://192.0.2.1"), f"server.url: {IP_LITERAL} (192.0.2.1)", id="ipv4-url"),
        pytest.param(_url("https://127.0.0.1:5001"), f"server.url: {IP_LITERAL} (127.0.0.1)", id="loopback-url"),
        pytest.param(_url("https://[2001:db8::1]"), f"server.url: {IP_LITERAL} (2001:db8::1)", id="ipv6-url"),
        pytest.param(_url("https://[::ffff:192.0.2.1]:443"), f"server.url: {IP_LITERAL}", id="mapped-url"),
        pytest.param(_url("auth.example.com"), f"server.url: {URL_NEEDED}", id="url-without-scheme"),
        pytest.param(_url("ftp://auth.example.com"), f"server.url: {URL_NEEDED}", id="ftp-url"),
        pytest.param(_url("HTTP://auth.example.com"), f"server.url: {URL_NEEDED}", id="scheme-in-capitals"),
        pytest.param(_url("https://"), f"server.url: {URL_NEEDED}", id="url-without-host"),
        pytest.param(_url("https://:443"), f"server.url: {URL_NEEDED}", id="url-with-port-alone"),
        pytest.param(_url("https:///token"), f"server.url: {URL_NEEDED}", id="url-with-path-alone"),
        pytest.param(_url(""), f"server.url: {URL_NEEDED}", id="empty-url"),
        pytest.param(_url("https://a:0"), f"server.url: {URL_NEEDED}", id="port-0"),
        pytest.param(_url("https://a:65536"), f"server.url: {URL_NEEDED}", id="port-65536"),
        pytest.param(_url("https://a:b"), f"server.url: {URL_NEEDED}", id="port-text"),
        pytest.param(_url("https://[::1"), f"server.url: {URL_NEEDED}", id="bracket-open"),
        pytest.param(_url("https://ann@a"), f"server.url: {URL_BARE}", id="user-in-url"),
        pytest.param(_url("https://ann:x@a"), f"server.url: {URL_BARE}", id="password-in-url"),
        pytest.param(_url("https://@a"), f"server.url: {URL_BARE}", id="empty-user-in-url"),
        pytest.param(_url("https://a/?b=c"), f"server.url: {URL_BARE}", id="query-in-url"),
        pytest.param(_url("https://a?"), f"server.url: {URL_BARE}", id="empty-query-in-url"),
        pytest.param(_url("https://a#b"), f"server.url: {URL_BARE}", id="fragment-in-url"),
        pytest.param(_url("https://a/#"), f"server.url: {URL_BARE}", id="empty-fragment-in-url"),
        pytest.param(_url("https://a/b c"), f"server.url: {URL_BARE}", id="blank-in-url"),
        pytest.param(_url("https://a/ü"), f"server.url: {URL_BARE}", id="url-not-ascii"),
        pytest.param(
            _with('"https://auth.example.com"', "'https://a/\"b'"),
            "server.url: must not contain quotes",
            id="quote-in-url",
        ),
        pytest.param(
            _url("https://a_b.example.com"), "server.url: 'a_b.example.com' is not a host name", id="underscore"
        ),
        pytest.param(
            _url("https://-a.example.com"), "server.url: '-a.example.com' is not a host name", id="dash-first"
        ),
        pytest.param(_url("https://a..b"), "server.url: 'a..b' is not a host name", id="two-dots"),
        pytest.param(_registry("url: registry"), f"registries[0].url: {URL_NEEDED}", id="registry-url"),
        pytest.param(
            _with('{url: "https://auth.example.com"}', '{url: "http://a.example.com", tls: {certificate: c, key: k}}'),
            "server.url: begins with http:// although tls is configured; use https://",
            id="tls-and-http",
        ),
        # addresses and networks
        pytest.param(_server("listen: 5001"), "server.listen: must be text, not a number", id="listen-port-alone"),
        pytest.param(
            _server("listen: ':5001'"), "server.listen: must begin with an IP address, not ''", id="listen-no-host"
        ),
        pytest.param(
            _server("listen: 'localhost:5001'"), "not 'localhost'; 0.0.0.0 listens everywhere", id="listen-name"
        ),
        pytest.param(_server("listen: 127.0.0.1"), f"server.listen: {ADDRESS}", id="listen-no-port"),
        pytest.param(_server("listen: '127.0.0.1:'"), f"server.listen: {ADDRESS}", id="listen-empty-port"),
        pytest.param(_server("listen: '127.0.0.1:0'"), f"server.listen: {ADDRESS}", id="listen-port-0"),
        pytest.param(_server("listen: '127.0.0.1:65536'"), f"server.listen: {ADDRESS}", id="listen-port-65536"),
        pytest.param(_server("listen: '127.0.0.1:5001 '"), f"server.listen: {ADDRESS}", id="listen-blank"),
        pytest.param(_server('listen: "127.0.0.1:5001\\n"'), f"server.listen: {ADDRESS}", id="listen-newline"),
        pytest.param(_server("listen: '127.0.0.1:\u0665'"), f"server.listen: {ADDRESS}", id="listen-arabic-digits"),
        pytest.param(
            _server("trusted_proxies: [10.0.0.1/8]"),
            "server.trusted_proxies[0]: '10.0.0.1/8' has host bits set; the network is 10.0.0.0/8",
            id="host-bits",
        ),
        pytest.param(
            _server("trusted_proxies: ['2001:db8::1/32']"),
            "server.trusted_proxies[0]: '2001:db8::1/32' has host bits set; the network is 2001:db8::/32",
            id="host-bits-ipv6",
        ),
        pytest.param(_server("trusted_proxies: [a]"), f"trusted_proxies[0]: {NETWORK}, not 'a'", id="network-text"),
        pytest.param(_server("trusted_proxies: [10.0.0.0/33]"), f"[0]: {NETWORK}, not '10.0.0.0/33'", id="network-33"),
        pytest.param(_server("trusted_proxies: ['*']"), f"trusted_proxies[0]: {NETWORK}, not '*'", id="network-star"),
        pytest.param(_server("trusted_proxies: [10]"), f"trusted_proxies[0]: {NETWORK}", id="network-number"),
        pytest.param(_server("trusted_proxies: [~]"), f"trusted_proxies[0]: {NETWORK}", id="network-nothing"),
        pytest.param(
            _server("trusted_proxies: 10.0.0.0/8"), "server.trusted_proxies: must be a list", id="network-alone"
        ),
        # durations
        pytest.param(_registry("token_lifetime: 59s"), f"must be from 60s to 1h, not 59s: {LIFETIME}", id="59s"),
        pytest.param(_registry("token_lifetime: 3601"), f"must be from 60s to 1h, not 3601s: {LIFETIME}", id="3601"),
        pytest.param(_registry("token_lifetime: 2h"), f"must be from 60s to 1h, not 7200s: {LIFETIME}", id="2h"),
        pytest.param(_registry("token_lifetime: 0"), "must be from 60s to 1h, not 0s", id="0"),
        pytest.param(_registry("token_lifetime: -300"), "must be from 60s to 1h, not -300s", id="negative"),
        pytest.param(
            _registry("token_lifetime: 15 m"), "must be a duration such as 90s, 15m or 1h", id="blank-in-15-m"
        ),
        pytest.param(_registry("token_lifetime: 15M"), "must be a duration such as 90s, 15m or 1h", id="15M"),
        pytest.param(_registry("token_lifetime: 1h30m"), "must be a duration such as 90s, 15m or 1h", id="1h30m"),
        pytest.param(_registry("token_lifetime: '900'"), "must be a duration such as 90s, 15m or 1h", id="quoted-900"),
        pytest.param(_registry('token_lifetime: "15m\\n"'), "must be a duration such as", id="newline-after-15m"),
        pytest.param(_registry("token_lifetime: \u0661\u0665m"), "must be a duration such as", id="arabic-digits"),
        pytest.param(_registry("token_lifetime: 900.5"), "registries[0].token_lifetime: input should be", id="float"),
        # paths
        pytest.param(_with("keys: keys", "keys: ''"), "keys: must be a path", id="empty-path"),
        pytest.param(_with("keys: keys", 'keys: "a\\0b"'), "keys: must be a path", id="nul-in-path"),
        pytest.param(
            _with("keys: keys", "keys: ~no-such-user-here/keys"),
            "keys: there is no home folder for '~no-such-user-here'",
            id="home-of-nobody",
        ),
        # what does not fit together
        pytest.param(
            _with("[{service: registry.example.com}]", "[]"), "registries: must list at least one", id="no-registry"
        ),
        pytest.param(
            _with("[{htpasswd: {file: users.htpasswd}}]", "[]"),
            "authentication: is empty and anonymous is off, so no client could get a token",
            id="nobody-can-log-in",
        ),
        pytest.param(
            _with("authentication: [{htpasswd: {file: users.htpasswd}}]\n", ""),
            "authentication: is empty and anonymous is off, so no client could get a token",
            id="nobody-can-log-in-by-absence",
        ),
        pytest.param(
            _with("{htpasswd: {file: users.htpasswd}}", "{}"),
            "authentication[0]: must name one kind of user source, such as htpasswd: {file: users.htpasswd}",
            id="source-of-no-kind",
        ),
        pytest.param(
            _with("{htpasswd: {file: users.htpasswd}}", "{htpasswd: ~}"),
            "authentication[0]: must name one kind of user source",
            id="source-of-an-empty-kind",
        ),
        pytest.param(
            _with("[{service: registry.example.com}]", "[{service: a}, {service: b}, {service: a}]"),
            "registries[2]: the service 'a' is used twice; each entry needs its own",
            id="service-twice",
        ),
        pytest.param(
            _with("[{htpasswd: {file: users.htpasswd}}]", "[{htpasswd: {file: a}}, {htpasswd: {file: b}}]"),
            "authentication[1]: the name 'htpasswd' is used twice; each entry needs its own",
            id="name-twice-by-default",
        ),
    ],
)
def test_wrong_values_are_refused(folder: Path, text: str, expected: str) -> None:
    """Exactly one fault, with its file and path, and what would be right."""
    (fault,) = _faults(folder, text)
    assert re.match(r"tokenserver\.yaml:[1-9][0-9]*: ", fault) is not None
    assert expected in fault


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param(REFERENCE.replace("workers: 2", "workers: two"), 11, id="in-a-section"),
        pytest.param(REFERENCE.replace("key: tls.key", "key: 5"), 8, id="two-sections-down"),
        pytest.param(REFERENCE.replace("default: 10m", "default: 10h"), 19, id="in-a-list"),
        pytest.param(REFERENCE.replace("service: second", "service: registry.example.com"), 25, id="second-of-two"),
        pytest.param(REFERENCE.replace("name: local", "name: LOCAL"), 29, id="in-a-source"),
        pytest.param(REFERENCE.replace("https://auth", "http://auth"), 5, id="url-that-does-not-fit-tls"),
        pytest.param(REFERENCE.replace("anonymous: true", "anonymous: yes"), _line("anonymous"), id="at-the-top"),
    ],
)
def test_a_fault_has_its_line(folder: Path, text: str, line: int) -> None:
    """The line of the wrong key or entry."""
    (fault,) = _faults(folder, text)
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
    assert [fault.partition(" ")[0] for fault in _faults(folder, text, environment)] == [
        "tokenserver.yaml:1:",  # isuer
        "tokenserver.yaml:1:",  # issuer is missing
        "tokenserver.yaml:9:",
        "tokenserver.yaml:11:",
        "tokenserver.yaml:19:",
        f"tokenserver.yaml:{_line('anonymous')}:",
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
    found = _faults(folder, text)
    assert [fault.split(": ")[1] for fault in found] == ["server.workers", "registries[1]", "authentication[4]"]


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
        pytest.param(_with("keys: keys", "keys: !!python/object/new:os.system [id]"), "tags", id="tag"),
    ],
)
def test_broken_files_are_refused(folder: Path, text: str, expected: str) -> None:
    """YAML is read strictly, and an empty file is no configuration."""
    found = _faults(folder, text)
    assert all(fault.startswith("tokenserver.yaml:") for fault in found)
    assert expected in found[0]


@pytest.mark.parametrize("offset", range(0, len(REFERENCE), 7))
def test_a_truncated_file_is_settings_or_a_load_error(folder: Path, offset: int) -> None:
    """A file that is cut anywhere is refused, or is a whole configuration by itself."""
    outcome = _outcome(folder, REFERENCE[:offset])
    assert (outcome.registries if isinstance(outcome, Settings) else outcome.faults) != ()


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
    outcome = _outcome(folder, text)
    assert isinstance(outcome, Settings) or outcome.faults != ()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("https://auth.example.com", "https://auth.example.com", id="plain"),
        pytest.param("https://auth.example.com/", "https://auth.example.com", id="closing-slash"),
        pytest.param("https://auth.example.com/a/b/", "https://auth.example.com/a/b", id="path"),
        pytest.param("http://localhost:5001", "http://localhost:5001", id="localhost"),
        pytest.param("https://auth.example.com.", "https://auth.example.com.", id="closing-dot"),
        pytest.param("https://xn--bcher-kva.example", "https://xn--bcher-kva.example", id="punycode"),
        pytest.param("https://3com.example", "https://3com.example", id="digit-first"),
    ],
)
def test_right_urls(folder: Path, url: str, expected: str) -> None:
    """As written, without a closing slash, so that the realm has one slash before `token`."""
    found = _load(folder, _url(url)).server
    assert (found.url, found.realm) == (expected, f"{expected}/token")


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        pytest.param("127.0.0.1:5001", ("127.0.0.1", 5001), id="ipv4"),
        pytest.param("0.0.0.0:80", ("0.0.0.0", 80), id="everywhere"),  # noqa: S104 - an address in a text
        pytest.param("[::]:5001", ("::", 5001), id="ipv6-everywhere"),
        pytest.param("[2001:db8::1]:65535", ("2001:db8::1", 65535), id="ipv6"),
    ],
)
def test_right_addresses(folder: Path, listen: str, expected: tuple[str, int]) -> None:
    """Address and port, the brackets of IPv6 gone."""
    assert _load(folder, _server(f"listen: '{listen}'")).server.address == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("60", 60, id="number"),
        pytest.param("60s", 60, id="seconds"),
        pytest.param("15m", 900, id="minutes"),
        pytest.param("1h", 3600, id="hour"),
        pytest.param("3600", 3600, id="longest"),
        pytest.param("060s", 60, id="leading-zero"),
    ],
)
def test_right_durations(folder: Path, text: str, expected: int) -> None:
    """Seconds, whatever the unit; the limits are allowed."""
    assert _load(folder, _registry(f"token_lifetime: {text}")).registries[0].token_lifetime.default == expected


@pytest.mark.parametrize("compat", ["universal", "distribution2", "distribution3", "jwks"])
def test_every_compat_of_the_contract_that_is_built(folder: Path, compat: str) -> None:
    """The values by name."""
    assert _load(folder, _registry(f"compat: {compat}")).registries[0].compat == compat


def test_anonymous_alone_is_a_configuration(folder: Path) -> None:
    """Without any user source, where anonymous is on."""
    text = _with("authentication: [{htpasswd: {file: users.htpasswd}}]", "anonymous: true")
    assert (_load(folder, text).authentication, _load(folder, text).anonymous) == ((), True)


def test_settings_are_made_from_values_too(folder: Path) -> None:
    """Not only from text: what is a network already stays one, and paths are relative to where the program runs."""
    made = Settings.model_validate(
        {
            "issuer": "a",
            "server": {"url": "https://a", "trusted_proxies": [ip_network("10.0.0.0/8"), ip_network("::/0")]},
            "registries": [{"service": "a"}],
            "anonymous": True,
            "policies": Path("policies"),
            "keys": "keys",
        }
    )
    assert made.server.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::/0"))
    assert (made.policies, made.keys.folder) == (Path("policies"), Path("keys"))


# --- frozen, and without secrets -------------------------------------------------------------------------------------


def test_settings_are_frozen(folder: Path) -> None:
    """No part of them can be changed, and their lists are tuples."""
    found = _load(folder, REFERENCE)
    assert found.server.tls is not None
    source = found.authentication[0].htpasswd
    assert source is not None
    for part in (found, found.server, found.server.tls, found.registries[0], found.authentication[0], source):
        for name in type(part).model_fields:
            with pytest.raises(ValidationError, match="frozen"):
                setattr(part, name, None)
    assert [type(value) for value in (found.registries, found.authentication, found.server.trusted_proxies)] == [
        tuple
    ] * 3


def test_no_secret_stands_in_the_settings() -> None:
    """Passwords and keys are files whose names stand here, so that a printed configuration holds none. A field that
    holds a secret itself must be a `Secret`; it does not get past this test by chance."""
    secretive = re.compile(r"password|secret|passphrase|credential")
    found = [path for path in _leaves(Settings) if secretive.search(path[-1]) and not path[-1].endswith("_file")]
    assert found == [("authentication", "ldap", "bind_password")]
    values = {"url": "ldaps://a", "base": "dc=a", "preset": "openldap", "bind_dn": "cn=a", "bind_password": "canary"}
    assert "canary" not in repr(Ldap.model_validate(values))


def test_what_is_printed_holds_no_content_of_files(folder: Path) -> None:
    """repr names the files and nothing in them."""
    for name in ("users.htpasswd", "tls.key"):
        (folder / name).write_text("canary-5f1c")
    shown = repr(_load(folder, REFERENCE))
    assert "canary" not in shown
    assert str(folder / "tls.key") in shown


# --- paths -----------------------------------------------------------------------------------------------------------


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
    text = _with("keys: keys", "keys: /srv/keys").replace("policies: policies", "policies: ~/policies")
    found = _load(folder, text)
    assert (found.keys.folder, found.policies) == (Path("/srv/keys"), Path("/home/ann/policies"))


def test_relative_paths_of_the_environment_are_relative_to_the_working_folder(folder: Path) -> None:
    """A variable is in no file, so its paths are relative to the working folder, inside a value too."""
    here = Path.cwd()
    found = _load(
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
    found = _faults(folder, MINIMAL, environment)
    assert found == [
        "environment variable TOKENSERVER_AUTHENTICATION: [0]: must be a mapping (key: value), not a number",
        "environment variable TOKENSERVER_AUTHENTICATION: [1].htpasswd: must be a mapping (key: value), not text",
        "environment variable TOKENSERVER_KEYS: there is no home folder for '~no-such-user-here'",
        "environment variable TOKENSERVER_POLICIES: must be a path",
        "environment variable TOKENSERVER_SERVER_TLS: certificate: must be a path, not a number",
        "environment variable TOKENSERVER_SERVER_TLS: other: unknown key; known here: certificate, key",
    ]


# --- the environment -------------------------------------------------------------------------------------------------


def _variable_path(name: str) -> tuple[str, ...]:
    """The key that a variable of ENVIRONMENT sets, found by its spelling alone."""
    spelled = {"_".join(path).upper(): path for path in _leaves(Settings)}
    return spelled[re.sub(r"_[0-9]+(?=_)", "", name.removeprefix("TOKENSERVER_"))]


def test_the_environment_names_every_leaf() -> None:
    """A key that is added to the settings must be added to ENVIRONMENT, and so to the tests that walk it."""
    sections = {path[:-1] for path in _leaves(Settings)}
    leaves = {path for path in _leaves(Settings) if path not in sections}
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
    "TOKENSERVER_SERVER_METRICS": "[::1]:9191",
    "TOKENSERVER_SERVER_URL": "https://other.example.com",
    "TOKENSERVER_SERVER_TLS_CERTIFICATE": "/other.pem",
    "TOKENSERVER_SERVER_TLS_KEY": "/other.key",
    "TOKENSERVER_SERVER_TRUSTED_PROXIES": "[]",
    "TOKENSERVER_SERVER_REQUIRE_HTTPS": "true",
    "TOKENSERVER_SERVER_WORKERS": "3",
    "TOKENSERVER_REGISTRIES_0_SERVICE": "other",
    "TOKENSERVER_REGISTRIES_0_ALSO": "[]",
    "TOKENSERVER_REGISTRIES_0_ISSUER": "other.example.com",
    "TOKENSERVER_REGISTRIES_0_COMPAT": "jwks",
    "TOKENSERVER_REGISTRIES_0_ALGORITHM": "EdDSA",
    "TOKENSERVER_REGISTRIES_0_TOKEN_LIFETIME_DEFAULT": "120",
    "TOKENSERVER_REGISTRIES_0_TOKEN_LIFETIME_PULL": "121",
    "TOKENSERVER_REGISTRIES_0_TOKEN_LIFETIME_PUSH": "122",
    "TOKENSERVER_REGISTRIES_0_TOKEN_LIFETIME_DELETE": "123",
    "TOKENSERVER_REGISTRIES_0_KEYS": "/other/keys",
    "TOKENSERVER_REGISTRIES_0_URL": "https://other.example.com",
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
    "TOKENSERVER_AUTHENTICATION_1_LDAP_USER_FILTER": "(cn={user})",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_SUBJECT": "cn",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_DISPLAY_NAME": "cn",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_EMAIL": "address",
    "TOKENSERVER_AUTHENTICATION_1_LDAP_LOWERCASE": "true",
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
    "TOKENSERVER_AUTHENTICATION_3_LDAP_NAME": "other",
    "TOKENSERVER_AUTHENTICATION_3_LDAP_URL": "ldap://other.example.com",
    "TOKENSERVER_AUTHENTICATION_3_LDAP_INSECURE_PLAINTEXT": "true",
    "TOKENSERVER_AUTHENTICATION_3_LDAP_BASE": "dc=other",
    "TOKENSERVER_AUTHENTICATION_3_LDAP_SUBJECT": "cn",
    "TOKENSERVER_AUTHENTICATION_3_LDAP_USER_DN_TEMPLATE": "cn={user},dc=other",
    "TOKENSERVER_ANONYMOUS": "false",
    "TOKENSERVER_POLICIES": "/other/policies",
    "TOKENSERVER_SHADOW_POLICIES": "/other/candidate",
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
    "TOKENSERVER_THROTTLE_REDIS": "redis+unix:///run/redis.sock",
    "TOKENSERVER_THROTTLE_REDIS_PASSWORD_FILE": "/other-password",
    "TOKENSERVER_THROTTLE_SECRET_FILE": "/other-secret",
}


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, tuple) and value and isinstance(value[0], dict):
        items = enumerate(value)  # type: ignore[assignment]  # an index is as good a name as a key
    else:
        return {prefix.rstrip("_").upper(): value}
    return {path: leaf for key, item in items for path, leaf in _flat(item, f"{prefix}{key}_").items()}


@pytest.mark.parametrize("name", [name for name in ENVIRONMENT if OTHER_VALUES[name] != ENVIRONMENT[name]])
def test_the_environment_wins_key_by_key(folder: Path, name: str) -> None:
    """One variable over the whole reference changes its one key and nothing else."""
    before = _flat(_load(folder, REFERENCE).model_dump())
    after = _flat(_load(folder, REFERENCE, {name: OTHER_VALUES[name]}).model_dump())
    assert [key for key in before if before[key] != after[key]] == [name.removeprefix("TOKENSERVER_")]
    assert before.keys() == after.keys()


# BIND_PASSWORD with _FILE behind it is a key of its own.
@pytest.mark.parametrize("name", [name for name in ENVIRONMENT if not name.endswith("_BIND_PASSWORD")])
def test_every_key_can_come_from_a_file(folder: Path, tmp_path: Path, name: str) -> None:
    """With `_FILE` behind the name, the variable names a file that holds the value; its last newline is dropped."""
    holder = tmp_path / "value"
    holder.write_text(OTHER_VALUES[name] + "\n")
    holder.chmod(0o600)
    direct = _load(folder, REFERENCE, {name: OTHER_VALUES[name]})
    assert _load(folder, REFERENCE, {f"{name}_FILE": str(holder)}) == direct


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
    (fault,) = _faults(folder, MINIMAL, {"TOKENSERVER_ISSUER_FILE": str(holder)})
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
    assert _faults(folder, MINIMAL, environment) == [
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
    (fault,) = _faults(folder, MINIMAL, {name: "5001"})
    assert fault.startswith(f"environment variable {name}: sets nothing; ")
    assert hint in fault


# Swapping two letters that are the same makes no other name.
@pytest.mark.parametrize(
    "name", sorted(name for name in set(ENVIRONMENT) - {"TOKENSERVER_REGISTRIES_1_SERVICE"} if name[-2] != name[-1])
)
def test_every_misspelt_variable_is_refused_with_the_right_one(folder: Path, name: str) -> None:
    """Each variable, one at a time, with its last letters swapped."""
    wrong = name[:-2] + name[-1] + name[-2]
    (fault,) = _faults(folder, REFERENCE, {wrong: "x"})
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
    ours = {"TOKENSERVER_CONFIG": "elsewhere.yaml", "TOKENSERVER_REQUIRE_REAL": "1"}
    assert _load(folder, REFERENCE, {**theirs, **ours, "PATH": "/bin", "tokenserver_issuer": "x"}) == _load(
        folder, REFERENCE
    )


def test_a_fault_in_a_variable_names_it(folder: Path) -> None:
    """A fault in a variable is reported for the variable, not for a line of the file."""
    environment = {
        "TOKENSERVER_SERVER_URL": "https://192.0.2.1",
        "TOKENSERVER_REGISTRIES_0_TOKEN_LIFETIME": "5s",
        "TOKENSERVER_ANONYMOUS": "no",
        "TOKENSERVER_SERVER_WORKERS": "[",
    }
    found = _faults(folder, MINIMAL, environment)
    assert [fault.split(": ")[0] for fault in found] == [f"environment variable {name}" for name in sorted(environment)]
    assert "must hold a host name" in found[2]
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
    assert _faults(folder, MINIMAL, environment) == [
        "environment variable TOKENSERVER_REGISTRIES: [0].compt: unknown key; did you mean 'compat'?",
        "environment variable TOKENSERVER_SERVER: listn: unknown key; did you mean 'listen'?",
        "environment variable TOKENSERVER_SERVER_WORKERS: input should be greater than or equal to 1",
    ]


def test_a_fault_in_the_file_stays_in_the_file(folder: Path) -> None:
    """A variable whose path merely begins alike is not blamed."""
    text = REFERENCE.replace("policies: policies/", "policies: 5")
    (fault,) = _faults(folder, text, {"TOKENSERVER_SERVER_LISTEN": "127.0.0.1:1"})
    assert fault == f"tokenserver.yaml:{_line('policies')}: policies: must be a path, not a number"


def test_indexes_add_to_a_list(folder: Path) -> None:
    """The next index appends, an index that is there changes, and the file's own entries stay."""
    environment = {
        "TOKENSERVER_REGISTRIES_2_SERVICE": "third",
        "TOKENSERVER_REGISTRIES_2_TOKEN_LIFETIME": "2m",
        "TOKENSERVER_REGISTRIES_0_SERVICE": "first",
    }
    found = _load(folder, REFERENCE, environment).registries
    assert [(entry.service, entry.token_lifetime.default) for entry in found] == [
        ("first", 600),
        ("second", 900),
        ("third", 120),
    ]


def test_more_than_ten_indexes(folder: Path) -> None:
    """Entry 10 comes after entry 9, though as text it comes after entry 1."""
    environment = {f"TOKENSERVER_REGISTRIES_{index}_SERVICE": f"r{index}" for index in range(25)}
    found = _load(folder, MINIMAL, environment).registries
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
            _with('{url: "https://auth.example.com"}', "text"),
            {"TOKENSERVER_SERVER_URL": "https://a"},
            "TOKENSERVER_SERVER_URL: the file has no mapping here",
            id="text-where-a-section-is-meant",
        ),
        pytest.param(
            _with('{url: "https://auth.example.com"}', "text"),
            {"TOKENSERVER_SERVER_TLS_KEY": "k"},
            "TOKENSERVER_SERVER_TLS_KEY: the file has no mapping here",
            id="text-far-above",
        ),
        pytest.param(
            _with("[{service: registry.example.com}]", "text"),
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
    found = _faults(folder, text, {**environment, "TOKENSERVER_ISUER": "x"})
    assert f"environment variable {expected}" in found
    assert any("TOKENSERVER_ISUER" in fault for fault in found)


def test_an_empty_section_is_filled(folder: Path) -> None:
    """`server:` with nothing behind it has a place for variables."""
    text = _with('server: {url: "https://auth.example.com"}', "server:")
    assert _load(folder, text, {"TOKENSERVER_SERVER_URL": "https://a"}).server.url == "https://a"


def test_text_keys_are_not_read_as_yaml(folder: Path) -> None:
    """A service called 12 or `true` is a name; as YAML it would be no text."""
    environment = {"TOKENSERVER_REGISTRIES_0_SERVICE": "12", "TOKENSERVER_ISSUER": "true"}
    found = _load(folder, MINIMAL, environment)
    assert (found.registries[0].service, found.issuer) == ("12", "true")


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(ENVIRONMENT)), st.text(st.characters(exclude_characters="\0")))
def test_any_text_in_a_variable_is_settings_or_a_load_error(folder: Path, name: str, text: str) -> None:
    """Lone surrogates included, which is how bytes that are not UTF-8 arrive here."""
    outcome = _outcome(folder, REFERENCE, {name: text})
    assert isinstance(outcome, Settings) or outcome.faults != ()


# --- which file ------------------------------------------------------------------------------------------------------


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
