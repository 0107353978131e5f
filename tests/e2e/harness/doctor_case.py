"""One cause of the doctor's corpus, built of real programs: a registry, proxies around it, and the doctor's runs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from http.client import HTTPException
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner
from damaged_pem import DAMAGE, HARMLESS
from doctor_corpus import Case, Says

from harness import web
from harness.authority import Authority
from harness.doctor_world import World, put
from harness.misfits import ARGUMENTS
from harness.processes import Daemon, DidNotStart, answers, free_port, plain_environment, running
from harness.programs import need
from harness.proxy import nginx
from harness.registries import PROGRAMS
from harness.replica import Replica
from tokenserver.cli import main

PASS = "proxy_pass http://127.0.0.1:@port@; proxy_set_header Host $http_host;"
_NAME = re.compile(r"@(\w+)@")


@dataclass
class Scene:
    """A case that was built. `names` are the values of the `@name@` in its texts."""

    case: Case
    world: World
    folder: Path
    stack: ExitStack
    names: dict[str, str]
    config: Path
    port: int
    doctor_config: Path
    authority: Authority | None = None
    variables: dict[str, str] = field(default_factory=dict)
    _registry: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        """Where clients find the registry."""
        return self.names["public"]

    def fill(self, text: str) -> str:
        """The text with its names replaced."""
        return _NAME.sub(lambda found: self.names[found[1]], text)

    def filled(self, value: Any) -> Any:
        """The value with the names in every text of it replaced."""
        match value:
            case str():
                return self.fill(value)
            case list():
                return [self.filled(one) for one in value]
            case dict():
                return {key: self.filled(one) for key, one in value.items()}
        return value

    def expected(self, says: Says | None) -> Says | None:
        """What the doctor has to say, with the names in its texts replaced."""
        if says is None:
            return None
        return replace(says, check=self.fill(says.check), texts=tuple(map(self.fill, says.texts)))

    def start(self) -> bool:
        """Start the registry, or start it again with what is in its files now; whether it runs."""
        self._registry.close()
        program = need(PROGRAMS[self.case.registry])
        environment = {**plain_environment(self.folder), "OTEL_TRACES_EXPORTER": "none", **self.variables}
        command: list[str | Path] = [program, *ARGUMENTS.get(self.case.registry, ["serve"]), self.config]
        daemon = Daemon("registry", command, environment=environment, folder=self.folder)
        try:
            self._registry.enter_context(running(daemon, lambda: answers(self.port)))
        except DidNotStart:
            return False
        return True

    def whole(self) -> Any:
        """The registry's configuration, as it is now."""
        text = self.config.read_text()
        return json.loads(text) if self.config.suffix == ".json" else yaml.safe_load(text)

    def write(self, whole: Any) -> None:
        """Write the registry's configuration."""
        is_json = self.config.suffix == ".json"
        self.config.write_text(json.dumps(whole) if is_json else yaml.safe_dump(whole))

    def change(self, changes: Mapping[str, Any]) -> None:
        """Change values of the registry's configuration."""
        if not changes:
            return
        whole = self.whole()
        for path, value in changes.items():
            put(whole, path, self.filled(value))
        self.write(whole)


