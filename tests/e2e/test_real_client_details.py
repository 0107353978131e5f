"""What single clients ask for, word by word, and how they take a refusal: the rows that are about one client only."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from harness import web
from harness.clients import Client, Crane, Ctr, Docker, Oras, Podman, Regctl, Skopeo
from harness.registries import Registry
from harness.scene import Scene
from harness.server import ANONYMOUS, TokenServer


def test_docker_login_asks_once_for_no_scope_and_stores_a_password(scene: Scene) -> None:
    """docker asks for an offline token; none is given unless configured, so the password is what it keeps."""
    client = scene.client(Docker)
    output = client.login(scene.registry, *scene.credentials("ann"))
    assert "Login Succeeded" in output.stdout
    (request,) = scene.watch.requests()
    assert (request.method, dict(request.query)) == (
        "GET",
        {"account": "ann", "client_id": "docker", "offline_token": "true", "service": scene.registry.service},
    )
    assert set(client.machine.stored()[scene.registry.host]) == {"auth"}
    assert client.machine.user(scene.registry.host) == scene.credentials("ann")


def test_docker_login_with_a_wrong_password_stores_nothing(scene: Scene) -> None:
    """One refused request, no second try, and no credentials left behind."""
    client = scene.client(Docker)
    assert not client.login(scene.registry, "ann", "wrong").ok
    assert [request.status for request in scene.watch.requests()] == [401]
    assert client.machine.stored() == {}


@pytest.mark.parametrize("user", ["ann", "nobody"], ids=["wrong password", "unknown user"])
def test_docker_says_the_same_whether_the_user_exists(user: str, scene: Scene) -> None:
    """A stranger cannot learn from the client's message which users there are."""
    output = scene.client(Docker).login(scene.registry, user, "wrong")
    (request,) = scene.watch.requests()
    assert request.answer == scene.server.ask(scene.registry.service, person="stranger").body
    assert scene.server.message(request.answer) in output.text


@dataclass(frozen=True)
class Reading:
    """A command that only reads. `{host}` and `{name}` stand for the registry and the repository."""

    kind: type[Client]
    command: str
    shows: str


READINGS = [
    pytest.param(Reading(Skopeo, "inspect --tls-verify=false docker://{host}/{name}:1", "{name}"), id="skopeo inspect"),
    pytest.param(Reading(Skopeo, "list-tags --tls-verify=false docker://{host}/{name}", '"1"'), id="skopeo list-tags"),
    pytest.param(Reading(Crane, "digest {host}/{name}:1", "{digest}"), id="crane digest"),
    pytest.param(Reading(Crane, "ls {host}/{name}", "1"), id="crane ls"),
    pytest.param(Reading(Crane, "manifest {host}/{name}:1", "schemaVersion"), id="crane manifest"),
    pytest.param(Reading(Oras, "repo tags --plain-http {host}/{name}", "1"), id="oras repo tags"),
    pytest.param(Reading(Oras, "manifest fetch --plain-http {host}/{name}:1", "schemaVersion"), id="oras manifest"),
    pytest.param(Reading(Regctl, "--host reg={host},tls=disabled tag ls {host}/{name}", "1"), id="regctl tag ls"),
    pytest.param(
        Reading(Regctl, "--host reg={host},tls=disabled image digest {host}/{name}:1", "{digest}"), id="regctl digest"
    ),
    pytest.param(
        Reading(Podman, "search --tls-verify=false --list-tags {host}/{name}", "{name}"), id="podman search --list-tags"
    ),
]


@pytest.mark.parametrize("reading", READINGS)
def test_reading_takes_pull_alone(reading: Reading, scene: Scene) -> None:
    """A reader can look at tags, digests and manifests; none of these commands wants more than pull."""
    client, repository = scene.client(reading.kind, "ben"), scene.stored("web")
    places = {"host": scene.registry.host, "name": repository, "digest": scene.image.digest}
    output = client.run(*reading.command.format(**places).split())
    assert output.ok, str(output)
    assert reading.shows.format(**places) in output.stdout
    granted = {event.granted for event in scene.events("ben") if event.asked}
    assert granted == {frozenset({f"repository:{repository}:pull"})}


@pytest.mark.parametrize(
    "reading",
    [
        pytest.param(
            Reading(Skopeo, "inspect --no-creds --tls-verify=false docker://{host}/{name}:1", ""), id="skopeo inspect"
        ),
        pytest.param(Reading(Ctr, "images pull --plain-http --snapshotter=native {host}/{name}:1", ""), id="ctr pull"),
    ],
)
@pytest.mark.parametrize(
    ("namespace", "works"), [pytest.param("public", True, id="public"), pytest.param("web", False, id="not public")]
)
def test_anonymous_reading(reading: Reading, namespace: str, works: bool, scene: Scene) -> None:
    """Without credentials a client reads what is public, and nothing else."""
    client, repository = scene.client(reading.kind), scene.stored(namespace)
    output = client.run(*reading.command.format(host=scene.registry.host, name=repository).split())
    assert output.ok == works, str(output)
    granted = frozenset({f"repository:{repository}:pull"}) if works else frozenset()
    assert {event.granted for event in scene.events(ANONYMOUS)} == {granted}


