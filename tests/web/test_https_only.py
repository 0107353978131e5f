"""Passwords and tokens never cross a network in clear text: which requests are taken, and which get 403."""

from __future__ import annotations

import base64
import json
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_web_server import CONFIG, PASSWORDS, Lines, Server

from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.config.load import load_settings
from tokenserver.errors import PlainHttp
from tokenserver.printable import one_line
from tokenserver.server.compose import build
from tokenserver.web.application import application
from tokenserver.web.client_address import client_address
from tokenserver.web.https_only import HttpsOnly

LAN = "192.0.2.7"
PROXY = "10.1.1.1"
FORM = "application/x-www-form-urlencoded"

BASIC = {"Authorization": "Basic " + base64.b64encode(f"ann:{PASSWORDS['ann']}".encode()).decode()}


def environ(peer: str, scheme: str = "http", **headers: str) -> dict[str, Any]:
    """What WSGI tells of a request from `peer`."""
    return {"REMOTE_ADDR": peer, "wsgi.url_scheme": scheme, **headers}


TAKEN = [
    pytest.param(environ(LAN, "https"), id="https"),
    pytest.param(environ("127.0.0.1"), id="loopback"),
    pytest.param(environ("127.8.9.1"), id="all of loopback"),
    pytest.param(environ("::1"), id="IPv6 loopback"),
    pytest.param(environ("::ffff:127.0.0.1"), id="loopback inside IPv6"),
    pytest.param(environ(""), id="a Unix socket"),
    pytest.param(environ(PROXY), id="a trusted proxy"),
    pytest.param(environ(PROXY, HTTP_X_FORWARDED_PROTO="https"), id="a trusted proxy with TLS"),
    pytest.param(environ(PROXY, HTTP_X_FORWARDED_PROTO="HTTPS"), id="a trusted proxy in capitals"),
    pytest.param(environ(PROXY, HTTP_X_FORWARDED_PROTO="http, https"), id="the last proxy had TLS"),
    pytest.param(
        environ(PROXY, HTTP_X_FORWARDED_PROTO="http", HTTP_X_FORWARDED_FOR="127.0.0.1"), id="on the proxy's machine"
    ),
]

REFUSED = [
    pytest.param(environ(LAN), id="another machine"),
    pytest.param(environ("2001:db8::1"), id="another machine by IPv6"),
    pytest.param(environ(LAN, HTTP_X_FORWARDED_PROTO="https"), id="another machine that says https"),
    pytest.param(environ(LAN, HTTP_X_FORWARDED_FOR="127.0.0.1"), id="another machine that says loopback"),
    pytest.param(environ(LAN, HTTP_FORWARDED="for=127.0.0.1;proto=https"), id="another machine by Forwarded"),
    pytest.param(environ(PROXY, HTTP_X_FORWARDED_PROTO="http"), id="a trusted proxy without TLS"),
    pytest.param(environ(PROXY, HTTP_X_FORWARDED_PROTO=""), id="a trusted proxy that says nothing"),
    pytest.param(environ(PROXY, HTTP_X_FORWARDED_PROTO="https, http"), id="the last proxy had no TLS"),
    pytest.param(
        environ(PROXY, HTTP_X_FORWARDED_PROTO="http", HTTP_X_FORWARDED_FOR="203.0.113.9"), id="a client in clear text"
    ),
]


@pytest.mark.parametrize("overrides", TAKEN)
def test_protected_requests_are_taken(server: Server, overrides: dict[str, Any]) -> None:
    """TLS here or at a trusted proxy, or no network at all."""
    response = server.client.get("/token?service=reg", headers=BASIC, environ_overrides=overrides)
    assert response.status_code == 200
    assert server.audit.events[-1]["subject"] == "ann"


