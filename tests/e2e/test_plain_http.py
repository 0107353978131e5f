"""The real server knows by itself whether a request came by TLS; what a proxy in front of it says is believed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from harness import web
from harness.authority import Authority
from harness.server import Setup, TokenServer, serving

SERVICE = "registry2.test"

FROM_AFAR = {"X-Forwarded-For": "203.0.113.9"}
"""What a proxy says of a client on another machine; the proxy is loopback, which is trusted here."""


@pytest.fixture(scope="module", params=["http", "https"])
def behind_a_proxy(
    request: pytest.FixtureRequest, setup: Setup, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TokenServer]:
    """A server that trusts a proxy on this machine, with and without TLS of its own."""
    folder = tmp_path_factory.mktemp("server")
    tls = Authority(tmp_path_factory.mktemp("authority"), "authority") if request.param == "https" else None
    people = {"ann": setup.people["ann"]}
    settings = {"server": {"trusted_proxies": ["127.0.0.1/32"]}}
    with serving(folder, replace(setup, people=people, tls=tls, settings=settings)) as server:
        yield server


@pytest.mark.parametrize(
    ("told", "by_http"),
    [
        pytest.param({}, 200, id="nothing"),
        pytest.param({"X-Forwarded-Proto": "https"}, 200, id="https"),
        pytest.param({"X-Forwarded-Proto": "http"}, 403, id="http"),
    ],
)
def test_what_the_proxy_says_counts_without_tls_here(
    told: dict[str, str], by_http: int, behind_a_proxy: TokenServer
) -> None:
    """With TLS here nothing else matters; without it, a client that the proxy took in clear text is out.

    See docs/design/threats.md#threat-33.
    """
    mark = behind_a_proxy.audit.mark()
    headers = {**web.basic("ann", behind_a_proxy.people["ann"]), **FROM_AFAR, **told}
    answer = behind_a_proxy.request("GET", web.token_target(SERVICE), headers=headers)
    is_https = behind_a_proxy.url.startswith("https://")
    assert answer.status == (200 if is_https else by_http)
    assert answer.header("strict-transport-security") == ("max-age=31536000" if is_https else None)
    (event,) = behind_a_proxy.audit.events(mark)
    assert (event.outcome, event.fields["client"]) == (
        "login" if answer.status == 200 else "invalid_request",
        "203.0.113.9",
    )
