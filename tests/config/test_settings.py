"""The settings: defaults, every value that is rejected, frozen, and without secrets."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path

import pytest
from configuration import MINIMAL, REFERENCE, changed, faults_of, leaf_paths, load, with_registry, with_server, with_url
from pydantic import ValidationError

from tokenserver.config.settings import Settings
from tokenserver.config.sources.ldap import Ldap


def test_the_reference_is_read_whole(folder: Path) -> None:
    """Every key arrives where it belongs, typed."""
    found = load(folder, REFERENCE)
    assert found.model_dump() == {
        "issuer": "auth.example.com",
        "server": {
            "listen": "127.0.0.1:5001",
            "url": "https://auth.example.com/registry",
            "tls": {"certificate": folder / "tls.pem", "key": folder / "tls.key"},
            "trusted_proxies": (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")),
            "management": "127.0.0.1:5003",
            "management_url": "https://account.example.com",
            "metrics": "127.0.0.1:9090",
            "notifications": "127.0.0.1:5004",
            "require_https": False,
            "cors": ("https://ui.example.com",),
            "workers": 2,
        },
        "registries": (
            {
                "service": "registry.example.com",
                "also": ("old.example.com", "older.example.com"),
                "issuer": "team.example.com",
                "compat": "distribution3",
                "algorithm": "RS256",
                "grant": "held",
                "token_lifetime": {"default": 600, "pull": 300, "push": 3600, "delete": 60},
                "keys": folder / "team-keys",
                "url": "https://registry.example.com:5000",
                "refresh_tokens": False,
                "notifications": {
                    "secret_file": folder / "reports.secret",
                    "actions": ("push", "delete"),
                    "blobs": True,
                },
            },
            {
                "service": "second",
                "also": (),
                "issuer": None,
                "compat": "universal",
                "algorithm": None,
                "grant": "asked",
                "token_lifetime": {"default": 900, "pull": None, "push": None, "delete": None},
                "keys": None,
                "url": None,
                "refresh_tokens": None,
                "notifications": None,
            },
        ),
        "authentication": (
            {
                "htpasswd": {
                    "file": folder / "users.htpasswd",
                    "name": "local",
                    "cache": 45,
                    "names": {"namespace": "slug"},
                },
                "ldap": None,
                "sql": None,
                "http": None,
                "program": None,
                "oidc": None,
                "workload": None,
            },
            # test_directories_are_read and sources/test_sql.py look at these
            *(source.model_dump() for source in found.authentication[1:7]),
            {
                "htpasswd": None,
                "ldap": None,
                "sql": None,
                "http": {
                    "name": "hook",
                    "url": "https://login.example.com/check",
                    "secret_file": folder / "hook-secret",
                    "ca_file": folder / "hook-ca.pem",
                    "groups": {"allow": ("reg-*",), "prefix": "hook/"},
                    "deadline": 3,
                    "cache": 15,
                    "stale_grace": 300,
                },
                "program": None,
                "oidc": None,
                "workload": None,
            },
            {
                "htpasswd": None,
                "ldap": None,
                "sql": None,
                "http": None,
                "program": {
                    "name": "script",
                    "command": (str(folder / "bin" / "check"), "--fast"),
                    "protocol": "json",
                    "group_labels": (),
                    "workers": 8,
                    "groups": {"allow": ("team=*",), "prefix": "script/"},
                    "deadline": 4,
                    "cache": 25,
                    "stale_grace": 360,
                },
                "oidc": None,
                "workload": None,
            },
            found.authentication[9].model_dump(),
            {
                "htpasswd": None,
                "ldap": None,
                "sql": None,
                "http": None,
                "program": None,
                "oidc": None,
                "workload": {
                    "name": "ci",
                    "preset": "spiffe",
                    "issuer": "https://ci.example.com",
                    "audience": ("https://auth.example.com", "registry"),
                    "algorithms": ("ES256",),
                    "keys": {"url": "https://ci.example.com/jwks", "token_file": folder / "ci-token", "file": None},
                    "trust_domain": "example.org",
                    "ca_file": folder / "ci-ca.pem",
                    "leeway": 10,
                    "max_age": 3600,
                    "session": 7200,
                    "cache": 20,
                },
            },
            {
                "htpasswd": None,
                "ldap": None,
                "sql": None,
                "http": None,
                "program": None,
                "oidc": None,
                "workload": {
                    "name": "cluster",
                    "preset": "none",
                    "issuer": "https://cluster.example.com",
                    "audience": ("cluster",),
                    "algorithms": None,
                    "keys": {"url": None, "token_file": None, "file": folder / "cluster-jwks.json"},
                    "trust_domain": None,
                    "ca_file": None,
                    "leeway": 30,
                    "max_age": 86_400,
                    "session": 3600,
                    "cache": 60,
                },
            },
            {
                "htpasswd": None,
                "ldap": None,
                "sql": None,
                "http": None,
                "program": None,
                "oidc": {
                    "name": "sso",
                    "preset": "keycloak",
                    "issuer": "https://sso.example.com/realms/corp",
                    "client_id": "tokenserver",
                    "client_secret_file": folder / "oidc-secret",
                    "subject": "upn",
                    "hosted_domain": None,
                    "groups": {"claim": "roles", "allow": ("reg-*",), "strip": "team:"},
                    "accounts": None,
                    "login_valid": 28_800,
                    "recheck": 1800,
                    "ca_file": folder / "sso-ca.pem",
                    "leeway": 5,
                    "cache": 10,
                },
                "workload": None,
            },
            {
                "htpasswd": None,
                "ldap": None,
                "sql": None,
                "http": None,
                "program": None,
                "oidc": {
                    "name": "google",
                    "preset": "google",
                    "issuer": "https://accounts.google.com",
                    "client_id": "1.apps.googleusercontent.com",
                    "client_secret_file": None,
                    "subject": None,
                    "hosted_domain": "example.com",
                    "groups": None,
                    "accounts": "open",
                    "login_valid": 43_200,
                    "recheck": None,
                    "ca_file": None,
                    "leeway": 30,
                    "cache": 60,
                },
                "workload": None,
            },
        ),
        "anonymous": True,
        "log": {"format": "json"},
        "audit": {"policy_snapshots": folder / "kept-policies", "chain": True},
        "storage": {
            "url": "postgresql://tokenserver@db.example.com/tokenserver",
            "password_file": folder / "storage-password",
        },
        "storage_grace": 1200,
        "tracing": {
            "endpoint": "https://collector.example.com/v1/traces",
            "headers_file": folder / "collector-headers",
            "ca_file": folder / "collector-ca.pem",
            "sample": 0.5,
            "client_rate": 20,
            "attributes": {},
        },
        "policies": folder / "policies",
        "shadow_policies": folder / "candidate",
        "shadow_peer": {
            "url": "https://old.example.com/auth",
            "ca_file": folder / "old-ca.pem",
            "deadline": 3,
            "rate": 20,
            "failed_logins": True,
        },
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
        "limits": {"scopes": 200, "scope_bytes": 16_384},
        "access_keys": {
            "default_lifetime": 2_592_000,
            "max_lifetime": 15_552_000,
            "per_user": 10,
            "rotate_overlap": 43_200,
        },
        "refresh_tokens": {"idle": 1_209_600, "lifetime": 5_184_000, "per_user": 50},
        "robots": {"max_lifetime": 180 * 86_400},
    }
    assert found.server.realm == "https://auth.example.com/registry/token"
    assert found.server.address == ("127.0.0.1", 5001)
    assert found.authentication[0].name == "local"


def test_defaults(folder: Path) -> None:
    """The defaults: loopback, 15 minutes, x5c for every registry, and no anonymous access."""
    found = load(folder, MINIMAL)
    assert found.server.listen == "127.0.0.1:5001"
    assert (found.server.tls, found.server.trusted_proxies, found.server.workers) == (None, (), None)
    assert found.server.require_https
    assert (found.registries[0].compat, found.registries[0].token_lifetime.default) == ("universal", 900)
    assert (found.authentication[0].name, found.anonymous) == ("htpasswd", False)


def test_a_registry_is_found_by_its_exact_service(folder: Path) -> None:
    """No prefix, no other case."""
    found = load(folder, REFERENCE)
    assert found.registry("second") is found.registries[1]
    assert [found.registry(name) for name in ("Second", "secon", "", "third")] == [None] * 4


URL_NEEDED = "must be a URL such as https://auth.example.com"

URL_BARE = "must be a URL without user, query, fragment and blanks"

NETWORK = "must be a network such as 10.0.0.0/8"

NAME = "must be 1 to 255 printable ASCII characters without quotes and backslashes"

SOURCE = "must be lower-case letters, digits, '.', '_' and '-', at most 64"

ADDRESS = "must be ADDRESS:PORT, such as 127.0.0.1:5001 or [::]:5001"

LIFETIME = "clients take less for 60 s, and tokens cannot be revoked"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # types
        pytest.param(
            changed("issuer: auth.example.com", "issuer: 12"), "issuer: must be text, not a number", id="issuer"
        ),
        pytest.param(
            changed("issuer: auth.example.com", "issuer:"), "issuer: must be text, not nothing", id="no-issuer"
        ),
        pytest.param(changed('{url: "https://auth.example.com"}', "x"), "server: must be a mapping", id="server-text"),
        pytest.param(changed('{url: "https://auth.example.com"}', "[]"), "server: must be a mapping", id="server-list"),
        pytest.param(changed("[{service: registry.example.com}]", "a"), "registries: must be a list", id="registries"),
        pytest.param(
            changed("[{service: registry.example.com}]", "{}"), "registries: must be a list", id="registries-map"
        ),
        pytest.param(
            changed("{service: registry.example.com}", "a"), "registries[0]: must be a mapping", id="registry"
        ),
        pytest.param(
            changed("{htpasswd: {file: users.htpasswd}}", "x"), "authentication[0]: must be a mapping", id="source"
        ),
        pytest.param(
            changed("{file: users.htpasswd}", "users"), "authentication[0].htpasswd: must be a mapping", id="short"
        ),
        pytest.param(changed("policies: policies", "policies: 5"), "policies: must be a path, not a number", id="path"),
        pytest.param(
            changed("policies: policies", "policies: [a]"), "policies: must be a path, not a list", id="path-list"
        ),
        pytest.param(MINIMAL + "anonymous: no\n", "anonymous: must be true or false, not 'no'", id="no-is-no-boolean"),
        pytest.param(MINIMAL + "anonymous: 1\n", "anonymous: must be true or false, not 1", id="1-is-no-boolean"),
        pytest.param(
            with_server('metrics: "9090"'), "server.metrics: must be ADDRESS:PORT", id="metrics-without-address"
        ),
        pytest.param(with_server("metrics: true"), "server.metrics: must be text, not a boolean", id="metrics-boolean"),
        pytest.param(
            MINIMAL + "shadow_peer: https://auth.example.com/auth\n",
            "shadow_peer: is this server itself (server.url); name the old token server",
            id="a-peer-that-is-this-server",
        ),
        pytest.param(
            with_server("metrics: 0.0.0.0:5001"),
            "server.metrics: has the port of listen (127.0.0.1:5001)",
            id="metrics-port",
        ),
        pytest.param(
            with_server("notifications: 127.0.0.1:5004"),
            "server.notifications: needs a registry that reports to it; fix: registries: - notifications:",
            id="notifications-of-nobody",
        ),
        pytest.param(
            with_server("notifications: 0.0.0.0:5001"),
            "server.notifications: has the port of listen (127.0.0.1:5001); notifications need a different one",
            id="notifications-on-the-port-of-listen",
        ),
        pytest.param(
            with_server("management: 127.0.0.1:5002"),
            "server.management: needs management_url, by which browsers",
            id="management-without-url",
        ),
        pytest.param(
            with_server("management_url: 'https://a.example.com'"),
            "server.management_url: is for the listener management, which is missing; fix: add management: 127.0.0.1",
            id="management-url-alone",
        ),
        pytest.param(
            with_server("management: 127.0.0.1:5001, management_url: 'https://a.example.com'"),
            "server.management: has the port of listen (127.0.0.1:5001); management needs a different one",
            id="management-on-the-port-of-listen",
        ),
        pytest.param(
            with_server("metrics: 127.0.0.1:9090, management: 127.0.0.1:9090, management_url: 'https://a.example.com'"),
            "server.management: has the port of metrics (127.0.0.1:9090); management needs a different one",
            id="management-on-the-port-of-metrics",
        ),
        pytest.param(
            with_server("management: 127.0.0.1:5002, management_url: 'https://a.example.com'"),
            "server.management: needs a storage, without which there is nothing to manage; fix: add storage: state/",
            id="management-without-storage",
        ),
        pytest.param(
            with_server(
                "management: 127.0.0.1:5002, management_url: 'http://a.example.com', tls: {certificate: a, key: b}"
            ),
            "server.management_url: begins with http:// although tls is configured; use https://",
            id="management-url-without-tls",
        ),
        pytest.param(
            with_server("workers: many"), "server.workers: input should be a valid integer", id="workers-text"
        ),
        pytest.param(
            with_server('workers: "2"'), "server.workers: input should be a valid integer", id="workers-quoted"
        ),
        pytest.param(
            with_server("workers: 2.0"), "server.workers: input should be a valid integer", id="workers-float"
        ),
        pytest.param(
            with_server("workers: true"), "server.workers: input should be a valid integer", id="workers-boolean"
        ),
        pytest.param(
            with_server("workers: 0"), "server.workers: input should be greater than or equal to 1", id="workers-0"
        ),
        pytest.param(
            with_server("workers: 257"), "server.workers: input should be less than or equal to 256", id="workers-257"
        ),
        pytest.param(with_registry("compat: docker"), "registries[0].compat: must be one of 'universal'", id="compat"),
        pytest.param(
            with_registry("token_lifetime: [5m]"), "registries[0].token_lifetime: input should be", id="lifetime-list"
        ),
        pytest.param(
            with_registry("token_lifetime: true"), "registries[0].token_lifetime: input should be", id="lifetime-bool"
        ),
        # missing
        pytest.param(changed("issuer: auth.example.com\n", ""), "issuer: is missing", id="issuer-missing"),
        pytest.param(changed('{url: "https://auth.example.com"}', "{}"), "server.url: is missing", id="url-missing"),
        pytest.param(
            changed("{service: registry.example.com}", "{}"), "registries[0].service: is missing", id="no-service"
        ),
        pytest.param(
            changed("{file: users.htpasswd}", "{}"), "authentication[0].htpasswd.file: is missing", id="no-file"
        ),
        pytest.param(with_server("tls: {certificate: a}"), "server.tls.key: is missing", id="half-a-tls"),
        # names
        pytest.param(changed("issuer: auth.example.com", "issuer: ''"), f"issuer: {NAME}", id="empty-issuer"),
        pytest.param(changed("issuer: auth.example.com", "issuer: bü"), f"issuer: {NAME}", id="issuer-not-ascii"),
        pytest.param(changed("issuer: auth.example.com", 'issuer: "a\\nb"'), f"issuer: {NAME}", id="issuer-newline"),
        pytest.param(changed("issuer: auth.example.com", "issuer: 'a\"b'"), f"issuer: {NAME}", id="issuer-quote"),
        pytest.param(changed("issuer: auth.example.com", "issuer: 'a\\b'"), f"issuer: {NAME}", id="issuer-backslash"),
        pytest.param(
            changed("issuer: auth.example.com", "issuer: ' a'"), "issuer: must not begin or end", id="issuer-blank"
        ),
        pytest.param(
            changed("issuer: auth.example.com", f"issuer: {'a' * 256}"), f"issuer: {NAME}", id="issuer-too-long"
        ),
        pytest.param(
            changed("service: registry.example.com", 'service: "a\\r\\nX: b"'),
            f"registries[0].service: {NAME}",
            id="service-that-splits-a-header",
        ),
        pytest.param(
            changed("{file: users.htpasswd}", "{file: u, name: Local}"),
            f"authentication[0].htpasswd.name: {SOURCE}",
            id="source-in-capitals",
        ),
        pytest.param(
            changed("{file: users.htpasswd}", "{file: u, name: ''}"),
            f"authentication[0].htpasswd.name: {SOURCE}",
            id="source-without-name",
        ),
        pytest.param(
            changed("{file: users.htpasswd}", f"{{file: u, name: {'a' * 65}}}"),
            f"authentication[0].htpasswd.name: {SOURCE}",
            id="source-too-long",
        ),
        # URLs
        pytest.param(with_url("auth.example.com"), f"server.url: {URL_NEEDED}", id="url-without-scheme"),
        pytest.param(with_url("ftp://auth.example.com"), f"server.url: {URL_NEEDED}", id="ftp-url"),
        pytest.param(with_url("HTTP://auth.example.com"), f"server.url: {URL_NEEDED}", id="scheme-in-capitals"),
        pytest.param(with_url("https://"), f"server.url: {URL_NEEDED}", id="url-without-host"),
        pytest.param(with_url("https://:443"), f"server.url: {URL_NEEDED}", id="url-with-port-alone"),
        pytest.param(with_url("https:///token"), f"server.url: {URL_NEEDED}", id="url-with-path-alone"),
        pytest.param(with_url(""), f"server.url: {URL_NEEDED}", id="empty-url"),
        pytest.param(with_url("https://a:0"), f"server.url: {URL_NEEDED}", id="port-0"),
        pytest.param(with_url("https://a:65536"), f"server.url: {URL_NEEDED}", id="port-65536"),
        pytest.param(with_url("https://a:b"), f"server.url: {URL_NEEDED}", id="port-text"),
        pytest.param(with_url("https://[::1"), f"server.url: {URL_NEEDED}", id="bracket-open"),
        pytest.param(with_url("https://ann@a"), f"server.url: {URL_BARE}", id="user-in-url"),
        pytest.param(with_url("https://ann:x@a"), f"server.url: {URL_BARE}", id="password-in-url"),
        pytest.param(with_url("https://@a"), f"server.url: {URL_BARE}", id="empty-user-in-url"),
        pytest.param(with_url("https://a/?b=c"), f"server.url: {URL_BARE}", id="query-in-url"),
        pytest.param(with_url("https://a?"), f"server.url: {URL_BARE}", id="empty-query-in-url"),
        pytest.param(with_url("https://a#b"), f"server.url: {URL_BARE}", id="fragment-in-url"),
        pytest.param(with_url("https://a/#"), f"server.url: {URL_BARE}", id="empty-fragment-in-url"),
        pytest.param(with_url("https://a/b c"), f"server.url: {URL_BARE}", id="blank-in-url"),
        pytest.param(with_url("https://a/ü"), f"server.url: {URL_BARE}", id="url-not-ascii"),
        pytest.param(
            with_url("https://müller.example"),
            "server.url: must have its host in ASCII: xn--mller-kva.example",
            id="host-not-ascii",
        ),
        pytest.param(
            changed('"https://auth.example.com"', "'https://a/\"b'"),
            "server.url: must not contain quotes",
            id="quote-in-url",
        ),
        pytest.param(
            with_url("https://a_b.example.com"), "server.url: 'a_b.example.com' is not a host name", id="underscore"
        ),
        pytest.param(
            with_url("https://-a.example.com"), "server.url: '-a.example.com' is not a host name", id="dash-first"
        ),
        pytest.param(with_url("https://a..b"), "server.url: 'a..b' is not a host name", id="two-dots"),
        pytest.param(with_url("https://127.1"), "server.url: '127.1' is neither a host name nor", id="short-address"),
        pytest.param(
            with_registry("url: 'https://a_b.example.com'"),
            "registries[0].url: 'a_b.example.com' is not a host name",
            id="registry-underscore",
        ),
        pytest.param(
            with_registry("url: 'https://[fe80::1%25eth0]'"),
            "registries[0].url: 'fe80::1%25eth0' has a zone",
            id="registry-zone",
        ),
        pytest.param(with_registry("url: registry"), f"registries[0].url: {URL_NEEDED}", id="registry-url"),
        pytest.param(
            changed(
                '{url: "https://auth.example.com"}', '{url: "http://a.example.com", tls: {certificate: c, key: k}}'
            ),
            "server.url: begins with http:// although tls is configured; use https://",
            id="tls-and-http",
        ),
        # addresses and networks
        pytest.param(with_server("listen: 5001"), "server.listen: must be text, not a number", id="listen-port-alone"),
        pytest.param(
            with_server("listen: ':5001'"), "server.listen: must begin with an IP address, not ''", id="listen-no-host"
        ),
        pytest.param(
            with_server("listen: 'localhost:5001'"), "not 'localhost'; 0.0.0.0 listens everywhere", id="listen-name"
        ),
        pytest.param(with_server("listen: 127.0.0.1"), f"server.listen: {ADDRESS}", id="listen-no-port"),
        pytest.param(with_server("listen: '127.0.0.1:'"), f"server.listen: {ADDRESS}", id="listen-empty-port"),
        pytest.param(with_server("listen: '127.0.0.1:0'"), f"server.listen: {ADDRESS}", id="listen-port-0"),
        pytest.param(with_server("listen: '127.0.0.1:65536'"), f"server.listen: {ADDRESS}", id="listen-port-65536"),
        pytest.param(with_server("listen: '127.0.0.1:5001 '"), f"server.listen: {ADDRESS}", id="listen-blank"),
        pytest.param(with_server('listen: "127.0.0.1:5001\\n"'), f"server.listen: {ADDRESS}", id="listen-newline"),
        pytest.param(with_server("listen: '127.0.0.1:\u0665'"), f"server.listen: {ADDRESS}", id="listen-arabic-digits"),
        pytest.param(
            with_server("trusted_proxies: [10.0.0.1/8]"),
            "server.trusted_proxies[0]: '10.0.0.1/8' has host bits set; the network is 10.0.0.0/8",
            id="host-bits",
        ),
        pytest.param(
            with_server("trusted_proxies: ['2001:db8::1/32']"),
            "server.trusted_proxies[0]: '2001:db8::1/32' has host bits set; the network is 2001:db8::/32",
            id="host-bits-ipv6",
        ),
        pytest.param(with_server("trusted_proxies: [a]"), f"trusted_proxies[0]: {NETWORK}, not 'a'", id="network-text"),
        pytest.param(
            with_server("trusted_proxies: [10.0.0.0/33]"), f"[0]: {NETWORK}, not '10.0.0.0/33'", id="network-33"
        ),
        pytest.param(
            with_server("trusted_proxies: ['*']"), f"trusted_proxies[0]: {NETWORK}, not '*'", id="network-star"
        ),
        pytest.param(with_server("trusted_proxies: [10]"), f"trusted_proxies[0]: {NETWORK}", id="network-number"),
        pytest.param(with_server("trusted_proxies: [~]"), f"trusted_proxies[0]: {NETWORK}", id="network-nothing"),
        pytest.param(
            with_server("trusted_proxies: 10.0.0.0/8"), "server.trusted_proxies: must be a list", id="network-alone"
        ),
        # durations
        pytest.param(with_registry("token_lifetime: 59s"), f"must be from 60s to 1h, not 59s: {LIFETIME}", id="59s"),
        pytest.param(
            with_registry("token_lifetime: 3601"), f"must be from 60s to 1h, not 3601s: {LIFETIME}", id="3601"
        ),
        pytest.param(with_registry("token_lifetime: 2h"), f"must be from 60s to 1h, not 7200s: {LIFETIME}", id="2h"),
        pytest.param(with_registry("token_lifetime: 0"), "must be from 60s to 1h, not 0s", id="0"),
        pytest.param(with_registry("token_lifetime: -300"), "must be from 60s to 1h, not -300s", id="negative"),
        pytest.param(
            with_registry("token_lifetime: 15 m"), "must be a duration such as 90s, 15m or 1h", id="blank-in-15-m"
        ),
        pytest.param(with_registry("token_lifetime: 15M"), "must be a duration such as 90s, 15m or 1h", id="15M"),
        pytest.param(with_registry("token_lifetime: 1h30m"), "must be a duration such as 90s, 15m or 1h", id="1h30m"),
        pytest.param(
            with_registry("token_lifetime: '900'"), "must be a duration such as 90s, 15m or 1h", id="quoted-900"
        ),
        pytest.param(with_registry('token_lifetime: "15m\\n"'), "must be a duration such as", id="newline-after-15m"),
        pytest.param(with_registry("token_lifetime: \u0661\u0665m"), "must be a duration such as", id="arabic-digits"),
        pytest.param(
            with_registry("token_lifetime: 900.5"), "registries[0].token_lifetime: input should be", id="float"
        ),
        # paths
        pytest.param(changed("keys: keys", "keys: ''"), "keys: must be a path", id="empty-path"),
        pytest.param(changed("keys: keys", 'keys: "a\\0b"'), "keys: must be a path", id="nul-in-path"),
        pytest.param(
            changed("keys: keys", "keys: ~no-such-user-here/keys"),
            "keys: there is no home folder for '~no-such-user-here'",
            id="home-of-nobody",
        ),
        # what does not fit together
        pytest.param(
            changed("[{service: registry.example.com}]", "[]"), "registries: must list at least one", id="no-registry"
        ),
        pytest.param(
            changed("[{htpasswd: {file: users.htpasswd}}]", "[]"),
            "authentication: is empty and anonymous is off, so no client could get a token",
            id="nobody-can-log-in",
        ),
        pytest.param(
            changed("authentication: [{htpasswd: {file: users.htpasswd}}]\n", ""),
            "authentication: is empty and anonymous is off, so no client could get a token",
            id="nobody-can-log-in-by-absence",
        ),
        pytest.param(
            changed("{htpasswd: {file: users.htpasswd}}", "{}"),
            "authentication[0]: must name one kind of user source, such as htpasswd: {file: users.htpasswd}",
            id="source-of-no-kind",
        ),
        pytest.param(
            changed("{htpasswd: {file: users.htpasswd}}", "{htpasswd: ~}"),
            "authentication[0]: must name one kind of user source",
            id="source-of-an-empty-kind",
        ),
        pytest.param(
            changed("[{service: registry.example.com}]", "[{service: a}, {service: b}, {service: a}]"),
            "registries[2]: the service 'a' is used twice; each entry needs its own",
            id="service-twice",
        ),
        pytest.param(
            changed("[{htpasswd: {file: users.htpasswd}}]", "[{htpasswd: {file: a}}, {htpasswd: {file: b}}]"),
            "authentication[1]: the name 'htpasswd' is used twice; each entry needs its own",
            id="name-twice-by-default",
        ),
        pytest.param(
            changed(
                "[{htpasswd: {file: users.htpasswd}}]", "[{htpasswd: {file: a}}, {htpasswd: {name: robots, file: b}}]"
            ),
            "authentication[1]: the name 'robots' means the robots of policy files; fix: choose another name",
            id="name-of-the-robots",
        ),
    ],
)
def test_wrong_values_are_refused(folder: Path, text: str, expected: str) -> None:
    """Exactly one fault, with its file and path, and what would be right."""
    (fault,) = faults_of(folder, text)
    assert re.match(r"tokenserver\.yaml:[1-9][0-9]*: ", fault) is not None
    assert expected in fault


@pytest.mark.parametrize("compat", ["universal", "distribution2", "distribution3", "jwks"])
def test_every_compat_of_the_contract_that_is_built(folder: Path, compat: str) -> None:
    """The values by name."""
    assert load(folder, with_registry(f"compat: {compat}")).registries[0].compat == compat


def test_anonymous_alone_is_a_configuration(folder: Path) -> None:
    """Without any user source, where anonymous is on."""
    text = changed("authentication: [{htpasswd: {file: users.htpasswd}}]", "anonymous: true")
    assert (load(folder, text).authentication, load(folder, text).anonymous) == ((), True)


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


def test_settings_are_frozen(folder: Path) -> None:
    """No part of them can be changed, and their lists are tuples."""
    found = load(folder, REFERENCE)
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
    found = [path for path in leaf_paths(Settings) if secretive.search(path[-1]) and not path[-1].endswith("_file")]
    # `password_changed` is the name of an attribute.
    assert found == [("authentication", "ldap", name) for name in ("bind_password", "password_changed")]
    values = {"url": "ldaps://a", "base": "dc=a", "preset": "openldap", "bind_dn": "cn=a", "bind_password": "canary"}
    assert "canary" not in repr(Ldap.model_validate(values))


def test_what_is_printed_holds_no_content_of_files(folder: Path) -> None:
    """repr names the files and nothing in them."""
    for name in ("users.htpasswd", "tls.key"):
        (folder / name).write_text("canary-5f1c")
    shown = repr(load(folder, REFERENCE))
    assert "canary" not in shown
    assert str(folder / "tls.key") in shown
