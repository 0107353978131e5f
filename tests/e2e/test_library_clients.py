"""Clients that are libraries or build tools: what each may, what it may not, and what it does on the wire.

The tables are in harness/libraries.py; docs/compatibility.md prints them.
"""

from __future__ import annotations

import json
import re
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import pytest
from harness import registries
from harness.authority import Authority, served_by
from harness.clients import Client
from harness.images import Image
from harness.libraries import LIBRARIES, LIBRARY_VERBS, DockerPy, Dxf, Jib, Library, OciClient, OrasPy, Renovate
from harness.programs import ROOT
from harness.registries import Registry
from harness.scene import Scene
from harness.server import ANONYMOUS, Event, Person, Setup, serving
from harness.waiting import PATIENCE_SECONDS
from harness.watch import Watch

ClientOf = Callable[[type[Client]], Client]


def row(kind: type[Library]) -> object:
    """The client's row in a table."""
    marks = [pytest.mark.real(kind.name), *([pytest.mark.nightly] if kind.nightly else [])]
    return pytest.param(kind, id=kind.name, marks=marks)


def able(verb: str) -> pytest.MarkDecorator:
    """One row for each client that has the verb."""
    return pytest.mark.parametrize("kind", [row(kind) for kind in LIBRARIES if verb not in kind.cannot])


every = pytest.mark.parametrize("kind", [row(kind) for kind in LIBRARIES])


@pytest.fixture(scope="session")
def registry_with_tls(
    stack: ExitStack, setup: Setup, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Registry]:
    """Gives the registry of a service with TLS, behind a server with TLS, started at the first call."""
    known: dict[str, Registry] = {}

    def registry_with_tls(service: str) -> Registry:
        if not known:
            authority = Authority(tmp_path_factory.mktemp("authority"), "authority")
            server = stack.enter_context(serving(tmp_path_factory.mktemp("server"), replace(setup, tls=authority)))
            for one in ("registry2.test", "registry3.test"):
                folder, generation = tmp_path_factory.mktemp("registry"), f"distribution{one[8]}"
                running = registries.registry(folder, server, one, generation, tls=authority)
                known[one] = stack.enter_context(running)
        return known[service]

    return registry_with_tls


@dataclass(frozen=True)
class Stage:
    """A scene for one kind of client, over TLS if it needs that; events come from the audit trail alone then."""

    scene: Scene
    kind: type[Library]
    mark: int

    @property
    def registry(self) -> Registry:
        return self.scene.registry

    def client(self, person: Person = ANONYMOUS) -> Library:
        """The client with that person's credentials."""
        return cast(Library, self.scene.client(self.kind, person))

    def events(self, person: Person, *, seconds: float = PATIENCE_SECONDS) -> list[Event]:
        """The person's audit events, which agree with what was on the wire, where that can be read."""
        if not self.kind.secured:
            return self.scene.events(person)
        events = self.scene.server.audit.events(self.mark, seconds=seconds)
        return [event for event in events if (event.subject or "") == person]

    def asked(self, person: Person, repository: str) -> list[str]:
        """The scopes of the person's requests in order, with `NAME` for the repository."""
        return [" ".join(sorted(event.asked)).replace(repository, "NAME") for event in self.events(person)]


@pytest.fixture
def stage(
    kind: type[Library],
    registry: Registry,
    registry_with_tls: Callable[[str], Registry],
    image: Image,
    client_of: ClientOf,
    new_name: Callable[[str], str],
) -> Stage:
    """The scene in which this kind of client is tried."""
    chosen = registry_with_tls(registry.service) if kind.secured else registry
    scene = Scene(chosen, Watch(chosen.server), image, client_of, new_name)
    return Stage(scene, kind, chosen.server.audit.mark())


@pytest.mark.parametrize("verb", LIBRARY_VERBS)
@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.name) for kind in LIBRARIES])
def test_a_client_has_a_verb_or_a_reason(kind: type[Library], verb: str) -> None:
    """Both would be a table that lies, and neither would be a row that nobody tries."""
    bases = [base for base in kind.__mro__ if verb in vars(base)]
    has = bases[0] not in (Client, Library)
    assert has == (verb not in kind.cannot)


