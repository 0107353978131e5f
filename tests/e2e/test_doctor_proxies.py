"""The doctor behind a real nginx that does something to the requests: the proxy is named, and not the registry.

Every case was reported by users of token servers; issue numbers are those of other projects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from harness.authority import Authority
from harness.misfits import Misfit, misfit
from harness.proxy import nginx
from harness.server import Setup, TokenServer, serving

from tokenserver.cli import main

pytestmark = pytest.mark.real("nginx")

SERVICES = {
    "universal.test": "universal",
    "kid2.test": "distribution2",
    "kid3.test": "distribution3",
    "zot.test": "zot",
}
PASS = "proxy_pass http://127.0.0.1:{port}; proxy_set_header Host $http_host;"
CACHED = (
    "proxy_cache tokens; proxy_cache_key $request_uri; proxy_cache_valid any 1h;"
    " proxy_ignore_headers Cache-Control Vary;"
)
PASSWORDS = 'auth_basic "Restricted"; auth_basic_user_file {users};'


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """One server for all of them."""
    small = replace(setup, people={"ann": setup.people["ann"]}, services=SERVICES)
    with serving(tmp_path_factory.mktemp("proxies"), small) as server:
        yield server


@pytest.fixture(scope="module")
def registry(server: TokenServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Misfit]:
    """A registry that is configured well."""
    with misfit(tmp_path_factory.mktemp("well"), server, "universal.test", "distribution3", lambda _: None) as registry:
        yield registry


def findings(server: TokenServer, *arguments: str | Path, config: Path | None = None) -> list[dict[str, Any]]:
    """What the doctor says has to be fixed, for ann who wants to pull and push."""
    login = ["--user", "ann", "--scope", "repository:web/site:pull,push"]
    command = ["doctor", *map(str, arguments), *login, "--json", "--config", str(config or server.config)]
    result = CliRunner().invoke(main, command, input=server.people["ann"] + "\n")
    assert result.exit_code in (0, 1), result.output
    return [one for one in json.loads(result.stdout) if one["mend"] is not None]


IN_FRONT_OF_THE_REGISTRY = {
    "drops Authorization": (
        'location / {{ %s proxy_set_header Authorization ""; }}',
        "the registry did not see the token",
    ),
    "puts its own in": (
        "location / {{ %s proxy_set_header Authorization 'Basic eDp5'; }}",
        "the registry did not see the token",
    ),
    "asks for a password": ("location / {{ %s " + PASSWORDS + " }}", "asks for Basic credentials at /v2/"),
    "asks below /v2/ only": (
        "location = /v2/ {{ %s }} location / {{ " + PASSWORDS + " %s }}",
        "asks for Basic credentials at /v2/web/site/tags/list",
    ),
    "cuts the path off": ("location /v2/ {{ proxy_pass http://127.0.0.1:{port}/; }}", "no registry answers at /v2/"),
    "shows a login page": (
        'location / {{ default_type text/html; return 200 "<html>log in</html>"; }}',
        "a page for people (HTML)",
    ),
    "caches the challenge": (
        "location / {{ " + CACHED + " %s }}",
        "the registry did not see the token",
    ),
    "has nothing behind it": ("location / {{ proxy_pass http://127.0.0.1:1; }}", "cannot reach the registry"),
    "forbids": ("location / {{ deny all; }}", "forbids the request"),
}


def located(block: str, server: TokenServer, port: int) -> str:
    """nginx's configuration for one case."""
    return block.replace("%s", PASS).format(port=port, users=server.folder / "users.htpasswd")


@pytest.mark.parametrize("case", IN_FRONT_OF_THE_REGISTRY)
def test_a_proxy_in_front_of_the_registry(case: str, server: TokenServer, registry: Misfit, tmp_path: Path) -> None:
    """The proxy is the first and only finding, with and without the registry's configuration."""
    block, words = IN_FRONT_OF_THE_REGISTRY[case]
    with nginx(tmp_path, located(block, server, registry.port)) as proxy:
        live = ["--registry", f"http://localhost:{proxy.port}", "--service", "universal.test"]
        files: list[str | Path] = ["--registry-config", registry.config]
        for more in ([], files):
            found = findings(server, *live, *more)
            assert [one["check"] for one in found] == ["proxy"], found
            told = CliRunner().invoke(main, ["doctor", *map(str, live), "--config", str(server.config)]).output
            assert words in told or "below" in case, told
        assert "nginx" in str(found)


PUSHES = {
    "well": ("client_max_body_size 0; %s proxy_set_header X-Forwarded-Proto $scheme;", None),
    "Host without the port": ("proxy_pass http://127.0.0.1:{port}; proxy_set_header Host $host;", "with its port"),
    "another Host": (
        "proxy_pass http://127.0.0.1:{port}; proxy_set_header Host registry;",
        "let the proxy pass Host on",
    ),
    "another scheme": ("%s proxy_set_header X-Forwarded-Proto https;", "X-Forwarded-Proto"),
    "small bodies": ("%s", "client_max_body_size 0"),
    "reading only": ("%s limit_except GET {{ deny all; }}", "let it pass"),
    "a password for writing": ("%s limit_except GET {{ " + PASSWORDS + " }}", "auth_basic off"),
}


