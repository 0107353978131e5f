"""Real registries that trust the server under test, by the configuration that the server itself prints."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from harness import web
from harness.authority import Authority
from harness.images import MANIFEST_TYPE, Image
from harness.processes import Daemon, answers, free_port, plain_environment, running
from harness.programs import need
from harness.server import Person, TokenServer

PROGRAMS = {
    "distribution2": "docker-registry",
    "distribution3": "distribution3",
    "distribution3.0": "registry-3.0.0",
    "zot": "zot",
    "zot2.1": "zot-verifier",
    "zot2.1.17": "zot-verifier",
}
"""What runs each kind of registry. `zot` is the real one, 1.4; zot_verifier/main.go says what the others are."""

PRINTED_FOR = {"distribution3.0": "distribution3", "zot2.1": "zot", "zot2.1.17": "zot"}
"""What `registry-config --for` calls a kind, where that is another name."""

KEEPER: Person = "keeper"
"""May do everything, so that tests can put images where they want them and look whether they are there."""


@dataclass(frozen=True)
class Registry:
    """A running registry. `host` is what images are called by."""

    generation: str
    service: str
    port: int
    server: TokenServer
    daemon: Daemon
    auth: dict[str, Any]
    context: ssl.SSLContext | None
    name: str = "localhost"
    authority: Authority | None = None
    """Certified it, if it speaks TLS."""

    @property
    def host(self) -> str:
        return f"{self.name}:{self.port}"

    def request(
        self, method: str, target: str, token: str | None, body: bytes | None = None, **headers: str
    ) -> web.Answer:
        """One request with this bearer token. Header names are spelt with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        return web.request(self.port, method, target, headers=sent, body=body, context=self.context)

    def put(self, repository: str, image: Image, tag: str = "1") -> None:
        """Put an image there, as the keeper."""
        token = self._keeper(repository)
        for digest, blob in image.blobs.items():
            self.put_blob(repository, digest, blob, token)
        answer = self.request(
            "PUT", f"/v2/{repository}/manifests/{tag}", token, image.manifest, Content_Type=MANIFEST_TYPE
        )
        assert answer.status == 201, answer

    def put_blob(self, repository: str, digest: str, blob: bytes, token: str) -> None:
        """Upload one blob in one go."""
        started = self.request("POST", f"/v2/{repository}/blobs/uploads/", token)
        assert started.status == 202, started
        location = (started.header("location") or "").removeprefix("http://").removeprefix("https://")
        location = location.removeprefix(self.host)  # zot gives the path alone
        joint = "&" if "?" in location else "?"
        answer = self.request(
            "PUT", f"{location}{joint}digest={digest}", token, blob, Content_Type="application/octet-stream"
        )
        assert answer.status == 201, answer

    def holds(self, repository: str, reference: str = "1") -> bool:
        """Whether this tag or digest is there, as the keeper sees it."""
        answer = self.request(
            "GET",
            f"/v2/{repository}/manifests/{reference}",
            self._keeper(repository),
            Accept=f"{MANIFEST_TYPE}, application/vnd.docker.distribution.manifest.v2+json",
        )
        assert answer.status in (200, 404), answer
        return answer.status == 200

    def mounts(self, source: str, target: str) -> set[int]:
        """How the registry answered the requests to mount blobs of one repository in the other, by its own log."""
        name = f"(?:{re.escape(quote(source, safe=''))}|{re.escape(source)})"
        asked = re.compile(rf'uri="/v2/{re.escape(target)}/blobs/uploads/\?[^"]*from={name}[&"]')
        lines = [line for line in self.daemon.log.splitlines() if asked.search(line)]
        found = (re.search(r"http\.response\.status=(\d+)", line) for line in lines)
        return {int(status[1]) for status in found if status}

    def _keeper(self, repository: str) -> str:
        return self.server.token(self.service, [f"repository:{repository}:pull,push,delete"], person=KEEPER)


@contextmanager
def registry(
    folder: Path,
    server: TokenServer,
    service: str,
    generation: str,
    *,
    tls: Authority | None = None,
    sections: Mapping[str, Any] | None = None,
) -> Iterator[Registry]:
    """A running registry. `generation` is one of `PROGRAMS`; `sections` are in its configuration, besides its own."""
    program = need(PROGRAMS[generation])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tmp").mkdir(exist_ok=True)
    port = free_port()
    section = server.registry_config(service, PRINTED_FOR.get(generation, generation), folder)
    http: dict[str, Any] = {}
    if tls is not None:
        certificate, key = tls.issue(folder)
        http["tls"] = {"certificate": str(certificate), "key": str(key)}
    config = folder / "registry.yml"
    if generation.startswith("zot"):
        auth = section["http"]["auth"]
        http |= {"address": "127.0.0.1", "port": str(port), "auth": auth}
        storage = {"rootDirectory": str(folder / "storage"), "gc": False, "dedupe": True}
        config = folder / "registry.json"
        config.write_text(json.dumps({"storage": storage, "http": http, "log": {"level": "debug"}}))
    else:
        auth = section["auth"]
        http["addr"] = f"127.0.0.1:{port}"
        storage = {"inmemory": {}, "delete": {"enabled": True}}
        content = {"version": 0.1, "log": {"level": "info"}, "storage": storage, "http": http, "auth": auth}
        content |= sections or {}
        config.write_text(yaml.safe_dump(content))
    arguments = {"zot2.1": [], "zot2.1.17": ["-up-to-2.1.17"]}.get(generation, ["serve"])
    environment = {**plain_environment(folder), "OTEL_TRACES_EXPORTER": "none"}
    daemon = Daemon(f"registry-{service}", [program, *arguments, config], environment=environment, folder=folder)
    with running(daemon, lambda: answers(port)):
        yield Registry(generation, service, port, server, daemon, auth, tls.context() if tls else None, authority=tls)


def own_registry(service: str, generation: str = "distribution3") -> Any:
    """A fixture for a module with a server of its own, its fixture `server`: a registry that trusts that server.

    The conftest's `scene` is around it where the module calls it `registry`.
    """

    @pytest.fixture(scope="module")
    def started(server: TokenServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
        with registry(tmp_path_factory.mktemp("registry"), server, service, generation) as made:
            yield made

    return started