def test_skopeo_delete_asks_for_a_star_and_gets_a_list(scene: Scene) -> None:
    """`*` on a repository means "what I may": no star is granted, and what is granted is spelt out."""
    client, repository = scene.client(Skopeo, "mia"), scene.stored("web")
    assert client.delete(scene.registry, repository, scene.image).ok
    (event,) = scene.events("mia")
    assert event.asked == {f"repository:{repository}:*"}
    assert event.granted == {f"repository:{repository}:delete,pull,push"}
    assert event.outcome == "granted"


def test_crane_with_a_wrong_password(scene: Scene) -> None:
    """crane stores a login unseen; the first command with it fails with the server's own words."""
    client, repository = scene.client(Crane), scene.stored("public")
    client.machine.sign_in(scene.registry.host, "ann", "wrong")
    output = client.run("digest", f"{scene.registry.host}/{repository}:1")
    assert not output.ok
    requests = scene.watch.requests()
    assert [request.status for request in requests] == [401, 401]
    assert scene.server.message(requests[0].answer) in output.text


def test_ctr_sends_one_form_for_each_set_of_scopes(scene: Scene) -> None:
    """containerd posts the password and reads `access_token`; it never falls back to GET when that works."""
    client, repository = scene.client(Ctr, "ann"), scene.new_name("web")
    assert client.push(scene.registry, scene.image, repository).ok
    requests = scene.watch.requests()
    assert {request.method for request in requests} == {"POST"}
    assert len({request.values("scope")[0] for request in requests}) == len(requests)
    for request in requests:
        names = ("grant_type", "client_id", "service", "username")
        assert [request.values(name) for name in names] == [
            ["password"],
            ["containerd-client"],
            [scene.registry.service],
            ["ann"],
        ]
        assert "authorization" not in request.headers


def test_ctr_with_a_wrong_password_tries_twice(scene: Scene) -> None:
    """A refused form is tried once more as a GET with Basic; both are 401, though anonymous access is on."""
    client, repository = scene.client(Ctr), scene.stored("public")
    client.machine.sign_in(scene.registry.host, "ann", "wrong")
    output = client.pull(scene.registry, repository)
    assert not output.ok, str(output)
    tries = [(request.method, request.user, request.status) for request in scene.watch.requests()]
    assert tries == [("POST", "ann", 401), ("GET", "ann", 401)]


def test_several_scopes_in_one_request(scene: Scene) -> None:
    """Each scope is decided by itself: one token holds what is granted of each, and the registry takes it for all."""
    mine, others, hidden = scene.stored("web"), scene.stored("public"), scene.stored("secret")
    asked = [f"repository:{mine}:pull,push", f"repository:{others}:pull", f"repository:{hidden}:pull"]
    answer = scene.server.ask(scene.registry.service, asked, person="ann")
    token = answer.json()["token"]
    statuses = [scene.registry.request("GET", f"/v2/{name}/tags/list", token).status for name in (mine, others, hidden)]
    assert statuses == [200, 200, 401]


@pytest.mark.parametrize("separator", ["repeated", "spaces", "mixed"])
def test_scopes_repeated_or_in_one_list(separator: str, tokenserver: TokenServer, registry: Registry) -> None:
    """Clients repeat `scope`, or join a list with spaces, or both; the token is the same."""
    scopes = ["repository:web/a:pull", "repository:web/b:push,pull", "repository:web/a:push"]
    spelt = {"repeated": scopes, "spaces": [" ".join(scopes)], "mixed": [" ".join(scopes[:2]), scopes[2]]}[separator]
    answer = tokenserver.ask(registry.service, spelt, person="ann")
    access = web.claims(answer.json()["token"])["access"]
    assert {(one["name"], frozenset(one["actions"])) for one in access} == {
        ("web/a", frozenset({"pull", "push"})),
        ("web/b", frozenset({"pull", "push"})),
    }
    assert len(access) == 2


def test_regctl_deletes_a_tag(scene: Scene) -> None:
    """regctl pushes a dummy manifest over the tag and deletes that, so it needs pull, push and delete."""
    client, repository = scene.client(Regctl, "mia"), scene.stored("web")
    host = scene.registry.host
    output = client.run("--host", f"reg={host},tls=disabled", "tag", "rm", f"{host}/{repository}:1")
    assert output.ok, str(output)
    assert not scene.registry.holds(repository)
    assert scene.registry.holds(repository, scene.image.digest)


def test_regctl_carries_all_its_scopes_along(scene: Scene) -> None:
    """regctl adds up every repository it has used on a host, and each request asks for all of them."""
    client, source, target = scene.client(Regctl, "ann"), scene.stored("web"), scene.new_name("web")
    assert client.mount(scene.registry, source, target).ok
    last = scene.watch.requests()[-1]
    assert last.asked == {f"repository:{source}:pull", f"repository:{target}:pull,push"}
    assert last.values("client_id")[0].startswith("regclient/")


def test_a_request_line_of_long_scopes(registry: Registry, tokenserver: TokenServer) -> None:
    """Nearly as long as a request line can be: 414 would break regctl, crane and mirrors."""
    names = [f"web/{'n' * 170}/image-{number}" for number in range(270)]
    answer = tokenserver.ask(registry.service, [f"repository:{name}:pull" for name in names], person="ben")
    assert answer.status == 200, answer
    assert {one["name"] for one in web.claims(answer.json()["token"])["access"]} == set(names)