def build(case: Case, world: World, folder: Path, stack: ExitStack) -> Scene:
    """Everything around the registry, and its files; it is not started yet."""
    folder.mkdir()
    (folder / "tmp").mkdir()
    port, url = free_port(), _server_url(case, world, folder, stack)
    is_zot = case.registry.startswith("zot")
    keys = world.keys(case.service)
    names = {
        **{name: str(path) for name, path in world.strangers.items()},
        "folder": str(folder),
        "url": url,
        "realm": f"{url}/token",
        "service": case.service,
        "server_port": str(world.server.port),
        "port": str(port),
        "closed": str(free_port()),
        "ca": str(keys / "token-ca.pem"),
        "leaf": str(world.signing(case.service)),
        "issuer": "tokenserver-under-test",
        "users": str(world.server.folder / "users.htpasswd"),
        "public": f"http://localhost:{port}",
        "key": str(world.signing(case.service).with_suffix(".key")),
        "server_ca": str(world.keys("universal.test") / "token-ca.pem"),
    }
    names["pass"] = PASS.replace("@port@", str(port))
    config = folder / ("registry.json" if is_zot else "registry.yml")
    names["config"] = str(config)
    scene = Scene(case, world, folder, stack, names, config, port, world.server.config)
    stack.callback(scene._registry.close)
    if case.issuer:
        issuer_port = free_port()
        names |= {"trusted": f"http://localhost:{issuer_port}", "jwks": json.dumps(_published(scene))}
        (folder / "issuer").mkdir()
        stack.enter_context(nginx(folder / "issuer", scene.fill(scene.fill(case.issuer)), issuer_port))
    if case.settings or url != world.server.url:
        scene.doctor_config = world.variant(folder, scene.filled(dict(case.settings)), url)
    for name, make in case.files.items():
        (folder / name).write_bytes(_made(scene, make))
        names[name.replace(".", "_")] = str(folder / name)
    scene.write(_configuration(scene))
    _tls(scene)
    scene.change(case.change)
    scene.variables = scene.filled(dict(case.environment))
    _second(scene)
    if case.proxy:
        (folder / "proxy").mkdir()
        proxy = nginx(folder / "proxy", scene.fill(case.proxy), upstream=scene.fill(case.upstream))
        names["public"] = f"http://localhost:{stack.enter_context(proxy).port}"
    if case.url:
        names["public"] = scene.fill(case.url)
    if case.replaced is not None:
        config.write_text(scene.fill(case.replaced))
    return scene


def _server_url(case: Case, world: World, folder: Path, stack: ExitStack) -> str:
    """Where clients find the token server: itself, a replica with another clock, or a proxy in front of it."""
    url, port = world.server.url, world.server.port
    if case.clock:
        (folder / "clock").mkdir()
        replica = Replica(world.server, folder / "clock", prefix=[str(need("faketime")), "-f", case.clock])
        replica.daemon.start(replica.is_ready)
        stack.callback(replica.daemon.stop)
        url, port = f"http://localhost:{replica.port}", replica.port
    if case.server_proxy:
        (folder / "server-proxy").mkdir()
        block = case.server_proxy.replace("@pass@", PASS).replace("@port@", str(port))
        proxy = stack.enter_context(nginx(folder / "server-proxy", block))
        url = f"http://localhost:{proxy.port}"
    return case.server.replace("@closed@", str(free_port())) or url


def _configuration(scene: Scene) -> dict[str, Any]:
    section = scene.world.section(scene.case.service, scene.case.registry)
    if scene.config.suffix == ".json":
        section["http"]["auth"]["bearer"]["realm"] = scene.names["realm"]
        storage = {"rootDirectory": str(scene.folder / "storage"), "gc": False}
        return {"storage": storage, "http": {"address": "127.0.0.1", "port": str(scene.port), **section["http"]}}
    section["auth"]["token"]["realm"] = scene.names["realm"]
    storage = {"inmemory": {}, "delete": {"enabled": True}}
    return {"version": 0.1, "storage": storage, "http": {"addr": f"127.0.0.1:{scene.port}"}, **section}


def _tls(scene: Scene) -> None:
    if scene.case.tls is None:
        return
    scene.authority = Authority(scene.folder, "A company's CA")
    certificate, key = scene.authority.issue(scene.folder, **scene.case.tls)
    scene.change({"http.tls": {"certificate": str(certificate), "key": str(key)}})
    scene.names |= {"public": f"https://localhost:{scene.port}", "authority": str(scene.authority.file)}


def _second(scene: Scene) -> None:
    """A second registry beside the first, with changes of its own."""
    if scene.case.second is None:
        return
    port, folder = free_port(), scene.folder / "second"
    (folder / "tmp").mkdir(parents=True)
    other = Scene(
        scene.case, scene.world, folder, scene.stack, scene.names, folder / "registry.yml", port, scene.config
    )
    other.write(scene.whole())
    other.change({**scene.case.second, "http.addr": f"127.0.0.1:{port}"})
    scene.names["port2"] = str(port)
    scene.stack.callback(other._registry.close)
    assert other.start()