def said_by(overrides: dict[str, Any]) -> str:
    """What the trusted proxy of a row reports, as the refusal spells it."""
    last = overrides["HTTP_X_FORWARDED_PROTO"].rpartition(", ")
    near = f"{last[2] or 'empty'} from the proxy {PROXY}"
    return f"{last[0]} from an earlier hop, then {near}" if last[0] else near


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("overrides", REFUSED)
def test_plain_http_is_403_and_the_password_is_not_looked_at(
    server: Server, overrides: dict[str, Any], method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right or wrong, nobody learns it over a network that others listen on (docs/design/threats.md#threat-33)."""
    asked: list[object] = []
    monkeypatch.setattr(Htpasswd, "authenticate", lambda _, credentials: asked.append(credentials))
    form = {"grant_type": "password", "service": "reg", "username": "ann", "password": PASSWORDS["ann"]}
    response = server.client.open(
        "/token?service=reg" if method == "GET" else "/token",
        method=method,
        headers=BASIC if method == "GET" else {},
        data=urlencode(form) if method == "POST" else None,
        content_type=FORM if method == "POST" else None,
        environ_overrides=overrides,
    )
    assert response.status_code == 403
    message = "plain http is refused here, use https"
    if overrides["REMOTE_ADDR"] == PROXY:
        message += f"; X-Forwarded-Proto is {said_by(overrides)}"
    assert response.get_json()["errors"][0] == {"code": "DENIED", "message": message, "detail": None}
    assert response.headers["Cache-Control"] == "no-store"
    assert asked == []
    (event,) = server.audit.events
    assert event["outcome"] == "invalid_request"
    assert "require_https" in event["reason"]


def test_nothing_is_anonymous_in_clear_text_either(server: Server) -> None:
    """A token is as good as a password for as long as it lives."""
    response = server.client.get("/token?service=reg", environ_overrides=environ(LAN))
    assert response.status_code == 403


def test_a_secret_in_a_refused_query_is_not_looked_at_either(server: Server) -> None:
    """The message does not even reveal that there is one."""
    response = server.client.get("/token?password=canary", environ_overrides=environ(LAN))
    assert response.status_code == 403
    assert b"canary" not in response.data + b"".join(server.audit.raw)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/ca.pem", "/.well-known/jwks.json"])
def test_what_is_public_is_public(server: Server, path: str) -> None:
    """Probes and registries fetch these, and nothing secret is in them."""
    assert server.client.get(path, environ_overrides=environ(LAN)).status_code == 200


def other_server(folder: Path, server_section: str) -> Server:
    """A server over the session's files with another `server` section."""
    config = folder / "tokenserver-transport.yaml"
    text = CONFIG.format(registries="  - service: reg", anonymous="true")
    lines = [f"server: {server_section}" if line.startswith("server:") else line for line in text.splitlines()]
    config.write_text("\n".join(lines) + "\n")
    audit = Lines()
    parts = build(load_settings(config, {}), sink=audit)
    return Server(parts, application(parts).test_client(), audit, folder)


def test_a_private_network_may_be_trusted_whole(server_folder: Path) -> None:
    """`require_https: false`, as between containers."""
    server = other_server(server_folder, "{url: 'http://localhost:5001', require_https: false}")
    response = server.client.get("/token?service=reg", headers=BASIC, environ_overrides=environ(LAN))
    assert response.status_code == 200


@pytest.mark.parametrize("path", ["/token?service=reg", "/token?service=none", "/healthz", "/ca.pem", "/nothing"])
@pytest.mark.parametrize(
    ("url", "expected"), [("https://auth.example.com", "max-age=31536000"), ("http://localhost:5001", None)]
)
def test_https_is_remembered(server_folder: Path, path: str, url: str, expected: str | None) -> None:
    """HSTS (RFC 6797) where clients come by https, and there alone: it binds the whole host name."""
    server = other_server(server_folder, json.dumps({"url": url}))
    assert server.client.get(path).headers.get("Strict-Transport-Security") == expected


@given(
    proto=st.text(max_size=20), forwarded=st.text(max_size=40), peer=st.ip_addresses().map(str) | st.text(max_size=9)
)
def test_any_header_is_an_answer(proto: str, forwarded: str, peer: str) -> None:
    """Whatever the headers hold, the answer is yes or no; a refusal is short and fits on a line."""
    trusted = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
    forwarding = environ(peer, HTTP_X_FORWARDED_PROTO=proto, HTTP_X_FORWARDED_FOR=forwarded)
    try:
        HttpsOnly(trusted).check(forwarding, client_address(peer, [forwarded], trusted))
    except PlainHttp as error:
        for text in (str(error), error.reason):
            assert len(text) < 500
            assert text == one_line(text)


TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]

REPORTS = [
    pytest.param(PROXY, "http", None, "http from the proxy 10.1.1.1", id="one proxy"),
    pytest.param(PROXY, "http", "203.0.113.9", "http from the proxy 10.1.1.1", id="one proxy and its client"),
    pytest.param("fd00::1", "http", None, "http from the proxy fd00::1", id="IPv6"),
    pytest.param(PROXY, "", "203.0.113.9", "empty from the proxy 10.1.1.1", id="an empty header"),
    pytest.param(PROXY, "ws", None, "neither http nor https from the proxy 10.1.1.1", id="another scheme"),
    pytest.param(
        PROXY,
        "https, http",
        "203.0.113.9, 10.2.2.2",
        "https from the proxy 10.2.2.2, then http from the proxy 10.1.1.1",
        id="the outer of two proxies has TLS",
    ),
    pytest.param(
        PROXY, "https, http", None, "https from an earlier hop, then http from the proxy 10.1.1.1", id="hops unknown"
    ),
    pytest.param(
        PROXY,
        "https, http",
        "203.0.113.9",
        "https from an earlier hop, then http from the proxy 10.1.1.1",
        id="what the client sent",
    ),
    pytest.param(
        PROXY,
        "x, https, https, http, http",
        "203.0.113.9, 10.3.3.3, 10.2.2.2:4711, [fd00::2]:80",
        "https from the proxy 10.3.3.3, then https from the proxy 10.2.2.2, then http from the proxy fd00::2,"
        " then http from the proxy 10.1.1.1",
        id="the nearest four",
    ),
    pytest.param(
        PROXY,
        "\x1b[2Jcanary" * 99 + ", http",
        "203.0.113.9, 10.2.2.2",
        "neither http nor https from the proxy 10.2.2.2, then http from the proxy 10.1.1.1",
        id="hostile",
    ),
]


@pytest.mark.parametrize(("peer", "proto", "forwarded", "expected"), REPORTS)
def test_the_refusal_of_a_proxy_says_who_reports_what(
    peer: str, proto: str, forwarded: str | None, expected: str
) -> None:
    """The header by its name, hop by hop from the client's side: the proxy to be corrected is one of these."""
    forwarding = environ(
        peer, HTTP_X_FORWARDED_PROTO=proto, **({"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {})
    )
    with pytest.raises(PlainHttp) as caught:
        HttpsOnly(TRUSTED).check(forwarding, None)
    assert f"X-Forwarded-Proto is {expected}" in str(caught.value)
    assert f"X-Forwarded-Proto is {expected}" in caught.value.reason


def test_an_untrusted_proxy_is_named_in_the_audit_event_alone(server: Server) -> None:
    """The operator learns that the header was ignored; a stranger who sends it learns nothing."""
    response = server.client.get("/token?service=reg", environ_overrides=environ(LAN, HTTP_X_FORWARDED_PROTO="https"))
    assert response.get_json()["details"] == "plain http is refused here, use https"
    (event,) = server.audit.events
    hint = f"X-Forwarded-Proto: https from {LAN} is ignored, since it is not in trusted_proxies"
    assert hint in event["reason"]