@pytest.mark.parametrize("generation", ["distribution2", "distribution3"])
@pytest.mark.parametrize("case", PUSHES)
def test_a_push_is_tried(case: str, generation: str, server: TokenServer, tmp_path: Path) -> None:
    """The whole way of an upload; nothing of it stays behind, and without the trial none of this shows."""
    block, words = PUSHES[case]
    storage = tmp_path / "images"

    def change(whole: dict[str, Any]) -> None:
        whole["storage"] = {"filesystem": {"rootdirectory": str(storage)}}

    (tmp_path / "nginx").mkdir()
    with (
        misfit(tmp_path / "r", server, "universal.test", generation, change) as registry,
        nginx(
            tmp_path / "nginx",
            located(f"location / {{{{ {block} }}}}", server, registry.port),
        ) as proxy,
    ):
        live = ["--registry", f"http://localhost:{proxy.port}", "--service", "universal.test"]
        assert findings(server, *live) == []
        found = findings(server, *live, "--try", "push", "web/site")
    if words is None:
        assert found == []
    else:
        (fault,) = found
        assert (fault["check"] in {"upload", "proxy"}, fault["ok"]) == (True, False)
        assert words in fault["mend"]
    assert [path for path in storage.rglob("data") if path.is_file()] == []  # of an upload


@pytest.mark.parametrize(("enabled", "expected"), [(True, []), (False, ["delete"])])
@pytest.mark.parametrize("generation", ["distribution2", "distribution3"])
def test_a_delete_is_tried(
    generation: str, enabled: bool, expected: list[str], server: TokenServer, tmp_path: Path
) -> None:
    """Of a manifest that does not exist; the registry says whether deleting is enabled at all."""

    def change(whole: dict[str, Any]) -> None:
        whole["storage"]["delete"] = {"enabled": enabled}

    with misfit(tmp_path, server, "universal.test", generation, change) as registry:
        live = ["--registry", registry.url, "--service", "universal.test"]
        found = findings(server, *live, "--try", "delete", "users/ann/x")
    assert [one["check"] for one in found] == expected


def test_what_is_not_granted_is_not_tried(server: TokenServer, registry: Misfit) -> None:
    """The policy is the cause, and the registry is not asked."""
    live = ["--registry", registry.url, "--service", "universal.test"]
    assert [one["check"] for one in findings(server, *live, "--try", "delete", "web/site")] == ["access"]


def test_a_token_that_is_too_large_for_the_proxy(server: TokenServer, registry: Misfit, tmp_path: Path) -> None:
    """Junk is small enough and our token is not, with limits below the usual ones."""
    block = "client_header_buffer_size 512; large_client_header_buffers 4 700; location / {{ %s }}"
    with nginx(tmp_path, located(block, server, registry.port)) as proxy:
        (found,) = findings(server, "--registry", f"http://localhost:{proxy.port}", "--service", "universal.test")
    assert (found["check"], found["ok"]) == ("token size", False)
    assert "large_client_header_buffers 4 128k" in found["mend"]


def test_a_limit_that_clients_reach(server: TokenServer, registry: Misfit, tmp_path: Path) -> None:
    """A token of one repository passes, and one of twenty does not: as with a proxy that takes 1.7 kB."""
    block = "client_header_buffer_size 512; large_client_header_buffers 4 1700; location / {{ %s }}"
    with nginx(tmp_path, located(block, server, registry.port)) as proxy:
        (found,) = findings(server, "--registry", f"http://localhost:{proxy.port}", "--service", "universal.test")
    assert (found["check"], found["ok"]) == ("token size", None)
    assert "large_client_header_buffers 4 128k" in found["mend"]


def test_a_plain_proxy_is_no_finding(server: TokenServer, registry: Misfit, tmp_path: Path) -> None:
    """What passes everything on is not suspected, with nginx's own limits for headers."""
    with nginx(tmp_path, located("location / {{ %s }}", server, registry.port)) as proxy:
        assert findings(server, "--registry", f"http://localhost:{proxy.port}", "--service", "universal.test") == []


IN_FRONT_OF_THE_SERVER = {
    "drops Authorization": ('location / {{ %s proxy_set_header Authorization ""; }}', "a token for nobody (anonymous)"),
    "asks for another password": (
        'location = /token {{ auth_basic "x"; auth_basic_user_file /dev/null; %s }} location / {{ %s }}',
        "401 text/html",
    ),
    "shows a login page": (
        'location = /token {{ default_type text/html; return 200 "<html>sign in</html>"; }} location / {{ %s }}',
        "200 text/html",
    ),
}