def _made(scene: Scene, make: Mapping[str, str]) -> bytes:
    """The content of a file: `text`, or that of files joined by `from` and then changed by `make`."""
    if "text" in make:
        return scene.fill(make["text"]).encode()
    if make["from"] == "jwks":
        published: bytes = _JWKS[make["make"]](_published(scene))
        return published
    content = b"".join(Path(scene.fill(name)).read_bytes() for name in make["from"].split())
    change = make.get("make", "whole")
    return DAMAGE[change][0](content) if change in DAMAGE else HARMLESS[change](content)


def _published(scene: Scene) -> Any:
    """The JWKS that the token server publishes for the registry."""
    return scene.world.server.request("GET", f"/.well-known/jwks.json?service={scene.case.service}").json()


def _jwks(**changes: Any) -> Any:
    """A maker of a JWKS whose first key has these members; None removes one."""

    def made(published: dict[str, Any]) -> bytes:
        for name, value in changes.items():
            put(published["keys"][0], name, value)
        return json.dumps(published).encode()

    return made


_JWKS = {
    "whole": _jwks(),
    "without kid": _jwks(kid=None),
    "another kid": _jwks(kid="renamed"),
    "unsupported": _jwks(kty="oct"),
    "no keys": lambda _: b'{"keys": []}',
    "cut off": lambda published: json.dumps(published).encode()[:40],
    "HTML": lambda _: b"<html>sign in</html>",
}


# --- the doctor ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """One thing that has to be fixed, as people read it."""

    check: str
    severity: str
    text: str
    fix: str


@dataclass(frozen=True)
class Report:
    """What the doctor said: its exit code, what has to be fixed, and all of its output."""

    code: int
    said: tuple[Said, ...]
    text: str


_FINDING = re.compile(r"^(FAULT|warning) +([^:\n]+): (.*(?:\n {11}.*)*)", re.MULTILINE)
_FIX = re.compile(r"^ {11}fix: +(.*)$", re.MULTILINE)


def ask(scene: Scene, view: str) -> Report:
    """Run the doctor as an operator would who has what `view` names."""
    case, names = scene.case, scene.names
    config = ["--registry-config", str(scene.config)]
    environment = scene.folder / "registry.env"
    environment.write_text("".join(f"{name}={value}\n" for name, value in scene.variables.items()))
    live = ["--registry", scene.url, "--service", case.service]
    wanted = [] if case.wants in ("login", "nothing") else ["--scope", _scope(case)]
    login = ["--user", case.user] if case.user else []
    on_site = [*live, *login, *wanted, *map(scene.fill, case.arguments)]
    (scene.folder / "token").write_text(_token(scene))
    command = {
        "file": [*config, *wanted, "--service", case.service],
        "unnamed": [*config, *wanted],
        "for": [*config, *wanted, "--service", case.service, "--for", case.registry.partition("2.")[0]],
        "env": [*config, "--registry-env", str(environment), *wanted, "--service", case.service],
        "live": on_site,
        "both": [*on_site, *config],
        "all": [*on_site, *config, "--registry-env", str(environment)],
        "token": ["--token", str(scene.folder / "token"), *config],
        "plain": [],
        "client": ["client", "--registry", "registry.example.com"],
    }[view]
    password = case.password or names.get("password") or scene.world.server.people.get(case.user, "")
    arguments = ["doctor", *command, "--config", str(scene.doctor_config)]
    client = _client(scene) if view == "client" else scene.filled(dict(case.client))
    result = CliRunner().invoke(main, arguments, input=f"{password}\n", env=client)
    assert isinstance(result.exception, SystemExit | None), result.exception
    return Report(result.exit_code, tuple(_parsed(result.output)), result.output)


def _client(scene: Scene) -> dict[str, str | None]:
    """The environment of a client whose stored logins are among the files of the case, and nothing of the caller's."""
    for file in scene.case.files:
        (scene.folder / file).chmod(0o600)
    nothing: dict[str, str | None] = dict.fromkeys(os.environ)
    ours = {"DOCKER_CONFIG": str(scene.folder), "HELM_REGISTRY_CONFIG": str(scene.folder / "helm.json")}
    return {**nothing, **plain_environment(scene.folder), **ours, **scene.filled(dict(scene.case.client))}


