"""Requests for many repositories, as mirroring tools send them: by a real client, by GET and POST, through nginx."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from harness import web
from harness.clients import Regctl
from harness.proxy import nginx, shipped_nginx
from harness.registries import Registry
from harness.scene import Scene
from harness.server import TokenServer

from tokenserver.cli import main

REPOSITORIES = 100

LONGEST_TARGET = 65_534
"""Bytes of a request's target that the HTTP library of the server takes."""


def test_regctl_makes_an_index_of_many_repositories(scene: Scene) -> None:
    """regctl adds up the repositories of a host, so its last request asks for all of them."""
    client = scene.client(Regctl, "ann")
    assert isinstance(client, Regctl)
    sources = [scene.stored("web") for _ in range(REPOSITORIES)]
    target = scene.new_name("web")
    references = [f"--ref={scene.registry.host}/{source}:1" for source in sources]
    output = client.run(*client.at(scene.registry), "index", "create", f"{scene.registry.host}/{target}:1", *references)
    assert output.ok, str(output)
    requests = scene.watch.requests()
    made = client.run(*client.at(scene.registry), "manifest", "get", f"{scene.registry.host}/{target}:1")
    assert scene.image.digest in made.stdout
    assert {request.status for request in requests} == {200}
    assert max(len(request.asked) for request in requests) == REPOSITORIES + 1


def names(count: int) -> list[str]:
    """Of the public repositories that a mirror may have."""
    return [f"public/mirror/image-{number:04}" for number in range(count)]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_thousand_repositories(method: str, registry: Registry, tokenserver: TokenServer, tmp_path: Path) -> None:
    """Directly and behind nginx as it is shipped; the token grants each of them."""
    scopes = [f"repository:{name}:pull" for name in names(1000)]
    target, headers, body = web.token_target(registry.service, scopes), web.basic("ann", tokenserver.people["ann"]), b""
    assert len(target) < LONGEST_TARGET
    if method == "POST":
        fields = {"grant_type": "password", "username": "ann", "password": tokenserver.people["ann"]}
        form = web.form(service=registry.service, scope=" ".join(scopes), **fields)
        target, headers, body = "/token", dict(web.FORM), form
    with shipped_nginx(tmp_path, [tokenserver.port]) as proxy:
        for port in (tokenserver.port, proxy.port):
            answer = web.request(port, method, target, headers=headers, body=body)
            assert answer.status == 200, answer
            granted = web.claims(answer.json()["token"])["access"]
            assert [entry["name"] for entry in granted] == names(1000)


def test_the_longest_query(registry: Registry, tokenserver: TokenServer, tmp_path: Path) -> None:
    """What the server reads, nginx passes as it is shipped; one byte more is 414, whoever says it."""
    start = web.token_target(registry.service, [f"repository:{name}:pull" for name in names(900)]) + "&x="
    target = start + "y" * (LONGEST_TARGET - len(start))
    with shipped_nginx(tmp_path, [tokenserver.port]) as proxy:
        for port in (tokenserver.port, proxy.port):
            assert web.request(port, "GET", target).status == 200
            assert web.request(port, "GET", target + "y").status == 414


def test_the_longest_form(registry: Registry, tokenserver: TokenServer, tmp_path: Path) -> None:
    """64 KiB of scope text, of which encoding makes nearly twice as much, pass nginx as it is shipped."""
    scopes = [f"repository:{'/'.join('a' * 120)}/{number}:pull" for number in range(1, 252)]
    text = " ".join(scopes)
    assert 64_000 < len(text) <= 65_536
    fields = {"grant_type": "password", "username": "ann", "password": tokenserver.people["ann"]}
    form = web.form(service=registry.service, scope=text, **fields)
    assert 110_000 < len(form) <= 131_072
    with shipped_nginx(tmp_path, [tokenserver.port]) as proxy:
        answer = web.request(proxy.port, "POST", "/token", headers=dict(web.FORM), body=form)
    assert answer.status == 200, answer


def test_more_than_the_limit(registry: Registry, tokenserver: TokenServer) -> None:
    """A clear answer, in which both the limit and its key stand, and an audit event with the same."""
    mark = tokenserver.audit.mark()
    query = "&".join(f"scope=repository:a/{number}:pull" for number in range(1001))
    answer = tokenserver.request("GET", f"/token?service={quote(registry.service)}&{query}")
    assert answer.status == 400
    message = answer.json()["errors"][0]["message"]
    assert "more than 1000 distinct resources" in message
    assert "limits.scopes" in message
    (event,) = tokenserver.audit.events(mark)
    assert (event.outcome, event.fields["reason"]) == ("invalid_request", message)


@pytest.mark.parametrize(
    ("setting", "ok"),
    [
        pytest.param("", None, id="as nginx is installed"),
        pytest.param("large_client_header_buffers 4 16k;", None, id="twice that"),
        pytest.param("large_client_header_buffers 4 128k;", True, id="as documented"),
    ],
)
def test_the_doctor_finds_a_proxy_with_small_headers(
    setting: str, ok: bool | None, registry: Registry, tmp_path: Path
) -> None:
    """nginx in front of a real registry: the doctor notes its setting, and a healthy set-up has no finding by it."""
    location = f"{setting} location / {{ proxy_pass http://127.0.0.1:{registry.port}; }}"
    with nginx(tmp_path, location) as proxy:
        address = ["--registry", f"http://localhost:{proxy.port}", "--service", registry.service]
        config = str(registry.server.config)
        result = CliRunner().invoke(main, ["doctor", *address, "--json", "--config", config])
        shown = CliRunner().invoke(main, ["doctor", *address, "--config", config])
    (found,) = [one for one in json.loads(result.stdout) if one["check"] == "token size"]
    assert (found["ok"], found["mend"], result.exit_code) == (ok, None, 0), found
    assert found["theirs"] == ("401" if ok else "400")
    assert ("nginx in front of the registry" in shown.output) is (ok is None)
    assert ("large_client_header_buffers" in shown.output) is (ok is None)