@pytest.mark.parametrize("case", IN_FRONT_OF_THE_SERVER)
def test_a_proxy_in_front_of_the_token_server(case: str, setup: Setup, tmp_path: Path) -> None:
    """The login that it keeps away is its fault, and not the user's or the policy's."""
    block, words = IN_FRONT_OF_THE_SERVER[case]
    small = replace(setup, people={"ann": setup.people["ann"]}, services={"universal.test": "universal"})
    with ExitStack() as stack:
        (tmp_path / "server").mkdir()
        server = stack.enter_context(serving(tmp_path / "server", small))
        (tmp_path / "nginx").mkdir()
        proxy = stack.enter_context(nginx(tmp_path / "nginx", located(block, server, server.port)))
        config = tmp_path / "server" / "proxied.yaml"
        config.write_text(server.config.read_text().replace(server.url, f"http://localhost:{proxy.port}"))

        def realm(whole: dict[str, Any]) -> None:
            whole["auth"]["token"]["realm"] = f"http://localhost:{proxy.port}/token"

        registry = stack.enter_context(misfit(tmp_path / "r", server, "universal.test", "distribution3", realm))
        (found,) = findings(server, "--registry", registry.url, "--service", "universal.test", config=config)
        assert (found["check"], found["theirs"][: len(words)]) == ("proxy", words)


def test_a_proxy_that_passes_tokens_alone(setup: Setup, tmp_path: Path) -> None:
    """All that clients need; the doctor does not ask for more."""
    small = replace(setup, people={"ann": setup.people["ann"]}, services={"universal.test": "universal"})
    with ExitStack() as stack:
        (tmp_path / "server").mkdir()
        server = stack.enter_context(serving(tmp_path / "server", small))
        (tmp_path / "nginx").mkdir()
        block = "location = /token {{ %s }} location / {{ return 404; }}"
        proxy = stack.enter_context(nginx(tmp_path / "nginx", located(block, server, server.port)))
        config = tmp_path / "server" / "proxied.yaml"
        config.write_text(server.config.read_text().replace(server.url, f"http://localhost:{proxy.port}"))

        def realm(whole: dict[str, Any]) -> None:
            whole["auth"]["token"]["realm"] = f"http://localhost:{proxy.port}/token"

        registry = stack.enter_context(misfit(tmp_path / "r", server, "universal.test", "distribution3", realm))
        assert findings(server, "--registry", registry.url, "--service", "universal.test", config=config) == []


def test_replicas_that_differ(server: TokenServer, registry: Misfit, tmp_path: Path) -> None:
    """One of two has an old bundle; both are asked."""
    other = Authority(tmp_path, "Somebody else's CA").file

    def change(whole: dict[str, Any]) -> None:
        whole["auth"]["token"]["rootcertbundle"] = str(other)

    with misfit(tmp_path / "old", server, "universal.test", "distribution3", change) as old:
        (tmp_path / "nginx").mkdir()
        split = "location / {{ proxy_pass http://127.0.0.1:$side; proxy_set_header Host $http_host; }}"
        blocks = f"set $turn $connection; set $side {registry.port};"
        blocks += f'if ($turn ~ "[3478]$") {{ set $side {old.port}; }}' + split.replace("{{", "{").replace("}}", "}")
        with nginx(tmp_path / "nginx", blocks) as proxy:
            found = findings(server, "--registry", f"http://localhost:{proxy.port}", "--service", "universal.test")
    assert [one["check"] for one in found] == ["replicas"]


@pytest.mark.parametrize(
    ("service", "generation", "words"),
    [
        pytest.param("kid2.test", "distribution3", "the registry is Distribution 3", id="2.x kid at 3.1"),
        pytest.param("kid3.test", "distribution2", "the registry is Distribution 2.8", id="3.x kid at 2.8"),
        pytest.param(
            "kid3.test", "distribution3.0", "Distribution 3.0, which computes the same kid", id="3.x kid at 3.0"
        ),
    ],
)
def test_the_other_generation(service: str, generation: str, words: str, server: TokenServer, tmp_path: Path) -> None:
    """The live registry shows which it is; `compat: universal` is the way out."""

    def change(whole: dict[str, Any]) -> None:
        leaf = next((server.folder / "keys" / "signing").glob("*.pem"))
        whole["auth"]["token"] |= {"service": service, "rootcertbundle": str(leaf)}

    with misfit(tmp_path, server, "universal.test", generation, change) as registry:
        at = ["--registry", registry.url, "--service", service]
        (found,) = findings(server, *at)
        told = CliRunner().invoke(main, ["doctor", *at, "--config", str(server.config)]).output
    assert found["check"] == "compat"
    assert f"set compat: universal for {service}" in found["mend"]
    assert words in told