def _parsed(output: str) -> list[Said]:
    found = []
    for severity, check, text in _FINDING.findall(output):
        fix = _FIX.search(text)
        assert fix is not None, text
        found.append(Said(check, severity.lower(), text, fix[1]))
    return found


def _scope(case: Case) -> str:
    return f"repository:{_repository(case)}:{'pull,push' if case.wants == 'push' else case.wants}"


def _repository(case: Case) -> str:
    return f"users/{case.user}/x" if case.user else "public/x"


def _token(scene: Scene) -> str:
    """The token of the case: `kind [service]`, as it was copied."""
    how, _, service = scene.case.token.partition(" ")
    if not how:
        return ""
    token = scene.world.server.token(service or scene.case.service, [_scope(scene.case)], person=scene.case.user)
    return {
        "whole": token,
        "bearer": f"Authorization: Bearer {token}",
        "json": json.dumps({"token": token}),
        "cut": token[: len(token) - 40],
        "cut-early": token[:200],
        "wrapped": "\n".join(token[at : at + 76] for at in range(0, len(token), 76)),
        "percent": f"{token}%",
        "hash": "$2b$04$abcdefghijklmnopqrstuu5Lo0g67CiD3M4RpN1BmBb4Crp5w7dbK",
    }[how]


# --- a client --------------------------------------------------------------------------------------------------------


def works(scene: Scene) -> bool:
    """Whether a client that follows the challenge as clients do gets what the case wants."""
    with suppress(OSError, ValueError, KeyError, HTTPException):
        return _works(scene)
    return False


def _works(scene: Scene) -> bool:
    case = scene.case
    asked = _get(scene, f"{scene.url}/v2/")
    challenge = dict(re.findall(r'(\w+)="([^"]*)"', asked.header("www-authenticate") or ""))
    if asked.status != 401 or not challenge:
        return False
    people = scene.world.server.people
    sent = web.basic(case.user, case.password or people.get(case.user, "")) if case.user else {}
    scopes = [*challenge.get("scope", "").split()]
    scopes += [_scope(case)] if case.wants not in ("login", "nothing") else []
    target = web.token_target(challenge["service"], scopes, path=challenge["realm"])
    token = _get(scene, target, headers=sent).json()["token"]
    carried = {"Authorization": f"Bearer {token}"}
    base = f"{scene.url}/v2/{_repository(case)}"
    if _get(scene, f"{scene.url}/v2/", headers=carried).status != 200:
        return False
    if case.wants == "push":
        return _pushes(scene, base, carried)
    if case.wants == "delete":
        gone = f"{base}/manifests/sha256:{'0' * 64}"
        return _get(scene, gone, method="DELETE", headers=carried).status in (202, 404)
    return case.wants != "pull" or _get(scene, f"{base}/tags/list", headers=carried).status in (200, 404)


def _pushes(scene: Scene, base: str, carried: dict[str, str]) -> bool:
    """Whether a layer of 1.5 MB is taken where the registry wants it."""
    begun = _get(scene, f"{base}/blobs/uploads/", method="POST", headers=carried)
    location = begun.header("location") or ""
    location = location if "://" in location else f"{scene.url}{location}"
    layer = {**carried, "Content-Type": "application/octet-stream"}
    sent = _get(scene, location, method="PATCH", headers=layer, body=b"x" * 1_500_000) if begun.status == 202 else begun
    return sent.status == 202 and (sent is not begun)


def _get(
    scene: Scene, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> web.Answer:
    """One request to an address of this machine, which is the only one that a client here reaches."""
    found = re.fullmatch(r"(https?)://(?:localhost|127\.0\.0\.1):(\d+)(/.*)", url)
    if found is None:
        raise ValueError(url)
    context = scene.authority.context() if scene.authority and found[1] == "https" else None
    if found[1] == "https" and context is None:
        raise ValueError(url)
    return web.request(int(found[2]), method, found[3], headers=headers, body=body, context=context)