def test_the_versions_are_those_that_are_installed() -> None:
    """Every label has the version that its file pins, and every file pins exact versions alone."""
    lines = [line for line in _text("python_clients/requirements.txt").splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9.]+(post[0-9]+)?", line)] == []
    pinned = dict(line.split("==") for line in lines)
    plugin = re.search(
        r"<artifactId>jib-maven-plugin</artifactId>\s*<version>([0-9.]+)</version>", _text("jib/pom.xml")
    )
    crates = tomllib.loads(_text("oci_client/Cargo.toml"))["dependencies"]
    assert [crate for crate in crates.values() if not crate["version"].startswith("=")] == []
    assert plugin is not None
    versions = {
        "docker-py": pinned["docker"],
        "oras-py": pinned["oras"],
        "dxf": pinned["python-dxf"],
        "jib": plugin[1],
        "oci-client": crates["oci-client"]["version"].removeprefix("="),
        "renovate": json.loads(_text("renovate/package.json"))["dependencies"]["renovate"],
    }
    assert {kind.name: kind.label.split(" ")[1] for kind in LIBRARIES} == versions


def _text(name: str) -> str:
    return (ROOT / "tests" / "e2e" / name).read_text(encoding="utf-8")


@able("login")
def test_login(stage: Stage, kind: type[Library]) -> None:
    """The right password gets in, every character of it, and a wrong one does not."""
    for person in ("ann", "bob"):
        output = stage.client().login(stage.registry, *stage.scene.credentials(person))
        assert output.ok, str(output)
        assert {event.outcome for event in stage.events(person)} <= {"login", "denied"}
    output = stage.client().login(stage.registry, "ben", "wrong")
    assert not output.ok, str(output)
    assert [event.outcome for event in stage.events("ben")] == ["invalid_credentials"]


@able("push")
def test_push_where_it_is_granted(stage: Stage, kind: type[Library]) -> None:
    """A writer pushes, and the client asks for what its row says."""
    client, repository = stage.client("bob"), stage.scene.new_name("web")
    output = client.push(stage.registry, stage.scene.image, repository)
    assert output.ok, str(output)
    assert stage.registry.holds(repository)
    assert tuple(stage.asked("bob", repository)) == kind.facts.push
    assert {event.outcome for event in stage.events("bob")} == {"granted"}


@able("push")
def test_push_where_only_pull_is_granted(stage: Stage, kind: type[Library]) -> None:
    """A reader's push token holds pull alone, the registry takes nothing for it, and the user reads so."""
    client, repository = stage.client("ben"), stage.scene.new_name("web")
    output = client.push(stage.registry, stage.scene.image, repository)
    assert not output.ok, str(output)
    assert (kind.push_refusal or kind.refusal) in output.text, str(output)
    assert not stage.registry.holds(repository)
    asking = [event for event in stage.events("ben") if "push" in event.wanted(f"repository:{repository}")]
    assert {event.actions(f"repository:{repository}") for event in asking} == {frozenset({"pull"})}
    assert len(asking) in kind.facts.refused_push


@able("pull")
def test_pull_where_it_is_granted(stage: Stage, kind: type[Library]) -> None:
    """A reader pulls, with one token for exactly that."""
    client, repository = stage.client("ben"), stage.scene.stored("web")
    output = client.pull(stage.registry, repository)
    assert output.ok, str(output)
    assert tuple(stage.asked("ben", repository)) == kind.facts.pull
    assert {event.granted for event in stage.events("ben")} == {frozenset({f"repository:{repository}:pull"})}


