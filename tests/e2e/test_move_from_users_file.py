"""docs/move-from-a-users-file.md with real registries: pushes before, during and after the move, none refused."""

from __future__ import annotations

import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bcrypt
import canaries
import pytest
import yaml
from harness import web
from harness.images import Image
from harness.machine import Machine
from harness.processes import Daemon, Output, answers, free_port, plain_environment, run, running
from harness.programs import need
from harness.registries import PROGRAMS
from harness.switch import switch

pytestmark = pytest.mark.waits

PASSWORD = secrets.token_urlsafe(18)
canaries.know(PASSWORD, user="ann")
PUSHES = 3
"""In each of the phases, at least."""


class Pusher:
    """Pushes one image after the other, as `docker login` has left its credentials, until it is stopped."""

    def __init__(self, machine: Machine, port: int, image: Image) -> None:
        self._machine, self._host, self._image = machine, f"localhost:{port}", image
        self._crane = need("crane")
        self._ended = threading.Event()
        self.outputs: list[Output] = []
        machine.sign_in(self._host, "ann", PASSWORD)
        self._thread = threading.Thread(target=self._push)
        self._thread.start()

    def wait(self) -> None:
        """Wait until some more pushes have ended."""
        wanted = len(self.outputs) + PUSHES + 1  # one may have begun before
        deadline = time.monotonic() + 60
        while len(self.outputs) < wanted:
            assert time.monotonic() < deadline, "the pushes take too long"
            time.sleep(0.02)

    def stop(self) -> None:
        """Let the last push end."""
        self._ended.set()
        self._thread.join(60)

    def _push(self) -> None:
        while not self._ended.is_set():
            name = f"{self._host}/web/image-{len(self.outputs)}:1"
            words = ("append", "--oci-empty-base", "--new_layer", self._image.layer, "--new_tag", name)
            self.outputs.append(self._machine.run(self._crane, *words))


def configuration(folder: Path, port: int, auth: dict[str, Any]) -> Path:
    """A registry's configuration. All that share a folder have the same storage and the same secret."""
    content = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "a secret of both registries"},
        "auth": auth,
    }
    path = folder / f"config-{port}.yml"
    path.write_text(yaml.safe_dump(content))
    return path


@contextmanager
def registry(folder: Path, generation: str, port: int, config: Path) -> Iterator[Daemon]:
    """A running registry."""
    environment = {**plain_environment(folder), "OTEL_TRACES_EXPORTER": "none"}
    command: list[str | Path] = [need(PROGRAMS[generation]), "serve", config]
    with running(
        Daemon(f"registry-{port}", command, environment=environment, folder=folder), lambda: answers(port)
    ) as daemon:
        yield daemon


def tokenserver(*arguments: str | Path) -> list[str]:
    """A command line of the server."""
    return [sys.executable, "-m", "tokenserver", *map(str, arguments)]


@pytest.mark.parametrize("generation", ["distribution2", "distribution3"])
def test_no_push_is_refused(generation: str, tmp_path: Path, image: Image) -> None:
    """The registry's users go on with the passwords that their clients have, and see nothing of the move."""
    ports = [free_port() for _ in range(3)]
    folder, site = tmp_path / "registry", tmp_path / "site"
    (folder / "tmp").mkdir(parents=True)
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5)).decode()
    (folder / "htpasswd").write_text(f"ann:{hashed}\n")
    old = configuration(folder, ports[0], {"htpasswd": {"realm": "basic", "path": str(folder / "htpasswd")}})
    environment = plain_environment(folder)
    with registry(folder, generation, ports[0], old) as old_registry, switch(ports[0]) as proxy:
        pusher = Pusher(Machine(tmp_path / "machine"), proxy.port, image)
        try:
            pusher.wait()
            options = ["--url", f"http://localhost:{ports[2]}", "--listen", f"127.0.0.1:{ports[2]}"]
            trust = site / "registry" / "token-ca.pem"
            imported = run(
                tokenserver("import", "htpasswd-registry", old, site, *options, "--trust", trust),
                environment=environment,
                folder=folder,
            )
            assert imported.ok, str(imported)
            serve = tokenserver("serve", "--config", site / "tokenserver.yaml")
            server = Daemon("tokenserver", serve, environment=environment, folder=folder)
            new = configuration(folder, ports[1], yaml.safe_load((site / "registry" / "auth.yml").read_text())["auth"])
            with running(server, lambda: answers(ports[2])), registry(folder, generation, ports[1], new):
                pusher.wait()
                before = len(pusher.outputs)
                proxy.lead_to(ports[1])
                old_registry.stop()
                pusher.wait()
                pusher.stop()
                assert [str(output) for output in pusher.outputs if not output.ok] == []
                assert len(pusher.outputs) >= before + PUSHES
                refused = web.request(proxy.port, "GET", "/v2/_catalog", headers=web.basic("ann", PASSWORD))
                assert (refused.status, "Bearer" in (refused.header("www-authenticate") or "")) == (401, True)
                assert server.log.count('"subject":"ann"') >= PUSHES
        finally:
            pusher.stop()
    stored = {path.name for path in (folder / "storage/docker/registry/v2/repositories/web").iterdir()}
    assert stored == {f"image-{number}" for number in range(len(pusher.outputs))}
