"""A registry in the middle of a move: clients that go on pushing, and registries that share a storage."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from harness.images import Image
from harness.machine import Machine
from harness.processes import Daemon, Output, answers, plain_environment, running
from harness.programs import need
from harness.registries import PROGRAMS
from harness.waiting import PATIENCE_SECONDS

PUSHES = 3
"""In each of the phases, at least."""


class Pusher:
    """Pushes one image after the other, as `docker login` has left its credentials, until it is stopped."""

    def __init__(self, machine: Machine, port: int, image: Image, user: str, password: str) -> None:
        self._machine, self._host, self._image = machine, f"localhost:{port}", image
        self._user = user
        self._crane = need("crane")
        self._ended = threading.Event()
        self.outputs: list[Output] = []
        machine.sign_in(self._host, user, password)
        self._thread = threading.Thread(target=self._push)
        self._thread.start()

    def wait(self) -> None:
        """Wait until some more pushes have ended."""
        wanted = len(self.outputs) + PUSHES + 1  # one may have begun before
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self.outputs) < wanted:
            assert time.monotonic() < deadline, "the pushes take too long"
            time.sleep(0.02)

    def stop(self) -> None:
        """Let the last push end."""
        self._ended.set()
        self._thread.join(PATIENCE_SECONDS)

    def refused(self) -> list[str]:
        """What the pushes said that failed."""
        return [str(output) for output in self.outputs if not output.ok]

    def _push(self) -> None:
        while not self._ended.is_set():
            name = f"{self._host}/{self._user}/image-{len(self.outputs)}:1"
            words = ("append", "--oci-empty-base", "--new_layer", self._image.layer, "--new_tag", name)
            self.outputs.append(self._machine.run(self._crane, *words))


def stored_images(folder: Path, user: str) -> set[str]:
    """The names of the repositories of this user in the storage that registries of the folder share."""
    return {path.name for path in (folder / "storage/docker/registry/v2/repositories" / user).iterdir()}


def registry_configuration(folder: Path, port: int, auth: dict[str, Any]) -> Path:
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
def running_registry(folder: Path, generation: str, port: int, config: Path) -> Iterator[Daemon]:
    """A running registry."""
    environment = {**plain_environment(folder), "OTEL_TRACES_EXPORTER": "none"}
    command: list[str | Path] = [need(PROGRAMS[generation]), "serve", config]
    daemon = Daemon(f"registry-{port}", command, environment=environment, folder=folder)
    with running(daemon, lambda: answers(port)):
        yield daemon


def tokenserver(*arguments: str | Path) -> list[str]:
    """A command line of the server."""
    return [sys.executable, "-m", "tokenserver", *map(str, arguments)]