@able("pull")
def test_pull_as_a_stranger(stage: Stage, kind: type[Library]) -> None:
    """A token without access is refused by the registry; the row says how often the client asks for it."""
    client, repository = stage.client("eve"), stage.scene.stored("web")
    output = client.pull(stage.registry, repository)
    assert not output.ok, str(output)
    assert kind.refusal in output.text, str(output)
    assert stage.asked("eve", repository) == ["repository:NAME:pull"] * kind.facts.refused
    assert {(event.outcome, event.granted) for event in stage.events("eve")} == {("denied", frozenset())}


@able("pull")
def test_anonymous_pull(stage: Stage, kind: type[Library]) -> None:
    """Without credentials a client pulls what a rule gives to everyone, and nothing else."""
    client, public, closed = stage.client(), stage.scene.stored("public"), stage.scene.stored("web")
    output = client.pull(stage.registry, public)
    assert output.ok, str(output)
    assert {event.granted for event in stage.events(ANONYMOUS)} == {frozenset({f"repository:{public}:pull"})}
    output = client.pull(stage.registry, closed)
    assert not output.ok, str(output)
    assert kind.refusal in output.text, str(output)


@able("pull")
def test_pull_with_a_wrong_password(stage: Stage, kind: type[Library]) -> None:
    """Not even what is public; the row says how many failed logins one pull is to the throttle."""
    client, repository = stage.client(), stage.scene.stored("public")
    client.machine.sign_in(stage.registry.host, "ann", "wrong")
    output = client.pull(stage.registry, repository)
    assert not output.ok, str(output)
    events = stage.events("ann")
    assert [event.outcome for event in events] == ["invalid_credentials"] * kind.facts.wrong_password
    message = "wrong user name or password"
    assert kind.unauthorized.format(message=message) in output.text, str(output)


@able("tags")
def test_tags(stage: Stage, kind: type[Library]) -> None:
    """A reader lists the tags, which is a pull; a stranger does not."""
    repository = stage.scene.stored("web")
    output = stage.client("ben").tags(stage.registry, repository)
    assert output.ok, str(output)
    assert "1" in output.text
    assert {event.granted for event in stage.events("ben")} == {frozenset({f"repository:{repository}:pull"})}
    output = stage.client("eve").tags(stage.registry, repository)
    assert not output.ok, str(output)


@able("delete")
def test_delete(stage: Stage, kind: type[Library]) -> None:
    """A writer may not delete, and the image stays; a maintainer may."""
    repository = stage.scene.stored("web")
    output = stage.client("ann").delete(stage.registry, repository, stage.scene.image)
    assert not output.ok, str(output)
    assert stage.registry.holds(repository)
    output = stage.client("mia").delete(stage.registry, repository, stage.scene.image)
    assert output.ok, str(output)
    assert not stage.registry.holds(repository)


@able("catalog")
def test_catalog(stage: Stage, kind: type[Library]) -> None:
    """Listing a registry takes the literal star, which one rule gives."""
    repository = stage.scene.stored("secret")
    output = stage.client("olga").catalog(stage.registry)
    assert output.ok, str(output)
    assert repository in output.stdout
    output = stage.client("mia").catalog(stage.registry)
    assert not output.ok, str(output)
    assert repository not in output.stdout


@pytest.mark.real("zot")
@pytest.mark.parametrize("kind", [row(kind) for kind in LIBRARIES if not kind.secured])
def test_zot(
    kind: type[Library],
    zot14: Callable[[], Registry],
    image: Image,
    client_of: ClientOf,
    new_name: Callable[[str], str],
) -> None:
    """zot grants and refuses the same, to a client that can pull and to one that can push."""
    zot = zot14()
    scene = Scene(zot, Watch(zot.server), image, client_of, new_name)
    repository = scene.stored("web")
    if kind.pushes_oci and "push" not in kind.cannot:
        output = scene.client(kind, "ann").push(zot, image, repository := scene.new_name("web"))
        assert output.ok, str(output)
        assert zot.holds(repository)
    output = scene.client(kind, "ben").pull(zot, repository)
    assert output.ok, str(output)
    output = scene.client(kind, "eve").pull(zot, repository)
    assert not output.ok, str(output)
    assert {event.outcome for event in scene.events("ben")} == {"granted"}
    assert {event.outcome for event in scene.events("eve")} == {"denied"}


@pytest.mark.parametrize("kind", [row(OrasPy)])
def test_oras_py_cannot_push(stage: Stage, kind: type[OrasPy]) -> None:
    """Its first request looks whether a blob is there; the token for that is kept, and has no push in it."""
    client, repository = cast(OrasPy, stage.client("ann")), stage.scene.new_name("web")
    output = client.try_to_push(stage.registry, stage.scene.image, repository)
    assert not output.ok, str(output)
    assert kind.refusal in output.text
    assert not stage.registry.holds(repository)
    assert tuple(stage.asked("ann", repository)) == kind.facts.push
    assert {event.outcome for event in stage.events("ann")} == {"granted"}


@pytest.mark.parametrize("kind", [row(OrasPy)])
def test_oras_py_cannot_delete(stage: Stage, kind: type[OrasPy]) -> None:
    """It asks for the digest first, and deletes with the token for that."""
    client, repository = cast(OrasPy, stage.client("mia")), stage.scene.stored("web")
    output = client.try_to_delete(stage.registry, repository)
    assert not output.ok, str(output)
    assert stage.registry.holds(repository)
    assert stage.asked("mia", repository) == ["repository:NAME:pull"]


@pytest.mark.parametrize("generation", ["distribution2", "distribution3"])
@pytest.mark.real(OrasPy.name)
def test_oras_py_pushes_and_deletes_where_tokens_carry_all_that_is_held(
    generation: str,
    setup: Setup,
    client_of: ClientOf,
    image: Image,
    new_name: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """With `grant: held` its first token, asked for to pull, has what the policies give; a reader's has no more."""
    service = f"registry{generation[-1]}.test"
    entry = {"service": service, "compat": "universal", "grant": "held"}
    held = replace(setup, settings={"registries": [entry]})
    with (
        serving(tmp_path_factory.mktemp("server"), held) as server,
        registries.registry(tmp_path_factory.mktemp("registry"), server, service, generation) as registry,
    ):
        scene = Scene(registry, Watch(server), image, client_of, new_name)
        repository = new_name("web")
        output = cast(OrasPy, scene.client(OrasPy, "ann")).try_to_push(registry, image, repository)
        assert output.ok, str(output)
        assert registry.holds(repository)
        (event,) = scene.events("ann")
        assert event.asked == {f"repository:{repository}:pull"}
        assert event.granted == {f"repository:{repository}:pull,push"}
        for person, may in (("ben", False), ("ann", False), ("mia", True)):
            output = cast(OrasPy, scene.client(OrasPy, person)).try_to_delete(registry, repository)
            assert output.ok == may, str(output)
            assert registry.holds(repository) != may
        other = new_name("web")
        output = cast(OrasPy, scene.client(OrasPy, "ben")).try_to_push(registry, image, other)
        assert not output.ok, str(output)
        assert not registry.holds(other)


@pytest.mark.parametrize("kind", [row(OciClient)])
def test_oci_client_cannot_list_the_catalog(stage: Stage, kind: type[OciClient]) -> None:
    """Whoever may do it may not either, since it never asks for the catalog."""
    client = cast(OciClient, stage.client("olga"))
    output = client.try_catalog(stage.registry, "web/any")
    assert not output.ok, str(output)
    assert kind.refusal in output.text
    assert stage.asked("olga", "web/any") == ["repository:NAME:pull"]


@pytest.mark.parametrize("kind", [row(DockerPy)])
def test_docker_py_raises_nothing_when_a_push_is_refused(stage: Stage, kind: type[DockerPy]) -> None:
    """The refusal is a line of what `push` returns; a program that does not read it believes that it has pushed."""
    client, repository = stage.client("ben"), stage.scene.new_name("web")
    output = client.push(stage.registry, stage.scene.image, repository)
    assert output.code == 1
    assert output.text.strip().splitlines()[-1] == kind.refusal
    assert "Traceback" not in output.text


@pytest.mark.parametrize("kind", [row(Dxf)])
def test_dxf_sends_no_password_without_tls(kind: type[Dxf], scene: Scene) -> None:
    """Neither to the registry nor to the server: it gives up before it asks for a token."""
    client, repository = scene.client(kind, "ben"), scene.stored("web")
    variables = {"DXF_HOST": scene.registry.host, "DXF_INSECURE": "1", "DXF_USERNAME": "ben", "DXF_PASSWORD": "secret"}
    output = client.run("list-aliases", repository, environment=variables)
    assert not output.ok, str(output)
    assert "DXFAuthInsecureError" in output.text
    assert scene.watch.requests() == []


@pytest.mark.parametrize("kind", [row(Jib)])
def test_jib_sends_no_password_without_tls_unless_it_may(stage: Stage, kind: type[Jib]) -> None:
    """Without its switch it asks anonymously, if at all, and says what is missing."""
    client, repository = cast(Jib, stage.client("ben")), stage.scene.stored("web")
    client.over_http = False
    output = client.pull(stage.registry, repository)
    assert not output.ok, str(output)
    assert "sendCredentialsOverHttp" in output.text
    assert stage.events("ben", seconds=1.0) == []


@pytest.mark.parametrize("kind", [row(Renovate)])
def test_renovate_exits_with_success_all_the_same(stage: Stage, kind: type[Renovate]) -> None:
    """Its log alone says that it may not look."""
    client, repository = cast(Renovate, stage.client("eve")), stage.scene.stored("web")
    output = client.look_up(stage.registry, repository)
    assert output.ok, str(output)
    assert kind.refusal in output.text


@dataclass
class Refusing:
    """A registry that challenges, and a token server that gives one answer to everyone, both on one port."""

    port: int
    service: str
    authority: Authority | None
    tokens: int = 0
    targets: list[str] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"


@contextmanager
def refusing(status: int, headers: dict[str, str], authority: Authority | None, folder: Path) -> Iterator[Refusing]:
    """The two, running. The answer has the body that tokenserver sends with this status."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            state.targets.append(self.path)
            if self.path.partition("?")[0] == "/token":
                state.tokens += 1
                self.answer(status, headers, {"details": "out of order"})
            else:
                scheme = "http" if authority is None else "https"
                scope = f',scope="repository:{REFUSED}:pull"' if REFUSED in self.path else ""
                challenge = f'Bearer realm="{scheme}://{state.host}/token",service="registry2.test"{scope}'
                body = {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}
                self.answer(401, {"WWW-Authenticate": challenge}, body)

        do_HEAD = do_POST = do_GET  # noqa: N815 - the names that the standard library calls

        def answer(self, code: int, more: dict[str, str], content: object) -> None:
            body = json.dumps(content).encode()
            self.send_response(code)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Nothing; `targets` has it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if authority is not None:
        server.socket = served_by(*authority.issue(folder)).wrap_socket(server.socket, server_side=True)
    state = Refusing(server.server_port, "registry2.test", authority)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


REFUSED = "web/refused"


@pytest.mark.parametrize("status", [403, 503])
@every
def test_what_a_client_makes_of_a_token_server_that_refuses(
    kind: type[Library], status: int, client_of: ClientOf, tmp_path: Path
) -> None:
    """It fails, its text gives a hint, and the row says how often it asks; no row has a client that never gives up."""
    authority = Authority(tmp_path, "authority") if kind.secured else None
    headers = {"Retry-After": "1"} if status == 503 else {}
    with refusing(status, headers, authority, tmp_path) as registry:
        client = cast(Library, client_of(kind))
        client.machine.sign_in(registry.host, "ann", "some-password")
        output = client.pull(cast(Registry, registry), REFUSED)
    assert not output.ok, str(output)
    expected = kind.forbidden if status == 403 else kind.unavailable
    assert expected, str(output)
    assert expected.format(message="out of order") in output.text, str(output)
    assert registry.tokens == (kind.facts.forbidden if status == 403 else kind.facts.unavailable), registry.targets
